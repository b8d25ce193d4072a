"""`decide`, and the whole tap: UID in → event durable, decision out."""

import itertools
import sqlite3
import threading
import time
from pathlib import Path

from benchmarks import cards
from benchmarks.report import Row, at_most, percentile, ratio_at_most, timed_us
from edge_agent.gate import Gate
from edge_agent.journal.store import Store
from edge_agent.moments import SystemMoments
from edge_agent.published.holding import Holding
from edge_agent.published.list_writer import SnapshotWriter
from edge_agent.published.lists import ListFile
from edge_agent.readers import CardRead
from edge_agent.release import Signal
from protocol.allowlist import CardState, Entry, Grant, changed_total, total
from protocol.chunks import chunks
from protocol.clock import SignedTime
from protocol.compiled import CompiledPolicy
from protocol.decision import Staleness, Tap, decide
from protocol.envelope import Signer
from protocol.messages import Ages, Clock, Delta, Direction, Manifest, Snapshot
from protocol.policy import Admit, Policy, Schedule
from protocol.token import token
from protocol.wire import encode

TAPS = 4_000
WARM_UP = 300
DAY_MS = 86_400_000
ALWAYS = Schedule(**dict.fromkeys(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), ("00:00-12:00", "12:00-24:00")))


def full_policy() -> CompiledPolicy:
    """200 rules over 20 classes, each with hours."""
    rules = tuple(Admit(id=f"rule-{n}", classes=(f"class-{n % 20}",), schedule="hours") for n in range(200))
    return CompiledPolicy(Policy(version=1, rules=rules, schedules={"hours": ALWAYS}, repeat_window_s=10))


def decide_row() -> Row:
    """`decide` alone, with the rule that fits standing last."""
    rules = tuple(Admit(id=f"rule-{n}", classes=(f"class-{n}",), schedule="hours") for n in range(200))
    policy = CompiledPolicy(Policy(version=1, rules=rules, schedules={"hours": ALWAYS}))
    entry = Entry(bytes(16), 1, CardState.ACTIVE, (Grant("class-199"), Grant("class-150")))
    at_ms = time.time_ns() // 1_000_000
    tap = Tap(at_ms, b"boot-id!", 1, Clock.TRUSTED, Direction.IN, Staleness.FRESH)
    return at_most(
        "decide, 200 rules", "µs", percentile(timed_us(lambda: decide(policy, entry, None, tap), 20_000), 0.5), 20
    )


