"""Alerts: the inbox, taking one on, and saying that one is over."""

from collections.abc import Collection
from typing import Annotated, Any, Literal

import msgspec
from sqlalchemy import ColumnElement, false, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.access.caller import Scope
from central.actions.action import ActionFailed, Context, Params, Result, action
from central.alerts import outbox, store, wording
from central.store.schema import alert_contacts, alerts

Hex = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}$")]
Named = Annotated[str, msgspec.Meta(max_length=128)]
Said = Annotated[str, msgspec.Meta(max_length=500)]
KindName = Literal[
    "silent", "skew", "disk", "certificate", "denials", "stale", "halted", "untold", "library", "incident", "overdue"
]
_a = alerts.c


class AlertsParams(Params, frozen=True):
    """Filters; empty = any. `state`: `standing` is what is not over. The newest come first; `after`: the id of the last
    one of the page before."""

    state: Literal["", "standing", "open", "acknowledged", "resolved"] = ""
    kind: Literal[""] | KindName = ""
    venue: Named = ""
    gate: Named = ""
    after: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{32})?$")] = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50


class AlertParams(Params, frozen=True):
    """Which one, by the id that `alert.list` shows."""

    alert: Hex


class AcknowledgeParams(Params, frozen=True):
    """Which one; what whoever looks after it has to say."""

    alert: Hex
    comment: Said = ""
    who: str = ""


class ResolveParams(Params, frozen=True):
    """Which one is over, and why."""

    alert: Hex
    why: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    who: str = ""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One incident. `target`: a gate, a device, a server, or a rollout and a venue, by kind. Times of 0: not yet.
    `resolved_by` empty: it was over by itself. `title_…`, `detail_…`, `advice_…`: what a person reads of it."""

    id: str
    kind: KindName
    target: str
    venue: str
    gate: str
    device: str
    state: Literal["open", "acknowledged", "resolved"]
    opened_ms: int
    facts: dict[str, Any]
    acknowledged_ms: int
    acknowledged_by: str
    comment: str
    resolved_ms: int
    resolved_by: str
    why: str
    title_zh: str
    title_en: str
    detail_zh: str
    detail_en: str
    advice_zh: str
    advice_en: str


class AlertsListed(Result, frozen=True):
    """The newest first. `more`: there are older ones; `open`: how many of those that one may see nobody looks after."""

    alerts: list[Alert]
    more: bool
    open: int


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Whom it is told to. `state`: waiting, told, given-up; `problem`: why it was not told at the newest try."""

    contact: str
    title: str
    channel: Literal["mail", "webhook"]
    what: Literal["opened", "resolved"]
    state: Literal["waiting", "told", "given-up"]
    tries: int
    made_ms: int
    next_ms: int
    done_ms: int
    problem: str


class AlertShown(Result, frozen=True):
    """One incident, and who is told of it."""

    alert: Alert
    messages: list[Message]


class AlertChanged(Result, frozen=True):
    """The incident as it stands now."""

    alert: Alert


@action("alert.list", AlertsParams, writes=False)
async def alert_list(context: Context, params: AlertsParams) -> AlertsListed:
    """Incidents of one's own venues; those of servers are for who sees the whole city."""
    conditions = [_within(context.scope)]
    if params.state:
        states = store.STANDING if params.state == "standing" else (params.state,)
        conditions.append(_a.state.in_(states))
    for column, wanted in ((_a.kind, params.kind), (_a.venue, params.venue), (_a.gate, params.gate)):
        if wanted:
            conditions.append(column == wanted)
    query = select(alerts).where(*conditions).order_by(_a.id.desc()).limit(params.limit + 1)
    if params.after:
        query = query.where(_a.id < bytes.fromhex(params.after))
    count = select(func.count()).select_from(alerts).where(_within(context.scope), _a.state == store.OPEN)
    async with context.database.read() as connection:
        rows = (await connection.execute(query)).all()
        number = int((await connection.execute(count)).scalar_one())
    shown = [shown_of(row) for row in rows[: params.limit]]
    return AlertsListed(alerts=shown, more=len(rows) > params.limit, open=number)


