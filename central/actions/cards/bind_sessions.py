"""Binding a card by tapping it at a counter: a session is opened for a member at a gate, and takes the next card there.

The card is bound by the server (`bind_settling`) as soon as the gate's event has come.
"""

import secrets
from typing import Annotated, Any

import msgspec
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from central import bind_sessions as sessions
from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.cards.named import members_by_reference, subjects_within
from central.actions.places.places import must_exist
from central.configs import read_configs
from central.store.schema import bind_sessions, cards, devices, gates, members, venues
from central.wakeups import gate_topic, note
from protocol.envelope import new_sealing_key
from protocol.messages import Bind, Direction, Poll, decode
from protocol.wire import Name

Minutes = Annotated[int, msgspec.Meta(ge=1, le=30)]
_s = bind_sessions.c


class SessionOpenParams(Params, frozen=True, kw_only=True):
    """Whose the next card at this gate is to be, for how long it is waited for, and who opens it."""

    gate: str
    member: str
    who: Name
    minutes: Minutes = 2


class SessionsParams(Params, frozen=True):
    """Which ones: those that wait for a card, or all; of one gate, or any. `after`: the session shown last."""

    all: bool = False
    gate: Annotated[str, msgspec.Meta(max_length=64)] = ""
    after: Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{32})?$")] = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 1_000


class SessionParams(Params, frozen=True):
    """One session, by its id (hex)."""

    session: str


class SessionCancelParams(Params, frozen=True, kw_only=True):
    """The sessions of a gate that wait for a card."""

    gate: str
    who: Name


class SessionStands(Result, frozen=True):
    """A session as it is now. `state`: open, late (over at the gate; a tap that it took may still come), bound,
    refused, cancelled, expired. `number`: which of the member's cards it became, `card` its id. Times are UTC ms,
    `ended_ms` 0 = not yet."""

    session: str
    gate: str
    device: str
    member: str
    who: str
    state: str
    opened_ms: int
    until_ms: int
    ended_ms: int
    number: int
    why: str
    member_id: str = ""
    card: str = ""


class SessionsListed(Result, frozen=True):
    """The newest first. `more`: there are older ones."""

    sessions: list[SessionStands]
    more: bool = False


class SessionsCancelled(Result, frozen=True):
    """How many waited for a card."""

    cancelled: int


@action("card.bind-session.open", SessionOpenParams, writes=True)
async def session_open(context: Context, params: SessionOpenParams) -> SessionStands:
    """The gate hears of it at once, and takes the next card that is tapped there instead of deciding on it."""
    now_ms, id_ = context.now_ms, secrets.token_bytes(16)
    private, public = new_sealing_key()
    try:
        async with context.database.write() as connection:
            member = await _member(connection, params)
            device = await _device(connection, params.gate)
            await _must_be_free(connection, params.gate, now_ms)
            newest = select(func.max(_s.version)).where(_s.device == device)
            values = {
                "id": id_,
                "gate": params.gate,
                "device": device,
                "member": member,
                "who": params.who,
                "version": max(((await connection.execute(newest)).scalar() or 0) + 1, now_ms),
                "opened_ms": now_ms,
                "until_ms": now_ms + params.minutes * 60_000,
                "seal_public": public,
                "private_sealed": context.keys.seal_session_key(private, id_),
                "state": sessions.OPEN,
            }
            await connection.execute(insert(bind_sessions).values(values))
            await note(connection, [gate_topic(params.gate)])
            return await _one(connection, id_)
    except IntegrityError:  # somebody else opened one in the same moment
        raise ActionFailed(f"gate {params.gate} has an open session already: see `card bind-session list`") from None


@action("card.bind-session.list", SessionsParams, writes=False)
async def session_list(context: Context, params: SessionsParams) -> SessionsListed:
    """Those that wait for a card, or all that ever did."""
    query = _SESSIONS if params.all else _SESSIONS.where(_s.state.in_(sessions.WAITING))
    if params.gate:
        query = query.where(_s.gate == params.gate)
    venues_of = context.scope.venues
    if venues_of is not None:
        query = query.where(_s.gate.in_(select(gates.c.id).where(gates.c.venue.in_(sorted(venues_of)))))
    async with context.database.read() as connection:
        if params.after:
            last = bytes.fromhex(params.after)
            at_ms = (await connection.execute(select(_s.opened_ms).where(_s.id == last))).scalar() or 0
            query = query.where((_s.opened_ms < at_ms) | ((_s.opened_ms == at_ms) & (_s.id > last)))
        query = query.order_by(_s.opened_ms.desc(), _s.id).limit(params.limit + 1)
        rows = (await connection.execute(query)).all()
    return SessionsListed(sessions=[_stands(row) for row in rows[: params.limit]], more=len(rows) > params.limit)


