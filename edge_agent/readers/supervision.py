"""What is done about a reader that does not work: a table, and the steps in their order. Pure.

A reader says `starting`, `ready`, `absent` or `wedged` of itself, and is watched besides. Where it can be helped, steps
are tried one after the other; when none is left an alarm stands until the reader is ready.
"""

from collections.abc import Mapping, Sequence
from enum import Enum, StrEnum
from typing import NamedTuple

from edge_agent.readers import ReaderState


class Step(StrEnum):
    """What can be tried, in this order unless a profile says otherwise."""

    REOPEN = "reopen"
    RE_ESTABLISH = "re-establish"
    RESTART_SERVICE = "restart-service"
    POWER_CYCLE = "power-cycle"


class Input(Enum):
    """What is heard or seen of a reader."""

    SAID_READY = "the reader says that it is ready"
    SAID_STARTING = "the reader says that it is starting"
    SAID_ABSENT = "the reader says that it is not there"
    SAID_WEDGED = "the reader says that it does not work, or its loop ended by an error"
    HUNG = "the reader's own thread gave no sign of life for too long"
    OVERDUE = "it has been out of service for too long, and can be helped"
    STEP_DONE = "a step was carried out"
    STEP_FAILED = "a step could not be carried out, or did not end"
    WAITED = "the time to show what a step did is over"
    UNPLUGGED = "that time is over, and the reader is not plugged in"
    EXHAUSTED = "no step is left"


class Action(Enum):
    """What an input brings about, beside the next state."""

    NOTHING = "nothing"
    NEXT_STEP = "the next step is carried out"
    GIVE_TIME = "the step gets its time"
    RAISE_ALARM = "the alarm stands; the steps are tried again later"
    LEAVE_OFF = "the steps are tried again later"
    SETTLE = "the alarm is cleared"


A, S, R, W, X = (
    ReaderState.ABSENT,
    ReaderState.STARTING,
    ReaderState.READY,
    ReaderState.WEDGED,
    ReaderState.RECOVERING,
)
_STATES = (A, S, R, W, X)

# What a step leads to after its recovery has ended changes nothing, and while steps are tried, only "ready" counts:
# each of them makes the reader go away or begin anew for a moment.
_NEXT: dict[Input, tuple[ReaderState, ...]] = {
    #                    absent starting ready wedged recovering
    Input.SAID_READY: (R, R, R, R, R),
    Input.SAID_STARTING: (S, S, S, S, X),
    Input.SAID_ABSENT: (A, A, A, A, X),
    Input.SAID_WEDGED: (W, W, W, W, X),
    Input.HUNG: (W, W, W, W, X),
    Input.OVERDUE: (X, X, R, X, X),
    Input.STEP_DONE: (A, S, R, W, X),
    Input.STEP_FAILED: (A, S, R, W, X),
    Input.WAITED: (A, S, R, W, X),
    Input.UNPLUGGED: (A, S, R, W, A),
    Input.EXHAUSTED: (A, S, R, W, W),
}
_ACTIONS: dict[tuple[ReaderState, Input], Action] = {
    **{(state, Input.SAID_READY): Action.SETTLE for state in _STATES},
    **{(state, Input.OVERDUE): Action.NEXT_STEP for state in (A, S, W)},
    (X, Input.STEP_DONE): Action.GIVE_TIME,
    (X, Input.STEP_FAILED): Action.NEXT_STEP,
    (X, Input.WAITED): Action.NEXT_STEP,
    (X, Input.UNPLUGGED): Action.LEAVE_OFF,
    (X, Input.EXHAUSTED): Action.RAISE_ALARM,
}

TABLE: Mapping[tuple[ReaderState, Input], tuple[ReaderState, Action]] = {
    (state, what): (after, _ACTIONS.get((state, what), Action.NOTHING))
    for what, row in _NEXT.items()
    for state, after in zip(_STATES, row, strict=True)
}
"""Every state × every input."""


class Help(NamedTuple):
    """What can be tried for a reader that does not work."""

    steps: tuple[Step, ...]
    why: str = ""
    """Where it says more than the reader itself does."""
    is_there: bool = True
    """False: it says that it is absent, and nothing speaks against that."""


def steps_to_try(
    *, behind_service: bool, may_restart: bool, has_power: bool, worth: Sequence[str] | None = None
) -> tuple[Step, ...]:
    """The steps for one reader, in order. `worth`: what its profile says helps this model, in its order; None = all."""
    possible = {
        Step.REOPEN: True,
        Step.RE_ESTABLISH: True,
        Step.RESTART_SERVICE: behind_service and may_restart,
        Step.POWER_CYCLE: has_power,
    }
    order = tuple(Step) if worth is None else tuple(Step(name) for name in worth)
    return tuple(step for step in order if possible[step])
