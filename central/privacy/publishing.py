"""What gates hear of a statement of consent: cards of whom it concerns, and masked names."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.keys import Keys
from central.lists import refresh_members
from central.shared_parts import put_names
from central.store.schema import subjects


async def publish_consents(connection: AsyncConnection, keys: Keys, changed: Sequence[bytes], now_ms: int) -> None:
    """In the transaction of the statements, so that connected gates hear of them as of a block."""
    await refresh_members(connection, keys, changed, now_ms)
    query = select(subjects.c.domain).where(subjects.c.member.in_(list(changed))).distinct()
    for domain in (await connection.execute(query)).scalars().all():
        await put_names(connection, domain, now_ms)
