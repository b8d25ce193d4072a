"""Two who change one member at the same moment: the list says what both did, whoever writes it last."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.lists import drop_cards, refresh_domain, refresh_members
from central.store.schema import cards, list_entries, member_classes
from protocol.allowlist import CardState, Entry
from protocol.messages import decode
from tests.central.actors import NOW_MS
from tests.central.city import City, uid

pytestmark = [pytest.mark.system, pytest.mark.parametrize("engine", ["postgresql"], indirect=True)]
Work = Callable[[AsyncConnection, City, bytes], Awaitable[Any]]
SETTLED_S = 0.3
"""For the second one to come as far as it can."""


async def block(connection: AsyncConnection, city: City, member: bytes) -> None:
    blocked = update(cards).where(cards.c.member == member).values(state=CardState.BLOCKED.value)
    await connection.execute(blocked)
    await refresh_members(connection, city.keys, [member], NOW_MS + 10)


async def erase(connection: AsyncConnection, city: City, member: bytes) -> None:
    await drop_cards(connection, city.keys, [uid(0)], NOW_MS + 10)
    await connection.execute(delete(cards).where(cards.c.member == member))


async def reclassify(connection: AsyncConnection, city: City, member: bytes) -> None:
    other = update(member_classes).where(member_classes.c.member == member).values(name="senior")
    await connection.execute(other)
    await refresh_members(connection, city.keys, [member], NOW_MS + 20)


async def at_once(city: City, first: Work, second: Work) -> Entry | None:
    """What the list says of a member whom `second` changes while `first` is written and not yet durable."""
    member, *_ = await city.add_members(3)
    async with city.database.write() as connection:
        await refresh_domain(connection, city.keys, "library", NOW_MS)

    async def comes() -> None:
        async with city.database.write() as connection:
            await second(connection, city, member)

    async with city.database.write() as connection:
        await first(connection, city, member)
        coming = asyncio.create_task(comes())
        await asyncio.sleep(SETTLED_S)
    await coming
    rows = [row for row in await city.rows(list_entries) if row.token == city.token(0) and not row.dropped]
    return decode(Entry, rows[0].entry) if rows else None


@pytest.mark.parametrize("order", [(block, reclassify), (reclassify, block)], ids=["blocked-first", "blocked-last"])
async def test_a_card_that_is_blocked_while_its_holder_changes_stays_blocked(
    city: City, order: tuple[Work, Work]
) -> None:
    entry = await at_once(city, *order)
    assert entry is not None
    assert (entry.state, [each.name for each in entry.classes]) == (CardState.BLOCKED, ["senior"])


async def test_who_is_erased_while_lists_follow_something_else_is_on_no_list(city: City) -> None:
    assert await at_once(city, erase, reclassify) is None
