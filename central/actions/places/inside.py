"""Who may be inside a venue now, as central knows."""

from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import Context, Params, Result, action
from central.actions.places.places import must_exist
from central.configs import read_configs
from central.details import read_detail
from central.inside import CERTAIN, Inside, Seen, who_may_be_inside
from central.store.schema import devices, events, gates, members, names, subjects, venues
from central.store.slices import slices
from protocol.errors import Refused
from protocol.messages import Kind, Personal, Poll, decode
from protocol.presence import counted_from_ms

SILENT_MS = 120_000
"""A device that was not heard of for so long may have taps that are not known here."""
KINDS = (Kind.TAP, Kind.PASSAGE, Kind.UNDO, Kind.ADMIT)


class InsideParams(Params, frozen=True):
    """Which venue."""

    venue: str


class Person(msgspec.Struct, frozen=True):
    """Somebody who may be inside. `member` empty: let in by hand `by` staff. `how`: see `central.inside.How`."""

    member: str
    name: str
    """Masked, of a member who agreed."""
    gate: str
    since_ms: int
    how: str
    by: str


class InsideResult(Result, frozen=True):
    """By time of entry, of those who came since `from_ms`. `behind`: gates that may know more than is known here."""

    venue: str
    from_ms: int
    certain: int
    doubtful: int
    people: list[Person]
    behind: list[str]


@action("inside", InsideParams, writes=False)
async def inside(context: Context, params: InsideParams) -> InsideResult:
    """Out of what is in custody; gates that are cut off are named."""
    async with context.database.read() as connection:
        await must_exist(connection, venues, params.venue, "venue")
        query = select(venues.c.domain, venues.c.time_zone).where(venues.c.id == params.venue)
        domain, zone = (await connection.execute(query)).one()
        of_venue = select(gates.c.id).where(gates.c.venue == params.venue)
        ids = list((await connection.execute(of_venue)).scalars())
        configs = await read_configs(connection, ids)
        from_ms = counted_from_ms(context.now_ms, ZoneInfo(zone))
        watched = {gate for gate, held in configs.items() if held.config.release.passage != "none"}
        found = who_may_be_inside(await _events(connection, ids, from_ms), watched)
        people = await _people(connection, domain, found)
        behind = await _behind(connection, ids, context.now_ms)
    certain = sum(one.how in CERTAIN for one in found)
    return InsideResult(
        venue=params.venue,
        from_ms=from_ms,
        certain=certain,
        doubtful=len(found) - certain,
        people=people,
        behind=behind,
    )


async def _events(connection: AsyncConnection, ids: list[str], from_ms: int) -> list[Seen]:
    e = events.c
    columns = (e.device, e.epoch, e.sequence, e.at_ms, e.gate, e.kind, e.direction, e.decision, e.personal, e.detail)
    query = select(*columns).where(e.gate.in_(ids), e.at_ms >= from_ms, e.kind.in_(KINDS), e.outcome == "accepted")
    return [_seen(row) for row in await connection.execute(query)]


def _seen(row: Any) -> Seen:
    device, epoch, sequence, at_ms, gate, kind, direction, decision, personal, detail = row
    about = _subject(personal), read_detail(kind, detail)
    return Seen(device, epoch, sequence, at_ms, gate, kind, direction, decision, *about)


def _subject(personal: bytes | None) -> bytes:
    """Empty where the part was destroyed: whoever is forgotten is counted nowhere."""
    try:
        return decode(Personal, personal).subject if personal else b""
    except Refused:
        return b""


async def _people(connection: AsyncConnection, domain: str, found: list[Inside]) -> list[Person]:
    known: dict[bytes, tuple[str, str]] = {}
    named = (names.c.domain == subjects.c.domain) & (names.c.member == subjects.c.member)
    for some in slices([one.subject for one in found if one.subject]):
        query = select(subjects.c.subject, members.c.reference, names.c.name)
        query = query.join(members, members.c.id == subjects.c.member).outerjoin(names, named)
        query = query.where(subjects.c.domain == domain, subjects.c.subject.in_(some))
        known.update((subject, (reference, name or "")) for subject, reference, name in await connection.execute(query))
    return [
        Person(*known.get(one.subject, (one.subject.hex(), "")), one.gate, one.since_ms, one.how.value, one.by)
        for one in found
    ]


async def _behind(connection: AsyncConnection, ids: list[str], now_ms: int) -> list[str]:
    query = select(devices.c.gate, devices.c.seen_ms, devices.c.report).where(devices.c.gate.in_(ids))
    found = set()
    for gate, seen_ms, report in await connection.execute(query.where(devices.c.state == "active")):
        waiting = decode(Poll, report).backlog if report else 0
        if waiting or (seen_ms or 0) < now_ms - SILENT_MS:
            found.add(gate)
    return sorted(found)
