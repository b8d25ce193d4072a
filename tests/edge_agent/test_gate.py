"""The tap path: decided on this machine alone, on disk before the door is told, and an answer whatever fails."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from edge_agent.journal.store import JournalUnwritable, StoreDamaged
from edge_agent.journal.transaction import event_id
from edge_agent.readers import CardRead, ReaderState
from edge_agent.release import ReleaseFailed, Signal
from protocol.allowlist import CardState
from protocol.journal import personal_digest
from protocol.messages import Direction, Event, Outcome, PartName, Personal, ReaderDetail, decode
from protocol.policy import Admit, Policy
from protocol.token import fingerprint, token
from protocol.uid import CardUID
from tests.support.central_side import DAY_MS, subject, uid
from tests.support.edge_side import Edge


def personal(edge: Edge, sequence: int) -> Personal:
    number = event_id(edge.store.epoch.number, sequence)
    (data,) = edge.store.connection.execute("SELECT personal FROM events WHERE id = ?", (number,)).fetchone()
    assert decode(Event, public(edge, sequence)).personal_digest == personal_digest(data)
    return decode(Personal, data)


def public(edge: Edge, sequence: int) -> bytes:
    number = event_id(edge.store.epoch.number, sequence)
    (data,) = edge.store.connection.execute("SELECT public FROM events WHERE id = ?", (number,)).fetchone()
    assert isinstance(data, bytes)
    return data


def new_policy(edge: Edge, policy: Policy) -> None:
    edge.central.policy = msgspec.structs.replace(policy, version=edge.central.policy.version + 1)
    edge.central.publish()
    edge.take(edge.central.seal(edge.central.manifest), edge.central.seal(edge.central.policy))


def turn(edge: Edge, direction: Direction) -> None:
    edge.central.config = msgspec.structs.replace(
        edge.central.config, version=edge.central.config.version + 1, direction=direction
    )
    edge.central.publish()
    edge.take(edge.central.seal(edge.central.manifest), edge.central.seal(edge.central.config))


# --- written before released ----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 99])
def test_a_tap_is_on_disk_before_the_door_is_told(stocked: Edge, number: int) -> None:
    """The release opens the database itself and looks."""
    found: list[tuple[str, str]] = []

    def look(signal: Signal) -> None:
        path = stocked.directory / "agent.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            row = db.execute("SELECT public FROM events WHERE id = ?", (event_id(1, signal.sequence),)).fetchone()
        event = decode(Event, row[0])
        found.append((event.decision, event.reason))

    stocked.ear.look = look
    signal = stocked.tap(number)
    assert found == [(signal.outcome, signal.reason)]


def test_an_event_says_what_was_decided_by_what(stocked: Edge) -> None:
    signal = stocked.tap(1)
    event = decode(Event, public(stocked, signal.sequence))
    assert (event.kind, event.direction, event.decision, event.reason, event.rule) == (
        "tap",
        "in",
        "granted",
        "ok",
        "members",
    )
    assert event.held == stocked.gate.holding.versions()
    assert event.at_ms == stocked.clock.wall_ms
    assert (event.boot_id, event.monotonic_ms) == (stocked.clock.boot_id, stocked.clock.monotonic_ms)


def test_a_known_card_is_written_down_as_its_member_an_unknown_one_as_its_token(stocked: Edge) -> None:
    known = personal(stocked, stocked.tap(1).sequence)
    assert (known.subject, known.token, known.card) == (subject(1), b"", 1)
    unknown = personal(stocked, stocked.tap(99).sequence)
    made = token(stocked.central.domain_key(), CardUID(uid(99)))
    assert (unknown.subject, unknown.token, unknown.key_number) == (b"", made, 1)
    assert unknown.fingerprint == fingerprint(made, 0x08, b"")
    assert known.salt != unknown.salt


def test_no_file_of_the_agent_holds_a_uid(stocked: Edge) -> None:
    for number in (1, 2, 99):
        stocked.tap(number)
    stocked.reopen()
    for path in stocked.directory.iterdir():
        data = path.read_bytes()
        for number in (1, 2, 99):
            assert uid(number) not in data
            assert uid(number).hex().encode() not in data.lower()


def test_no_log_holds_a_uid_or_a_token(stocked: Edge) -> None:
    with capture_logs() as logged:
        stocked.tap(99)
        stocked.ear.look = fail
        stocked.tap(1)
        stocked.store.connection.close()
        stocked.tap(1)
    said = repr(logged).lower()
    assert "tap-not-written" in said
    for number in (1, 99):
        assert uid(number).hex() not in said
        assert token(stocked.central.domain_key(), CardUID(uid(number))).hex() not in said


def fail(signal: Signal) -> None:
    raise ReleaseFailed("the board does not answer")


# --- whatever fails -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "sak", "reason"),
    [
        (b"", None, "uid-unreadable"),
        (b"\x05", None, "uid-unreadable"),
        (bytes.fromhex("04112233445566"), 0x04, "uid-incomplete"),
        (bytes.fromhex("08112233"), None, "uid-random"),
        (bytes.fromhex("01020304"), None, "uid-placeholder"),
    ],
)
def test_a_card_that_is_none_is_denied_for_what_it_is(stocked: Edge, raw: bytes, sak: int | None, reason: str) -> None:
    assert stocked.gate.tap(CardRead("front", raw, b"", sak)).reason == reason
    assert stocked.events()[-1].reason == reason


def test_without_a_list_nobody_enters(edge: Edge) -> None:
    assert edge.tap(1).reason == "list-missing"
    assert edge.events()[-1].reason == "list-missing"


@pytest.mark.parametrize("error", [JournalUnwritable("full"), StoreDamaged("torn"), RuntimeError("anything")])
@pytest.mark.parametrize(("direction", "outcome"), [(Direction.IN, Outcome.DENIED), (Direction.OUT, Outcome.GRANTED)])
def test_what_cannot_be_written_down_denies_entry_and_lets_people_out(
    stocked: Edge, monkeypatch: pytest.MonkeyPatch, error: Exception, direction: Direction, outcome: Outcome
) -> None:
    turn(stocked, direction)

    def refuse(work: Any) -> None:
        raise error

    monkeypatch.setattr(stocked.store, "commit", refuse)
    signal = stocked.tap(1)
    assert (signal.outcome, signal.reason, signal.sequence) == (outcome, "journal-unwritable", -1)
    assert stocked.ear.heard == [signal]
    assert stocked.gate.damaged.is_set() is isinstance(error, StoreDamaged)


def test_the_way_out_is_free_for_everybody(stocked: Edge) -> None:
    turn(stocked, Direction.OUT)
    assert [stocked.tap(number).reason for number in (1, 99)] == ["leaving", "leaving"]


def test_a_release_that_fails_is_an_event_behind_its_tap(stocked: Edge) -> None:
    stocked.ear.look = fail
    signal = stocked.tap(1)
    last = stocked.events()[-1]
    assert last.kind == "release-failed"
    assert decode(ReaderDetail, last.detail).reader == str(signal.sequence)


def test_a_reader_that_changes_is_an_event(edge: Edge) -> None:
    edge.gate.reader_changed("front", ReaderState.ABSENT, "unplugged" * 100)
    detail = decode(ReaderDetail, edge.events()[-1].detail)
    assert (detail.reader, detail.state) == ("front", "absent")


# --- repeats --------------------------------------------------------------------------------------------------


def test_a_repeat_gets_the_same_answer_marked_as_such(stocked: Edge) -> None:
    first = stocked.tap(1)
    stocked.clock.advance(4_000)
    again = stocked.tap(1)
    assert (again.outcome, again.repeat) == (Outcome.GRANTED, True)
    assert stocked.events()[-1].repeat_of == 1 + first.sequence
    stocked.clock.advance(1_000)
    assert not stocked.tap(1).repeat, "a repeat does not lengthen the window"


def test_a_repeat_across_a_restart_points_to_itself(stocked: Edge) -> None:
    stocked.tap(1)
    stocked.reopen()
    stocked.clock.advance(1_000)
    again = stocked.tap(1)
    assert again.repeat
    assert stocked.events()[-1].repeat_of == 1 + again.sequence


def test_a_card_that_was_blocked_in_between_is_no_repeat(stocked: Edge) -> None:
    central = stocked.central
    assert stocked.tap(1).outcome == "granted"
    central.put_card(1, CardState.BLOCKED)
    central.publish()
    delta = central.delta(1)
    stocked.take(central.seal(central.manifest), central.seal(delta))
    signal = stocked.tap(1)
    assert (signal.reason, signal.repeat) == ("card-blocked", False)


def test_of_two_readers_only_one_tap_is_the_first(stocked: Edge) -> None:
    """History, decision and event are one transaction."""
    barrier, signals = threading.Barrier(8), []

    def tapping() -> None:
        barrier.wait()
        signals.append(stocked.tap(2))

    threads = [threading.Thread(target=tapping) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(signal.repeat for signal in signals) == [False] + [True] * 7
    assert len({signal.sequence for signal in signals}) == 8


# --- staleness and clock --------------------------------------------------------------------------------------


def test_a_gate_alone_warns_restricts_and_closes(stocked: Edge) -> None:
    new_policy(stocked, Policy(1, (Admit("members", classes=("citizen",)),), repeat_window_s=0, restricted=("staff",)))
    stocked.clock.advance(2 * DAY_MS)
    assert stocked.tap(1).outcome == "granted"
    stocked.clock.advance(6 * DAY_MS)
    assert stocked.tap(1).reason == "list-stale"
    stocked.clock.advance(30 * DAY_MS)
    assert stocked.tap(1).reason == "list-too-old"


@pytest.mark.parametrize("skew_ms", [-DAY_MS, DAY_MS])
def test_a_clock_that_jumps_is_not_trusted(stocked: Edge, skew_ms: int) -> None:
    stocked.clock.wall_ms += skew_ms
    assert stocked.tap(1).reason == "clock-untrusted"
    stocked.clock.wall_ms -= skew_ms
    assert stocked.tap(1).outcome == "granted"


def test_a_wrong_clock_makes_the_list_no_older(stocked: Edge) -> None:
    new_policy(stocked, Policy(1, (Admit("members"),), untrusted_clock="ignore-dates"))
    stocked.clock.wall_ms += 365 * DAY_MS
    assert stocked.tap(1).outcome == "granted"


# --- a store that comes and goes ------------------------------------------------------------------------------


def test_a_gate_whose_disk_takes_nothing_at_start_still_lets_people_out(
    stocked: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn(stocked, Direction.OUT)
    stocked.close()

    def unwilling(path: Path, limits: object) -> sqlite3.Connection:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    with monkeypatch.context() as patched:
        patched.setattr("edge_agent.journal.store.connect", unwilling)
        with pytest.raises(JournalUnwritable):
            stocked.open()
        signal = stocked.tap(1)
        assert (signal.outcome, signal.reason) == (Outcome.GRANTED, "journal-unwritable")
        assert stocked.gate.holding.part(PartName.ALLOWLIST) is not None
    stocked.store.reopen()
    stocked.close()
    stocked.open()
    assert stocked.tap(1).reason == "leaving"
