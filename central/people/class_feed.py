"""What a row of a household or social-affairs feed does to the classes of a member: add, end, move out. Pure.

No row carries a birth date: whoever keeps the register says from when and until when somebody is in a class.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

MAX_GRANTS = 16
"""What an allowlist entry can carry."""
FOR_EVER = 1 << 62

Spans = tuple[tuple[int, int], ...]
"""When somebody is in a class: from and until (excluded), 0 = open; in order, apart from each other."""
Classes = Mapping[str, Spans]


class Deed(StrEnum):
    """What a row does. An agency's own words for it are in `DEEDS`."""

    ADD = "add"
    END = "end"
    MOVE_OUT = "move-out"


DEEDS = {
    **{deed.value: deed for deed in Deed},
    "新增": Deed.ADD,
    "終止": Deed.END,
    "遷出": Deed.MOVE_OUT,
}


class Change(NamedTuple):
    """One row. `until_ms` of an end or a move is the moment from which it holds no more; `name` empty: every class."""

    deed: Deed
    name: str
    from_ms: int
    until_ms: int


def changed(held: Classes, change: Change, now_ms: int) -> dict[str, Spans]:
    """The member's classes after a row. Raises ValueError that says why it cannot be applied."""
    if change.deed is Deed.ADD:
        after = dict(held)
        after[change.name] = added(held.get(change.name, ()), change.from_ms, change.until_ms)
    else:
        after = _ended(held, change)
    return fitting(after, now_ms)


def _ended(held: Classes, change: Change) -> dict[str, Spans]:
    if change.name and change.name not in held:
        raise ValueError(f"class: the member does not hold {change.name!r}")
    named = [change.name] if change.name else sorted(held)
    reached = [name for name in named if any((until or FOR_EVER) > change.until_ms for _, until in held[name])]
    already = [name for name in named if _ends_at(held[name], change.until_ms)]
    if not reached and not already:
        raise ValueError(f"class: {change.name or 'every class'} ended before that day" if named else "class: none")
    after = {name: ended(held[name], change.until_ms) if name in reached else held[name] for name in held}
    return {name: spans for name, spans in after.items() if spans}


def _ends_at(spans: Spans, at_ms: int) -> bool:
    return bool(spans) and spans[-1][1] == at_ms


def added(spans: Spans, from_ms: int, until_ms: int) -> Spans:
    """In the class from then until then as well; what touches becomes one span."""
    start, end = from_ms, until_ms or FOR_EVER
    apart = []
    for since, until in spans:
        if (until or FOR_EVER) < start or since > end:
            apart.append((since, until))
        else:
            start, end = min(start, since), max(end, until or FOR_EVER)
    return tuple(sorted([*apart, (start, 0 if end == FOR_EVER else end)]))


def ended(spans: Spans, at_ms: int) -> Spans:
    """As before until a moment, and not in the class any more from then on."""
    return tuple((since, min(until or FOR_EVER, at_ms)) for since, until in spans if since < at_ms)


def moved(held: Classes, origin: str, target: str, at_ms: int, now_ms: int) -> dict[str, Spans]:
    """Who is in one class at a moment is in another one from then on, for as long as it would have been in the first.

    Raises ValueError where the member is not in it then."""
    kept = [(since, until) for since, until in held.get(origin, ()) if since <= at_ms < (until or FOR_EVER)]
    if not kept:
        raise ValueError(f"class: the member is not in {origin!r} on that day")
    after = dict(held)
    after[origin] = ended(held[origin], at_ms)
    after[target] = added(held.get(target, ()), at_ms, kept[0][1])
    return fitting(after, now_ms)


def fitting(after: Classes, now_ms: int) -> dict[str, Spans]:
    """What an entry can carry: spans that are over make room, the oldest first, but for the last one of each class.

    Raises ValueError where it still does not fit."""
    kept = {name: spans for name, spans in after.items() if spans}
    while sum(map(len, kept.values())) > MAX_GRANTS:
        over = [(spans[0], name) for name, spans in kept.items() if len(spans) > 1 and 0 < spans[0][1] <= now_ms]
        if not over:
            raise ValueError(f"class: {MAX_GRANTS} are allowed, the member would have {sum(map(len, kept.values()))}")
        _, name = min(over)
        kept[name] = kept[name][1:]
    return kept


def rows_of(classes: Classes) -> set[tuple[str, int, int]]:
    """(name, from, until): as the tables hold them."""
    return {(name, since, until) for name, spans in classes.items() for since, until in spans}


def classes_of(rows: Iterable[tuple[str, int, int]]) -> dict[str, Spans]:
    """The other way round; rows that overlap become one span."""
    found: dict[str, Spans] = {}
    for name, since, until in rows:
        found[name] = added(found.get(name, ()), since, until)
    return found
