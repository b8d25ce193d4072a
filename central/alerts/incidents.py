"""When what is watched becomes an incident, and when that is over: only what holds for a while counts. Pure."""

from enum import StrEnum
from typing import NamedTuple

from central.alerts.conditions import Kind, Level

HOLDS_MS = {
    Kind.SILENT: 60_000,
    Kind.SKEW: 120_000,
    Kind.DISK: 300_000,
    Kind.CERTIFICATE: 60_000,
    Kind.DENIALS: 60_000,
    Kind.STALE: 600_000,
    Kind.HALTED: 0,
    Kind.UNTOLD: 60_000,
    Kind.LIBRARY: 60_000,
    Kind.INCIDENT: 0,
    Kind.OVERDUE: 0,
}
"""For so long it must be bad without a break until a person is called."""
CLEARS_MS = {
    Kind.SILENT: 120_000,
    Kind.SKEW: 300_000,
    Kind.DISK: 600_000,
    Kind.CERTIFICATE: 60_000,
    Kind.DENIALS: 900_000,
    Kind.STALE: 120_000,
    Kind.HALTED: 0,
    Kind.UNTOLD: 60_000,
    Kind.LIBRARY: 60_000,
    Kind.INCIDENT: 0,
    Kind.OVERDUE: 0,
}
"""For so long it must be good without a break until the incident is over."""


class Phase(StrEnum):
    """Where a thing that is watched closely stands."""

    RISING = "rising"
    """Bad, but not for long enough."""
    OPEN = "open"
    """There is an incident."""
    DISMISSED = "dismissed"
    """A person resolved the incident though it held: silent until it was over once."""


class Watch(NamedTuple):
    """A thing that is watched closely. `good_ms` 0: it is not good now; `alert` empty: there is no incident yet."""

    phase: Phase
    bad_ms: int
    good_ms: int = 0
    alert: bytes = b""


class Move(StrEnum):
    """What is to be done about an incident."""

    NONE = ""
    OPEN = "open"
    RESOLVE = "resolve"


def step(watch: Watch | None, kind: Kind, level: Level, now_ms: int) -> tuple[Watch | None, Move]:
    """The watch after one more look. None: nothing to remember.

    The one that is to be opened comes back rising: whoever opens it knows its id.
    """
    if watch is None:
        watch = Watch(Phase.RISING, now_ms)
        if level is not Level.BAD:
            return None, Move.NONE
    if watch.phase is Phase.RISING:
        if level is not Level.BAD:
            return None, Move.NONE
        watch = watch._replace(bad_ms=min(watch.bad_ms, now_ms))  # a clock that was put back
        return watch, Move.OPEN if now_ms - watch.bad_ms >= HOLDS_MS[kind] else Move.NONE
    if level is not Level.GOOD:
        return watch._replace(good_ms=0), Move.NONE
    good_ms = min(watch.good_ms, now_ms) if watch.good_ms else now_ms
    if now_ms - good_ms < CLEARS_MS[kind]:
        return watch._replace(good_ms=good_ms), Move.NONE
    return None, Move.RESOLVE if watch.phase is Phase.OPEN else Move.NONE


def after_pause(watch: Watch, now_ms: int) -> Watch:
    """Nobody looked for a while, so nobody knows what was in between: what has to hold begins to hold now."""
    bad_ms = now_ms if watch.phase is Phase.RISING else watch.bad_ms
    return watch._replace(bad_ms=bad_ms, good_ms=now_ms if watch.good_ms else 0)
