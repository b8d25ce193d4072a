"""What becomes of a granted tap: taken back, passed, not passed; and people whom staff let in."""

import threading
from typing import Any

import pytest
from structlog.testing import capture_logs

from edge_agent.granted import UNDO_MS
from edge_agent.journal.store import JournalUnwritable, StoreDamaged
from edge_agent.release import Signal
from protocol.messages import (
    AdmitDetail,
    Direction,
    Outcome,
    Passage,
    PassageDetail,
    UndoDetail,
    decode,
)
from tests.edge_agent.test_gate import fail, turn
from tests.support.central_side import subject
from tests.support.edge_side import Edge


@pytest.fixture
def watched(stocked: Edge) -> Edge:
    """A gate at which something watches who passes."""
    stocked.gate.amends.awaits_passage = True
    return stocked


def told(edge: Edge) -> list[tuple[str, Any]]:
    """What stands behind the first event: (kind, detail)."""
    kinds = {"passage": PassageDetail, "undo": UndoDetail, "admit": AdmitDetail}
    return [
        (event.kind, decode(kinds[event.kind], event.detail) if event.kind in kinds else event.reason)
        for event in edge.events()[1:]
    ]


def history(edge: Edge, number: int) -> Any:
    return edge.store.commit(lambda transaction: transaction.history(subject(number)))


def refuse(error: Exception) -> Any:
    def commit(work: Any) -> None:
        raise error

    return commit


# --- staff ----------------------------------------------------------------------------------------------------


def test_staff_let_somebody_in_and_it_is_written_before_the_door_moves(stocked: Edge) -> None:
    denied = stocked.tap(99)
    seen: list[int] = []
    stocked.ear.look = lambda signal: seen.append(len(stocked.events()))
    signal = stocked.gate.admit("wang", "forgot the card", denied.sequence)
    assert seen == [3], "on disk when the door is told"
    assert (signal.outcome, signal.reason, signal.direction) == (Outcome.GRANTED, "staff-admitted", Direction.IN)
    assert stocked.ear.heard[-1] == signal
    event = stocked.events()[-1]
    assert (event.kind, event.decision, event.reason, event.direction) == ("admit", "granted", "staff-admitted", "in")
    assert decode(AdmitDetail, event.detail) == AdmitDetail("wang", "forgot the card", denied.sequence)
    assert event.held == stocked.gate.holding.versions()


def test_staff_let_somebody_in_who_never_tapped_and_at_length(stocked: Edge) -> None:
    stocked.gate.admit("wang", "訪客" * 2_000)
    detail = decode(AdmitDetail, stocked.events()[-1].detail)
    assert (detail.sequence, detail.staff) == (-1, "wang")
    assert detail.why.startswith("訪客訪客")
    stocked.gate.admit("wang", "why", 10_000)
    assert decode(AdmitDetail, stocked.events()[-1].detail).sequence == -1, "no such tap yet"


@pytest.mark.parametrize("error", [JournalUnwritable("full"), StoreDamaged("torn")])
@pytest.mark.parametrize(("direction", "outcome"), [(Direction.IN, Outcome.DENIED), (Direction.OUT, Outcome.GRANTED)])
def test_what_staff_do_and_nobody_can_write_down_is_refused_as_entry_is(
    stocked: Edge, monkeypatch: pytest.MonkeyPatch, error: Exception, direction: Direction, outcome: Outcome
) -> None:
    turn(stocked, direction)
    monkeypatch.setattr(stocked.store, "commit", refuse(error))
    signal = stocked.gate.admit("wang", "why")
    assert (signal.outcome, signal.reason, signal.sequence) == (outcome, "journal-unwritable", -1)
    assert stocked.ear.heard == [signal]


def test_an_admission_changes_nobody_s_history_and_is_not_undone(watched: Edge) -> None:
    signal = watched.gate.admit("wang", "why")
    assert not watched.gate.amends.undo(signal.sequence)
    assert watched.gate.amends.passage(signal, Passage.NOT_TAKEN)
    assert told(watched)[-1] == ("passage", PassageDetail(signal.sequence, "not-taken"))


# --- who wants to know ----------------------------------------------------------------------------------------


def test_watchers_hear_every_answer_after_the_door_and_break_nothing(stocked: Edge) -> None:
    heard: list[Signal] = []

    def loud(signal: Signal) -> None:
        assert stocked.ear.heard
        heard.append(signal)
        raise RuntimeError("the screen is gone")

    stocked.gate.watchers += [loud, heard.append]
    with capture_logs() as logged:
        signals = [stocked.tap(1), stocked.tap(99), stocked.gate.admit("wang", "why")]
    assert heard == [signal for signal in signals for _ in range(2)]
    assert [entry["event"] for entry in logged].count("watcher-failed") == 3
    stocked.ear.look = fail
    assert stocked.tap(2).failed
    assert heard[-1].failed


