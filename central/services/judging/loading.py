"""Read what is needed to judge members' taps again: their marks, what was signed, and what lists and policies said."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central import facts
from central.entry_history import NEVER_LISTED, Histories, histories
from central.services.judging.clocks import Clocks, Offset
from central.services.judging.held_policies import HeldPolicies, held_policies
from central.services.judging.public_parts import PublicPart, public_parts
from central.services.judging.rejudge import Travel
from central.services.judging.seen import Circumstances, Seen
from central.services.judging.stated import ClockOffset, TravelTime
from central.services.marks import EventName
from central.services.points.books import Line, Overspend, overspends
from central.services.points.ledger import LOSS
from central.store.schema import events, ledger, marks, point_books
from central.store.slices import slices
from protocol.errors import Refused
from protocol.history import FORGOTTEN_MS, Mark
from protocol.messages import Personal, decode

Windows = Mapping[bytes, int]
"""By subject: marks from this instant on are judged again."""


class Loaded(NamedTuple):
    """Of some members of one domain."""

    seen: dict[bytes, list[Seen]]
    travel: Travel
    policies: HeldPolicies
    clocks: Clocks


async def clocks_of(connection: AsyncConnection, domain: str) -> Clocks:
    """What people stated of the clocks of a domain's devices."""
    said = [fact.body for fact in await facts.read(connection, [ClockOffset], domain=domain)]
    return Clocks(Offset(body.device, body.from_ms, body.until_ms, body.ms) for body in said)


async def load(connection: AsyncConnection, domain: str, windows: Windows) -> Loaded:
    """The marks to judge, with their circumstances, and those before that bear on them."""
    clocks = await clocks_of(connection, domain)
    judged = await _marks(connection, domain, windows, min(windows.values(), default=0))
    judged = [row for row in judged if row.at_ms >= windows[row.subject]]
    parts = await public_parts(connection, map(_name, judged))
    versions = {part.event.held.policy for part in parts.values()}
    policies = await held_policies(connection, {row.gate for row in judged}, versions)
    past = await _past(connection, domain, windows, _horizon_ms(judged, parts, policies) - 2 * clocks.widest_ms)
    known = await histories(connection, domain, {row.subject for row in judged})
    prints = await _fingerprints(connection, judged, past)
    found: dict[bytes, list[Seen]] = {}
    for row in (*past, *judged):
        seen = _seen(row, clocks, prints.get(_name(row), b""))
        found.setdefault(row.subject, []).append(seen)
    for subject, taps in found.items():
        found[subject] = [_with_circumstances(subject, tap, parts, known, policies) for tap in taps]
    await _find_tokens(connection, found, known)
    return Loaded(found, await _travel(connection, domain), policies, clocks)


def _name(row: Any) -> EventName:
    return row.device, row.epoch, row.sequence


async def _marks(connection: AsyncConnection, domain: str, windows: Windows, since_ms: int) -> list[Any]:
    m, found = marks.c, list[Any]()
    for some in slices(sorted(windows)):
        query = select(marks).where(m.domain == domain, m.subject.in_(some), m.at_ms >= since_ms)
        found += (await connection.execute(query)).all()
    return found


async def _past(connection: AsyncConnection, domain: str, windows: Windows, horizon_ms: int) -> list[Any]:
    rows = await _marks(connection, domain, windows, horizon_ms)
    return [row for row in rows if row.at_ms < windows[row.subject]]


def _horizon_ms(judged: Iterable[Any], parts: Mapping[EventName, PublicPart], policies: HeldPolicies) -> int:
    """What was before it bears on none of these."""
    moments = []
    for row in judged:
        moments.append(row.at_ms - FORGOTTEN_MS)
        part = parts.get(_name(row))
        policy = policies.held(row.gate, part.event.held.policy) if part else None
        if policy is not None:
            moments.append(policy.compiled.day(row.at_ms).since_ms)
    return min(moments, default=0)


# --- one tap --------------------------------------------------------------------------------------------------


def mark_of(row: Any) -> Mark:
    """A row of `marks` as gates exchange it."""
    return Mark(row.at_ms, row.venue, row.gate, row.direction, row.rule, row.points, row.due, row.epoch, row.sequence)


def _seen(row: Any, clocks: Clocks, fingerprint: bytes) -> Seen:
    at_ms = clocks.corrected_ms(row.device, row.at_ms)
    is_repeat = row.repeats >= 0
    return Seen(
        *(row.device, mark_of(row), at_ms, row.kind, row.reason, row.card, row.fate, is_repeat, fingerprint),
    )


