"""Conflicts stand open until a person settles them, and are the same in whatever order batches came."""

from typing import Any

import pytest
from sqlalchemy import select

from central import rotating
from central.actions.action import ActionFailed
from central.facts import About, append
from central.lists import refresh_domain
from central.services.judging.stated import ClockOffset
from central.services.projector import settle
from central.services.service import Touched
from central.store.schema import conflicts, domains, events, facts, lists, policies
from protocol.allowlist import CardState
from protocol.messages import encode
from protocol.policy import Admit, Limit, Policy
from tests.central.actors import NOW_MS
from tests.central.services.judging.borough import LISTED_MS, MINUTE_MS, POLICY_MS, Borough

DAY_MS = 24 * 60 * MINUTE_MS


async def twice(borough: Borough) -> str:
    """The same card at both gates, which heard nothing of each other; the second tap's name."""
    borough.tap(borough.here, NOW_MS - 10 * MINUTE_MS)
    return borough.tap(borough.there, NOW_MS - 5 * MINUTE_MS)


async def test_a_card_in_two_places_is_a_conflict(borough: Borough) -> None:
    second = await twice(borough)
    await borough.take()
    (found,) = await borough.conflicts()
    assert (found.kind, found.state, found.event, found.gate) == ("used-apart", "open", second, "branch-1")
    assert found.detail["other"]["gate"] == "door-1"


async def test_the_order_of_batches_changes_nothing(borough: Borough) -> None:
    await twice(borough)
    borough.tap(borough.here, NOW_MS - 8 * MINUTE_MS, who=1)
    borough.tap(borough.there, NOW_MS - 4 * MINUTE_MS, who=1)
    await borough.take(borough.there)
    assert await borough.kinds() == []
    await borough.take(borough.here)
    late = await borough.town.rows(conflicts)
    assert [row.kind for row in await borough.conflicts()] == ["used-apart", "used-apart"]
    async with borough.database.write() as connection:
        await connection.execute(conflicts.delete())
        every = [Touched("library", subject, 0) for subject in borough.subjects]
        await settle(connection, every, NOW_MS)
    assert await borough.town.rows(conflicts) == late


async def test_conflicts_are_rebuilt_from_nothing(borough: Borough) -> None:
    second = await twice(borough)
    borough.tap(borough.here, NOW_MS - 3 * MINUTE_MS, who=1, rule="nobodys")
    await borough.take()
    (found,) = [row for row in await borough.conflicts() if row.event == second]
    await borough.admin.act("conflict.say", id=found.id, what="settle", why="known", who="lin")
    rebuilt = await borough.admin.act("rebuild")
    assert rebuilt.different == 0
    async with borough.database.write() as connection:
        await connection.execute(conflicts.update().values(state="open"))
    assert (await borough.admin.act("rebuild", service="conflicts")).different == 2  # one row wrong, one missing


async def test_a_conflict_ends_when_a_late_word_explains_it(borough: Borough) -> None:
    await twice(borough)
    await borough.take()
    borough.here.undid(1, NOW_MS - 9 * MINUTE_MS)
    await borough.take()
    assert await borough.kinds() == []


async def test_what_a_person_said_of_a_conflict_stays_when_it_ends(borough: Borough) -> None:
    await twice(borough)
    await borough.take()
    (found,) = await borough.conflicts()
    await borough.admin.act("conflict.say", id=found.id, what="comment", why="asked there", who="lin")
    borough.here.undid(1, NOW_MS - 9 * MINUTE_MS)
    await borough.take()
    (gone,) = await borough.conflicts()
    assert (gone.id, gone.state, gone.event) == (found.id, "gone", found.event)
    assert await borough.conflicts(open=True) == []


