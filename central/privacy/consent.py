"""Who agreed to what. The last statement of a member and purpose holds; no statement is neither yes nor no.

Before consent to a purpose is required, what was published goes on, but a withdrawal counts from the moment it is
said. From then on only a given consent counts. Lists are compiled by what the tables say, never by the clock.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.privacy.purposes import purpose_of_class, purposes
from central.store.schema import consent_rules, consents
from central.store.slices import slices
from protocol.allowlist import Grant

GIVEN, WITHDRAWN = "given", "withdrawn"

Standing = dict[tuple[bytes, str], str]
"""By member and purpose: given or withdrawn."""


class Said(NamedTuple):
    """What a member said of a purpose, and how it became known."""

    member: bytes
    purpose: str
    state: str
    notice: int
    at_ms: int
    how: str
    who: str
    why: str


async def consented(connection: AsyncConnection, members: Collection[bytes], purpose: str) -> set[bytes]:
    """Those of these members who agreed to the purpose and did not take it back."""
    held = await standing(connection, members, [purpose])
    return {member for (member, _), state in held.items() if state == GIVEN}


async def usable(connection: AsyncConnection, members: Collection[bytes], purpose: str) -> set[bytes]:
    """Those of these members whose data may be used for the purpose as things stand: by consent where that is needed,
    and else of all who did not object."""
    need = purposes()[purpose].consent
    if need == "never":
        return set(members)
    held = await standing(connection, members, [purpose])
    strict = need == "always" or purpose in await required(connection)
    return {member for member in members if _is_usable(held.get((member, purpose)), strict)}


async def published_grants(
    connection: AsyncConnection, grants: Mapping[bytes, tuple[Grant, ...]]
) -> dict[bytes, tuple[Grant, ...]]:
    """Classes of members without the sensitive ones that no gate may learn of."""
    covered = purpose_of_class()
    concerned = [member for member, held in grants.items() if any(grant.name in covered for grant in held)]
    if not concerned:
        return dict(grants)
    held = await standing(connection, concerned, sorted(set(covered.values())))
    strict = await required(connection)
    kept = dict(grants)
    for member in concerned:
        kept[member] = tuple(
            grant
            for grant in grants[member]
            if (purpose := covered.get(grant.name)) is None
            or _is_usable(held.get((member, purpose)), purpose in strict)
        )
    return kept


def _is_usable(state: str | None, strict: bool) -> bool:
    return state == GIVEN or (state is None and not strict)


async def standing(connection: AsyncConnection, members: Collection[bytes], names: Collection[str]) -> Standing:
    """What holds of these members for these purposes; nothing where they said nothing."""
    found: Standing = {}
    c = consents.c
    for some in slices(sorted(set(members))):
        query = select(c.member, c.purpose, c.state).where(c.member.in_(some), c.purpose.in_(sorted(names)))
        for member, purpose, state in await connection.execute(query.order_by(c.member, c.purpose, c.place)):
            found[member, purpose] = state
    return found


async def required(connection: AsyncConnection) -> set[str]:
    """Purposes for which only a given consent counts now, beside those that always need one."""
    query = select(consent_rules.c.purpose).where(consent_rules.c.required)
    return set((await connection.execute(query)).scalars())


async def state_consents(connection: AsyncConnection, said: Collection[Said], known_ms: int) -> list[bytes]:
    """Append what was said, where it is not what holds already, or was said again later: what comes late from a kiosk
    is held against the newest word. Returns the members for whom that changes anything.

    One statement of a member and purpose at a time."""
    last = await _last(connection, {one.member for one in said}, {one.purpose for one in said})
    rows, changed = [], set()
    for one in said:
        before = last.get((one.member, one.purpose), NOTHING_SAID)
        if before.state != one.state or one.at_ms > before.at_ms:
            rows.append(one._asdict() | {"place": before.place + 1, "known_ms": known_ms})
        if before.state != one.state:
            changed.add(one.member)
    if rows:
        await connection.execute(insert(consents), rows)
    return sorted(changed)


async def newest_ms(connection: AsyncConnection, members: Collection[bytes], purpose: str) -> dict[bytes, int]:
    """When these members said something of the purpose last; of those who ever did."""
    last = await _last(connection, members, [purpose])
    return {member: said.at_ms for (member, _), said in last.items()}


class _Last(NamedTuple):
    place: int
    state: str
    at_ms: int
    """The newest of all that was said."""


NOTHING_SAID = _Last(0, "", -1)


async def _last(
    connection: AsyncConnection, members: Collection[bytes], names: Collection[str]
) -> dict[tuple[bytes, str], _Last]:
    found: dict[tuple[bytes, str], _Last] = {}
    c = consents.c
    for some in slices(sorted(members)):
        query = select(c.member, c.purpose, c.place, c.state, c.at_ms)
        query = query.where(c.member.in_(some), c.purpose.in_(sorted(names)))
        for member, purpose, place, state, at_ms in await connection.execute(query.order_by(c.place)):
            newest = max(at_ms, found.get((member, purpose), NOTHING_SAID).at_ms)
            found[member, purpose] = _Last(place, state, newest)
    return found
