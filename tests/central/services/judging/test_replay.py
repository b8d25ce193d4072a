"""What if: the same policy changes nothing, another one shows whom, and nothing is changed by asking."""

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from central import facts as stated
from central.actions.action import ActionFailed
from central.actions.judging import correct as correct_module
from central.actions.judging.correct import Corrected
from central.people.attribution import Reattributed
from central.privacy.destroying import destroy
from central.services.judging import past as past_taps
from central.services.judging.corrections import correction_of
from central.services.judging.replay import Different, PastTap, Replay
from central.services.judging.stated import ChargeCorrected
from central.services.points.stated import PointsAdjusted
from central.store.schema import events, facts, gates, lists, member_classes
from protocol.compiled import CompiledPolicy
from protocol.decision import Decision
from protocol.history import Mark
from protocol.messages import Clock, Direction, Outcome, Passage
from protocol.policy import Admit, Limit, Policy, Tariff
from tests.central.actors import NOW_MS
from tests.central.services.judging.borough import MINUTE_MS, Borough
from tests.central.services.judging.gates import ACTIVE, NOON_MS, SUBJECT, Gate, days, policies

ONCE = {"rules": [{"kind": "limit", "id": "once", "most": 1}, {"kind": "admit", "id": "all"}]}
TWICE = {"rules": [{"kind": "limit", "id": "twice", "most": 2}, {"kind": "admit", "id": "all"}]}


def past(gate: Gate, at_ms: int, decision: Decision) -> PastTap:
    is_denied = decision.outcome is Outcome.DENIED
    return PastTap(
        *(gate.name, gate.epoch, gate.sequence, at_ms, gate.name, gate.venue),
        gate.direction.value if is_denied else decision.direction,
        *(decision.outcome.value, decision.reason, decision.rule),
        0 if decision.repeats is None else 1 + decision.repeats.sequence,
        *(SUBJECT, decision.points, decision.due, Clock.TRUSTED, ACTIVE, False),
    )


@settings(max_examples=200, deadline=None)
@given(policies(), days(), st.booleans())
def test_the_policy_of_then_changes_nothing(policy: Policy, taps: list[tuple[int, int]], is_exit: bool) -> None:
    """Gates that knew of each other, and of all who were inside."""
    way = Direction.OUT if is_exit else Direction.IN
    places = (("g0", "main", Direction.IN), ("g1", "main", way), ("g2", "branch", Direction.IN))
    gates_ = [Gate(name, venue, CompiledPolicy(policy), direction) for name, venue, direction in places]
    replay, marks = Replay(CompiledPolicy(policy), lambda _subject: ()), list[Mark]()
    for at_ms, number in taps:
        gate = gates_[number]
        others = tuple(mark for mark in marks if mark.gate != gate.name)
        replay.new_day(at_ms)
        inside = len(replay._inside.get(gate.venue, ()))
        decision, one = gate.tap(at_ms, others if gate.policy.looks_back else (), inside=inside, reserved=10_000)
        marks += [one.mark] if one else []
        assert replay.tap(past(gate, at_ms, decision)) is None
    assert replay.taps == len(taps)
    assert not replay.ways


def tap(at_ms: int, sequence: int, **changes: Any) -> PastTap:
    gate = Gate("g", "main", CompiledPolicy(Policy(1, (Admit(id="all"),))), sequence=sequence)
    return msgspec.structs.replace(past(gate, at_ms, Decision(Outcome.GRANTED, "ok", "all")), **changes)


def through(policy: Policy, *taps: PastTap) -> list[str]:
    replay = Replay(CompiledPolicy(policy), lambda _subject: ())
    found = []
    for each in taps:
        different = replay.tap(each)
        found.append(f"{different.would.outcome} {different.would.reason}" if different else "same")
    return found


LIMITED = Policy(1, (Limit(id="once", most=1), Admit(id="all")))


def test_who_would_not_have_been_admitted_leaves_no_mark() -> None:
    """The third is the second day's first, whatever the second was."""
    day_ms = 86_400_000
    taps = tap(NOON_MS, 1), tap(NOON_MS + 60_000, 2), tap(NOON_MS + day_ms, 3)
    assert through(LIMITED, *taps) == ["same", "denied limit-reached", "same"]


def test_who_would_have_been_admitted_counts_from_then_on() -> None:
    denied = {"decision": "denied", "reason": "closed", "rule": "x"}
    assert through(LIMITED, tap(NOON_MS, 1, **denied), tap(NOON_MS + 60_000, 2)) == [
        "granted ok",
        "denied limit-reached",
    ]


