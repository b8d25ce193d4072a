"""After an upgrade that says in another way what allowlists say: each is compiled again before anything is served."""

import time

import structlog
from sqlalchemy import delete, select

from central.keys import Keys
from central.lists import refresh_domain
from central.store.database import Database
from central.store.schema import domains, meta

DUE = "lists-due"
"""Key in `meta`, which a migration writes."""

log = structlog.get_logger()


async def compile_what_is_due(database: Database, keys: Keys) -> None:
    """One list a transaction. Gates hear only of rows that changed."""
    async with database.read() as connection:
        if (await connection.execute(select(meta.c.key).where(meta.c.key == DUE))).first() is None:
            return
        every = (await connection.execute(select(domains.c.id).order_by(domains.c.id))).scalars().all()
    for domain in every:
        async with database.write() as connection:
            is_newer = await refresh_domain(connection, keys, domain, time.time_ns() // 1_000_000)
        log.info("list-compiled-again", domain=domain, changed=is_newer)
    async with database.write() as connection:
        await connection.execute(delete(meta).where(meta.c.key == DUE))
