"""Volunteers in a real browser: a coordinator settles what was forgotten, approves the month, locks and prints it."""

from typing import Any

import pytest
import pytest_asyncio

from tests.central.admin import Admin
from tests.central.city import City
from tests.central.console.browser.conftest import SHOTS, Open, is_sound, looks_right
from tests.central.console.person import Console
from tests.central.services.attendance.crew import Crew
from tests.central.services.attendance.life import ms

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def crew(town: tuple[City, Console]) -> Crew:
    """A month of the desk's team: two who served on several days, one of whom forgot to sign out once."""
    city, console = town
    crew = Crew(city, Admin(console.config, city.database, city.keys))
    await crew.found()
    for day in ("02", "03", "04", "05", "06", "09", "10", "11"):
        await crew.session("A-1", f"2026-03-{day}", ("09:00", "11:30"))
        await crew.session("A-2", f"2026-03-{day}", ("13:00", "14:15"))
    crew.tap("A-3", "kiosk-1", "2026-03-12 09:00", "in")
    await crew.sync("kiosk-1", "2026-03-12 10:00")
    await crew.act("rules.put", body={"certificate": {"hours": 8, "years": 3}}, who="chen")
    await console.account("dee", "coordinator", teams=("desk",))
    crew.now("2026-04-02 09:00")
    console.services.now_ms = lambda: ms("2026-04-02 09:00")
    return crew


async def test_the_pages_look_right(opened: Open, crew: Crew) -> None:
    name = (await crew.act("review")).sessions[0].session
    await looks_right(opened, "/console/volunteers", "volunteers", "dee")
    for n, (path, shot) in enumerate(
        (
            (f"sessions/{name}", "volunteer-session"),
            ("teams/desk?month=2026-03", "volunteer-team"),
            ("teams/desk/2026-03", "volunteer-sheet"),
            ("honours", "volunteer-honours"),
            ("teams/desk/2026-03/vols", "volunteer-vols"),
        )
    ):
        lang, width = (("zh-TW", 360), ("en", 1024))[n % 2]
        page = await opened(f"/console/volunteers/{path}", "dee", lang=lang, width=width)
        await is_sound(page, f"{shot}-{lang}-{width}")
        await page.close()


async def test_a_coordinator_settles_approves_locks_and_prints(opened: Open, crew: Crew) -> None:
    page = await opened("/console/volunteers", "dee", lang="en")
    await page.get_by_role("link", name="Look at the session of A-3").click()
    await page.get_by_label("Until", exact=True).fill("2026-03-12T11:30")
    await page.locator("#f-why").fill("seen at the desk")
    await page.get_by_role("button", name="Book these hours").click()
    await page.locator(".said").wait_for()
    await page.goto(page.url.split("/volunteers")[0] + "/volunteers/teams/desk/2026-03")
    await page.get_by_role("button", name="Approve the month").click()
    page.on("dialog", lambda dialog: dialog.accept())
    await page.get_by_role("button", name="Lock the month").click()
    await page.get_by_text("Locked", exact=False).first.wait_for()
    sheet: Any = await crew.act("month", team="desk", month="2026-03")
    assert (sheet.state, sheet.by, sheet.minutes) == ("locked", "dee", 8 * 225 + 150)
    await page.emulate_media(media="print")
    await page.pdf(path=SHOTS / "volunteer-sheet.pdf", prefer_css_page_size=True)
    await page.screenshot(path=SHOTS / "volunteer-sheet-print.png", full_page=True)
    assert await page.locator(".signatures").is_visible()
    assert not await page.locator("nav#menu").is_visible()
