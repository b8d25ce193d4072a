"""A register of what happened to personal data: opened, who was told when, closed; and the 72 hours of each."""

from typing import Annotated, Any, Literal

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.attendance.access import instant_of
from central.actions.moment_ids import moment_id
from central.actions.places.places import must_exist
from central.privacy.incidents import TELL_WITHIN_MS, untold
from central.store.schema import devices, incidents
from protocol.time_zones import CITY

IncidentId = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Said = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
When = Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
"""The law's clock is the whole city's, whatever zone a venue keeps."""


class IncidentOpenParams(Params, frozen=True, kw_only=True):
    """`learned`: when somebody learned of it, as a local time of the city, or `now`."""

    what: Said
    learned: When = "now"
    device: Annotated[str, msgspec.Meta(max_length=64)] = ""
    who: str = ""


class IncidentToldParams(Params, frozen=True, kw_only=True):
    """`when`: they were told, as a local time of the city, or `now`. `note`: how, or under which number."""

    id: IncidentId
    whom: Literal["authority", "concerned"]
    when: When = "now"
    note: Annotated[str, msgspec.Meta(max_length=500)] = ""
    who: str = ""


class IncidentCloseParams(Params, frozen=True, kw_only=True):
    """`why`: what came of it; of one of which somebody was not told, why nobody had to be."""

    id: IncidentId
    why: Said
    who: str = ""


class IncidentsParams(Params, frozen=True):
    """`closed`: those that are over, too. `id`: this one alone."""

    id: Annotated[str, msgspec.Meta(max_length=64)] = ""
    closed: bool = False


class Incident(Result, frozen=True):
    """`tell_by_ms`: 72 hours after it was learned of. `left_ms`: until then, below 0 = over; 0 where everybody was told
    or it is closed. `untold`: who has still to be told. Times of 0: not yet."""

    id: str
    what: str
    device: str
    learned_ms: int
    opened_ms: int
    who: str
    tell_by_ms: int
    left_ms: int
    untold: list[Literal["authority", "concerned"]]
    authority_ms: int
    authority_note: str
    concerned_ms: int
    concerned_note: str
    closed_ms: int
    closed_by: str
    why: str


class IncidentsListed(Result, frozen=True):
    """The newest first."""

    incidents: list[Incident]


@action("incident.open", IncidentOpenParams, writes=True)
async def incident_open(context: Context, params: IncidentOpenParams) -> Incident:
    """From now on somebody is reminded of whom to tell by when."""
    learned_ms = instant_of(params.learned, CITY, context.now_ms)
    async with context.database.write() as connection:
        if params.device:
            await must_exist(connection, devices, params.device, "device")
        id_ = await moment_id(connection, incidents.c.id, "i", context.now_ms)
        values: dict[str, Any] = {"id": id_, "what": params.what, "device": params.device, "who": params.who}
        values |= {"learned_ms": learned_ms, "opened_ms": context.now_ms}
        values |= {"authority_ms": 0, "authority_note": "", "concerned_ms": 0, "concerned_note": ""}
        await connection.execute(insert(incidents).values(values | {"closed_ms": 0, "closed_by": "", "why": ""}))
        return _shown(await _one(connection, id_), context.now_ms)


@action("incident.told", IncidentToldParams, writes=True)
async def incident_told(context: Context, params: IncidentToldParams) -> Incident:
    """The authority, or those concerned, were told. Said again it is put right; the audit log keeps what stood."""
    at_ms = instant_of(params.when, CITY, context.now_ms)
    async with context.database.write() as connection:
        learned_ms = (await _must_be_open(connection, params.id)).learned_ms
        if at_ms < learned_ms - learned_ms % 60_000:  # a page's field has no seconds
            raise ActionFailed("when: nobody is told of it before it was learned of")
        told = {f"{params.whom}_ms": at_ms, f"{params.whom}_note": params.note}
        await connection.execute(update(incidents).where(incidents.c.id == params.id).values(told))
        return _shown(await _one(connection, params.id), context.now_ms)


@action("incident.close", IncidentCloseParams, writes=True)
async def incident_close(context: Context, params: IncidentCloseParams) -> Incident:
    """It is over; nobody is reminded of it any more."""
    async with context.database.write() as connection:
        await _must_be_open(connection, params.id)
        closed = {"closed_ms": context.now_ms, "closed_by": params.who, "why": params.why}
        await connection.execute(update(incidents).where(incidents.c.id == params.id).values(closed))
        return _shown(await _one(connection, params.id), context.now_ms)


@action("incident.list", IncidentsParams, writes=False)
async def incident_list(context: Context, params: IncidentsParams) -> IncidentsListed:
    """What happened, who has to be told of it, and how much time is left for that."""
    query = select(incidents).order_by(incidents.c.opened_ms.desc(), incidents.c.id.desc())
    if params.id:
        query = query.where(incidents.c.id == params.id)
    elif not params.closed:
        query = query.where(incidents.c.closed_ms == 0)
    async with context.database.read() as connection:
        rows = (await connection.execute(query)).all()
    return IncidentsListed(incidents=[_shown(row, context.now_ms) for row in rows])


async def _one(connection: AsyncConnection, id_: str) -> Any:
    return (await connection.execute(select(incidents).where(incidents.c.id == id_))).one_or_none()


async def _must_be_open(connection: AsyncConnection, id_: str) -> Any:
    query = select(incidents).where(incidents.c.id == id_).with_for_update()
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise ActionFailed(f"there is no incident {id_!r}: see `incident list`")
    if row.closed_ms:
        raise ActionFailed(f"{id_} is closed already, by {row.closed_by}")
    return row


def _shown(row: Any, now_ms: int) -> Incident:
    by_ms, left = row.learned_ms + TELL_WITHIN_MS, untold(row)
    left_ms = by_ms - now_ms if left and not row.closed_ms else 0
    stored = {name: getattr(row, name) for name in Incident.__struct_fields__ if name in incidents.c}
    return msgspec.convert(stored | {"tell_by_ms": by_ms, "left_ms": left_ms, "untold": left}, Incident)
