"""Everybody of a domain whom a service may know: of whom there is a mark, a denied tap or a fact, or whom a month
gave points."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.store.schema import denials, facts, marks, point_months


async def members_after(connection: AsyncConnection, domain: str, after: bytes | None, most: int) -> list[bytes]:
    """The next of them in the order of their subjects; None = from the first. The empty subject, where there is one,
    stands for those let in by hand."""
    found: set[bytes] = set()
    for table in (marks, denials, facts, point_months):
        query = select(table.c.subject).distinct().where(table.c.domain == domain)
        if after is not None:
            query = query.where(table.c.subject > after)
        found.update((await connection.execute(query.order_by(table.c.subject).limit(most))).scalars())
    return sorted(found)[:most]
