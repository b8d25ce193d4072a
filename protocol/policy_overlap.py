"""Rules of a policy that can never decide, because one before them always does (SPEC §8.2). Pure.

Only what can be proved is named: one rule that asks nothing of the past, speaks of everybody whom the later one speaks
of, on each of its days and in all of its hours. A policy with such a rule can be evaluated; it is a mistake to publish
it.
"""

import datetime as dt
from typing import NamedTuple

from protocol.hours import WEEKDAYS
from protocol.policy import Admit, Policy, Refuse, Rule, Schedule


class Shadowed(NamedTuple):
    """`rule` can never decide: `by` always does before it."""

    rule: str
    by: str


def shadowed(policy: Policy, with_choice: bool = False) -> list[Shadowed]:
    """Every such rule, with the first that stands in its way. `with_choice`: a person may choose an admitting rule on
    the screen, so one admitting rule is no obstacle to the others; at a gate with sessions that is always so."""
    with_choice = with_choice or policy.session is not None
    found = []
    for place, rule in enumerate(policy.rules):
        by = next((one for one in policy.rules[:place] if _covers(policy, one, rule, with_choice)), None)
        if by is not None:
            found.append(Shadowed(rule.id, by.id))
    return found


def _covers(policy: Policy, earlier: Rule, later: Rule, with_choice: bool) -> bool:
    """Whether the earlier rule decides wherever the later one would be tried."""
    if not isinstance(earlier, Admit | Refuse) or (with_choice and isinstance(earlier, Admit)):
        return False
    if isinstance(earlier, Refuse) and earlier.schedule is not None and policy.untrusted_clock == "ignore-dates":
        return False  # it is passed over while the clock cannot be trusted
    return _covers_classes(earlier, later) and _covers_dates(earlier, later) and _covers_hours(policy, earlier, later)


def _covers_classes(earlier: Rule, later: Rule) -> bool:
    return not earlier.classes or (bool(later.classes) and set(later.classes) <= set(earlier.classes))


def _covers_dates(earlier: Rule, later: Rule) -> bool:
    begins = (earlier.valid_from or dt.date.min) <= (later.valid_from or dt.date.min)
    return begins and (earlier.valid_until or dt.date.max) >= (later.valid_until or dt.date.max)


def _covers_hours(policy: Policy, earlier: Rule, later: Rule) -> bool:
    """Spans are compared as they are written: the very same ones, moved by more; then they hold on every day, however
    clocks are changed on it."""
    if earlier.schedule is None:
        return True
    if later.schedule is None:
        return False
    if earlier.opens_early_minutes < later.opens_early_minutes or earlier.last_entry_minutes > later.last_entry_minutes:
        return False
    before, after = policy.schedules[earlier.schedule], policy.schedules[later.schedule]
    return before is after or all(_has_all(before, after, day) for day in (*WEEKDAYS, "holiday", "workday"))


def _has_all(before: Schedule, after: Schedule, day: str) -> bool:
    """On days of one kind. A holiday without hours of its own is as its weekday, so both must say the same of it."""
    if day == "holiday" and (before.holiday is None) != (after.holiday is None):
        return False
    return set(_spans(after, day)) <= set(_spans(before, day))


def _spans(schedule: Schedule, day: str) -> tuple[str, ...]:
    if day == "workday" and schedule.workday is None:
        return schedule.mon
    return getattr(schedule, day) or ()
