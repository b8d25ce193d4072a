"""Personal parts of events destroyed, with all that was computed out of them. Public parts, chain, receipts and proofs
stay as they are; what was counted stays counted (`central.privacy.kept`)."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.privacy.found import EventName
from central.privacy.kept import corrected_visits, keep_visits
from central.privacy.said import AFTER, BEFORE, forget_said, members_of
from central.reporting.visit_counts import classes_of
from central.services.projector import settle_services, tell
from central.services.service import Touched
from central.services.turns import one_at_a_time
from central.services.visits.report import Counted
from central.store.schema import denials, events, marks, visits
from central.store.slices import named
from protocol.messages import Kind

NOBODY = b""


class Destroyed(NamedTuple):
    """How many events lost their personal part, and how many taps and denials were forgotten."""

    events: int
    marks: int
    denials: int


async def destroy(connection: AsyncConnection, names: Sequence[EventName], now_ms: int) -> Destroyed:
    """Of these events: taps, and admissions by hand that say whom a denied tap was of. In one transaction."""
    await one_at_a_time(connection)
    theirs = await _rows(connection, marks, names)
    denied = await _rows(connection, denials, names)
    await _keep(connection, [row for row in theirs if row.kind == Kind.TAP])
    gone = 0
    for these in _events(names):
        without = update(events).where(these, events.c.personal.is_not(None)).values(personal=None)
        gone += (await connection.execute(without)).rowcount
    await _forget(connection, theirs, denied)
    touched = _touched(theirs, denied)
    changed = await settle_services(connection, touched)
    known = {(each.domain, each.subject) for each in touched if each.subject}
    await tell(connection, changed | known, now_ms)
    return Destroyed(gone, len(theirs), len(denied))


async def destroy_with_what_was_said(connection: AsyncConnection, names: Sequence[EventName], now_ms: int) -> Destroyed:
    """The same by a rule: what people stated of these taps goes with them, and other facts of their members stay."""
    await one_at_a_time(connection)
    members = await members_of(connection, names)
    await forget_said(connection, members, names, BEFORE)
    done = await destroy(connection, names, now_ms)
    await forget_said(connection, members, names, AFTER)
    return done


async def _keep(connection: AsyncConnection, taps: Sequence[Any]) -> None:
    """What the visits that began with these taps count."""
    entered = {(row.venue, row.subject, row.epoch, row.sequence): row.domain for row in taps if row.subject}
    v = visits.c
    found: dict[str, list[Any]] = {}
    for these in named((v.venue, v.subject, v.epoch, v.sequence), set(entered)):
        for row in await connection.execute(select(visits).where(these)):
            found.setdefault(entered[row.venue, row.subject, row.epoch, row.sequence], []).append(row)
    for domain, rows in sorted(found.items()):
        members = sorted({row.subject for row in rows})
        corrected = await corrected_visits(connection, domain, members)
        counted = [
            (row.venue, Counted(row.subject, row.in_ms, _end_ms(row), row.ended, corrected[row.epoch, row.sequence]))
            for row in rows
        ]
        await keep_visits(connection, counted, await classes_of(connection, domain, members))


def _end_ms(visit: Any) -> int:
    return int(visit.ends_by_ms if visit.out_ms is None else visit.out_ms)


async def _forget(connection: AsyncConnection, theirs: Sequence[Any], denied: Sequence[Any]) -> None:
    """As settling the events anew would leave it: of a tap of nobody no mark, of an admission one of nobody."""
    taps = [_key(row) for row in theirs if row.kind == Kind.TAP]
    admitted = [_key(row) for row in theirs if row.kind != Kind.TAP and row.subject]
    if taps:
        await connection.execute(delete(marks).where(_this(marks)), taps)
    if admitted:
        await connection.execute(update(marks).where(_this(marks)).values(subject=NOBODY, card=0), admitted)
    if denied:
        await connection.execute(delete(denials).where(_this(denials)), [_key(row) for row in denied])


def _key(row: Any) -> dict[str, Any]:
    return {"b_domain": row.domain, "b_subject": row.subject, "b_epoch": row.epoch, "b_sequence": row.sequence}


def _this(table: Any) -> Any:
    names = ("domain", "subject", "epoch", "sequence")
    return and_(*(table.c[name] == bindparam(f"b_{name}") for name in names))


def _touched(theirs: Sequence[Any], denied: Sequence[Any]) -> list[Touched]:
    found: dict[tuple[str, bytes], list[int]] = {}
    for row in (*theirs, *denied):
        found.setdefault((row.domain, row.subject), []).append(row.at_ms)
        if getattr(row, "kind", Kind.TAP) != Kind.TAP:
            found.setdefault((row.domain, NOBODY), []).append(row.at_ms)
    return [Touched(*member, min(times), max(times)) for member, times in sorted(found.items())]


async def _rows(connection: AsyncConnection, table: Any, names: Collection[EventName]) -> list[Any]:
    c, found = table.c, list[Any]()
    for these in named((c.device, c.epoch, c.sequence), names):
        found += (await connection.execute(select(table).where(these))).all()
    return found


def _events(names: Collection[EventName]) -> Any:
    e = events.c
    return named((e.device, e.epoch, e.sequence), names)
