"""Closed months: what stands in them stays; what became known later stands in the first month that is open. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from central.services.points.ledger import LOSS, MEMBER, Posting


class Line(NamedTuple):
    """A posting as it is booked. `booked_ms`: in whose month it stands, later than `at_ms` where that one was closed
    already when it became known."""

    booked_ms: int
    at_ms: int
    what: str
    cause: str
    source: str
    target: str
    points: int

    @property
    def is_adjustment(self) -> bool:
        return self.booked_ms != self.at_ms


class Overspend(NamedTuple):
    """Points that a loss account paid for a cause. `at_ms`: of the cause."""

    cause: str
    account: str
    at_ms: int
    points: int


_Key = tuple[str, str, str, str]
"""What, cause, and the two accounts in the order of their names."""


def open_lines(postings: Sequence[Posting], booked: Sequence[Line], closed_ms: int) -> list[Line]:
    """What stands in open months: `postings` since `closed_ms`, and by how much those before it differ from what is
    `booked` in closed ones. Closed and open lines together are always the postings."""
    standing = [Line(posting.at_ms, *posting) for posting in postings if posting.at_ms >= closed_ms]
    differing: dict[_Key, int] = defaultdict(int)
    moments: dict[_Key, int] = {}
    told: list[tuple[Posting | Line, int]] = [(line, -1) for line in booked]
    told += [(posting, 1) for posting in postings if posting.at_ms < closed_ms]
    for line, times in told:
        key, sign = _signed(line)
        differing[key] += times * sign * line.points
        moments[key] = line.at_ms
    adjustments = []
    for key, points in differing.items():
        if points:
            what, cause, first, second = key
            source, target = (first, second) if points > 0 else (second, first)
            adjustments.append(Line(closed_ms, moments[key], what, cause, source, target, abs(points)))
    # those that give first: so the member's account is not below 0 in between
    return [*sorted(adjustments, key=lambda line: (line.target != MEMBER, line)), *standing]


def _signed(line: Posting | Line) -> tuple[_Key, int]:
    if line.source < line.target:
        return (line.what, line.cause, line.source, line.target), 1
    return (line.what, line.cause, line.target, line.source), -1


def balance(lines: Iterable[Line]) -> int:
    """Of the member."""
    return sum(line.points * ((line.target == MEMBER) - (line.source == MEMBER)) for line in lines)


def totals(lines: Iterable[Line]) -> dict[str, int]:
    """By account; all together are 0."""
    found: dict[str, int] = defaultdict(int)
    for line in lines:
        found[line.source] -= line.points
        found[line.target] += line.points
    return dict(sorted(found.items()))


def overspends(lines: Iterable[Line]) -> list[Overspend]:
    """What loss accounts paid and was not given back since."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for line in lines:
        for account, sign in ((line.source, 1), (line.target, -1)):
            if account.endswith(LOSS):
                before = found.get((line.cause, account), (0, 0))[1]
                found[line.cause, account] = line.at_ms, before + sign * line.points
    left = (Overspend(*key, *value) for key, value in found.items() if value[1] > 0)
    return sorted(left, key=lambda one: (one.at_ms, one.cause, one.account))
