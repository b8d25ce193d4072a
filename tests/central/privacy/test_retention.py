"""Personal parts go when they are due, in small steps; counts, proofs and what other purposes need stay."""

import datetime as dt
from typing import Any, NamedTuple

import pytest

from central.actions.action import ActionFailed
from central.privacy.retention import retaining
from central.privacy.retention.progress import PASS_MS
from central.privacy.retention.retaining import destroy_due
from central.privacy.retention.rules import DAY_MS
from central.reporting.visit_counts import count_due
from central.store.schema import activities, batches, denials, events, marks, members, subjects, visit_counts, visits
from protocol.policy import Admit, Limit
from tests.central.actors import NOW_MS
from tests.central.admin import Admin
from tests.central.city import City
from tests.central.services.scenes import Diary, Town

OLD_MS = NOW_MS - 100 * DAY_MS


class Scene(NamedTuple):
    """Old taps of two members, and new ones."""

    admin: Admin
    city: City
    town: Town
    diary: Diary
    mine: bytes
    others: bytes

    async def destroy(self, now_ms: int = NOW_MS) -> int:
        looked_at = 0
        while more := await destroy_due(self.city.database, now_ms):
            looked_at += more
        return looked_at

    async def with_parts(self) -> list[int]:
        """Events that still have a personal part."""
        return sorted(row.sequence for row in await self.city.rows(events) if row.personal is not None)


@pytest.fixture
async def scene(admin: Admin, city: City, keys: Any) -> Scene:
    who = {each.member: bytes(each.subject) for each in await city.rows(subjects)}
    by_reference = {row.reference: who.get(row.id, b"") for row in await city.rows(members)}
    mine, others = by_reference["M-1"], by_reference["M-2"]
    town, diary = Town(city.database, keys), Diary(city.device)
    diary.came(mine, OLD_MS)
    diary.left(mine, OLD_MS + 3_600_000)
    diary.came(others, OLD_MS + 1, points=5)
    denied = diary.was_denied(mine, OLD_MS + 7_200_000)
    diary.admitted(denied, OLD_MS + 7_201_000)
    diary.came(mine, NOW_MS)
    town.now_ms = OLD_MS + DAY_MS
    await town.take(diary)
    await town.settle()
    await count_due(city.database)
    return Scene(admin, city, town, diary, mine, others)


async def counts(scene: Scene) -> list[tuple[Any, ...]]:
    """What reports say of everybody; whom staff let in nobody knows any more."""
    rows = [row for row in await scene.city.rows(visit_counts) if row.class_name == ""]
    return sorted((row.day, row.hour, row.visits, row.without_exit, row.peak, row.peak_ms) for row in rows)


async def test_without_a_rule_everything_is_kept(scene: Scene) -> None:
    assert await scene.destroy() == 0
    assert await scene.with_parts() == [1, 2, 3, 4, 6]


async def test_what_is_older_than_the_rule_goes_but_for_what_bears_points(scene: Scene) -> None:
    counted = await counts(scene)
    await scene.admin.act("retention.put", days=90, who="ana")
    assert await scene.destroy() > 0
    assert await scene.with_parts() == [3, 6]
    left = {(row.sequence, row.kind, row.subject) for row in await scene.city.rows(marks)}
    assert left == {(3, "tap", scene.others), (5, "admit", b""), (6, "tap", scene.mine)}
    assert await scene.city.rows(denials) == []
    assert {row.sequence for row in await scene.city.rows(visits)} == {3, 5, 6}
    await count_due(scene.city.database)
    assert await counts(scene) == counted
    assert (await scene.admin.act("verify")).problems == 0
    assert [each for each in (await scene.admin.act("rebuild")).tables if each.missing or each.wrong] == []
    assert await scene.destroy() == 0


