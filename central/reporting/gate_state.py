"""How a device does, and the gate that it serves: online, behind, silent, or to be looked at at once. Pure.

Every page, alert and command that shows the state of a device or gate asks `state_of` or `gate_state_of`, so that all
of them say the same. Each reason has a stable code; `TEXTS` has the English text, which is the key of translations.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from protocol.messages import Poll

MINUTE_MS = 60_000


class State(StrEnum):
    """From the best to the worst of those that serve; then those that do not."""

    ONLINE = "online"
    BEHIND = "behind"
    SILENT = "silent"
    ALARM = "alarm"
    WAITING = "waiting"
    """Enrolled, and to be confirmed by an operator."""
    OFF = "off"
    """Revoked; of a gate: no device serves it."""


TEXTS = {
    State.ONLINE.value: "online",
    State.BEHIND.value: "behind",
    State.SILENT.value: "silent",
    State.ALARM.value: "alarm",
    State.WAITING.value: "to be confirmed",
    State.OFF.value: "out of service",
    # alarm
    "trouble": "it could not take up what was published",
    "fork": "two disks tell different stories: a copied or restored disk, or somebody altered it",
    "broken-chain": "its journal does not hold together",
    "loss": "events are lost",
    "key-misused": "somebody tried to enrol with another key",
    "tamper": "the tamper contact is on",
    "fire-alarm": "the fire alarm is on",
    "clock-untrusted": "its clock cannot be trusted",
    "clock-skew": "its clock is wrong",
    "reader-failed": "a reader does not work",
    "disk-full": "its disk is nearly full",
    "closed-by-age": "it heard nothing for so long that it is closed",
    # silent
    "never-seen": "it was confirmed, and never heard of since",
    "not-seen": "nothing was heard of it",
    "restricted-by-age": "it heard nothing for so long that it admits fewer",
    # behind
    "late": "its next word is overdue",
    "backlog": "taps wait there to be delivered",
    "old-list": "it does not hold what was published",
    # none of these
    "unconfirmed": "an operator has to confirm it",
    "revoked": "it was revoked",
    "no-device": "no device serves this gate",
}
"""English text of each state and reason."""

SHAPES = {
    State.ONLINE: "●",
    State.BEHIND: "◐",
    State.SILENT: "○",
    State.ALARM: "▲",
    State.WAITING: "◇",
    State.OFF: "✕",
}
"""What stands before the word, so that colour is never alone."""

EVIDENCE = {"fork": "fork", "broken-chain": "broken-chain", "loss": "loss", "alarm": "key-misused"}
"""Kinds of evidence that are alarms, by the reason that they become."""


class Limits(NamedTuple):
    """What is late, much and old."""

    late_ms: int = 30_000
    """Beyond the wait that a poll asked for."""
    silent_ms: int = 5 * MINUTE_MS
    backlog: int = 100
    """Events that wait at the device."""
    lacking_ms: int = 2 * MINUTE_MS
    """So long something may be published and not be held."""
    skew_ms: int = 2 * MINUTE_MS
    """SPEC §8.3: so far ahead a clock is trusted."""
    evidence_ms: int = 24 * 60 * MINUTE_MS
    """So long evidence is an alarm; it stays evidence for ever."""
    free_disk: float = 0.05


LIMITS = Limits()


class DeviceFacts(NamedTuple):
    """What is known of a device. What is not known has its default, and is no reason for anything."""

    state: str
    """`devices.state`: pending, active, revoked."""
    seen_ms: int = 0
    """Its newest poll came then; 0 = never."""
    confirmed_ms: int = 0
    wait_s: int = 30
    """For so long that poll is held."""
    backlog: int = 0
    troubles: int = 0
    skew_ms: int = 0
    """Its clock less ours."""
    lacks_since_ms: int = 0
    """Since then something is published that it does not hold; 0 = it holds everything."""
    evidence: tuple[tuple[str, int], ...] = ()
    """Kind and time."""
    tamper: bool = False
    fire: bool = False
    clock_trusted: bool = True
    readers_failed: bool = False
    free_disk: float = 1.0
    """Share of its disk."""
    restrict_ms: int = 0
    """The gate's ages; 0 = unknown."""
    close_ms: int = 0


