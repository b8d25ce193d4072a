"""Whether a gate can have charged what it charged (SPEC §8.7). Pure.

What was reserved to it, and which taps elsewhere it had been told of, are in no event. So it is asked whether there is
anything that it may have known under which its own policy charges this; of points it may always have had fewer.
"""

from collections.abc import Iterator, Sequence

from central.services.judging.kinds import Detail
from central.services.judging.possible import PLENTY, judged_tap
from central.services.judging.seen import Circumstances, Seen
from protocol.decision import decide
from protocol.history import History, Mark
from protocol.messages import Outcome
from protocol.reasons import Reason

MOST = 64
"""Of the taps elsewhere that it may or may not have known, so many of the newest are tried one by one."""


def charged_otherwise(one: Seen, told: Circumstances, own: Sequence[Mark], others: Sequence[Mark]) -> Detail | None:
    """What it can have charged at the most, beside what it did; None where that was possible, or nothing can be said.

    `own`: marks that it certainly had; `others`: those that it may have had, also of what was given back since.
    """
    policy, held, mark = told.policy, told.entry_held, one.mark
    if (
        policy is None
        or held is None
        or one.is_repeat
        or (not policy.policy.tariffs and not mark.points and not mark.due)
    ):
        return None
    expected = None
    for marks in _known(one, own, others):
        history = History(told=tuple(marks), reserved=max(0, mark.points), lapse_ms=PLENTY * 1_000)
        for choice in dict.fromkeys(("", mark.rule)):
            found = decide(policy, held.entry, history, judged_tap(one, told, mark.at_ms, choice))
            if found.outcome is not Outcome.GRANTED or (one.reason != Reason.LEAVING and found.rule != mark.rule):
                continue
            if found.points + found.due == mark.points + mark.due and 0 <= mark.points <= found.points:
                return None
            expected = expected or found
    if expected is None:
        return None  # it is no question of the charge
    charged = {"points": mark.points, "due": mark.due, "rule": mark.rule}
    return charged | {"expected_points": expected.points, "expected_due": expected.due, "policy": told.held.policy}


def _known(one: Seen, own: Sequence[Mark], others: Sequence[Mark]) -> Iterator[Sequence[Mark]]:
    """All, none, then everything in between that can make a difference: the first few of the others, the last few;
    with and without its own of an earlier run."""
    yield (*own, *others)
    yield own
    earlier = [mark for mark in others if mark.gate == one.mark.gate]
    elsewhere = [mark for mark in others if mark.gate != one.mark.gate]
    if earlier and elsewhere:
        yield (*own, *earlier)
    for base, rest in ((own, others), ((*own, *earlier), elsewhere)):
        some = rest[-MOST:]
        for number in range(1, len(some) + 1):
            yield (*base, *some[:number])
            yield (*base, *some[-number:])
