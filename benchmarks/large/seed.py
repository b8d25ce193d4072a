"""A city with a past: venues, gates, devices, members, and their taps of three months, signed and chained as devices
sign and chain them. What services count of them is put beside them, so that pages have something to show."""

import hashlib
import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy import Column, Table

from benchmarks.large.sink import Sink, open_sink
from central.configs import put_config
from central.keys import Keys
from central.store import schema
from central.store.database import Database
from protocol.allowlist import CardState
from protocol.envelope import Signer, new_sealing_key
from protocol.journal import genesis, heads, personal_digest
from protocol.messages import (
    Ages,
    Batch,
    Clock,
    EpochStart,
    Event,
    GateConfig,
    Held,
    Kind,
    Part,
    PartName,
    Personal,
    Poll,
    Receipt,
    encode,
)
from protocol.policy import Admit, Policy
from protocol.uid import CardUID

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
DAYS = 90
BATCH = 500
VENUES, DOMAINS = 40, ("library", "sports", "care", "museum")
MEMBERS = 40_000
CONFLICTS = 20_000
DENIALS = ("unknown-card", "class-not-admitted", "expired", "outside-hours", "card-lost")
DENIED = 0.06
PASSAGES = 0.3
EMPTY: dict[type, Any] = {str: "", int: 0, bytes: b"", bool: False}


class Place(NamedTuple):
    """A gate, its venue and domain, and the device that serves it."""

    gate: str
    venue: str
    domain: str
    device: str
    signer: Signer


class City(NamedTuple):
    """What the pages are measured with."""

    places: list[Place]
    members: dict[str, list[bytes]]
    """Subjects by domain."""
    references: list[str]
    now_ms: int
    epochs: dict[str, bytes]