def _with_circumstances(
    subject: bytes, tap: Seen, parts: Mapping[EventName, PublicPart], known: Histories, policies: HeldPolicies
) -> Seen:
    part = parts.get((tap.device, *tap.mark.name))
    return tap if part is None else tap._replace(**circumstances(subject, tap, part, known, policies))


def circumstances(
    subject: bytes, tap: Seen, part: PublicPart, known: Histories, policies: HeldPolicies
) -> dict[str, Any]:
    """The fields `told` and `token` of a tap whose public part is held."""
    held = part.event.held
    history = known.get((subject, tap.card), NEVER_LISTED)
    entry_held, policy = history.at(held.allowlist), policies.held(tap.mark.gate, held.policy)
    told = Circumstances(
        *(part.event.clock, held, part.received_ms, entry_held, history.at(tap.at_ms)),
        policy=policy.compiled if policy else None,
        keeps_marks=policy.keeps_marks if policy else False,
    )
    return {"told": told, "token": entry_held.token if entry_held else b""}


# --- chips ----------------------------------------------------------------------------------------------------


async def _fingerprints(
    connection: AsyncConnection, judged: Sequence[Any], past: Sequence[Any]
) -> dict[EventName, bytes]:
    """Of the taps that are judged, and of earlier ones of the same card at the same device, which are compared with
    them; a part that was destroyed has none."""
    compared = {(row.subject, row.device, row.card) for row in judged}
    wanted: dict[tuple[str, bytes], list[int]] = {}
    for row in (*judged, *past):
        if row.kind == "tap" and (row.subject, row.device, row.card) in compared:
            wanted.setdefault((row.device, row.epoch), []).append(row.sequence)
    e, found = events.c, dict[EventName, bytes]()
    for (device, epoch), sequences in wanted.items():
        for some in slices(sorted(sequences)):
            query = select(e.sequence, e.personal).where(e.device == device, e.epoch == epoch, e.sequence.in_(some))
            for sequence, personal in await connection.execute(query.where(e.personal.is_not(None))):
                try:
                    found[device, epoch, sequence] = decode(Personal, personal).fingerprint
                except Refused:
                    continue
    return found


async def _find_tokens(connection: AsyncConnection, found: dict[bytes, list[Seen]], known: Histories) -> None:
    """Where a chip differs from the one before, the token of that one is needed too: a new key changes both."""
    suspects: dict[EventName, tuple[bytes, int]] = {}
    for subject, taps in found.items():
        suspects.update({name: (subject, place) for name, place in _changes(taps)})
    parts = await public_parts(connection, suspects)
    for name, (subject, place) in suspects.items():
        earlier, part = found[subject][place], parts.get(name)
        held = known.get((subject, earlier.card), NEVER_LISTED).at(part.event.held.allowlist) if part else None
        found[subject][place] = earlier._replace(token=held.token if held else b"")


def _changes(taps: Sequence[Seen]) -> Iterator[tuple[EventName, int]]:
    """Name and place of taps that the next one at the same device differs from."""
    last: dict[tuple[str, int], int] = {}
    for place in sorted(range(len(taps)), key=lambda place: taps[place].order):
        one = taps[place]
        if not one.fingerprint:
            continue
        before = last.get((one.device, one.card))
        if before is not None and taps[before].fingerprint != one.fingerprint and taps[before].told is None:
            yield (one.device, *taps[before].mark.name), before
        last[one.device, one.card] = place


# --- what people stated, what the ledger says -------------------------------------------------------------------


async def _travel(connection: AsyncConnection, domain: str) -> Travel:
    stated: dict[frozenset[str], list[tuple[int, int]]] = {}
    for fact in await facts.read(connection, [TravelTime], domain=domain):
        pair = frozenset((fact.body.venue, fact.body.other))
        stated.setdefault(pair, []).append((fact.recorded_ms, fact.body.minutes))

    def minutes(venue: str, other: str, at_ms: int) -> int:
        said = reversed(stated.get(frozenset((venue, other)), []))
        return next((number for since_ms, number in said if since_ms <= at_ms), 0)

    return minutes


async def overspent(
    connection: AsyncConnection, domain: str, subjects: Collection[bytes]
) -> dict[bytes, list[Overspend]]:
    """By member, what was spent that nobody had."""
    lines: dict[bytes, list[Line]] = {}
    for table in (point_books, ledger):
        t = table.c
        lost = t.source.like(f"%{LOSS}") | t.target.like(f"%{LOSS}")
        for some in slices(sorted(subjects)):
            query = select(t.subject, *(t[name] for name in Line._fields))
            for subject, *line in await connection.execute(query.where(t.domain == domain, t.subject.in_(some), lost)):
                lines.setdefault(subject, []).append(Line(*line))
    return {subject: overspends(each) for subject, each in lines.items()}
