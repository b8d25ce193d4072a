"""What people stated about single taps, once the taps are nobody's: it goes with them."""

from collections.abc import Collection

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.facts import FactBody, read
from central.privacy.found import EventName
from central.services.judging.stated import ABOUT_CONFLICTS, ChargeCorrected
from central.services.visits.stated import VisitCorrected
from central.store.schema import denials, facts, marks
from central.store.slices import named

BEFORE: tuple[type[FactBody], ...] = (*ABOUT_CONFLICTS, ChargeCorrected)
"""Goes before the taps do, so that nothing is computed of it any more."""
AFTER: tuple[type[FactBody], ...] = (VisitCorrected,)
"""Goes after them: what it took off their visits is kept with the counts."""


async def members_of(connection: AsyncConnection, names: Collection[EventName]) -> dict[str, set[bytes]]:
    """By domain: whose taps and denials these are."""
    found: dict[str, set[bytes]] = {}
    for table in (marks, denials):
        t = table.c
        for these in named((t.device, t.epoch, t.sequence), names):
            for domain, subject in await connection.execute(select(t.domain, t.subject).where(these).distinct()):
                if subject:
                    found.setdefault(domain, set()).add(subject)
    return found


async def forget_said(
    connection: AsyncConnection,
    members: dict[str, set[bytes]],
    names: Collection[EventName],
    kinds: Collection[type[FactBody]],
) -> int:
    """What was stated of these events of these members. Returns how many facts went."""
    events = {(epoch, sequence) for _, epoch, sequence in names}
    gone = [
        (fact.domain, fact.id)
        for domain, subjects in sorted(members.items())
        for fact in await read(connection, kinds, domain=domain, subjects=subjects)
        if (fact.body.epoch, fact.body.sequence) in events
    ]
    return await forget_facts(connection, gone)


async def forget_facts(connection: AsyncConnection, ids: Collection[tuple[str, bytes]]) -> int:
    """Facts by domain and id. Returns how many went."""
    gone = 0
    for these in named((facts.c.domain, facts.c.id), ids):
        gone += (await connection.execute(delete(facts).where(these))).rowcount
    return gone