@action("card.bind-session.show", SessionParams, writes=False)
async def session_show(context: Context, params: SessionParams) -> SessionStands:
    """What became of it."""
    try:
        id_ = bytes.fromhex(params.session)
    except ValueError:
        raise ActionFailed("session: not the hexadecimal id that `card bind-session list` shows") from None
    async with context.database.read() as connection:
        return await _one(connection, id_)


@action("card.bind-session.cancel", SessionCancelParams, writes=True)
async def session_cancel(context: Context, params: SessionCancelParams) -> SessionsCancelled:
    """The gate decides on the next card again; one that it took already is read by nobody any more."""
    async with context.database.write() as connection:
        await must_exist(connection, gates, params.gate, "gate")
        count = await sessions.cancel(connection, context.now_ms, f"cancelled by {params.who}", params.gate)
    if not count:
        raise ActionFailed(f"gate {params.gate} waits for no card: see `card bind-session list`")
    return SessionsCancelled(cancelled=count)


async def _member(connection: AsyncConnection, params: SessionOpenParams) -> bytes:
    await must_exist(connection, gates, params.gate, "gate")
    member = (await members_by_reference(connection, [params.member])).get(params.member)
    if member is None:
        raise ActionFailed(f"there is no member {params.member!r}")
    query = select(venues.c.domain).join(gates, gates.c.venue == venues.c.id).where(gates.c.id == params.gate)
    domain = (await connection.execute(query)).scalar_one()
    if member not in await subjects_within(connection, domain, [member]):
        raise ActionFailed(f"member {params.member} is not in the gate's domain {domain}: see `card import`")
    return member


async def _device(connection: AsyncConnection, gate: str) -> str:
    """The one device that serves the gate, if it can do it. Raises ActionFailed."""
    held = (await read_configs(connection, [gate])).get(gate)
    if held is not None and held.config.direction is Direction.OUT:
        raise ActionFailed(f"gate {gate} lets people out, and nobody who leaves is held up: choose another")
    query = select(devices.c.id, devices.c.report).where(devices.c.gate == gate, devices.c.state == "active")
    rows = (await connection.execute(query.order_by(devices.c.id))).all()
    if len(rows) != 1:
        raise ActionFailed(f"gate {gate} has {len(rows)} active devices, one has to take the card: see `device list`")
    device, report = rows[0]
    if report is None:
        raise ActionFailed(f"device {device} of gate {gate} was not heard of yet: is it running?")
    poll = decode(Poll, report)
    if Bind.TYPE not in poll.understands:
        raise ActionFailed(
            f"device {device} of gate {gate} (version {poll.version}) does not know {Bind.TYPE}: update it"
        )
    return str(device)


async def _must_be_free(connection: AsyncConnection, gate: str, now_ms: int) -> None:
    """At a gate whose last session is over there may be another at once. Raises ActionFailed."""
    query = _SESSIONS.where(_s.gate == gate, _s.state == sessions.OPEN).with_for_update(of=bind_sessions)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return
    if row.until_ms > now_ms:
        raise ActionFailed(f"gate {gate} has an open session already, for {row.reference}: `card bind-session cancel`")
    await sessions.grow_late(connection, row)


async def sessions_of(connection: AsyncConnection, member: bytes, limit: int) -> list[SessionStands]:
    """Of one member, the newest first."""
    query = _SESSIONS.where(_s.member == member).order_by(_s.opened_ms.desc(), _s.id).limit(limit)
    return [_stands(row) for row in await connection.execute(query)]


_SESSIONS = (
    select(bind_sessions, members.c.reference, cards.c.id.label("card"))
    .join(members, members.c.id == _s.member)
    .outerjoin(cards, (cards.c.member == _s.member) & (cards.c.number == _s.number))
)


async def _one(connection: AsyncConnection, id_: bytes) -> SessionStands:
    row = (await connection.execute(_SESSIONS.where(_s.id == id_))).one_or_none()
    if row is None:
        raise ActionFailed("there is no such session: see `card bind-session list --all`")
    return _stands(row)


def _stands(row: Any) -> SessionStands:
    return SessionStands(
        session=row.id.hex(),
        gate=row.gate,
        device=row.device,
        member=row.reference,
        who=row.who,
        state=row.state,
        opened_ms=row.opened_ms,
        until_ms=row.until_ms,
        ended_ms=row.ended_ms,
        number=row.number,
        why=row.why,
        member_id=row.member.hex(),
        card=row.card.hex() if row.card is not None else "",
    )
