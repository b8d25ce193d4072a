"""Parts that are the same for many devices: published reader profiles, and a domain's masked names for screens.

Their bodies are large, so looks go by version and digest, and a body is read and signed once for all who lack it.
"""

from collections import OrderedDict
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.keys import Keys
from central.privacy.consent import usable
from central.store.schema import consent_sets, name_lists, names, profiles, subjects
from central.wakeups import PROFILES_TOPIC, domain_topic, note
from protocol.configuration import MAX_NAMES, MAX_PROFILES_BYTES, MaskedName, Names, Profiles
from protocol.envelope import digest
from protocol.errors import Failure, Refused
from protocol.messages import Consents, Part, PartName, decode, encode

MAX_NAMES_BYTES = 6 * 1024 * 1024
"""An agent takes answers of 16 MiB (twice the largest message): names must leave room for a delta beside them."""
REMEMBERED = 4


# --- reader profiles ------------------------------------------------------------------------------------------


async def profiles_part(connection: AsyncConnection) -> Part | None:
    """What a manifest says of them; None where none was ever published. An emptied set stays a part."""
    query = select(profiles.c.version, profiles.c.digest).order_by(profiles.c.version.desc()).limit(1)
    row = (await connection.execute(query)).first()
    return None if row is None else Part(PartName.PROFILES, row.version, row.digest)


async def read_profiles(connection: AsyncConnection) -> Profiles:
    """The set in force; version 0 where none was ever published."""
    query = select(profiles.c.body).order_by(profiles.c.version.desc()).limit(1)
    body = (await connection.execute(query)).scalar()
    return Profiles(0, {}) if body is None else decode(Profiles, body)


async def put_profiles(connection: AsyncConnection, texts: Mapping[str, str], now_ms: int) -> int:
    """Publish this whole set as newer; returns its version. Raises Refused `oversized`."""
    version = max((await read_profiles(connection)).version + 1, now_ms)
    body = encode(Profiles(version, dict(sorted(texts.items()))))
    if len(body) > MAX_PROFILES_BYTES:
        raise Refused(
            Failure.OVERSIZED, f"the profiles would have {len(body)} bytes together, {MAX_PROFILES_BYTES} are sent"
        )
    values = {"version": version, "at_ms": now_ms, "digest": digest(body), "body": body}
    await connection.execute(insert(profiles).values(values))
    await note(connection, [PROFILES_TOPIC])
    return version


# --- masked names ---------------------------------------------------------------------------------------------


async def names_parts(connection: AsyncConnection, domains: Collection[str]) -> dict[str, Part]:
    """What manifests say of each domain's names, where any were ever published."""
    query = select(name_lists.c.domain, name_lists.c.version, name_lists.c.digest)
    rows = await connection.execute(query.where(name_lists.c.domain.in_(sorted(domains))))
    return {row.domain: Part(PartName.NAMES, row.version, row.digest) for row in rows}


async def put_names(connection: AsyncConnection, domain: str, now_ms: int, anew: bool = False) -> bool:
    """Publish the names of a domain's members where they are not what is published. Returns whether they are newer.

    `anew`: as newer even if nothing changed, for after a restore. Raises Refused `oversized`.
    """
    held = (await connection.execute(select(name_lists).where(name_lists.c.domain == domain))).one_or_none()
    now = await compose_names(connection, domain)
    if held is None and not now:
        return False
    if len(now) > MAX_NAMES:
        raise Refused(Failure.OVERSIZED, f"{domain} has {len(now):,} names, {MAX_NAMES:,} are sent")
    if held is not None and not anew and encode(Names(domain, held.version, now)) == held.body:
        return False
    version = max(held.version + 1, now_ms) if held is not None else now_ms
    body = encode(Names(domain, version, now))
    if len(body) > MAX_NAMES_BYTES:
        raise Refused(Failure.OVERSIZED, f"the names of {domain} have {len(body)} bytes, {MAX_NAMES_BYTES} are sent")
    await connection.execute(delete(name_lists).where(name_lists.c.domain == domain))
    values = {"domain": domain, "version": version, "at_ms": now_ms, "digest": digest(body), "body": body}
    await connection.execute(insert(name_lists).values(values))
    await note(connection, [domain_topic(domain)])
    return True


async def compose_names(connection: AsyncConnection, domain: str) -> tuple[MaskedName, ...]:
    """By subject, in one order, so that the same names are the same bytes; of those whose name may be shown."""
    query = (
        select(subjects.c.subject, names.c.name, names.c.member)
        .join(names, (names.c.domain == subjects.c.domain) & (names.c.member == subjects.c.member))
        .where(subjects.c.domain == domain)
        .order_by(subjects.c.subject)
    )
    rows = (await connection.execute(query)).all()
    shown = await usable(connection, {row.member for row in rows}, "screen-names")
    return tuple(MaskedName(row.subject, row.name) for row in rows if row.member in shown)


# --- sent to devices ------------------------------------------------------------------------------------------


BODIES: dict[str, tuple[Any, str]] = {
    PartName.PROFILES: (profiles, Profiles.TYPE),
    PartName.NAMES: (name_lists, Names.TYPE),
    PartName.CONSENTS: (consent_sets, Consents.TYPE),
}
"""Where each part's body stands, and what it is sent as."""


class SharedParts:
    """Signs each body once."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._made: OrderedDict[tuple[str, str, int], bytes] = OrderedDict()

    async def envelope(self, connection: AsyncConnection, part: Part, domain: str) -> bytes | None:
        """Of the part that a manifest names; None where a newer one took its place in this moment."""
        name = (part.name, domain if part.name == PartName.NAMES else "", part.version)
        if name not in self._made:
            table, kind = BODIES[part.name]
            query = select(table.c.body).where(table.c.version == part.version)
            if part.name == PartName.NAMES:
                query = query.where(table.c.domain == domain)
            body = (await connection.execute(query)).scalar()
            if body is None:
                return None
            self._made[name] = self._keys.publish.seal_payload(kind, body)
            if len(self._made) > REMEMBERED:
                self._made.popitem(last=False)
        return self._made[name]
