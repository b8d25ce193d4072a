"""Conflicts as an inbox: paged by key, counted, given to somebody, settled many at once, each within its venue."""

from typing import Any

import pytest

from central.access.perform import BadParameters
from central.access.reach import Forbidden
from central.actions.action import ActionFailed
from central.store.schema import audit, conflicts, events, facts, gates
from tests.central.actors import NOW_MS
from tests.central.callers import add_account, ask, caller
from tests.central.services.judging.borough import MINUTE_MS, Borough

ADMIN = caller("ada", "admin")
BRANCH = caller("bo", "operator", venues=("branch",))
MAIN = caller("mai", "operator", venues=("main",))


async def three(borough: Borough) -> list[Any]:
    """One conflict at `branch` and two at `main`, the oldest first."""
    borough.tap(borough.here, NOW_MS - 30 * MINUTE_MS)
    borough.tap(borough.there, NOW_MS - 20 * MINUTE_MS)
    for minutes in (10, 5):
        borough.tap(borough.here, NOW_MS - minutes * MINUTE_MS, who=1, rule="nobodys")
    await borough.take()
    found = await borough.conflicts()
    assert [(row.kind, row.venue) for row in found] == [
        ("used-apart", "branch"),
        ("policy-differs", "main"),
        ("policy-differs", "main"),
    ]
    return found


async def listed(borough: Borough, who: Any = ADMIN, **filters: Any) -> list[str]:
    return [row.id for row in (await ask(borough.admin, who, "conflict.list", **filters)).rows]


@pytest.mark.parametrize("newest_first", [False, True])
async def test_a_list_goes_on_where_the_last_page_ended(borough: Borough, newest_first: bool) -> None:
    every = [row.id for row in await three(borough)]
    key, read = "", []
    for more in (True, True, False):
        page = await ask(borough.admin, ADMIN, "conflict.list", limit=1, after=key, newest_first=newest_first)
        assert page.more is more
        read += [row.id for row in page.rows]
        key = page.next
    assert read == (every[::-1] if newest_first else every)
    assert key == ""


@pytest.mark.parametrize("key", ["x", "5-zz", "-5-" + "0" * 32, "99999999999999999999-" + "0" * 32])
async def test_a_place_that_is_none_is_refused(borough: Borough, key: str) -> None:
    with pytest.raises(ActionFailed, match="no place in the list"):
        await ask(borough.admin, ADMIN, "conflict.list", after=key)


async def test_conflicts_are_found_by_venue_state_member_and_time(borough: Borough) -> None:
    one, two, three_ = (row.id for row in await three(borough))
    member = borough.members[1].hex()
    assert await listed(borough, venue="branch") == [one]
    assert await listed(borough, member=member) == [two, three_]
    assert await listed(borough, member="nobody") == []
    assert await listed(borough, since_ms=NOW_MS - 10 * MINUTE_MS, until_ms=NOW_MS - 5 * MINUTE_MS) == [two]
    await borough.admin.act("conflict.say", id=one, what="settle", why="known", who="lin")
    assert await listed(borough, state="settled") == [one]
    assert await listed(borough, state="open", kind="used-apart") == []


async def test_an_operator_sees_and_counts_only_conflicts_of_own_venues(borough: Borough) -> None:
    one, two, three_ = (row.id for row in await three(borough))
    assert await listed(borough, BRANCH) == [one]
    assert await listed(borough, MAIN) == [two, three_]
    with pytest.raises(Forbidden):
        await listed(borough, BRANCH, venue="main")
    with pytest.raises(Forbidden):
        await ask(borough.admin, BRANCH, "conflict.show", id=two)
    with pytest.raises(Forbidden):
        await ask(borough.admin, caller("co", "coordinator", teams=("desk",)), "conflict.list")
    (counted,) = (await ask(borough.admin, BRANCH, "conflict.counts")).kinds
    assert (counted.kind, counted.open) == ("used-apart", 1)
    assert (await ask(borough.admin, caller("no", "operator"), "conflict.counts")).kinds == []


