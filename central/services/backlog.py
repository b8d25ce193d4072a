"""Which epochs hold events that are not settled yet, the next few hundred of those events, and taking them as settled.

Epochs are found by when they were last added to; a walk over all of them finds what was missed while no server ran, or
after a restore. What is held decides: nothing is ever settled beyond it.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from central.services.marks import KINDS, Happened
from central.store.put_rows import put_rows
from central.store.schema import epochs, events, projected
from central.store.slices import named

Epoch = tuple[str, bytes]
"""Device and epoch."""

LATE_MS = 10_000
"""A transaction may become visible so long after the time that it wrote down."""
PAGE = 1_000
"""Epochs looked at in one query."""


class Behind(NamedTuple):
    """Events of an epoch after `after` and through `through` are not settled."""

    device: str
    epoch: bytes
    after: int
    through: int

    @property
    def of(self) -> Epoch:
        return self.device, self.epoch


class Slice(NamedTuple):
    """Events to settle together, and how far the epochs are settled by it."""

    happened: list[Happened]
    reach: list[Behind]


_after = func.coalesce(projected.c.through, -1)
_is_behind: ColumnElement[bool] = _after < epochs.c.through
_EPOCHS: Any = select(epochs.c.device, epochs.c.epoch, _after, epochs.c.through).outerjoin(
    projected, and_(projected.c.device == epochs.c.device, projected.c.epoch == epochs.c.epoch)
)


async def lately(connection: AsyncConnection, since_ms: int) -> list[Behind]:
    """Of the epochs that were added to since then, those that are behind; at most a page of them, the oldest first."""
    query = _EPOCHS.where(epochs.c.seen_ms >= since_ms - LATE_MS, _is_behind)
    found = await connection.execute(query.order_by(epochs.c.seen_ms).limit(PAGE))
    return [Behind(*row) for row in found]


async def oldest_behind(connection: AsyncConnection) -> Behind | None:
    """Of the epochs that are behind, the one that was added to longest ago."""
    row = (await connection.execute(_EPOCHS.where(_is_behind).order_by(epochs.c.seen_ms).limit(1))).first()
    return Behind(*row) if row is not None else None


async def page(connection: AsyncConnection, after: Epoch) -> tuple[list[Behind], Epoch | None]:
    """Those that are behind of the next epochs in the order of their names, and where the page after it begins."""
    key = tuple_(epochs.c.device, epochs.c.epoch)
    query = _EPOCHS.where(key > after).order_by(epochs.c.device, epochs.c.epoch).limit(PAGE)
    found = [Behind(*row) for row in await connection.execute(query)]
    behind = [each for each in found if each.after < each.through]
    return behind, found[-1].of if len(found) == PAGE else None


async def behind(connection: AsyncConnection, of: Collection[Epoch]) -> list[Behind]:
    """These epochs as they are now, as far as they are behind."""
    found: list[Behind] = []
    for these in named((epochs.c.device, epochs.c.epoch), of):
        found += [Behind(*row) for row in await connection.execute(_EPOCHS.where(these, _is_behind))]
    return found


async def next_slice(connection: AsyncConnection, found: Iterable[Behind], most: int) -> Slice:
    """The events of as many of these epochs as fit; of an epoch with more than fit, its next ones alone."""
    taken: list[Behind] = []
    left = most
    for each in found:
        number = each.through - each.after  # at least so many: sequences may be lost for ever
        if number > most and not taken:
            return await _part(connection, each, most)
        if number > left:
            break
        taken.append(each)
        left -= number
    return Slice(await _events(connection, taken), taken)


async def number_of(connection: AsyncConnection, reach: Sequence[Behind]) -> tuple[int, int]:
    """How many events a slice of these has, and how many of them with a personal part."""
    these = (_e.outcome == "accepted", _e.kind.in_(KINDS), or_(*map(_between, reach)))
    every, personal = (await connection.execute(select(func.count(), func.count(_e.personal)).where(*these))).one()
    return every, personal


async def _part(connection: AsyncConnection, of: Behind, most: int) -> Slice:
    query = _within(of).order_by(events.c.sequence).limit(most)
    happened = [Happened(*row) for row in await connection.execute(query)]
    return Slice(happened, [of._replace(through=happened[-1].sequence) if len(happened) == most else of])


async def _events(connection: AsyncConnection, of: Sequence[Behind]) -> list[Happened]:
    if not of:
        return []
    e = events.c
    query = _HAPPENED.where(or_(*map(_between, of))).order_by(e.device, e.epoch, e.sequence)
    return [Happened(*row) for row in await connection.execute(query)]


_e = events.c
_HAPPENED: Any = select(
    *(_e.device, _e.epoch, _e.sequence, _e.at_ms, _e.gate, _e.kind, _e.direction, _e.decision, _e.reason, _e.rule),
    *(_e.repeat_of, _e.personal, _e.detail),
).where(_e.outcome == "accepted", _e.kind.in_(KINDS))


def _within(of: Behind) -> Any:
    return _HAPPENED.where(_between(of))


def _between(of: Behind) -> ColumnElement[bool]:
    return and_(_e.device == of.device, _e.epoch == of.epoch, _e.sequence > of.after, _e.sequence <= of.through)


class Overtaken(Exception):
    """What was read is not what is there any more."""


async def take(connection: AsyncConnection, part: Slice) -> None:
    """From here on these epochs are settled through their reach, so an upload that brings lost events of them after all
    waits, and sets them back. Raises Overtaken where some were settled, came, or lost their personal parts since they
    were read."""
    if not await _is_as_read(connection, part.reach):
        raise Overtaken
    await put_rows(connection, projected, [_projected(each) for each in part.reach])
    read = len(part.happened), sum(event.personal is not None for event in part.happened)
    if part.happened and await number_of(connection, part.reach) != read:
        raise Overtaken


async def _is_as_read(connection: AsyncConnection, reach: list[Behind]) -> bool:
    held: dict[Epoch, int] = {}
    for these in named((projected.c.device, projected.c.epoch), [each.of for each in reach]):
        for row in await connection.execute(select(projected).where(these)):
            held[row.device, row.epoch] = row.through
    return all(held.get(each.of, -1) == each.after for each in reach)


def _projected(each: Behind) -> dict[str, object]:
    return {"device": each.device, "epoch": each.epoch, "through": each.through}
