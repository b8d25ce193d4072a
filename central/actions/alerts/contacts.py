"""Who is told of alerts, and by which way: named persons, set by admins."""

import secrets
from typing import Annotated, Any, Literal, get_args

import msgspec
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.alerts.alerts import KindName
from central.actions.places.places import Id
from central.alerts import letters, outbox
from central.alerts.addresses import host_of, mail_fault, webhook_fault
from central.alerts.telling import NotTold, open_session
from central.alerts.watching import deliver
from central.store.put_rows import put_rows
from central.store.schema import alert_contacts, venues
from protocol.errors import Refused

MOST_CONTACTS = 500
_c = alert_contacts.c


class ContactParams(Params, frozen=True):
    """A person. `webhook` None: as it was, since it cannot be read back. `kinds` empty: all; `venues` empty: all, and
    the servers."""

    id: Id
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    mail: Annotated[str, msgspec.Meta(max_length=254)] = ""
    webhook: Annotated[str, msgspec.Meta(max_length=2_000)] | None = None
    kinds: Annotated[list[KindName], msgspec.Meta(max_length=len(get_args(KindName)))] = []
    venues: Annotated[list[Id], msgspec.Meta(max_length=200)] = []
    language: Literal["zh-TW", "en"] = "zh-TW"
    who: str = ""


class ContactsParams(Params, frozen=True):
    """Which one; empty = all."""

    id: Annotated[str, msgspec.Meta(max_length=64)] = ""


class NamedParams(Params, frozen=True):
    """Which one."""

    id: Id
    who: str = ""


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """A person. Of a webhook only the host is shown: its path may be a secret."""

    id: str
    title: str
    mail: str
    webhook_host: str
    kinds: list[str]
    venues: list[str]
    language: Literal["zh-TW", "en"]
    changed_ms: int


class Contacts(Result, frozen=True):
    """By id. `can_mail`: a mail server is configured."""

    contacts: list[Contact]
    can_mail: bool


class ContactPut(Result, frozen=True):
    """The contact as it stands now."""

    contact: Contact


class ContactRemoved(Result, frozen=True):
    """Who is not told any more."""

    id: str


class Tested(msgspec.Struct, frozen=True):
    """One way to the contact; `problem` empty: it was taken."""

    channel: Literal["mail", "webhook"]
    problem: str


class ContactTested(Result, frozen=True):
    """What became of the test, by each way."""

    id: str
    sent: list[Tested]


@action("alert.contact.put", ContactParams, writes=True)
async def contact_put(context: Context, params: ContactParams) -> ContactPut:
    """Add a person, or change one. What happens from now on is told there."""
    if params.mail and (fault := mail_fault(params.mail)):
        raise ActionFailed(fault)
    if params.webhook and (fault := webhook_fault(params.webhook)):
        raise ActionFailed(fault)
    async with context.database.write() as connection:
        held = await _find(connection, params.id)
        if held is None and await _number(connection) >= MOST_CONTACTS:
            raise ActionFailed(f"{MOST_CONTACTS} contacts are there already: remove one first")
        await _must_exist(connection, params.venues)
        row = _row(context, params, held)
        if not row["mail"] and row["webhook_sealed"] is None:
            raise ActionFailed("state a mail address or a webhook: the contact could not be told of anything")
        await put_rows(connection, alert_contacts, [row])
        gone = [*([] if row["mail"] else [outbox.MAIL]), *([] if row["webhook_sealed"] else [outbox.WEBHOOK])]
        await outbox.forget(connection, params.id, gone)
        return ContactPut(contact=_shown(await _find(connection, params.id)))


def _row(context: Context, params: ContactParams, held: Any) -> dict[str, Any]:
    if params.webhook is None:
        sealed, host = (held.webhook_sealed, held.webhook_host) if held is not None else (None, "")
    else:
        sealed = context.keys.seal_webhook(params.webhook, params.id) if params.webhook else None
        host = host_of(params.webhook)
    return {
        "id": params.id,
        "title": params.title,
        "mail": params.mail,
        "webhook_sealed": sealed,
        "webhook_host": host,
        "kinds": msgspec.json.encode(sorted(set(params.kinds))).decode(),
        "venues": msgspec.json.encode(sorted(set(params.venues))).decode(),
        "language": params.language,
        "changed_ms": context.now_ms,
    }


@action("alert.contact.list", ContactsParams, writes=False)
async def contact_list(context: Context, params: ContactsParams) -> Contacts:
    """Everybody who is told of alerts."""
    query = select(alert_contacts).order_by(_c.id)
    if params.id:
        query = query.where(_c.id == params.id)
    async with context.database.read() as connection:
        rows = (await connection.execute(query)).all()
    return Contacts(contacts=[_shown(row) for row in rows], can_mail=context.config.mail is not None)


@action("alert.contact.remove", NamedParams, writes=True)
async def contact_remove(context: Context, params: NamedParams) -> ContactRemoved:
    """Nothing more is sent there, also of what waits."""
    async with context.database.write() as connection:
        await _required(connection, params.id)
        await connection.execute(delete(alert_contacts).where(_c.id == params.id))
        await outbox.forget(connection, params.id)
    return ContactRemoved(id=params.id)


@action("alert.test", NamedParams, writes=True)
async def alert_test(context: Context, params: NamedParams) -> ContactTested:
    """Send a test by each of the contact's ways, now, and say what became of it."""
    async with context.database.read() as connection:
        contact = await _required(connection, params.id)
    told = [letters.test(context.now_ms)]
    sent: list[Tested] = []
    async with open_session() as session:
        for channel in outbox.channels_of(contact):
            bundle = outbox.Bundle(secrets.token_bytes(16), contact.id, channel, [])
            try:
                await deliver(context.config, context.keys, session, contact, bundle, told, context.now_ms)
                problem = ""
            except (NotTold, Refused) as error:
                problem = str(error)
            sent.append(Tested("mail" if channel == outbox.MAIL else "webhook", problem))
    return ContactTested(id=params.id, sent=sent)


async def _find(connection: AsyncConnection, id_: str) -> Any:
    return (await connection.execute(select(alert_contacts).where(_c.id == id_))).one_or_none()


async def _required(connection: AsyncConnection, id_: str) -> Any:
    row = await _find(connection, id_)
    if row is None:
        raise ActionFailed(f"there is no contact {id_!r}: see `alert contact list`")
    return row


async def _number(connection: AsyncConnection) -> int:
    return int((await connection.execute(select(func.count()).select_from(alert_contacts))).scalar_one())


async def _must_exist(connection: AsyncConnection, wanted: list[str]) -> None:
    found = set((await connection.execute(select(venues.c.id).where(venues.c.id.in_(wanted)))).scalars())
    for venue in wanted:
        if venue not in found:
            raise ActionFailed(f"there is no venue {venue!r}: see `venue list`")


def _shown(row: Any) -> Contact:
    return Contact(
        id=row.id,
        title=row.title,
        mail=row.mail,
        webhook_host=row.webhook_host,
        kinds=msgspec.json.decode(row.kinds),
        venues=msgspec.json.decode(row.venues),
        language=row.language,
        changed_ms=row.changed_ms,
    )
