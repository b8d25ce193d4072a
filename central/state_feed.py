"""Compose the state feed (SPEC §7.8): what central counts of a domain's members, for gates whose rules look back.

What a device holds is told by its poll. It is gone on from where this count of the domain knows that version; else,
as after a restore, the feed begins anew at base 0. Nothing is told of a domain until all its events are settled once.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.keys import Keys
from central.policies import compiled
from central.publish import MAX_REPORTED, Offer
from central.services.attendance.told import notes
from central.services.follower import TOLD
from central.services.points.reservations import reserved
from central.services.visits.inside import occupancy
from central.store.database import Database
from central.store.schema import epochs, marks, projected, states, subject_states
from central.wakeups import note, state_topic
from protocol.compiled import CompiledPolicy
from protocol.history import MAX_MARKS, MAX_STATES
from protocol.messages import Counted, Mark, PartName, Poll, State, SubjectState, encode

MAX_BYTES = 2 << 20
"""Of the states in one message: more come in the next one."""
TOGETHER = 200
"""Members whose marks are read at once."""
MAX_EPOCHS = 1_000
CACHED_BYTES = 8 << 20


class Asked(NamedTuple):
    """What one device lacks."""

    offer: Offer
    policy: CompiledPolicy
    base: int
    top: int


class Changed(NamedTuple):
    """Members whose state changed since a version, as far as they fit into one message, and the version then."""

    version: int
    subjects: tuple[SubjectState, ...]


class StateFeed:
    """Keeps what was composed last at hand: a thousand gates of a domain ask for the same."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._cache: dict[tuple[str, int, int, int], Changed] = {}
        self._cached_bytes = 0

    async def envelopes(
        self, database: Database, found: Mapping[str, Offer], polls: Mapping[str, Poll | None], now_ms: int
    ) -> dict[str, bytes]:
        """By device, a message for each that lacks something."""
        told = _listening(found, polls)
        if not told:
            return {}
        async with database.read() as connection:
            asked, ahead = await _asked(connection, told, found, polls)
            sealed = await self._sealed(connection, asked, polls, now_ms) if asked else {}
        if ahead:
            await _go_above(database, ahead)
        return sealed

    async def _sealed(
        self, connection: AsyncConnection, asked: Sequence[Asked], polls: Mapping[str, Poll | None], now_ms: int
    ) -> dict[str, bytes]:
        counted = await _counted(connection, [each.offer.device for each in asked])
        inside = await _inside(connection, asked, now_ms)
        sealed: dict[str, bytes] = {}
        for each in asked:
            content = each.offer.content
            changed = await self._for_gate(connection, each, now_ms)
            if (PartName.STATE, changed.version) in _troubles(polls[each.offer.device]):
                continue
            message = State(
                *(each.offer.device, content.domain, each.base, changed.version, now_ms),
                tuple(counted.get(each.offer.device, ())),
                ((content.venue, inside[content.venue]),),
                changed.subjects,
            )
            sealed[each.offer.device] = self._keys.publish.seal(message)
        return sealed

    async def _for_gate(self, connection: AsyncConnection, asked: Asked, now_ms: int) -> Changed:
        if not asked.policy.looks_back:
            return Changed(asked.top, ())
        content, since_ms = asked.offer.content, asked.policy.day(now_ms).since_ms
        changed = await self._changed(connection, asked, since_ms, now_ms)
        if not any(tariff.pay == "points" for tariff in asked.policy.policy.tariffs.values()):
            return changed
        own = await reserved(connection, content.gate, content.domain, [each.subject for each in changed.subjects])
        if not own:
            return changed
        subjects = (
            each if each.subject not in own else _with_reserved(each, *own[each.subject]) for each in changed.subjects
        )
        return changed._replace(subjects=tuple(subjects))

    async def _changed(self, connection: AsyncConnection, asked: Asked, since_ms: int, now_ms: int) -> Changed:
        key = (asked.offer.content.domain, asked.base, asked.top, since_ms)
        found = self._cache.get(key)
        if found is None:
            found, size = await _read_changed(connection, *key, now_ms)
            self._cached_bytes += size
            if self._cached_bytes > CACHED_BYTES:
                self._cache.clear()
                self._cached_bytes = size
            self._cache[key] = found
        return found


def _with_reserved(state: SubjectState, points: int, lapse_ms: int) -> SubjectState:
    return msgspec.structs.replace(state, reserved=points, lapse_ms=lapse_ms)


def _troubles(poll: Poll | None) -> set[tuple[str, int]]:
    return {(trouble.part, trouble.version) for trouble in poll.troubles} if poll is not None else set()


# --- who lacks what ---------------------------------------------------------------------------------------------


def _listening(found: Mapping[str, Offer], polls: Mapping[str, Poll | None]) -> dict[str, CompiledPolicy]:
    """The devices that are told of others' taps, and their policies."""
    return {
        device: policy
        for device, offer in found.items()
        if (poll := polls[device]) is not None and State.TYPE in poll.understands
        if (policy := _asks(offer)) is not None
    }


