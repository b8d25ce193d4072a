"""Legal holds: what must not be destroyed meanwhile, whatever somebody asks for and whatever rule would."""

from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.leaving import ever
from central.store.schema import legal_holds, venues


async def holds_on(connection: AsyncConnection, member: bytes) -> list[Any]:
    """Holds in force that keep this member: the member's own, those of venues of the member's domains, the city's."""
    h = legal_holds.c
    theirs = select(venues.c.id).join(ever, ever.c.domain == venues.c.domain).where(ever.c.member == member)
    everything = (h.member == b"") & (h.venue == "")
    query = select(legal_holds).where(h.ended_ms == 0, or_(h.member == member, h.venue.in_(theirs), everything))
    return list((await connection.execute(query.order_by(h.id))).all())


async def held_venues(connection: AsyncConnection) -> tuple[frozenset[str], bool]:
    """Venues whose events are kept, and whether all are."""
    h = legal_holds.c
    query = select(h.venue).where(h.ended_ms == 0, h.member == b"")
    found = set((await connection.execute(query)).scalars())
    return frozenset(found - {""}), "" in found


async def held_members(connection: AsyncConnection) -> frozenset[bytes]:
    """The members under a hold of their own."""
    h = legal_holds.c
    query = select(h.member).where(h.ended_ms == 0, h.member != b"")
    return frozenset(bytes(each) for each in (await connection.execute(query)).scalars())


async def held_subjects(connection: AsyncConnection) -> frozenset[bytes]:
    """Who the members under a hold are, in every domain."""
    h = legal_holds.c
    query = select(ever.c.subject).join(legal_holds, h.member == ever.c.member).where(h.ended_ms == 0)
    return frozenset(bytes(each) for each in (await connection.execute(query)).scalars())
