"""A member's marks at one venue, paired to visits. Pure.

A visit is one entry, and ends by what comes first: the exit, the next entry, or the venue's closing. So it depends on
its entry and the next mark alone, and late marks change no more than their neighbours.
"""

from collections.abc import Iterable
from itertools import repeat
from typing import NamedTuple

from central.services.visits.closing import Closings

SESSIONS = ("recorded", "signed-in", "signed-out")
"""Reasons of marks that are of an attendance: who signs in at a kiosk walks through no door."""


class Passed(NamedTuple):
    """A mark that counts and has a direction. The fields in this order are the order of marks (SPEC §8.6)."""

    at_ms: int
    epoch: bytes
    sequence: int
    direction: str
    rule: str = ""


class Visit(NamedTuple):
    """`out_ms` None: by `ends_by_ms` no exit and no other entry came; before that time they still may."""

    epoch: bytes
    sequence: int
    in_ms: int
    out_ms: int | None
    ended: str
    """`out`; `next-entry` and `open` are without a known exit."""
    ends_by_ms: int
    rule: str

    def is_open(self, at_ms: int) -> bool:
        """Whether this member was inside at that moment, as far as is known."""
        return self.in_ms <= at_ms < (self.ends_by_ms if self.out_ms is None else self.out_ms)


def visits_of(marks: Iterable[Passed], closings: Closings, *, is_known: bool = True) -> list[Visit]:
    """By the time of entry. Not `is_known`: marks of people whom staff let in by hand, of whom nobody knows which is
    which; each is inside until the venue closes."""
    ordered = sorted(marks)
    following: Iterable[Passed | None] = (*ordered[1:], None) if is_known else repeat(None)
    return [
        _visit(mark, then, closings) for mark, then in zip(ordered, following, strict=False) if mark.direction == "in"
    ]


def _visit(entry: Passed, then: Passed | None, closings: Closings) -> Visit:
    ends_by_ms = closings.after(entry.at_ms)
    if then is None or then.at_ms >= ends_by_ms:
        out_ms, ended = None, "open"
    else:
        out_ms, ended = then.at_ms, "out" if then.direction == "out" else "next-entry"
    return Visit(entry.epoch, entry.sequence, entry.at_ms, out_ms, ended, ends_by_ms, entry.rule)
