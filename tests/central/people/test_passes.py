"""Passes that end soon: found by day, class and member, counted, and only those of the caller's domains."""

from typing import Any

import pytest

from central.access.reach import Forbidden
from central.actions.action import ActionFailed
from central.store.schema import domains, member_classes, members, venues
from tests.central.actors import NOW_MS
from tests.central.admin import Admin
from tests.central.callers import ask, caller
from tests.central.city import City

DAY_MS = 86_400_000
ADMIN = caller("ada", "admin")
MAIN = caller("mai", "operator", venues=("main",))
POOL = caller("poo", "operator", venues=("pool",))


@pytest.fixture
async def passes(admin: Admin, city: City) -> Admin:
    """M-0's swim ends in 3 days, M-1's in 10 and gym in 3; M-2's ended 5 days ago; M-3's never ends. E-1 is of no
    domain."""
    ids = {row.reference: row.id for row in await city.rows(members)}
    until = {("M-0", "swim"): 3, ("M-1", "swim"): 10, ("M-1", "gym"): 3, ("M-2", "swim"): -5, ("E-1", "swim"): 4}
    await city.add(domains, {"id": "sports", "key_number": 1})
    await city.add(venues, {"id": "pool", "domain": "sports", "time_zone": "Asia/Taipei"})
    for (member, name), days in until.items():
        row = {"member": ids[member], "name": name, "from_ms": NOW_MS - 90 * DAY_MS}
        await city.add(member_classes, row | {"until_ms": NOW_MS + days * DAY_MS})
    await city.add(member_classes, {"member": ids["M-3"], "name": "swim", "from_ms": 0, "until_ms": 0})
    return admin


async def found(admin: Admin, who: Any = ADMIN, **values: Any) -> list[tuple[str, str]]:
    return [(each.member, each.class_name) for each in (await ask(admin, who, "pass.list", **values)).passes]


async def test_passes_that_end_soon_are_listed_by_their_end(passes: Admin) -> None:
    soon = await found(passes)
    assert sorted(soon[:2]) == [("M-0", "swim"), ("M-1", "gym")]
    assert soon[2:] == [("E-1", "swim"), ("M-1", "swim")]
    assert await found(passes, days=3, class_name="gym") == [("M-1", "gym")]
    assert await found(passes, days=2) == []
    assert await found(passes, days=0, past_days=7) == [("M-2", "swim")]


async def test_a_members_passes_are_all_of_theirs(passes: Admin) -> None:
    assert await found(passes, member="M-3") == [("M-3", "citizen"), ("M-3", "swim")]
    assert await found(passes, member="M-2", class_name="swim") == [("M-2", "swim")]
    with pytest.raises(ActionFailed, match="not known here"):
        await found(passes, member="M-77")


async def test_pages_follow_one_another(passes: Admin) -> None:
    key, read = "", []
    for _ in range(4):
        page = await ask(passes, ADMIN, "pass.list", limit=1, after=key)
        read += [(each.member, each.class_name) for each in page.passes]
        key = page.next
    assert (read, key) == (await found(passes), "")
    for wrong in ("x", "////", "AAAA"):
        with pytest.raises(ActionFailed, match="no place in this list"):
            await found(passes, after=wrong)


async def test_passes_are_counted_by_class(passes: Admin) -> None:
    counts = (await ask(passes, ADMIN, "pass.counts")).classes
    assert [(each.class_name, each.ending, each.ended) for each in counts] == [("gym", 1, 0), ("swim", 3, 1)]
    own = (await ask(passes, MAIN, "pass.counts", past_days=0)).classes
    assert [(each.class_name, each.ending, each.ended) for each in own] == [("gym", 1, 0), ("swim", 2, 0)]


async def test_an_operator_sees_members_of_own_domains_only(passes: Admin) -> None:
    assert ("E-1", "swim") not in await found(passes, MAIN)
    assert len(await found(passes, MAIN)) == 3
    assert await found(passes, POOL) == []
    assert (await ask(passes, POOL, "pass.counts")).classes == []
    with pytest.raises(Forbidden):
        await found(passes, POOL, member="M-0")