async def test_a_conflict_stays_with_the_venue_of_the_tap_when_its_device_moves(borough: Borough) -> None:
    one, *_ = [row.id for row in await three(borough)]
    await borough.city.add(gates, {"id": "yard", "venue": "main", "kind": "door", "policy": "both"})
    await borough.admin.act("device.list")
    async with borough.database.write() as connection:
        from central.store.schema import devices

        await connection.execute(devices.update().where(devices.c.id == "branch-1-device").values(gate="yard"))
    assert await listed(borough, BRANCH) == [one]
    assert (await ask(borough.admin, BRANCH, "conflict.show", id=one)).conflict.venue == "branch"
    with pytest.raises(Forbidden):
        await ask(borough.admin, MAIN, "conflict.show", id=one)


async def test_many_are_settled_at_once_and_each_says_what_became_of_it(borough: Borough) -> None:
    one, two, three_ = (row.id for row in await three(borough))
    await borough.admin.act("conflict.say", id=two, what="settle", why="known", who="lin")
    ids = [two, one[:8], "00112233", "zz", three_, three_]
    done = await ask(borough.admin, ADMIN, "conflict.settle", ids=ids, why="one bad day")
    assert (done.done, done.refused) == (2, 4)
    assert [each.done for each in done.results] == [False, True, False, False, True, False]
    assert [each.state for each in done.results] == ["settled", "settled", "", "", "settled", "settled"]
    assert "settled already" in done.results[0].why
    assert done.results[1].id == one
    assert await listed(borough, open=True) == []
    shown = await ask(borough.admin, ADMIN, "conflict.show", id=one)
    assert [(each["who"], each["why"]) for each in shown.said] == [("ada", "one bad day")]
    assert len(await borough.city.rows(facts)) == 3
    assert (await borough.admin.act("rebuild", service="conflicts")).different == 0


async def test_what_is_of_another_venue_is_not_found_among_many(borough: Borough) -> None:
    one, two, _ = (row.id for row in await three(borough))
    for name in ("conflict.settle", "conflict.comment"):
        done = await ask(borough.admin, BRANCH, name, ids=[one, two], why="x")
        assert [each.done for each in done.results] == [True, False]
        assert done.results[1].why.startswith("there is no conflict")
    for name in ("conflict.retry", "conflict.assign"):
        done = await ask(borough.admin, BRANCH, name, ids=[two])
        assert (done.done, done.results[0].state) == (0, "")
    assert [row.who for row in await borough.city.rows(facts)] == ["bo", "bo"]


@pytest.mark.parametrize("ids", [[], ["0" * 32] * 501, ["0" * 33]])
async def test_too_many_or_none_are_refused(borough: Borough, ids: list[str]) -> None:
    with pytest.raises(BadParameters):
        await ask(borough.admin, ADMIN, "conflict.settle", ids=ids, why="x")


async def test_hundreds_are_settled_in_one_request(borough: Borough) -> None:
    for minutes in range(120):
        borough.tap(borough.here, NOW_MS - (200 - minutes) * MINUTE_MS, who=minutes % 3, rule="nobodys")
    await borough.take()
    every = await listed(borough, open=True)
    assert len(every) == 120
    done = await ask(borough.admin, ADMIN, "conflict.settle", ids=every, why="its policy was wrong")
    assert (done.done, done.refused) == (120, 0)
    (counted,) = (await ask(borough.admin, ADMIN, "conflict.counts")).kinds
    assert (counted.open, counted.settled) == (0, 120)


# --- to whom ------------------------------------------------------------------------------------------------------


