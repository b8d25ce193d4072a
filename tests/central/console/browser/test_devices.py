"""A device is looked at, asked for a support bundle that is seen to arrive, moved and replaced: as a person does it."""

import pytest
import pytest_asyncio

from central import bundles as kept
from central.store.schema import bundles
from protocol.envelope import digest
from protocol.fleet import Health, ReaderHealth
from protocol.messages import Ask, Bundle, Clock, Trouble
from tests.central.actors import NOW_MS, UNDERSTANDS, Device, Journal
from tests.central.city import City
from tests.central.console.browser.conftest import Open, is_sound, looks_right
from tests.central.console.person import Console

pytestmark = [
    pytest.mark.system,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.usefixtures("fleet"),
]

PAGE = "/console/devices/door-1-device"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(town: tuple[City, Console]) -> None:
    """Four: one that does well, one in alarm, one that was never heard of, one to be confirmed."""
    city, console = town
    await city.add_gate("door-2")
    await city.add_gate("door-3")
    for name, gate, state in (
        ("door-2-device-5f3a9c0d1b2e4f60", "door-2", "active"),
        ("door-3-device-a1b2c3d4e5f60718", "door-3", "active"),
        ("door-3-device-ffee9c0d1b2e4f61", "door-3", "pending"),
    ):
        await city.add_device(Device(name, gate), state)
    reports = console.services.reports
    poll = city.device.poll_message(understands=(*UNDERSTANDS, Ask.TYPE), wait_s=30, version="0.9.0", backlog=3)
    reports.note(poll, NOW_MS - 4_000)
    ill = Device("door-2-device-5f3a9c0d1b2e4f60", "door-2")
    troubles = (Trouble("config", 1_790_000_000_123, "not-satisfiable: no input tells of a passage"),)
    reports.note(ill.poll_message(troubles=troubles, backlog=1_907, at_ms=NOW_MS - 400_000, version="0.8.1"), NOW_MS)
    readers = (
        ReaderHealth("front", "pcsc", "ready", "ACS ACR1252 Dual Reader PICC", "acr1252u", "ACR1252U_V106.0"),
        ReaderHealth("back", "nfc", "wedged", "PN532", "pn532", "1.6"),
    )
    gib = 2**30
    for device, free in (("door-1-device", 21 * gib), (ill.id, gib // 2)):
        machine = (864_000, 3_600, free, 29 * gib, gib // 2, gib)
        reports.note_health(Health(device, NOW_MS, "0.9.0", Clock.TRUSTED, *machine, readers), NOW_MS)
    await reports.write()
    journal = Journal(city.device)
    journal.tap(3)
    await console.services.custodian.take(journal.upload(), NOW_MS)


async def test_a_bundle_is_seen_to_arrive_and_the_device_is_moved_and_replaced(
    town: tuple[City, Console], opened: Open
) -> None:
    city, _ = town
    page = await opened("/console/devices", "operator", lang="en", width=1024)
    await page.get_by_role("link", name="door-1-device").click()
    await page.get_by_role("button", name="Ask for it").click()
    await page.get_by_text("The device is asked").wait_for()
    row = page.locator("#bundle-list tbody tr")
    assert "waits for its answer" in await row.inner_text()
    (asked,) = await city.rows(bundles)
    content = b"an archive of what it knows"
    async with city.database.write() as connection:
        await kept.take(connection, Bundle("door-1-device", asked.id, NOW_MS, 27, digest(content)), content, NOW_MS)
    await row.get_by_text("arrived").wait_for()  # by itself
    async with page.expect_download() as downloading:
        await row.get_by_role("link", name="Download").click()
    path = await (await downloading.value).path()
    assert path.read_bytes() == content  # noqa: ASYNC240 - a handful of bytes
    await page.get_by_label("To gate").select_option("door-2")
    await page.get_by_label("Why", exact=True).fill("the side door is busier")
    await page.get_by_role("button", name="Move it").click()
    await page.get_by_text("It serves door-2 now").wait_for()
    await page.get_by_text("door-1 → door-2").wait_for()
    await page.get_by_role("button", name="Invite another").click()
    await page.get_by_text("tapgate-edge enrol tapgate1:").wait_for()
    await is_sound(page, "device-replacing-en-1024")
    await page.close()


async def test_the_pages_look_right(town: tuple[City, Console], opened: Open) -> None:
    await looks_right(opened, "/console/devices", "devices")
    await looks_right(opened, PAGE, "device")


async def test_revoking_asks_once_more(town: tuple[City, Console], opened: Open) -> None:
    page = await opened("/console/devices/door-3-device-a1b2c3d4e5f60718", lang="zh-TW", width=360)
    why = page.locator("#f-revoke-why")
    await why.fill("遺失")
    page.once("dialog", lambda dialog: dialog.accept())
    await page.get_by_role("button", name="撤銷", exact=True).click()
    await page.get_by_text("裝置已撤銷").wait_for()
    await is_sound(page, "device-revoked-zh-TW-360")
    await page.close()
