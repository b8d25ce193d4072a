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
    """Append what was said, where it is not what holds already. Returns the members for whom that changes anything.

    One statement of a member and purpose at a time."""
    names = {one.purpose for one in said}
    held = await standing(connection, {one.member for one in said}, names)
    places = await _places(connection, {one.member for one in said}, names)
    new = [one for one in said if held.get((one.member, one.purpose)) != one.state]
    rows = [
        one._asdict() | {"place": places.get((one.member, one.purpose), 0) + 1, "known_ms": known_ms} for one in new
    ]
    if rows:
        await connection.execute(insert(consents), rows)
    return sorted({one.member for one in new})


async def _places(
    connection: AsyncConnection, members: Collection[bytes], names: Collection[str]
) -> dict[tuple[bytes, str], int]:
    found: dict[tuple[bytes, str], int] = {}
    c = consents.c
    for some in slices(sorted(members)):
        query = select(c.member, c.purpose, c.place).where(c.member.in_(some), c.purpose.in_(sorted(names)))
        for member, purpose, place in await connection.execute(query.order_by(c.place)):
            found[member, purpose] = place
    return found
