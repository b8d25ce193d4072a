"""Backup of a running server: every table as of one instant, into one file that either engine can read back."""

from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.custody.backup_file import BLOCK_BYTES, BackupWriter, Compression, Header
from central.alerts.servers import note_backup
from central.generation import generation_of
from central.store.migrate import revision_of
from central.store.schema import metadata

ROWS_AT_ONCE = 500


class BackupParams(Params, frozen=True):
    """Where to. An existing file is only replaced by a whole one."""

    path: str
    compression: Compression = "zlib"


class BackupMade(Result, frozen=True):
    """What the file holds."""

    path: str
    bytes: int
    rows: int
    generation: int


@action("backup", BackupParams, writes=False)
async def backup(context: Context, params: BackupParams) -> BackupMade:
    """Beside a running server: taps go on meanwhile and are not in it. Keys are not in it either."""
    path = Path(params.path)
    if not path.parent.is_dir():
        raise ActionFailed(f"{path.parent} is no directory: make it first")
    async with context.database.read() as connection:
        generation = await generation_of(connection)
        revision = await revision_of(connection)
        writer = BackupWriter(path, Header(revision or "", generation, context.now_ms, params.compression))
        try:
            rows = await _write_tables(context, connection, writer)
            size = writer.finish()
        except BaseException:
            writer.abandon()
            raise
    note_backup(context.config.data_dir, context.now_ms)
    return BackupMade(path=str(path), bytes=size, rows=rows, generation=generation)


async def _write_tables(context: Context, connection: AsyncConnection, writer: BackupWriter) -> int:
    # projections are computed again
    tables = [t for t in metadata.sorted_tables if not (t.info.get("projection") or t.info.get("unsaved"))]
    counts = [(await connection.execute(select(func.count()).select_from(table))).scalar_one() for table in tables]
    done, total = 0, sum(counts)
    for table in tables:
        columns = [str(column.name) for column in table.columns]
        query = select(table).order_by(*table.primary_key.columns)
        result = await connection.stream(query.execution_options(yield_per=ROWS_AT_ONCE))
        block: list[list[Any]] = []
        size = 0
        async for row in result:
            block.append(list(row))
            size += sum(len(value) if isinstance(value, bytes | str) else 8 for value in row)
            if size >= BLOCK_BYTES:
                done += len(block)
                writer.rows(str(table.name), columns, block)
                block, size = [], 0
                await context.progress("backup", done, total)
        done += len(block)
        writer.rows(str(table.name), columns, block)
    await context.progress("backup", done, total)
    return done


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What a restore came to. `made_ms`: the instant that the backup shows."""

    rows: int
    generation: int
    made_ms: int
    moved_aside: str
    """Where what stood there before is now; empty when there was nothing."""
    erased_again: int = 0
    """People who were erased since the backup was made, and were in it."""
