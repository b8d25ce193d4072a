"""The supervisor with readers that do as they are told, in scaled time; the threads are real."""

import threading
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from edge_agent.readers import Answer, ReaderFacts, watched
from edge_agent.readers.case import Patience
from edge_agent.readers.recovery import StepFailed
from edge_agent.readers.supervisor import Alarm
from edge_agent.release import ReleaseFailed
from protocol.messages import Outcome
from tests.support.reader_bench import QUICK, Bench
from tests.support.reader_double import ReaderDouble, until

STEPS = ["reopen", "re-establish", "restart-service", "power-cycle"]


@pytest.mark.parametrize("cured_by", STEPS)
def test_a_wedged_reader_is_helped_by_the_first_step_that_helps(bench: Bench, cured_by: str) -> None:
    bench.cured_by["a"] = cured_by
    bench.patience = msgspec.structs.replace(
        QUICK, reopen_s=0.3, re_establish_s=0.3, restart_service_s=0.3, power_cycle_s=0.3
    )
    bench.start()
    bench.reader("a").say("wedged", "it hangs")
    until(lambda: "recovering" in bench.gate.states("a"))
    bench.until_state("a", "ready")
    assert bench.steps == [("a", step) for step in STEPS[: STEPS.index(cured_by) + 1]]
    assert [event for event in bench.gate.events if event[0] == "a"] == [
        ("a", "starting", ""),
        ("a", "ready", ""),
        ("a", "wedged", "it hangs"),
        ("a", "recovering", "it hangs; trying reopen"),
        ("a", "ready", f"after {cured_by}"),
    ]


def test_each_change_is_one_event_and_there_is_none_without_a_change(bench: Bench) -> None:
    bench.start()
    for state, why in (("absent", "x"), ("absent", "y"), ("starting", ""), ("starting", ""), ("ready", "")) * 3:
        bench.reader("a").say(state, why)
    bench.reader("a").tap()
    until(lambda: bench.gate.taps)
    states = bench.gate.states("a")
    assert states == ["starting", "ready", *["absent", "starting", "ready"] * 3]
    assert all(before != after for before, after in pairwise(states))


def test_a_change_that_could_not_be_written_down_is_told_when_it_can_be(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched, "TELL_AGAIN_S", 0.05)
    bench.helpable = ""
    running = bench.start(power=False)
    bench.gate.writable = False
    bench.reader("a").say("absent", "unplugged")
    until(lambda: running.status()[0]["state"] == "absent")
    assert bench.gate.states("a")[-1] == "ready"
    bench.gate.writable = True
    bench.until_state("a", "absent")
    bench.reader("b").say("absent", "so that time passes")
    bench.until_state("b", "absent")
    assert bench.gate.states("a").count("absent") == 1


def test_when_nothing_helps_the_alarm_stands_until_the_reader_is_ready(bench: Bench) -> None:
    running = bench.start()
    assert running.alarms() == ()
    bench.reader("a").say("wedged", "it hangs")
    until(running.alarms)
    why = "reopen, re-establish, restart-service, power-cycle did not help: it hangs"
    assert running.alarms() == (Alarm("a", why),)
    until(lambda: ("a", "wedged", f"alarm: {why}") in bench.gate.events)
    assert [row["alarm"] for row in running.status()] == [why, ""]
    until(lambda: bench.steps.count(("a", "reopen")) >= 3)  # tried for ever
    bench.reader("a").say("ready")
    bench.until_state("a", "ready")
    assert running.alarms() == ()


def test_steps_that_are_not_allowed_or_not_there_are_left_out(bench: Bench) -> None:
    running = bench.start(power=False, restart=False)
    bench.reader("a").say("wedged", "it hangs")
    until(running.alarms)
    assert {step for _, step in bench.steps} == {"reopen", "re-establish"}


def test_a_reader_that_is_not_behind_the_service_does_not_have_it_restarted(bench: Bench) -> None:
    bench.kind = "nfc"
    running = bench.start()
    bench.reader("a").say("wedged", "it hangs")
    until(running.alarms)
    assert {step for _, step in bench.steps} == {"reopen", "re-establish", "power-cycle"}


