"""What is done about a device that serves already: move it to another gate, replace it, ban it."""

from typing import Annotated

import msgspec
from sqlalchemy import select

from central import enrolment, moving
from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.places.devices import DeviceId, GateId, Why, must_exist, said
from central.store.schema import devices
from protocol.messages import Poll, decode

Who = Annotated[str, msgspec.Meta(max_length=64)]
Told = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class MoveParams(Params, frozen=True):
    """Which device, and to which gate of its domain."""

    device: DeviceId
    gate: GateId
    why: Why = ""
    who: Who = ""


class ReplaceParams(Params, frozen=True):
    """The device to be replaced, and the address that the new one finds the server at (empty: as configured)."""

    device: DeviceId
    url: Annotated[str, msgspec.Meta(max_length=500)] = ""


class BanParams(Params, frozen=True):
    """The device, and why; the reason is told to it."""

    device: DeviceId
    why: Told


class Moved(Result, frozen=True):
    """`config`, `policy`: the versions that were published anew, so that the device takes them up; 0 = none was.
    `undelivered`: events that it had not delivered at its newest poll: they stay those of the gate where they happened.
    `beside`: other active devices at its new gate; two at one gate get no points reserved. `cancelled`: sessions at its
    old gate that waited for a card."""

    device: str
    from_gate: str
    to_gate: str
    config: int
    policy: int
    undelivered: int
    beside: list[str]
    cancelled: int


class Replacing(Result, frozen=True):
    """The join token for the new device: secret, good for ten minutes until its first use. When the new one is
    confirmed the old one is revoked: what it delivers after that counts nowhere. `undelivered`: how much that may be,
    as of its newest poll at `seen_ms` (0 = never)."""

    device: str
    gate: str
    token: str
    undelivered: int
    seen_ms: int


class Banned(Result, frozen=True):
    """The device's state now."""

    device: str
    state: str = "revoked"
    banned: bool = True


@action("device.move", MoveParams, writes=True)
async def device_move(context: Context, params: MoveParams) -> Moved:
    """It serves the other gate as soon as it hears of it, with that gate's configuration and policy."""
    async with context.database.write() as connection:
        done = await said(
            moving.move(connection, context.keys, params.device, params.gate, params.who, params.why, context.now_ms)
        )
        d = devices.c
        query = select(d.id).where(d.gate == done.to_gate, d.id != params.device, d.state == "active").order_by(d.id)
        beside = list((await connection.execute(query)).scalars())
        report = (await connection.execute(select(d.report).where(d.id == params.device))).scalar()
    return Moved(
        device=params.device,
        from_gate=done.from_gate,
        to_gate=done.to_gate,
        config=done.config,
        policy=done.policy,
        undelivered=decode(Poll, report).backlog if report else 0,
        beside=beside,
        cancelled=done.cancelled,
    )


@action("device.replace", ReplaceParams, writes=True)
async def device_replace(context: Context, params: ReplaceParams) -> Replacing:
    """A join token for the gate that a device serves. Nothing changes until the new device is confirmed."""
    async with context.database.write() as connection:
        await must_exist(connection, params.device)
        d = devices.c
        query = select(d.gate, d.state, d.seen_ms, d.report).where(d.id == params.device)
        row = (await connection.execute(query)).one()
        if row.state != "active":
            raise ActionFailed(
                f"device {params.device} is {row.state}, so nothing is to be replaced: `device invite {row.gate}`"
            )
        url, pinned = params.url or context.config.url, context.config.pinned
        token = await enrolment.invite(
            connection, row.gate, context.now_ms, url, context.keys, pinned, replaces=params.device
        )
    return Replacing(
        device=params.device,
        gate=row.gate,
        token=token,
        undelivered=decode(Poll, row.report).backlog if row.report else 0,
        seen_ms=row.seen_ms or 0,
    )


@action("device.ban", BanParams, writes=True)
async def device_ban(context: Context, params: BanParams) -> Banned:
    """Revoked; beyond that, nothing that its keys sign is kept any more, and neither key is enrolled again."""
    async with context.database.write() as connection:
        await must_exist(connection, params.device)
        await said(enrolment.ban(connection, params.device, params.why, context.now_ms))
    return Banned(device=params.device)
