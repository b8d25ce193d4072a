"""A gap is seen, followed to an event, checked and taken away as a proof: as a person does it."""

import pytest
import pytest_asyncio

from central.custody import Custodian
from central.device_keys import DeviceKeys
from central.store.schema import events
from protocol.proof_check import check_file
from tests.central.actors import NOW_MS, Journal
from tests.central.city import City
from tests.central.console.browser.conftest import Open, is_sound, looks_right
from tests.central.console.person import Console
from tests.central.sync_log.conftest import name_of
from tests.central.sync_log.test_batches import HOUR_MS, eventful

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def journal(town: tuple[City, Console]) -> Journal:
    """What a device sent over two days: late, with a gap, with a fork."""
    city, console = town
    custodian = Custodian(city.database, city.keys, DeviceKeys(city.database))
    journal = await eventful(custodian, city.device)
    later = Journal(city.device, journal)
    for hour in range(3, 40, 3):
        later.add("tap", at_ms=NOW_MS + hour * HOUR_MS, direction="in", decision="denied", reason="expired")
        await custodian.take(later.upload(len(later.publics) - 2 if hour > 3 else 0), NOW_MS + hour * HOUR_MS + 900)
    console.services.now_ms = lambda: NOW_MS + 40 * HOUR_MS
    return journal


async def test_from_a_gap_to_a_proof(town: tuple[City, Console], journal: Journal, opened: Open) -> None:
    city, console = town
    page = await opened("/console/sync-log", lang="en")
    await page.get_by_role("link", name=city.device.id).first.click()
    await page.get_by_role("img", name="Timeline of door-1-device").wait_for()
    assert await page.locator("svg .alarm").text_content() == "! 2"
    await is_sound(page, "sync-device-en-1024")
    await page.go_back()
    await page.get_by_label("Outcome").select_option("forked")
    await page.get_by_role("button", name="Search").click()
    await page.get_by_role("table").get_by_role("link", name="9–9").click()
    await page.get_by_text("Kept as evidence because of it").wait_for()
    await page.goto(f"{console.address}/console/sync-log?text={name_of(journal, 1)}")
    assert await page.locator(".steps li.good").count() == 11
    async with page.expect_download() as started:
        await page.get_by_role("link", name="Download the proof").click()
    download = await started.value
    with open(await download.path(), "rb") as file:
        assert check_file(file.read(), city.keys.root_public).holds


@pytest.mark.parametrize("name", ["sync-log", "sync-device", "sync-event"])
@pytest.mark.usefixtures("journal")
async def test_the_pages_look_right(name: str, town: tuple[City, Console], opened: Open) -> None:
    await looks_right(opened, (await paths(town[0]))[name], name)


@pytest.mark.usefixtures("journal")
async def test_lists_of_events_are_sound(town: tuple[City, Console], opened: Open) -> None:
    found = await paths(town[0])
    await is_sound(await opened(found["sync-events"], width=1024, dark=True), "sync-events-zh-TW-1024-dark")
    await is_sound(await opened(found["sync-batch"], lang="en", width=360), "sync-batch-en-360")


async def paths(city: City) -> dict[str, str]:
    """The pages, of the first tap."""
    rows = sorted(await city.rows(events), key=lambda row: (row.at_ms, row.sequence))
    tap = next(row for row in rows if row.kind == "tap")
    event, epoch = f"{tap.device}/{tap.epoch.hex()}/{tap.sequence}", tap.epoch.hex()
    pages = {
        "sync-log": "",
        "sync-events": "/events",
        "sync-device": f"/device?device={tap.device}",
        "sync-event": f"/event?event={event}&why=1",
        "sync-batch": f"/batch?device={tap.device}&epoch={epoch}&first=0",
    }
    return {name: f"/console/sync-log{path}" for name, path in pages.items()}
