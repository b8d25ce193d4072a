"""What a tap at a kiosk states, and whether it is taken (SPEC §7.14). Pure."""

from collections.abc import Mapping
from typing import NamedTuple

from central.entry_history import HeldEntry
from central.privacy.purposes import purposes
from protocol.allowlist import CardState
from protocol.consent import ConsentDetail, Said
from protocol.messages import Clock

STATES = {CardState.BLOCKED: "blocked", CardState.LOST: "lost", CardState.REPLACED: "replaced"}


class NotTaken(Exception):
    """The tap states nothing, in words for a privacy officer; the event stays as it is."""


class Heard(NamedTuple):
    """A statement as its gate signed it. `at_ms`: after what people stated of its clock. `held`: what central's list
    said of the card at that moment; None = nothing is known of then."""

    detail: ConsentDetail | None
    clock: Clock
    at_ms: int
    received_ms: int
    held: HeldEntry | None


def stated_ms(heard: Heard, notices: Mapping[str, int]) -> int:
    """When it counts as said: no later than it came. `notices`: the newest version of each purpose. Raises NotTaken."""
    detail = heard.detail
    if detail is None:
        raise NotTaken("what it states cannot be read")
    purpose = purposes().get(detail.purpose)
    if purpose is None:
        raise NotTaken(f"there is no purpose {detail.purpose!r}")
    if purpose.consent == "never":
        raise NotTaken(f"{purpose.id} rests on another basis than consent")
    if detail.notice > notices.get(purpose.id, 0):
        raise NotTaken(f"{purpose.id} has no notice {detail.notice}")
    if purpose.written and detail.said is Said.GIVEN:
        raise NotTaken(f"{purpose.id} needs written consent, which a tap is not")
    if heard.clock >= Clock.BEHIND:
        raise NotTaken("the gate's clock was wrong, so nobody knows when it was said")
    if heard.held is not None:
        _must_speak_for_its_holder(heard.held)
    return min(heard.at_ms, heard.received_ms)


def _must_speak_for_its_holder(held: HeldEntry) -> None:
    """A gate that is apart hears late that a card was lost: whoever found it states nothing."""
    entry = held.entry
    if entry is None:
        raise NotTaken("the card was on no list any more")
    if entry.state is not CardState.ACTIVE:
        raise NotTaken(f"the card was {STATES[entry.state]} by then")