async def seed(database: Database, url: str, keys: Keys, count: int, gates: int, now_ms: int) -> City:
    """About `count` events over `gates` gates."""
    random.seed(7)
    sink = await open_sink(url)
    city = await _places(database, sink, keys, gates, now_ms)
    await _members(sink, keys, city)
    with Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as bar:
        task = bar.add_task("events", total=count)
        tally = _Tally()
        for place in city.places:
            made = await _epoch(sink, keys, city, place, count // gates, tally)
            bar.advance(task, made)
        bar.update(task, completed=count)
    await tally.put(sink)
    await _conflicts(sink, city)
    await sink.close()
    return city


# --- places and people --------------------------------------------------------------------------------------------


async def _places(database: Database, sink: Sink, keys: Keys, gates: int, now_ms: int) -> City:
    for domain in DOMAINS:
        keys.new_domain_key(domain, 1)
    await sink.put(schema.domains, [(domain, domain.title(), 1) for domain in DOMAINS])
    venues = [(f"venue-{n:02}", DOMAINS[n % len(DOMAINS)]) for n in range(VENUES)]
    rows = [(v, d, f"場館 {v}", f"Venue {v}", "Asia/Taipei", "24:00") for v, d in venues]
    await sink.put(schema.venues, rows)
    policy = Policy(now_ms - 100 * DAY_MS, (Admit(id="members", classes=("citizen", "senior")),))
    own = {"id": "open", "version": policy.version, "at_ms": policy.version, "body": encode(policy)}
    await sink.put(schema.policies, [_row(schema.policies, own)])
    places, epochs = [], {}
    for n in range(gates):
        venue, domain = venues[n % VENUES]
        place = Place(f"{venue}-gate-{n:04}", venue, domain, f"device-{n:06}", Signer.generate())
        places.append(place)
        epochs[place.device] = hashlib.sha256(place.device.encode()).digest()[:8]
    await sink.put(
        schema.gates,
        [_row(schema.gates, {"id": p.gate, "venue": p.venue, "kind": "turnstile", "policy": "open"}) for p in places],
    )
    await sink.put(schema.devices, [_device(place, now_ms) for place in places])
    ages = Ages(3_600_000, DAY_MS, 7 * DAY_MS)
    async with database.write() as connection:
        for place in places:
            await put_config(connection, keys, GateConfig(0, place.gate, "turnstile"), ages, now_ms - 100 * DAY_MS)
    return City(places, {domain: [] for domain in DOMAINS}, [], now_ms, epochs)


@lru_cache(maxsize=2 * DAYS)
def _date(days: int) -> str:
    """Of the days since 1970."""
    return (date(1970, 1, 1) + timedelta(days=days)).isoformat()


def _row(table: Table, own: dict[str, Any]) -> tuple[Any, ...]:
    """In the order of the columns; what is not given is as the schema has it by default."""
    return tuple(own.get(column.name, _default(column)) for column in table.columns)


def _default(column: Column[Any]) -> Any:
    if column.server_default is None:
        return None if column.nullable else EMPTY[column.type.python_type]
    return column.type.python_type(str(column.server_default.arg))  # type: ignore[attr-defined]


def _device(place: Place, now_ms: int) -> tuple[Any, ...]:
    silent = random.random() < 0.02
    seen_ms = now_ms - (DAY_MS if silent else random.randrange(20_000))
    parts = (Part(PartName.ALLOWLIST, now_ms - 3_600_000, bytes(32)), Part(PartName.POLICY, 1, bytes(32)))
    backlog = random.choice((0,) * 20 + (5, 800))
    poll = Poll(place.device, bytes(16), seen_ms, 1, 1, parts, (), backlog, 25, "bench", ("rule:admit",))
    values = {
        "id": place.device,
        "gate": place.gate,
        "state": "active",
        "signing_public": place.signer.public,
        "sealing_public": new_sealing_key()[1],
        "words": "babab-babab-babab",
        "enrolled_ms": now_ms - 100 * DAY_MS,
        "confirmed_ms": now_ms - 100 * DAY_MS,
        "revoked_why": "",
        "seen_ms": seen_ms,
        "report": encode(poll),
        "skew_ms": random.randrange(-400, 400),
    }
    return _row(schema.devices, values)


async def _members(sink: Sink, keys: Keys, city: City) -> None:
    people, classes, subjects, cards = [], [], [], []
    created_ms = city.now_ms - 100 * DAY_MS
    for n in range(MEMBERS):
        id_, domain = n.to_bytes(16), DOMAINS[n % len(DOMAINS)]
        reference, subject = f"M{n:07}", hashlib.sha256(b"subject" + n.to_bytes(8)).digest()[:16]
        city.references.append(reference)
        city.members[domain].append(subject)
        uid = CardUID(b"\x04" + n.to_bytes(6))
        own = {"id": id_, "reference": reference, "created_ms": created_ms}
        people.append(_row(schema.members, own))
        classes.append((id_, ("citizen", "senior", "student")[n % 3], 0, 0))
        subjects.append((domain, id_, subject))
        card = {"id": id_, "member": id_, "number": 1, "uid_index": keys.uid_index(uid)}
        card |= {"uid_sealed": keys.seal_uid(uid, id_), "state": int(CardState.ACTIVE), "from_ms": 0}
        card |= {"until_ms": 0, "bound_ms": created_ms, "why": ""}
        cards.append(_row(schema.cards, card))
    for table, rows in (
        (schema.members, people),
        (schema.member_classes, classes),
        (schema.subjects, subjects),
        (schema.cards, cards),
    ):
        await sink.put(table, rows)


# --- events -------------------------------------------------------------------------------------------------------


class _Tally:
    """What is counted beside the events, as central's services count it."""

    def __init__(self) -> None:
        self.taps: Counter[tuple[str, int, str, str, str, str]] = Counter()
        self.visits: list[tuple[Any, ...]] = []
        self.visit_counts: Counter[tuple[str, int, str, str]] = Counter()

    def tap(self, place: Place, at_ms: int, decision: str, reason: str) -> None:
        days, hour_of_day = divmod((at_ms + 8 * HOUR_MS) // HOUR_MS, 24)
        day = _date(days)
        for hour in (hour_of_day, -1):
            self.taps[place.venue, hour, day, place.gate, decision, reason] += 1
        if decision == "granted":
            for hour in (hour_of_day, -1):
                for name in ("", random.choice(("citizen", "senior"))):
                    self.visit_counts[place.venue, hour, name, day] += 1

    async def put(self, sink: Sink) -> None:
        await sink.put(schema.tap_counts, [(*key, taps) for key, taps in self.taps.items()])
        rows = [(*key, n, max(1, n * 3 // 4), 0, 0, n // 20, n // 4, 0) for key, n in self.visit_counts.items()]
        await sink.put(schema.visit_counts, rows)
        for first in range(0, len(self.visits), 50_000):
            await sink.put(schema.visits, self.visits[first : first + 50_000])


async def _epoch(sink: Sink, keys: Keys, city: City, place: Place, count: int, tally: _Tally) -> int:
    """One device's journal of three months, in one epoch, as central holds it."""
    epoch = city.epochs[place.device]
    since_ms, step_ms = city.now_ms - DAYS * DAY_MS, DAYS * DAY_MS // max(1, count)
    start = EpochStart(place.device, epoch, b"", -1, b"", since_ms, "bench")
    head, events, batches = genesis(place.device, epoch), [], []
    publics: list[bytes] = []
    made = _events(city, place, count, since_ms, step_ms, place.signer.seal(start), tally)
    for sequence, (public, row) in enumerate(made):
        publics.append(public)
        events.append((place.device, epoch, sequence, *row))
        if len(publics) == BATCH or sequence == count - 1:
            first, reached = sequence + 1 - len(publics), heads(head, publics)
            received_ms = row[0] + random.choice((300, 900, 2_000, 60_000))
            batches.append(_batch(keys, place, epoch, first, head, publics, reached[-1], received_ms))
            head, publics = reached[-1], []
    await sink.put(schema.events, events)
    await sink.put(schema.batches, batches)
    await sink.put(schema.epochs, [(place.device, epoch, count - 1, head, city.now_ms, b"", -1)])
    await sink.put(schema.projected, [(place.device, epoch, count - 1)])
    await sink.put(schema.tap_counted, [(place.device, epoch, count - 1)])
    return count


def _events(
    city: City, place: Place, count: int, since_ms: int, step_ms: int, start: bytes, tally: _Tally
) -> Iterator[tuple[bytes, tuple[Any, ...]]]:
    held = Held(since_ms, since_ms, since_ms, since_ms)
    people, boot = city.members[place.domain], bytes(8)
    for sequence in range(count):
        at_ms = since_ms + sequence * step_ms + random.randrange(max(1, step_ms))
        if sequence == 0:
            event = Event(0, at_ms, boot, 1, Clock.TRUSTED, place.gate, Kind.START, detail=start)
            yield encode(event), (at_ms, place.gate, Kind.START, "", "", "", "", -1, "accepted", None, start)
            continue
        if random.random() < PASSAGES:
            event = Event(sequence, at_ms, boot, sequence, Clock.TRUSTED, place.gate, Kind.PASSAGE)
            yield encode(event), (at_ms, place.gate, Kind.PASSAGE, "", "", "", "", -1, "accepted", None, None)
            continue
        denied = random.random() < DENIED
        decision, reason, rule = ("denied", random.choice(DENIALS), "") if denied else ("granted", "ok", "members")
        subject = random.choice(people)
        personal = encode(Personal(os.urandom(16), subject, card=1))
        said = ("in", decision, reason, rule, -1)
        event = Event(
            *(sequence, at_ms, boot, sequence, Clock.TRUSTED, place.gate, Kind.TAP, "in", decision, reason, rule, 0),
            *(held, personal_digest(personal)),
        )
        tally.tap(place, at_ms, decision, reason)
        if not denied and sequence % 10 == 0:
            ends_ms = at_ms + 3_600_000
            visit = (at_ms, ends_ms, "out", ends_ms, "members")
            tally.visits.append((place.venue, subject, city.epochs[place.device], sequence, *visit))
        yield encode(event), (at_ms, place.gate, Kind.TAP, *said, "accepted", personal, None)


def _batch(
    keys: Keys, place: Place, epoch: bytes, first: int, before: bytes, publics: list[bytes], head: bytes, at_ms: int
) -> tuple[Any, ...]:
    last = first + len(publics) - 1
    envelope = place.signer.seal(Batch(place.device, epoch, first, before, tuple(publics), head))
    receipt = keys.receipt.seal(Receipt(place.device, epoch, first, last, head, at_ms))
    digest, resent = hashlib.sha256(envelope).digest(), int(random.random() < 0.01)
    return (place.device, epoch, first, digest, last, first, at_ms, "accepted", resent, envelope, receipt)


async def _conflicts(sink: Sink, city: City) -> None:
    rows = []
    for n in range(CONFLICTS):
        place = random.choice(city.places)
        at_ms = city.now_ms - random.randrange(DAYS * DAY_MS)
        state = "open" if n % 10 == 0 else "settled"
        own = {
            "domain": place.domain,
            "id": hashlib.sha256(n.to_bytes(8)).digest()[:16],
            "kind": "policy-differs",
            "device": place.device,
            "epoch": city.epochs[place.device],
            "sequence": 1 + n % 100,
            "subject": random.choice(city.members[place.domain]),
            "at_ms": at_ms,
            "state": state,
            "detail": json.dumps({"reason": "class-not-admitted", "rule": ""}),
        }
        rows.append(_row(schema.conflicts, own))
    await sink.put(schema.conflicts, rows)
