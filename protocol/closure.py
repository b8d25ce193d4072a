"""Whether a venue is closed to somebody at a moment (SPEC §7.6, §7.10, §8.2)."""

from collections.abc import Sequence

from protocol.allowlist import Grant
from protocol.configuration import Closure
from protocol.events import Clock
from protocol.wire import Count, Id8, Millis, Name, Record

STAFF_WHY: dict[str, tuple[str, str]] = {
    "typhoon": ("颱風停止開放", "Closed for the typhoon"),
    "early-closing": ("今日提前閉館", "Closed early today"),
    "other": ("臨時停止開放", "Temporarily closed"),
}
"""Why staff close a gate: code, and what the screen says (zh-TW, English)."""


class StaffClosing(Record, frozen=True):
    """How staff closed a gate, as the gate keeps it: what its event says, and the clocks at that moment."""

    staff: Name
    why: Name
    from_ms: Millis
    until_ms: Millis
    boot_id: Id8
    monotonic_ms: Count
    clock: Clock


def closure_at(closures: Sequence[Closure], at_ms: int, classes: Sequence[Grant]) -> Closure | None:
    """The first closure that holds then and admits none of the classes that are in force; None = it is open."""
    for closure in closures:
        if closure.from_ms <= at_ms < closure.until_ms and not _is_admitted(closure, at_ms, classes):
            return closure
    return None


def closed(closures: Sequence[Closure], at_ms: int, classes: Sequence[Grant]) -> bool:
    """What a tap's `is_closed` says. `classes`: those of the card's entry."""
    return bool(closures) and closure_at(closures, at_ms, classes) is not None


def ends_in_ms(closing: StaffClosing, at_ms: int, monotonic_ms: int, boot_id: bytes, clock: Clock) -> int | None:
    """How long a closing by staff still holds (0 = no more); None = until it is opened by a PIN, since how long it
    lasts cannot be told."""
    if boot_id == closing.boot_id:  # no wall clock is asked, so none can open it or keep it closed
        return max(0, closing.until_ms - closing.from_ms - (monotonic_ms - closing.monotonic_ms))
    if closing.clock >= Clock.BEHIND or clock >= Clock.BEHIND:
        return None
    return max(0, closing.until_ms - at_ms)


def _is_admitted(closure: Closure, at_ms: int, classes: Sequence[Grant]) -> bool:
    return any(
        grant.name in closure.admits and grant.from_ms <= at_ms and (not grant.until_ms or at_ms < grant.until_ms)
        for grant in classes
    )
