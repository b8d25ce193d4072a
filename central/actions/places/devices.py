"""Devices: inviting one to a gate, confirming it, listing, revoking."""

from collections.abc import Awaitable
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from central import device_words, enrolment
from central.access.caller import Scope
from central.actions.action import ActionFailed, Context, Params, Result, action
from central.device_words import ReaderState, Wrote
from central.reporting.contacts import contacts_of
from central.reporting.fleet import read_fleet
from central.reporting.gate_state import DeviceFacts, GateState, state_of
from central.store.schema import devices, domains, gates, lists, venues
from protocol.errors import Refused
from protocol.messages import Health, PartName, Poll, decode

DeviceId = Annotated[str, msgspec.Meta(max_length=64)]
GateId = Annotated[str, msgspec.Meta(max_length=64)]
Why = Annotated[str, msgspec.Meta(max_length=500)]
MOST_LISTED = 1_000
T = TypeVar("T")


class InviteParams(Params, frozen=True):
    """The gate that the new device will serve, and the address that it finds the server at (empty: as configured)."""

    gate: GateId
    url: Annotated[str, msgspec.Meta(max_length=500)] = ""


class ConfirmParams(Params, frozen=True):
    """The device, and the words that its own screen shows."""

    device: DeviceId
    words: Annotated[str, msgspec.Meta(max_length=200)]


class RevokeParams(Params, frozen=True):
    """The device, and why; the reason is told to it."""

    device: DeviceId
    why: Why


class DevicesParams(Params, frozen=True):
    """Filters; empty = any. `stands`: how it does. `after`: a device; those behind it in the list are wanted."""

    device: DeviceId = ""
    gate: GateId = ""
    venue: Annotated[str, msgspec.Meta(max_length=64)] = ""
    state: Literal["", "pending", "active", "revoked"] = ""
    stands: Literal["", "online", "behind", "silent", "alarm", "waiting", "off"] = ""
    after: DeviceId = ""
    most: Annotated[int, msgspec.Meta(ge=1, le=MOST_LISTED)] = MOST_LISTED


class Invited(Result, frozen=True):
    """The join token: secret, good for ten minutes until its first use."""

    gate: str
    token: str


class Changed(Result, frozen=True):
    """The device's state now. `replaced`: the device that was revoked for it; empty = none."""

    device: str
    state: str
    replaced: str = ""


class Device(msgspec.Struct, frozen=True):
    """A device as central knows it, by its newest poll and health message and what its newest epoch wrote down.

    `troubles`: parts that it could not take up, or went back from. `parts`: versions held. `inputs`: those that are on.
    `stands`: how it does (online, behind, silent, alarm, waiting, off), `reasons`: codes of why. Of an active device
    `list_newest` is the version of its domain's list. `skew_ms`: its wall clock less this server's at its newest poll,
    null = it never polled. Bytes are 0 where they are not known.
    """

    device: str
    gate: str
    state: str
    words: str
    enrolled_ms: int
    seen_ms: int
    manifest: int
    backlog: int
    version: str
    held_through: dict[str, int]
    troubles: list[str]
    revoked_why: str
    parts: dict[str, int] = {}
    readers: list[ReaderState] = []
    inputs: list[str] = []
    venue: str = ""
    banned: bool = False
    stands: str = ""
    reasons: list[str] = []
    skew_ms: int | None = None
    list_newest: int = 0
    disk_free_bytes: int = 0
    disk_bytes: int = 0


class Devices(Result, frozen=True):
    """Devices by gate. `more`: there are others behind the last one."""

    devices: list[Device]
    more: bool = False


@action("device.invite", InviteParams, writes=True)
async def device_invite(context: Context, params: InviteParams) -> Invited:
    """A join token for one gate. It is shown once and stored as a hash."""
    async with context.database.write() as connection:
        if (await connection.execute(select(gates.c.id).where(gates.c.id == params.gate))).first() is None:
            raise ActionFailed(f"there is no gate {params.gate!r}: see `gate list`")
        url, pinned = params.url or context.config.url, context.config.pinned
        token = await enrolment.invite(connection, params.gate, context.now_ms, url, context.keys, pinned)
    return Invited(gate=params.gate, token=token)


@action("device.confirm", ConfirmParams, writes=True)
async def device_confirm(context: Context, params: ConfirmParams) -> Changed:
    """Let data flow to a device whose words are the ones that it shows. Whatever it replaces is revoked with it."""
    async with context.database.write() as connection:
        await must_exist(connection, params.device)
        replaced = await said(enrolment.confirm(connection, params.device, params.words, context.now_ms))
    return Changed(device=params.device, state="active", replaced=replaced)


@action("device.revoke", RevokeParams, writes=True)
async def device_revoke(context: Context, params: RevokeParams) -> Changed:
    """Final. What it sends from now on is kept as untrusted; it destroys its keys and lists when it hears."""
    async with context.database.write() as connection:
        await must_exist(connection, params.device)
        await said(enrolment.revoke(connection, params.device, params.why, context.now_ms))
    return Changed(device=params.device, state="revoked")


