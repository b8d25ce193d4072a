"""Making the index of names anew: after an upgrade from a version that had none, or where `verify` says so."""

import asyncio

from sqlalchemy import delete, func, select

from central.actions.action import Context, Params, Result, action
from central.actions.cards.member_index import put_name_keys
from central.store.schema import member_name_keys, members

BLOCK_MEMBERS = 2_000


class ReindexParams(Params, frozen=True):
    """Nothing has to be said."""


class Reindexed(Result, frozen=True):
    """How many members have a name."""

    members: int


@action("member.reindex", ReindexParams, writes=True)
async def member_reindex(context: Context, _params: ReindexParams) -> Reindexed:
    """A block of members at a time; cut short, it is run again."""
    named = members.c.name_sealed.is_not(None)
    done, last = 0, b""
    async with context.database.read() as connection:
        total = (await connection.execute(select(func.count()).select_from(members).where(named))).scalar_one()
    async with context.database.write() as connection:
        nameless = select(members.c.id).where(~named)
        await connection.execute(delete(member_name_keys).where(member_name_keys.c.member.in_(nameless)))
    query = select(members.c.id, members.c.name_sealed).where(named).order_by(members.c.id).limit(BLOCK_MEMBERS)
    while True:
        async with context.database.write() as connection:
            rows = (await connection.execute(query.where(members.c.id > last))).all()
            if not rows:
                return Reindexed(members=done)
            found = {row.id: context.keys.open_name(row.name_sealed, row.id) for row in rows}
            await put_name_keys(connection, context.keys, found)
        done, last = done + len(rows), rows[-1].id
        await asyncio.sleep(0)
        await context.progress("reading names", done, total)
