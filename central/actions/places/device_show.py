"""Everything that is known of one device: what it holds against what it should, how it is, where it was."""

from collections import Counter
from typing import Any

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.places.bundles import BundleShown, newest_bundles
from central.actions.places.devices import Device, DeviceId, describe
from central.store.schema import (
    device_moves,
    devices,
    evidence,
    gates,
    join_tokens,
    list_entries,
    lists,
    manifests,
    under_own_key,
    venues,
)
from protocol.envelope import unwrap
from protocol.messages import Ask, Health, Manifest, PartName, Poll, decode

BUNDLES = 5
OUTSIDE = (PartName.STATE.value, PartName.ASK.value, PartName.FORGET.value)
"""Parts that no manifest names."""


class DeviceParams(Params, frozen=True):
    """Which one."""

    device: DeviceId


class PartShown(msgspec.Struct, frozen=True):
    """A part of the manifest: the version that the device held at its newest poll, 0 = none, and the published one."""

    name: str
    held: int
    published: int
    is_current: bool


class MoveShown(msgspec.Struct, frozen=True):
    """From one gate to another."""

    at_ms: int
    from_gate: str
    to_gate: str
    who: str
    why: str


class HealthShown(msgspec.Struct, frozen=True):
    """As the device told it, maybe a while ago. 0 = not known; `clock`: trusted, unconfirmed, behind, ahead."""

    at_ms: int
    version: str
    clock: str
    machine_s: int
    agent_s: int
    disk_free_bytes: int
    disk_bytes: int
    memory_free_bytes: int
    memory_bytes: int
    certificate_until_ms: int


class DeviceShown(Result, frozen=True):
    """One device. `published`: the newest manifest that was made for it, at `published_ms`; 0 = none yet.
    `list_age_ms`: how long its list may have been out of date, null = it holds none. `replacing`: devices that wait to
    be confirmed in its place; `beside`: others that serve the same gate. `evidence`: how much there is of each
    kind. `health` null: it never told any; `can_bundle`: it can be asked for a support bundle."""

    device: Device
    domain: str
    confirmed_ms: int
    revoked_ms: int
    banned_ms: int
    published: int
    published_ms: int
    is_taken_up: bool
    published_parts: list[PartShown]
    list_age_ms: int | None
    wait_s: int
    health: HealthShown | None
    can_bundle: bool
    beside: list[str]
    replacing: list[str]
    moves: list[MoveShown]
    evidence: dict[str, int]
    bundles: list[BundleShown]


@action("device.show", DeviceParams, writes=False)
async def device_show(context: Context, params: DeviceParams) -> DeviceShown:
    """What the lists of devices have no room for."""
    query = (
        select(devices, gates.c.venue, venues.c.domain, lists.c.version.label("list_newest"))
        .join(gates, gates.c.id == devices.c.gate)
        .join(venues, venues.c.id == gates.c.venue)
        .outerjoin(lists, (lists.c.domain == venues.c.domain) & under_own_key(lists))
        .where(devices.c.id == params.device)
    )
    async with context.database.read() as connection:
        row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise ActionFailed(f"there is no device {params.device!r}: see `device list`")
        (device,) = await describe(context, connection, [row])
        report = decode(Poll, row.report) if row.report else None
        newest = await _newest_manifest(connection, row.id)
        return DeviceShown(
            device=device,
            domain=row.domain,
            confirmed_ms=row.confirmed_ms or 0,
            revoked_ms=row.revoked_ms or 0,
            banned_ms=row.banned_ms or 0,
            published=newest.number if newest else 0,
            published_ms=newest.at_ms if newest else 0,
            is_taken_up=bool(newest and report and report.manifest >= newest.number),
            published_parts=_parts(newest, report),
            list_age_ms=await _list_age_ms(connection, row, report, context.now_ms),
            wait_s=report.wait_s if report else 0,
            health=_health(row),
            can_bundle=row.state == "active" and report is not None and Ask.TYPE in report.understands,
            beside=await _beside(connection, row),
            replacing=await _replacing(connection, row.id),
            moves=await _moves(connection, row.id),
            evidence=await _evidence(connection, row.id),
            bundles=await newest_bundles(connection, context, row.id, BUNDLES),
        )


async def _newest_manifest(connection: AsyncConnection, device: str) -> Manifest | None:
    query = select(manifests.c.envelope).where(manifests.c.device == device).order_by(manifests.c.number.desc())
    envelope = (await connection.execute(query.limit(1))).scalar()
    return decode(Manifest, unwrap(envelope).payload) if envelope else None


def _parts(newest: Manifest | None, report: Poll | None) -> list[PartShown]:
    """Those that are published, then what is held beside them."""
    published = {part.name: part for part in newest.parts} if newest else {}
    held = {part.name: part for part in report.parts if part.name not in OUTSIDE} if report else {}
    return [
        PartShown(
            name=name,
            held=held[name].version if name in held else 0,
            published=published[name].version if name in published else 0,
            is_current=held.get(name) == published.get(name),
        )
        for name in dict.fromkeys((*published, *held))
    ]


async def _list_age_ms(connection: AsyncConnection, row: Any, report: Poll | None, now_ms: int) -> int | None:
    """Where it held the newest list at its newest poll, since then; else since a newer one was published."""
    held = next((part.version for part in report.parts if part.name == PartName.ALLOWLIST), 0) if report else 0
    if not held or not row.seen_ms:
        return None
    e = list_entries.c
    query = select(func.min(e.version)).where(e.domain == row.domain, under_own_key(list_entries), e.version > held)
    newer_ms = (await connection.execute(query)).scalar()  # versions are times, or a little later
    seen_ms = int(row.seen_ms)
    return max(0, now_ms - min(newer_ms or seen_ms, seen_ms))


def _health(row: Any) -> HealthShown | None:
    if row.health is None:
        return None
    told = decode(Health, row.health)
    return HealthShown(
        at_ms=row.health_ms or 0,
        version=told.version,
        clock=told.clock.name.lower(),
        machine_s=told.machine_s,
        agent_s=told.agent_s,
        disk_free_bytes=told.disk_free_bytes,
        disk_bytes=told.disk_bytes,
        memory_free_bytes=told.memory_free_bytes,
        memory_bytes=told.memory_bytes,
        certificate_until_ms=told.certificate_until_ms,
    )


async def _beside(connection: AsyncConnection, row: Any) -> list[str]:
    d = devices.c
    query = select(d.id).where(d.gate == row.gate, d.id != row.id, d.state == "active").order_by(d.id)
    return list((await connection.execute(query)).scalars())


async def _replacing(connection: AsyncConnection, device: str) -> list[str]:
    d, t = devices.c, join_tokens.c
    query = select(d.id).join(join_tokens, t.device == d.id).where(t.replaces == device, d.state == "pending")
    return list((await connection.execute(query.order_by(d.id))).scalars())


async def _moves(connection: AsyncConnection, device: str) -> list[MoveShown]:
    m = device_moves.c
    rows = await connection.execute(select(device_moves).where(m.device == device).order_by(m.at_ms.desc()).limit(100))
    return [MoveShown(row.at_ms, row.from_gate, row.to_gate, row.who, row.why) for row in rows]


async def _evidence(connection: AsyncConnection, device: str) -> dict[str, int]:
    query = select(evidence.c.kind, evidence.c.seen).where(evidence.c.device == device)
    found: Counter[str] = Counter()
    for kind, seen in await connection.execute(query):
        found[kind] += seen
    return dict(sorted(found.items()))
