"""Members who leave a domain and come back: who they were there stays known, since their taps, hours and points do."""

from collections.abc import Collection

from sqlalchemy import ColumnElement, delete, insert, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from central.store.schema import former_subjects, subjects
from central.store.slices import slices

_f = former_subjects.c
ever = union_all(select(subjects), select(former_subjects)).subquery("ever")
"""Who members are in their domains, and were in those that they left."""


async def leave(connection: AsyncConnection, domain: str, members: Collection[bytes]) -> None:
    """They are in the domain no more."""
    for some in slices(sorted(members)):
        these: ColumnElement[bool] = (subjects.c.domain == domain) & subjects.c.member.in_(some)
        columns = ["domain", "member", "subject"]
        query = select(*(subjects.c[name] for name in columns)).where(these)
        await connection.execute(insert(former_subjects).from_select(columns, query))
        await connection.execute(delete(subjects).where(these))


async def come_back(connection: AsyncConnection, domain: str, members: Collection[bytes]) -> dict[bytes, bytes]:
    """Of these members, those who were in the domain before, and who they were there. They have to be put in it."""
    found: dict[bytes, bytes] = {}
    for some in slices(sorted(members)):
        these = (_f.domain == domain) & _f.member.in_(some)
        found.update(
            (row.member, row.subject) for row in await connection.execute(select(former_subjects).where(these))
        )
        await connection.execute(delete(former_subjects).where(these))
    return found
