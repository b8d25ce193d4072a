"""What a rollout does next, out of what is known of it. Pure: the same for the loop, for the page and for tests."""

from enum import StrEnum
from typing import NamedTuple

from central.rollouts.halting import HaltRule, Tally, has_jumped, told

LONGEST_UPTAKE_MS = 7 * 86_400_000
"""A gate that is apart for so long does not keep a rollout from being done."""


class State(StrEnum):
    """Of a rollout, as it is stored."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    FIRST = "first"
    ALL = "all"
    HALTED = "halted"
    DONE = "done"
    WITHDRAWN = "withdrawn"


OPEN = (State.SCHEDULED, State.FIRST, State.ALL)
"""The states in which it goes on by itself."""


class Step(StrEnum):
    """What is to be done now."""

    WAIT = "wait"
    BEGIN = "begin"
    HELD = "held"
    GO_ON = "go-on"
    HALT = "halt"
    DONE = "done"


class Waits(StrEnum):
    """For what."""

    DATE = "date"
    FREEZE = "freeze"
    UPTAKE = "uptake"
    SOAK = "soak"
    TAPS = "taps"
    PERSON = "person"
    NOTHING = "nothing"


class Plan(NamedTuple):
    """What was stated of a rollout, and how far it is. Times are 0 where it has not come there."""

    state: State
    not_before_ms: int
    soak_ms: int
    by_hand: bool
    rule: HaltRule
    first_ms: int = 0
    held_ms: int = 0
    all_ms: int = 0

    @property
    def published_ms(self) -> int:
        """Since when the gates that are watched have had reason to hold it."""
        return self.all_ms or self.first_ms


class Uptake(NamedTuple):
    """Devices of the gates that should hold it: how many there are, how many do; what those said that cannot."""

    devices: int = 0
    holding: int = 0
    refused: tuple[str, ...] = ()


class Known(NamedTuple):
    """What matters for the next step. `frozen`: what holds it back now, for a person, until when."""

    uptake: Uptake = Uptake()
    was: Tally = Tally()
    now: Tally = Tally()
    frozen: str = ""
    frozen_until_ms: int = 0
    is_superseded: bool = False
    """Something newer is in force."""


class Next(NamedTuple):
    """`until_ms`: when it is looked at again at the earliest, where a time is waited for."""

    step: Step
    waits: Waits = Waits.NOTHING
    why: str = ""
    until_ms: int = 0


def next_step(plan: Plan, known: Known, now_ms: int) -> Next:
    """Nothing is to be done in a state that only a person leaves."""
    if plan.state is State.SCHEDULED:
        return _scheduled(plan, known, now_ms)
    if plan.state is State.FIRST:
        return _at_first(plan, known, now_ms)
    if plan.state is State.ALL:
        return _at_all(plan, known, now_ms)
    return Next(Step.WAIT, Waits.PERSON if plan.state in (State.DRAFT, State.HALTED) else Waits.NOTHING)


def _scheduled(plan: Plan, known: Known, now_ms: int) -> Next:
    if now_ms < plan.not_before_ms:
        return Next(Step.WAIT, Waits.DATE, until_ms=plan.not_before_ms)
    if known.frozen:
        return Next(Step.WAIT, Waits.FREEZE, known.frozen, known.frozen_until_ms)
    return Next(Step.BEGIN)


def _at_first(plan: Plan, known: Known, now_ms: int) -> Next:
    if known.uptake.refused:
        return Next(Step.HALT, why="; ".join(known.uptake.refused)[:500])
    if has_jumped(known.was, known.now, plan.rule):
        return Next(Step.HALT, why=told(known.was, known.now))
    if not plan.held_ms:
        is_held = 0 < known.uptake.devices == known.uptake.holding
        return Next(Step.HELD) if is_held else Next(Step.WAIT, Waits.UPTAKE)
    if plan.by_hand:
        return Next(Step.WAIT, Waits.PERSON)
    if now_ms < plan.held_ms + plan.soak_ms:
        return Next(Step.WAIT, Waits.SOAK, until_ms=plan.held_ms + plan.soak_ms)
    if plan.rule.points and known.now.taps < plan.rule.taps:  # nobody has tried it
        return Next(Step.WAIT, Waits.TAPS)
    if known.frozen:
        return Next(Step.WAIT, Waits.FREEZE, known.frozen, known.frozen_until_ms)
    return Next(Step.GO_ON)


def _at_all(plan: Plan, known: Known, now_ms: int) -> Next:
    """Watched for as long as the first gates were."""
    if known.is_superseded:
        return Next(Step.DONE, why="something newer is in force")
    if now_ms < plan.all_ms + plan.soak_ms:
        if has_jumped(known.was, known.now, plan.rule):
            return Next(Step.HALT, why=told(known.was, known.now))
        return Next(Step.WAIT, Waits.SOAK, until_ms=plan.all_ms + plan.soak_ms)
    if known.uptake.holding == known.uptake.devices or now_ms >= plan.all_ms + LONGEST_UPTAKE_MS:
        return Next(Step.DONE)
    return Next(Step.WAIT, Waits.UPTAKE)