async def _asked(
    connection: AsyncConnection,
    told: Mapping[str, CompiledPolicy],
    found: Mapping[str, Offer],
    polls: Mapping[str, Poll | None],
) -> tuple[list[Asked], dict[str, int]]:
    """What each of them lacks; and domains of which a device holds a version that this count has not reached."""
    of = {found[device].content.domain for device in told}
    query = select(states).where(states.c.domain.in_(of), states.c.stage == TOLD)
    at = {row.domain: row for row in await connection.execute(query)}
    asked: list[Asked] = []
    ahead: dict[str, int] = {}
    for device, policy in told.items():
        state, held = at.get(found[device].content.domain), _held(polls[device])
        if state is None or held == state.version:
            continue
        if held > state.version:
            ahead[state.domain] = max(held, ahead.get(state.domain, 0))
        else:
            base = held if held >= state.began else 0
            asked.append(Asked(found[device], policy, base, state.version))
    return asked, ahead


async def _go_above(database: Database, ahead: Mapping[str, int]) -> None:
    """As where the database's files were set back, and no restore told the devices: all versions go on above what is
    held, in their order, and the feed begins anew there."""
    async with database.write() as connection:
        for domain, held in sorted(ahead.items()):
            query = select(states).where(states.c.domain == domain).with_for_update()
            state = (await connection.execute(query)).one()
            up = held + 1 - state.began
            if state.version > held:
                continue
            for table, values in (
                (states, {"version": states.c.version + up, "began": held + 1}),
                (subject_states, {"version": subject_states.c.version + up}),
            ):
                await connection.execute(update(table).where(table.c.domain == domain).values(values))
        await note(connection, map(state_topic, sorted(ahead)))


def _asks(offer: Offer) -> CompiledPolicy | None:
    """The policy of a gate that is told of others' taps; None of any other."""
    policy = compiled(offer.policy.body) if offer.policy is not None else None
    return policy if policy is not None and (policy.looks_back or policy.counts_inside) else None


def _held(poll: Poll | None) -> int:
    """The version that a device holds; one that leaves no room above it is nothing we ever told."""
    versions = (part.version for part in poll.parts if part.name == PartName.STATE) if poll is not None else ()
    held = next(iter(versions), 0)
    return held if held < MAX_REPORTED else 0


async def _counted(connection: AsyncConnection, of: Sequence[str]) -> dict[str, list[Counted]]:
    """Of each device's newest epochs how much is settled: never beyond what is held."""
    p, e = projected.c, epochs.c
    query = select(p.device, p.epoch, p.through, e.through).join(epochs, (e.device == p.device) & (e.epoch == p.epoch))
    rows = await connection.execute(query.where(p.device.in_(of)).order_by(e.seen_ms.desc(), p.epoch))
    found: dict[str, list[Counted]] = {}
    for device, epoch, settled, held in rows:
        counted = found.setdefault(device, [])
        if len(counted) < MAX_EPOCHS:
            counted.append(Counted(epoch, min(settled, held)))
    return found


async def _inside(connection: AsyncConnection, asked: Iterable[Asked], now_ms: int) -> dict[str, int]:
    places = sorted({(each.offer.content.domain, each.offer.content.venue) for each in asked})
    found: dict[str, int] = {}
    for domain, some in groupby(places, key=lambda place: place[0]):
        found |= await occupancy(connection, domain, [venue for _, venue in some], now_ms)
    return found


# --- what changed -----------------------------------------------------------------------------------------------


async def _read_changed(
    connection: AsyncConnection, domain: str, base: int, top: int, since_ms: int, now_ms: int
) -> tuple[Changed, int]:
    """And its size. Every member has a version of its own, so it may end after any of them."""
    s = subject_states.c
    query = select(s.subject, s.version).where(s.domain == domain, s.version > base, s.version <= top)
    rows = (await connection.execute(query.order_by(s.version).limit(MAX_STATES + 1))).all()
    read: list[SubjectState] = []
    size, version = 0, top
    for at in range(0, len(rows), TOGETHER):
        some = rows[at : at + TOGETHER]
        found = await _states(connection, domain, [subject for subject, _ in some], since_ms, now_ms)
        for subject, own in some:
            if size > MAX_BYTES or len(read) == MAX_STATES:
                return Changed(version, tuple(read)), size
            read.append(found[subject])
            size += len(encode(found[subject]))
            version = own
    return Changed(top, tuple(read)), size


async def _states(
    connection: AsyncConnection, domain: str, subjects: Sequence[bytes], since_ms: int, now_ms: int
) -> dict[bytes, SubjectState]:
    m = marks.c
    columns = (m.subject, m.at_ms, m.venue, m.gate, m.direction, m.rule, m.points, m.due, m.epoch, m.sequence)
    query = select(*columns).where(m.domain == domain, m.subject.in_(subjects), m.at_ms >= since_ms)
    query = query.where(m.fate == "counts", m.kind == "tap")
    rows: Any = await connection.execute(query.order_by(m.subject, m.at_ms, m.epoch, m.sequence))
    of = {subject: [Mark(*row[1:]) for row in some] for subject, some in groupby(rows, key=lambda row: row[0])}
    told = await notes(connection, domain, subjects, now_ms)
    return {
        subject: SubjectState(subject, newest(of.get(subject, ())), notes=told.get(subject, ())[:8])
        for subject in subjects
    }


def newest(found: Sequence[Mark]) -> tuple[Mark, ...]:
    """At most as many as a message may hold of one member: the newest, and the very first, as gates keep them. Points
    of those between go over to the next one, so that caps still count them."""
    if len(found) <= MAX_MARKS:
        return tuple(found)
    cut = len(found) - MAX_MARKS + 1
    points = sum(mark.points for mark in found[1 : cut + 1])
    return (found[0], msgspec.structs.replace(found[cut], points=points), *found[cut + 1 :])
