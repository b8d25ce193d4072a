"""Read, decide, write down, tell the door: in that order, whatever fails, and every tap an event of its own."""

import contextlib
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge_agent.journal.transaction import SEQUENCE_BITS
from edge_agent.readers import CardRead
from edge_agent.release import ReleaseFailed, Signal
from protocol.allowlist import CardState, Entry, Grant
from protocol.compiled import CompiledPolicy
from protocol.messages import Direction, Event, GateConfig, Kind, Outcome
from protocol.policy import Admit, Policy
from tests.edge_agent.door import Door
from tests.faults import city

GOOD = next(number for number in range(city.CARDS) if not city.is_blocked(number, 1))
SEQUENCE_MASK = (1 << SEQUENCE_BITS) - 1


def members(repeat_window_s: int) -> CompiledPolicy:
    return CompiledPolicy(Policy(1, (Admit("members", classes=("citizen",)),), repeat_window_s=repeat_window_s))


def test_what_the_door_is_told_is_on_disk_already(tmp_path: Path) -> None:
    """Looked up by a connection of its own, which sees what is committed and nothing else."""
    found: list[tuple[int, str]] = []

    def look(signal: Signal) -> None:
        with closing(sqlite3.connect(f"file:{tmp_path / 'edge' / 'agent.db'}?mode=ro", uri=True)) as db:
            id_, public = db.execute("SELECT id, public FROM events ORDER BY id DESC LIMIT 1").fetchone()
        found.append((id_ & SEQUENCE_MASK, msgspec.msgpack.decode(public, type=Event).reason))

    with Door(tmp_path / "edge") as door:
        door.take(1)
        door.ear.look = look
        signals = [door.tap(number) for number in (GOOD, city.CARDS + 1, GOOD)]
    assert found == [(signal.sequence, signal.reason) for signal in signals]
    assert door.ear.heard == signals


def test_a_release_that_fails_is_written_down_behind_its_tap(tmp_path: Path) -> None:
    def jam(signal: Signal) -> None:
        raise ReleaseFailed("the relay does not answer")

    with Door(tmp_path / "edge") as door:
        door.take(1)
        door.ear.look = jam
        signal = door.tap(GOOD)
        kinds = [(event.sequence, event.kind) for event in door.events()]
    assert signal.sequence == 1
    assert kinds == [(0, Kind.START), (1, Kind.TAP), (2, Kind.RELEASE_FAILED)]


@pytest.mark.parametrize("repeat_window_s", [0, 30])
def test_two_taps_in_the_same_moment_are_two_events(tmp_path: Path, repeat_window_s: int) -> None:
    """A repeat is marked, never left out: how many were there is for central to judge."""
    with Door(tmp_path / "edge") as door:
        door.take(1)
        door.hold(policy=members(repeat_window_s))
        signals = [door.tap(GOOD) for _ in range(3)]
        taps = [event for event in door.events() if event.kind == Kind.TAP]
    assert [signal.sequence for signal in signals] == [1, 2, 3] == [event.sequence for event in taps]
    assert [signal.outcome for signal in signals] == [Outcome.GRANTED] * 3
    assert [event.repeat_of for event in taps] == ([0, 2, 2] if repeat_window_s else [0, 0, 0])


def test_of_two_readers_that_read_one_card_only_one_is_first(tmp_path: Path) -> None:
    """The disk is so slow that the second reader has come as far as it may before the first tap is written."""
    numbers = [number for number in range(city.CARDS) if not city.is_blocked(number, 1)][:5]
    with Door(tmp_path / "edge") as door:
        door.take(1)
        door.hold(policy=members(30))
        commit = door.store.commit
        for number in numbers:
            both = threading.Barrier(2)

            def slowly(work: Any, both: threading.Barrier = both) -> Any:
                with contextlib.suppress(threading.BrokenBarrierError):
                    both.wait(0.2)
                return commit(work)

            door.store.commit = slowly  # type: ignore[method-assign]
            readers = [threading.Thread(target=door.tap, args=(number,)) for _ in range(2)]
            for reader in readers:
                reader.start()
            for reader in readers:
                reader.join(60)
        taps = [event for event in door.events() if event.kind == Kind.TAP]
    assert len(taps) == 2 * len(numbers)
    assert [event.repeat_of for event in taps[::2]] == [0] * len(numbers)
    assert [event.repeat_of for event in taps[1::2]] == [1 + event.sequence for event in taps[::2]]


@pytest.mark.parametrize(("direction", "outcome"), [("in", Outcome.DENIED), ("out", Outcome.GRANTED)])
def test_where_nothing_can_be_written_nobody_enters_and_nobody_is_locked_in(
    tmp_path: Path, direction: str, outcome: Outcome
) -> None:
    with Door(tmp_path / "edge") as door:
        door.take(1)
        door.hold(config=GateConfig(1, city.GATE, "door", Direction(direction)))
        door.store.connection.execute("PRAGMA query_only = ON").fetchall()
        signal = door.tap(GOOD)
        assert (signal.outcome, signal.reason, signal.sequence) == (outcome, "journal-unwritable", -1)
        assert door.ear.heard == [signal]
        door.store.connection.execute("PRAGMA query_only = OFF").fetchall()
        assert door.tap(GOOD).outcome is Outcome.GRANTED
        assert [event.sequence for event in door.events()] == [0, 1]


class Everybody:
    """A list that knows every token there is."""

    class header:
        version = 1

    def lookup(self, token: bytes) -> Entry:
        return Entry(token, 1, CardState.ACTIVE, (Grant("citizen"),))

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("uid", "reason"), [("08A1B2C3", "uid-random"), ("01020304", "uid-placeholder"), ("2A83155E", "ok")]
)
def test_a_uid_that_names_nobody_is_refused_even_where_a_list_knows_it(tmp_path: Path, uid: str, reason: str) -> None:
    with Door(tmp_path / "edge") as door:
        door.take(1)
        assert door.gate.holding.allowlist is not None
        door.gate.holding.allowlist.close()
        door.hold(allowlist=Everybody())
        assert door.gate.tap(CardRead("simulated", bytes.fromhex(uid), b"", 0x08)).reason == reason
