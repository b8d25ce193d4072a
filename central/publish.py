"""What each device should hold, and the signed messages that say so (SPEC §5.8–5.12, §7).

`offers` reads what a device should hold; where that is not what its newest manifest says, the offer is `due`
and `issue` signs and stores the next manifest. `Publisher` turns an offer into the answer to a poll.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
import structlog
from sqlalchemy import and_, bindparam, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.bind_sessions import SessionPart, session_parts
from central.configs import ConfigPayload, read_configs
from central.generation import generation_of
from central.keys import Keys
from central.lists import refresh_domain, refresh_members
from central.policies import PolicyPayload, read_policies
from central.privacy.at_screens import consents_part
from central.shared_parts import names_parts, profiles_part
from central.store.schema import devices, domains, gates, lists, manifests, venues
from protocol.allowlist import list_digest
from protocol.envelope import digest, domain_key_digest, unwrap
from protocol.messages import Bind, Consents, Manifest, Names, Part, PartName, Poll, Profiles, decode, encode

__all__ = ["Offer", "issue", "manifest_for", "offers", "refresh_domain", "refresh_members"]

SENT_WITHIN_MS = 60_000
"""A manifest that a device does not hold is sent with a time no older than this: its age is the gate's staleness."""
MAX_REPORTED = 2**52

log = structlog.get_logger()


class Offer(NamedTuple):
    """What one device should hold, as of one instant of the database."""

    device: str
    content: Manifest
    """All of the manifest but its number and times, which are 0."""
    sealing_public: bytes
    key: bytes
    key_number: int
    policy: PolicyPayload | None
    config: ConfigPayload
    list_count: int
    list_sum: bytes
    list_base: int
    stored: Manifest | None
    envelope: bytes
    due: bool
    """The stored manifest is not this content, or is too old or too low to be sent."""
    session: SessionPart | None = None
    """An open one, in which the next card is to be bound."""

    def part(self, name: PartName) -> Part | None:
        return next((part for part in self.content.parts if part.name == name), None)


async def offers(
    connection: AsyncConnection, keys: Keys, polls: dict[str, Poll | None], now_ms: int
) -> dict[str, Offer]:
    """By device; devices that are not active are left out. `polls`: what each said last, where it is known."""
    rows = (await connection.execute(_places(polls))).all()
    policies = await read_policies(connection, {row.id: row.policy for row in rows})
    configs = await read_configs(connection, {row.id for row in rows})
    names = await names_parts(connection, {row.domain for row in rows})
    shared = _Shared(await profiles_part(connection), names, await consents_part(connection))
    stored, sessions = await _stored(connection, polls), await session_parts(connection, now_ms)
    generation = await generation_of(connection)
    domain_keys: dict[tuple[str, int], bytes] = {}
    found = {}
    for row in rows:
        named = (row.domain, row.key_number)
        if named not in domain_keys:
            domain_keys[named] = keys.domain_key(*named)
        poll = polls[row.device]
        policy = _understood(row.device, policies.get(row.id), poll)
        config = configs[row.id]
        parts = _parts(row, domain_keys[named], policy, config) + _screen_parts(row, config, shared, poll)
        session = sessions.get(row.device) if poll is not None and Bind.TYPE in poll.understands else None
        parts += [session.part] if session is not None else []
        content = Manifest(
            *(row.device, 0, 0, 0, row.domain, row.venue, row.id, tuple(parts), config.ages),
            *(generation, keys.statement.number),
        )
        found[row.device] = _offer(
            row, content, domain_keys[named], policy, config, stored.get(row.device), poll, now_ms
        )._replace(session=session)
    return found


async def issue(
    connection: AsyncConnection, keys: Keys, due: Sequence[Offer], polls: dict[str, Poll | None], now_ms: int
) -> dict[str, Offer]:
    """Sign and store the next manifest of each; returns the offers with it. One transaction for any number."""
    issued, rows, spent = {}, [], []
    for offer in due:
        poll = polls.get(offer.device)
        previous = offer.stored.number if offer.stored else 0
        number = max(previous + 1, now_ms, _reported(poll) + 1)
        manifest = msgspec.structs.replace(
            offer.content, number=number, at_ms=now_ms, expires_ms=now_ms + offer.content.ages.close_ms
        )
        envelope = keys.publish.seal(manifest)
        rows.append(
            {
                "device": offer.device,
                "number": number,
                "at_ms": now_ms,
                "content": _content_digest(offer.content),
                "envelope": envelope,
            }
        )
        spent.append((offer.device, previous))
        issued[offer.device] = offer._replace(stored=manifest, envelope=envelope, due=False)
    if rows:
        await connection.execute(insert(manifests), rows)
        await _forget(connection, spent)
    return issued


async def manifest_for(connection: AsyncConnection, keys: Keys, device: str, now_ms: int) -> bytes:
    """The envelope of a device's newest manifest, issued now if what it should hold has changed.

    Raises LookupError for a device that is not active.
    """
    polls: dict[str, Poll | None] = {device: await last_poll(connection, device)}
    offer = (await offers(connection, keys, polls, now_ms)).get(device)
    if offer is None:
        raise LookupError(f"device {device} is not active")
    if offer.stored is None or offer.due:
        offer = (await issue(connection, keys, [offer], polls, now_ms))[device]
    return offer.envelope