def test_a_profile_says_which_steps_are_worth_trying(bench: Bench) -> None:
    running = bench.start()
    bench.reader("a").known = ReaderFacts("SCL3711", "scl3711", "usb 04E6:5591")
    bench.reader("a").say("wedged", "it hangs")
    until(running.alarms)
    assert {step for _, step in bench.steps} == {"power-cycle"}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (StepFailed("Access denied"), "restart-service (Access denied)"),
        (ReleaseFailed("board 'relays': no answer"), "restart-service (board 'relays': no answer)"),
        (OSError(5, "I/O error"), "restart-service ([Errno 5] I/O error)"),
        (ValueError("bug"), "restart-service (ValueError: bug)"),
    ],
    ids=["refused", "output", "system", "anything"],
)
def test_a_step_that_fails_is_said_and_the_next_one_tried(bench: Bench, error: Exception, said: str) -> None:
    bench.refusals["restart-service"] = error
    running = bench.start()
    bench.reader("a").say("wedged", "it hangs")
    (alarm,) = until(running.alarms)
    assert said in alarm.why
    assert ("a", "power-cycle") in bench.steps


def test_a_step_that_never_ends_counts_as_failed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched, "STEP_LIMIT_S", 0.3)
    never = threading.Event()
    running = bench.start()
    step = bench.step
    bench.step = lambda name, what: step(name, what) if what != "restart-service" else bool(never.wait(20)) and None  # type: ignore[method-assign]
    bench.reader("a").say("wedged", "it hangs")
    (alarm,) = until(running.alarms)
    assert "restart-service (it did not end)" in alarm.why
    never.set()


def test_taps_on_another_reader_go_on_while_one_is_helped(bench: Bench) -> None:
    busy, tapped = threading.Event(), threading.Event()
    bench.start()
    step = bench.step

    def slow(name: str, what: str) -> None:
        step(name, what)
        busy.set()
        assert tapped.wait(20)

    bench.step = slow  # type: ignore[method-assign]
    bench.reader("a").say("wedged", "it hangs")
    assert busy.wait(20)
    bench.reader("b").tap()
    until(lambda: bench.reader("b").answers)
    tapped.set()
    assert [tap.reader for tap in bench.gate.taps] == ["b"]


def test_an_unplugged_reader_stays_absent_and_nothing_is_restarted(bench: Bench) -> None:
    bench.helpable = ""
    running = bench.start(power=False)
    bench.reader("a").say("absent", "the reader was unplugged")
    bench.until_state("a", "absent")
    bench.reader("b").say("wedged", "so that time passes")
    until(running.alarms)
    assert bench.gate.states("a")[-1] == "absent"
    assert all(name == "b" for name, _ in bench.steps)


def test_an_absent_reader_that_can_be_helped_is(bench: Bench) -> None:
    bench.cured_by["a"] = "restart-service"
    bench.start()
    bench.reader("a").say("absent", "the service is gone")
    until(lambda: "recovering" in bench.gate.states("a"))
    bench.until_state("a", "ready")
    assert ("a", "recovering", "the PC/SC service does not answer; trying reopen") in bench.gate.events


def test_an_unplugged_reader_with_an_output_has_its_power_cycled_now_and_then(bench: Bench) -> None:
    bench.helpable = ""
    running = bench.start()
    bench.reader("a").say("absent", "the reader was unplugged")
    until(lambda: bench.steps.count(("a", "power-cycle")) >= 2)
    assert {step for name, step in bench.steps if name == "a"} == {"power-cycle"}
    bench.until_state("a", "absent")
    assert running.alarms() == ()


def test_a_thread_that_hangs_is_noticed_and_believed_again_when_it_moves(bench: Bench) -> None:
    bench.patience = Patience(hung_s=0.3, wedged_s=60)
    moves = threading.Event()
    bench.start()
    bench.reader("a").hang(moves)
    bench.until_state("a", "wedged")
    assert "hangs in its driver" in bench.gate.events[-1][2]
    moves.set()
    bench.until_state("a", "ready")
    assert bench.made["a"] == [bench.reader("a")]


def test_a_thread_that_hangs_for_good_is_replaced_and_not_listened_to_again(bench: Bench) -> None:
    bench.patience = msgspec.structs.replace(QUICK, hung_s=0.3)
    moves = threading.Event()
    bench.start()
    first = bench.reader("a")
    first.hang_with_a_card(moves)
    until(lambda: len(bench.made["a"]) == 2)
    bench.reader("a").say("ready")
    bench.until_state("a", "ready")
    told = len(bench.gate.events)
    moves.set()
    until(lambda: first.answers)
    assert first.answers == [Answer.NOT_READY]
    bench.reader("a").tap()
    until(lambda: bench.reader("a").answers)
    assert len(bench.gate.taps) == 1
    assert len(bench.gate.events) == told
    assert bench.steps[0] == ("a", "re-establish")  # asked of the new one; the old one heard nothing


