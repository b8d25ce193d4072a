"""Staff who may admit by hand at a venue's gates. Of a PIN only its sealed scrypt half is kept."""

import asyncio
import secrets
from typing import Any

import msgspec
from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.places.places import must_exist
from central.configs import read_configs, renew_staff
from central.store.schema import gates, staff, venues
from protocol.configuration import MAX_STAFF
from protocol.pin import slow


class StaffAddParams(Params, frozen=True):
    """A person and the PIN (6 to 12 digits). `replace`: give somebody who is there already a new PIN."""

    venue: str
    id: str
    pin: str
    title: str = ""
    replace: bool = False


class StaffParams(Params, frozen=True):
    """Which person."""

    venue: str
    id: str


class StaffListParams(Params, frozen=True):
    """Empty = of every venue."""

    venue: str = ""


class StaffChanged(Result, frozen=True):
    """The gates that were told, and those of the venue that offer staff nothing (`screen.staff_…`)."""

    venue: str
    id: str
    gates: list[str]
    not_offered: list[str]


class StaffMember(msgspec.Struct, frozen=True):
    """One person."""

    venue: str
    id: str
    title: str
    at_ms: int


class StaffListed(Result, frozen=True):
    """By venue."""

    staff: list[StaffMember]


@action("staff.add", StaffAddParams, writes=True)
async def staff_add(context: Context, params: StaffAddParams) -> StaffChanged:
    """Let somebody admit by hand at every gate of the venue that offers it; connected gates know at once."""
    _require_name(params.id)
    salt = secrets.token_bytes(16)
    slowed = await asyncio.to_thread(slow, params.pin, salt)
    sealed = context.keys.seal_pin(slowed, params.venue, params.id, salt)
    async with context.database.write() as connection:
        await must_exist(connection, venues, params.venue, "venue")
        held = await _count(connection, params.venue, params.id)
        if held and not params.replace:
            raise ActionFailed(f"{params.id} is there already: state --replace to give a new PIN")
        if await _count(connection, params.venue) - held >= MAX_STAFF:
            raise ActionFailed(f"{params.venue} has {MAX_STAFF} staff, and gates hold no more: remove one first")
        await _drop(connection, params.venue, params.id)
        row = {"venue": params.venue, "id": params.id, "title": params.title, "salt": salt, "slow_sealed": sealed}
        await connection.execute(insert(staff).values(row | {"at_ms": context.now_ms}))
        return await _told(context, connection, params.venue, params.id)


@action("staff.remove", StaffParams, writes=True)
async def staff_remove(context: Context, params: StaffParams) -> StaffChanged:
    """Take the right away; connected gates know at once, others when they are heard of again."""
    async with context.database.write() as connection:
        if not await _count(connection, params.venue, params.id):
            raise ActionFailed(f"{params.venue} has no staff {params.id!r}: see `staff list`")
        await _drop(connection, params.venue, params.id)
        return await _told(context, connection, params.venue, params.id)


@action("staff.list", StaffListParams, writes=False)
async def staff_list(context: Context, params: StaffListParams) -> StaffListed:
    """Who may admit by hand."""
    query = select(staff.c.venue, staff.c.id, staff.c.title, staff.c.at_ms).order_by(staff.c.venue, staff.c.id)
    if params.venue:
        query = query.where(staff.c.venue == params.venue)
    if context.scope.venues is not None:
        query = query.where(staff.c.venue.in_(sorted(context.scope.venues)))
    async with context.database.read() as connection:
        return StaffListed(staff=[StaffMember(*row) for row in await connection.execute(query)])


def _require_name(name: str) -> None:
    if not 1 <= len(name) <= 64 or not name.isprintable() or name != name.strip():
        raise ActionFailed("the id of a person has 1 to 64 letters, digits or signs, and no blank at its ends")


async def _count(connection: AsyncConnection, venue: str, id_: str = "") -> int:
    query: Any = select(func.count()).select_from(staff).where(staff.c.venue == venue)
    return int((await connection.execute(query.where(staff.c.id == id_) if id_ else query)).scalar_one())


async def _drop(connection: AsyncConnection, venue: str, id_: str) -> None:
    await connection.execute(delete(staff).where(staff.c.venue == venue, staff.c.id == id_))


async def _told(context: Context, connection: AsyncConnection, venue: str, id_: str) -> StaffChanged:
    told = await renew_staff(connection, context.keys, context.now_ms, venue=venue)
    every = (await connection.execute(select(gates.c.id).where(gates.c.venue == venue))).scalars().all()
    configs = await read_configs(connection, every)
    screens = {gate: held.config.screen for gate, held in configs.items()}
    not_offered = sorted(gate for gate, screen in screens.items() if not (screen.staff_admit or screen.staff_close))
    return StaffChanged(venue=venue, id=id_, gates=told, not_offered=not_offered)