@action("alert.show", AlertParams, writes=False)
async def alert_show(context: Context, params: AlertParams) -> AlertShown:
    """One incident, and who is told of it."""
    id_ = bytes.fromhex(params.alert)
    async with context.database.read() as connection:
        row = await _one(connection, id_)
        messages = await outbox.of_alerts(connection, [id_])
        titles = await _titles(connection, {message.contact for message in messages})
    return AlertShown(alert=shown_of(row), messages=[_message(each, titles) for each in messages])


@action("alert.acknowledge", AcknowledgeParams, writes=True)
async def alert_acknowledge(context: Context, params: AcknowledgeParams) -> AlertChanged:
    """Somebody looks after it. It stays until it is over; nobody is told again meanwhile."""
    id_ = bytes.fromhex(params.alert)
    async with context.database.write() as connection:
        await _one(connection, id_)
        if not await store.acknowledge(connection, id_, params.who, params.comment, context.now_ms):
            raise ActionFailed("the alert is over already")
        return AlertChanged(alert=shown_of(await _one(connection, id_)))


@action("alert.resolve", ResolveParams, writes=True)
async def alert_resolve(context: Context, params: ResolveParams) -> AlertChanged:
    """Say that it is over, or that it is none. While it holds on, no new alert is made of it."""
    id_ = bytes.fromhex(params.alert)
    async with context.database.write() as connection:
        await store.one_looks(connection)
        await _one(connection, id_)
        if not await store.dismiss(connection, id_, params.who, params.why, context.now_ms):
            raise ActionFailed("the alert is over already")
        return AlertChanged(alert=shown_of(await _one(connection, id_)))


def _within(scope: Scope) -> ColumnElement[bool]:
    if scope.venues is None:
        return _a.id > b""
    return _a.venue.in_(sorted(scope.venues)) if scope.venues else false()


async def _one(connection: AsyncConnection, id_: bytes) -> Any:
    row = (await store.rows_of(connection, [id_])).get(id_)
    if row is None:
        raise ActionFailed("there is no such alert: see `alert list`")
    return row


async def _titles(connection: AsyncConnection, ids: Collection[str]) -> dict[str, str]:
    query = select(alert_contacts.c.id, alert_contacts.c.title).where(alert_contacts.c.id.in_(sorted(ids)))
    return {row.id: row.title for row in await connection.execute(query)}


def shown_of(row: Any) -> Alert:
    """A row of `alerts`."""
    seen = msgspec.json.decode(row.facts)
    return Alert(
        id=row.id.hex(),
        kind=row.kind,
        target=row.target,
        venue=row.venue,
        gate=row.gate,
        device=row.device,
        state=row.state,
        opened_ms=row.opened_ms,
        facts=seen,
        acknowledged_ms=row.acknowledged_ms or 0,
        acknowledged_by=row.acknowledged_by,
        comment=row.comment,
        resolved_ms=row.resolved_ms or 0,
        resolved_by=row.resolved_by,
        why=row.why,
        title_zh=wording.headline(row.kind, row.target, "zh-TW"),
        title_en=wording.headline(row.kind, row.target, "en"),
        detail_zh=wording.detail(row.kind, seen, "zh-TW"),
        detail_en=wording.detail(row.kind, seen, "en"),
        advice_zh=wording.advice(row.kind, "zh-TW"),
        advice_en=wording.advice(row.kind, "en"),
    )


def _message(row: Any, titles: dict[str, str]) -> Message:
    return Message(
        contact=row.contact,
        title=titles.get(row.contact, row.contact),
        channel=row.channel,
        what=row.what,
        state=row.state,
        tries=row.tries,
        made_ms=row.made_ms,
        next_ms=row.next_ms,
        done_ms=row.done_ms or 0,
        problem=row.problem,
    )