async def must_exist(connection: AsyncConnection, device: str) -> None:
    """Raises ActionFailed, which says so where it is a gate's name: people take one for the other."""
    if (await connection.execute(select(devices.c.id).where(devices.c.id == device))).first() is not None:
        return
    if (await connection.execute(select(gates.c.id).where(gates.c.id == device))).first() is not None:
        raise ActionFailed(f"{device} is a gate: name one of its devices, see `device list --gate {device}`")
    raise ActionFailed(f"there is no device {device!r}: see `device list`")


async def said(step: Awaitable[T]) -> T:
    """What it returns. Raises ActionFailed for what is refused."""
    try:
        return await step
    except Refused as refused:
        raise ActionFailed(refused.detail) from None


@action("device.list", DevicesParams, writes=False)
async def device_list(context: Context, params: DevicesParams) -> Devices:
    """Devices with what they last reported and what is held of their newest epoch."""
    found: list[Device] = []
    more, at = True, params
    async with context.database.read() as connection:
        if params.device:
            await must_exist(connection, params.device)
        while more and len(found) < params.most:
            rows = await _rows(connection, at, context.scope)
            more, some = len(rows) > at.most, rows[: at.most]
            described = await describe(context, connection, some)
            kept = [each for each in described if params.stands in ("", each.stands)]
            more = more or len(found) + len(kept) > params.most
            found += kept[: params.most - len(found)]
            if some:
                at = msgspec.structs.replace(params, after=some[-1].id, most=MOST_LISTED)
    return Devices(devices=found, more=more)


async def _rows(connection: AsyncConnection, params: DevicesParams, scope: Scope) -> list[Any]:
    """One more than is wanted, where there is one."""
    d, g = devices.c, gates.c
    query = (
        select(devices, g.venue, lists.c.version.label("list_newest"))
        .join(gates, g.id == d.gate)
        .join(venues, venues.c.id == g.venue)
        .join(domains, domains.c.id == venues.c.domain)
        .outerjoin(lists, (lists.c.domain == domains.c.id) & (lists.c.key_number == domains.c.key_number))
        .order_by(d.gate, d.id)
    )
    for column, wanted in (
        (d.id, params.device),
        (d.gate, params.gate),
        (g.venue, params.venue),
        (d.state, params.state),
    ):
        if wanted:
            query = query.where(column == wanted)
    if scope.venues is not None:
        query = query.where(g.venue.in_(sorted(scope.venues)))
    if params.after:
        last = select(d.gate, d.id).where(d.id == params.after)
        at = (await connection.execute(last)).one_or_none()
        if at is None:
            raise ActionFailed(f"after: there is no device {params.after!r}")
        query = query.where(tuple_(d.gate, d.id) > tuple_(*at))
    return list((await connection.execute(query.limit(params.most + 1))).all())


async def describe(context: Context, connection: AsyncConnection, rows: list[Any]) -> list[Device]:
    """Rows of `devices`, with `venue` and `list_newest`, and what else is known of each."""
    shown = {row.id for row in rows}
    newest = await device_words.newest_epochs(connection, shown)
    wrote = await device_words.wrote(connection, newest)
    fleet = await read_fleet(connection, context.now_ms, shown, contacts_of(context.database))
    stand = {each.id: each.state for each in fleet}
    gone = state_of(DeviceFacts("revoked"), context.now_ms)
    return [_device(row, newest.get(row.id), wrote.get(row.id, Wrote()), stand.get(row.id, gone)) for row in rows]


def _device(row: Any, held: tuple[bytes, int] | None, wrote: Wrote, stands: GateState) -> Device:
    report = decode(Poll, row.report) if row.report else None
    health = decode(Health, row.health) if row.health else None
    troubles = [f"{t.part} {t.version}: {t.why}" for t in report.troubles] if report else []
    outside = (PartName.ASK, PartName.FORGET)
    parts = {part.name: part.version for part in report.parts if part.name not in outside} if report else {}
    return Device(
        device=row.id,
        gate=row.gate,
        state=row.state,
        words=row.words if row.state == "pending" else "",
        enrolled_ms=row.enrolled_ms,
        seen_ms=row.seen_ms or 0,
        manifest=report.manifest if report else 0,
        backlog=report.backlog if report else 0,
        version=report.version if report else "",
        held_through={held[0].hex(): held[1]} if held else {},
        troubles=[*troubles, *wrote.went_back],
        revoked_why=row.revoked_why,
        parts=parts,
        readers=_readers(wrote, health),
        inputs=sorted(name for name, on in wrote.inputs.items() if on),
        venue=row.venue,
        banned=row.banned_ms is not None,
        stands=stands.state.value,
        reasons=list(stands.reasons),
        skew_ms=row.skew_ms,
        list_newest=(row.list_newest or 0) if row.state == "active" else 0,
        disk_free_bytes=health.disk_free_bytes if health else 0,
        disk_bytes=health.disk_bytes if health else 0,
    )


def _readers(wrote: Wrote, health: Health | None) -> list[ReaderState]:
    """Events say since when and why; the health message what it is, and of readers that no event told of."""
    told = {each.name: each for each in health.readers} if health else {}
    found = [
        msgspec.structs.replace(each, model=told[each.reader].model, kind=told[each.reader].kind)
        if each.reader in told
        else each
        for each in wrote.readers.values()
    ]
    found += [
        ReaderState(each.name, each.state, 0, each.profile, each.firmware, "", each.model, each.kind)
        for each in told.values()
        if each.name not in wrote.readers
    ]
    return found
