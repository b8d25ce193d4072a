"""Visits, points, activities, offers and passes in a real browser."""

import datetime as dt

import pytest
import pytest_asyncio

from central.store.schema import member_classes, members
from central.store.schema import visits as visit_rows
from protocol.time_zones import CITY
from tests.central.actors import NOW_MS
from tests.central.admin import Admin
from tests.central.city import City
from tests.central.console.browser.conftest import Open, is_sound, looks_right
from tests.central.console.person import Console

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]

HOUR_MS = 3_600_000
TOMORROW = f"{dt.datetime.fromtimestamp(NOW_MS / 1_000, CITY) + dt.timedelta(days=1):%Y-%m-%d}"
PLAN = {"domain": "library", "monthly": [{"class": "senior", "points": 480, "valid_from": "2016-01-01"}]}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(town: tuple[City, Console]) -> Admin:
    """A day of visits, a member with points, an activity, and passes that end soon."""
    city, console = town
    admin = Admin(console.config, city.database, city.keys)
    for n, id_ in enumerate(await city.add_members(4)):
        await city.change(members, members.c.id == id_, reference=f"M-{n}")
        row = {"member": id_, "name": "swim-3-months", "from_ms": 1, "until_ms": NOW_MS + (n + 1) * 40 * HOUR_MS}
        await city.add(member_classes, row)
    for n in range(40):
        in_ms = NOW_MS - (n % 9) * HOUR_MS - n * 60_000
        row = {"venue": "main", "subject": bytes([n]) * 16, "epoch": b"e" * 8, "sequence": n, "in_ms": in_ms}
        row |= {"out_ms": in_ms + HOUR_MS, "ended": "out", "ends_by_ms": in_ms + 9 * HOUR_MS, "rule": "all"}
        await city.add(visit_rows, row)
    await admin.act("points.plan.put", id="seniors", body=PLAN)
    for points in (120, 30):
        await admin.act("points.grant", member="M-0", domain="library", points=points, who="lin", why="prize")
    times = {"since": f"{TOMORROW}T09:00", "until": f"{TOMORROW}T11:00"}
    await admin.act("activity.put", id="walk", venue="main", rule="walk", title_zh="樂齡健走", title_en="Walk", **times)
    return admin


async def test_the_pages_look_right(opened: Open, admin: Admin) -> None:
    await looks_right(opened, "/console/visits/main", "visits-venue")
    for n, (path, shot) in enumerate(
        (
            ("visits", "visits"),
            ("visits/main/inside", "visits-inside"),
            ("points?member=M-0", "points"),
            ("points/months?add=1", "points-months"),
            ("points/plans", "points-plans"),
            ("activities", "activities"),
            ("activities/walk", "activity"),
            ("activities/new", "activity-new"),
            ("offers", "offers"),
            ("passes", "passes"),
        )
    ):
        lang, width = (("zh-TW", 360), ("en", 1024))[n % 2]
        page = await opened(f"/console/{path}", "admin", lang=lang, width=width)
        await is_sound(page, f"{shot}-{lang}-{width}")
        await page.close()


async def test_an_operator_corrects_how_many_are_inside(opened: Open, admin: Admin) -> None:
    page = await opened("/console/visits", "operator", lang="en")
    await page.locator("#venue-main").click()
    await page.get_by_label("So many are inside").fill("12")
    await page.get_by_label("Why").fill("counted by hand")
    await page.get_by_role("button", name="Correct", exact=True).click()
    await page.locator(".said").wait_for()
    assert (await admin.act("occupancy", venue="main")).inside == 12
    await page.locator(".figure .value", has_text="12").first.wait_for()


async def test_an_admin_grants_points_by_keyboard(opened: Open, admin: Admin) -> None:
    page = await opened("/console/points", "admin", lang="en")
    await page.get_by_label("Member").fill("M-1")
    await page.keyboard.press("Enter")
    await page.locator("#f-grant-points").fill("15")
    await page.locator("#f-grant-why").fill("prize")
    await page.keyboard.press("Enter")
    await page.locator(".said").wait_for()
    assert (await admin.act("points.balance", member="M-1", domain="library")).points == 15