async def test_a_conflict_is_given_to_somebody_and_taken_back(borough: Borough) -> None:
    one, two, _ = (row.id for row in await three(borough))
    await add_account(borough.database, "bo", "operator", venues=("branch",))
    given = await ask(borough.admin, ADMIN, "conflict.assign", ids=[one], to="bo", why="your gate")
    assert given.done == 1
    assert await listed(borough, assigned="bo") == [one]
    assert one not in await listed(borough, unassigned=True)
    counted = {each.kind: each for each in (await ask(borough.admin, BRANCH, "conflict.counts")).kinds}
    assert (counted["used-apart"].mine, counted["used-apart"].unassigned) == (1, 0)
    shown = await ask(borough.admin, BRANCH, "conflict.show", id=one)
    assert (shown.conflict.assigned, shown.said[0]["to"], shown.said[0]["who"]) == ("bo", "bo", "ada")
    again = await ask(borough.admin, ADMIN, "conflict.assign", ids=[one, two], to="bo")
    assert [each.why for each in again.results] == ["it is bo’s already", "bo is of other venues than main"]
    assert (await borough.admin.act("rebuild", service="conflicts")).different == 0
    await ask(borough.admin, BRANCH, "conflict.assign", ids=[one])
    assert await listed(borough, assigned="bo") == []


async def test_who_was_given_a_conflict_sees_it_settled_and_gone(borough: Borough) -> None:
    one, *_ = [row.id for row in await three(borough)]
    await add_account(borough.database, "bo", "operator", venues=("branch",))
    await ask(borough.admin, ADMIN, "conflict.assign", ids=[one], to="bo")
    await ask(borough.admin, BRANCH, "conflict.settle", ids=[one], why="asked him")
    assert await listed(borough, assigned="bo", state="settled") == [one]
    borough.here.undid(1, NOW_MS - 29 * MINUTE_MS)
    await borough.take()
    (gone,) = await borough.conflicts(assigned="bo")
    assert (gone.id, gone.state) == (one, "gone")


async def test_conflicts_are_given_only_to_whom_they_can_be(borough: Borough) -> None:
    one, *_ = [row.id for row in await three(borough)]
    await add_account(borough.database, "ada", "admin", title="Ada")
    await add_account(borough.database, "bo", "operator", venues=("branch",))
    await add_account(borough.database, "mai", "operator", venues=("main",))
    await add_account(borough.database, "gone", "admin", state="disabled")
    await add_account(borough.database, "co", "coordinator")
    every = (await ask(borough.admin, ADMIN, "conflict.assignees")).accounts
    assert [(each.account, each.venues) for each in every] == [("ada", []), ("bo", ["branch"]), ("mai", ["main"])]
    own = (await ask(borough.admin, BRANCH, "conflict.assignees")).accounts
    assert [each.account for each in own] == ["ada", "bo"]
    for to in ("gone", "co", "nobody"):
        with pytest.raises(ActionFailed, match="cannot be given"):
            await ask(borough.admin, ADMIN, "conflict.assign", ids=[one], to=to)


# --- again --------------------------------------------------------------------------------------------------------


async def test_taps_are_judged_again_on_demand(borough: Borough) -> None:
    one, two, three_ = (row.id for row in await three(borough))
    async with borough.database.write() as connection:
        await connection.execute(conflicts.update().where(conflicts.c.kind == "policy-differs").values(state="note"))
    done = await ask(borough.admin, ADMIN, "conflict.retry", ids=[two, three_])
    assert [(each.done, each.state) for each in done.results] == [(True, "open"), (True, "open")]
    await borough.city.change(events, events.c.gate == "branch-1", reason="ok")
    async with borough.database.write() as connection:
        from central.store.schema import marks

        await connection.execute(marks.update().where(marks.c.gate == "door-1").values(fate="undone"))
    ended = await ask(borough.admin, ADMIN, "conflict.retry", ids=[one])
    assert [(each.done, each.state) for each in ended.results] == [(True, "")]


async def test_what_is_done_with_many_stands_in_the_audit_log(borough: Borough) -> None:
    one, *_ = [row.id for row in await three(borough)]
    await ask(borough.admin, ADMIN, "conflict.settle", ids=[one], why="known")
    rows = [(row.who, row.action, row.phase, row.target) for row in await borough.city.rows(audit)]
    assert rows == [("ada", "conflict.settle", "asked", one), ("ada", "conflict.settle", "done", one)]
