"""Retention of points: what was given and spent in closed months, once no balance depends on it any more.

A member's account goes as a whole through a moment, with the taps that bore it; what the accounts came to stays, as
nobody's (`central.privacy.kept`).
"""

from collections.abc import Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import delete, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.facts import read
from central.privacy.destroying import destroy_with_what_was_said
from central.privacy.holds import held_subjects
from central.privacy.kept import keep_points
from central.privacy.retention.progress import MembersPass, note_progress, read_progress
from central.privacy.retention.rules import POINTS, cutoffs, due_before
from central.privacy.retention.settled_points import settled_before
from central.privacy.retention.tap_purposes import Tap, bears_points, checks_in, first_that_stays, signs
from central.privacy.said import forget_facts
from central.services.points.accounts import HEARD_MARKS, plans_of, read_members
from central.services.points.closing import closed_until_ms, members_after
from central.services.points.stated import ENTRIES
from central.services.projector import settle_services, tell
from central.services.service import Touched
from central.services.turns import one_at_a_time
from central.store.database import Database
from central.store.schema import domains, marks, point_months, reservations

PROGRESS = "retained-points"
"""Key in `meta`."""
MOST_TAPS = 250
"""Of one member in one transaction, if a month has no more."""
_m, _r = marks.c, reservations.c


class Going(NamedTuple):
    """Before when a member's points go, and the taps that go with them."""

    before_ms: int
    taps: list[Tap]


async def destroy_due_points(database: Database, now_ms: int) -> int:
    """The next members of one domain; returns how many were looked at, 0 = nothing is due in this pass."""
    async with database.read() as connection:
        before_ms = await due_before(connection, POINTS, now_ms)
        if not before_ms:
            return 0
        progress = await read_progress(connection, PROGRESS, MembersPass, now_ms)
        for domain in (await connection.execute(select(domains.c.id).order_by(domains.c.id))).scalars().all():
            after = bytes.fromhex(progress.domains.get(domain, ""))
            members = await members_after(connection, domain, after)
            if members:
                break
        else:
            return 0
        found = await _going(connection, domain, members, before_ms, now_ms)
    progress.domains[domain] = members[-1].hex()
    for subject in sorted(found):
        while await _step(database, domain, subject, now_ms):
            pass
    async with database.write() as connection:
        await note_progress(connection, PROGRESS, progress)
    return len(members)


async def _step(database: Database, domain: str, subject: bytes, now_ms: int) -> bool:
    """Some of one member's, in one transaction. Whether there was anything."""
    async with database.write() as connection:
        await one_at_a_time(connection)
        before_ms = await due_before(connection, POINTS, now_ms)  # less, where a hold was put since
        going = (await _going(connection, domain, [subject], before_ms, now_ms)).get(subject)
        if going is not None:
            await _destroy(connection, domain, subject, going, now_ms)
    return going is not None


async def _going(
    connection: AsyncConnection, domain: str, members: Sequence[bytes], before_ms: int, now_ms: int
) -> dict[bytes, Going]:
    """Of these members, those of whom something may go, and what."""
    plans, held = await plans_of(connection, domain), await held_subjects(connection)
    zone, closed_ms = ZoneInfo(plans.time_zone), await closed_until_ms(connection, domain)
    before = await cutoffs(connection, now_ms)
    found = {}
    for subject, account in (await read_members(connection, domain, set(members) - held, plans)).items():
        bound_ms = min(before_ms, closed_ms) if account.entries else before_ms
        taps = await _taps(connection, domain, subject, bound_ms)
        if not taps and not any(each.at_ms < bound_ms for each in account.entries):
            continue
        stays_ms = await first_that_stays(connection, taps, before, or_(signs(), checks_in()))
        bounds = [bound_ms, *(() if stays_ms is None else (stays_ms,))]
        some_ms = min(*bounds, taps[MOST_TAPS].at_ms) if len(taps) > MOST_TAPS else 0
        taps_ms = [tap.at_ms for tap in taps]
        settled_ms = settled_before(account, taps_ms, some_ms, zone)
        settled_ms = settled_ms or settled_before(account, taps_ms, min(bounds), zone)
        if settled_ms:
            found[subject] = Going(settled_ms, [tap for tap in taps if tap.at_ms < settled_ms])
    return found


async def _taps(connection: AsyncConnection, domain: str, subject: bytes, before_ms: int) -> list[Tap]:
    """Those that bear this member's points, with the moments at which they are booked."""
    these = (_m.domain == domain) & (_m.subject == subject)
    query = HEARD_MARKS.where(these, await bears_points(connection, domain))
    taps = [
        Tap((row.device, row.epoch, row.sequence), min(row.at_ms, row.heard_ms or row.at_ms), row.venue)
        for row in await connection.execute(query)
    ]
    return sorted((tap for tap in taps if tap.at_ms < before_ms), key=lambda tap: (tap.at_ms, tap.name))


async def _destroy(connection: AsyncConnection, domain: str, subject: bytes, going: Going, now_ms: int) -> None:
    """Causes and what was booked of them first, so that the ledger comes out the same without them."""
    p = point_months.c
    mine = (p.domain == domain) & (p.subject == subject) & (p.at_ms < going.before_ms)
    await connection.execute(delete(point_months).where(mine))
    promised = (_r.domain == domain) & (_r.subject == subject) & (_r.state != "open")
    await connection.execute(delete(reservations).where(promised, _r.lapse_ms < going.before_ms))
    stated = await read(connection, ENTRIES, domain=domain, subjects=[subject])
    await forget_facts(connection, [(domain, fact.id) for fact in stated if fact.at_ms < going.before_ms])
    await keep_points(connection, domain, subject, going.before_ms)
    await destroy_with_what_was_said(connection, [tap.name for tap in going.taps], now_ms)
    touched = [Touched(domain, subject, going.before_ms)]
    await tell(connection, await settle_services(connection, touched), now_ms)
