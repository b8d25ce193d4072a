"""Central's word on members' earlier taps, as a gate takes it up: once, whole, and never in place of its own (§7.8)."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge_agent.config import Config
from edge_agent.housekeeping import FORGET_S, Housekeeping
from edge_agent.journal.pruning import KEEP_MS, prune_histories
from edge_agent.journal.recovery import salvage, set_aside, unsalvaged
from edge_agent.journal.store import JournalUnwritable, Store
from edge_agent.journal.verify import verify
from edge_agent.published import state_feed
from edge_agent.snapshots import Snapshots
from edge_agent.subscription import Subscription
from edge_agent.sync import UNDERSTANDS
from protocol.history import History, Mark, SubjectState
from protocol.messages import Direction, Outcome, Part, Passage
from protocol.policy import Admit, Interval, Limit, Occupancy, Policy
from tests.edge_agent.looking_back import held, looking_back, marks, through, written
from tests.edge_agent.test_gate import new_policy, turn
from tests.support.central_side import VENUE, CentralSide, subject
from tests.support.edge_side import LIMITS, Edge

LATER_MS = 2**43
ELSEWHERE = os.urandom(8)


def mark(edge: Edge, sequence: int = 1, direction: str = "in", **changes: Any) -> Mark:
    """At another gate, by another device, a minute ago."""
    at_ms = edge.clock.wall_ms - 60_000
    found = Mark(at_ms, VENUE, "another-gate", direction, "members", 0, 0, ELSEWHERE, sequence)
    return msgspec.structs.replace(found, **changes)


def state(number: int, *found: Mark, **more: Any) -> SubjectState:
    return SubjectState(subject(number), found, **more)


@pytest.fixture
def looking(edge: Edge) -> Edge:
    """It holds everything, and a policy that looks back."""
    edge.central.policy = looking_back()
    edge.central.publish()
    edge.take_all()
    return edge


def told(edge: Edge, number: int) -> tuple[Mark, ...]:
    history = held(edge, number)
    return history.told if history else ()


def troubles(edge: Edge) -> list[str]:
    return list(edge.uptake.troubles)


# --- taken up -------------------------------------------------------------------------------------------------


def test_what_central_knows_is_held_and_named_in_the_poll_also_after_a_restart(looking: Edge) -> None:
    assert "tapgate.state.v1" in UNDERSTANDS
    assert not [part for part in looking.uptake.held_parts() if part.name == "state"], "nothing is held yet"
    version = looking.central.tell(state(1, mark(looking), reserved=30, lapse_ms=LATER_MS, notes=(("points", 30),)))
    looking.poll()
    expected = History(None, (), (mark(looking),), 30, LATER_MS, (("points", 30),))
    for _ in range(2):
        assert held(looking, 1) == expected
        assert Part("state", version, bytes(32)) in looking.uptake.held_parts()
        looking.reopen()
    assert verify(looking.directory) == []


def test_a_subject_that_is_named_again_has_the_new_word_and_the_others_keep_theirs(looking: Edge) -> None:
    looking.central.tell(state(1, mark(looking)), state(2, mark(looking, 2)))
    looking.poll()
    looking.central.tell(state(1, mark(looking, 3)))
    looking.poll()
    assert (told(looking, 1), told(looking, 2)) == ((mark(looking, 3),), (mark(looking, 2),))


def test_central_s_word_decides_the_next_tap(looking: Edge) -> None:
    new_policy(looking, Policy(1, (Limit("once", most=1), Admit("members")), repeat_window_s=0))
    looking.central.tell(state(1, mark(looking)))
    looking.poll()
    assert looking.tap(1).reason == "limit-reached"
    assert looking.tap(2).outcome is Outcome.GRANTED


BENT: dict[str, tuple[dict[str, Any], str]] = {
    "another device's": ({"device": "device-2"}, "other-device"),
    "another domain's": ({"domain": "museums"}, "other-domain"),
    "from a base that is not held": ({"base": 5}, "wrong-base"),
    "not above its base": ({"base": 1, "version": 1}, "not-newer"),
    "anew and older": ({"base": 0, "version": 0}, "not-newer"),
}


@pytest.mark.parametrize("case", BENT)
def test_a_word_that_does_not_fit_changes_nothing_and_is_said(looking: Edge, case: str) -> None:
    changes, why = BENT[case]
    looking.central.tell(state(1, mark(looking)))
    looking.poll()
    looking.central.tell(state(1, mark(looking, 2)))
    before = held(looking, 1)
    looking.take(looking.central.fresh(), looking.central.word_on_members(**({"base": 1} | changes)))
    assert held(looking, 1) == before
    assert why in looking.uptake.troubles["state"].why
    assert looking.uptake.states.held.version == 1
    looking.central.tell(state(1, mark(looking, 3)))
    looking.poll()
    assert (troubles(looking), told(looking, 1)) == ([], (mark(looking, 3),))


def test_a_word_from_a_wrong_base_does_not_keep_the_same_version_from_coming(looking: Edge) -> None:
    looking.central.tell(state(1, mark(looking)))
    looking.take(looking.central.fresh(), looking.central.word_on_members(base=7, version=9))
    assert looking.uptake.troubles["state"].version == 0
    looking.central.state_version = 9
    looking.poll()
    assert (troubles(looking), looking.uptake.states.held.version) == ([], 9)
    looking.take(looking.central.fresh(), looking.central.word_on_members(base=7, version=11))
    looking.poll()
    assert troubles(looking) == [], "central has nothing newer, so nothing is missing"


def test_a_word_that_a_receipt_key_signed_is_refused(looking: Edge) -> None:
    looking.central.tell(state(1, mark(looking)))
    looking.central.seal = looking.central.receipts.seal  # type: ignore[method-assign]
    forged = looking.central.word_on_members()
    del looking.central.seal
    looking.take(looking.central.fresh(), forged)
    assert "wrong-role" in looking.uptake.troubles["state"].why
    assert held(looking, 1) is None


# --- central's and one's own ------------------------------------------------------------------------------------


def test_own_marks_that_central_counts_are_dropped_and_later_ones_are_kept(looking: Edge) -> None:
    looking.tap(1)
    looking.clock.advance(6_000)
    journal = written(looking)
    second = looking.tap(1)
    looking.central.tell(state(1, mark(looking)), counted=through(journal))
    looking.poll()
    history = held(looking, 1)
    assert history is not None
    assert [each.name for each in history.own] == [(second.epoch, second.sequence)]
    assert history.last is not None, "what a repeat is measured from stays"


def test_what_is_counted_in_one_epoch_says_nothing_of_another(looking: Edge) -> None:
    looking.tap(1)
    looking.tap(1)
    counted = through(written(looking))
    looking.reopen()
    looking.clock.advance(6_000)
    first = looking.tap(1)
    assert first.sequence <= max(counted.values())
    looking.central.tell(state(1), counted=counted)
    looking.poll()
    assert marks(looking, 1) == [(first.epoch, first.sequence)]


def test_at_base_0_what_was_told_before_counts_no_more_and_one_s_own_does(looking: Edge) -> None:
    for number in (1, 2, 3):
        looking.central.tell(state(number, mark(looking, number), notes=(("points", 1),)))
    looking.poll()
    own = looking.tap(2)
    looking.central.states = {subject(1): looking.central.states[subject(1)]}
    looking.central.state_version += 1
    looking.take(looking.central.fresh(), looking.central.word_on_members(0))
    assert told(looking, 1) == (mark(looking, 1),)
    assert (told(looking, 2), marks(looking, 2)) == ((), [(own.epoch, own.sequence)])
    assert held(looking, 3) is None


def test_a_restored_central_begins_anew_and_what_it_lost_is_the_gate_s_own_again(looking: Edge) -> None:
    early = looking.tap(1)
    counted = through(written(looking))
    early_mark = held(looking, 1).own  # type: ignore[union-attr]
    looking.clock.advance(6_000)
    late = looking.tap(1)
    all_marks = held(looking, 1).own  # type: ignore[union-attr]
    looking.central.tell(state(1, *all_marks), counted=through(written(looking)))
    looking.central.tell()
    looking.poll()
    assert (looking.uptake.states.held.version, held(looking, 1).own) == (2, ())  # type: ignore[union-attr]
    looking.central.restore_states(state(1, *early_mark), counted=counted)
    looking.central.publish()
    looking.poll()
    looking.poll()
    history = held(looking, 1)
    assert history is not None
    assert looking.uptake.states.held.version == 1, "below what was held: another central counts anew"
    assert [each.name for each in history.told] == [(early.epoch, early.sequence)]
    assert [each.name for each in history.own] == [(late.epoch, late.sequence)]


@pytest.mark.parametrize("kills", [0, 1, 2])
@pytest.mark.parametrize("base", [0, 1])
def test_a_crash_in_the_middle_leaves_the_older_version_and_taking_it_again_does_no_harm(
    looking: Edge, monkeypatch: pytest.MonkeyPatch, kills: int, base: int
) -> None:
    monkeypatch.setattr(state_feed, "ROWS", 2)
    looking.central.tell(*(state(number, mark(looking, number)) for number in range(5)))
    looking.poll()
    own = looking.tap(1)
    looking.central.tell(*(state(number, mark(looking, 10 + number)) for number in range(5)))
    commit, left = looking.store.commit, [kills]

    def failing(work: Callable[[Any], Any]) -> Any:
        if left[0] == 0:
            raise JournalUnwritable("the plug")
        left[0] -= 1
        return commit(work)

    with monkeypatch.context() as broken:
        broken.setattr(looking.store, "commit", failing)
        looking.uptake.take((looking.central.word_on_members(base),), looking.clock.now())
    looking.crash()
    looking.open()
    assert looking.uptake.states.held.version in ((1,) if base else (0, 1))
    assert own.sequence in [each[1] for each in marks(looking, 1)]
    looking.poll()
    assert looking.uptake.states.held.version == 2
    assert [told(looking, number) for number in range(5)] == [(mark(looking, 10 + number),) for number in range(5)]
    assert [each.sequence for each in held(looking, 1).own] == [own.sequence]  # type: ignore[union-attr]


def test_a_tap_in_the_middle_of_a_long_message_counts(looking: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_feed, "ROWS", 1)
    looking.central.tell(*(state(number, mark(looking, number)) for number in range(4)))
    tapped: list[int] = []
    feed = looking.uptake.states
    in_turn = feed._in_turn

    def tap_between(work: Any) -> None:
        in_turn(work)
        tapped.append(looking.tap(len(tapped)).sequence)

    monkeypatch.setattr(feed, "_in_turn", tap_between)
    looking.poll()
    assert len(tapped) == 4
    for number, sequence in enumerate(tapped):
        history = held(looking, number)
        assert history is not None
        assert (history.told, [each.sequence for each in history.own]) == ((mark(looking, number),), [sequence])


# --- apart ------------------------------------------------------------------------------------------------------


def is_apart(edge: Edge) -> bool:
    return edge.gate._known_of_others(edge.gate.holding, edge.clock.now())[0]


def test_a_gate_is_apart_until_central_told_it_and_when_it_has_not_answered_for_long(looking: Edge) -> None:
    apart_ms = looking_back().apart_s * 1_000
    looking.take(looking.central.fresh())
    assert is_apart(looking), "contact alone tells nothing of what happened elsewhere"
    looking.central.tell()
    looking.poll()
    assert not is_apart(looking)
    looking.clock.advance(apart_ms - 1)
    assert not is_apart(looking)
    looking.take(looking.central.fresh())
    looking.clock.advance(apart_ms - 1)
    assert not is_apart(looking), "nothing changed, and central said so"
    looking.clock.advance(1)
    assert is_apart(looking)
    looking.poll()
    assert not is_apart(looking)


def test_after_a_restart_a_gate_is_apart_until_the_first_answer(looking: Edge) -> None:
    looking.central.tell()
    looking.poll()
    looking.reopen()
    assert is_apart(looking)
    looking.poll()
    assert not is_apart(looking)


def test_a_word_that_was_refused_leaves_the_gate_apart(looking: Edge) -> None:
    looking.central.tell()
    looking.poll()
    looking.clock.advance(looking_back().apart_s * 1_000)
    looking.central.tell()
    looking.take(looking.central.fresh(), looking.central.word_on_members(1, domain="museums"))
    assert is_apart(looking)
    looking.take(looking.central.fresh())
    assert is_apart(looking), "what it could not take up is still news to it"


def test_what_is_apart_follows_the_rule_for_it(looking: Edge) -> None:
    rules = (Interval("pause", minutes=5, when_unknown="refuse"), Admit("members"))
    new_policy(looking, Policy(1, rules))
    assert looking.tap(1).reason == "history-unknown"
    looking.central.tell()
    looking.poll()
    assert looking.tap(1).outcome is Outcome.GRANTED


def test_an_answer_that_brings_only_states_is_news_and_not_waited_for(looking: Edge) -> None:
    class Line:
        async def send(self, path: str, body: bytes, timeout_s: float = 0) -> tuple[bytes, ...]:
            looking.central.tell()
            return (looking.central.fresh(), looking.central.word_on_members(looking.uptake.states.held.version))

        def pin(self, *_: object) -> None:
            pass

    signer = looking.central.device_signer
    snapshots = Snapshots(looking.uptake, signer, Line(), looking.clock)  # type: ignore[arg-type]
    made = Subscription(looking.uptake, signer, Line(), looking.clock, snapshots)  # type: ignore[arg-type]

    async def five() -> None:
        for _ in range(5):
            await made.step()

    asyncio.run(five())
    assert (looking.uptake.states.held.version, made._idle_answers) == (5, 0)


# --- who is inside ------------------------------------------------------------------------------------------------


def inside(edge: Edge) -> int | None:
    return edge.gate.others.inside(VENUE)


def test_the_count_is_central_s_and_what_this_gate_did_since(looking: Edge) -> None:
    looking.gate.amends.awaits_passage = True
    looking.tap(1)
    assert inside(looking) is None, "nobody told it of its venue"
    looking.central.tell(counted=through(written(looking)), library_1=10, pool_7=3)
    looking.poll()
    assert inside(looking) == 10
    first = looking.tap(2)
    repeat = looking.tap(2)
    staying = looking.tap(3)
    looking.gate.admit("lin", "forgot the card")
    assert inside(looking) == 13
    looking.gate.amends.passage(staying, Passage.NOT_TAKEN)
    assert inside(looking) == 12
    looking.gate.amends.passage(first, Passage.NOT_TAKEN)
    assert inside(looking) == 12, "its repeat stands for it"
    looking.gate.amends.undo(repeat.sequence)
    assert inside(looking) == 11
    turn(looking, Direction.OUT)
    looking.tap(1)
    assert inside(looking) == 10
    for _ in range(2):
        looking.reopen()
        looking.gate.amends.awaits_passage = True
        assert inside(looking) == 10, "the journal tells what was done since"
    looking.central.tell(counted=through(written(looking)), library_1=4)
    looking.poll()
    assert inside(looking) == 4


def test_there_are_never_fewer_than_none(looking: Edge) -> None:
    looking.central.tell(library_1=1)
    looking.poll()
    turn(looking, Direction.OUT)
    for number in range(3):
        looking.tap(number)
    assert inside(looking) == 0


def test_what_is_taken_back_after_central_counted_it_is_taken_off_its_count(looking: Edge) -> None:
    signal = looking.tap(1)
    looking.central.tell(counted=through(written(looking)), library_1=5)
    looking.poll()
    assert looking.gate.amends.undo(signal.sequence)
    assert inside(looking) == 4
    looking.reopen()
    assert inside(looking) == 4


def test_a_policy_that_begins_to_count_is_told_of_what_this_gate_did_before(stocked: Edge) -> None:
    stocked.central.tell(library_1=5)
    stocked.poll()
    stocked.tap(1)
    rules = (Occupancy("ceiling", most=7), Admit("members"))
    new_policy(stocked, Policy(1, rules))
    stocked.poll()
    stocked.poll()
    assert inside(stocked) == 6
    assert [stocked.tap(number).reason for number in (2, 3)] == ["ok", "full"]


# --- what is let go of ----------------------------------------------------------------------------------------------


def test_revocation_destroys_what_is_known_of_anybody_s_taps(looking: Edge) -> None:
    looking.central.tell(state(1, mark(looking)), state(2, mark(looking)))
    looking.poll()
    looking.tap(3)
    events = len(looking.events())
    looking.uptake.destroy()
    assert looking.store.connection.execute("SELECT count(*) FROM history").fetchone() == (0,)
    assert looking.uptake.states.part() is None
    assert len(looking.events()) == events, "the journal is kept"
    looking.store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    kept = b"".join(path.read_bytes() for path in looking.directory.glob("agent.db*"))
    assert subject(1) not in kept
    assert ELSEWHERE not in kept


def test_a_salvaged_store_keeps_histories_and_asks_for_all_of_them_again(looking: Edge) -> None:
    looking.central.tell(state(1, mark(looking)))
    looking.poll()
    own = looking.tap(2)
    expected = held(looking, 1)
    looking.close()
    set_aside(looking.directory, looking.clock.wall_ms, "a flipped bit")
    store = Store(looking.directory, LIMITS)
    for aside in unsalvaged(looking.directory):
        salvage(aside, store)
    store.close()
    looking.open()
    assert held(looking, 1) == expected
    assert marks(looking, 2) == [(own.epoch, own.sequence)]
    assert looking.uptake.states.part() is None, "some rows may be gone"
    looking.poll()
    assert (held(looking, 1), marks(looking, 2)) == (expected, [(own.epoch, own.sequence)])


def test_a_policy_that_looks_back_no_more_lets_go_of_marks_and_one_that_does_again_has_them_told(looking: Edge) -> None:
    looking.central.tell(state(1, mark(looking)))
    looking.poll()
    looking.tap(1)
    new_policy(looking, Policy(1, (Admit("members"),), repeat_window_s=0))
    assert told(looking, 1), "not before it is written"
    looking.tap(1)
    history = held(looking, 1)
    assert history == History(history.last if history else None)
    new_policy(looking, looking_back())
    looking.poll()
    assert told(looking, 1) == (mark(looking),)


def test_a_policy_that_looks_further_back_has_everything_told_again(looking: Edge) -> None:
    new_policy(looking, Policy(1, (Limit("day", most=9), Admit("members")), repeat_window_s=0))
    month_ms = 20 * 86_400_000
    old = mark(looking, at_ms=looking.clock.wall_ms - month_ms)
    looking.central.tell(state(1, old))
    looking.poll()
    assert told(looking, 1) == (), "no rule asks for it"
    new_policy(looking, looking_back(repeat_window_s=0))
    looking.poll()
    assert told(looking, 1) == (old,)


def test_marks_that_no_rule_looks_back_to_are_trimmed_as_a_row_is_written(looking: Edge) -> None:
    looking.central.tell(state(1, mark(looking)))
    looking.poll()
    looking.tap(1)
    looking.clock.advance(33 * 86_400_000)
    looking.central.now_ms = looking.clock.wall_ms
    looking.central.publish()
    looking.poll()
    assert len(marks(looking, 1)) == 2
    fresh = looking.tap(1)
    assert marks(looking, 1) == [(fresh.epoch, fresh.sequence)]


@pytest.fixture
def central(tmp_path: Path) -> CentralSide:
    """At noon, so that no test runs across midnight."""
    side = CentralSide(1_790_000_000_000 // 86_400_000 * 86_400_000 + 4 * 3_600_000)
    side.publish()
    return side


# --- retention ----------------------------------------------------------------------------------------------------


def rows(edge: Edge) -> set[bytes]:
    return {key for (key,) in edge.store.connection.execute("SELECT key FROM history").fetchall()}


def test_histories_go_thirty_days_after_the_last_tap_unless_a_rule_looks_back_to_them(looking: Edge) -> None:
    looking.tap(1)
    looking.central.tell(state(2, mark(looking)))
    looking.poll()
    tapped_ms = looking.clock.wall_ms
    assert prune_histories(looking.store, tapped_ms + KEEP_MS, tapped_ms + KEEP_MS) == 0
    looking.clock.advance(1_000)
    looking.tap(3)
    gone_ms = tapped_ms + KEEP_MS + 1
    assert prune_histories(looking.store, gone_ms, tapped_ms) == 0, "a rule looks back to them"
    assert prune_histories(looking.store, gone_ms, gone_ms) == 2
    assert rows(looking) == {subject(3)}


def test_a_note_without_a_mark_stays_thirty_days_after_central_said_it(looking: Edge) -> None:
    looking.central.tell(state(1, notes=(("points", 3),)))
    looking.poll()
    now_ms = looking.clock.wall_ms
    assert prune_histories(looking.store, now_ms + KEEP_MS, now_ms + KEEP_MS) == 0
    assert prune_histories(looking.store, now_ms + 2 * KEEP_MS, now_ms + 2 * KEEP_MS) == 1


def test_somebody_who_taps_while_histories_are_pruned_keeps_theirs(
    looking: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking.tap(1)
    later_ms = looking.clock.wall_ms + 2 * KEEP_MS
    commit = looking.store.commit

    def tapping(work: Callable[[Any], Any]) -> Any:
        monkeypatch.setattr(looking.store, "commit", commit)
        looking.clock.advance(2 * KEEP_MS)
        looking.tap(1)
        return commit(work)

    monkeypatch.setattr(looking.store, "commit", tapping)
    assert prune_histories(looking.store, later_ms, later_ms) == 0
    assert rows(looking) == {subject(1)}


def test_housekeeping_prunes_by_what_the_policy_looks_back_to(looking: Edge) -> None:
    keeping = Housekeeping(Config(looking.directory), looking.gate, looking.uptake)
    looking.tap(1)
    looking.clock.advance(31 * 86_400_000)
    looking.central.now_ms = looking.clock.wall_ms
    looking.central.publish()
    looking.poll()
    keeping._prune()
    assert rows(looking) == {subject(1)}, "anti-passback looks back 31 days and the day"
    looking.clock.advance(2 * 86_400_000)
    looking.central.now_ms = looking.clock.wall_ms
    looking.central.publish()
    looking.poll()
    keeping._forgot_s = 0.0 - FORGET_S
    keeping._prune()
    assert rows(looking) == set()
