"""The table of supervision, row by row, and the steps in their order."""

import pytest

from edge_agent.readers import ReaderState
from edge_agent.readers.supervision import TABLE, Action, Input, Step, steps_to_try

EVERY_STATE = ("absent", "starting", "ready", "wedged", "recovering")

# one letter a state (a s r w x), in the order above; behind the arrow the action, where there is one
EXPECTED = {
    Input.SAID_READY: ("r r r r r", dict.fromkeys(EVERY_STATE, Action.SETTLE)),
    Input.SAID_STARTING: ("s s s s x", {}),
    Input.SAID_ABSENT: ("a a a a x", {}),
    Input.SAID_WEDGED: ("w w w w x", {}),
    Input.HUNG: ("w w w w x", {}),
    Input.OVERDUE: ("x x r x x", dict.fromkeys(("absent", "starting", "wedged"), Action.NEXT_STEP)),
    Input.STEP_DONE: ("a s r w x", {"recovering": Action.GIVE_TIME}),
    Input.STEP_FAILED: ("a s r w x", {"recovering": Action.NEXT_STEP}),
    Input.WAITED: ("a s r w x", {"recovering": Action.NEXT_STEP}),
    Input.UNPLUGGED: ("a s r w a", {"recovering": Action.LEAVE_OFF}),
    Input.EXHAUSTED: ("a s r w w", {"recovering": Action.RAISE_ALARM}),
}
LETTER = {"a": "absent", "s": "starting", "r": "ready", "w": "wedged", "x": "recovering"}


@pytest.mark.parametrize("what", Input)
@pytest.mark.parametrize("state", ReaderState)
def test_every_state_knows_what_to_do_with_every_input(state: ReaderState, what: Input) -> None:
    letters, actions = EXPECTED[what]
    after = LETTER[letters.split()[EVERY_STATE.index(state.value)]]
    assert TABLE[state, what] == (ReaderState(after), actions.get(state.value, Action.NOTHING))


def test_ready_is_reached_from_everywhere_and_left_only_by_the_readers_word_or_silence() -> None:
    assert {TABLE[state, Input.SAID_READY][0] for state in ReaderState} == {ReaderState.READY}
    leaving = {what for what in Input if TABLE[ReaderState.READY, what][0] is not ReaderState.READY}
    assert leaving == {Input.SAID_STARTING, Input.SAID_ABSENT, Input.SAID_WEDGED, Input.HUNG}


def test_only_a_recovery_carries_out_or_fails_steps() -> None:
    for what in (Input.STEP_DONE, Input.STEP_FAILED, Input.WAITED, Input.UNPLUGGED, Input.EXHAUSTED):
        for state in set(ReaderState) - {ReaderState.RECOVERING}:
            assert TABLE[state, what] == (state, Action.NOTHING)


@pytest.mark.parametrize(
    ("service", "restart", "power", "worth", "steps"),
    [
        (True, True, True, None, "reopen re-establish restart-service power-cycle"),
        (True, False, True, None, "reopen re-establish power-cycle"),
        (False, True, True, None, "reopen re-establish power-cycle"),
        (True, True, False, None, "reopen re-establish restart-service"),
        (True, True, True, ("power-cycle", "restart-service"), "power-cycle restart-service"),
        (False, False, False, ("restart-service", "power-cycle"), ""),
        (True, True, True, (), ""),
    ],
)
def test_steps_are_those_that_are_possible_allowed_and_worth_it(
    service: bool, restart: bool, power: bool, worth: tuple[str, ...] | None, steps: str
) -> None:
    found = steps_to_try(behind_service=service, may_restart=restart, has_power=power, worth=worth)
    assert found == tuple(Step(step) for step in steps.split())
