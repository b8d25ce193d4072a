"""Making a change of cards known: lists compiled again in the same transaction, or owed until they are.

A large import writes many transactions and compiles the lists once, at the end. What it owes stands in the
database from its first block on, so that an import that was cut short is made good by the next one.
"""

from collections.abc import Sequence

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import Context
from central.lists import refresh_domain, refresh_members
from central.shared_parts import put_names
from central.store.schema import domains, meta

OWED = "lists-owed"
"""Key in `meta`: lists have to be compiled from scratch before they are what the cards say."""


async def publish_members(context: Context, connection: AsyncConnection, members: Sequence[bytes]) -> None:
    """Few members changed: their rows alone."""
    await refresh_members(connection, context.keys, members, context.now_ms)


async def publish_all(context: Context, connection: AsyncConnection) -> None:
    """Any number changed, or left: every list from scratch, and the names of those who are left; nothing is owed."""
    for domain in (await connection.execute(select(domains.c.id).order_by(domains.c.id))).scalars().all():
        await refresh_domain(connection, context.keys, domain, context.now_ms)
        await put_names(connection, domain, context.now_ms)
    await settle(connection)


async def owe(connection: AsyncConnection) -> None:
    """Note that the lists trail the cards."""
    if not await is_owed(connection):
        await connection.execute(insert(meta).values(key=OWED, value="an import"))


async def is_owed(connection: AsyncConnection) -> bool:
    """Whether an import wrote cards and was cut short before it compiled the lists."""
    return (await connection.execute(select(meta.c.value).where(meta.c.key == OWED))).first() is not None


async def settle(connection: AsyncConnection) -> None:
    """The lists are what the cards say again."""
    await connection.execute(delete(meta).where(meta.c.key == OWED))
