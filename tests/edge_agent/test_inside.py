"""Who may be inside, as the gate's own journal tells."""

from pathlib import Path

import msgspec
import pytest

from edge_agent.door.inside import inside
from protocol.messages import Direction, Passage
from protocol.presence import AT_LEAST_MS
from tests.edge_agent.test_gate import turn
from tests.support.central_side import DAY_MS, CentralSide, subject, uid
from tests.support.edge_side import Edge

NOON_MS = 1_790_000_000_000 // DAY_MS * DAY_MS + 4 * 3_600_000
"""In Taipei."""


@pytest.fixture
def central() -> CentralSide:
    side = CentralSide(NOON_MS)
    side.publish()
    return side


def who(edge: Edge) -> list[tuple[str, str]]:
    """(pseudonym or `staff`, passage) of each."""
    return [(each.who or "staff", each.passage) for each in inside(edge.directory, edge.clock.wall_ms)]


def name(number: int) -> str:
    return subject(number)[:4].hex()


def test_who_came_in_is_inside_until_a_way_out_is_seen(stocked: Edge) -> None:
    stocked.tap(1)
    stocked.clock.advance(60_000)
    stocked.tap(2)
    assert who(stocked) == [(name(1), ""), (name(2), "")]
    turn(stocked, Direction.OUT)
    stocked.tap(1)
    assert who(stocked) == [(name(2), "")]


def test_who_was_denied_or_did_not_go_in_is_not_inside(stocked: Edge) -> None:
    stocked.gate.amends.awaits_passage = True
    stocked.tap(99)
    passed, stayed, unseen, undone = (stocked.tap(number) for number in (1, 2, 3, 4))
    stocked.gate.amends.passage(passed, Passage.TAKEN)
    stocked.gate.amends.passage(stayed, Passage.NOT_TAKEN)
    stocked.gate.amends.passage(unseen, Passage.UNKNOWN)
    stocked.gate.amends.undo(undone.sequence)
    assert who(stocked) == [(name(1), "taken"), (name(3), "unknown")]


def test_an_outcome_that_the_next_run_told_counts(stocked: Edge) -> None:
    stocked.gate.amends.awaits_passage = True
    stocked.tap(1)
    stocked.crash()
    stocked.open()
    stocked.gate.amends.end_what_was_left()
    assert who(stocked) == [(name(1), "unknown")]


def test_whoever_tapped_twice_is_one_and_staff_s_guests_are_each_one(stocked: Edge) -> None:
    stocked.tap(1)
    stocked.tap(1)
    stocked.gate.admit("wang", "visitor")
    stocked.gate.admit("wang", "visitor")
    assert who(stocked) == [(name(1), ""), ("staff", ""), ("staff", "")]
    assert [each.staff for each in inside(stocked.directory, stocked.clock.wall_ms)] == [False, True, True]


def test_a_way_out_that_nobody_saw_taken_leaves_them_inside(stocked: Edge) -> None:
    stocked.tap(1)
    stocked.tap(2)
    turn(stocked, Direction.OUT)
    stocked.gate.amends.awaits_passage = True
    stocked.gate.amends.passage(stocked.tap(1), Passage.UNKNOWN)
    stocked.gate.amends.passage(stocked.tap(2), Passage.TAKEN)
    assert who(stocked) == [(name(1), "")]


def test_yesterday_s_are_gone_but_not_at_midnight(stocked: Edge) -> None:
    stocked.tap(1)
    stocked.clock.advance(11 * 3_600_000)  # 23:00
    stocked.tap(2)
    stocked.clock.advance(2 * 3_600_000)  # 01:00
    stocked.tap(3)
    assert [each for each, _ in who(stocked)] == [name(2), name(3)]
    stocked.clock.advance(AT_LEAST_MS)
    assert [each for each, _ in who(stocked)] == [name(3)]


def test_the_day_begins_where_the_gate_stands(stocked: Edge) -> None:
    zoned = msgspec.structs.replace(stocked.central.config, version=2, time_zone="Europe/London")
    stocked.central.config = zoned
    stocked.central.publish()
    stocked.take(stocked.central.seal(stocked.central.manifest), stocked.central.seal(zoned))
    stocked.tap(1)
    stocked.clock.advance(13 * 3_600_000)  # noon in Taipei was five in the morning in London
    assert who(stocked) == [(name(1), "")]


def test_what_is_told_names_nobody(stocked: Edge) -> None:
    stocked.tap(1)
    (found,) = inside(stocked.directory, stocked.clock.wall_ms)
    assert (found.at_ms, found.card, len(found.who)) == (stocked.clock.wall_ms, 1, 8)
    assert uid(1).hex() not in repr(found)


def test_a_person_whose_part_was_destroyed_still_counts(stocked: Edge) -> None:
    stocked.tap(1)
    stocked.store.connection.execute("UPDATE events SET personal = NULL")
    assert who(stocked) == [("staff", "")]
    assert not inside(stocked.directory, stocked.clock.wall_ms)[0].staff


def test_it_reads_beside_a_running_agent_and_changes_nothing(stocked: Edge) -> None:
    stocked.tap(1)
    before = stocked.events()
    for _ in range(3):
        who(stocked)
    assert stocked.events() == before
    assert not stocked.tap(2).failed


def test_a_folder_without_a_journal_and_a_journal_that_is_none_are_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="has not run yet"):
        inside(tmp_path, NOON_MS)
    (tmp_path / "agent.db").write_bytes(b"no database, but long enough to be looked at" * 100)
    with pytest.raises(OSError, match=r"agent\.db"):
        inside(tmp_path, NOON_MS)
