"""One reader under supervision, with a clock that is only a number."""

from collections.abc import Iterable

import pytest

from edge_agent.readers import ReaderState
from edge_agent.readers.case import FLAPPING_TIMES, Case, Patience
from edge_agent.readers.supervision import Input, Step

STEPS = tuple(Step)
P = Patience()


class Story:
    """Feeds a case and keeps what was told, as the supervisor would."""

    def __init__(self, steps: Iterable[Step] = STEPS, patience: Patience = P) -> None:
        self.now_s = 1_000.0
        self.case = Case(patience, self.now_s)
        self.steps = tuple(steps)
        self.told: list[tuple[str, str]] = []
        self.tried: list[Step] = []

    def feed(self, what: Input, why: str = "") -> None:
        changed = self.case.feed(what, why, self.now_s, self.steps if what is Input.OVERDUE else ())
        if changed.told:
            self.told.append((self.case.state.value, self.case.why))
        if changed.step is not None:
            self.tried.append(changed.step)

    def pass_s(self, seconds: float) -> None:
        """Time goes on; steps are carried out at once."""
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.now_s = min(end_s, self.now_s + 0.5)
            before = len(self.tried)
            if (what := self.case.due(self.now_s)) is not None:
                self.feed(what)
            while len(self.tried) > before:
                before += 1
                self.feed(Input.STEP_DONE)

    @property
    def states(self) -> list[str]:
        return [state for state, _ in self.told]


def ready() -> Story:
    story = Story()
    story.feed(Input.SAID_STARTING)
    story.feed(Input.SAID_READY)
    return story


def wedged(after_s: float = 100) -> Story:
    story = ready()
    story.pass_s(after_s)
    story.feed(Input.SAID_WEDGED, "it hangs")
    return story


def test_the_first_word_and_every_change_are_told_once() -> None:
    story = ready()
    for _ in range(3):
        story.feed(Input.SAID_READY)
    story.feed(Input.SAID_ABSENT, "unplugged")
    story.feed(Input.SAID_ABSENT, "the service is away too")
    assert story.told == [("starting", ""), ("ready", ""), ("absent", "unplugged")]
    assert story.case.why == "the service is away too"


def test_a_ready_reader_is_never_overdue() -> None:
    story = ready()
    story.pass_s(10_000)
    assert (story.states, story.tried) == (["starting", "ready"], [])


@pytest.mark.parametrize("cured_by", STEPS)
def test_each_step_may_be_the_one_that_helps(cured_by: Step) -> None:
    story = wedged()
    while cured_by not in story.tried:
        story.pass_s(0.5)
    story.feed(Input.SAID_READY)
    assert story.tried == list(STEPS[: STEPS.index(cured_by) + 1])
    assert story.told[2:] == [
        ("wedged", "it hangs"),
        ("recovering", "it hangs; trying reopen"),
        ("ready", f"after {cured_by}"),
    ]
    assert story.case.alarm == ""


def test_a_wedged_reader_gets_a_moment_before_anything_is_tried() -> None:
    story = wedged()
    story.pass_s(P.wedged_s - 1)
    assert story.tried == []
    story.feed(Input.SAID_READY)
    story.pass_s(1_000)
    assert story.tried == []


@pytest.mark.parametrize(
    ("word", "first_s"),
    [(Input.SAID_STARTING, P.starting_s), (Input.SAID_WEDGED, P.wedged_s), (Input.SAID_ABSENT, P.absent_s)],
)
def test_each_state_has_its_own_patience(word: Input, first_s: float) -> None:
    story = ready()
    story.pass_s(100)
    story.feed(word)
    assert story.case.due(story.now_s + first_s - 0.1) is None
    assert story.case.due(story.now_s + first_s) is Input.OVERDUE


def test_a_reader_that_changes_its_word_of_being_out_of_service_is_still_overdue() -> None:
    story = wedged()
    for _ in range(8):
        story.pass_s(2)
        story.feed(Input.SAID_STARTING)
        story.pass_s(1)
        story.feed(Input.SAID_WEDGED, "it hangs")
    assert story.tried[0] is Step.REOPEN


def test_each_step_has_its_time_before_the_next() -> None:
    story = wedged()
    story.pass_s(P.wedged_s)
    for step, after in zip(STEPS, STEPS[1:], strict=False):
        assert story.tried[-1] is step
        story.pass_s(P.after(step) - 0.5)
        assert story.tried[-1] is step
        story.pass_s(0.5)
        assert story.tried[-1] is after


