"""Who paid for a tap, as is known now: nobody for one that was given back, unless a repeat counts in its place."""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.services.marks import EventName, MarkFate
from central.store.schema import REPEATS, marks
from central.store.slices import named

_m = marks.c
_COUNTING = select(_m.device, _m.epoch, _m.sequence, _m.repeats, _m.subject).where(_m.fate == MarkFate.COUNTS.value)


async def payers_of(connection: AsyncConnection, names: Collection[EventName]) -> dict[EventName, bytes]:
    """Their subjects; a tap that nobody pays for is left out."""
    found: dict[EventName, bytes] = {}
    for these in named((_m.device, _m.epoch, _m.sequence), names):
        for row in await connection.execute(_COUNTING.where(these)):
            found[row.device, row.epoch, row.sequence] = row.subject
    for these in named((_m.device, _m.epoch, _m.repeats), set(names) - found.keys()):
        for row in await connection.execute(_COUNTING.where(these, REPEATS)):
            found[row.device, row.epoch, row.repeats] = row.subject
    return found
