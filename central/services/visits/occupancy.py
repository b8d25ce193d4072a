"""How many are inside a venue: open visits, as corrected by staff since it last closed. Pure."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Correction(NamedTuple):
    """What staff counted at a moment: `counted` inside, or with None `change` more or fewer."""

    at_ms: int
    change: int = 0
    counted: int | None = None


def inside_now(open_now: int, open_at: Mapping[int, int], corrections: Sequence[Correction]) -> int:
    """Never below nobody. `open_now`, `open_at`: how many visits are open, now and at the moment of each correction;
    `corrections`: those since the venue closed last, in the order in which they were stated. A late batch changes what
    was open at a moment, and never what staff counted then."""
    more = 0
    for each in sorted(corrections, key=lambda each: each.at_ms):
        before = open_at[each.at_ms]
        more = max(more + each.change, -before) if each.counted is None else each.counted - before
    return max(0, open_now + more)
