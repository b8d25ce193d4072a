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
from edge_agent.published.state_feed import StateFeed
from edge_agent.readers import CardRead
from edge_agent.release import Signal
from protocol.allowlist import CardState, Entry, Grant, changed_total, total
from protocol.chunks import chunks
from protocol.clock import SignedTime
from protocol.compiled import CompiledPolicy
from protocol.decision import Staleness, Tap, decide
from protocol.envelope import Signer
from protocol.history import MAX_STATES, History, Mark, State, SubjectState
from protocol.messages import Ages, Clock, Delta, Direction, Manifest, Snapshot
from protocol.policy import Admit, Interval, Limit, Occupancy, Passback, Policy, Schedule, Tariff
from protocol.token import token
from protocol.wire import encode

TAPS = 4_000
WARM_UP = 300
DAY_MS = 86_400_000
LOOKING_BACK = ", looking back"
ALWAYS = Schedule(**dict.fromkeys(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), ("00:00-12:00", "12:00-24:00")))


def full_policy(looks_back: bool) -> CompiledPolicy:
    """200 rules over 20 classes, each with hours; where it looks back, at a tariff, behind a limit a day and
    anti-passback."""
    before = (Limit(id="limit", most=4), Passback(id="passback", forgive_minutes=60)) if looks_back else ()
    tariff = "entry" if looks_back else None
    rules = tuple(
        Admit(id=f"rule-{n}", classes=(f"class-{n % 20}",), schedule="hours", tariff=tariff) for n in range(200)
    )
    tariffs = {"entry": Tariff(price=30, pay="points", cap_day=60)} if looks_back else {}
    return CompiledPolicy(Policy(1, (*before, *rules), {"hours": ALWAYS}, tariffs, repeat_window_s=10))


def decide_row() -> Row:
    """`decide` alone: the rule that admits stands last, at a tariff, and all before it that speak of its class ask what
    was before."""
    doors = tuple(Admit(id=f"rule-{n}", classes=(f"class-{n}",), schedule="hours") for n in range(192))
    guards = (
        Limit(id="daily", most=10),
        Limit(id="monthly", most=100, per="month", of=("gym",)),
        Limit(id="visit", most=5, per="visit", scope="venue"),
        Interval(id="rest", minutes=5),
        Passback(id="once-in", scope="venue", resets_at="04:00"),
        Passback(id="seen-inside", mode="soft", forgive_minutes=240),
        Occupancy(id="ceiling", most=300),
    )
    gym = Admit(id="gym", classes=("senior",), schedule="hours", tariff="points")
    tariffs = {"points": Tariff(price=25, per="day", first_day_price=10, pay="points", cap_use=85, cap_month=480)}
    policy = CompiledPolicy(
        Policy(version=1, rules=(*doors, *guards, gym), schedules={"hours": ALWAYS}, tariffs=tariffs)
    )
    entry = Entry(bytes(16), 1, CardState.ACTIVE, (Grant("senior"), Grant("class-500")), flags=("hold-ready",))
    at_ms = time.time_ns() // 1_000_000
    history = visits(20, at_ms)
    tap = Tap(at_ms, b"boot-id!", 1, Clock.TRUSTED, Direction.IN, Staleness.FRESH, None, "pool", "door", False, 120)
    answer = decide(policy, entry, history, tap)
    assert (answer.rule, answer.counts) == ("gym", True), answer
    value = percentile(timed_us(lambda: decide(policy, entry, history, tap), 20_000), 0.5)
    return at_most("decide, 200 rules, 20 marks", "µs", value, 20)


def visits(count: int, at_ms: int) -> History:
    """So many marks: somebody who comes and leaves every other day, the last visit not yet counted by central."""
    marks = tuple(
        Mark(at_ms - (count - n) * DAY_MS, "pool", "door", ("in", "out")[n % 2], "gym", 25, 0, b"epoch-01", n)
        for n in range(count)
    )
    return History(None, marks[-2:], marks[:-2], 1_000, at_ms + DAY_MS)


