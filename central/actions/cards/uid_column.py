"""Which notation a whole column of UIDs is written in: decided by evidence, or not at all. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations

from protocol.uid import CardUID, Notation, candidates

NXP = 0x04
"""The first byte, in air order, of every 7-byte UID by the maker of nearly all of these cards."""
ENOUGH_NXP = 2
"""One 7-byte UID begins with 04 by chance in one of 256; two do in one of 65,536."""


@dataclass
class UidColumn:
    """Takes in the column once, in constant memory; `decide` then names the notation, or says why none."""

    rows: int = 0
    _reads: dict[Notation, int] = field(default_factory=lambda: dict.fromkeys(Notation, 0))
    _fails: dict[Notation, int] = field(default_factory=dict)
    """The first row, of those that some notation reads, that this one cannot."""
    _long: dict[Notation, int] = field(default_factory=lambda: dict.fromkeys(Notation, 0))
    _nxp: dict[Notation, int] = field(default_factory=lambda: dict.fromkeys(Notation, 0))
    _differ: set[tuple[Notation, Notation]] = field(default_factory=set)

    def add(self, number: int, text: str) -> dict[Notation, CardUID]:
        """One cell, and every reading of it."""
        readings = candidates(text)
        if not readings:
            return readings
        self.rows += 1
        for notation in Notation:
            uid = readings.get(notation)
            if uid is None:
                self._fails.setdefault(notation, number)
                continue
            self._reads[notation] += 1
            if len(uid.raw) == 7:
                self._long[notation] += 1
                self._nxp[notation] += uid.raw[0] == NXP
        if len(self._differ) < 6:
            self._differ.update(p for p in _PAIRS if readings.get(p[0]) != readings.get(p[1]))
        return readings

    def decide(self, known: Mapping[Notation, int]) -> tuple[Notation | None, str]:
        """The notation, or None and why. `known`: rows whose card, read so, is already bound to that very member."""
        if not self.rows:
            return Notation.HEX, ""
        left = [notation for notation in Notation if notation not in self._fails]
        if not left:
            rows = sorted(set(self._fails.values()))
            places = " and ".join(map(str, rows[:2]))
            return None, f"no one notation reads the whole column (see rows {places}): state --notation"
        for narrow in (self._by_known, self._by_maker):
            if self._same(left):
                break
            left = narrow(left, known)
        if self._same(left):
            return left[0], ""
        return None, f"the column could be {' or '.join(left)}: state --notation"

    def _same(self, left: list[Notation]) -> bool:
        return all(pair not in self._differ for pair in combinations(left, 2))

    def _by_known(self, left: list[Notation], known: Mapping[Notation, int]) -> list[Notation]:
        proven = [notation for notation in left if known.get(notation)]
        return proven if len(proven) == 1 else left

    def _by_maker(self, left: list[Notation], _known: Mapping[Notation, int]) -> list[Notation]:
        """Only among two orders of the same digits: nearly any number reads as some 7-byte UID in decimal."""
        proven = [n for n in left if self._long[n] == self._nxp[n] and self._nxp[n] >= ENOUGH_NXP]
        others = [n for n in left if n not in proven]
        return proven if len(proven) == 1 and not any(self._nxp[n] == self._long[n] > 0 for n in others) else left


_PAIRS = tuple(combinations(Notation, 2))
