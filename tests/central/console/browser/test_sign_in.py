"""The sign-in page in a real browser."""

import pytest
from playwright.async_api import Browser

from tests.central.city import City
from tests.central.console.browser.conftest import PASSWORD, is_sound
from tests.central.console.person import Console

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]


@pytest.mark.parametrize("lang", ["zh-TW", "en"])
@pytest.mark.parametrize("width", [360, 1024, 1920])
async def test_a_person_signs_in_with_the_keyboard(
    browser: Browser, town: tuple[City, Console], lang: str, width: int
) -> None:
    _, console = town
    context = await browser.new_context(viewport={"width": width, "height": 800}, locale=lang)
    page = await context.new_page()
    await page.goto(f"{console.address}/console/sign-in")
    await is_sound(page, f"sign-in-{lang}-{width}")
    await page.get_by_label({"zh-TW": "帳號", "en": "Account"}[lang]).fill("admin")
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url(lambda url: "sign-in" not in url)
    assert await page.locator("header .me").inner_text() == "admin"
    await context.close()