class Bench:
    """One gate with three million cards, and the floor beside it: one indexed lookup, one synced commit."""

    def __init__(self, directory: Path, sorted_rows: list[tuple[bytes, bytes]]) -> None:
        self.directory = directory
        self.sum = total(sorted_rows)
        self.list = cards.list_file(directory, sorted_rows, self.sum)
        self.store = Store(directory)
        self.released_ns = 0
        self.holdings = {"": self._holding(looks_back=False), LOOKING_BACK: self._holding(looks_back=True)}
        self.gate = Gate(self.store, self, SystemMoments(), self.holdings[""])
        moment = self.gate.moments.now()
        self.gate.others.heard(moment.monotonic_ms)
        self.gate.signed_time = SignedTime(moment.wall_ms, moment.monotonic_ms)
        self.gate.confirmed_ms = moment.wall_ms
        self.store.begin_epoch("device", "gate", Signer.generate(), moment, Clock.TRUSTED, "bench")
        self.floor_db = sqlite3.connect(directory / "floor.db", isolation_level=None)
        for pragma in ("journal_mode = WAL", "synchronous = FULL"):
            self.floor_db.execute(f"PRAGMA {pragma}").fetchall()
        self.floor_db.execute("CREATE TABLE taps (id INTEGER PRIMARY KEY, event BLOB NOT NULL)")
        self.numbers = itertools.count(1)

    def _holding(self, looks_back: bool) -> Holding:
        ages = Ages(DAY_MS, 7 * DAY_MS, 30 * DAY_MS)
        manifest = Manifest("device", 1, 1, 2**40, cards.DOMAIN, "venue", "gate", (), ages, 1, 1)
        return Holding(
            "device", "gate", manifest, self.list, full_policy(looks_back), domain_key=cards.KEY, key_number=1
        )

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
        """Taps under each policy and floors in turn, so that all meet the same disk."""
        taps: dict[str, list[float]] = {name: [] for name in self.holdings}
        floors: list[float] = []
        for _ in range(TAPS // 100):
            floors += timed_us(self.floor, 100)
            for name, holding in self.holdings.items():
                self.gate.holding = holding
                taps[name] += self.taps_us(100)
        return [row for name in taps for row in _rows(name, floors[WARM_UP:], taps[name][WARM_UP:])]

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

    def under_states(self, sorted_rows: list[tuple[bytes, bytes]]) -> Row:
        """As many members as a state message holds, twenty marks each, under the policy that looks back."""
        self.gate.holding = self.holdings[LOOKING_BACK]
        moment = self.gate.moments.now()
        marks = tuple(
            Mark(moment.wall_ms - number * DAY_MS // 2, "venue", "other", "in", "rule-1", 0, 30, b"epoch-01", number)
            for number in range(20, 0, -1)
        )
        known = [SubjectState(made[::-1], marks) for made, _ in sorted_rows[: MAX_STATES * 7 : 7]]
        state = State("device", cards.DOMAIN, 0, 1, moment.wall_ms, (), (), tuple(known))
        feed = StateFeed(self.gate)
        self.numbers = itertools.count(1)
        work = threading.Thread(target=feed.take, args=(state, "device", cards.DOMAIN))
        return self.while_applying(f"states of {len(known):,} members", work)


def _rows(name: str, floors: list[float], taps: list[float]) -> list[Row]:
    what = f"tap, {cards.CARDS:,} cards{name}"
    return [
        ratio_at_most(f"{what}, p50", "µs", percentile(floors, 0.5), percentile(taps, 0.5), 1.35),
        ratio_at_most(f"{what}, p99", "µs", percentile(floors, 0.99), percentile(taps, 0.99), 2),
    ]


def run(directory: Path, sorted_rows: list[tuple[bytes, bytes]]) -> list[Row]:
    """Every figure of the tap path."""
    bench = Bench(directory, sorted_rows)
    return [
        decide_row(),
        *bench.rows(),
        bench.under_snapshot(sorted_rows),
        bench.under_delta(sorted_rows),
        bench.under_states(sorted_rows),
    ]
