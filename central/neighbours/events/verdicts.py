"""What becomes of a subscription and its lanes after a round of sending. Pure."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from central.neighbours.events.backoff import is_dead, is_dead_letter, wait_ms
from central.neighbours.events.cloud_events import Outgoing
from central.neighbours.events.following import UNTRIED, Lane
from central.neighbours.events.posting import Sent
from central.neighbours.events.store import DEAD, Subscription


class LaneDone(NamedTuple):
    """How far a lane came. `through`: told through there; `failed`: the event that was not taken, and why."""

    lane: Lane
    through: int
    taken: int
    failed: Outgoing | None = None
    sent: Sent = Sent(200)


class Place(NamedTuple):
    """What a lane's place becomes; `letter`: the event that is given up, so that those behind it go on."""

    lane: Lane
    through: int
    values: dict[str, Any]
    letter: Outgoing | None = None


class Verdict(NamedTuple):
    """Of a round: columns of the subscription, and the places of its lanes."""

    values: dict[str, Any]
    places: list[Place]


def judge(of: Subscription, done: Sequence[LaneDone], now_ms: int, chance: float) -> Verdict:
    """A receiver that takes nothing is left alone for a while; one that takes other things, for one lane only."""
    taken = sum(each.taken for each in done)
    failed = [each for each in done if each.failed is not None]
    taken_ms = now_ms if taken else of.taken_ms
    places = [_place(each, now_ms, taken_ms, bool(taken), chance) for each in done]
    values: dict[str, Any] = {"told": of.told + taken, "taken_ms": taken_ms}
    if failed:
        values |= {"problem": failed[0].sent.problem[:300], "problem_ms": now_ms}
    if any(each.sent.is_gone for each in failed):
        return Verdict(values | _given_up(failed[0].sent.problem), places)
    if taken or not failed:
        values |= {"tries": 0, "failing_ms": 0, "next_ms": 0}
        return Verdict(values, places)
    failing_ms = of.failing_ms or now_ms
    asked_ms = max(each.sent.asked_ms for each in failed)
    values |= {"tries": of.tries + 1, "failing_ms": failing_ms}
    moved = any(place.letter is not None for place in places)  # what comes next is tried at once
    values |= {"next_ms": 0 if moved else now_ms + wait_ms(of.tries + 1, chance, asked_ms)}
    if is_dead(failing_ms, now_ms):
        values |= _given_up(f"nothing was taken for three days: {failed[0].sent.problem}")
    return Verdict(values, places)


def _given_up(why: str) -> dict[str, Any]:
    return {"state": DEAD, "why": why[:300]}


def _place(done: LaneDone, now_ms: int, taken_ms: int, others: bool, chance: float) -> Place:
    """`others`: the receiver took something in this round."""
    if done.failed is None:
        return Place(done.lane, done.through, dict(UNTRIED))
    moved = done.through > done.lane.after
    tries = 1 if moved else done.lane.tries + 1
    failing_ms = now_ms if moved or not done.lane.failing_ms else done.lane.failing_ms
    if not done.sent.is_of_the_event:
        held = 0 if moved else done.lane.failing_ms
        values: dict[str, Any] = {"tries": 0 if moved else done.lane.tries, "failing_ms": held, "next_ms": 0}
        return Place(done.lane, done.through, values | {"problem": done.sent.problem[:300]})
    if is_dead_letter(failing_ms, taken_ms, now_ms):
        return Place(done.lane, done.failed.sequence, dict(UNTRIED), done.failed)
    next_ms = now_ms + wait_ms(tries, chance) if others else 0
    values = {"tries": tries, "failing_ms": failing_ms, "next_ms": next_ms, "problem": done.sent.problem[:300]}
    return Place(done.lane, done.through, values)
