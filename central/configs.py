"""Configurations of gates as they are sent: the newest of each, and how a newer one comes to be.

A body is the payload that is signed. It holds the verifiers of the staff who may admit at the gate, made with the
domain's key, and the closures of its venue, so it is written anew when staff, key or closures change, and a content
that goes back gets those of today.
"""

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import and_, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.closures import Stated, at_venue, read_closures
from central.keys import Keys
from central.privacy.at_screens import put_consents
from central.store.schema import domains, gate_configs, gates, staff, venues
from central.wakeups import gate_topic, note
from protocol.configuration import MAX_CONFIG_BYTES, GateConfig, StaffPin
from protocol.envelope import digest
from protocol.errors import Failure, Refused
from protocol.messages import Ages, decode, encode
from protocol.pin import verifier


class ConfigPayload(NamedTuple):
    """A configuration, its ages, and the bytes that a manifest names and a poll is answered with."""

    config: GateConfig
    ages: Ages
    body: bytes
    digest: bytes

    @property
    def version(self) -> int:
        return self.config.version


async def read_configs(connection: AsyncConnection, ids: Collection[str]) -> dict[str, ConfigPayload]:
    """The configuration in force at each of these gates."""
    newest = (
        select(gate_configs.c.gate, func.max(gate_configs.c.version).label("version"))
        .where(gate_configs.c.gate.in_(sorted(ids)))
        .group_by(gate_configs.c.gate)
        .subquery()
    )
    of_newest = and_(gate_configs.c.gate == newest.c.gate, gate_configs.c.version == newest.c.version)
    rows = await connection.execute(select(gate_configs).join(newest, of_newest))
    return {row.gate: payload_of(row) for row in rows}


def payload_of(row: Any) -> ConfigPayload:
    """A row of `gate_configs`. Raises Refused for a body that does not decode."""
    return _payload(row.body, row.warn_ms, row.restrict_ms, row.close_ms)


@lru_cache(maxsize=4_096)
def _payload(body: bytes, *ages: int) -> ConfigPayload:
    return ConfigPayload(decode(GateConfig, body), Ages(*ages), body, digest(body))


async def put_config(
    connection: AsyncConnection,
    keys: Keys,
    content: GateConfig,
    ages: Ages,
    now_ms: int,
    stated: Sequence[Stated] | None = None,
) -> ConfigPayload:
    """Put a content in force at its gate, as newer than any before, with the staff and closures of today. Its waiters
    wake.

    Version, staff and closures of `content` do not matter. `stated`: all closures, where they were read already.
    Raises Refused `oversized` where it is too large to be sent.
    """
    newest = select(func.max(gate_configs.c.version)).where(gate_configs.c.gate == content.gate)
    held = (await connection.execute(newest)).scalar()
    version = max(held + 1, now_ms) if held is not None else now_ms
    place = select(venues.c.id).join(gates, gates.c.venue == venues.c.id).join(domains, domains.c.id == venues.c.domain)
    keyed = place.where(gates.c.id == content.gate).with_for_update(read=True, of=domains)  # no other key meanwhile
    venue = (await connection.execute(keyed)).scalar_one()
    people = await staff_of(connection, keys, content)
    closed = at_venue(await read_closures(connection) if stated is None else stated, venue, now_ms)
    body = _body(msgspec.structs.replace(content, version=version, staff=people, closures=closed))
    if len(body) > MAX_CONFIG_BYTES:
        raise Refused(
            Failure.OVERSIZED,
            f"the configuration of {content.gate} would have {len(body)} bytes, {MAX_CONFIG_BYTES} are sent",
        )
    values = {"gate": content.gate, "version": version, "at_ms": now_ms, "body": body}
    await connection.execute(insert(gate_configs).values(values | msgspec.structs.asdict(ages)))
    if content.screen.consents:  # those of before this version were never published
        await put_consents(connection, now_ms)
    await note(connection, [gate_topic(content.gate)])
    return _payload(body, *msgspec.structs.astuple(ages))


def _body(config: GateConfig) -> bytes:
    """A gate that asks for no consent is sent no word of it: an agent that does not know that key refuses the whole."""
    said = msgspec.to_builtins(config, builtin_types=(bytes,))
    if not config.screen.consents:
        del said["screen"]["consents"]
    return encode(said)


async def renew_closures(connection: AsyncConnection, keys: Keys, now_ms: int, venue: str = "") -> list[str]:
    """Publish to the gates of a venue, or of all, when it is closed. Returns those whose configuration became newer."""
    query = select(gates.c.id, gates.c.venue).order_by(gates.c.id)
    rows = (await connection.execute(query.where(gates.c.venue == venue) if venue else query)).all()
    stated = await read_closures(connection)
    configs = await read_configs(connection, [row.id for row in rows])
    renewed = []
    for gate, of_venue in rows:
        held = configs.get(gate)
        if held is not None and held.config.closures != at_venue(stated, of_venue, now_ms):
            await put_config(connection, keys, held.config, held.ages, now_ms, stated)
            renewed.append(gate)
    return renewed


# --- staff ----------------------------------------------------------------------------------------------------


async def renew_staff(
    connection: AsyncConnection, keys: Keys, now_ms: int, *, venue: str = "", domain: str = ""
) -> list[str]:
    """Publish to the gates of a venue, or of a domain whose key may have changed, who may admit by hand now.

    Returns the gates whose configuration became newer for it.
    """
    query = select(gates.c.id).join(venues, venues.c.id == gates.c.venue).order_by(gates.c.id)
    query = query.where(venues.c.id == venue) if venue else query.where(venues.c.domain == domain)
    concerned: Sequence[str] = (await connection.execute(query)).scalars().all()
    renewed = []
    for gate, held in sorted((await read_configs(connection, concerned)).items()):
        if held.config.staff != await staff_of(connection, keys, held.config):
            await put_config(connection, keys, held.config, held.ages, now_ms)
            renewed.append(gate)
    return renewed


async def staff_of(connection: AsyncConnection, keys: Keys, content: GateConfig) -> tuple[StaffPin, ...]:
    """Everybody of the gate's venue, under the domain's key in force; nobody where the gate offers them nothing.

    Raises Refused where a sealed PIN was altered, OSError where the domain's key is not there.
    """
    if not (content.screen.staff_admit or content.screen.staff_close):
        return ()
    query = (
        select(staff, venues.c.domain, domains.c.key_number)
        .join(venues, venues.c.id == staff.c.venue)
        .join(domains, domains.c.id == venues.c.domain)
        .join(gates, gates.c.venue == venues.c.id)
        .where(gates.c.id == content.gate)
        .order_by(staff.c.id)
    )
    rows = (await connection.execute(query)).all()
    return tuple(_held_pin(keys, row) for row in rows)


def _held_pin(keys: Keys, row: Any) -> StaffPin:
    slowed = keys.open_pin(row.slow_sealed, row.venue, row.id, row.salt)
    return StaffPin(row.id, row.salt, verifier(keys.domain_key(row.domain, row.key_number), row.id, slowed))
