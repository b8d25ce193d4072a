"""Devices: inviting one to a gate, confirming it, listing, revoking."""

from typing import Any

import msgspec
from sqlalchemy import func, select

from central import enrolment
from central.actions.action import ActionFailed, Context, Params, Result, action
from central.store.schema import devices, epochs, gates
from protocol.errors import Refused
from protocol.messages import Poll, decode


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


class Device(msgspec.Struct, frozen=True):
    """A device as central knows it. `troubles`: parts that it could not take up."""

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
    newest = select(epochs.c.device, func.max(epochs.c.seen_ms).label("seen_ms")).group_by(epochs.c.device).subquery()
    held = select(epochs.c.device, epochs.c.epoch, epochs.c.through).join(
        newest, (newest.c.device == epochs.c.device) & (newest.c.seen_ms == epochs.c.seen_ms)
    )
    async with context.database.read() as connection:
        through = {device: {epoch.hex(): last} for device, epoch, last in await connection.execute(held)}
        rows = (await connection.execute(query)).all()
    return Devices(devices=[_device(row, through.get(row.id, {})) for row in rows])


def _device(row: Any, held: dict[str, int]) -> Device:
    report = decode(Poll, row.report) if row.report else None
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
        held_through=held,
        troubles=[f"{t.part} {t.version}: {t.why}" for t in report.troubles] if report else [],
        revoked_why=row.revoked_why,
    )
