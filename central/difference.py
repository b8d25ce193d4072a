"""The difference of two texts as lines, for a page, a table or a log. Pure."""

from difflib import SequenceMatcher
from typing import Literal

import msgspec

AROUND = 3
"""Lines that are the same are shown around a change; more are a gap."""


class Line(msgspec.Struct, frozen=True):
    """One line. `old`, `new`: its number in either text, 0 where it is not there. A gap stands for lines left out."""

    kind: Literal["same", "added", "removed", "gap"]
    text: str
    old: int = 0
    new: int = 0


def difference(old: str, new: str) -> list[Line]:
    """Nothing where they are the same."""
    before, after = old.splitlines(), new.splitlines()
    found: list[Line] = []
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for group in matcher.get_grouped_opcodes(AROUND):
        first = group[0]
        if first[1] > 0 or first[3] > 0:
            found.append(Line("gap", ""))
        for kind, old_from, old_to, new_from, new_to in group:
            if kind == "equal":
                found += [Line("same", before[n], n + 1, new_from + n - old_from + 1) for n in range(old_from, old_to)]
                continue
            found += [Line("removed", before[n], n + 1) for n in range(old_from, old_to)]
            found += [Line("added", after[n], 0, n + 1) for n in range(new_from, new_to)]
    return found


def counts(lines: list[Line]) -> tuple[int, int]:
    """How many were added, how many removed."""
    return sum(line.kind == "added" for line in lines), sum(line.kind == "removed" for line in lines)
