"""Gates that their staff closed by PIN: taken into custody, told by `closure list`, undone by nothing of central's."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.actions.places.closures import ClosuresListed
from central.custody import Custodian
from central.device_keys import DeviceKeys
from central.gate_closures import Told, closings
from central.services.attendance.teams import Shift, Team
from central.store.schema import attendance_teams, events, member_classes
from protocol.configuration import GateConfig, ScreenConfig
from protocol.messages import ClosureDetail, Kind, encode
from tests.central.actors import NOW_MS, Journal
from tests.central.admin import Admin
from tests.central.city import City
from tests.central.people.test_closures import TEXTS, local

HOUR_MS = 3_600_000


async def tell(city: City, keys: Any, *details: ClosureDetail) -> None:
    journal = Journal(city.device)
    for each in details:
        journal.add(Kind.CLOSURE, detail=encode(each), at_ms=each.from_ms)
    await Custodian(city.database, keys, DeviceKeys(city.database)).take(journal.upload(), NOW_MS)


async def told(admin: Admin, **values: Any) -> ClosuresListed:
    found: ClosuresListed = await admin.act("closure.list", **values)
    return found


async def test_who_closed_a_gate_until_when_and_what_falls_into_it_is_told(admin: Admin, city: City, keys: Any) -> None:
    at_ms = local("2026-10-02T21:00")
    team = Team(venue="main", rules=(), shifts=(Shift(id="night", hours="22:00-26:00", days=("fri",)),))
    row = {"domain": "library", "id": "guides", "version": 1, "at_ms": NOW_MS, "from_ms": 0, "venue": "main"}
    await city.add(attendance_teams, row | {"who": "a", "body": msgspec.msgpack.encode(team)})
    member = (1).to_bytes(4) + bytes(12)
    await city.change(member_classes, member_classes.c.member == member, until_ms=at_ms + HOUR_MS)
    await tell(city, keys, ClosureDetail("lin", "typhoon", at_ms, at_ms + 2 * HOUR_MS))
    assert [row.outcome for row in await city.rows(events) if row.kind == "closure"] == ["accepted"]
    admin.now_ms = at_ms + HOUR_MS
    found = await told(admin)
    (shown,) = found.gates
    assert (shown.gate, shown.venue, shown.staff, shown.why) == ("door-1", "main", "lin", "typhoon")
    assert (shown.from_ms, shown.until_ms, shown.opened_by) == (at_ms, at_ms + 2 * HOUR_MS, "")
    assert ([shift.shift for shift in shown.shifts], shown.classes_ending) == (["night"], 1)
    assert "Limits are per local day" in found.note
    admin.now_ms = at_ms + 2 * HOUR_MS
    assert (await told(admin)).gates == []
    assert len((await told(admin, all=True)).gates) == 1


async def test_one_that_staff_opened_again_is_over_then_and_by_whom(admin: Admin, city: City, keys: Any) -> None:
    closed = ClosureDetail("lin", "other", NOW_MS, NOW_MS + HOUR_MS)
    await tell(city, keys, closed, ClosureDetail("wu", "", NOW_MS + 60_000, NOW_MS + 60_000))
    admin.now_ms = NOW_MS + 60_000
    assert (await told(admin)).gates == []
    (shown,) = (await told(admin, all=True)).gates
    assert (shown.until_ms, shown.opened_by) == (NOW_MS + 60_000, "wu")


async def test_a_closure_of_central_and_its_end_leave_a_closed_gate_as_it_is(
    admin: Admin, city: City, keys: Any
) -> None:
    await tell(city, keys, ClosureDetail("lin", "typhoon", NOW_MS, NOW_MS + HOUR_MS))
    done = await admin.act("closure.add", city=True, since="2026-09-21", until="2026-09-30", **TEXTS)
    await admin.act("closure.end", id=done.closure.id, who="mayor")
    (shown,) = (await told(admin)).gates
    assert shown.until_ms == NOW_MS + HOUR_MS


async def test_a_detail_that_cannot_be_read_and_an_event_that_does_not_count_close_nothing(
    admin: Admin, city: City, keys: Any
) -> None:
    journal = Journal(city.device)
    journal.add(Kind.CLOSURE, detail=b"\x93\x01")
    journal.add(Kind.CLOSURE, detail=encode(ClosureDetail("lin", "typhoon", NOW_MS, NOW_MS + HOUR_MS)))
    await Custodian(city.database, keys, DeviceKeys(city.database)).take(journal.upload(), NOW_MS)
    assert len((await told(admin, all=True)).gates) == 1
    await city.change(events, events.c.kind == "closure", outcome="untrusted")
    assert (await told(admin, all=True)).gates == []


@pytest.mark.parametrize("offered", [{"staff_admit": True}, {"staff_close": True}])
async def test_staff_are_sent_to_a_gate_that_lets_them_do_either(
    admin: Admin, city: City, offered: dict[str, bool]
) -> None:
    await city.configure(GateConfig(0, "door-1", "door", screen=ScreenConfig(**offered)))
    admin.now_ms = NOW_MS + 1_000
    done = await admin.act("staff.add", venue="main", id="lin", pin="246813")
    assert (done.gates, done.not_offered) == (["door-1"], [])


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 20)), max_size=6, unique_by=lambda each: each[0]))
def test_at_each_moment_the_newest_word_of_a_gate_counts(words: Sequence[tuple[int, int]]) -> None:
    said = [ClosureDetail("s", "other", at, at + length) for at, length in words]
    found = closings([Told("g", "v", "d", each) for each in said])
    for at in range(65):
        newest = max((each for each in said if each.from_ms <= at), key=lambda each: each.from_ms, default=None)
        holds = newest is not None and at < newest.until_ms
        assert any(each.from_ms <= at < each.until_ms for each in found) == holds
