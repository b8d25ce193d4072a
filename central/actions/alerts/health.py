"""The health of the servers: what runs, what it holds, what waits. Reading only."""

import statistics

import msgspec
from sqlalchemy import and_, case, func, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import Context, Params, Result, action
from central.alerts import outbox, servers, store
from central.alerts.servers import Server
from central.generation import generation_of
from central.services.backlog import oldest_behind
from central.store.migrate import head, revision_of
from central.store.schema import alert_messages, alerts, devices, events

SEEN_LATELY_MS = 600_000
LIVE_MS = 60_000
"""A server that did not say anything for so long is not running."""


class HealthParams(Params, frozen=True):
    """Nothing to choose."""


class ServerHealth(msgspec.Struct, frozen=True, kw_only=True):
    """A process of central as it last said. `is_live`: it said so within the last minute. `stopped`: it was ended on
    purpose. `certificate_until_ms` 0: it has none, a proxy ends TLS. `tasks`: background tasks, and whether each is
    alive."""

    server: str
    is_live: bool
    stopped: bool
    started_ms: int
    seen_ms: int
    version: str
    schema: str
    disk_free_bytes: int
    disk_total_bytes: int
    certificate_until_ms: int
    certificate_is_named: bool
    statement: int
    statement_ms: int
    waits_for_restart: bool
    polls_held: int
    events_behind: int
    backup_ms: int
    tasks: dict[str, bool]


class DatabaseHealth(msgspec.Struct, frozen=True, kw_only=True):
    """`kind`: sqlite or postgresql. `schema` is what it has, `schema_wanted` what this version is written for.
    `clock_ms`: how far its clock is ahead of this server's; 0 where it has none of its own."""

    kind: str
    version: str
    bytes: int
    schema: str
    schema_wanted: str
    generation: int
    clock_ms: int


class HealthShown(Result, frozen=True):
    """As of `now_ms`. `oldest_unsettled_ms`: when the oldest event happened that is in custody and not settled, 0 = all
    are. `median_skew_ms`: of the clocks of devices that were heard of lately; when all are off, this server's is.
    `backup_ms`: when the newest backup was made that is known of; 0 = none is."""

    now_ms: int
    servers: list[ServerHealth]
    database: DatabaseHealth
    root: str
    oldest_unsettled_ms: int
    devices_active: int
    devices_heard: int
    median_skew_ms: int
    backup_ms: int
    alerts_open: int
    messages_waiting: int
    messages_given_up: int


@action("health.show", HealthParams, writes=False)
async def health_show(context: Context, _params: HealthParams) -> HealthShown:
    """Of every process that shares this database, and of the database itself."""
    async with context.database.read() as connection:
        of_servers = [_server(each, context.now_ms) for each in await servers.read(connection)]
        database = await _database(context, connection)
        unsettled = await _oldest_unsettled(connection)
        active, skews = await _devices(connection, context.now_ms)
        standing = select(func.count()).where(alerts.c.state.in_(store.STANDING))
        given_up = select(func.count()).where(alert_messages.c.state == outbox.GIVEN_UP)
        return HealthShown(
            now_ms=context.now_ms,
            servers=of_servers,
            database=database,
            root=context.keys.root_public.hex(),
            oldest_unsettled_ms=unsettled,
            devices_active=active,
            devices_heard=len(skews),
            median_skew_ms=int(statistics.median(skews)) if skews else 0,
            backup_ms=max((each.backup_ms for each in of_servers), default=0),
            alerts_open=int((await connection.execute(standing)).scalar_one()),
            messages_waiting=await outbox.waiting(connection),
            messages_given_up=int((await connection.execute(given_up)).scalar_one()),
        )


def _server(each: Server, now_ms: int) -> ServerHealth:
    said = each.said
    return ServerHealth(
        server=each.server,
        is_live=not said.stopped and now_ms - each.seen_ms < LIVE_MS,
        stopped=said.stopped,
        started_ms=each.started_ms,
        seen_ms=each.seen_ms,
        version=said.version,
        schema=said.schema,
        disk_free_bytes=said.disk_free_bytes,
        disk_total_bytes=said.disk_total_bytes,
        certificate_until_ms=said.certificate_until_ms,
        certificate_is_named=said.is_named,
        statement=said.statement,
        statement_ms=said.statement_ms,
        waits_for_restart=said.waits_for_restart,
        polls_held=said.polls_held,
        events_behind=said.events_behind,
        backup_ms=said.backup_ms,
        tasks=said.tasks,
    )


async def _database(context: Context, connection: AsyncConnection) -> DatabaseHealth:
    if context.database.is_sqlite:
        version = (await connection.execute(text("SELECT sqlite_version()"))).scalar_one()
        query = text("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
        clock_ms = 0
    else:
        version = (await connection.execute(text("SHOW server_version"))).scalar_one()
        query = text("SELECT pg_database_size(current_database())")
        told = await connection.execute(text("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)"))
        clock_ms = int(told.scalar_one()) - context.now_ms
    return DatabaseHealth(
        kind=make_url(context.config.database).get_backend_name(),
        version=str(version),
        bytes=int((await connection.execute(query)).scalar_one()),
        schema=await revision_of(connection) or "",
        schema_wanted=head(),
        generation=await generation_of(connection),
        clock_ms=clock_ms,
    )


async def _oldest_unsettled(connection: AsyncConnection) -> int:
    """Of the epoch that has waited longest since it was added to, the first event that is not settled."""
    found = await oldest_behind(connection)
    if found is None:
        return 0
    e = events.c
    mine = and_(e.device == found.device, e.epoch == found.epoch, e.sequence > found.after)
    return int((await connection.execute(select(e.at_ms).where(mine).order_by(e.sequence).limit(1))).scalar() or 0)


async def _devices(connection: AsyncConnection, now_ms: int) -> tuple[int, list[int]]:
    """How many there are, and how far each clock is off of those that were heard of lately."""
    d = devices.c
    skew = case((d.seen_ms >= now_ms - SEEN_LATELY_MS, func.coalesce(d.skew_ms, 0)))
    rows = (await connection.execute(select(skew).where(d.state == "active"))).scalars().all()
    return len(rows), [int(each) for each in rows if each is not None]
