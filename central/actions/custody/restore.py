"""Restore of a backup: verified before it is believed, loaded beside what is there, then put in its place.

A restored server has forgotten what happened since the backup. So the custody generation rises, which asks
every device to send again, and every version rises above all that was ever published, so that nothing in
the field takes the restored lists for old ones.
"""

import datetime as dt
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from central import rotating
from central.access.audit import ASKED, DONE, Entry, append_alone
from central.access.caller import Caller
from central.actions.action import HERE, ActionFailed, Context, Progress, no_progress
from central.actions.custody.backup import BackupParams, Restored, backup
from central.actions.custody.backup_file import BackupReader, Block
from central.bind_sessions import cancel
from central.config import Config
from central.configs import put_config, read_configs
from central.files import replace_file, sync_directory
from central.generation import generation_of, next_generation
from central.keys import Keys
from central.lists import refresh_domain
from central.policies import body_of_version, put_policy, read_policy, versions_everywhere
from central.privacy.at_screens import put_consents
from central.privacy.erasure.replaying import replay
from central.rollouts.conducting import end_all
from central.shared_parts import put_names, put_profiles, read_profiles
from central.store.database import Database, open_database
from central.store.migrate import head, migrate_async
from central.store.schema import cards, domains, gates, meta, metadata, policies
from protocol.errors import Refused

GENERATION_FILE = "generation"
"""In the data directory: the highest custody generation ever used here, in case the database is lost with it."""


async def restore(
    config: Config,
    keys: Keys,
    path: Path,
    now_ms: int,
    *,
    replace: bool,
    progress: Progress = no_progress,
    caller: Caller = HERE,
) -> Restored:
    """Whoever calls holds the lock of the data directory, so that no server writes an SQLite file meanwhile. That
    `caller` restored stands in the restored audit log, behind the last row of the backup.

    Raises ActionFailed: a damaged backup, one of another schema or other keys, a database that is not empty
    (without `replace`). Nothing is changed then.
    """
    reader = BackupReader(path)
    _check_keys_exist(keys, reader)
    url = make_url(config.database)
    if url.get_backend_name() == "sqlite":
        return await _restore_file(config, keys, reader, Path(str(url.database)), now_ms, replace, progress, caller)
    return await _restore_server(config, keys, reader, now_ms, replace, progress, caller)


async def _restore_file(
    config: Config,
    keys: Keys,
    reader: BackupReader,
    target: Path,
    now_ms: int,
    replace: bool,
    progress: Progress,
    caller: Caller,
) -> Restored:
    if target.exists() and not replace:
        raise ActionFailed(f"{target} exists: state --replace to move it aside and restore in its place")
    before = await _generation_in(config.database) if target.exists() else 0
    fresh = target.with_name(target.name + ".restoring")
    for leftover in _files(fresh):
        leftover.unlink()
    await migrate_async(f"sqlite:///{fresh}")
    async with open_database(f"sqlite:///{fresh}") as database, database.write() as connection:
        restored = await _load(connection, config, keys, reader, now_ms, before, progress)
        await _note(connection, caller, reader, restored, now_ms)
    if restored.erased_again:
        async with open_database(f"sqlite:///{fresh}") as database:
            await database.compact()
    aside = ""
    if target.exists():
        stamp = dt.datetime.fromtimestamp(now_ms / 1_000, dt.UTC).strftime("%Y%m%dT%H%M%SZ")
        aside = f"{target.name}.before-restore-{stamp}"
        for file in _files(target):
            file.rename(file.with_name(file.name.replace(target.name, aside, 1)))
        aside = str(target.with_name(aside))
    for file in _files(fresh):
        file.rename(file.with_name(file.name.replace(fresh.name, target.name, 1)))
    sync_directory(target.parent)
    return msgspec.structs.replace(restored, moved_aside=aside)