def test_threads_are_not_replaced_without_end(bench: Bench) -> None:
    bench.patience = msgspec.structs.replace(QUICK, hung_s=0.1, again_s=0.01, again_most_s=0.01)
    moves = threading.Event()
    make = bench.make

    def hanging(name: str) -> ReaderDouble:
        made = make(name)
        if name == "a" and len(bench.made["a"]) > 1:
            made.hang(moves)
        return made

    bench.make = hanging  # type: ignore[method-assign]
    running = bench.start(power=False, restart=False)
    bench.reader("a").hang(moves)
    until(lambda: any("threads hang already" in alarm.why for alarm in running.alarms()))
    assert len(bench.made["a"]) == 1 + watched.MOST_LEFT_BEHIND
    moves.set()


def test_a_reader_that_decides_a_tap_for_long_does_not_hang(bench: Bench) -> None:
    bench.patience = msgspec.structs.replace(QUICK, hung_s=0.1)
    decided = threading.Event()
    bench.gate.on_tap = lambda: bool(decided.wait(20)) and None  # a disk that takes its time
    bench.start()
    bench.reader("a").tap()
    threading.Event().wait(0.5)
    assert bench.gate.states("a")[-1] == "ready"
    decided.set()
    until(lambda: bench.reader("a").answers)
    assert bench.gate.states("a") == ["starting", "ready"]


def test_a_reader_whose_loop_raised_is_said_and_started_again(bench: Bench) -> None:
    bench.patience = Patience(starting_s=60, wedged_s=60)
    bench.start()
    bench.reader("a").fail(ZeroDivisionError("a bug"))
    until(lambda: bench.reader("a").runs == 2)
    bench.reader("a").say("ready")
    bench.until_state("a", "ready")
    assert ("a", "wedged", "ZeroDivisionError: a bug") in bench.gate.events
    assert bench.gate.states("a")[-3:] == ["wedged", "starting", "ready"]


def test_what_the_gate_decides_is_what_the_reader_shows(bench: Bench) -> None:
    bench.start()
    for outcome, reason in ((Outcome.GRANTED, "ok"), (Outcome.DENIED, "expired"), (Outcome.DENIED, "list-missing")):
        bench.gate.outcome, bench.gate.reason = outcome, reason
        shown = len(bench.reader("b").answers)
        bench.reader("b").tap()
        until(lambda shown=shown: len(bench.reader("b").answers) > shown)
    assert bench.reader("b").answers == [Answer.GRANTED, Answer.DENIED, Answer.NOT_READY]


def test_a_firmware_or_profile_that_becomes_known_is_told_once(bench: Bench) -> None:
    bench.start()
    told = len(bench.gate.states("a"))
    bench.reader("a").known = ReaderFacts("ACS ACR122U", "acr122u (local)", "name", "ACR122U215")
    until(lambda: len(bench.gate.states("a")) > told)
    bench.reader("b").say("absent", "so that time passes")
    bench.until_state("b", "absent")
    assert len(bench.gate.states("a")) == told + 1
    assert (bench.gate.facts[-2].profile, bench.gate.facts[-2].firmware) == ("acr122u (local)", "ACR122U215")


def test_status_says_everything_of_every_reader(bench: Bench) -> None:
    running = bench.start()
    bench.reader("a").known = ReaderFacts("ACS ACR122U 00 00", "acr122u", "usb 072F:2200", "ACR122U215")
    first, second = running.status()
    assert first == {
        "name": "a",
        "kind": "pcsc",
        "state": "ready",
        "why": "",
        "hardware": "ACS ACR122U 00 00",
        "profile": "acr122u",
        "matched_by": "usb 072F:2200",
        "firmware": "ACR122U215",
        "alarm": "",
    }
    assert first.keys() == second.keys()


def test_stopping_ends_the_threads_and_tells_nothing_more(bench: Bench) -> None:
    running = bench.start()
    told = list(bench.gate.events)
    running.stop(5)
    running.watched["a"].tick(1e9)  # as a tick that was under way: hung, overdue, whatever
    bench.reader("a").say("wedged", "too late")
    assert bench.gate.events == told
    ours = ("reader-a", "reader-b", "reader-supervisor")
    assert [thread.name for thread in threading.enumerate() if thread.name in ours] == []


def test_a_fault_in_supervision_of_one_reader_leaves_the_others_watched(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = bench.start()
    broken: Any = running.watched["a"]
    monkeypatch.setattr(broken, "tick", lambda now_s: 1 / 0)
    bench.reader("b").say("wedged", "it hangs")
    until(running.alarms)
    assert running.alarms()[0].reader == "b"
