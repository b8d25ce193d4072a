"""Staff close a gate by hand: on disk before it holds, through restarts and kills, whatever the clock."""

import pytest

from edge_agent.closing import CLOSED_BY_STAFF, stored_closing
from edge_agent.journal.database import JournalUnwritable
from edge_agent.journal.verify import verify
from protocol.messages import Clock, Closure, ClosureDetail, Direction, Kind, decode
from protocol.policy import Policy, Session
from tests.edge_agent.test_closures import close
from tests.edge_agent.test_gate import turn
from tests.support.edge_side import Edge

HOUR_MS = 3_600_000


def told(edge: Edge) -> list[ClosureDetail]:
    return [decode(ClosureDetail, event.detail) for event in edge.events() if event.kind == Kind.CLOSURE]


def kill(edge: Edge) -> None:
    edge.crash()
    edge.open()


def test_nobody_enters_until_it_is_over_and_everybody_leaves(stocked: Edge) -> None:
    now_ms = stocked.clock.now().wall_ms
    assert stocked.gate.closing.close_entry("Lin.07", "typhoon", HOUR_MS)
    assert told(stocked) == [ClosureDetail("Lin.07", "typhoon", now_ms, now_ms + HOUR_MS)]
    assert stocked.tap(1).reason == "closed"
    turn(stocked, Direction.OUT)
    assert stocked.tap(1).reason == "leaving"
    turn(stocked, Direction.IN)
    stocked.clock.advance(HOUR_MS - 1)
    assert stocked.tap(2).reason == "closed"
    stocked.clock.advance(1)
    assert stocked.tap(2).reason == "ok"


def test_it_is_opened_again_and_both_are_told(stocked: Edge) -> None:
    stocked.gate.closing.close_entry("Lin.07", "other", HOUR_MS)
    stocked.clock.advance(60_000)
    assert stocked.gate.closing.open_entry("Wu")
    assert stocked.tap(1).reason == "ok"
    opened = told(stocked)[-1]
    assert (opened.staff, opened.why, opened.until_ms - opened.from_ms) == ("Wu", "", 0)
    kill(stocked)
    assert stocked.tap(2).reason == "ok"


def test_a_kill_right_after_it_opens_nothing(stocked: Edge) -> None:
    stocked.gate.closing.close_entry("Lin.07", "typhoon", HOUR_MS)
    kill(stocked)
    assert stocked.tap(1).reason == "closed"
    stocked.clock.reboot(60_000)
    kill(stocked)
    assert stocked.tap(1).reason == "closed"
    assert verify(stocked.directory) == []
    stocked.clock.advance(HOUR_MS)
    assert stocked.tap(2).reason == "ok"


def test_what_cannot_be_written_down_does_not_hold(stocked: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(work: object) -> None:
        raise JournalUnwritable("full")

    monkeypatch.setattr(stocked.store, "commit", full)
    assert not stocked.gate.closing.close_entry("Lin.07", "typhoon", HOUR_MS)
    assert stocked.gate.closing.newest is None
    monkeypatch.undo()
    assert stored_closing(stocked.store) is None
    assert stocked.tap(1).reason == "ok"
    stocked.gate.closing.close_entry("Lin.07", "typhoon", HOUR_MS)
    monkeypatch.setattr(stocked.store, "commit", full)
    assert not stocked.gate.closing.open_entry("Lin.07")
    monkeypatch.undo()
    assert stocked.tap(1).reason == "closed", "nor is it open before that is on disk"


def test_a_wrong_clock_neither_keeps_it_open_nor_opens_it(stocked: Edge) -> None:
    policy = stocked.central.policy
    stocked.central.policy = Policy(policy.version + 1, policy.rules, policy.schedules, untrusted_clock="ignore-dates")
    stocked.central.publish()
    stocked.take(stocked.central.seal(stocked.central.manifest), stocked.central.seal(stocked.central.policy))
    stocked.clock.wall_ms -= 30 * 24 * HOUR_MS
    assert stocked.gate.clock(stocked.clock.now()) is Clock.BEHIND
    assert stocked.tap(1).reason == "ok"
    stocked.gate.closing.close_entry("Lin.07", "typhoon", HOUR_MS)
    assert stocked.tap(2).reason == "closed"
    stocked.clock.wall_ms += 30 * 24 * HOUR_MS + 2 * HOUR_MS
    assert stocked.tap(2).reason == "closed", "within a boot the wall clock says nothing"
    stocked.clock.reboot()
    kill(stocked)
    assert stocked.gate.closing.by_staff_ms(stocked.clock.now()) is None
    assert stocked.tap(1).reason == "closed", "nobody knows how long it was off"
    stocked.gate.closing.open_entry("Lin.07")
    assert stocked.tap(1).reason != "closed"


def test_a_closure_of_central_and_one_by_staff_hold_beside_each_other(stocked: Edge) -> None:
    now_ms = stocked.clock.now().wall_ms
    stocked.gate.closing.close_entry("Lin.07", "typhoon", HOUR_MS)
    close(stocked, Closure(now_ms, now_ms + 2 * HOUR_MS, admits=("citizen",)))
    assert stocked.tap(1).reason == "closed", "staff admit nobody whom central would"
    close(stocked)
    assert stocked.tap(1).reason == "closed", "central opens nothing that staff closed"
    close(stocked, Closure(now_ms, now_ms + 2 * HOUR_MS))
    stocked.gate.closing.open_entry("Lin.07")
    assert stocked.tap(1).reason == "closed", "nor do staff open what central closed"


def test_who_is_signed_in_signs_out_at_a_closed_kiosk(stocked: Edge) -> None:
    policy = stocked.central.policy
    stocked.central.policy = Policy(policy.version + 1, policy.rules, policy.schedules, session=Session())
    stocked.central.publish()
    stocked.take(stocked.central.seal(stocked.central.manifest), stocked.central.seal(stocked.central.policy))
    stocked.central.tell()
    stocked.poll()
    assert stocked.tap(1).reason == "signed-in"
    stocked.clock.advance(HOUR_MS)
    stocked.gate.closing.close_entry("Lin.07", "early-closing", HOUR_MS)
    assert stocked.tap(1).reason == "signed-out"
    assert stocked.tap(2).reason == "closed"


def test_staff_still_admit_by_hand(stocked: Edge) -> None:
    stocked.gate.closing.close_entry("Lin.07", "typhoon", HOUR_MS)
    assert stocked.gate.admit("Lin.07", "carer").reason == "staff-admitted"


def test_a_stored_closing_that_cannot_be_read_is_said_and_is_none(stocked: Edge) -> None:
    stocked.store.commit(lambda transaction: transaction.set_fact(CLOSED_BY_STAFF, b"\x93"))
    assert stored_closing(stocked.store) is None
