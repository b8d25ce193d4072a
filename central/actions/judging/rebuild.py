"""Rebuild what is computed from events and facts, and say where it differs from what stands there."""

from typing import Any

import msgspec
from sqlalchemy import select

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.services.rebuilding import Difference, begin_anew, names, rebuild
from central.store.schema import domains
from central.store.scratch import scratch
from central.wakeups import note, state_topic


class RebuildParams(Params, frozen=True):
    """`service` empty: all of them."""

    service: str = ""


class TableRebuilt(msgspec.Struct, frozen=True):
    """`missing`: rows that should stand there; `wrong`: rows that should not. The first of each, by column."""

    table: str
    rows: int
    missing: int
    wrong: int
    first_missing: dict[str, Any] | None
    first_wrong: dict[str, Any] | None


class RebuildResult(Result, frozen=True):
    """`applied`: what was computed stands there now."""

    tables: list[TableRebuilt]
    different: int
    applied: bool


@action("rebuild", RebuildParams, writes=False)
async def rebuild_compare(context: Context, params: RebuildParams) -> RebuildResult:
    """Nothing is changed. On SQLite it works on a copy beside the database; on PostgreSQL in a transaction that is
    undone, during which events are taken into custody and not settled."""
    async with scratch(context.config.database, context.config.data_dir) as connection:
        return _told(await rebuild(connection, _wanted(params), context.progress), applied=False)


@action("rebuild.apply", RebuildParams, writes=True)
async def rebuild_apply(context: Context, params: RebuildParams) -> RebuildResult:
    """What was computed stays, and devices are told everything again. On SQLite uploads wait for it: devices keep
    their events and send again."""
    async with context.database.write() as connection:
        found = await rebuild(connection, _wanted(params), context.progress)
        if any(each.missing or each.wrong for each in found):
            await begin_anew(connection, context.now_ms)
            ids = (await connection.execute(select(domains.c.id))).scalars().all()
            await note(connection, map(state_topic, ids))
    return _told(found, applied=True)


def _wanted(params: RebuildParams) -> list[str]:
    if params.service and params.service not in names():
        raise ActionFailed(f"there is no service {params.service!r}: one of {', '.join(names())}")
    return [params.service] if params.service else names()


def _told(found: list[Difference], *, applied: bool) -> RebuildResult:
    tables = [TableRebuilt(*each) for each in found]
    return RebuildResult(tables=tables, different=sum(each.missing + each.wrong for each in found), applied=applied)
