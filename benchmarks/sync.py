"""Ingest over HTTP, and the drain of an outage."""

import asyncio
import hashlib
import os
import sqlite3
import time
from pathlib import Path

from benchmarks.report import Row, at_most, rate_at_least
from benchmarks.town import found, identity_of
from deploy.town import Gate as TownGate
from deploy.town import Town
from edge_agent.delivery import Delivery
from edge_agent.gate import Gate
from edge_agent.identity import Identity
from edge_agent.journal.outbox import backlog
from edge_agent.journal.store import Store
from edge_agent.moments import SystemMoments
from edge_agent.published.holding import Holding
from edge_agent.readers import CardRead
from edge_agent.release.dry import DryRelease
from edge_agent.uplink import Uplink
from protocol.envelope import Keyring
from protocol.journal import genesis, heads, personal_digest
from protocol.messages import Batch, Clock, EpochStart, Event, Held, Kind, Personal, Upload, encode

DEVICES = 4
EVENTS = {500: 24_000, 50: 6_000}
QUEUED = 5_000


def uploads(identity: Identity, size: int, count: int) -> list[bytes]:
    """An epoch of taps as signed uploads of `size` events."""
    signer, epoch = identity.signer(), os.urandom(8)
    start = EpochStart(identity.device, epoch, b"", -1, b"", 1_790_000_000_000, "bench")
    publics = [
        encode(
            Event(
                0, 1_790_000_000_000, bytes(8), 1, Clock.TRUSTED, identity.gate, Kind.START, detail=signer.seal(start)
            )
        )
    ]
    personals = [b""]
    held = Held(1_790_000_000_000, 1_790_000_000_000, 1_790_000_000_000, 1_790_000_000_000)
    for sequence in range(1, count):
        personal = encode(Personal(os.urandom(16), os.urandom(16), b"", 0, 1, os.urandom(16), 0))
        publics.append(
            encode(
                Event(
                    sequence,
                    1_790_000_000_000 + sequence,
                    bytes(8),
                    sequence,
                    Clock.TRUSTED,
                    identity.gate,
                    Kind.TAP,
                    "in",
                    "granted",
                    "ok",
                    "members",
                    0,
                    held,
                    personal_digest(personal),
                )
            )
        )
        personals.append(personal)
    chain = [genesis(identity.device, epoch), *heads(genesis(identity.device, epoch), publics)]
    made = []
    for first in range(0, count, size):
        last = min(first + size, count)
        batch = Batch(identity.device, epoch, first, chain[first], tuple(publics[first:last]), chain[last])
        made.append(encode(Upload(signer.seal(batch), tuple(personals[first:last]))))
    return made


def floor_rate(directory: Path, central_db: Path, size: int, count: int) -> float:
    """The same rows into the same tables and indexes by executemany, one synced commit a batch. Events a second."""
    path = directory / f"floor-{size}.db"
    old = sqlite3.connect(central_db)
    schema = [
        row[0]
        for row in old.execute("SELECT sql FROM sqlite_master WHERE tbl_name IN ('events', 'batches') AND sql NOT NULL")
    ]
    columns = {table: len(old.execute(f"PRAGMA table_info({table})").fetchall()) for table in ("events", "batches")}
    event_rows = old.execute("SELECT * FROM events WHERE kind = 'tap' LIMIT ?", (count,)).fetchall()
    envelope = os.urandom(size * 110)
    old.close()
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "cache_size = -65536"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    for statement in schema:
        connection.execute(statement)
    sample = old_batch(central_db)
    epoch = b"floor---"
    rows = [(row[0], epoch, number, *row[3:]) for number, row in enumerate(event_rows)]
    insert_event = f"INSERT INTO events VALUES ({', '.join('?' * columns['events'])})"
    insert_batch = f"INSERT INTO batches VALUES ({', '.join('?' * columns['batches'])})"
    start = time.perf_counter()
    for first in range(0, len(rows), size):
        batch = {
            **sample,
            "epoch": epoch,
            "first": first,
            "digest": hashlib.sha256(first.to_bytes(8)).digest(),
            "envelope": envelope,
        }
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(insert_batch, tuple(batch.values()))
        connection.executemany(insert_event, rows[first : first + size])
        connection.execute("COMMIT")
    return len(rows) / (time.perf_counter() - start)


def old_batch(central_db: Path) -> dict[str, object]:
    """One stored batch, as a pattern."""
    connection = sqlite3.connect(central_db)
    connection.row_factory = sqlite3.Row
    row = dict(connection.execute("SELECT * FROM batches LIMIT 1").fetchone())
    connection.close()
    return row


async def ingest(town: Town, gates: list[TownGate], size: int) -> float:
    """Events a second with all devices sending, each one batch after the other."""
    each = EVENTS[size] // len(gates)
    prepared = [(identity_of(gate), uploads(identity_of(gate), size, each)) for gate in gates]

    async def send(identity: Identity, bodies: list[bytes]) -> None:
        async with Uplink(identity, None) as uplink:
            await uplink.hello()
            for body in bodies:
                assert len(await uplink.send("/v1/batches", body)) == 1

    start = time.perf_counter()
    await asyncio.gather(*(send(identity, bodies) for identity, bodies in prepared))
    return each * len(gates) / (time.perf_counter() - start)


async def drain(gate: TownGate) -> float:
    """Seconds to deliver a queue of an outage, receipts verified and stored."""
    identity = identity_of(gate)
    store = Store(gate.directory / "queued")
    offline = Gate(store, DryRelease(), SystemMoments(), Holding(identity.device, identity.gate, domain_key=bytes(32)))
    store.begin_epoch(identity.device, identity.gate, identity.signer(), offline.moments.now(), Clock.TRUSTED, "bench")
    for number in range(QUEUED - 1):
        offline.tap(CardRead("bench", b"\x04" + number.to_bytes(6), b"", 0x08))
    async with Uplink(identity, None) as uplink:
        _, statement = await uplink.hello()
        ring = Keyring.stated(statement, statement.at_ms)
        delivery = Delivery(offline, identity.device, identity.signer(), uplink, lambda: ring)
        start = time.perf_counter()
        while await delivery.step():
            pass
        elapsed_s = time.perf_counter() - start
    assert backlog(store) == 0
    store.close()
    return elapsed_s


async def run(directory: Path) -> list[Row]:
    """Every figure of the upload side."""
    async with await found(directory, [f"gate-{number}" for number in range(DEVICES)], tls=False) as town:
        gates = list(town.gates.values())
        rows = []
        central_db = town.directory / "central" / "central.db"
        for size, limit in ((500, 0.5), (50, 0.3)):
            result = await ingest(town, gates, size)
            before = floor_rate(directory, central_db, size, EVENTS[size] - DEVICES)
            result = max(result, await ingest(town, gates, size))
            floor = max(before, floor_rate(directory, central_db, size, EVENTS[size] - DEVICES))
            rows.append(rate_at_least(f"ingest over HTTP, {size} a batch", "events/s", floor, result, limit))
        rows.append(at_most(f"{QUEUED:,} queued taps delivered and receipted", "s", await drain(gates[0]), 0.5))
        return rows
