"""Accounts, the own account and the audit log in a real browser."""

import re

import pytest

from central.access.totp import code_at
from tests.central.city import City
from tests.central.console.browser.conftest import PASSWORD, Open, is_sound, looks_right
from tests.central.console.person import Console
from tests.central.console.test_accounts import NEW, secret_of

pytestmark = [
    pytest.mark.system,
    pytest.mark.asyncio(loop_scope="module"),
]


async def test_an_admin_lets_somebody_in_and_sees_it_in_the_log(opened: Open, town: tuple[City, Console]) -> None:
    _, console = town
    page = await opened("/console/accounts", lang="en")
    await page.get_by_role("textbox", name="Account").fill("lin")
    await page.get_by_role("textbox", name="Called").fill("林館員")
    await page.get_by_role("checkbox", name=re.compile("Venue operator")).check()
    await page.get_by_role("checkbox", name="main").check()
    await page.get_by_label("Your own password").fill(PASSWORD)
    await page.get_by_role("button", name="Let in").click()
    password = await page.locator("#password").inner_text()
    await is_sound(page, "account-password-en-1024")
    lin = console.visitor()
    await lin.sign_in("lin", password)
    await lin.get("/console/me/password")
    await lin.post("/console/me/password", old=password, new=NEW, again=NEW)
    await page.get_by_role("link", name="To the account").click()
    await page.get_by_role("combobox", name="State").select_option("disabled")
    await page.locator("#f-password").fill(PASSWORD)
    await page.get_by_role("button", name="Save").click()
    assert "The account is changed" in await page.locator(".said").inner_text()
    await page.get_by_role("link", name="What was done to it").click()
    row = page.locator("tbody tr").first
    assert "account.set" in await row.inner_text()
    assert await row.locator("del").inner_text() == "active"
    assert await row.locator("ins").inner_text() == "disabled"
    await page.get_by_role("button", name="Check the whole chain").click()
    assert "Whole:" in await page.locator(".said").inner_text()


async def test_somebody_adds_a_phone(opened: Open, town: tuple[City, Console]) -> None:
    _, console = town
    await console.account("wang", "operator", venues=("main",))
    page = await opened("/console/me", "wang")
    await page.get_by_role("link", name="手機驗證碼").click()
    await page.get_by_label("密碼").fill(PASSWORD)
    await page.get_by_role("button", name="顯示 QR 碼").click()
    await is_sound(page, "phone-zh-TW-1024")
    secret = await secret_of(console, "wang")
    typed = (await page.locator("#secret").inner_text()).replace(" ", "")
    assert len(typed) == 32
    await page.get_by_label("代碼").fill(code_at(secret, console.services.now_ms()))
    await page.get_by_role("button", name="確認").click()
    assert "手機驗證碼" in await page.locator(".said").inner_text()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/console/accounts", "accounts"),
        ("/console/accounts/operator", "account"),
        ("/console/tokens", "tokens"),
        ("/console/audit", "audit"),
        ("/console/me", "me"),
        ("/console/me/password", "me-password"),
        ("/console/me/phone", "me-phone"),
    ],
)
async def test_the_pages_look_right(opened: Open, path: str, name: str) -> None:
    await looks_right(opened, path, name)
