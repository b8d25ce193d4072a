"""Conflicts in a real browser: a person ticks several, settles them with one reason, and opens one to see why."""

import pytest
import pytest_asyncio

from central.lists import refresh_domain
from tests.central.actors import NOW_MS
from tests.central.admin import Admin
from tests.central.city import City
from tests.central.console.browser.conftest import Open, is_sound, looks_right
from tests.central.console.person import Console
from tests.central.services.judging.borough import MINUTE_MS, Borough, open_borough
from tests.central.services.judging.conftest import ONCE

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def borough(town: tuple[City, Console]) -> Borough:
    """One conflict at `branch`, and four at `main`."""
    city, console = town
    admin = Admin(console.config, city.database, city.keys)
    borough = await open_borough(city, admin, ONCE, members=3)
    borough.tap(borough.here, NOW_MS - 30 * MINUTE_MS)
    borough.tap(borough.there, NOW_MS - 20 * MINUTE_MS)
    for minutes in (10, 8, 6, 4):
        borough.tap(borough.here, NOW_MS - minutes * MINUTE_MS, who=1, rule="nobodys")
    await borough.take()
    async with city.database.write() as connection:
        await refresh_domain(connection, city.keys, "library", NOW_MS)
    return borough


async def test_the_inbox_and_a_conflict_look_right(opened: Open, borough: Borough) -> None:
    (row,) = await borough.conflicts(kind="used-apart")
    await borough.admin.act("conflict.say", id=row.id, what="comment", why="問過館方，兩張卡都是他的。", who="林")
    await looks_right(opened, "/console/conflicts", "conflicts")
    await looks_right(opened, f"/console/conflicts/{row.id}", "conflict")


@pytest.mark.parametrize(("lang", "settle", "why"), [("zh-TW", "結案", "原因"), ("en", "Settle", "Why")])
async def test_a_person_settles_several_at_once(
    opened: Open, borough: Borough, lang: str, settle: str, why: str
) -> None:
    page = await opened("/console/conflicts?kind=policy-differs", "operator", lang=lang)
    before = len(await borough.conflicts(kind="policy-differs", open=True))
    for box in (await page.locator('input[name="ids"]').all())[:2]:
        await box.check()
    await page.wait_for_timeout(300)
    await page.get_by_label(why, exact=False).fill("one bad day")
    await page.get_by_role("button", name=settle, exact=True).click()
    await page.locator(".said").wait_for()
    assert len(await borough.conflicts(kind="policy-differs", open=True)) == before - 2
    await is_sound(page, f"conflicts-settled-{lang}")
