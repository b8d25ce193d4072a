"""After a gate was stolen: what it held, whom that concerns and by when to tell them; and a new key for its domain."""

from collections import Counter
from typing import Annotated, Any

import msgspec
from sqlalchemy import func, select, union
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.places.places import must_exist
from central.leaving import ever
from central.privacy.incidents import TELL_WITHIN_MS, learned_of
from central.rotating import begin, go_on
from central.store.schema import (
    denials,
    devices,
    domains,
    gates,
    list_entries,
    lists,
    marks,
    members,
    names,
    staff,
    under_own_key,
    venues,
)
from protocol.allowlist import Entry
from protocol.messages import PartName, Poll, decode

HOUR_MS = 3_600_000
KEPT_MS = 30 * 24 * HOUR_MS
"""For so long after the receipt a gate keeps the personal parts of its own events."""
ROWS_AT_ONCE = 2_000


class HeldParams(Params, frozen=True, kw_only=True):
    """`learned_ms`: when somebody learned of it, 0 = as the open incident about the device says, else now.
    `lost_ms`: when it was lost, 0 = as it was last heard of."""

    device: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    learned_ms: Annotated[int, msgspec.Meta(ge=0, le=253_370_764_799_999)] = 0
    lost_ms: Annotated[int, msgspec.Meta(ge=0, le=253_370_764_799_999)] = 0


class DeviceHeld(Result, frozen=True, kw_only=True):
    """What stood on the device's disk. `cards`: on its list, as pseudonyms under key `key_number`; `classes`: how many
    of them by class. `people_seen`: members whose taps there were in its journal; each is handed out by reference.
    `undelivered`: events that only it knows. `tell_by_ms`: 72 hours after somebody learned of it. `incident`: the
    open one by which that is known; empty = there is none."""

    device: str
    gate: str
    venue: str
    domain: str
    state: str
    seen_ms: int
    list_version: int
    newest_version: int
    key_number: int
    newest_key: int
    cards: int
    classes: dict[str, int]
    names: int
    staff: list[str]
    people_seen: int
    undelivered: int
    tell_by_ms: int
    incident: str


class RotateParams(Params, frozen=True, kw_only=True):
    """Of which domain."""

    domain: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    why: Annotated[str, msgspec.Meta(max_length=500)] = ""
    who: str = ""


class Rotated(Result, frozen=True):
    """The key's new number, and the list that every card stands on under it."""

    domain: str
    key_number: int
    cards: int
    version: int


@action("device.held", HeldParams, writes=False)
async def device_held(context: Context, params: HeldParams) -> DeviceHeld:
    """What a lost device held, as far as it told: of the newest list where it holds another one."""
    async with context.database.read() as connection:
        row = await _device(connection, params.device)
        poll = decode(Poll, row.report) if row.report is not None else None
        held = {part.name: part.version for part in poll.parts} if poll is not None else {}
        lost_ms = params.lost_ms or row.seen_ms or context.now_ms
        cards, classes = await _listed(connection, row.domain)
        seen = await _seen(connection, row, lost_ms)
        incident, learned_ms = await learned_of(connection, params.device)
        named = select(func.count()).select_from(names).where(names.c.domain == row.domain)
        pins = select(staff.c.id).where(staff.c.venue == row.venue).order_by(staff.c.id)
        result = DeviceHeld(
            **{name: getattr(row, name) for name in ("gate", "venue", "domain", "state")},
            device=params.device,
            seen_ms=row.seen_ms or 0,
            list_version=held.get(PartName.ALLOWLIST, 0),
            newest_version=row.version or 0,
            key_number=held.get(PartName.DOMAIN_KEY, 0),
            newest_key=row.key_number,
            cards=cards,
            classes=dict(sorted(classes.items())),
            names=int((await connection.execute(named)).scalar_one()) if PartName.NAMES in held else 0,
            staff=list((await connection.execute(pins)).scalars()),
            people_seen=len(seen),
            undelivered=poll.backlog if poll is not None else 0,
            tell_by_ms=(params.learned_ms or learned_ms or context.now_ms) + TELL_WITHIN_MS,
            incident=incident,
        )
    for at in range(0, len(seen), ROWS_AT_ONCE):
        await context.emit(seen[at : at + ROWS_AT_ONCE])
    return result


async def _device(connection: AsyncConnection, device: str) -> Any:
    d = devices.c
    query = select(d.gate, d.state, d.seen_ms, d.report, gates.c.venue, venues.c.domain, domains.c.key_number)
    query = query.add_columns(lists.c.version).join(gates, gates.c.id == d.gate)
    query = query.join(venues, venues.c.id == gates.c.venue).join(domains, domains.c.id == venues.c.domain)
    query = query.outerjoin(lists, (lists.c.domain == domains.c.id) & under_own_key(lists)).where(d.id == device)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise ActionFailed(f"there is no device {device!r}: see `device list`")
    return row


async def _listed(connection: AsyncConnection, domain: str) -> tuple[int, Counter[str]]:
    e, cards, classes = list_entries.c, 0, Counter[str]()
    query = select(e.entry).where(e.domain == domain, under_own_key(list_entries), e.dropped.is_(False))
    result = await connection.stream(query.execution_options(yield_per=ROWS_AT_ONCE))
    async for (entry,) in result:
        cards += 1
        classes.update({grant.name for grant in decode(Entry, entry).classes})
    return cards, classes


async def _seen(connection: AsyncConnection, row: Any, lost_ms: int) -> list[str]:
    """References of members who tapped there while that was still in the journal."""
    found = []
    for table in (marks, denials):
        t = table.c
        found.append(select(t.subject).where(t.domain == row.domain, t.gate == row.gate, t.at_ms > lost_ms - KEPT_MS))
    seen = union(*found).subquery()
    query = select(members.c.reference).join(ever, ever.c.member == members.c.id)
    query = query.join(seen, seen.c.subject == ever.c.subject).where(ever.c.domain == row.domain)
    return list((await connection.execute(query.order_by(members.c.reference))).scalars())


@action("domain.rotate-key", RotateParams, writes=True)
async def domain_rotate_key(context: Context, params: RotateParams) -> Rotated:
    """A new key, and every token of the domain made again with it; where that was begun already, it goes on. Gates take
    both or neither, and decide with what they hold until then. What a stolen gate knows tells nothing of the new
    tokens."""
    async with context.database.write() as connection:
        await must_exist(connection, domains, params.domain, "domain")
        number = await begin(connection, context.keys, params.domain)
    await go_on(context.database, context.keys, params.domain, context.now_ms, context.progress)
    async with context.database.read() as connection:
        query = select(lists.c.count, lists.c.version).where(lists.c.domain == params.domain, under_own_key(lists))
        row = (await connection.execute(query)).one()
    return Rotated(domain=params.domain, key_number=number, cards=row[0], version=row[1])
