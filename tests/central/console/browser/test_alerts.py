"""An alert comes up by itself, is taken on and ended; an admin says who is told: as a person does it."""

from typing import Any

import pytest

from central.alerts import store
from central.alerts.conditions import Kind, Level, Place, Reading
from central.alerts.servers import ServerReport, note
from tests.central.actors import NOW_MS
from tests.central.city import City
from tests.central.console.browser.conftest import Open, is_sound, looks_right
from tests.central.console.person import Console

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]


async def incident(console: Console, kind: Kind, place: Place, **facts: Any) -> str:
    async with console.services.database.write() as connection:
        id_ = store.new_id(NOW_MS - 900_000)
        await store.begin(connection, [(id_, Reading(kind, place, Level.BAD, facts))], NOW_MS - 900_000)
    return id_.hex()


async def test_an_alert_comes_up_by_itself_and_is_taken_on(town: tuple[City, Console], opened: Open) -> None:
    _, console = town
    admin = await opened("/console/alerts/contacts", lang="en", width=360)
    await admin.get_by_label("Short name").fill("lin")
    await admin.get_by_label("Name *", exact=False).last.fill("林館員")
    await admin.get_by_label("Mail").fill("lin@library.example")
    await admin.get_by_label("Silent gate").check()
    await admin.get_by_role("button", name="Add a person").click()
    await admin.get_by_role("link", name="林館員").wait_for()
    await admin.close()
    page = await opened("/console/alerts", "operator", lang="en", width=1024)
    await page.get_by_text("Nothing calls for you.").wait_for()
    facts = {"devices": ["door-1-device"], "heard_ms": NOW_MS - 1_300_000}
    await incident(console, Kind.SILENT, Place("door-1", "main", "door-1", "door-1-device"), **facts)
    await page.get_by_role("link", name="Gate door-1 is silent").click()
    await page.get_by_text("Check power and network there").wait_for()
    await page.get_by_label("Comment").fill("I am there at ten")
    await page.get_by_role("button", name="I look after it").click()
    await page.get_by_text("You look after this alert.").wait_for()
    await page.get_by_text("I am there at ten").first.wait_for()
    await is_sound(page, "alert-taken-en-1024")
    await page.get_by_label("Why").fill("The plug was pulled")
    await page.get_by_role("button", name="It is over").click()
    await page.get_by_text("operator: The plug was pulled").wait_for()
    assert await page.get_by_role("button", name="It is over").count() == 0
    await page.close()


async def test_the_pages_look_right(town: tuple[City, Console], opened: Open) -> None:
    _, console = town
    place = Place("door-1", "main", "door-1", "door-1-device")
    await incident(console, Kind.DISK, Place("central:8443"), free_bytes=8 * 10**9, total_bytes=10**11)
    taps = {"taps": 120, "denied": 64, "taps_before": 2_000, "denied_before": 31}
    id_ = await incident(console, Kind.DENIALS, place, **taps)
    said = ServerReport(
        version="0.1.0",
        disk_free_bytes=8 * 10**9,
        disk_total_bytes=10**11,
        certificate_until_ms=NOW_MS + 12 * 86_400_000,
        polls_held=12,
        events_behind=3,
        statement=NOW_MS - 10**9,
        statement_ms=NOW_MS - 10**9,
        tasks={"settling": True, "points": False},
    )
    async with console.services.database.write() as connection:
        await note(connection, "central-1:8443", NOW_MS - 86_400_000, NOW_MS, said)
    await looks_right(opened, "/console/alerts?state=any", "alerts")
    await looks_right(opened, f"/console/alerts/{id_}", "alert")
    await looks_right(opened, "/console/alerts/contacts", "alert-contacts")
    await looks_right(opened, "/console/alerts/contacts/lin", "alert-contact")
    await looks_right(opened, "/console/health", "health")