async def test_a_gate_whose_clock_stands_still_loses_nothing_that_just_came(scene: Scene) -> None:
    await scene.admin.act("retention.put", days=90)
    tap = scene.diary.came(scene.mine, 1)
    scene.town.now_ms = NOW_MS
    await scene.town.take(scene.diary, tap)
    await scene.destroy()
    assert tap in await scene.with_parts()


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_what_a_policy_looks_back_to_stays(scene: Scene) -> None:
    limit = Limit(id="season", most=3, per="period", valid_from=dt.date(2026, 1, 1))
    await scene.city.add_policy(NOW_MS, limit, Admit(id="members"))
    await scene.admin.act("retention.put", days=90)
    assert await scene.destroy() == 0
    assert len(await scene.with_parts()) == 5


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_a_venues_own_rule_goes_before_that_of_all(scene: Scene) -> None:
    await scene.admin.act("retention.put", days=31)
    listed = await scene.admin.act("retention.put", venue="main", days=365)
    assert [(row.venue, row.days, row.own) for row in listed.venues] == [("main", 365, True)]
    assert await scene.destroy() == 0
    await scene.admin.act("retention.put", venue="main", days=0)
    assert await scene.destroy() > 0


@pytest.mark.parametrize("engine", ["sqlite"])
@pytest.mark.parametrize("held", [{"venue": "main"}, {}])
async def test_a_legal_hold_keeps_it_and_what_it_kept_goes_when_it_ends(scene: Scene, held: dict[str, str]) -> None:
    await scene.admin.act("retention.put", days=90)
    hold = await scene.admin.act("hold.put", why="case 115-42", **held)
    assert await scene.destroy() == 0
    assert (await scene.admin.act("retention.list")).venues[0].held
    await scene.admin.act("hold.end", id=hold.id)
    assert await scene.destroy() > 0


@pytest.mark.parametrize("held", [{"venue": "main"}, {}, {"member": "M-1"}])
async def test_a_hold_that_is_put_while_a_block_is_looked_at_keeps_it(
    scene: Scene, held: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.admin.act("retention.put", days=90)
    destroyable = retaining._destroyable

    async def then_held(connection: Any, due: Any, block: Any) -> Any:
        found = await destroyable(connection, due, block)
        monkeypatch.setattr(retaining, "_destroyable", destroyable)
        await scene.admin.act("hold.put", why="case 115-42", **held)
        return found

    monkeypatch.setattr(retaining, "_destroyable", then_held)
    await scene.destroy()
    assert await scene.with_parts() == [1, 2, 3, 4, 6]


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_a_hold_on_a_member_keeps_that_members_alone(scene: Scene) -> None:
    await scene.admin.act("retention.put", days=90)
    hold = await scene.admin.act("hold.put", why="case 115-42", member="M-1")
    await scene.destroy()
    assert await scene.with_parts() == [1, 2, 3, 4, 6]
    await scene.admin.act("hold.end", id=hold.id)
    await scene.destroy(NOW_MS + PASS_MS)
    assert await scene.with_parts() == [3, 6]


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_of_a_health_check_attendance_is_kept_and_nothing_else_was_ever_taken(scene: Scene) -> None:
    day = {"from_ms": OLD_MS, "until_ms": OLD_MS + DAY_MS, "capacity": 0, "walk_ins": True, "at_ms": 1, "who": "ana"}
    check = {"id": "check", "venue": "main", "rule": "health-check", "title_zh": "健檢", "title_en": "Health check"}
    await scene.city.add(activities, check | day)
    tap = scene.diary.came(scene.mine, OLD_MS + 10, rule="health-check")
    await scene.town.take(scene.diary, tap)
    await scene.town.settle()
    await scene.admin.act("retention.put", days=90)
    await scene.destroy()
    assert tap in await scene.with_parts()
    (mark,) = [row for row in await scene.city.rows(marks) if row.sequence == tap]
    told = {name for name, value in mark._asdict().items() if value not in (0, "", -1)}
    places = {"domain", "venue", "gate", "device", "epoch", "sequence"}
    assert told - places == {"subject", "at_ms", "kind", "direction", "reason", "rule", "card", "fate"}


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_it_goes_on_in_small_steps(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("central.privacy.retention.retaining.AT_ONCE", 1)
    await scene.admin.act("retention.put", days=90)
    before = len(await scene.with_parts())
    assert await destroy_due(scene.city.database, NOW_MS) == 1
    assert len(await scene.with_parts()) == before - 1
    await scene.destroy()
    assert await scene.with_parts() == [3, 6]
    assert len(await scene.city.rows(batches)) == 1


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_a_rule_that_leaves_no_time_to_explain_a_month_is_refused(admin: Admin) -> None:
    with pytest.raises(ActionFailed, match="at least 31"):
        await admin.act("retention.put", days=30)
    with pytest.raises(ActionFailed, match="venue"):
        await admin.act("retention.put", venue="nowhere", days=90)