async def last_poll(connection: AsyncConnection, device: str) -> Poll | None:
    """What a device reported last."""
    report = (await connection.execute(select(devices.c.report).where(devices.c.id == device))).scalar()
    return decode(Poll, report) if report else None


# --- what a device should hold --------------------------------------------------------------------------------


def _places(ids: Iterable[str]) -> Any:
    return (
        select(
            devices.c.id.label("device"),
            devices.c.sealing_public,
            gates,
            venues.c.domain,
            domains.c.key_number,
            lists.c.version.label("list_version"),
            lists.c.count.label("list_count"),
            lists.c.sum.label("list_sum"),
            lists.c.base.label("list_base"),
        )
        .join(gates, gates.c.id == devices.c.gate)
        .join(venues, venues.c.id == gates.c.venue)
        .join(domains, domains.c.id == venues.c.domain)
        .outerjoin(lists, (lists.c.domain == domains.c.id) & (lists.c.key_number == domains.c.key_number))
        .where(devices.c.id.in_(list(ids)), devices.c.state == "active")
    )


async def _stored(connection: AsyncConnection, ids: Iterable[str]) -> dict[str, Any]:
    """The newest manifest of each device."""
    newest = (
        select(manifests.c.device, func.max(manifests.c.number).label("number"))
        .where(manifests.c.device.in_(list(ids)))
        .group_by(manifests.c.device)
        .subquery()
    )
    query = select(manifests).join(
        newest, and_(manifests.c.device == newest.c.device, manifests.c.number == newest.c.number)
    )
    return {row.device: row for row in await connection.execute(query)}


def _parts(row: Any, key: bytes, policy: PolicyPayload | None, config: ConfigPayload) -> list[Part]:
    parts = [
        Part(PartName.DOMAIN_KEY, row.key_number, domain_key_digest(row.key_number, key)),
        Part(PartName.CONFIG, config.version, config.digest),
    ]
    if policy is not None:
        parts.append(Part(PartName.POLICY, policy.version, policy.digest))
    if row.list_version:
        sum_ = int.from_bytes(row.list_sum)
        list_ = list_digest(row.domain, row.key_number, row.list_count, sum_)
        parts.append(Part(PartName.ALLOWLIST, row.list_version, list_))
    return parts


class _Shared(NamedTuple):
    profiles: Part | None
    names: dict[str, Part]
    consents: Part | None


def _screen_parts(row: Any, config: ConfigPayload, shared: _Shared, poll: Poll | None) -> list[Part]:
    """What an agent gets only if it said that it understands it: profiles, and names and notices of consent where its
    screen shows them."""
    understands, screen = poll.understands if poll is not None else (), config.config.screen
    profiles, names, consents = shared.profiles, shared.names.get(row.domain), shared.consents
    found = []
    if profiles is not None and Profiles.TYPE in understands:
        found.append(profiles)
    if names is not None and screen.names and Names.TYPE in understands:
        found.append(names)
    if consents is not None and screen.consents and Consents.TYPE in understands:
        found.append(consents)
    return found


def _offer(
    row: Any,
    content: Manifest,
    key: bytes,
    policy: PolicyPayload | None,
    config: ConfigPayload,
    stored: Any,
    poll: Poll | None,
    now_ms: int,
) -> Offer:
    manifest = decode(Manifest, unwrap(stored.envelope).payload) if stored else None
    return Offer(
        row.device,
        content,
        row.sealing_public,
        key,
        row.key_number,
        policy,
        config,
        row.list_count or 0,
        row.list_sum or b"",
        row.list_base or 0,
        manifest,
        stored.envelope if stored else b"",
        stored is None or stored.content != _content_digest(content) or _unfit_to_send(manifest, poll, now_ms),
    )


def _content_digest(content: Manifest) -> bytes:
    return digest(encode(content))


def _unfit_to_send(stored: Manifest | None, poll: Poll | None, now_ms: int) -> bool:
    """A device that holds another one than is stored here: this database may have been restored (§7.1)."""
    if stored is None or poll is None or poll.manifest == stored.number:
        return False
    return _reported(poll) > stored.number or stored.at_ms < now_ms - SENT_WITHIN_MS


def _reported(poll: Poll | None) -> int:
    """The manifest number that a device holds; one that leaves no room above it is nothing we ever issued."""
    return poll.manifest if poll is not None and poll.manifest < MAX_REPORTED else 0


def _understood(device: str, policy: PolicyPayload | None, poll: Poll | None) -> PolicyPayload | None:
    """A rule that a gate cannot evaluate is not published to it: its last good policy goes on there."""
    if policy is None or poll is None:
        return policy
    lacking: Collection[str] = policy.kinds - set(poll.understands)
    if lacking:
        log.warning("policy-not-understood", device=device, policy=policy.version, lacking=sorted(lacking))
        return None
    return policy


async def _forget(connection: AsyncConnection, spent: Sequence[tuple[str, int]]) -> None:
    """Manifests before the previous one say nothing that the tables do not."""
    statement = delete(manifests).where(
        manifests.c.device == bindparam("of_device"), manifests.c.number < bindparam("previous")
    )
    await connection.execute(statement, [{"of_device": device, "previous": number} for device, number in spent])