async def test_a_conflict_is_settled_by_name_and_can_be_opened_again(borough: Borough) -> None:
    await twice(borough)
    await borough.take()
    (found,) = await borough.conflicts(open=True)
    say = {"id": found.id[:8], "who": "lin"}
    settled = await borough.admin.act("conflict.say", what="settle", why="both are his", **say)
    assert settled.conflict.state == "settled"
    assert await borough.conflicts(open=True) == []
    with pytest.raises(ActionFailed, match="settled already"):
        await borough.admin.act("conflict.say", what="settle", why="again", **say)
    await borough.admin.act("conflict.say", what="reopen", why="it was not", **say)
    (again,) = await borough.conflicts(open=True)
    assert again.id == found.id
    shown = await borough.admin.act("conflict.show", id=found.id)
    assert [(each["who"], each["why"]) for each in shown.said] == [("lin", "both are his"), ("lin", "it was not")]
    assert shown.member == borough.members[0].hex()


async def test_a_settled_conflict_stays_settled_when_more_comes(borough: Borough) -> None:
    await twice(borough)
    await borough.take()
    (found,) = await borough.conflicts()
    await borough.admin.act("conflict.say", id=found.id, what="settle", why="known", who="lin")
    borough.tap(borough.there, NOW_MS - 3 * MINUTE_MS, rule="nobodys")
    await borough.take()
    states = {row.kind: row.state for row in await borough.conflicts()}
    assert states == {"used-apart": "settled", "policy-differs": "open"}


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"id": "zz"}, "is no conflict"),
        ({"id": "12"}, "is no conflict"),
        ({"id": "00112233"}, "there is no conflict"),
        ({"id": "00112233", "why": " "}, "who says so and why"),
    ],
)
async def test_nothing_is_said_about_what_there_is_not(borough: Borough, values: dict[str, Any], why: str) -> None:
    with pytest.raises(ActionFailed, match=why):
        await borough.admin.act("conflict.say", **{"what": "settle", "why": "x", "who": "lin"} | values)
    assert await borough.city.rows(facts) == []


# --- what each kind goes by -------------------------------------------------------------------------------------


async def test_a_tap_after_a_revocation_names_the_list_that_the_gate_had(borough: Borough) -> None:
    await borough.city.set_card_state(borough.members[0], CardState.LOST)
    lost = await borough.list_again(borough.members[0], at_ms=NOW_MS - 20 * MINUTE_MS)
    borough.tap(borough.here, NOW_MS - 21 * MINUTE_MS)
    borough.tap(borough.there, NOW_MS - 1)
    await borough.take()
    (found,) = [row for row in await borough.conflicts() if row.kind == "admitted-after-revocation"]
    assert found.gate == "branch-1"
    assert found.detail == {"why": "lost", "known_since_ms": lost, "allowlist": LISTED_MS}


async def test_a_gate_that_had_the_revocation_and_let_in_is_broken(borough: Borough) -> None:
    await borough.city.set_card_state(borough.members[0], CardState.BLOCKED)
    blocked = await borough.list_again(borough.members[0], at_ms=NOW_MS - 20 * MINUTE_MS)
    borough.tap(borough.here, NOW_MS - 1, held=borough.held(allowlist=blocked))
    await borough.take()
    assert await borough.kinds() == ["policy-differs"]


async def test_a_policy_that_is_not_known_here_judges_nobody(borough: Borough) -> None:
    borough.tap(borough.here, NOW_MS - 2, held=borough.held(policy=7))
    borough.tap(borough.there, NOW_MS - 1, held=borough.held(policy=7))
    await borough.take()
    assert await borough.kinds() == []


async def test_each_gate_is_judged_by_the_version_that_it_held(borough: Borough) -> None:
    """`there` still has a version that asks nothing; of two policies with one version the gate's own counts."""
    older = Policy(POLICY_MS - 5, (Admit(id="all"),))
    await borough.put(older, POLICY_MS - 5)
    other = Policy(POLICY_MS - 5, (Limit(id="once", most=1), Admit(id="all")))
    await borough.city.add(policies, {"id": "a", "version": other.version, "at_ms": 1, "body": encode(other)})
    borough.tap(borough.here, NOW_MS - 2)
    borough.tap(borough.there, NOW_MS - 1, held=borough.held(policy=older.version))
    await borough.take()
    assert await borough.kinds() == []