def test_a_step_that_cannot_be_carried_out_gives_way_at_once_and_is_named() -> None:
    story = wedged()
    story.now_s += P.wedged_s
    story.feed(Input.OVERDUE)
    for step, why in zip(STEPS, ("its thread hangs", "the same", "not permitted", "no such output"), strict=True):
        assert story.tried[-1] is step
        story.feed(Input.STEP_FAILED, why)
    assert story.case.alarm == (
        "reopen (its thread hangs), re-establish (the same), restart-service (not permitted), "
        "power-cycle (no such output) did not help: it hangs"
    )


def test_the_alarm_is_told_once_and_stands_until_the_reader_is_ready() -> None:
    story = wedged()
    story.pass_s(60)
    alarm = "reopen, re-establish, restart-service, power-cycle did not help: it hangs"
    assert story.told[-1] == ("wedged", f"alarm: {alarm}")
    assert story.case.alarm == alarm
    for word in (Input.SAID_STARTING, Input.SAID_ABSENT, Input.SAID_WEDGED, Input.HUNG):
        story.feed(word)
        assert story.case.alarm == alarm
    story.feed(Input.SAID_READY)
    assert (story.case.alarm, story.states[-1]) == ("", "ready")


def test_after_the_alarm_it_is_tried_again_for_ever_and_ever_more_seldom() -> None:
    story = wedged()
    story.pass_s(24 * 3_600)
    rounds = story.tried.count(Step.REOPEN)
    assert 24 <= rounds <= 24 + 10  # once an hour in the end
    assert len(story.told) < 100
    story.feed(Input.SAID_READY)
    assert story.states[-1] == "ready"


def test_without_any_step_the_alarm_comes_at_once() -> None:
    story = Story(steps=())
    story.feed(Input.SAID_WEDGED, "it hangs")
    story.pass_s(P.wedged_s)
    assert story.told == [("wedged", "it hangs"), ("wedged", "alarm: nothing did not help: it hangs")]
    story.pass_s(3_600)
    assert len(story.told) == 2


def test_a_relapse_goes_on_with_the_next_step() -> None:
    story = wedged()
    story.pass_s(P.wedged_s)
    story.feed(Input.SAID_READY)
    story.pass_s(P.firm_s / 2)
    story.feed(Input.SAID_WEDGED, "again")
    story.pass_s(P.wedged_s)
    assert story.tried == [Step.REOPEN, Step.RE_ESTABLISH]


def test_a_reader_that_was_cured_for_long_begins_with_the_first_step() -> None:
    story = wedged()
    story.pass_s(P.wedged_s)
    story.feed(Input.SAID_READY)
    story.pass_s(P.firm_s)
    story.feed(Input.SAID_WEDGED, "again")
    story.pass_s(P.wedged_s)
    assert story.tried == [Step.REOPEN, Step.REOPEN]


def test_a_reader_plugged_in_after_long_is_not_overdue_at_once() -> None:
    story = ready()
    story.pass_s(100)
    story.feed(Input.SAID_ABSENT, "unplugged")
    story.now_s += 10_000  # overdue, but nobody could help it
    story.feed(Input.SAID_STARTING)
    assert story.case.due(story.now_s + P.starting_s - 1) is None


def test_a_reader_that_is_gone_when_a_step_ends_is_absent_and_tried_again_later() -> None:
    story = wedged()
    story.pass_s(P.wedged_s)
    story.feed(Input.UNPLUGGED, "it was unplugged")
    assert story.told[-1] == ("absent", "it was unplugged")
    assert story.case.due(story.now_s + P.again_s - 1) is None
    assert story.case.due(story.now_s + P.again_s) is Input.OVERDUE


def test_a_reader_that_comes_and_goes_is_believed_when_it_stays() -> None:
    story = ready()
    for _ in range(50):
        story.now_s += 0.5
        story.feed(Input.SAID_WEDGED, "loose cable")
        story.now_s += 0.5
        story.feed(Input.SAID_READY)
    assert len(story.told) <= 2 + 2 * FLAPPING_TIMES
    assert story.case.state is not ReaderState.READY
    story.pass_s(P.steady_s - 1)
    assert story.case.state is not ReaderState.READY
    story.pass_s(1)
    assert story.case.state is ReaderState.READY


def test_a_reader_that_comes_and_goes_for_good_is_helped_in_the_end() -> None:
    story = ready()
    for _ in range(200):
        story.pass_s(1)
        story.feed(Input.SAID_WEDGED, "loose cable")
        story.pass_s(1)
        story.feed(Input.SAID_READY)
    assert Step.REOPEN in story.tried
    assert len(story.told) < 20


def test_a_late_word_of_a_step_changes_nothing() -> None:
    story = ready()
    for what in (Input.STEP_DONE, Input.STEP_FAILED, Input.WAITED, Input.UNPLUGGED, Input.EXHAUSTED):
        story.feed(what, "late")
    assert story.states == ["starting", "ready"]
    assert story.case.alarm == ""