def test_what_was_given_back_counts_no_more_under_another_policy() -> None:
    assert through(LIMITED, tap(NOON_MS, 1, is_given_back=True), tap(NOON_MS + 60_000, 2)) == ["same", "same"]


def test_a_repeat_stays_a_repeat_and_takes_a_place_that_was_given_back() -> None:
    first, again = tap(NOON_MS, 1), tap(NOON_MS + 2_000, 2, repeat_of=2)
    assert through(LIMITED, first, again, tap(NOON_MS + 60_000, 3)) == ["same", "same", "denied limit-reached"]
    heir = msgspec.structs.replace(again, is_heir=True)
    given_back = msgspec.structs.replace(first, is_given_back=True)
    assert through(LIMITED, given_back, again, tap(NOON_MS + 60_000, 3)) == ["same", "same", "same"]
    assert through(LIMITED, given_back, heir, tap(NOON_MS + 60_000, 3)) == ["same", "same", "denied limit-reached"]


@pytest.mark.parametrize("reason", ["uid-random", "unknown-card", "list-missing", "list-too-old", "not-enrolled"])
def test_what_no_policy_decided_stays_as_it_was(reason: str) -> None:
    assert through(LIMITED, tap(NOON_MS, 1, decision="denied", reason=reason, rule="", entry=None)) == ["same"]


def test_of_whom_nothing_is_known_nothing_is_said() -> None:
    replay = Replay(CompiledPolicy(LIMITED), lambda _subject: ())
    assert replay.tap(tap(NOON_MS, 1, entry=None)) is None
    assert (replay.taps, replay.untold) == (1, 1)


def test_earlier_marks_and_those_of_other_gates_count_as_they_were() -> None:
    other = Mark(NOON_MS - 60_000, "branch", "h", "in", "x", 0, 0, b"h" * 8, 1)
    replay = Replay(CompiledPolicy(LIMITED), lambda subject: [other] if subject == SUBJECT else [])
    assert replay.tap(tap(NOON_MS, 1)) is not None
    replay = Replay(CompiledPolicy(LIMITED), lambda _subject: ())
    replay.other(SUBJECT, other)
    assert replay.tap(tap(NOON_MS, 1)) is not None


PRICED = Policy(1, (Admit(id="all", tariff="t"),), tariffs={"t": Tariff(price=25, pay="points")})


@pytest.mark.parametrize(
    ("points", "due", "price", "then"),
    [(25, 0, 25, None), (10, 15, 25, None), (0, 25, 25, None), (25, 0, 20, (20, 0)), (10, 15, 12, (10, 2))],
)
def test_a_split_payment_shows_how_many_points_there_were(points: int, due: int, price: int, then: Any) -> None:
    policy = msgspec.structs.replace(PRICED, tariffs={"t": Tariff(price=price, pay="points")})
    replay = Replay(CompiledPolicy(policy), lambda _subject: ())
    different = replay.tap(tap(NOON_MS, 1, points=points, due=due))
    assert (different and (different.would.points, different.would.due)) == then


@pytest.mark.parametrize(
    ("was", "would", "books"),
    [
        ((25, 0), (20, 0), (-5, 0)),
        ((10, 15), (10, 2), (0, -13)),
        ((25, 0), (40, 0), (0, 15)),  # nobody knows whether there were more points
        ((0, 30), (0, 60), (0, 30)),
        ((25, 0), (0, 0), (-25, 0)),
        ((25, 0), (25, 0), None),
    ],
)
def test_a_correction_takes_no_more_points_than_were_taken(was: Any, would: Any, books: Any) -> None:
    answer = Decision(Outcome.GRANTED, "ok", "all", points=would[0], due=would[1])
    found = correction_of(Different(tap(NOON_MS, 1, points=was[0], due=was[1]), answer))
    assert (found and (found.points, found.due)) == books


def test_nothing_is_booked_of_another_answer() -> None:
    denied = Decision(Outcome.DENIED, "closed", "x")
    assert correction_of(Different(tap(NOON_MS, 1, due=25), denied)) is None
    granted = Decision(Outcome.GRANTED, "ok", "all", due=25)
    assert correction_of(Different(tap(NOON_MS, 1, decision="denied"), granted)) is None


# --- out of a database ------------------------------------------------------------------------------------------


