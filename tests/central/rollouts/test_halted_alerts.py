"""A rollout that halts calls for whoever is told of its venues, until somebody has dealt with it."""

from typing import Any

import pytest

from central.alerts.halted import TOLD_MS
from tests.central.actors import NOW_MS
from tests.central.admin import Admin
from tests.central.alerts.conftest import Watched
from tests.central.rollouts.fleet import Fleet
from tests.central.rollouts.test_rollouts import look, start


@pytest.fixture
async def watched(fleet: Fleet, admin: Admin) -> Watched:
    """A server that looks at the fleet, with a contact of each venue for whom a halt alone counts."""
    made = Watched(fleet.city, admin.database, admin.keys, admin.config)
    for venue in ("main", "pool"):
        await made.contact(f"of-{venue}", webhook="https://hook.example/x", kinds=["halted"], venues=[venue])
    return made


async def halted(watched: Watched) -> list[Any]:
    """Alerts of this kind after a look."""
    await watched.watching.look()
    return [row for row in await watched.alerts() if row.kind == "halted"]


async def refused(fleet: Fleet, admin: Admin, **values: Any) -> Any:
    """A rollout whose first gate says that it cannot take it up."""
    rollout = await start(admin, **values)
    await fleet.cannot("door-1", "policy", rollout.version, "it understands no such rule")
    assert await look(admin, 1_000) == 1
    return rollout


async def test_a_halted_rollout_is_one_alert_of_each_venue_that_has_it(
    fleet: Fleet, admin: Admin, watched: Watched
) -> None:
    assert await halted(watched) == []
    rollout = await refused(fleet, admin, goes_back=False)
    (row,) = await halted(watched)
    assert (row.target, row.venue, row.state) == (f"{rollout.id}/main", "main", "open")
    shown = await admin.act("alert.show", alert=row.id.hex())
    assert "it understands no such rule" in shown.alert.detail_zh
    assert "仍使用新內容" in shown.alert.detail_zh
    assert [each.contact for each in shown.messages] == ["of-main"]
    await admin.act("alert.acknowledge", alert=row.id.hex(), comment="I look")
    assert [each.state for each in await halted(watched)] == ["acknowledged"]
    await admin.act("rollout.back", id=rollout.id)
    (row,) = await halted(watched)
    assert (row.state, row.resolved_by, row.why) == ("resolved", "", "")


async def test_one_that_went_back_by_itself_is_told_until_somebody_has_seen_it(
    fleet: Fleet, admin: Admin, watched: Watched
) -> None:
    await refused(fleet, admin, goes_back=True)
    (row,) = await halted(watched)
    assert '"is_back":true' in row.facts
    await admin.act("alert.resolve", alert=row.id.hex(), why="the gate gets its new version first")
    watched.now_ms += 3_600_000
    assert [each.state for each in await halted(watched)] == ["resolved"]
    await refused(fleet, admin, goes_back=True)
    watched.now_ms = NOW_MS + 2 * TOLD_MS
    assert {each.state for each in await halted(watched)} == {"resolved"}