def test_a_signal_says_whose_it_is_and_shows_it_nobody(stocked: Edge) -> None:
    known, unknown = stocked.tap(1), stocked.tap(99)
    assert (known.key, known.subject) == (subject(1), subject(1))
    assert (len(unknown.key), unknown.subject) == (16, b"")
    for signal in (known, unknown):
        shown = repr(signal) + str(signal) + repr(list(signal.__rich_repr__()))
        for secret in (signal.key, signal.subject):
            assert not secret or (repr(secret) not in shown and secret.hex() not in shown)


# --- undo -----------------------------------------------------------------------------------------------------


def test_what_is_taken_back_never_was(stocked: Edge) -> None:
    signal = stocked.tap(1)
    told_of: list[tuple[bytes, int]] = []
    stocked.gate.amends.on_undo = lambda *name: told_of.append(name)
    stocked.clock.advance(UNDO_MS)
    assert stocked.gate.amends.undo(signal.sequence)
    assert told(stocked)[-1] == ("undo", UndoDetail(signal.sequence, "not-me"))
    assert told_of == [(signal.epoch, signal.sequence)]
    assert history(stocked, 1) is None
    assert not stocked.tap(1).repeat, "judged as if it had not been"


def test_taking_back_restores_what_was_before(stocked: Edge) -> None:
    stocked.tap(1)
    before = history(stocked, 1)
    stocked.clock.advance(6_000)
    signal = stocked.tap(1)
    assert history(stocked, 1) != before
    assert stocked.gate.amends.undo(signal.sequence, "wrong card")
    assert history(stocked, 1) == before
    assert told(stocked)[-1] == ("undo", UndoDetail(signal.sequence, "wrong card"))


def test_what_cannot_be_taken_back_is_not(stocked: Edge) -> None:
    denied, signal = stocked.tap(99), stocked.tap(1)
    before = stocked.events()
    assert not stocked.gate.amends.undo(denied.sequence)
    assert not stocked.gate.amends.undo(-1)
    assert not stocked.gate.amends.undo(0)
    assert not stocked.gate.amends.undo(77)
    stocked.clock.advance(UNDO_MS + 1)
    assert not stocked.gate.amends.undo(signal.sequence), "too late"
    assert stocked.events() == before


def test_nothing_is_taken_back_twice_or_after_a_restart(stocked: Edge) -> None:
    first = stocked.tap(1)
    assert stocked.gate.amends.undo(first.sequence)
    assert not stocked.gate.amends.undo(first.sequence)
    second = stocked.tap(1)
    stocked.reopen()
    assert not stocked.gate.amends.undo(second.sequence), "another epoch's"


def test_a_wall_clock_that_jumps_changes_nothing(stocked: Edge) -> None:
    signal = stocked.tap(1)
    stocked.clock.wall_ms += 3_600_000
    assert stocked.gate.amends.undo(signal.sequence)


def test_a_repeat_is_taken_back_with_the_tap_that_it_repeats(stocked: Edge) -> None:
    first = stocked.tap(1)
    stocked.clock.advance(1_000)
    again = stocked.tap(1)
    assert again.repeat
    assert stocked.gate.amends.undo(again.sequence)
    assert [detail.sequence for kind, detail in told(stocked) if kind == "undo"] == [again.sequence, first.sequence]
    assert history(stocked, 1) is None


def test_a_repeat_that_is_not_taken_back_takes_the_place_of_its_first(stocked: Edge) -> None:
    first = stocked.tap(1)
    stocked.clock.advance(1_000)
    again = stocked.tap(1)
    assert stocked.gate.amends.undo(first.sequence)
    assert history(stocked, 1).last.sequence == again.sequence
    assert stocked.tap(1).repeat
    assert stocked.events()[-1].repeat_of == 1 + again.sequence
    third = stocked.events()[-1].sequence
    assert stocked.gate.amends.undo(again.sequence)
    assert history(stocked, 1).last.sequence == third


@pytest.mark.parametrize("error", [JournalUnwritable("full"), StoreDamaged("torn")])
def test_an_undo_that_cannot_be_written_down_is_none(
    stocked: Edge, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    signal = stocked.tap(1)
    before = history(stocked, 1)
    with monkeypatch.context() as broken:
        broken.setattr(stocked.store, "commit", refuse(error))
        assert not stocked.gate.amends.undo(signal.sequence)
    assert history(stocked, 1) == before
    assert stocked.gate.amends.undo(signal.sequence), "it may be tried again"


def test_of_two_who_take_back_the_same_tap_one_does(stocked: Edge) -> None:
    signal = stocked.tap(1)
    barrier, found = threading.Barrier(8), []

    def undo() -> None:
        barrier.wait()
        found.append(stocked.gate.amends.undo(signal.sequence))

    threads = [threading.Thread(target=undo) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [False] * 7 + [True]
    assert [kind for kind, _ in told(stocked)].count("undo") == 1
