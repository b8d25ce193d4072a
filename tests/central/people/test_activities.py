"""Activities: registered by a list up to the capacity, checked in by taps, and who came in the end."""

import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.access.reach import Forbidden
from central.actions.action import ActionFailed
from central.people.attendance_list import Came, attended
from central.store.schema import registrations, venues
from protocol.messages import Kind, Passage, PassageDetail, Personal, encode
from protocol.policy import Admit, Refuse
from tests.central.actors import NOW_MS, Journal
from tests.central.admin import Admin
from tests.central.callers import ask, caller
from tests.central.city import City
from tests.central.people.conftest import Listed, Write
from tests.central.services.scenes import Town

MINUTE_MS = 60_000
WALK = {"id": "walk", "venue": "main", "rule": "walk", "since": "2026-09-21T22:00", "until": "2026-09-21T23:00"}
"""NOW_MS is 22:13 of that day."""


class Gate(Journal):
    def came(self, subject: bytes, at_ms: int, rule: str = "walk") -> int:
        personal = encode(Personal(os.urandom(16), subject=subject, card=1))
        fields: dict[str, Any] = {"direction": "in", "decision": "granted", "reason": "ok", "rule": rule}
        self.add(Kind.TAP, personal, at_ms=at_ms, **fields)
        return len(self.publics) - 1


async def test_people_register_by_a_list_until_it_is_full(admin: Admin, city: City, write: Write) -> None:
    await admin.act("activity.put", **WALK, capacity=2)
    file = write(
        "member,action", "M-0,", "E-1,add", "M-9,", "M-1,報名", "M-2,", "M-0,取消", "M-2,", "M-3,maybe", "M-1,"
    )
    for apply in (False, True):
        done = await admin.act("activity.register", file=file, activity="walk", apply=apply, report=True)
        assert admin.verdicts() == {
            **{2: "added", 3: "refused", 4: "refused", 5: "added", 6: "refused", 7: "removed"},
            **{8: "added", 9: "refused", 10: "unchanged"},
        }
        assert admin.why(6) == "capacity: 2 are registered"
        assert done.applied is apply
        assert len(await city.rows(registrations)) == (2 if apply else 0)
    (shown,) = (await admin.act("activity.list", venue="main")).activities
    assert (shown.registered, shown.capacity) == (2, 2)
    with pytest.raises(ActionFailed, match="2 are registered already"):
        await admin.act("activity.put", **WALK, capacity=1)
    assert (await admin.act("activity.put", **WALK, capacity=9, title_en="Walk")).registered == 2


async def test_it_is_told_at_which_gates_somebody_can_check_in(admin: Admin, city: City) -> None:
    assert (await admin.act("activity.put", **WALK)).gates == []
    await city.add_policy(NOW_MS, Admit(id="walk"), Refuse(id="swim"))
    (shown,) = (await admin.act("activity.list")).activities
    assert shown.gates == ["door-1"]
    assert (await admin.act("activity.put", **{**WALK, "rule": "swim"})).gates == [], "it admits nobody"


