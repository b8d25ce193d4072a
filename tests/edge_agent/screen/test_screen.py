"""What the page's buttons do at a real gate, and that no page is ever waited for."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from edge_agent.door.passage import Alarm
from edge_agent.screen.view import Mode
from protocol.messages import AdmitDetail, Choice, Clock, Closure, Direction, Event, Kind, Outcome, UndoDetail, decode
from protocol.messages import Passage as Passed
from tests.edge_agent.screen.kiosk import (
    GARDEN,
    KITCHEN,
    MEMBER,
    NAME,
    OTHER,
    PIN,
    STAFF,
    STRANGER,
    Kiosk,
    kiosk,
    volunteers,
)
from tests.support.central_side import DEVICE, GATE


@pytest_asyncio.fixture
async def gate(tmp_path: Path) -> AsyncIterator[Kiosk]:
    async with kiosk(tmp_path / "edge") as made:
        yield made


def last(gate: Kiosk) -> Event:
    return gate.edge.events()[-1]


# --- showing ----------------------------------------------------------------------------------------------------


async def test_a_tap_is_shown_with_the_masked_name_of_who_agreed(gate: Kiosk) -> None:
    gate.tap(MEMBER)
    assert (gate.screen.look().mode, gate.screen.look().name) == (Mode.GRANTED, NAME)
    gate.tap(OTHER)
    assert (gate.screen.look().mode, gate.screen.look().name) == (Mode.GRANTED, "")
    gate.tap(STRANGER)
    assert (gate.screen.look().mode, gate.screen.look().name) == (Mode.DENIED, "")


async def test_each_answer_is_another_one_though_it_says_the_same(gate: Kiosk) -> None:
    numbers = []
    for _ in range(3):
        gate.tap(MEMBER)
        numbers.append(gate.screen.look().answer)
    assert numbers == [1, 2, 3]
    assert gate.screen.look().headline.en == "You have tapped already"


async def test_age_and_clock_close_the_gate_on_the_screen_as_they_do_for_a_tap(gate: Kiosk) -> None:
    day_ms = 24 * 3_600_000
    gate.is_online = False
    modes = []
    for days in (0, 2, 6, 23):
        gate.clock.advance(days * day_ms)
        found = gate.screen.look()
        modes.append((found.mode, bool(found.strip.zh), found.is_strip_urgent))
    assert modes == [
        (Mode.READY, True, False),
        (Mode.READY, True, False),
        (Mode.READY, True, True),
        (Mode.CLOSED, True, False),
    ]
    assert gate.tap().reason == "list-too-old"
    gate.clock.wall_ms -= 400 * day_ms
    assert gate.screen.look().headline.zh


async def test_a_clock_that_is_wrong_is_told_where_it_denies(gate: Kiosk) -> None:
    gate.clock.wall_ms -= 3_600_000
    assert gate.screen.look().headline.en == "This gate's clock is wrong"
    assert gate.tap().reason == "clock-untrusted"


async def test_a_journal_that_is_damaged_is_told(gate: Kiosk) -> None:
    gate.gate.damaged.set()
    assert gate.screen.look().headline.en == "This gate cannot keep records"


async def test_a_gate_that_holds_nothing_yet_is_not_ready(gate: Kiosk) -> None:
    gate.gate.holding = msgspec.structs.replace(gate.gate.holding, allowlist=None)
    assert gate.screen.look().mode is Mode.CLOSED
    assert gate.screen.look().strip.zh == ""


async def test_a_tap_waits_for_no_page(gate: Kiosk) -> None:
    """The event loop is held up, as by a page that is being written to: taps go on."""
    done = threading.Event()

    def tap_on() -> None:
        for _ in range(50):
            gate.tap(STRANGER)
        done.set()

    thread = threading.Thread(target=tap_on)
    thread.start()
    deadline = time.monotonic() + 20
    while not done.is_set() and time.monotonic() < deadline:  # the loop does not turn meanwhile
        time.sleep(0.001)
    thread.join()
    assert done.is_set()
    assert gate.screen.look().answer == 50


async def test_taps_of_several_readers_at_once_are_all_counted(gate: Kiosk) -> None:
    threads = [threading.Thread(target=lambda: [gate.tap(STRANGER) for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    assert gate.screen.look().answer == 80


async def test_the_door_is_heard_without_being_asked(gate: Kiosk) -> None:
    with gate.screen.watch() as bell:
        gate.set(door=msgspec.structs.replace(gate.door, alarm=Alarm.HELD))
        async with asyncio.timeout(5):
            await bell.wait()
    assert gate.screen.look().mode is Mode.DOOR


async def test_after_the_end_a_signal_is_heard_by_nobody(gate: Kiosk) -> None:
    before = len(gate.gate.watchers)
    gate.screen.close()
    assert len(gate.gate.watchers) == before - 1
    gate.tap()


# --- taking back ------------------------------------------------------------------------------------------------


async def test_taking_back_is_an_event_and_the_tap_counts_as_never_made(gate: Kiosk) -> None:
    sequence = gate.tap().sequence
    assert gate.screen.look().undo == sequence
    assert gate.screen.undo(sequence) is True
    event = last(gate)
    assert (event.kind, decode(UndoDetail, event.detail)) == (Kind.UNDO, UndoDetail(sequence, "not-me"))
    assert (gate.screen.look().mode, gate.screen.look().undo) == (Mode.UNDONE, -1)
    assert gate.tap().repeat is False


async def test_taking_back_twice_or_something_else_does_nothing(gate: Kiosk) -> None:
    sequence = gate.tap().sequence
    assert gate.screen.undo(sequence - 1) is False
    assert gate.screen.undo(sequence) is True
    events = len(gate.edge.events())
    assert gate.screen.undo(sequence) is False
    assert len(gate.edge.events()) == events
    denied = gate.tap(STRANGER).sequence
    assert gate.screen.undo(denied) is False


async def test_after_ten_seconds_it_is_too_late_and_said(gate: Kiosk) -> None:
    sequence = gate.tap().sequence
    gate.clock.advance(10_001)
    assert gate.screen.look().undo == -1
    assert gate.screen.undo(sequence) is False
    assert gate.screen.look().headline.en == "Too late to take it back"


async def test_who_went_through_is_not_offered_to_take_it_back(gate: Kiosk) -> None:
    gate.gate.amends.awaits_passage = True
    signal = gate.tap()
    assert gate.screen.look().undo == signal.sequence
    gate.gate.amends.passage(signal, Passed.TAKEN)
    assert gate.screen.look().undo == -1
    assert gate.screen.undo(signal.sequence) is False


async def test_a_gate_that_does_not_offer_it_takes_nothing_back(gate: Kiosk) -> None:
    sequence = gate.tap().sequence
    gate.configure({"undo": False})
    assert gate.screen.look().undo == -1
    assert gate.screen.undo(sequence) is False


async def test_a_tap_of_an_earlier_epoch_is_not_mistaken_for_one_of_this(gate: Kiosk) -> None:
    sequence = gate.tap().sequence
    moment, signer = gate.clock.now(), gate.edge.uptake.identity.signer()
    gate.edge.store.begin_epoch(DEVICE, GATE, signer, moment, gate.gate.clock(moment), "forked")
    assert gate.screen.undo(sequence) is False


# --- staff ------------------------------------------------------------------------------------------------------


async def test_staff_admit_whom_the_gate_denied(gate: Kiosk) -> None:
    gate.is_online = False
    denied = gate.tap(STRANGER).sequence
    found = gate.screen.admit(STAFF.lower(), PIN, "forgot-card", denied)
    assert found == {"admitted": True, "why": "staff-admitted", "wait_ms": 0}
    event = last(gate)
    assert (event.kind, event.decision, event.reason) == (Kind.ADMIT, "granted", "staff-admitted")
    assert decode(AdmitDetail, event.detail) == AdmitDetail(STAFF, "forgot-card", denied)
    assert gate.edge.ear.heard[-1].reason == "staff-admitted"
    view = gate.screen.look()
    assert (view.mode, view.headline.zh, view.undo) == (Mode.GRANTED, "工作人員放行", -1)


@pytest.mark.parametrize("which", ["granted", "made up", "none"])
async def test_an_admission_names_only_a_tap_that_was_denied(gate: Kiosk, which: str) -> None:
    granted = gate.tap(MEMBER).sequence
    sequence = {"granted": granted, "made up": 999_999, "none": -1}[which]
    assert gate.screen.admit(STAFF, PIN, "group", sequence)["admitted"] is True
    assert decode(AdmitDetail, last(gate).detail).sequence == -1


async def test_a_wrong_pin_admits_nobody_and_writes_no_event(gate: Kiosk) -> None:
    events = len(gate.edge.events())
    assert gate.screen.admit(STAFF, "111111", "group", -1) == {"admitted": False, "why": "pin", "wait_ms": 0}
    for _ in range(4):
        found = gate.screen.admit(STAFF, "111111", "group", -1)
    assert found == {"admitted": False, "why": "wait", "wait_ms": 30_000}
    assert gate.screen.admit(STAFF, PIN, "group", -1)["admitted"] is False
    assert len(gate.edge.events()) == events
    assert gate.edge.ear.heard == []


async def test_staff_cannot_admit_what_cannot_be_written_down(gate: Kiosk) -> None:
    gate.edge.store.connection.close()
    found = gate.screen.admit(STAFF, PIN, "group", -1)
    assert (found["admitted"], found["why"]) == (False, "journal-unwritable")


async def test_staff_let_somebody_out_too(gate: Kiosk) -> None:
    gate.turn(Direction.OUT)
    assert gate.screen.admit(STAFF, PIN, "technical-fault", -1)["admitted"] is True
    assert (last(gate).direction, gate.screen.look().direction) == ("out", "out")


# --- chosen before the tap ----------------------------------------------------------------------------------------


def rules_of_taps(gate: Kiosk) -> list[str]:
    return [event.rule for event in gate.edge.events() if event.kind == Kind.TAP]


async def test_the_next_tap_goes_by_what_was_chosen_and_then_it_is_forgotten(gate: Kiosk) -> None:
    volunteers(gate, KITCHEN, GARDEN)
    assert gate.screen.choose("garden")
    assert gate.screen.look().chosen == "garden"
    assert gate.badly_read().outcome is Outcome.DENIED
    gate.tap(1)
    gate.wait(5_000)
    assert gate.screen.look().chosen == ""
    gate.tap(2)
    assert rules_of_taps(gate)[1:] == ["garden", "kitchen"], "a card that could not be read is tapped again"


async def test_a_choice_waits_thirty_seconds_and_no_longer(gate: Kiosk) -> None:
    volunteers(gate, KITCHEN, GARDEN)
    for pause_ms in (29_999, 30_000):
        assert gate.screen.choose("garden")
        gate.wait(pause_ms)
        gate.tap(1 if pause_ms < 30_000 else 2)
    assert rules_of_taps(gate) == ["garden", "kitchen"]
    gate.wait(5_000)
    gate.screen.choose("garden")
    gate.screen.choose("")
    gate.tap(3)
    assert rules_of_taps(gate)[-1] == "kitchen", "chosen no more"


async def test_only_what_is_listed_and_holds_now_can_be_chosen(gate: Kiosk) -> None:
    volunteers(gate, GARDEN, Choice("night"), Choice("no-such-rule"))
    assert [rule for rule, _ in gate.screen.look().choices] == ["garden"]
    for rule in ("kitchen", "night", "no-such-rule"):
        assert not gate.screen.choose(rule)
    gate.tap(1)
    assert rules_of_taps(gate) == ["kitchen"]
    gate.configure({"choices": ()})
    assert (gate.screen.look().choices, gate.screen.choose("garden")) == ((), False)


# --- closed -----------------------------------------------------------------------------------------------------

HOUR_MS = 3_600_000


def closes(gate: Kiosk, *spans: tuple[int, int], **said: str) -> None:
    """Central, from then until then, in milliseconds from now."""
    now_ms = gate.clock.now().wall_ms
    gate.configure(closures=tuple(Closure(now_ms + a, now_ms + b, **said) for a, b in spans))


async def test_the_screen_and_the_tap_judge_a_closure_by_the_same_clock(gate: Kiosk) -> None:
    closes(gate, (0, 2 * HOUR_MS), why_zh="停電", why_en="Power cut")
    gate.clock.wall_ms += HOUR_MS
    assert gate.gate.clock(gate.clock.now()) is Clock.AHEAD
    assert gate.tap().reason != "closed"
    gate.wait(10_000)
    assert "停電" not in gate.screen.look().next.zh, "what the gate does not apply is not shown"
    gate.clock.wall_ms -= HOUR_MS
    assert gate.tap(OTHER).reason == "closed"
    gate.wait(10_000)
    assert gate.screen.look().next.zh.startswith("停電，至 ")


async def test_the_answer_to_a_tap_says_why_it_is_closed_and_until_when(gate: Kiosk) -> None:
    closes(gate, (0, HOUR_MS), why_en="Works")
    gate.tap()
    shown = gate.screen.look()
    assert (shown.mode, shown.headline) == (Mode.DENIED, ("目前不開放", "Closed now"))
    assert shown.next.zh.startswith("Works，至 "), "what is said in one language stands for both"
    assert shown.next.en.startswith("Works, until ")


async def test_the_page_is_drawn_again_when_a_closure_begins_and_ends(gate: Kiosk) -> None:
    assert gate.screen.until_s() == 60.0
    closes(gate, (30_000, 50_000))
    assert gate.screen.until_s() == 30.0
    gate.wait(30_000)
    assert (gate.screen.look().mode, gate.screen.until_s()) == (Mode.CLOSED, 20.0)
    gate.wait(20_000)
    assert (gate.screen.look().mode, gate.screen.until_s()) == (Mode.READY, 60.0)


async def test_a_closing_by_staff_is_drawn_until_it_ends(gate: Kiosk) -> None:
    gate.configure({"staff_close": True})
    assert gate.screen.close_entry(STAFF, PIN, "early-closing", 1)["done"]
    gate.wait(HOUR_MS - 5_000)
    assert (gate.screen.look().mode, gate.screen.until_s()) == (Mode.CLOSED, 5.0)
    assert gate.screen.look().next.zh.startswith("今日提前閉館，至 ")
    gate.wait(5_000)
    assert gate.screen.look().mode is Mode.READY


async def test_a_closing_whose_end_nobody_knows_is_said_to_last_until_staff_open_it(gate: Kiosk) -> None:
    gate.configure({"staff_close": True})
    gate.screen.close_entry(STAFF, PIN, "typhoon", 1)
    closing = gate.gate.closing.newest
    assert closing is not None
    gate.gate.closing.newest = msgspec.structs.replace(closing, boot_id=b"earlier.", clock=Clock.BEHIND)
    assert gate.screen.look().next.en == "Closed for the typhoon, until staff open it"


async def test_until_the_end_of_today_is_until_local_midnight(gate: Kiosk) -> None:
    gate.configure({"staff_close": True}, time_zone="Asia/Taipei")
    gate.screen.close_entry(STAFF, PIN, "other", 0)
    closing = gate.gate.closing.newest
    assert closing is not None
    assert closing.until_ms % (24 * HOUR_MS) == 16 * HOUR_MS, "midnight in Taipei is 16:00 UTC"
    assert gate.screen.look().next == ("臨時停止開放，至今日結束", "Temporarily closed, until the end of today")


async def test_a_right_to_close_is_no_right_to_admit_and_wrong_pins_count_for_both(gate: Kiosk) -> None:
    assert gate.screen.close_entry(STAFF, PIN, "other", 1)["why"] == "pin", "it is not offered"
    gate.configure({"staff_close": True, "staff_admit": False})
    assert not gate.screen.admit(STAFF, PIN, "group", -1)["admitted"]
    for _ in range(3):
        gate.screen.close_entry(STAFF, "000000", "other", 1)
    gate.screen.admit(STAFF, PIN, "group", -1)
    for _ in range(2):
        gate.screen.open_entry(STAFF, "000000")
    assert gate.screen.close_entry(STAFF, PIN, "other", 1)["why"] == "wait"
    assert gate.gate.closing.newest is None


async def test_a_closing_that_cannot_be_written_down_is_said(gate: Kiosk) -> None:
    gate.configure({"staff_close": True})
    gate.edge.store.connection.close()
    assert gate.screen.close_entry(STAFF, PIN, "other", 1) == {"done": False, "why": "journal-unwritable", "wait_ms": 0}
