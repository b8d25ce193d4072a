"""Rows of one file that speak of the same card or the same member: found in memory of 16 bytes a row. Pure.

A card import never lets the last row win, so it must know of both before it writes the first. Three million
UIDs in a dictionary are half a gigabyte; three million 8-byte hashes in arrays are 24 MB.
"""

import hashlib
import secrets
from array import array
from bisect import bisect_left
from itertools import pairwise
from typing import NamedTuple

from central.actions.cards.import_plan import Repeats, Row
from central.people.search_keys import number_form

_BUCKETS = 256
"""Sorting one bucket at a time keeps the sorted copies small."""


class HashSet:
    """64-bit hashes, added in any order, then sealed: which came twice, and is this one among them."""

    def __init__(self) -> None:
        self._buckets = [array("Q") for _ in range(_BUCKETS)]

    def add(self, key: int) -> None:
        self._buckets[key % _BUCKETS].append(key)

    def seal(self) -> set[int]:
        """Sort; the hashes that were added more than once."""
        twice: set[int] = set()
        for place, bucket in enumerate(self._buckets):
            ordered = sorted(bucket)
            twice.update(a for a, b in pairwise(ordered) if a == b)
            self._buckets[place] = array("Q", ordered)
        return twice

    def __contains__(self, key: int) -> bool:
        bucket = self._buckets[key % _BUCKETS]
        at = bisect_left(bucket, key)
        return at < len(bucket) and bucket[at] == key


class _Said(NamedTuple):
    row: int
    content: int
    member: int


class RepeatFinder:
    """First every row goes to `note`, then, after `seal`, every row again to `compare`."""

    def __init__(self) -> None:
        self._salt = secrets.token_bytes(16)
        self.cards, self.members, self.numbers = HashSet(), HashSet(), HashSet()
        self._cards_twice: set[int] = set()
        self._members_twice: set[int] = set()
        self._numbers_twice: set[int] = set()
        self._first_card: dict[int, _Said] = {}
        self._first_member: dict[int, _Said] = {}
        self._first_number: dict[int, _Said] = {}
        self._repeats = Repeats({}, {})

    def note(self, row: Row) -> None:
        self.cards.add(self.hashed(row.uid.raw))
        self.members.add(self.hashed(row.member.encode()))
        for kind, number in row.numbers:
            self.numbers.add(self._number(kind, number))

    def note_card(self, raw: bytes) -> None:
        """A card that is in the file, though its row cannot be used."""
        self.cards.add(self.hashed(raw))

    def seal(self) -> bool:
        """True when there is anything to compare."""
        self._cards_twice, self._members_twice = self.cards.seal(), self.members.seal()
        self._numbers_twice = self.numbers.seal()
        return bool(self._cards_twice or self._members_twice or self._numbers_twice)

    def compare(self, row: Row) -> None:
        """Hold a row against the first that spoke of its card and the first that spoke of its member."""
        member = self.hashed(row.member.encode())
        card = self.hashed(row.uid.raw)
        said = (row.classes, row.from_ms, row.until_ms, row.name, row.state, row.numbers)
        content = self.hashed(repr(said).encode())
        if card in self._cards_twice:
            first = self._first_card.setdefault(card, _Said(row.number, content, member))
            if first.row != row.number:
                self._same_card(row.number, first, content, member)
        if member in self._members_twice:
            person = self.hashed(repr((row.classes, row.name, row.numbers)).encode())
            first = self._first_member.setdefault(member, _Said(row.number, person, member))
            if first.content != person:
                self._contradict(row.number, first.row, "class, name or numbers of the same member differ")
        for kind, number in row.numbers:
            of = self._number(kind, number)
            if of in self._numbers_twice:
                first = self._first_number.setdefault(of, _Said(row.number, content, member))
                if first.member != member:
                    self._contradict(row.number, first.row, f"the same {kind} with another member")

    def found(self) -> Repeats:
        return self._repeats

    def hashed(self, data: bytes) -> int:
        return int.from_bytes(hashlib.blake2b(data, digest_size=8, key=self._salt).digest())

    def _number(self, kind: str, number: str) -> int:
        return self.hashed(f"{kind}\0{number_form(number)}".encode())

    def _same_card(self, row: int, first: _Said, content: int, member: int) -> None:
        if member != first.member:
            self._contradict(row, first.row, "the same UID with another member")
        elif content != first.content:
            self._contradict(row, first.row, "the same card with other class, dates, name or state")
        else:
            self._repeats.copies[row] = first.row

    def _contradict(self, row: int, first: int, why: str) -> None:
        self._repeats.collisions[row] = f"{why}: see row {first}"
        self._repeats.collisions.setdefault(first, f"{why}: see row {row}")
