"""Lists of places show an operator only what lies in their own venues."""

from pathlib import Path
from typing import Any

import pytest

from central.access.reach import Forbidden
from central.store.schema import venues
from tests.central.admin import Admin, admin_of
from tests.central.callers import ask, caller
from tests.central.city import City

ADMIN = caller("ada", "admin")
BRANCH = caller("bo", "operator", venues=("branch",))
NOWHERE = caller("no", "operator")


@pytest.fixture
async def admin(city: City, database: Any, keys: Any, database_url: str, tmp_path: Path) -> Admin:
    """`door-1` at `main`, nothing yet at `branch`; one member of staff at each."""
    await city.add(venues, {"id": "branch", "domain": "library", "time_zone": "Asia/Taipei"})
    admin = admin_of(database, keys, database_url, tmp_path)
    for venue in ("main", "branch"):
        await admin.act("staff.add", venue=venue, id=f"{venue}-lin", pin="481516")
    return admin


async def names(admin: Admin, who: Any, action: str, rows: str, field: str, **values: Any) -> list[str]:
    found = getattr(await ask(admin, who, action, **values), rows)
    return [row[field] if isinstance(row, dict) else getattr(row, field) for row in found]


async def test_venues_and_gates(admin: Admin) -> None:
    assert await names(admin, ADMIN, "venue.list", "rows", "id") == ["branch", "main"]
    assert await names(admin, BRANCH, "venue.list", "rows", "id") == ["branch"]
    assert await names(admin, NOWHERE, "venue.list", "rows", "id") == []
    assert await names(admin, ADMIN, "venue.list", "rows", "id", id="main") == ["main"]
    assert await names(admin, ADMIN, "gate.list", "rows", "id", id="door-1") == ["door-1"]
    assert await names(admin, ADMIN, "gate.list", "rows", "id", id="main") == []
    assert await names(admin, BRANCH, "gate.list", "rows", "id") == []
    with pytest.raises(Forbidden):
        await ask(admin, BRANCH, "venue.list", id="main")


async def test_staff(admin: Admin) -> None:
    assert await names(admin, BRANCH, "staff.list", "staff", "id") == ["branch-lin"]
    assert await names(admin, NOWHERE, "staff.list", "staff", "id") == []


async def test_closures_are_those_of_own_venues_and_of_the_city(admin: Admin) -> None:
    for place in ({"venue": "main"}, {"venue": "branch"}, {"city": True}):
        times = {"since": "2026-09-23T09:00", "until": "2026-09-23T10:00"}
        await admin.act("closure.add", **place, **times, why_zh="颱風", why_en="storm", who="x")
    assert sorted(await names(admin, ADMIN, "closure.list", "closures", "venue")) == ["", "branch", "main"]
    assert sorted(await names(admin, BRANCH, "closure.list", "closures", "venue")) == ["", "branch"]
    assert await names(admin, NOWHERE, "closure.list", "closures", "venue") == [""]
