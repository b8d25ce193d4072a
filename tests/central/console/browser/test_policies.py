"""A policy is edited, checked while it is typed, and published at one gate first: as a person does it."""

import pytest
import pytest_asyncio

from central.rollouts.conducting import conduct
from tests.central.actors import NOW_MS
from tests.central.admin import Admin
from tests.central.city import City
from tests.central.console.browser.conftest import Open, is_sound, looks_right
from tests.central.console.person import Console
from tests.central.rollouts.fleet import STRICT, Fleet

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(town: tuple[City, Console]) -> Fleet:
    fleet = Fleet(town[0])
    await fleet.found()
    return fleet


async def test_a_policy_is_checked_while_it_is_typed_and_comes_to_one_gate_first(fleet: Fleet, opened: Open) -> None:
    page = await opened("/console/policies", lang="en", width=1024)
    await page.get_by_role("link", name="open", exact=True).click()
    editor = page.get_by_label("Rules, as TOML")
    await editor.press("Control+End")
    await editor.type("classes = [")
    await page.locator("#checked [data-wrong]").wait_for()
    assert await editor.get_attribute("aria-invalid") == "true"
    await editor.type('"senior"]\n')
    await page.get_by_text("It can be published").wait_for()
    assert 'classes = ["senior"]' in await page.locator("#checked .added").inner_text()
    await page.get_by_label("door-2").check()
    await page.get_by_label("What it is, for people").fill("Seniors first")
    await is_sound(page, "policy-edited-en-1024")
    await page.get_by_role("button", name="Publish").click()
    await page.get_by_role("heading", name="Seniors first").wait_for()
    assert await fleet.version("door-2") == NOW_MS
    assert await fleet.version("door-1") < NOW_MS
    row = page.locator("#rollout-gates tr", has_text="door-2")
    assert "Not yet" in await row.inner_text()
    await fleet.take_up("door-2")
    await conduct(fleet.database, fleet.keys, NOW_MS + 1)
    await row.get_by_text("Holds it").wait_for()  # by itself
    await page.get_by_text("Every first gate holds it").wait_for()
    await fleet.taps("door-2", NOW_MS + 2, 5, 55)
    await fleet.taps("door-2", NOW_MS - 3_600_000, 98, 2)
    await conduct(fleet.database, fleet.keys, NOW_MS + 60_000)
    await page.get_by_text("Halted, went back").wait_for()
    assert await page.get_by_role("button", name="Go back").count() == 0
    await page.close()


async def test_the_pages_look_right(town: tuple[City, Console], fleet: Fleet, opened: Open) -> None:
    city, console = town
    admin = Admin(console.config, city.database, city.keys)
    rollout = await admin.act("rollout.start", policy="open", body=STRICT, first=["door-1"], draft=True)
    page = await opened("/console/freezes", lang="en")
    await page.get_by_label("Name").fill("weekends")
    await page.get_by_label("Why").fill("Nobody is there to look")
    await page.get_by_label("Sat").check()
    await page.get_by_role("button", name="State the freeze").click()
    await page.get_by_role("cell", name="Nobody is there to look").wait_for()
    await page.close()
    await looks_right(opened, "/console/policies", "policies")
    await looks_right(opened, "/console/policies/open", "policy")
    await looks_right(opened, f"/console/rollouts/{rollout.id}", "rollout")
    await looks_right(opened, "/console/rollouts", "rollouts")
    await looks_right(opened, "/console/freezes", "freezes")
