"""Who came to an activity, out of who was registered and who checked in. Pure."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple


class Came(StrEnum):
    """What became of a person."""

    CAME = "came"
    ABSENT = "absent"
    WALK_IN = "walk-in"
    NOT_REGISTERED = "not-registered"
    """Where nobody may come who is not registered."""
    OVER_CAPACITY = "over-capacity"
    """Walked in when registered people and earlier walk-ins filled it already."""


class Attended(NamedTuple):
    """One person; `at_ms` of the first check-in, 0 = none."""

    subject: bytes
    came: Came
    at_ms: int


def attended(
    registered: Iterable[bytes], check_ins: Iterable[tuple[bytes, int]], capacity: int, takes_walk_ins: bool
) -> list[Attended]:
    """By the time of the first check-in, those who did not come last. `capacity` 0 = any number. Who is registered has
    a place whenever they come."""
    expected = set(registered)
    first = _first(check_ins)
    places = capacity - len(expected) if capacity else None
    found: list[Attended] = []
    for subject, at_ms in sorted(first.items(), key=lambda each: (each[1], each[0])):
        if subject in expected:
            found.append(Attended(subject, Came.CAME, at_ms))
        elif not takes_walk_ins:
            found.append(Attended(subject, Came.NOT_REGISTERED, at_ms))
        elif places is not None and places <= 0:
            found.append(Attended(subject, Came.OVER_CAPACITY, at_ms))
        else:
            places = places - 1 if places is not None else None
            found.append(Attended(subject, Came.WALK_IN, at_ms))
    found += [Attended(subject, Came.ABSENT, 0) for subject in sorted(expected - first.keys())]
    return found


def _first(check_ins: Iterable[tuple[bytes, int]]) -> Mapping[bytes, int]:
    first: dict[bytes, int] = {}
    for subject, at_ms in check_ins:
        first[subject] = min(first.get(subject, at_ms), at_ms)
    return first