class GateState(NamedTuple):
    """A state and the codes of why, the weightiest first. Online has no reason."""

    state: State
    reasons: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return TEXTS[self.state.value]

    @property
    def reason_texts(self) -> tuple[str, ...]:
        return tuple(TEXTS[code] for code in self.reasons)

    @property
    def shape(self) -> str:
        return SHAPES[self.state]


def facts_of(
    state: str, seen_ms: int | None, poll: Poll | None, confirmed_ms: int | None = None, lacks_since_ms: int = 0
) -> DeviceFacts:
    """Of a row of `devices` and its newest poll. What else is known is put in with `_replace`."""
    known = DeviceFacts(state, seen_ms or 0, confirmed_ms or 0, lacks_since_ms=lacks_since_ms)
    if poll is None or not seen_ms:
        return known
    return known._replace(
        wait_s=poll.wait_s, backlog=poll.backlog, troubles=len(poll.troubles), skew_ms=poll.at_ms - seen_ms
    )


def state_of(facts: DeviceFacts, now_ms: int, limits: Limits = LIMITS) -> GateState:
    """Of one device. The worst state that has a reason; its own reasons come first, then those of better states."""
    if facts.state == "revoked":
        return GateState(State.OFF, ("revoked",))
    if facts.state == "pending":
        return GateState(State.WAITING, ("unconfirmed",))
    found = {
        State.ALARM: tuple(_alarms(facts, now_ms, limits)),
        State.SILENT: tuple(_silences(facts, now_ms, limits)),
        State.BEHIND: tuple(_delays(facts, now_ms, limits)),
    }
    reasons = tuple(code for codes in found.values() for code in codes)
    return GateState(next((state for state, codes in found.items() if codes), State.ONLINE), reasons)


def gate_state_of(devices: Iterable[GateState]) -> GateState:
    """Of a gate, by its devices: the worst of those that serve it; one that is to be confirmed where none does."""
    order = (State.ALARM, State.SILENT, State.BEHIND, State.ONLINE, State.WAITING)
    found = [each for each in devices if each.state is not State.OFF]
    if not found:
        return GateState(State.OFF, ("no-device",))
    worst = min((each.state for each in found), key=order.index)
    codes = dict.fromkeys(code for each in found if each.state is worst for code in each.reasons)
    return GateState(worst, tuple(codes))


def _alarms(facts: DeviceFacts, now_ms: int, limits: Limits) -> Iterable[str]:
    if facts.seen_ms and 0 < facts.close_ms <= now_ms - facts.seen_ms:
        yield "closed-by-age"
    recent = {kind for kind, at_ms in facts.evidence if now_ms - at_ms < limits.evidence_ms}
    yield from (code for kind, code in EVIDENCE.items() if kind in recent)
    flags = {
        "tamper": facts.tamper,
        "fire-alarm": facts.fire,
        "reader-failed": facts.readers_failed,
        "clock-untrusted": not facts.clock_trusted,
        "clock-skew": abs(facts.skew_ms) > limits.skew_ms,
        "disk-full": facts.free_disk < limits.free_disk,
        "trouble": facts.troubles > 0,
    }
    yield from (code for code, is_so in flags.items() if is_so)


def _silences(facts: DeviceFacts, now_ms: int, limits: Limits) -> Iterable[str]:
    """A poll that is held is a word, too: silence begins after its wait."""
    if not facts.seen_ms:
        if now_ms - facts.confirmed_ms >= limits.silent_ms:
            yield "never-seen"
        return
    silence_ms = now_ms - facts.seen_ms
    if silence_ms >= limits.silent_ms + facts.wait_s * 1_000:
        yield "not-seen"
        if 0 < facts.restrict_ms <= silence_ms:
            yield "restricted-by-age"


def _delays(facts: DeviceFacts, now_ms: int, limits: Limits) -> Iterable[str]:
    heard_ms = facts.seen_ms + facts.wait_s * 1_000 if facts.seen_ms else facts.confirmed_ms
    if limits.late_ms <= now_ms - heard_ms < limits.silent_ms:
        yield "late"
    if facts.backlog >= limits.backlog:
        yield "backlog"
    if facts.lacks_since_ms and now_ms - facts.lacks_since_ms >= limits.lacking_ms:
        yield "old-list"