async def test_a_check_in_is_a_granted_tap_by_the_rule_within_the_time(
    admin: Admin, city: City, listed: Listed, write: Write
) -> None:
    await admin.act("activity.put", **WALK, capacity=3)
    file = write("member", "M-0", "M-1")
    await admin.act("activity.register", file=file, activity="walk", apply=True)
    who = []
    for number in range(5):
        entry = await listed.entry(number)
        assert entry is not None
        who.append(entry.subject)
    town, gate = Town(city.database, city.keys), Gate(city.device)
    gate.came(who[0], NOW_MS + 5 * MINUTE_MS)
    gate.came(who[0], NOW_MS + 9 * MINUTE_MS)
    gate.came(who[2], NOW_MS + 2 * MINUTE_MS)
    gate.came(who[3], NOW_MS + 3 * MINUTE_MS)
    gate.came(who[4], NOW_MS + 3 * MINUTE_MS, rule="members")
    gate.came(who[4], NOW_MS - 30 * MINUTE_MS)
    turned_back = gate.came(who[4], NOW_MS + 4 * MINUTE_MS)
    gate.add(Kind.PASSAGE, at_ms=NOW_MS, detail=encode(PassageDetail(turned_back, Passage.NOT_TAKEN)))
    await town.take(gate)
    await town.settle()
    found = await admin.act("activity.attendance", id="walk")
    assert [(each.member, each.came, each.at_ms) for each in found.people] == [
        ("M-2", "walk-in", NOW_MS + 2 * MINUTE_MS),
        ("M-3", "over-capacity", NOW_MS + 3 * MINUTE_MS),
        ("M-0", "came", NOW_MS + 5 * MINUTE_MS),
        ("M-1", "absent", 0),
    ]
    assert (found.registered, found.counts) == (2, {"walk-in": 1, "over-capacity": 1, "came": 1, "absent": 1})
    await admin.act("activity.put", **WALK, capacity=3, walk_ins=False)
    closed = await admin.act("activity.attendance", id="walk")
    assert closed.counts == {"not-registered": 2, "came": 1, "absent": 1}


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"venue": "moon"}, "there is no venue 'moon'"),
        ({"since": "soon"}, "from: 'soon' is not a time"),
        ({"until": "2026-09-21T22:00"}, "is not after"),
    ],
)
async def test_an_activity_that_makes_no_sense_is_refused(admin: Admin, values: dict[str, str], why: str) -> None:
    with pytest.raises(ActionFailed, match=why):
        await admin.act("activity.put", **(WALK | values))
    with pytest.raises(ActionFailed, match="there is no activity 'walk'"):
        await admin.act("activity.attendance", id="walk")


people = st.binary(min_size=1, max_size=1)


@given(
    st.sets(people, max_size=5),
    st.lists(st.tuples(people, st.integers(1, 50)), max_size=12),
    st.integers(0, 6),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_everybody_is_told_of_once_and_the_order_of_arrival_does_not_matter(
    registered: set[bytes], check_ins: list[tuple[bytes, int]], capacity: int, walk_ins: bool, random: Any
) -> None:
    found = attended(registered, check_ins, capacity, walk_ins)
    shuffled = list(check_ins)
    random.shuffle(shuffled)
    assert attended(registered, shuffled, capacity, walk_ins) == found
    assert sorted(each.subject for each in found) == sorted(registered | {subject for subject, _ in check_ins})
    came = {each.came for each in found if each.subject in registered}
    assert came <= {Came.CAME, Came.ABSENT}
    inside = [each for each in found if each.came is Came.WALK_IN]
    if capacity:
        assert len(inside) <= max(0, capacity - len(registered))


async def test_an_operator_lists_activities_of_own_venues_a_page_at_a_time(admin: Admin, city: City) -> None:
    await city.add(venues, {"id": "branch", "domain": "library", "time_zone": "Asia/Taipei"})
    for id_, venue, hour in (("one", "main", 9), ("two", "branch", 10), ("three", "main", 11)):
        times = {"since": f"2026-09-22T{hour:02}:00", "until": f"2026-09-22T{hour + 1:02}:00"}
        await admin.act("activity.put", id=id_, venue=venue, rule="walk", **times)
    main = caller("mai", "operator", venues=("main",))
    first = await ask(admin, main, "activity.list", limit=1)
    assert ([each.id for each in first.activities], first.more) == (["one"], True)
    second = await ask(admin, main, "activity.list", limit=1, after=first.next)
    assert ([each.id for each in second.activities], second.more, second.next) == (["three"], False, "")
    over_ms = first.activities[0].until_ms
    every = await ask(admin, caller("ada", "admin"), "activity.list", since_ms=over_ms)
    assert [each.id for each in every.activities] == ["two", "three"]
    with pytest.raises(Forbidden):
        await ask(admin, main, "activity.attendance", id="two")
    with pytest.raises(Forbidden):
        await ask(admin, main, "activity.put", **{**WALK, "id": "two"})
