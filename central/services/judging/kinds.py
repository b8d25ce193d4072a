"""What can contradict, and how it is named. Pure.

What is judged again, and by what:

| the gate | is asked | and is found |
|---|---|---|
| let in | by its own policy and list: can it have granted that | `policy-differs` |
| let in | by the same with all gates' marks | `used-apart` |
| let in | by what central knew of the card at that instant | `admitted-after-revocation` |
| let in or out, and charged | by its own policy and list: can it have charged that | `charged-otherwise` |
| let out | whether an entry came before, where the policy counts on one | `left-without-entry` |
| denied, for a reason of the card, its class, the hours or earlier taps | by all that it had, or should have had \
for two minutes: would lists, policies and marks admit | `denied-but-entitled` |
| denied, because it could not tell (list, clock, history, reader, journal, unknown card) | nothing: a rule says so | |
| denied as `full`, for want of points, or by a closure | nothing: how many it counted inside, what was reserved to it \
and what was closed by hand there are in no event | |
| answered anything | by the clock, and for another place or chip | `clock-off`, `impossible-travel`, \
`fingerprint-changed` |

How many a venue holds is no affair of one member's taps, and sign-ins in two places are reviewed with the hours.
"""

import hashlib
from enum import StrEnum
from typing import Any, NamedTuple

from central.services.judging.seen import Seen


class Kinds(StrEnum):
    """A kind never changes its meaning: it stands in the conflict's id."""

    USED_APART = "used-apart"
    """The gates' marks together keep out whom this gate, which did not know them all, let in."""
    OVERSPENT = "overspent"
    """More points were spent than the member had (of the points service)."""
    AFTER_REVOCATION = "admitted-after-revocation"
    """Central knew that the card was blocked, lost, replaced, ended or taken off the list."""
    IMPOSSIBLE_TRAVEL = "impossible-travel"
    """At another venue sooner than anybody gets there."""
    FINGERPRINT_CHANGED = "fingerprint-changed"
    """Another chip answered with the card's UID, as readers of one kind tell it."""
    CLOCK_OFF = "clock-off"
    """The gate's clock was wrong, and nobody stated by how much."""
    POLICY_DIFFERS = "policy-differs"
    """By its own policy and list the gate cannot have granted it."""
    DENIED_ENTITLED = "denied-but-entitled"
    """What central had said by then, and the gate had or should have had, admits whom it kept out."""
    CHARGED_OTHERWISE = "charged-otherwise"
    """By its own policy and list the gate cannot have charged so much, or so little."""
    LEFT_WITHOUT_ENTRY = "left-without-entry"
    """An exit, and no entry before it is known, where the policy counts on both."""


Detail = dict[str, Any]


class Finding(NamedTuple):
    """One disagreement about one event. `detail` is JSON."""

    kind: str
    device: str
    epoch: bytes
    sequence: int
    at_ms: int
    """As the event says."""
    detail: Detail
    is_note: bool = False
    """Worth knowing, and nobody has to do anything about it."""

    @property
    def id(self) -> bytes:
        """The same whenever it is found again."""
        named = b"\0".join((self.kind.encode(), self.device.encode(), self.epoch))
        return hashlib.sha256(b"tapgate-conflict-v1\0" + named + self.sequence.to_bytes(8)).digest()[:16]


def finding(kind: Kinds, one: Seen, detail: Detail, is_note: bool = False) -> Finding:
    """About a tap."""
    return Finding(kind.value, one.device, one.mark.epoch, one.mark.sequence, one.mark.at_ms, detail, is_note)


def said(one: Seen) -> Detail:
    """How another tap stands in a detail."""
    name = f"{one.device}/{one.mark.epoch.hex()}/{one.mark.sequence}"
    return {"event": name, "gate": one.mark.gate, "venue": one.mark.venue, "at_ms": one.at_ms}