class Bench:
    """One gate with three million cards, and the floor beside it: one indexed lookup, one synced commit."""

    def __init__(self, directory: Path, sorted_rows: list[tuple[bytes, bytes]]) -> None:
        self.directory = directory
        self.sum = total(sorted_rows)
        self.list = cards.list_file(directory, sorted_rows, self.sum)
        self.store = Store(directory)
        self.released_ns = 0
        self.gate = Gate(self.store, self, SystemMoments(), self._holding())
        moment = self.gate.moments.now()
        self.gate.signed_time = SignedTime(moment.wall_ms, moment.monotonic_ms)
        self.gate.confirmed_ms = moment.wall_ms
        self.store.begin_epoch("device", "gate", Signer.generate(), moment, Clock.TRUSTED, "bench")
        self.floor_db = sqlite3.connect(directory / "floor.db", isolation_level=None)
        for pragma in ("journal_mode = WAL", "synchronous = FULL"):
            self.floor_db.execute(f"PRAGMA {pragma}").fetchall()
        self.floor_db.execute("CREATE TABLE taps (id INTEGER PRIMARY KEY, event BLOB NOT NULL)")
        self.numbers = itertools.count(1)

    def _holding(self) -> Holding:
        ages = Ages(DAY_MS, 7 * DAY_MS, 30 * DAY_MS)
        manifest = Manifest("device", 1, 1, 2**40, cards.DOMAIN, "venue", "gate", (), ages, 1, 1)
        return Holding("device", "gate", manifest, self.list, full_policy(), None, cards.KEY, 1)

    def signal(self, signal: Signal) -> None:
        """The bench is its own release: this is the moment at which a relay would move."""
        self.released_ns = time.perf_counter_ns()
        assert signal.outcome == "granted", signal

    def close(self) -> None:
        self.store.close()

    def taps_us(self, times: int) -> list[float]:
        """From the UID coming in to the release; a card that is on the list, another each time."""
        found: list[float] = []
        for _ in range(times):
            read = CardRead("bench", cards.uid(next(self.numbers) * 7_919 % cards.CARDS).raw, b"\x3b\x8f", 0x08)
            start = time.perf_counter_ns()
            self.gate.tap(read)
            found.append((self.released_ns - start) / 1_000)
        return found

    def floor(self, event: bytes = bytes(280)) -> None:
        """The least that any program must do for a tap."""
        made = token(cards.KEY, cards.uid(next(self.numbers) * 7_919 % cards.CARDS))
        assert self.list._reader.execute("SELECT entry FROM entries WHERE token = ?", (made,)).fetchone()
        self.floor_db.execute("BEGIN IMMEDIATE")
        self.floor_db.execute("INSERT INTO taps (event) VALUES (?)", (event,))
        self.floor_db.execute("COMMIT")

    def rows(self) -> list[Row]:
        """Taps and floors in turn, so that both meet the same disk."""
        taps, floors = [], []
        for _ in range(TAPS // 100):
            floors += timed_us(self.floor, 100)
            taps += self.taps_us(100)
        taps, floors = taps[WARM_UP:], floors[WARM_UP:]
        return [
            ratio_at_most(
                f"tap, {cards.CARDS:,} cards, p50", "µs", percentile(floors, 0.5), percentile(taps, 0.5), 1.35
            ),
            ratio_at_most(
                f"tap, {cards.CARDS:,} cards, p99", "µs", percentile(floors, 0.99), percentile(taps, 0.99), 2
            ),
        ]

    def while_applying(self, name: str, work: threading.Thread) -> Row:
        """The slowest taps while a list is being applied beside them."""
        found: list[float] = []
        work.start()
        while work.is_alive() or len(found) < 50:
            found += self.taps_us(1)
            time.sleep(0.002)
        return at_most(
            f"tap while {name} is applied, p99", "ms", percentile(found, 0.99) / 1_000, 5, f"{len(found)} taps"
        )

    def under_snapshot(self, sorted_rows: list[tuple[bytes, bytes]]) -> Row:
        """A whole list beside the live one."""
        some = sorted_rows[: len(sorted_rows) // 3]
        sum_ = total(some).to_bytes(32)
        pieces = chunks(some)

        def work() -> None:
            writer = SnapshotWriter(self.directory, Snapshot(cards.DOMAIN, 2, 1, len(some), sum_, ()), b"")
            for piece in pieces:
                writer.add(piece)
            writer.finish().close()

        return self.while_applying(f"a snapshot of {len(some):,} rows", threading.Thread(target=work))

    def under_delta(self, sorted_rows: list[tuple[bytes, bytes]]) -> Row:
        """30,000 changed rows in the live list."""
        put = []
        for made, _ in sorted_rows[::100][:30_000]:
            entry = Entry(made[::-1], 1, CardState.ACTIVE, (Grant("class-1"), Grant("class-2")))
            put.append((made, encode(entry)))
        gone = sorted_rows[::100][:30_000]
        sum_ = changed_total(self.sum, gone, put)
        delta = Delta(cards.DOMAIN, 1, 2, 1, chunks(put), (), len(sorted_rows), sum_.to_bytes(32))
        live: ListFile = self.list
        self.numbers = itertools.count(1)
        return self.while_applying("a 30,000-row delta", threading.Thread(target=live.apply, args=(delta,)))


def run(directory: Path, sorted_rows: list[tuple[bytes, bytes]]) -> list[Row]:
    """Every figure of the tap path."""
    bench = Bench(directory, sorted_rows)
    return [decide_row(), *bench.rows(), bench.under_snapshot(sorted_rows), bench.under_delta(sorted_rows)]