async def test_a_copied_chip_is_noticed_but_a_new_key_is_not(borough: Borough) -> None:
    """The second member's card is read under another domain key the next time."""
    for who in (0, 1):
        borough.tap(borough.here, NOW_MS - 50 * 24 * 60 * MINUTE_MS // 2, who=who, fingerprint=b"1" * 16)
    borough.tap(borough.here, NOW_MS - 9, fingerprint=b"2" * 16)
    await borough.take()
    assert await borough.kinds() == ["fingerprint-changed"]
    borough.city.keys.new_domain_key("library", 2)
    await borough.city.change(domains, domains.c.id == "library", key_number=2)
    async with borough.database.write() as connection:
        await refresh_domain(connection, borough.city.keys, "library", NOW_MS - 8)
    borough.tap(borough.here, NOW_MS - 7, who=1, fingerprint=b"3" * 16, held=borough.held(allowlist=NOW_MS - 8))
    await borough.take()
    assert await borough.kinds() == ["fingerprint-changed"]


async def test_a_list_that_grew_while_its_key_was_rotated_is_of_the_old_key_still(
    borough: Borough, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tokens of the next key are in the history by then; taps that were made under each are not compared."""
    monkeypatch.setattr("central.lists.BLOCK_MEMBERS", 1)
    city, who = borough.city, len(borough.members) - 1
    async with borough.database.write() as connection:
        await rotating.begin(connection, city.keys, "library")
    for _ in borough.members:
        await rotating.make_next(city.database, city.keys, "library", LISTED_MS + 10)
    await city.set_card_state(borough.members[0], CardState.BLOCKED)
    grown = await borough.list_again(borough.members[0], at_ms=LISTED_MS + 1_000)
    borough.tap(borough.here, NOW_MS - 7 * DAY_MS, who=who, fingerprint=b"1" * 16, held=borough.held(allowlist=grown))
    await rotating.go_on(city.database, city.keys, "library", LISTED_MS + 2_000)
    (head,) = await city.rows(lists)
    borough.tap(
        borough.here, NOW_MS - 5 * DAY_MS, who=who, fingerprint=b"2" * 16, held=borough.held(allowlist=head.version)
    )
    await borough.take()
    assert await borough.kinds() == []
    borough.tap(
        borough.here, NOW_MS - 4 * DAY_MS, who=who, fingerprint=b"3" * 16, held=borough.held(allowlist=head.version)
    )
    await borough.take()
    assert await borough.kinds() == ["fingerprint-changed"]


async def test_a_destroyed_part_has_no_chip(borough: Borough) -> None:
    borough.tap(borough.here, NOW_MS - 24 * 60 * MINUTE_MS, fingerprint=b"1" * 16)
    await borough.take()
    await borough.city.change(events, events.c.kind == "tap", personal=None)
    borough.tap(borough.here, NOW_MS - 9, fingerprint=b"2" * 16)
    await borough.take()
    assert await borough.kinds() == []


async def test_a_way_that_takes_longer_is_looked_for_from_when_it_was_stated(borough: Borough) -> None:
    free = Policy(POLICY_MS + 1, (Admit(id="all"),))
    await borough.put(free, POLICY_MS + 1)
    held = borough.held(policy=free.version)
    borough.tap(borough.here, NOW_MS - 6 * MINUTE_MS, held=held)
    borough.tap(borough.there, NOW_MS - 5 * MINUTE_MS, held=held)
    borough.tap(borough.here, NOW_MS + MINUTE_MS, who=1, held=held)  # dated ahead, within what a clock may be off
    borough.tap(borough.there, NOW_MS + 2 * MINUTE_MS, who=1, held=held)
    await borough.take()
    assert await borough.kinds() == []
    await borough.admin.act("conflict.travel", venue="main", other="branch", minutes=20, who="lin")
    (found,) = await borough.conflicts()
    assert (found.kind, found.at_ms, found.detail["minutes"]) == ("impossible-travel", NOW_MS + 2 * MINUTE_MS, 20)
    with pytest.raises(ActionFailed, match="two venues of one domain"):
        await borough.admin.act("conflict.travel", venue="main", other="main", minutes=20, who="lin")
    with pytest.raises(ActionFailed, match="there is no venue"):
        await borough.admin.act("conflict.travel", venue="main", other="moon", minutes=20, who="lin")


# --- clocks -----------------------------------------------------------------------------------------------------


async def test_one_fact_settles_the_clock_of_a_device_over_a_range(borough: Borough) -> None:
    """`there` was two hours ahead: it was first, and it is `here` that let in a second time."""
    ahead_ms = 120 * MINUTE_MS
    here = borough.tap(borough.here, NOW_MS - 10 * MINUTE_MS)
    borough.tap(borough.there, NOW_MS - 30 * MINUTE_MS + ahead_ms, clock=3, reason="ok")
    borough.tap(borough.there, NOW_MS - 29 * MINUTE_MS + ahead_ms, who=1, clock=1)
    await borough.take()
    before = await borough.conflicts()
    assert {row.kind for row in before} == {"clock-off", "policy-differs"}  # without a clock it may let nobody in
    values = {"device": "branch-1-device", "from_ms": NOW_MS, "until_ms": NOW_MS + ahead_ms, "ms": ahead_ms}
    stated = await borough.admin.act("clock.offset", **values, why="set by hand", who="lin")
    assert stated.members == 2
    found = {row.kind: row for row in await borough.conflicts()}
    assert set(found) == {"used-apart", "policy-differs"}
    assert found["used-apart"].event == here
    taken_back = {**values, "ms": 0}
    await borough.admin.act("clock.offset", **taken_back, why="it was not", who="lin")
    assert await borough.conflicts() == before


async def test_a_clock_of_no_device_or_no_range_is_refused(borough: Borough) -> None:
    values = {"from_ms": 5, "until_ms": 5, "ms": 1, "why": "x", "who": "lin"}
    with pytest.raises(ActionFailed, match="ends before it begins"):
        await borough.admin.act("clock.offset", device="branch-1-device", **values)
    with pytest.raises(ActionFailed, match="there is no device"):
        await borough.admin.act("clock.offset", device="nobody", **values | {"until_ms": 6})


async def test_what_was_stated_before_the_events_came_is_the_same_as_after(borough: Borough) -> None:
    ahead_ms = 120 * MINUTE_MS
    body = ClockOffset(device="branch-1-device", from_ms=0, until_ms=NOW_MS * 2, ms=ahead_ms, why="")
    async with borough.database.write() as connection:
        await append(connection, About("lin", 0, "library"), body, NOW_MS)
    here = borough.tap(borough.here, NOW_MS - 10 * MINUTE_MS)
    borough.tap(borough.there, NOW_MS - 30 * MINUTE_MS + ahead_ms)
    await borough.take(borough.here)
    await borough.take(borough.there)
    (found,) = await borough.conflicts()
    assert (found.kind, found.event) == ("used-apart", here)


async def test_conflicts_are_in_no_backup_and_facts_about_them_are(borough: Borough, tmp_path: Any) -> None:
    await twice(borough)
    await borough.take()
    (found,) = await borough.conflicts()
    await borough.admin.act("conflict.say", id=found.id, what="settle", why="known", who="lin")
    await borough.admin.act("backup", path=str(tmp_path / "b"), compression="none")
    data = (tmp_path / "b").read_bytes()
    assert b"conflict-settled" in data
    assert b"used-apart" in data  # in the fact
    async with borough.database.read() as connection:
        detail = (await connection.execute(select(conflicts.c.detail))).scalar_one()
    assert detail.encode() not in data
