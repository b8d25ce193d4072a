"""What became of a granted tap at a gate that sees who passes: written with what it gives back, after a crash too."""

from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from edge_agent.journal.store import JournalUnwritable, StoreDamaged
from edge_agent.release import ReleaseFailed, Signal
from protocol.messages import Direction, Outcome, Passage, PassageDetail, decode
from tests.edge_agent.test_gate import fail, new_policy, turn
from tests.edge_agent.test_gate_amends import history, refuse, told
from tests.support.central_side import subject, uid
from tests.support.edge_side import Edge


@pytest.fixture
def watched(stocked: Edge) -> Edge:
    """A gate at which something watches who passes."""
    stocked.gate.amends.awaits_passage = True
    return stocked


# --- passage --------------------------------------------------------------------------------------------------


def test_a_passage_that_was_not_taken_gives_the_entry_back_in_the_same_transaction(
    watched: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    signal = watched.tap(1)
    assert signal.awaited
    commits: list[Any] = []
    commit = watched.store.commit
    monkeypatch.setattr(watched.store, "commit", lambda work: commits.append(work) or commit(work))
    assert watched.gate.amends.passage(signal, Passage.NOT_TAKEN)
    assert len(commits) == 1
    monkeypatch.undo()
    assert told(watched)[-1] == ("passage", PassageDetail(signal.sequence, "not-taken"))
    assert history(watched, 1) is None
    again = watched.tap(1)
    assert (again.outcome, again.repeat) == (Outcome.GRANTED, False)


@pytest.mark.parametrize("passage", [Passage.TAKEN, Passage.UNKNOWN])
def test_a_passage_that_was_taken_or_not_seen_stays_an_entry(watched: Edge, passage: Passage) -> None:
    signal = watched.tap(1)
    assert watched.gate.amends.passage(signal, passage)
    assert history(watched, 1).last.sequence == signal.sequence
    assert watched.tap(1).repeat
    assert not watched.gate.amends.undo(signal.sequence), "it is over"


def test_a_tap_has_one_outcome(watched: Edge) -> None:
    passed, undone = watched.tap(1), watched.tap(2)
    assert watched.gate.amends.undo(undone.sequence)
    assert watched.gate.amends.passage(passed, Passage.TAKEN)
    before = watched.events()
    assert watched.gate.amends.passage(passed, Passage.NOT_TAKEN)
    assert watched.gate.amends.passage(undone, Passage.TAKEN)
    assert watched.events() == before


def test_a_later_tap_keeps_its_history_and_is_given_back_to_before_both(watched: Edge) -> None:
    new_policy(watched, msgspec.structs.replace(watched.central.policy, repeat_window_s=0))
    first, second = watched.tap(1), watched.tap(1)
    assert watched.gate.amends.passage(first, Passage.NOT_TAKEN)
    assert history(watched, 1).last.sequence == second.sequence
    assert watched.gate.amends.passage(second, Passage.NOT_TAKEN)
    assert history(watched, 1) is None


def test_a_repeat_that_passes_is_the_entry_when_its_first_was_not_taken(watched: Edge) -> None:
    """At a turnstile somebody taps twice, and the first pulse is over before they turn."""
    first, again = watched.tap(1), watched.tap(1)
    assert again.repeat
    assert watched.gate.amends.passage(first, Passage.NOT_TAKEN)
    assert watched.gate.amends.passage(again, Passage.TAKEN)
    assert history(watched, 1).last.sequence == again.sequence
    assert watched.tap(1).repeat, "they are in"


def test_both_not_taken_is_none(watched: Edge) -> None:
    first, again = watched.tap(1), watched.tap(1)
    watched.gate.amends.passage(first, Passage.NOT_TAKEN)
    watched.gate.amends.passage(again, Passage.NOT_TAKEN)
    assert history(watched, 1) is None


def test_what_a_door_does_by_itself_names_no_tap(watched: Edge) -> None:
    for passage in (Passage.FORCED, Passage.HELD, Passage.CLOSED):
        assert watched.gate.amends.passage(None, passage)
    assert [detail for _, detail in told(watched)] == [PassageDetail(-1, name) for name in ("forced", "held", "closed")]


@pytest.mark.parametrize("error", [JournalUnwritable("full"), StoreDamaged("torn")])
def test_an_outcome_that_cannot_be_written_down_is_told_again(
    watched: Edge, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    signal = watched.tap(1)
    with monkeypatch.context() as broken:
        broken.setattr(watched.store, "commit", refuse(error))
        assert not watched.gate.amends.passage(signal, Passage.NOT_TAKEN)
        assert not watched.gate.input_changed("tamper", True)
    assert history(watched, 1).last.sequence == signal.sequence
    assert watched.gate.amends.passage(signal, Passage.NOT_TAKEN)
    assert history(watched, 1) is None


def test_a_way_out_that_could_not_be_written_has_no_outcome_to_write(
    watched: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn(watched, Direction.OUT)
    with monkeypatch.context() as broken:
        broken.setattr(watched.store, "commit", refuse(JournalUnwritable("full")))
        signal = watched.tap(1)
    before = watched.events()
    assert watched.gate.amends.passage(signal, Passage.TAKEN)
    assert watched.events() == before


# --- a crash while somebody is on the way ---------------------------------------------------------------------


def passages(edge: Edge) -> list[PassageDetail]:
    return [decode(PassageDetail, event.detail) for event in edge.events() if event.kind == "passage"]


def test_who_was_on_the_way_in_a_crash_is_unknown_by_the_old_epoch_s_name(watched: Edge) -> None:
    passed, lost = watched.tap(1), watched.tap(2)
    admitted = watched.gate.admit("wang", "why")
    watched.gate.amends.passage(passed, Passage.TAKEN)
    watched.crash()
    watched.open()
    watched.gate.amends.awaits_passage = True
    during = watched.tap(3)
    assert watched.gate.amends.end_what_was_left()
    expected = [PassageDetail(each.sequence, "unknown", each.epoch) for each in (lost, admitted)]
    assert passages(watched)[1:] == expected
    assert history(watched, 2).last.sequence == lost.sequence, "nothing is given back on a guess"
    assert watched.gate.amends.end_what_was_left()
    assert len(passages(watched)) == 3, "once"
    watched.crash()
    watched.open()
    assert watched.gate.amends.end_what_was_left()
    assert passages(watched)[3:] == [PassageDetail(during.sequence, "unknown", during.epoch)]


def test_after_an_end_in_order_nothing_is_left(watched: Edge) -> None:
    signal = watched.tap(1)
    watched.gate.amends.passage(signal, Passage.UNKNOWN)
    watched.reopen()
    before = watched.events()
    assert watched.gate.amends.end_what_was_left()
    assert watched.events() == before


def test_what_was_left_waits_for_a_journal_that_takes_it(watched: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = watched.tap(1)
    watched.crash()
    watched.open()
    with monkeypatch.context() as broken:
        broken.setattr(watched.store, "commit", refuse(JournalUnwritable("full")))
        assert not watched.gate.amends.end_what_was_left()
    assert watched.gate.amends.end_what_was_left()
    assert passages(watched) == [PassageDetail(lost.sequence, "unknown", lost.epoch)]


def test_an_outcome_in_a_new_epoch_names_the_old_one(watched: Edge) -> None:
    """A fork begins an epoch while somebody is on the way."""
    signal = watched.tap(1)
    moment = watched.clock.now()
    watched.store.begin_epoch(
        "device-1",
        "library-1-door",
        watched.uptake.identity.signer(),
        moment,
        watched.gate.clock(moment),
        "forked",
    )
    assert watched.gate.amends.passage(signal, Passage.NOT_TAKEN)
    assert passages(watched) == [PassageDetail(signal.sequence, "not-taken", signal.epoch)]
    assert history(watched, 1) is None


def test_where_nothing_tells_who_passed_a_tap_costs_no_more_than_before(
    stocked: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statements of a tap, as SQLite sees them."""
    traced: list[str] = []
    stocked.tap(1)
    stocked.clock.advance(60_000)
    stocked.store.connection.set_trace_callback(traced.append)
    signal = stocked.tap(1)
    stocked.store.connection.set_trace_callback(None)
    assert not signal.awaited
    verbs = [statement.split()[0] for statement in traced]
    assert verbs == ["BEGIN", "SELECT", "INSERT", "INSERT", "COMMIT"]


def test_an_undo_ends_the_waiting_too(watched: Edge) -> None:
    signal = watched.tap(1)
    assert watched.gate.amends.undo(signal.sequence)
    watched.crash()
    watched.open()
    before = len(watched.events())
    assert watched.gate.amends.end_what_was_left()
    assert len(watched.events()) == before


def test_no_log_and_no_event_of_these_holds_a_uid(watched: Edge) -> None:
    with capture_logs() as logged:
        watched.ear.look = fail
        signal = watched.tap(1)
        watched.gate.amends.passage(signal, Passage.NOT_TAKEN)
        watched.gate.amends.undo(watched.tap(2).sequence)
    for number in (1, 2):
        assert uid(number).hex() not in repr(logged).lower()
        assert subject(number).hex() not in repr(logged).lower()
        for event in watched.events():
            assert uid(number) not in event.detail


def test_a_release_that_fails_leaves_the_tap_to_be_given_back(watched: Edge) -> None:
    def jam(signal: Signal) -> None:
        raise ReleaseFailed("the board does not answer")

    watched.ear.look = jam
    signal = watched.tap(1)
    assert signal.failed
    assert watched.gate.amends.passage(signal, Passage.NOT_TAKEN)
    assert history(watched, 1) is None


def test_events_are_of_the_gate_and_its_versions(watched: Edge) -> None:
    signal = watched.tap(1)
    watched.gate.amends.passage(signal, Passage.TAKEN)
    watched.gate.input_changed("fire-alarm", True, 3)
    for event in watched.events()[-2:]:
        assert (event.gate, event.held, event.direction) == (
            "library-1-door",
            watched.gate.holding.versions(),
            "",
        )
