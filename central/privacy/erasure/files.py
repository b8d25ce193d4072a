"""Files beside the database that may hold somebody who was erased: snapshots of lists, and copies of the database."""

from pathlib import Path

from sqlalchemy import delete, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection

from central.config import Config
from central.snapshots import drop_before
from central.store.database import Database
from central.store.put_rows import put_new_row
from central.store.schema import erasures_pending, lists, meta, under_own_key

COPIES = ("*.before-*", "*.backup")
"""Copies that an upgrade or a restore set aside in the data directory."""
DUE = "compact-due"
"""Key in `meta`."""
AT_ONCE_BYTES = 1 << 30
"""A database up to this size is written anew at once; a larger one when somebody says so, or at night."""


def drop_snapshots(data_dir: Path) -> int:
    """Lists as they were sent before: gates get the newest, which is built when one asks for it."""
    files = list((data_dir / "snapshots").glob("*.snap"))
    for file in files:
        file.unlink(missing_ok=True)
    return len(files)


async def drop_stale_snapshots(config: Config, database: Database) -> None:
    """One that was being built meanwhile, and those of another server than the one that erased: no gate is sent a list
    from before the last erasure that one has still to hear of, or that no delta leads from."""
    p = erasures_pending.c
    async with database.read() as connection:
        heads = select(lists.c.domain, lists.c.base).where(under_own_key(lists))
        floors = {row.domain: row.base for row in await connection.execute(heads)}
        for domain, version in await connection.execute(select(p.domain, func.max(p.version)).group_by(p.domain)):
            floors[domain] = max(version, floors.get(domain, 0))
    for domain, version in floors.items():
        drop_before(config.data_dir / "snapshots", domain, version)


def copies(data_dir: Path) -> list[Path]:
    """Those that were set aside. They are left to whoever set them aside."""
    return sorted({file for pattern in COPIES for file in data_dir.glob(pattern)})


def size_of(config: Config) -> int:
    """Of the database file; 0 where it is on a server."""
    if not config.is_sqlite:
        return 0
    path = Path(str(make_url(config.database).database))
    return path.stat().st_size if path.exists() else 0


async def scrub(config: Config, database: Database, *, whatever_size: bool = False) -> bool:
    """What was deleted is in no file any more. False: the database is too large to be written anew just now, or
    somebody reads it all the time; it is due then."""
    drop_snapshots(config.data_dir)
    is_clean = (whatever_size or size_of(config) <= AT_ONCE_BYTES) and await database.compact()
    async with database.write() as connection:
        await connection.execute(delete(meta).where(meta.c.key == DUE))
        if not is_clean:
            await note_due(connection)
    return is_clean


async def note_due(connection: AsyncConnection) -> None:
    """The database is written anew at night."""
    await put_new_row(connection, meta, {"key": DUE, "value": "an erasure"})


async def scrub_what_is_due(config: Config, database: Database) -> None:
    """What was too large for the day, and what came late."""
    async with database.read() as connection:
        due = (await connection.execute(select(meta.c.value).where(meta.c.key == DUE))).first()
    if due is not None:
        await scrub(config, database, whatever_size=True)
