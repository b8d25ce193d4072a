"""How long devices were online, behind, silent or in alarm, out of the rows that say when that changed. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

UNKNOWN = "unknown"
"""Before the first row."""

Change = tuple[int, str]
"""From then on, a state."""


class Spell(NamedTuple):
    """A time in one state."""

    state: str
    since_ms: int
    until_ms: int

    @property
    def lasted_ms(self) -> int:
        return self.until_ms - self.since_ms


class Lived(NamedTuple):
    """Of one device: milliseconds by state, how often it fell silent, and for how long at most."""

    by_state: Mapping[str, int]
    silences: int
    longest_silent_ms: int

    @property
    def online_share(self) -> float | None:
        """Of the time that is known."""
        known = sum(ms for state, ms in self.by_state.items() if state != UNKNOWN)
        return self.by_state.get("online", 0) / known if known else None


def spells(changes: Sequence[Change], since_ms: int, until_ms: int) -> list[Spell]:
    """Without gaps from `since_ms` to `until_ms`. `changes`: rising in time; those of before say how it began."""
    found: list[Spell] = []
    state, at_ms = UNKNOWN, since_ms
    for changed_ms, then in changes:
        if changed_ms >= until_ms:
            break
        if changed_ms > at_ms:
            found.append(Spell(state, at_ms, changed_ms))
            at_ms = changed_ms
        state = then
    if until_ms > at_ms:
        found.append(Spell(state, at_ms, until_ms))
    return _joined(found)


def _joined(found: Iterable[Spell]) -> list[Spell]:
    """A device may change its reasons and stay in its state."""
    joined: list[Spell] = []
    for each in found:
        if joined and joined[-1].state == each.state:
            joined[-1] = joined[-1]._replace(until_ms=each.until_ms)
        else:
            joined.append(each)
    return joined


def lived(of: Sequence[Spell]) -> Lived:
    """Summed up."""
    by_state: dict[str, int] = {}
    for each in of:
        by_state[each.state] = by_state.get(each.state, 0) + each.lasted_ms
    silent = [each.lasted_ms for each in of if each.state == "silent"]
    return Lived(by_state, len(silent), max(silent, default=0))


def by_day(every: Iterable[Sequence[Spell]], days: Sequence[tuple[str, int, int]]) -> list[dict[str, int]]:
    """Of all devices together, milliseconds by state for each day (its name, first instant, and the first one after
    it)."""
    found: list[dict[str, int]] = [{} for _ in days]
    for spells_of in every:
        at = 0
        for each in spells_of:
            while at < len(days) and days[at][2] <= each.since_ms:
                at += 1
            n = at
            while n < len(days) and days[n][1] < each.until_ms:
                lasted_ms = min(each.until_ms, days[n][2]) - max(each.since_ms, days[n][1])
                found[n][each.state] = found[n].get(each.state, 0) + lasted_ms
                n += 1
    return found
