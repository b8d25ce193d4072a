"""Central judges a member's taps again: it agrees with whoever knew the same, and finds what could not be known."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from central.entry_history import HeldEntry
from central.services.judging.clocks import Clocks, Offset
from central.services.judging.kinds import Finding
from central.services.judging.rejudge import judge_again, of_overspends
from central.services.judging.seen import Seen
from central.services.points.books import Overspend
from protocol.allowlist import CardState
from protocol.compiled import CompiledPolicy
from protocol.history import Mark
from protocol.messages import Clock, Direction, Held, encode
from protocol.policy import Admit, Interval, Limit, Passback, Policy, Session
from tests.central.services.judging.gates import ACTIVE, MINUTE_MS, NOON_MS, TOKEN, Gate, days, policies, shuffled


def three(policy: Policy, is_exit: bool) -> list[Gate]:
    """Two at one venue, of which one may be an exit, and one at another."""
    way = Direction.OUT if is_exit else Direction.IN
    places = (("g0", "main", Direction.IN), ("g1", "main", way), ("g2", "branch", Direction.IN))
    return [Gate(name, venue, CompiledPolicy(policy), direction) for name, venue, direction in places]


def kinds(found: list[Finding]) -> list[str]:
    return sorted(one.kind for one in found)


def of_gates(found: list[Finding]) -> list[Finding]:
    """Without what a person did: to leave where nobody saw them come."""
    return [one for one in found if one.kind != "left-without-entry"]


@settings(max_examples=150, deadline=None)
@given(policies(), days(), st.booleans(), st.integers(0, 50))
def test_central_agrees_with_gates_that_know_what_it_knows(
    policy: Policy, taps: list[tuple[int, int]], is_exit: bool, seed: int
) -> None:
    gates, seen = three(policy, is_exit), list[Seen]()
    for at_ms, number in taps:
        gate = gates[number]
        others = tuple(one.mark for one in seen if one.device != gate.name and one.told and one.told.policy)
        told = others if gate.policy.looks_back else ()
        _, one = gate.tap(at_ms, told, inside=0, reserved=10_000)
        seen += [one] if one else []
    assert of_gates(judge_again(shuffled(seen, seed))) == []


@settings(max_examples=150, deadline=None)
@given(policies(), days(), st.booleans(), st.data())
def test_a_gate_that_knows_less_is_never_called_tampered_with(
    policy: Policy, taps: list[tuple[int, int]], is_exit: bool, data: st.DataObject
) -> None:
    """Whatever it was told of the others, whatever it thought of who is inside, with and without its clock."""
    gates, seen = three(policy, is_exit), list[Seen]()
    for at_ms, number in taps:
        gate = gates[number]
        others = [one.mark for one in seen if one.device != gate.name]
        told = tuple(mark for mark in others if data.draw(st.booleans()))
        apart, clock = data.draw(st.booleans()), data.draw(st.sampled_from((Clock.TRUSTED, Clock.UNCONFIRMED)))
        inside = data.draw(st.sampled_from((None, 0, 1, 9)))
        _, one = gate.tap(
            *(at_ms, told), inside=inside, is_apart=apart, reserved=data.draw(st.integers(0, 60)), clock=clock
        )
        seen += [one] if one else []
    found = judge_again(seen)
    assert "policy-differs" not in kinds(found)
    assert judge_again(shuffled(seen, 7)) == found
    assert "charged-otherwise" not in kinds(found)
    by_name = {one.mark.name: one for one in seen}
    for one in of_gates(found):
        judged = by_name[one.epoch, one.sequence]
        assert any(b.device != judged.device and b.order < judged.order for b in seen), "it was apart from nobody"


# --- one kind after the other -----------------------------------------------------------------------------------

ONCE = Policy(1, (Limit(id="once", most=1), Admit(id="all")))


def apart(policy: Policy, *taps: tuple[str, int]) -> list[Seen]:
    """Gates that hear nothing of each other."""
    gates: dict[str, Gate] = {}
    seen = []
    for name, minute in taps:
        gate = gates.setdefault(name, Gate(name, f"venue-{name}", CompiledPolicy(policy)))
        _, one = gate.tap(NOON_MS + minute * MINUTE_MS)
        assert one is not None
        seen.append(one)
    return seen


def test_two_gates_that_were_apart_let_the_same_member_in() -> None:
    (found,) = judge_again(apart(ONCE, ("a", 0), ("b", 5)))
    assert (found.kind, found.device) == ("used-apart", "b")
    assert found.detail["reason"] == "limit-reached"
    assert found.detail["other"]["gate"] == "a"


@pytest.mark.parametrize("rule", [Interval(id="i", minutes=10), Passback(id="p"), Limit(id="v", most=1, per="visit")])
def test_each_rule_that_looks_back_is_asked_again(rule: Any) -> None:
    policy = Policy(1, (rule, Admit(id="all")))
    assert kinds(judge_again(apart(policy, ("a", 0), ("b", 5)))) == ["used-apart"]


def test_what_was_given_back_or_taken_back_is_nobodys_fault() -> None:
    first, second = apart(ONCE, ("a", 0), ("b", 5))
    for fate in ("not-taken", "undone", "repeat"):
        assert judge_again([first._replace(fate=fate), second]) == []


def test_a_late_batch_from_before_makes_a_conflict_of_what_was_none() -> None:
    late, known = apart(ONCE, ("a", 0), ("b", 5))
    assert judge_again([known]) == []
    assert kinds(judge_again([known, late])) == ["used-apart"]


def test_history_alone_is_not_judged() -> None:
    first, second = apart(ONCE, ("a", 0), ("b", 5))
    assert judge_again([first, second._replace(told=None)]) == []


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"state": CardState.BLOCKED}, "blocked"),
        ({"state": CardState.LOST}, "lost"),
        ({"until_ms": NOON_MS}, "expired"),
    ],
)
def test_a_card_that_central_had_stopped_is_named_with_the_list_of_its_gate(changes: dict[str, Any], why: str) -> None:
    (one,) = apart(ONCE, ("a", 0))
    known = HeldEntry(NOON_MS - 5, TOKEN, encode(msgspec.structs.replace(ACTIVE, **changes)))
    assert one.told is not None
    (found,) = judge_again([one._replace(told=one.told._replace(entry_known=known))])
    assert (found.kind, found.detail["why"]) == ("admitted-after-revocation", why)
    assert found.detail["known_since_ms"] == NOON_MS - 5
    assert found.detail["allowlist"] == 1


def test_an_exit_is_never_held_against_anybody() -> None:
    gate = Gate("a", "v", CompiledPolicy(ONCE), Direction.OUT, entry=None)
    _, one = gate.tap(NOON_MS)
    assert one is not None
    assert judge_again([one]) == []


@pytest.mark.parametrize("entry", [msgspec.structs.replace(ACTIVE, state=CardState.BLOCKED), None])
def test_a_gate_that_let_in_whom_its_own_list_stops_is_broken(entry: Any) -> None:
    (one,) = apart(ONCE, ("a", 0))
    assert one.told is not None
    held = HeldEntry(1, TOKEN, encode(entry) if entry else b"")
    assert kinds(judge_again([one._replace(told=one.told._replace(entry_held=held))])) == ["policy-differs"]


def test_a_gate_that_forgot_what_it_just_did_is_broken() -> None:
    gate = Gate("a", "v", CompiledPolicy(ONCE))
    _, first = gate.tap(NOON_MS)
    gate.history = type(gate.history)()
    _, second = gate.tap(NOON_MS + MINUTE_MS)
    assert first is not None
    assert second is not None
    assert kinds(judge_again([first, second])) == ["policy-differs"]
    assert second.told is not None
    kept_none = second._replace(told=second.told._replace(keeps_marks=False))
    assert kinds(judge_again([first, kept_none])) == ["used-apart"]  # it may have kept none then: nothing is proved


def test_a_gate_that_admitted_by_a_rule_it_does_not_have_is_broken() -> None:
    (one,) = apart(ONCE, ("a", 0))
    other = Mark(*(one.mark.at_ms, "v", "a", "in", "nobodys-rule", 0, 0, *one.mark.name))
    assert kinds(judge_again([one._replace(mark=other)])) == ["policy-differs"]


def test_a_rule_that_was_chosen_on_the_screen_is_possible() -> None:
    policy = CompiledPolicy(Policy(1, (Admit(id="yoga"), Admit(id="dance"))))
    _, one = Gate("a", "v", policy, choice="dance").tap(NOON_MS)
    assert one is not None
    assert one.mark.rule == "dance"
    assert judge_again([one]) == []


def test_signing_out_of_what_was_never_begun_is_not_possible() -> None:
    gate = Gate("k", "v", CompiledPolicy(Policy(1, (Admit(id="team"),), session=Session())))
    _, begun = gate.tap(NOON_MS)
    _, ended = gate.tap(NOON_MS + 90 * MINUTE_MS)
    assert begun is not None
    assert ended is not None
    assert ended.reason == "signed-out"
    assert judge_again([begun, ended]) == []
    assert kinds(judge_again([ended])) == ["policy-differs"]


# --- chips, ways, clocks, points --------------------------------------------------------------------------------


def test_another_chip_with_the_same_uid_is_noticed_at_the_same_device() -> None:
    first, second, third = apart(Policy(1, (Admit(id="all"),)), ("a", 0), ("a", 5), ("b", 9))
    first, third = first._replace(fingerprint=b"1" * 16), third._replace(fingerprint=b"3" * 16)
    (found,) = judge_again([first, second._replace(fingerprint=b"2" * 16), third])
    assert (found.kind, found.device, found.detail["card"]) == ("fingerprint-changed", "a", 1)
    assert judge_again([first, second._replace(fingerprint=b"1" * 16), third]) == []
    assert judge_again([first, second._replace(fingerprint=b"2" * 16, token=b"n" * 16)]) == []  # another domain key
    assert judge_again([first, second._replace(fingerprint=b"2" * 16, card=2)]) == []
    assert judge_again([first, second]) == []  # destroyed


def test_two_venues_are_too_far_apart_only_where_somebody_said_so() -> None:
    taps = apart(Policy(1, (Admit(id="all"),)), ("a", 0), ("b", 19))
    assert judge_again(taps) == []
    (found,) = judge_again(taps, lambda venue, other, at_ms: 20 if {venue, other} == {"venue-a", "venue-b"} else 0)
    assert (found.kind, found.device, found.detail["minutes"]) == ("impossible-travel", "b", 20)
    assert judge_again(taps, lambda *_: 19) == []


def clock_of(clock: Clock, received_ms: int, manifest: int = 0, offset_ms: int = 0) -> list[str]:
    (one,) = apart(Policy(1, (Admit(id="all"),), untrusted_clock="ignore-dates"), ("a", 0))
    assert one.told is not None
    told = one.told._replace(clock=clock, received_ms=received_ms, held=Held(manifest, 1, 1, 1))
    return kinds(judge_again([one._replace(told=told, at_ms=one.at_ms - offset_ms)]))


def test_a_clock_that_was_off_is_found_until_somebody_said_by_how_much() -> None:
    assert clock_of(Clock.AHEAD, NOON_MS + 1) == ["clock-off"]
    assert clock_of(Clock.AHEAD, NOON_MS + 1, offset_ms=3_600_000) == []
    assert clock_of(Clock.UNCONFIRMED, NOON_MS - 120_000) == []
    assert clock_of(Clock.UNCONFIRMED, NOON_MS - 120_001) == ["clock-off"]
    assert clock_of(Clock.UNCONFIRMED, NOON_MS + 86_400_000, manifest=NOON_MS + 120_000) == []
    assert clock_of(Clock.UNCONFIRMED, NOON_MS + 86_400_000, manifest=NOON_MS + 120_001) == ["clock-off"]
    assert clock_of(Clock.UNCONFIRMED, NOON_MS + 1, manifest=2**52) == []  # a number that is no time


def test_the_stated_offset_decides_who_was_first() -> None:
    """By its own clock `b` was an hour later; in truth it was first, and `a` the second place."""
    first, second = apart(ONCE, ("a", 0), ("b", 60))
    clocks = Clocks([Offset("b", NOON_MS, NOON_MS * 2, 2 * 3_600_000)])
    assert kinds(judge_again([first, second])) == ["used-apart"]
    corrected = second._replace(at_ms=clocks.corrected_ms("b", second.mark.at_ms))
    (found,) = judge_again([first, corrected])
    assert (found.kind, found.device) == ("used-apart", "a")


def test_of_two_statements_about_a_clock_the_later_holds() -> None:
    clocks = Clocks([Offset("d", 0, 100, 7), Offset("d", 50, 100, 0)])
    assert [clocks.corrected_ms("d", at_ms) for at_ms in (49, 50, 99, 100)] == [42, 50, 99, 100]
    assert clocks.corrected_ms("other", 49) == 49
    assert clocks.widest_ms == 7


def test_what_the_ledger_could_not_pay_is_a_conflict_of_the_tap_that_spent_it() -> None:
    spent = [
        Overspend("event gate 1 0102030405060708 41", "venue:v/loss", NOON_MS, 25),
        Overspend("fact 00", "x", 1, 5),
    ]
    (found,) = of_overspends(spent)
    assert (found.kind, found.device, found.epoch.hex(), found.sequence) == (
        "overspent",
        "gate 1",
        "0102030405060708",
        41,
    )
    assert found.detail["points"] == 25


def test_a_conflict_has_the_same_name_whenever_it_is_found() -> None:
    (found,) = judge_again(apart(ONCE, ("a", 0), ("b", 5)))
    assert found.id == found._replace(detail={}).id
    assert found.id != found._replace(kind="clock-off").id != found._replace(sequence=9).id
