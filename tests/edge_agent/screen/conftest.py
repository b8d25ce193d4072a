"""A real Chromium for the tests of the page, started once a module."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

from tests.edge_agent.screen.kiosk import Kiosk, kiosk

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--enable-precise-memory-info",
]
PATIENCE_MS = 20_000

NewPage = Callable[..., Awaitable[Page]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        made = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield made
        await made.close()


@pytest_asyncio.fixture(loop_scope="module")
async def new_page(browser: Browser) -> AsyncIterator[NewPage]:
    """A page in a context of its own; whatever it complains about fails the test."""
    contexts, complaints = [], []

    async def make(**options: Any) -> Page:
        context = await browser.new_context(**({"viewport": {"width": 1024, "height": 768}} | options))
        contexts.append(context)
        page = await context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None)
        return page

    yield make
    for context in contexts:
        await context.close()
    assert complaints == []


@pytest_asyncio.fixture(loop_scope="module")
async def gate(tmp_path: Path) -> AsyncIterator[Kiosk]:
    async with kiosk(tmp_path / "edge") as made:
        yield made


async def mode(page: Page, wanted: str) -> None:
    """The page shows this."""
    await page.wait_for_selector(f"body[data-mode={wanted}]")


@pytest.fixture(scope="session")
def shots() -> Path:
    """Where pictures of the page are kept."""
    return Path(__file__).parents[3] / "build" / "screens"