def _files(path: Path) -> list[Path]:
    """A SQLite database with what belongs to it; the main file last."""
    named = [path.with_name(path.name + suffix) for suffix in ("-wal", "-shm", "")]
    return [file for file in named if file.exists()]


async def _restore_server(
    config: Config, keys: Keys, reader: BackupReader, now_ms: int, replace: bool, progress: Progress, caller: Caller
) -> Restored:
    await migrate_async(config.database)
    async with open_database(config.database) as database:
        async with database.read() as connection:
            before = await generation_of(connection)
            full = [table.name for table in metadata.sorted_tables if await _count(connection, table)]
        full = [name for name in full if name != meta.name]
        if full and not replace:
            raise ActionFailed(
                f"the database has rows ({', '.join(full)}): state --replace to back it up and replace it"
            )
        aside = await _set_aside(config, database, keys, now_ms) if full else ""
        async with database.write() as connection:
            tables = ", ".join(table.name for table in metadata.sorted_tables)
            await connection.execute(text(f"LOCK TABLE {tables}"))  # servers wait, then find the restored rows
            # the rows that were appended since the backup go; the copy that was set aside has them
            await connection.execute(text("ALTER TABLE audit DISABLE TRIGGER audit_append_only"))
            for table in reversed(metadata.sorted_tables):
                await connection.execute(delete(table))
            await connection.execute(text("ALTER TABLE audit ENABLE TRIGGER audit_append_only"))
            restored = await _load(connection, config, keys, reader, now_ms, before, progress)
            await _note(connection, caller, reader, restored, now_ms)
        if restored.erased_again:
            await database.compact()
    return msgspec.structs.replace(restored, moved_aside=aside)


async def _set_aside(config: Config, database: Database, keys: Keys, now_ms: int) -> str:
    stamp = dt.datetime.fromtimestamp(now_ms / 1_000, dt.UTC).strftime("%Y%m%dT%H%M%SZ")
    path = config.data_dir / f"before-restore-{stamp}.backup"
    await backup(Context(config, database, keys, now_ms), BackupParams(path=str(path)))
    return str(path)


async def _count(connection: AsyncConnection, table: Any) -> int:
    return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())


async def _generation_in(url: str) -> int:
    """Of the database that is replaced; a damaged one cannot say."""
    try:
        async with open_database(url) as database, database.read() as connection:
            return await generation_of(connection)
    except SQLAlchemyError:
        return 0


# --- loading ------------------------------------------------------------------------------------------------


async def _load(
    connection: AsyncConnection,
    config: Config,
    keys: Keys,
    reader: BackupReader,
    now_ms: int,
    generation_before: int,
    progress: Progress,
) -> Restored:
    if reader.header.revision != head():
        raise ActionFailed(
            f"{reader.path.name} has schema {reader.header.revision}, this version {head()}: restore it with the"
            " version that made it, then upgrade"
        )
    rows = 0
    for block in reader.blocks():
        await connection.execute(
            insert(_table(block, reader)), [dict(zip(block.columns, row, strict=True)) for row in block.rows]
        )
        rows += len(block.rows)
        await progress("restore", reader.offset, reader.size)
    await _check_seal(connection, keys)
    highest = max(generation_before, remembered_generation(config.data_dir))
    generation = await next_generation(connection, max(now_ms, highest + 1))
    remember_generation(config.data_dir, generation)
    await cancel(connection, now_ms, "central was restored")
    erased_again = await _erase_again(connection, keys, now_ms)
    await _raise_versions(connection, keys, now_ms, progress)
    made_ms = reader.header.at_ms
    return Restored(rows=rows, generation=generation, made_ms=made_ms, moved_aside="", erased_again=erased_again)


async def _erase_again(connection: AsyncConnection, keys: Keys, now_ms: int) -> int:
    """Whoever was erased since the backup was made: how many were in it."""
    try:
        return (await replay(connection, keys, now_ms)).erased
    except ValueError as error:
        raise ActionFailed(f"who was erased since cannot be read, so nothing is restored: {error}") from None


