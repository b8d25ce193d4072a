"""What is known now of whose taps are: read for those who settle them."""

from collections.abc import Collection

from sqlalchemy.ext.asyncio import AsyncConnection

from central.facts import read
from central.people.attribution import AS_TOLD, Attribution, Reattributed

SUBJECTS_AT_ONCE = 500


async def attribution_of(connection: AsyncConnection, domain: str, told: Collection[bytes]) -> Attribution:
    """Of taps in a domain that name these subjects."""
    found: list[tuple[bytes, Reattributed]] = []
    ordered = sorted(set(told) - {b""})
    for at in range(0, len(ordered), SUBJECTS_AT_ONCE):
        some = ordered[at : at + SUBJECTS_AT_ONCE]
        facts = await read(connection, [Reattributed], domain=domain, subjects=some)
        found += [(fact.subject, fact.body) for fact in facts]
    return Attribution(found) if found else AS_TOLD
