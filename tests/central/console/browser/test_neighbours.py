"""Libraries, systems that are told of events, exports, and a member's rights: as people see and use them."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from central.actions.cards.member_index import LIBRARY_BARCODE, put_number
from central.lists import refresh_domain
from central.store.schema import members
from tests.central.actors import NOW_MS
from tests.central.admin import Admin
from tests.central.city import City
from tests.central.console.browser.conftest import PASSWORD, Open, is_sound, looks_right
from tests.central.console.person import Console
from tests.central.privacy.conftest import NOTICE
from tests.support.sip2_server import Patron, Sip2Server

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]

LIN = f"/console/members/{bytes(16).hex()}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def settings() -> AsyncIterator[dict[str, Any]]:
    """A library that knows one patron, for whom something is ready."""
    async with Sip2Server().serving() as server:
        server.patrons, server.titles = {"P0": Patron(holds="0001")}, {"B1": "紅樓夢"}
        there = {"id": "tc", "domain": "library", "host": "127.0.0.1", "port": server.port, "tls": "none"}
        yield {"libraries": [there]}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(town: tuple[City, Console]) -> Admin:
    """Two members, the first with a library card; a notice about the caring class."""
    city, console = town
    admin = Admin(console.config, city.database, city.keys)
    for n, id_ in enumerate(await city.add_members(2)):
        await city.change(members, members.c.id == id_, reference=f"M-{n}")
    async with city.database.write() as connection:
        await put_number(connection, city.keys, LIBRARY_BARCODE, "P0", bytes(16), NOW_MS)
        await refresh_domain(connection, city.keys, "library", NOW_MS)
    await admin.act("notice.put", purpose="caring", notice=NOTICE, who="ana")
    return admin


@pytest.mark.usefixtures("admin")
async def test_a_library_is_asked_about_a_member(opened: Open) -> None:
    page = await opened("/console/libraries", lang="zh-TW", width=1024)
    await page.get_by_text("尚未查詢").first.wait_for()
    await looks_right(opened, "/console/libraries", "libraries")


@pytest.mark.usefixtures("admin")
async def test_a_system_is_told_of_events_and_its_secret_is_shown_once(opened: Open) -> None:
    page = await opened("/console/subscriptions", lang="en", width=1024)
    await is_sound(page, "subscriptions-none-en-1024")
    await page.locator("[name=id]").fill("city-platform")
    await page.locator("[name=webhook]").fill("https://hooks.example/tapgate")
    await page.locator("[name=types]").first.check()
    await page.locator("[name=password]").fill(PASSWORD)
    await page.locator("form", has=page.locator("[name=webhook]")).locator("button").click()
    await page.get_by_text("whsec_").first.wait_for()
    await is_sound(page, "subscription-secret-en-1024")
    await page.close()
    await looks_right(opened, "/console/subscriptions", "subscriptions")
    await looks_right(opened, "/console/subscriptions/city-platform", "subscription")


@pytest.mark.usefixtures("admin")
@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/console/exports", "exports"),
        ("/console/privacy", "privacy"),
        ("/console/privacy/notices/caring", "privacy-notice"),
        ("/console/privacy/notices/caring/new", "privacy-notice-new"),
        (f"{LIN}/privacy", "member-privacy"),
        (f"{LIN}/copy", "member-copy"),
        (f"{LIN}/looks", "member-looks"),
    ],
)
async def test_the_pages_look_right(opened: Open, path: str, name: str) -> None:
    await looks_right(opened, path, name)


@pytest.mark.usefixtures("admin")
async def test_somebody_is_erased_after_the_reference_is_typed(opened: Open) -> None:
    page = await opened(f"/console/members/{((1).to_bytes(4) + bytes(12)).hex()}/erase", lang="zh-TW", width=360)
    await is_sound(page, "member-erase-zh-TW-360")
    await page.locator("[name=member]").fill("M-1")
    page.once("dialog", lambda dialog: dialog.accept())
    await page.locator("form", has=page.locator("[name=member]")).locator("button").click()
    await page.get_by_text("tapgate.erasure.v1", exact=False).or_(page.locator(".said")).first.wait_for()
    await is_sound(page, "member-erased-zh-TW-360")
    await page.close()
