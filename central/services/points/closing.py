"""Closing a month: its lines are copied to where nothing changes them; what becomes known later is an adjustment."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, insert, select, union, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.services.points.accounts import AT_ONCE, insert_lines, plans_of, read_members, write_members
from central.services.points.books import Line
from central.services.points.plans import month_of, month_span
from central.services.turns import one_at_a_time
from central.store.database import Database
from central.store.schema import facts, ledger, marks, point_books, point_closings, subjects

_c = point_closings.c


class NotClosed(Exception):
    """Why a month cannot be closed, as one line for a person."""


async def begin(connection: AsyncConnection, domain: str, month: str, who: str, now_ms: int) -> None:
    """Start to close a month, or go on with one that was cut short. The first one that is closed takes all before it
    along; each later one follows the one before it. Raises NotClosed."""
    zone = ZoneInfo((await plans_of(connection, domain)).time_zone)
    until_ms = month_span(month, zone)[1]
    if until_ms > now_ms:
        raise NotClosed(f"month: {month} is not over in {zone.key}")
    newest = (await _closings(connection, domain)).first()
    if newest is not None and newest.month == month:
        if newest.closed_ms is None:
            return
        raise NotClosed(f"month: {month} is closed already")
    if newest is not None and newest.closed_ms is None:
        raise NotClosed(f"month: the closing of {newest.month} was cut short; close that one again first")
    following = month if newest is None else month_of(newest.until_ms, zone)
    if newest is not None and following != month:
        raise NotClosed(f"month: {newest.month} is the last one closed, so the next is {following}")
    row = {"domain": domain, "month": month, "until_ms": until_ms, "cursor": b"", "begun_ms": now_ms, "who": who}
    await connection.execute(insert(point_closings).values(row))


async def close(
    database: Database, domain: str, month: str, now_ms: int, progress: Callable[[str, int, int], Awaitable[None]]
) -> int:
    """Close a month that was begun, in short transactions. Returns how many members it went through."""
    async with database.read() as connection:
        total = (await connection.execute(select(func.count()).select_from(everybody(domain).subquery()))).scalar_one()
    done = 0
    while True:
        async with database.write() as connection:
            members = await _close_some(connection, domain, month, now_ms)
        if not members:
            return done
        done += members
        await progress("closing", done, total)


async def closed_until_ms(connection: AsyncConnection, domain: str) -> int:
    """The end of the last month that is closed for everybody; 0 = none is."""
    query = select(func.max(_c.until_ms)).where(_c.domain == domain, _c.closed_ms.is_not(None))
    return (await connection.execute(query)).scalar() or 0


async def members_after(connection: AsyncConnection, domain: str, cursor: bytes) -> Sequence[bytes]:
    """The next members of a domain, also those who left it and have a ledger."""
    every = everybody(domain).subquery()
    query = select(every.c.subject).where(every.c.subject > cursor).order_by(every.c.subject).limit(AT_ONCE)
    return (await connection.execute(query)).scalars().all()


def everybody(domain: str) -> Any:
    """A query of all subjects that a domain keeps points of, or could: what a closing walks over."""
    tables = (subjects, ledger, facts, point_books)
    asked = [select(table.c.subject).where(table.c.domain == domain, table.c.subject != b"") for table in tables]
    spent = (marks.c.domain == domain) & (marks.c.subject != b"") & (marks.c.points > 0)
    return union(*asked, select(marks.c.subject).where(spent))


async def _close_some(connection: AsyncConnection, domain: str, month: str, now_ms: int) -> int:
    this = (_c.domain == domain) & (_c.month == month)
    await one_at_a_time(connection)
    closing = (await connection.execute(select(point_closings).where(this).with_for_update())).one()
    if closing.closed_ms is not None:
        return 0
    members = await members_after(connection, domain, closing.cursor)
    if not members:
        await connection.execute(update(point_closings).where(this).values(closed_ms=now_ms, cursor=b""))
        return 0
    accounts = await read_members(connection, domain, members)
    closing_lines: dict[bytes, list[Line]] = {}
    for subject, account in accounts.items():
        lines = account.open_lines(max(account.through_ms, closing.until_ms - 1))
        closing_lines[subject] = [line for line in lines if line.booked_ms < closing.until_ms]
        account.booked += closing_lines[subject]
        account.closed_ms = closing.until_ms
    await insert_lines(connection, point_books, {"domain": domain, "month": month}, closing_lines)
    await write_members(connection, domain, accounts)
    await connection.execute(update(point_closings).where(this).values(cursor=members[-1]))
    return len(members)


async def _closings(connection: AsyncConnection, domain: str) -> Any:
    query = select(point_closings).where(_c.domain == domain)
    return await connection.execute(query.order_by(_c.month.desc()).limit(1))
