"""The console as people use it: a real browser, a real server, real agents."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, async_playwright, expect

from deploy.demo.cards_page import cards_page
from tests.edge_agent.screen.conftest import ARGUMENTS, CHROMIUM, PATIENCE_MS
from tests.end_to_end.quick_town import ALICE, DESK, DOOR, QuickTown, delivered, tap, until_reason

pytestmark = pytest.mark.system


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        context = await browser.new_context(locale="en", viewport={"width": 1280, "height": 900})
        made = await context.new_page()
        made.set_default_timeout(PATIENCE_MS)
        yield made
        await browser.close()


async def sign_in(page: Page, town: QuickTown) -> None:
    """With a demonstration's account, as `make run` makes one."""
    made = json.loads(await town.do("account", "add", "demo", "--role", "admin", "--loopback-only", "--json"))
    await page.goto(town.console_url)
    await page.get_by_label("Account").fill("demo")
    await page.get_by_label("Password").fill(made["password"])
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", name="Overview")).to_be_visible()


async def test_a_newcomer_cuts_a_line_and_sees_the_gate_decide_and_catch_up(town: QuickTown, page: Page) -> None:
    gate = await town.open_gate()
    await sign_in(page, town)
    await page.goto(f"{town.console_url}sync-log/events")
    events = page.locator("#live tbody tr")
    cards = await page.context.new_page()
    async with cards_page(town, town.console_url) as address:
        await cards.goto(address)
        await cards.locator(f"input[value='{ALICE}']").check()
        box = cards.locator(f"[data-gate={DOOR.gate}]")
        await box.get_by_role("button", name="Tap").click()
        await expect(box.locator("li.granted")).to_have_count(1)
        await delivered(gate)
        before = await events.count()
        await expect(page.locator("#live tr", has_text="granted")).not_to_have_count(0)
        await box.get_by_role("button", name="Cut the line").click()
        await expect(box.locator(".line")).to_contain_text("line cut")
        await box.get_by_role("button", name="Tap").click()
        await expect(box.locator("li.granted")).to_have_count(2)
        await expect(box.locator(".line")).not_to_contain_text("waiting: 0")
        await box.get_by_role("button", name="Join the line").click()
        await expect(box.locator(".line")).to_contain_text("waiting: 0", timeout=PATIENCE_MS)
        await delivered(gate)
    await expect(page.locator("#live tr", has_text="granted")).to_have_count(2, timeout=PATIENCE_MS)
    assert await events.count() > before, "the open page follows"


async def test_a_device_is_invited_confirmed_and_seen_to_join(town: QuickTown, page: Page) -> None:
    await sign_in(page, town)
    await page.goto(f"{town.console_url}gates/{DESK.gate}")
    await page.get_by_role("button", name="Invite a device").click()
    token = (await page.locator("#command").inner_text()).split()[-1]
    gate = await town.new_gate(DESK)
    enrolled = json.loads(await asyncio.to_thread(gate.command, "enrol", token, "--json"))
    await page.get_by_role("link", name="See it join").click()
    await expect(page.locator("#live")).to_contain_text(enrolled["words"])
    await page.get_by_role("textbox", name="Device", exact=True).fill(enrolled["device"])
    await page.get_by_label("Words on the device").fill(enrolled["words"])
    await page.get_by_role("button", name="Confirm").click()
    gate.process.start()
    await expect(page.locator("#live")).to_contain_text("It holds the list", timeout=PATIENCE_MS)
    assert (await tap(gate, ALICE)).outcome == "granted"


async def test_a_card_blocked_on_its_page_is_refused_at_the_gate(town: QuickTown, page: Page) -> None:
    gate = await town.open_gate()
    assert (await tap(gate, ALICE)).outcome == "granted"
    await sign_in(page, town)
    await page.goto(f"{town.console_url}members")
    await page.get_by_label("Who or which card").fill(ALICE)
    await page.get_by_role("button", name="Find").click()
    await page.get_by_role("heading", name="Member M-0").wait_for()  # one hit leads to the member
    page.on("dialog", lambda dialog: dialog.accept())
    await page.get_by_role("button", name="Block").first.click()
    await until_reason(gate, ALICE, "card-blocked")
