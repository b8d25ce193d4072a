"""Devices: inviting one to a gate, confirming it, listing, revoking."""

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central import enrolment
from central.actions.action import ActionFailed, Context, Params, Result, action
from central.details import read_detail
from central.store.schema import RARE, devices, epochs, events, gates
from protocol.errors import Refused
from protocol.messages import ConfigDetail, InputDetail, Kind, Poll, ReaderDetail, decode

NEWEST_EVENTS = 2_000
"""Of a device's newest epoch, looked through for the state of readers and inputs: a flapping reader writes many."""


class InviteParams(Params, frozen=True):
    """The gate that the new device will serve, and the address that it finds the server at (empty: as configured)."""

    gate: str
    url: str = ""


class ConfirmParams(Params, frozen=True):
    """The device, and the words that its own screen shows."""

    device: str
    words: str


class RevokeParams(Params, frozen=True):
    """The device, and why; the reason is told to it."""

    device: str
    why: str


class DevicesParams(Params, frozen=True):
    """Filters; empty = any."""

    device: str = ""
    gate: str = ""
    state: str = ""


class Invited(Result, frozen=True):
    """The join token: secret, good for ten minutes until its first use."""

    gate: str
    token: str


class Changed(Result, frozen=True):
    """The device's state now."""

    device: str
    state: str


class ReaderState(msgspec.Struct, frozen=True):
    """A reader as its newest event has it."""

    reader: str
    state: str
    since_ms: int
    profile: str
    firmware: str
    why: str


class Device(msgspec.Struct, frozen=True):
    """A device as central knows it, by its newest poll and what its newest epoch wrote down.

    `troubles`: parts that it could not take up, or went back from. `parts`: versions held. `inputs`: those that are on.
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


class Devices(Result, frozen=True):
    """Devices by gate."""

    devices: list[Device]


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
    """Let data flow to a device whose words are the ones that it shows."""
    async with context.database.write() as connection:
        await _must_exist(connection, params.device)
        await _said(enrolment.confirm(connection, params.device, params.words, context.now_ms))
    return Changed(device=params.device, state="active")


@action("device.revoke", RevokeParams, writes=True)
async def device_revoke(context: Context, params: RevokeParams) -> Changed:
    """Final. What it sends from now on is kept as untrusted; it destroys its keys and lists when it hears."""
    async with context.database.write() as connection:
        await _must_exist(connection, params.device)
        await _said(enrolment.revoke(connection, params.device, params.why, context.now_ms))
    return Changed(device=params.device, state="revoked")


async def _must_exist(connection: Any, device: str) -> None:
    if (await connection.execute(select(devices.c.id).where(devices.c.id == device))).first() is None:
        raise ActionFailed(f"there is no device {device!r}: see `device list`")


async def _said(step: Any) -> None:
    try:
        await step
    except Refused as refused:
        raise ActionFailed(f"{refused.detail}: see `device list`") from None


@action("device.list", DevicesParams, writes=False)
async def device_list(context: Context, params: DevicesParams) -> Devices:
    """Devices with what they last reported and what is held of their newest epoch."""
    query = select(devices).order_by(devices.c.gate, devices.c.id)
    if params.gate:
        query = query.where(devices.c.gate == params.gate)
    if params.state:
        query = query.where(devices.c.state == params.state)
    if params.device:
        query = query.where(devices.c.id == params.device)
    async with context.database.read() as connection:
        rows = (await connection.execute(query)).all()
        if params.device and not rows:
            raise ActionFailed(f"there is no device {params.device!r}: see `device list`")
        shown = {row.id for row in rows}
        newest = {device: held for device, held in (await _newest_epochs(connection)).items() if device in shown}
        wrote = await _wrote(connection, newest)
    return Devices(devices=[_device(row, newest.get(row.id), wrote.get(row.id, _Wrote())) for row in rows])


class _Wrote:
    """What events of a device's newest epoch say of it, each thing by its newest event."""

    def __init__(self) -> None:
        self.readers: dict[str, ReaderState] = {}
        self.inputs: dict[str, bool] = {}
        self.parts: dict[str, ConfigDetail] = {}

    def add(self, at_ms: int, detail: Any) -> None:
        """In the order in which they were written."""
        if isinstance(detail, ReaderDetail):
            known = detail.profile, detail.firmware
            self.readers[detail.reader] = ReaderState(detail.reader, detail.state, at_ms, *known, detail.why)
        elif isinstance(detail, InputDetail):
            self.inputs[detail.input] = detail.on
        elif isinstance(detail, ConfigDetail):
            self.parts[detail.part] = detail

    @property
    def went_back(self) -> list[str]:
        return [
            f"{d.part} {d.version}: went back to the last good one, {d.why}"
            for d in self.parts.values()
            if d.what == "went-back"
        ]


async def _newest_epochs(connection: AsyncConnection) -> dict[str, tuple[bytes, int]]:
    """By device: the epoch that was last heard of, and through which sequence it is held."""
    newest = select(epochs.c.device, func.max(epochs.c.seen_ms).label("seen_ms")).group_by(epochs.c.device).subquery()
    held = select(epochs.c.device, epochs.c.epoch, epochs.c.through).join(
        newest, (newest.c.device == epochs.c.device) & (newest.c.seen_ms == epochs.c.seen_ms)
    )
    return {device: (epoch, through) for device, epoch, through in await connection.execute(held)}


async def _wrote(connection: AsyncConnection, newest: Mapping[str, tuple[bytes, int]]) -> dict[str, _Wrote]:
    found: dict[str, _Wrote] = {}
    kinds = events.c.kind.in_((Kind.READER, Kind.INPUT, Kind.CONFIG))
    query = select(events.c.at_ms, events.c.kind, events.c.detail).where(RARE, kinds, events.c.outcome != "refused")
    for device, (epoch, _) in newest.items():
        of_epoch = query.where(events.c.device == device, events.c.epoch == epoch)
        rows = (await connection.execute(of_epoch.order_by(events.c.sequence.desc()).limit(NEWEST_EVENTS))).all()
        if rows:
            found[device] = _Wrote()
        for at_ms, kind, detail in reversed(rows):
            found[device].add(at_ms, read_detail(kind, detail))
    return found


def _device(row: Any, held: tuple[bytes, int] | None, wrote: _Wrote) -> Device:
    report = decode(Poll, row.report) if row.report else None
    troubles = [f"{t.part} {t.version}: {t.why}" for t in report.troubles] if report else []
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
        parts={part.name: part.version for part in report.parts} if report else {},
        readers=list(wrote.readers.values()),
        inputs=sorted(name for name, on in wrote.inputs.items() if on),
    )
