"""Messages that are to be told: written with the incident, sent as bundles, and noted when they were told.

A bundle keeps its name from the first try on, so that who receives it a second time can know it: a process that dies
between sending and noting makes another one send it again. Of a contact's channel one bundle at a time is on its way,
in the order in which things happened.
"""

import secrets
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import and_, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.alerts.backoff import is_hopeless, wait_ms
from central.store.schema import alert_contacts, alert_messages, alerts, venues
from central.store.slices import named

MAIL, WEBHOOK = "mail", "webhook"
WAITING, TOLD, GIVEN_UP = "waiting", "told", "given-up"
OPENED, RESOLVED = "opened", "resolved"
MOST = {MAIL: 1_000, WEBHOOK: 1}
"""Messages in one bundle: a person wants one mail when a line fails, a system one request an incident."""
TAKEN_MS = 120_000
"""For so long nobody else sends what a process has taken: longer than any sending may last."""
_m, _c = alert_messages.c, alert_contacts.c
_UNTRIED = b""


class Bundle(NamedTuple):
    """What is sent as one. `messages`: alert and what, in the order in which they happened."""

    name: bytes
    contact: str
    channel: str
    messages: list[tuple[bytes, str]]


async def opened(connection: AsyncConnection, began: Sequence[tuple[bytes, str, str]], now_ms: int) -> None:
    """Of each (alert, kind, venue) a message for every channel of whoever cares for it."""
    rows = []
    for contact in await connection.execute(select(alert_contacts).order_by(_c.id)):
        kinds, venues = msgspec.json.decode(contact.kinds), msgspec.json.decode(contact.venues)
        for alert, kind, venue in began:
            if (not kinds or kind in kinds) and (not venues or venue in venues):
                rows += [_row(alert, contact.id, channel, OPENED, now_ms) for channel in channels_of(contact)]
    if rows:
        await connection.execute(insert(alert_messages), rows)


def channels_of(contact: Any) -> list[str]:
    """By which a contact can be told."""
    return [
        *([MAIL] if contact.mail else []),
        *([WEBHOOK] if contact.webhook_sealed is not None else []),
    ]


async def resolved(connection: AsyncConnection, alerts_over: Sequence[bytes], now_ms: int) -> None:
    """Messages for those who were told, or are yet to be told, that these began."""
    query = select(_m.alert, _m.contact, _m.channel)
    query = query.where(_m.alert.in_(alerts_over), _m.what == OPENED, _m.state != GIVEN_UP)
    rows = [_row(*each, RESOLVED, now_ms) for each in (await connection.execute(query)).all()]
    if rows:
        await connection.execute(insert(alert_messages), rows)


def _row(alert: bytes, contact: str, channel: str, what: str, now_ms: int) -> dict[str, Any]:
    row = {"alert": alert, "contact": contact, "channel": channel, "what": what, "state": WAITING, "made_ms": now_ms}
    return row | {"bundle": _UNTRIED, "next_ms": now_ms, "taken_until_ms": 0, "tries": 0, "problem": ""}


async def waiting(connection: AsyncConnection) -> int:
    """How many are not told yet."""
    return int((await connection.execute(select(func.count()).where(_m.state == WAITING))).scalar_one())


async def is_due(connection: AsyncConnection, now_ms: int) -> bool:
    """Whether there may be anything to send now."""
    query = select(_m.alert).where(_m.state == WAITING, _m.next_ms <= now_ms, _m.taken_until_ms <= now_ms)
    return (await connection.execute(query.limit(1))).first() is not None


async def take(connection: AsyncConnection, now_ms: int) -> list[Bundle]:
    """What is due, one bundle a contact's channel, marked as taken. The caller's transaction lets one process at a time
    do this (`store.one_looks`); what it takes is to be sent once that transaction is durable."""
    rows = await connection.execute(
        select(alert_messages).where(_m.state == WAITING).order_by(_m.made_ms, _m.alert, _m.what)
    )
    by_channel: dict[tuple[str, str], list[Any]] = {}
    for row in rows:
        by_channel.setdefault((row.contact, row.channel), []).append(row)
    found = []
    for (contact, channel), of in sorted(by_channel.items()):
        begun = [row for row in of if row.bundle != _UNTRIED]
        chosen = [row for row in begun if row.bundle == begun[0].bundle] if begun else of[: MOST[channel]]
        if any(row.next_ms > now_ms or row.taken_until_ms > now_ms for row in chosen):
            continue
        name = chosen[0].bundle or secrets.token_bytes(16)
        bundle = Bundle(name, contact, channel, [(row.alert, row.what) for row in chosen])
        values = {"bundle": name, "taken_until_ms": now_ms + TAKEN_MS, "tries": chosen[0].tries + 1}
        for these in _those(bundle):
            await connection.execute(update(alert_messages).where(these).values(values))
        found.append(bundle)
    return found


async def told(connection: AsyncConnection, bundle: Bundle, now_ms: int) -> None:
    """It was sent."""
    values = {"state": TOLD, "done_ms": now_ms, "problem": "", "taken_until_ms": 0}
    for these in _those(bundle):
        await connection.execute(update(alert_messages).where(these).values(values))


async def failed(connection: AsyncConnection, bundle: Bundle, problem: str, now_ms: int) -> None:
    """It was not sent: tried again after a while, or given up."""
    for these in _those(bundle):
        for row in (await connection.execute(select(alert_messages).where(these))).all():
            values: dict[str, Any] = {"problem": problem[:300], "taken_until_ms": 0}
            if is_hopeless(row.made_ms, now_ms):
                values |= {"state": GIVEN_UP, "done_ms": now_ms}
            else:
                values |= {"next_ms": now_ms + wait_ms(row.tries)}
            itself = and_(these, _m.alert == row.alert, _m.what == row.what)
            await connection.execute(update(alert_messages).where(itself).values(values))


async def forget(connection: AsyncConnection, contact: str, channels: Collection[str] = (MAIL, WEBHOOK)) -> None:
    """Nothing more is sent to somebody who cannot, or is not to, be told there any more."""
    gone = and_(_m.contact == contact, _m.channel.in_(sorted(channels)), _m.state == WAITING)
    await connection.execute(delete(alert_messages).where(gone))


async def of_alerts(connection: AsyncConnection, ids: Collection[bytes]) -> Sequence[Any]:
    """Every message about these."""
    query = select(alert_messages).where(_m.alert.in_(sorted(ids)))
    return (await connection.execute(query.order_by(_m.made_ms, _m.contact, _m.channel))).all()


async def of_bundle(connection: AsyncConnection, bundle: Bundle) -> list[tuple[Any, str]]:
    """The incidents of its messages with their venues' time zones, as they stand now, in their order."""
    ids = {alert for alert, _ in bundle.messages}
    query = select(alerts, venues.c.time_zone).outerjoin(venues, venues.c.id == alerts.c.venue)
    rows = {row.id: row for row in await connection.execute(query.where(alerts.c.id.in_(sorted(ids))))}
    return [(rows[alert], what) for alert, what in bundle.messages if alert in rows]


def _those(bundle: Bundle) -> list[Any]:
    mine = and_(_m.contact == bundle.contact, _m.channel == bundle.channel, _m.state == WAITING)
    return [and_(mine, these) for these in named((_m.alert, _m.what), bundle.messages)]
