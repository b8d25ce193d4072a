"""How far a gate's clock can be trusted, and how old its word from central is (SPEC §8.3)."""

from typing import NamedTuple

from protocol.messages import Clock

TOLERANCE_MS = 120_000
"""What separates drift from a wrong clock."""


class SignedTime(NamedTuple):
    """The newest time that central signed. `monotonic_ms` is this boot's when it was received; None = before it."""

    at_ms: int
    monotonic_ms: int | None = None


def estimate_ms(wall_ms: int, monotonic_ms: int, signed: SignedTime) -> int:
    """The best guess at the time now: counted on from a signed time of this boot, else the wall clock,
    never before the newest signed time."""
    if signed.monotonic_ms is not None:
        return signed.at_ms + max(0, monotonic_ms - signed.monotonic_ms)
    return max(wall_ms, signed.at_ms)


def judge(wall_ms: int, monotonic_ms: int, signed: SignedTime) -> Clock:
    """Without a signed time of this boot a clock that runs ahead cannot be told: UNCONFIRMED."""
    if signed.monotonic_ms is None:
        return Clock.BEHIND if wall_ms < signed.at_ms - TOLERANCE_MS else Clock.UNCONFIRMED
    skew_ms = wall_ms - estimate_ms(wall_ms, monotonic_ms, signed)
    if abs(skew_ms) <= TOLERANCE_MS:
        return Clock.TRUSTED
    return Clock.BEHIND if skew_ms < 0 else Clock.AHEAD
