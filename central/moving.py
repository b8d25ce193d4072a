"""Moving a device to another gate of its domain (SPEC §7.12).

What the device may hold of its old gate sets a floor for what it takes up: the new gate's configuration and policy are
published anew where they are older. Taps that it has not delivered yet keep the gate that they happened at, and points
that are reserved to it stay its own: both go by the device.
"""

from typing import Any, NamedTuple

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central import bind_sessions
from central.configs import put_config, read_configs
from central.gate_closures import read_closings
from central.keys import Keys
from central.policies import put_policy, read_policies, read_policy
from central.rollouts.store import publishing, under_way
from central.services.projector import tell
from central.store.schema import device_moves, devices, gates, manifests, reservations, venues
from central.wakeups import device_topic, gate_topic, note
from protocol.envelope import unwrap
from protocol.errors import Failure, Refused
from protocol.messages import Manifest, PartName, Poll, decode


class Move(NamedTuple):
    """What a move did. `config`, `policy`: the version that was published anew for it; 0 = none was."""

    from_gate: str
    to_gate: str
    config: int
    policy: int
    cancelled: int
    """Sessions at the old gate that waited for a card to be bound."""


async def move(
    connection: AsyncConnection, keys: Keys, device: str, gate: str, who: str, why: str, now_ms: int
) -> Move:
    """The device hears of it at once where it is connected. Raises Refused where it cannot be."""
    await publishing(connection)
    query = select(devices).where(devices.c.id == device).with_for_update(key_share=True)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise _cannot(f"there is no device {device!r}: see `device list`")
    if row.state != "active":
        raise _cannot(f"device {device} is {row.state}: only an active one is moved, invite another instead")
    if row.gate == gate:
        raise _cannot(f"device {device} is at gate {gate} already")
    here, there = await _place(connection, row.gate), await _place(connection, gate)
    if there is None or here is None:
        raise _cannot(f"there is no gate {gate!r}: see `gate list`")
    if here.domain != there.domain:
        raise _cannot(f"gate {gate} is of the domain {there.domain}, and this device's keys are those of {here.domain}")
    closing = [each for each in await read_closings(connection, now_ms) if each.gate == row.gate]
    if closing:
        raise _cannot(f"staff have closed gate {row.gate}, and the device would go on so: open it first")
    floors = await _floors(connection, row)
    config = await _renew_config(connection, keys, gate, floors.get(PartName.CONFIG, 0), now_ms)
    policy = await _renew_policy(connection, gate, there.policy, floors.get(PartName.POLICY, 0), now_ms)
    cancelled = await bind_sessions.cancel(connection, now_ms, f"device {device} was moved", row.gate)
    await connection.execute(update(devices).where(devices.c.id == device).values(gate=gate))
    values = {"device": device, "at_ms": now_ms, "from_gate": row.gate, "to_gate": gate, "who": who, "why": why}
    await connection.execute(insert(device_moves).values(values))
    mine = (reservations.c.device == device, reservations.c.state == "open")
    await connection.execute(update(reservations).where(*mine).values(gate=gate))
    await tell(connection, [(here.domain, b"")], now_ms)  # it has to know how many are inside where it is now
    await note(connection, [device_topic(device), gate_topic(row.gate), gate_topic(gate)])
    return Move(row.gate, gate, config, policy, cancelled)


def _cannot(why: str) -> Refused:
    return Refused(Failure.NOT_SATISFIABLE, why)


async def _place(connection: AsyncConnection, gate: str) -> Any:
    query = select(gates.c.id, gates.c.policy, venues.c.domain).join(venues, venues.c.id == gates.c.venue)
    return (await connection.execute(query.where(gates.c.id == gate))).one_or_none()


async def _floors(connection: AsyncConnection, row: Any) -> dict[str, int]:
    """The newest version of each part that the device can hold: by its own word, or by what it was told."""
    parts = list(decode(Poll, row.report).parts) if row.report else []
    told = select(manifests.c.envelope).where(manifests.c.device == row.id)
    for envelope in (await connection.execute(told)).scalars():
        parts += decode(Manifest, unwrap(envelope).payload).parts
    found: dict[str, int] = {}
    for part in parts:
        found[part.name] = max(part.version, found.get(part.name, 0))
    return found


async def _renew_config(connection: AsyncConnection, keys: Keys, gate: str, floor: int, now_ms: int) -> int:
    held = (await read_configs(connection, [gate])).get(gate)
    if held is None or held.version > floor:
        return 0
    if await under_way(connection, at_gates=[gate]) is not None:
        raise _cannot(f"a configuration of gate {gate} is being rolled out: wait for its end")
    return (await put_config(connection, keys, held.config, held.ages, max(now_ms, floor + 1))).version


async def _renew_policy(connection: AsyncConnection, gate: str, policy: str, floor: int, now_ms: int) -> int:
    """Every gate that goes by it takes the same content up again."""
    held = (await read_policies(connection, {gate: policy})).get(gate)
    if held is None or held.version > floor:
        return 0
    rollout = await under_way(connection, policy=policy)
    if rollout is not None:
        raise _cannot(f"policy {policy} is being rolled out, and has to be published anew for this: wait for its end")
    return await put_policy(connection, policy, read_policy(held.body), max(now_ms, floor + 1))