async def a_day(borough: Borough) -> None:
    """Each gate let the first member in once and again; the second was denied at the second gate; one is unknown."""
    borough.tap(borough.here, NOW_MS - 30 * MINUTE_MS)
    borough.tap(borough.there, NOW_MS - 20 * MINUTE_MS)
    borough.tap(borough.here, NOW_MS - 15 * MINUTE_MS)
    borough.tap(borough.here, NOW_MS - 15 * MINUTE_MS + 2_000, repeat_of=4)
    borough.tap(borough.here, NOW_MS - 12 * MINUTE_MS, who=1)
    denied = {"decision": "denied", "reason": "limit-reached", "rule": "once"}
    borough.tap(borough.there, NOW_MS - 10 * MINUTE_MS, who=1, **denied)
    borough.there.add("tap", b"", at_ms=NOW_MS - 9 * MINUTE_MS, decision="denied", reason="uid-random")
    await borough.take()


async def replayed(borough: Borough, body: Any, **more: Any) -> Any:
    values = {"id": "both", "body": body, "since_ms": NOW_MS - 60 * MINUTE_MS, "show": 10} | more
    return await borough.admin.act("policy.replay", **values)


@pytest.mark.parametrize("taps_at_once", [1, 2, 20_000])
async def test_a_replay_counts_and_lists_whom_it_would_have_concerned(
    borough: Borough, taps_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same in slices of any size."""
    monkeypatch.setattr(past_taps, "TAPS_AT_ONCE", taps_at_once)
    monkeypatch.setattr(past_taps, "CARDS_KEPT", taps_at_once // 2)
    await a_day(borough)
    before = await borough.town.everything()
    found = await replayed(borough, TWICE)
    assert (found.taps, found.repeats, found.untold) == (7, 1, 0)
    ways = [(each.was, each.was_reason, each.would, each.would_reason, each.taps) for each in found.changed]
    assert ways == [
        ("denied", "limit-reached", "granted", "ok", 1),
        ("granted", "ok", "denied", "limit-reached", 1),
    ]
    assert (found.different, found.members) == (2, 2)
    listed = [(item.gate, item.member, item.was, item.would) for item in borough.admin.items]
    assert listed == [
        ("door-1", borough.members[0].hex(), "granted", "denied"),
        ("branch-1", borough.members[1].hex(), "denied", "granted"),
    ]
    assert await borough.town.everything() == before


async def test_a_replay_is_of_its_period_and_knows_what_was_before(borough: Borough) -> None:
    await a_day(borough)
    found = await replayed(borough, ONCE, since_ms=NOW_MS - 16 * MINUTE_MS, until_ms=NOW_MS - 11 * MINUTE_MS)
    assert (found.taps, found.different) == (3, 1)  # the first member's third, who came in twice before it
    found = await replayed(borough, ONCE, until_ms=NOW_MS - 30 * MINUTE_MS)
    assert found.taps == 0


async def test_gates_by_another_policy_are_as_they_were(borough: Borough) -> None:
    await borough.city.change(gates, gates.c.id == "branch-1", policy="open")
    await a_day(borough)
    found = await replayed(borough, TWICE)
    assert (found.taps, found.different) == (4, 1)


async def test_only_what_the_list_of_then_said_counts(borough: Borough) -> None:
    """A class that the member has today, and had not when the gate's list was made."""
    row = {"member": borough.members[0], "name": "senior", "from_ms": 0, "until_ms": 0}
    await borough.city.add(member_classes, row)
    await borough.list_again(borough.members[0], at_ms=NOW_MS - 18 * MINUTE_MS)
    late = await _version(borough)
    borough.tap(borough.here, NOW_MS - 17 * MINUTE_MS)
    borough.tap(borough.there, NOW_MS - 16 * MINUTE_MS, held=borough.held(allowlist=late))
    await borough.take()
    seniors = {"rules": [{"kind": "admit", "id": "seniors", "classes": ["senior"]}]}
    await replayed(borough, seniors)
    assert [(item.gate, item.would_reason) for item in borough.admin.items] == [("door-1", "class-not-admitted")]


async def _version(borough: Borough) -> int:
    return int((await borough.city.rows(lists))[0].version)


async def test_of_a_destroyed_part_nothing_can_be_said(borough: Borough) -> None:
    await a_day(borough)
    await borough.city.change(events, events.c.gate == "door-1", personal=None)
    found = await replayed(borough, TWICE)
    assert (found.taps, found.untold) == (7, 4)


async def test_a_replay_of_nothing_or_of_a_policy_with_a_mistake_is_refused(borough: Borough) -> None:
    with pytest.raises(ActionFailed, match="there is no policy"):
        await replayed(borough, ONCE, id="none")
    with pytest.raises(ActionFailed, match="rules"):
        await replayed(borough, {"rules": []})
    with pytest.raises(ActionFailed, match="ends before it begins"):
        await replayed(borough, ONCE, until_ms=1)


# --- a mistake is undone ----------------------------------------------------------------------------------------

DEAR = {"rules": [{"kind": "admit", "id": "all", "tariff": "t"}], "tariffs": {"t": {"price": 60}}}
RIGHT = {"rules": [{"kind": "admit", "id": "all", "tariff": "t"}], "tariffs": {"t": {"price": 25, "pay": "points"}}}


async def correct(borough: Borough, body: Any = RIGHT, **more: Any) -> Any:
    values = {"id": "both", "body": body, "since_ms": NOW_MS - 60 * MINUTE_MS, "until_ms": NOW_MS, "why": "typo"}
    return await borough.admin.act("policy.correct", **values | {"who": "lin"} | more)


async def booked(borough: Borough) -> list[tuple[Any, ...]]:
    async with borough.database.read() as connection:
        found = await stated.read(connection, [ChargeCorrected, PointsAdjusted])
    return [
        (type(fact.body).__name__, fact.who, fact.subject, fact.body.points, getattr(fact.body, "due", None))
        for fact in found
    ]


async def test_a_correction_is_shown_before_it_is_booked_and_booked_once(borough: Borough) -> None:
    """All paid 60; 25 was right. The first of them had paid 10 in points."""
    borough.tap(borough.here, NOW_MS - 30 * MINUTE_MS, points=30, due=30)
    borough.tap(borough.there, NOW_MS - 20 * MINUTE_MS, who=1, due=25)
    borough.tap(borough.here, NOW_MS - 15 * MINUTE_MS, who=2, due=60)
    await borough.take()
    shown = await correct(borough)
    assert (shown.taps, shown.corrected, shown.members, shown.points, shown.due) == (3, 2, 2, -5, -65)
    assert [(item.member, item.points, item.due) for item in borough.admin.items] == [
        (borough.members[0].hex(), -5, -30),
        (borough.members[2].hex(), 0, -35),
    ]
    assert await booked(borough) == []
    done = await correct(borough, apply=True)
    assert (done.applied, done.corrected) == (True, 2)
    after = await booked(borough)
    first, third = borough.subjects[0], borough.subjects[2]
    assert after == [
        ("ChargeCorrected", "lin", first, -5, -30),
        ("PointsAdjusted", "lin", first, 5, None),
        ("ChargeCorrected", "lin", third, 0, -35),
    ]
    again = await correct(borough, apply=True)
    assert (again.corrected, await booked(borough)) == (0, after)


async def test_of_who_is_erased_before_it_is_booked_nothing_is(
    borough: Borough, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = borough.tap(borough.here, NOW_MS - 30 * MINUTE_MS, due=60)
    borough.tap(borough.here, NOW_MS - 15 * MINUTE_MS, who=2, due=60)
    await borough.take()
    real = correct_module.references

    async def references(*asked: Any) -> Any:
        device, epoch, sequence = gone.split("/")
        async with borough.database.write() as connection:
            await destroy(connection, [(device, bytes.fromhex(epoch), int(sequence))], NOW_MS)
        return await real(*asked)

    monkeypatch.setattr(correct_module, "references", references)
    await correct(borough, apply=True)
    assert await booked(borough) == [("ChargeCorrected", "lin", borough.subjects[2], 0, -35)]


async def test_a_correction_can_be_corrected(borough: Borough) -> None:
    borough.tap(borough.here, NOW_MS - 30 * MINUTE_MS, due=60)
    await borough.take()
    cheap = {**DEAR, "tariffs": {"t": {"price": 1}}}
    await correct(borough, cheap, apply=True)
    await correct(borough, DEAR, apply=True)
    assert [row[4] for row in await booked(borough)] == [-59, 59]


SENIORS = {"rules": [{"kind": "admit", "id": "seniors", "classes": ["senior"]}]}


async def counted(borough: Borough) -> tuple[int, int]:
    found = await borough.admin.act("visits", venue="main")
    return sum(row.visits for row in found.rows), sum(row.corrected for row in found.rows)


async def test_an_entry_that_would_have_been_denied_counts_as_a_visit_no_more(borough: Borough) -> None:
    """It was one all the same: how many were inside stays as it was."""
    borough.tap(borough.here, NOW_MS - 30 * MINUTE_MS)
    gone = borough.tap(borough.here, NOW_MS - 20 * MINUTE_MS, who=1)
    borough.here.undid(int(gone.rpartition("/")[2]), NOW_MS - 19 * MINUTE_MS)
    borough.tap(borough.here, NOW_MS - 15 * MINUTE_MS, who=2, decision="denied", reason="class-not-admitted")
    await borough.take()
    inside = (await borough.admin.act("occupancy", venue="main")).inside
    shown = await correct(borough, SENIORS)
    assert (shown.visits, shown.members, shown.corrected) == (-1, 1, 0)
    assert [(item.member, item.visits) for item in borough.admin.items] == [(borough.members[0].hex(), -1)]
    assert await counted(borough) == (1, 0)
    await correct(borough, SENIORS, apply=True)
    assert await counted(borough) == (1, -1)
    assert (await borough.admin.act("occupancy", venue="main")).inside == inside
    assert (await correct(borough, SENIORS, apply=True)).visits == 0
    assert (await correct(borough, DEAR | {"tariffs": {"t": {"price": 0}}}, apply=True)).visits == 1
    assert await counted(borough) == (1, 0)


async def test_nothing_is_booked_without_a_name_and_a_reason(borough: Borough) -> None:
    with pytest.raises(ActionFailed, match="who says so and why"):
        await correct(borough, why=" ", apply=True)
    assert await borough.city.rows(facts) == []


async def test_two_people_who_correct_the_same_at_once_book_it_once(borough: Borough) -> None:
    borough.tap(borough.here, NOW_MS - 30 * MINUTE_MS, who=0, due=60)
    await borough.take()
    done = await asyncio.gather(*(correct(borough, apply=True) for _ in range(3)), return_exceptions=True)
    assert all(isinstance(each, Corrected | ActionFailed) for each in done)
    assert [row[4] for row in await booked(borough)] == [-35]
    done = await asyncio.gather(*(correct(borough, SENIORS, apply=True) for _ in range(3)), return_exceptions=True)
    assert all(isinstance(each, Corrected | ActionFailed) for each in done)
    assert sum(each.visits for each in done if isinstance(each, Corrected)) == (await counted(borough))[1] == -1


async def test_nothing_is_given_back_twice_of_a_tap_that_was_undone(borough: Borough) -> None:
    gone = borough.tap(borough.here, NOW_MS - 30 * MINUTE_MS, points=30, due=30)
    borough.here.undid(int(gone.rpartition("/")[2]), NOW_MS - 29 * MINUTE_MS)
    await borough.take()
    done = await correct(borough, apply=True)
    assert (done.corrected, done.points, await booked(borough)) == (0, 0, [])


async def test_the_repeat_that_counts_in_the_place_of_one_not_taken_is_corrected(borough: Borough) -> None:
    first = borough.tap(borough.here, NOW_MS - 30 * MINUTE_MS, points=30, due=30)
    sequence = int(first.rpartition("/")[2])
    borough.tap(borough.here, NOW_MS - 30 * MINUTE_MS + 2_000, points=30, due=30, repeat_of=sequence + 1)
    borough.here.passed(sequence, Passage.NOT_TAKEN, NOW_MS - 30 * MINUTE_MS + 3_000)
    await borough.take()
    await correct(borough, apply=True)
    assert [row[1:] for row in await booked(borough)] == [
        ("lin", borough.subjects[0], -5, -30),
        ("lin", borough.subjects[0], 5, None),
    ]


async def test_a_correction_goes_to_whom_the_tap_is_known_to_be_of(borough: Borough) -> None:
    """The card was bound to the wrong member: the right one paid, and is given back."""
    told, right = borough.subjects[0], borough.subjects[1]
    borough.tap(borough.here, NOW_MS - 30 * MINUTE_MS, points=30, due=30)
    async with borough.database.write() as connection:
        body = Reattributed(card=1, to=right, to_card=1, from_ms=0, until_ms=0)
        await stated.append(connection, stated.About("lin", NOW_MS, "library", told), body, NOW_MS)
    await borough.take()
    await correct(borough, apply=True)
    assert [(item.member, item.points) for item in borough.admin.items] == [(borough.members[1].hex(), -5)]
    assert [row[2:4] for row in await booked(borough)] == [(right, -5), (right, 5)]
    assert (await correct(borough, apply=True)).corrected == 0
