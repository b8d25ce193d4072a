"""Who was denied is judged again, too: nobody is blamed who could not know better, and nothing is said twice."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from central.services.judging.kinds import Finding
from central.services.judging.rejudge import judge_again
from central.services.judging.seen import LATE_MS, Lately, Seen
from central.services.judging.turned_away import AGAIN_MS
from protocol.allowlist import CardState, Entry
from protocol.compiled import CompiledPolicy
from protocol.messages import Clock, Direction, Outcome
from protocol.policy import Admit, Limit, Passback, Policy, Session
from protocol.reasons import Reason
from tests.central.services.judging.gates import ACTIVE, MINUTE_MS, NOON_MS, Gate, days, policies, shuffled

ALL = CompiledPolicy(Policy(1, (Admit(id="all"),)))
ONCE = CompiledPolicy(Policy(1, (Limit(id="once", most=1), Admit(id="all"))))
STAFF = CompiledPolicy(Policy(1, (Admit(id="all", classes=("staff",)),)))
BLOCKED = msgspec.structs.replace(ACTIVE, state=CardState.BLOCKED)


def wronged(found: list[Finding]) -> list[Finding]:
    return [one for one in found if one.kind == "denied-but-entitled"]


def told(one: Seen, **changes: Any) -> Seen:
    assert one.told is not None
    return one._replace(told=one.told._replace(**changes))


# --- gates that were told what they should have been told -------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(policies(), days(), st.booleans(), st.data())
def test_a_gate_that_was_told_in_time_denied_nobody_wrongly(
    policy: Policy, taps: list[tuple[int, int]], is_exit: bool, data: st.DataObject
) -> None:
    """Whenever central had the taps of the others, and however long, but for two minutes, it took to hear of them."""
    way = Direction.OUT if is_exit else Direction.IN
    places = (("g0", "main", Direction.IN), ("g1", "main", way), ("g2", "branch", Direction.IN))
    gates = [Gate(name, venue, CompiledPolicy(policy), direction) for name, venue, direction in places]
    seen: list[Seen] = []
    granted: list[Seen] = []
    for at_ms, number in taps:
        gate = gates[number]
        by_ms = at_ms - data.draw(st.integers(0, LATE_MS))
        known = tuple(one.mark for one in granted if one.device != gate.name and one.received_ms <= by_ms)
        clock = data.draw(st.sampled_from((Clock.TRUSTED, Clock.UNCONFIRMED)))
        decision, one = gate.tap(at_ms, known, inside=data.draw(st.sampled_from((0, 9))), clock=clock, reserved=60)
        if one is not None:
            one = one._replace(received_ms=at_ms + data.draw(st.integers(0, 10 * MINUTE_MS)))
            granted.append(one)
            seen.append(one)
        elif decision.outcome is Outcome.DENIED and decision.repeats is None:
            seen.append(told(gate.denied(at_ms, decision.reason, decision.rule), clock=clock))
    assert wronged(judge_again(shuffled(seen, 3))) == []


@pytest.mark.parametrize("reason", [reason.value for reason in Reason])
def test_what_a_gate_can_only_know_itself_is_not_asked(reason: str) -> None:
    """Everything that is known admits: it is a disagreement where the card, its class, hours or earlier taps were the
    reason, and only there."""
    asked = {
        *("card-blocked", "card-lost", "card-replaced", "not-yet-valid", "expired"),
        *("class-lapsed", "class-not-admitted", "outside-hours", "closed"),
        *("limit-reached", "too-soon", "already-inside"),
    }
    found = judge_again([Gate("a", "v", ALL).denied(NOON_MS, reason, rule="some")])
    assert [one.kind for one in found] == (["denied-but-entitled"] if reason in asked else [])


def test_a_closure_is_no_rule_and_is_not_asked() -> None:
    assert judge_again([Gate("a", "v", ALL).denied(NOON_MS, "closed")]) == []


def test_nobody_may_be_kept_in() -> None:
    way_out = Gate("a", "v", ALL, Direction.OUT)
    assert len(wronged(judge_again([way_out.denied(NOON_MS, "list-missing")]))) == 1


# --- what the gate had, and what it should have had -------------------------------------------------------------

OPEN: dict[str, Any] = {"entries": (ACTIVE,), "policies": (ALL,), "list_version": 1, "policy_version": 1}


@pytest.mark.parametrize(
    ("held", "lately", "reason", "why"),
    [
        ({"entry": BLOCKED}, {"list_version": 9}, "card-blocked", "list"),
        ({"entry": BLOCKED}, {"entries": (BLOCKED, ACTIVE), "list_version": 9}, "card-blocked", None),
        ({"entry": BLOCKED}, {"entries": (None, ACTIVE), "list_version": 9}, "card-blocked", None),
        ({"entry": BLOCKED}, {"entries": (ACTIVE, BLOCKED), "list_version": 9}, "card-blocked", None),
        ({"policy": STAFF}, {"policy_version": 9}, "class-not-admitted", "policy"),
        ({"policy": STAFF}, {"policies": (STAFF, ALL)}, "class-not-admitted", None),
        ({"policy": STAFF}, {"policies": (ALL, STAFF)}, "class-not-admitted", None),
        ({}, {}, "class-not-admitted", "gate"),
    ],
)
def test_all_that_was_said_within_two_minutes_must_admit(
    held: dict[str, Any], lately: dict[str, Any], reason: str, why: str | None
) -> None:
    gate = Gate("a", "v", held.get("policy", ALL), entry=held.get("entry", ACTIVE))
    one = told(gate.denied(NOON_MS, reason), lately=Lately(**OPEN | lately))
    assert [each.detail["why"] for each in wronged(judge_again([one]))] == ([why] if why else [])


def test_what_is_not_known_here_blames_nobody() -> None:
    one = Gate("a", "v", ALL).denied(NOON_MS, "card-blocked")
    for changes in ({"policy": None}, {"entry_held": None}, {"lately": None}):
        assert judge_again([told(one, **changes)]) == []


def test_the_detail_names_what_was_held_and_what_was_in_force() -> None:
    one = told(
        Gate("a", "v", ALL, entry=BLOCKED).denied(NOON_MS, "card-blocked"), lately=Lately((ACTIVE,), (ALL,), 7, 8)
    )
    (found,) = judge_again([one])
    assert found.detail == {
        **{"why": "list", "reason": "card-blocked", "rule": ""},
        **{"allowlist": 1, "policy": 1, "known_since_ms": 7, "policy_in_force": 8},
    }


# --- earlier taps -----------------------------------------------------------------------------------------------


def came(gate: Gate, at_ms: int, **changes: Any) -> Seen:
    _, one = gate.tap(at_ms)
    assert one is not None
    return one._replace(received_ms=at_ms, **changes)


def test_a_limit_that_was_not_reached_keeps_nobody_out() -> None:
    gate = Gate("a", "v", ONCE)
    denied = gate.denied(NOON_MS, "limit-reached", "once")
    (found,) = judge_again([denied])
    assert (found.kind, found.detail["why"]) == ("denied-but-entitled", "history")
    first = came(Gate("b", "v", ONCE), NOON_MS - 60 * MINUTE_MS)
    assert wronged(judge_again([first, denied])) == []


@pytest.mark.parametrize("fate", ["not-taken", "undone"])
def test_what_was_given_back_explains_a_denial_for_two_minutes(fate: str) -> None:
    denied = Gate("a", "v", ONCE).denied(NOON_MS, "limit-reached", "once")
    just = came(Gate("b", "v", ONCE), NOON_MS - LATE_MS + 1, fate=fate)
    assert wronged(judge_again([just, denied])) == []
    earlier = came(Gate("b", "v", ONCE), NOON_MS - LATE_MS, fate=fate)
    assert len(wronged(judge_again([earlier, denied]))) == 1


@pytest.mark.parametrize(("exit_came_ms", "number"), [(LATE_MS, 1), (LATE_MS - 1, 0), (-60 * MINUTE_MS, 0)])
def test_an_exit_elsewhere_counts_once_the_gate_should_have_heard_of_it(exit_came_ms: int, number: int) -> None:
    """The entry at this venue it knows; of the exit central heard so long before the tap, or after it."""
    policy = CompiledPolicy(Policy(1, (Passback(id="inside"), Admit(id="all"))))
    entry = came(Gate("a", "v", policy), NOON_MS - 60 * MINUTE_MS)
    way_out = came(Gate("x", "v", policy, Direction.OUT), NOON_MS - 30 * MINUTE_MS)
    denied = Gate("a", "v", policy, epoch=b"later-on").denied(NOON_MS, "already-inside", "inside")
    heard = way_out._replace(received_ms=NOON_MS - exit_came_ms)
    assert len(wronged(judge_again([entry, heard, denied]))) == number


# --- clocks, and saying it once ---------------------------------------------------------------------------------


def test_a_clock_that_was_off_is_the_only_thing_said_of_it() -> None:
    ahead = told(Gate("a", "v", ALL).denied(NOON_MS, "outside-hours"), clock=Clock.AHEAD)
    assert [one.kind for one in judge_again([ahead])] == ["clock-off"]


def test_once_the_offset_is_stated_the_tap_is_judged_by_the_time_that_it_was() -> None:
    """An hour ahead: by its own clock the card had ended."""
    ends = msgspec.structs.replace(ACTIVE, until_ms=NOON_MS - 30 * MINUTE_MS)
    denied = told(Gate("a", "v", ALL, entry=ends).denied(NOON_MS, "expired"), clock=Clock.AHEAD)
    (found,) = judge_again([denied._replace(at_ms=NOON_MS - 60 * MINUTE_MS)])
    assert (found.kind, found.at_ms) == ("denied-but-entitled", NOON_MS)
    assert wronged(judge_again([denied._replace(at_ms=NOON_MS - 20 * MINUTE_MS)])) == []


def test_who_taps_on_is_one_disagreement_until_an_hour_passes() -> None:
    gate, seen = Gate("a", "v", ALL), list[Seen]()
    for minutes in (0, 30, 80, 139, 199):
        gate.sequence += 1
        seen.append(gate.denied(NOON_MS + minutes * MINUTE_MS, "card-blocked"))
    assert AGAIN_MS == 60 * MINUTE_MS
    found = judge_again(shuffled(seen, 2))
    assert [(one.at_ms - NOON_MS) // MINUTE_MS for one in found] == [0, 199]


def test_another_gate_or_another_answer_is_another_disagreement() -> None:
    gate, other = Gate("a", "v", ALL), Gate("b", "v", ALL)
    seen = [gate.denied(NOON_MS, "card-blocked"), other.denied(NOON_MS + 1, "card-blocked")]
    gate.sequence += 1
    seen.append(gate.denied(NOON_MS + 2, "card-lost"))
    assert len(judge_again(seen)) == 3


def test_who_signs_out_is_not_held_to_the_rules_of_signing_in() -> None:
    """At another kiosk of the domain, long after central heard of the signing in."""
    policy = CompiledPolicy(Policy(1, (Admit(id="team", classes=("citizen",)),), session=Session()))
    begun = came(Gate("k", "v", policy), NOON_MS - 60 * MINUTE_MS)
    lapsed: Entry = msgspec.structs.replace(ACTIVE, classes=())
    kiosk = Gate("l", "w", policy, entry=lapsed)
    denied = kiosk.denied(NOON_MS, "class-not-admitted")
    assert len(wronged(judge_again([begun, denied]))) == 1
    assert wronged(judge_again([denied])) == []
