"""A real Chromium before a real console, on SQLite: the pages are the same on both databases."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, async_playwright

from central.console.guard import LANG_COOKIE
from central.keys import Keys
from central.store.database import open_database
from central.store.migrate import migrate_async
from tests.central.actors import NOW_MS
from tests.central.city import City
from tests.central.console.person import PASSWORD, Console, console_over
from tests.edge_agent.screen.conftest import ARGUMENTS, CHROMIUM, PATIENCE_MS

WIDTHS = (360, 1024, 1920)
SHOTS = Path(__file__).parents[4] / "build" / "screenshots"
SERIOUS = ("serious", "critical")

Open = Callable[..., Awaitable[Page]]


def pytest_itemcollected(item: pytest.Item) -> None:
    """The tests of a module stay together: they share a browser, and what one did in the town the next one sees. Said
    as soon as a test is found, before the processes that tests are dealt out to look for it."""
    item.add_marker(pytest.mark.xdist_group(f"console-{item.path.stem}"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        made = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield made
        await made.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("console")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def settings() -> dict[str, Any]:
    """What a module needs beside the defaults."""
    return {}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town(directory: Path, settings: dict[str, Any]) -> AsyncIterator[tuple[City, Console]]:
    """A city and its console, one a module: tests of a module add to it. Accounts `admin`, `operator` (venue `main`),
    `coordinator` and `auditor` exist."""
    url = f"sqlite:///{directory / 'central.db'}"
    await migrate_async(url)
    keys = Keys.create(directory / "keys", None, NOW_MS)
    async with open_database(url) as database:
        city = City(database, keys)
        await city.found()
        async with console_over(database, keys, url, directory / "data", **settings) as console:
            await console.account("admin", "admin")
            await console.account("operator", "operator", venues=("main",))
            await console.account("coordinator", "coordinator")
            await console.account("auditor", "auditor")
            yield city, console


@pytest_asyncio.fixture(loop_scope="module")
async def opened(browser: Browser, town: tuple[City, Console]) -> AsyncIterator[Open]:
    """`await opened("/console/devices", "admin", lang="en", width=360)`: a page of somebody who is signed in. Errors of
    scripts, and whatever the content policy refused, fail the test."""
    _, console = town
    contexts: list[Any] = []
    complaints: list[str] = []

    async def open_(
        path: str, name: str = "admin", *, lang: str = "zh-TW", width: int = 1024, dark: bool = False
    ) -> Page:
        person = await console.signed_in(name)
        scheme = "dark" if dark else "light"
        context = await browser.new_context(
            viewport={"width": width, "height": 900}, locale=lang, color_scheme=scheme, reduced_motion="reduce"
        )
        contexts.append(context)
        address = console.address.replace("http://", "https://")  # as the browser that set it would say of loopback
        cookies = [
            {"name": key, "value": held, "url": address, "secure": True, "httpOnly": True, "sameSite": "Strict"}
            for key, held in person.cookies().items()
            if key.startswith("__Host")
        ]
        await context.add_cookies(cookies)  # type: ignore[arg-type]
        page = await context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None)
        await page.goto(console.address + path)
        return page

    yield open_
    for context in contexts:
        await context.close()
    assert complaints == []


async def is_sound(page: Page, name: str) -> None:
    """Nothing serious for axe (WCAG 2.2 AA), nothing wider than the screen; a picture is kept for people to look at."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=SHOTS / f"{name}.png", full_page=True)
    wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{name}: {wide} px wider than the screen"
    found = (await Axe().run(page)).response["violations"]
    serious = [f"{part['id']}: {part['nodes'][0]['html'][:160]}" for part in found if part["impact"] in SERIOUS]
    assert serious == [], name


async def looks_right(opened: Open, path: str, name: str, who: str = "admin") -> None:
    """The page in both languages, at three widths, once in the dark: one person, who resizes and chooses."""
    page = await opened(path, who, lang="zh-TW", width=360)
    await is_sound(page, f"{name}-zh-TW-360")
    await page.emulate_media(color_scheme="dark")
    await page.set_viewport_size({"width": 1024, "height": 900})
    await is_sound(page, f"{name}-zh-TW-1024-dark")
    await page.emulate_media(color_scheme="light")
    await page.set_viewport_size({"width": 1920, "height": 900})
    await page.context.add_cookies([{"name": LANG_COOKIE, "value": "en", "url": page.url}])
    await page.reload()
    await is_sound(page, f"{name}-en-1920")
    await page.close()


__all__ = ["PASSWORD", "WIDTHS", "is_sound", "looks_right"]
