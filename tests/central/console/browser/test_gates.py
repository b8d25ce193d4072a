"""Venues, gates, joining and closing in a real browser."""

import pytest

from tests.central.city import City
from tests.central.console.browser.conftest import Open, is_sound, looks_right
from tests.central.console.person import Console

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/console/gates", "gates"),
        ("/console/gates/door-1", "gate"),
        ("/console/gates/door-1/joining", "joining"),
        ("/console/closures", "closures"),
        ("/console/staff", "staff"),
    ],
)
async def test_pages_of_places_look_right(opened: Open, path: str, name: str) -> None:
    await looks_right(opened, path, name)


async def test_an_operator_edits_a_configuration_and_sees_at_once_what_it_changes(opened: Open) -> None:
    page = await opened("/console/gates/door-1", "operator", lang="en")
    text = page.get_by_label("Configuration, as TOML")
    await text.fill("title_en = 12")
    await page.wait_for_selector("#checked [data-wrong]")
    await text.fill('title_en = "Front door"')
    await page.wait_for_selector("#checked .added >> text=Front door")
    await page.get_by_role("button", name="Publish").click()
    await page.wait_for_selector("h1 >> text=Front door")
    await page.locator(".badge", has_text="in force").wait_for()


async def test_an_invitation_counts_down_beside_its_code(opened: Open, town: tuple[City, Console]) -> None:
    page = await opened("/console/gates/door-1", "operator", lang="en", width=360)
    await page.get_by_role("button", name="Invite a device").click()
    await page.wait_for_selector("svg.qr")
    await is_sound(page, "invited-en-360")
    left = page.locator("[data-until]")
    assert ":" in await left.inner_text()
    await page.get_by_role("link", name="See it join").click()
    await page.wait_for_selector("text=The words were compared")


async def test_closing_asks_once_more(opened: Open) -> None:
    page = await opened("/console/closures", "operator", lang="zh-TW", width=360)
    await page.locator("#f-venue").select_option("main")
    await page.get_by_label("自（當地時間）").fill("2026-09-01T12:00")
    await page.get_by_label("至（當地時間）").fill("2030-09-01T12:00")
    await page.get_by_label("原因（中文，民眾會在閘門看到）").fill("颱風")
    await page.get_by_label("原因（英文）").fill("Typhoon")
    page.once("dialog", lambda dialog: dialog.dismiss())
    await page.get_by_role("button", name="關閉").click()
    assert page.url.endswith("/closures")
    page.once("dialog", lambda dialog: dialog.accept())
    await page.get_by_role("button", name="關閉").click()
    await page.wait_for_selector("main .said")
    await is_sound(page, "closed-zh-TW-360")
