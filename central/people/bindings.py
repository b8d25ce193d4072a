"""Whose a card is and in which state, with both times: when it is true, and since when it is known. Pure.

What is known of a card is a list of statements, only ever added to: each says whose the card is over a span of time,
and where two speak of the same moment the later one holds. So what was believed on any day can still be told.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from protocol.allowlist import CardState

FOR_EVER = 1 << 62
NOBODY = b""


class Bound(NamedTuple):
    """Whose a card is. `member` empty: nobody's."""

    member: bytes
    number: int
    """Which of the member's cards."""
    state: CardState


class Statement(NamedTuple):
    """What somebody stated of a card. `until_ms` is excluded; 0 = open."""

    bound: Bound
    from_ms: int
    until_ms: int
    known_ms: int
    batch: str = ""
    ended_ms: int = -1
    """What the card's own end was before this statement set it; −1 = it did not."""

    def covers(self, at_ms: int) -> bool:
        return self.from_ms <= at_ms < (self.until_ms or FOR_EVER)


class Span(NamedTuple):
    """A part of a card's time line, in which one thing is true. `until_ms` 0 = open."""

    from_ms: int
    until_ms: int
    bound: Bound
    statement: int
    """The place of what says so among the statements, from 0."""


def bound_at(statements: Sequence[Statement], at_ms: int, known_ms: int = FOR_EVER) -> Bound | None:
    """What was true at a moment, as it was known at another; None = nothing was known. Statements in their order."""
    for statement in reversed(statements):
        if statement.known_ms <= known_ms and statement.covers(at_ms):
            return statement.bound
    return None


def timeline(statements: Sequence[Statement], known_ms: int = FOR_EVER) -> list[Span]:
    """All that was known at a moment, from the earliest on, without gaps that somebody spoke of."""
    known = [statement for statement in statements if statement.known_ms <= known_ms]
    edges = sorted({edge for each in known for edge in (each.from_ms, each.until_ms or FOR_EVER)})
    spans: list[Span] = []
    for since, until in pairwise(edges):
        place = next((n for n in range(len(known) - 1, -1, -1) if known[n].covers(since)), None)
        if place is None:
            continue
        last = spans[-1] if spans else None
        if last is not None and (last.statement, last.until_ms) == (place, since):
            spans[-1] = last._replace(until_ms=until)
        else:
            spans.append(Span(since, until, known[place].bound, place))
    return [span._replace(until_ms=0) if span.until_ms == FOR_EVER else span for span in spans]


def owned_since(statements: Sequence[Statement]) -> int:
    """Since when the card is, in one piece, that of the member whose it is in the end; 0 = since ever."""
    spans = timeline(statements)
    since = spans[-1].from_ms
    for before, span in zip(spans[-2::-1], spans[:0:-1], strict=False):
        is_same = before.bound.member == spans[-1].bound.member and before.until_ms == span.from_ms
        if not is_same:
            break
        since = before.from_ms
    return since


def rebound(
    statements: Sequence[Statement], member: bytes, number: int, since_ms: int, known_ms: int, batch: str
) -> list[Statement]:
    """What is stated where the card was, since a moment, another member's all the time: each of its states stays."""
    return [
        Statement(Bound(member, number, span.bound.state), max(span.from_ms, since_ms), span.until_ms, known_ms, batch)
        for span in timeline(statements)
        if (span.until_ms or FOR_EVER) > since_ms
    ]


def was_said_since(statements: Sequence[Statement], batch: str) -> bool:
    """Whether anything was stated of the card after a batch spoke of it."""
    return statements[-1].batch != batch


def taken_back(statements: Sequence[Statement], batch: str, known_ms: int) -> list[Statement]:
    """What is stated to make a batch as if it had not been: over its spans, what was known without it."""
    before = timeline([statement for statement in statements if statement.batch != batch])
    restated = []
    for undone in timeline([statement for statement in statements if statement.batch == batch]):
        at, end = undone.from_ms, undone.until_ms or FOR_EVER
        for span in before:
            since, until = max(at, span.from_ms), min(end, span.until_ms or FOR_EVER)
            if since >= until:
                continue
            if at < since:
                restated.append(_nobodys(at, since, known_ms))
            restated.append(Statement(span.bound, since, 0 if until == FOR_EVER else until, known_ms))
            at = until
        if at < end:
            restated.append(_nobodys(at, end, known_ms))
    return restated


def _nobodys(since: int, until: int, known_ms: int) -> Statement:
    return Statement(Bound(NOBODY, 0, CardState.ACTIVE), since, 0 if until == FOR_EVER else until, known_ms)


def aliases(statements: Sequence[Statement]) -> list[tuple[bytes, int]]:
    """Every (member, number) under which a gate may have known the card."""
    return list(dict.fromkeys((each.bound.member, each.bound.number) for each in statements if each.bound.member))
