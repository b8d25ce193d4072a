"""How many of a member's points may be promised to gates. Pure.

What a gate holds reserved it may have spent already, unseen, at any moment until the reservation lapsed. So each open
reservation is tried as a spending in its last millisecond, and only what a ledger with all of these still has is free.
No two gates can then spend the same point, whatever they do while they are apart.

A gate takes off a newer reservation what it spent of an older one and is not counted yet. So of one device's
reservations the newest counts whole, and an older one only by how much more it holds.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from central.services.points.ledger import Given, Taken, keep


class Promise(NamedTuple):
    """A reservation that is open. `left`: of it, after what central counts of the device's marks; below 0 where the
    gate spent ahead. `untold`: by how much that rose since taps were undone; the gate is not told of it yet."""

    device: str
    lapse_ms: int
    left: int
    untold: int = 0

    @property
    def told(self) -> int:
        return self.left - self.untold


def free(given: Iterable[Given], taken: Iterable[Taken], promises: Iterable[Promise], now_ms: int, at_ms: int) -> int:
    """Points of a member, out of what is given by now, that are promised to nobody and will still be there at `at_ms`.
    What a live reservation holds counts as spent then, which leaves the least."""
    known = [each for each in given if each.at_ms <= now_ms]
    return keep(known, (*taken, *_held(promises, at_ms)), at_ms).balance


def allot(
    given: Sequence[Given],
    taken: Sequence[Taken],
    promises: Sequence[Promise],
    wanted: Sequence[str],
    reserve: int,
    now_ms: int,
    lapse_ms: int,
) -> dict[str, int]:
    """How much more each device gets until `lapse_ms`, those that are wanted first before the others: filled up to
    `reserve` where less than half of that is left, as far as points go. A device's own older reservations stand in no
    newer one's way."""
    open_ones = {(each.device, each.lapse_ms): each for each in promises}
    found = {}
    for device in wanted:
        live = open_ones.get((device, lapse_ms), Promise(device, lapse_ms, 0))
        missing = reserve - live.told
        if not live.untold and 2 * missing <= reserve:
            continue
        # what the gate is not told of is its own: it gets that first, where it is there at all
        others = [each for each in open_ones.values() if each.device != device]
        # a ledger has let go of what expires at the day's end in the day's last millisecond: look one before it
        more = min(missing, free(given, taken, [*others, live._replace(left=live.told)], now_ms, lapse_ms - 2))
        if more > 0:
            found[device] = more
            told = live.told + more
            open_ones[device, lapse_ms] = live._replace(left=max(live.left, told), untold=max(0, live.left - told))
    return found


def _held(promises: Iterable[Promise], at_ms: int) -> list[Taken]:
    """What may have been spent unseen, as late as it may have been."""
    found: list[Taken] = []
    covered: dict[str, int] = {}
    for promise in sorted(promises, key=lambda each: -each.lapse_ms):
        before = covered.get(promise.device, 0)
        if promise.left > before:
            spent_ms = min(promise.lapse_ms - 1, at_ms)
            cause = f"reserved {promise.device}"
            found.append(Taken(spent_ms, promise.left - before, "", "", cause, "reserved"))
            covered[promise.device] = promise.left
    return found
