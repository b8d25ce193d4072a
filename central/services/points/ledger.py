"""The ledger of one member in one domain: every posting moves points from one account to another, for a cause. Pure.

Points are spent soonest-expiring first. What expires is posted in the last millisecond in which it could have been
spent, so it stands in the month that it was good for. A member's account never goes below 0: what was taken beyond it
is paid by a loss account.
"""

import heapq
from collections.abc import Iterable
from typing import NamedTuple

MEMBER = "member"
ISSUED = "city:issued"
REDEEMED = "city:redeemed"
EXPIRED = "city:expired"
CITY_LOSS = "city:loss"
LOSS = ":loss"
"""The end of every loss account's name."""
_NEVER_MS = 1 << 62


def venue_account(venue: str) -> str:
    """What was paid to it in points."""
    return f"venue:{venue}"


def venue_loss(venue: str) -> str:
    """What the venue was paid by points that nobody had."""
    return f"venue:{venue}{LOSS}"


class Given(NamedTuple):
    """Points that a member gets. `expires_ms`: the instant from which they are gone; 0 = they stay."""

    at_ms: int
    points: int
    expires_ms: int
    cause: str
    what: str
    """month, earned, granted, adjusted."""


class Taken(NamedTuple):
    """Points that a member gives, to which account, and which one pays for what the member has not."""

    at_ms: int
    points: int
    target: str
    loss: str
    cause: str
    what: str
    """spent, redeemed, adjusted."""


class Posting(NamedTuple):
    """`points` (always above 0) from `source` to `target`. `what`: as above, or expired."""

    at_ms: int
    what: str
    cause: str
    source: str
    target: str
    points: int


class Lot(NamedTuple):
    """Points of one cause that are left."""

    expires_ms: int
    at_ms: int
    cause: str
    points: int


class Kept(NamedTuple):
    """A ledger through an instant: its postings in the order of time, and what the member has then."""

    postings: tuple[Posting, ...]
    lots: tuple[Lot, ...]

    @property
    def balance(self) -> int:
        return sum(lot.points for lot in self.lots)


def keep(given: Iterable[Given], taken: Iterable[Taken], through_ms: int) -> Kept:
    """In whatever order they come. At the same instant points are given first, then taken, then they expire."""
    book = _Book()
    items: list[Given | Taken] = [*sorted(given), *sorted(taken)]
    for each in sorted(items, key=lambda each: each.at_ms):
        if each.at_ms > through_ms:
            break
        book.expire(each.at_ms)
        if isinstance(each, Given):
            book.give(each)
        else:
            book.take(each)
    book.expire(min(through_ms, _NEVER_MS - 2) + 1)
    lots = (Lot(0 if lot[0] == _NEVER_MS else lot[0], *lot[1:3], lot[4]) for lot in sorted(book.lots))
    return Kept(tuple(sorted(book.postings, key=lambda posting: posting.at_ms)), tuple(lots))


class _Book:
    def __init__(self) -> None:
        self.postings: list[Posting] = []
        self.lots: list[tuple[int, int, str, int, int]] = []
        """A heap: expires_ms, at_ms, cause, order, what is left."""
        self._order = 0

    def give(self, given: Given) -> None:
        self.postings.append(Posting(given.at_ms, given.what, given.cause, ISSUED, MEMBER, given.points))
        # what has expired when it is given can be spent in no later millisecond
        expires_ms = max(given.expires_ms, given.at_ms + 1) if given.expires_ms else _NEVER_MS
        self._order += 1
        heapq.heappush(self.lots, (expires_ms, given.at_ms, given.cause, self._order, given.points))

    def take(self, taken: Taken) -> None:
        missing = taken.points
        while missing and self.lots:
            expires_ms, at_ms, cause, order, left = heapq.heappop(self.lots)
            if left > missing:
                heapq.heappush(self.lots, (expires_ms, at_ms, cause, order, left - missing))
            missing = max(0, missing - left)
        for source, points in ((MEMBER, taken.points - missing), (taken.loss, missing)):
            if points:
                self.postings.append(Posting(taken.at_ms, taken.what, taken.cause, source, taken.target, points))

    def expire(self, now_ms: int) -> None:
        while self.lots and self.lots[0][0] <= now_ms:
            expires_ms, _, cause, _, left = heapq.heappop(self.lots)
            self.postings.append(Posting(expires_ms - 1, "expired", cause, MEMBER, EXPIRED, left))
