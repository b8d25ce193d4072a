"""Rows written over those of the same key: one statement for both databases."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection


async def put_rows(connection: AsyncConnection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert, or replace all that is not the key. Every row has the same columns; two of one key are two changes."""
    if not rows:
        return
    make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = make(table)
    keys = [column.name for column in table.primary_key]
    others = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    if others:
        conflicting = statement.on_conflict_do_update(index_elements=keys, set_=others)
    else:
        conflicting = statement.on_conflict_do_nothing(index_elements=keys)
    await connection.execute(conflicting, list(rows))


async def put_new_row(connection: AsyncConnection, table: Table, row: Mapping[str, Any]) -> bool:
    """False where its key is taken, also by somebody whose transaction had not ended."""
    make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    return bool((await connection.execute(make(table).values(row).on_conflict_do_nothing())).rowcount)