async def _note(
    connection: AsyncConnection, caller: Caller, reader: BackupReader, restored: Restored, now_ms: int
) -> None:
    """Nobody else appends meanwhile: the file is in nobody's hands yet, or every table is locked."""
    told = {"file": str(reader.path.absolute()), "made_ms": restored.made_ms}
    asked = await append_alone(connection, caller, Entry("restore", ASKED, reader.path.name, {"params": told}), now_ms)
    answer = {"rows": restored.rows, "generation": restored.generation}
    await append_alone(connection, caller, Entry("restore", DONE, reader.path.name, {"answer": answer}, asked), now_ms)


def _table(block: Block, reader: BackupReader) -> Any:
    table = metadata.tables.get(block.table)
    if table is None or {column.name for column in table.columns} != set(block.columns):
        raise ActionFailed(f"{reader.path.name}: table {block.table!r} is not as this version knows it")
    return table


async def _raise_versions(connection: AsyncConnection, keys: Keys, now_ms: int, progress: Progress) -> None:
    """Lists, policies, configurations, profiles, names and notices get numbers above any published since the backup."""
    await rotating.forget(connection)
    await end_all(connection, keys, now_ms, "central was restored")
    every = (await connection.execute(select(gates.c.id))).scalars().all()
    for held in (await read_configs(connection, every)).values():
        await put_config(connection, keys, held.config, held.ages, now_ms)
    await _raise_policies(connection, now_ms)
    published = await read_profiles(connection)
    if published.version:
        await put_profiles(connection, published.profiles, now_ms)
    await put_consents(connection, now_ms, anew=True)
    for domain in (await connection.execute(select(domains.c.id))).scalars().all():
        await progress(f"compiling the list of {domain}", 0, 0)
        await refresh_domain(connection, keys, domain, now_ms, anew=True)
        await put_names(connection, domain, now_ms, anew=True)


async def _raise_policies(connection: AsyncConnection, now_ms: int) -> None:
    ids = (await connection.execute(select(policies.c.id).distinct())).scalars().all()
    for id_, version in (await versions_everywhere(connection, ids)).items():
        body = await body_of_version(connection, id_, version)
        if body is not None:
            await put_policy(connection, id_, read_policy(body), now_ms)


# --- keys and memory -----------------------------------------------------------------------------------------


def _check_keys_exist(keys: Keys, reader: BackupReader) -> None:
    """Before anything is touched: the domains' keys are here."""
    for block in reader.blocks():
        if block.table != domains.name:
            continue
        for row in block.rows:
            domain = dict(zip(block.columns, row, strict=True))
            try:
                keys.domain_key(domain["id"], domain["key_number"])
            except OSError:
                raise ActionFailed(
                    f"key {domain['key_number']} of domain {domain['id']} is not in {keys.directory}: bring the key"
                    " files that belong to this backup"
                ) from None


async def _check_seal(connection: AsyncConnection, keys: Keys) -> None:
    row = (await connection.execute(select(cards.c.id, cards.c.uid_sealed, cards.c.uid_index).limit(1))).first()
    if row is None:
        return
    try:
        uid = keys.open_uid(row.uid_sealed, row.id)
    except Refused:
        raise ActionFailed(
            f"the cards of this backup were sealed with another key than the one in {keys.directory}"
        ) from None
    if keys.uid_index(uid) != row.uid_index:  # nobody would be found, nor be erased again
        raise ActionFailed(f"the cards of this backup are found by another key than {keys.directory}/card-index.key")


def remembered_generation(data_dir: Path) -> int:
    """The highest custody generation used here, or 0."""
    try:
        return int((data_dir / GENERATION_FILE).read_text())
    except (OSError, ValueError):
        return 0


def remember_generation(data_dir: Path, generation: int) -> None:
    """On disk before the number is used."""
    replace_file(data_dir / GENERATION_FILE, f"{generation}\n".encode())
