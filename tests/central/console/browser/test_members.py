"""Cards and members in a real browser: a lost card is reported and each gate is seen taking it up; a card is waited for
at a counter; a table is planned and written."""

from pathlib import Path

import pytest
import pytest_asyncio

from central.store.schema import devices, gates, members
from protocol.messages import Direction, GateConfig, Part, encode
from tests.central.actors import NOW_MS, UNDERSTANDS, Device
from tests.central.city import City, uid
from tests.central.console.browser.conftest import Open, is_sound, looks_right
from tests.central.console.person import Console

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]

NAMES = ("王小明", "陳怡君", "Anna Schmidt")
TABLE = "uid,member,class,valid_from,valid_until,name,library_barcode\n" + "".join(
    f"{uid(n).raw.hex()},B-{n},citizen,,,{NAMES[n % 3]},L-{n:05}\n" for n in range(40, 60)
)
KNOWS = (*UNDERSTANDS, "tapgate.bind.v1")


def says(device: Device, version: int) -> bytes:
    """What the device polled with, holding this version of the list."""
    return encode(device.poll_message(parts=(Part("allowlist", version, bytes(32)),), understands=KNOWS))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def counters(town: tuple[City, Console]) -> list[Device]:
    """A counter and two doors that hold a list of before, and M-1 with a card."""
    city, console = town
    await city.add(gates, {"id": "desk-1", "venue": "main", "kind": "counter", "policy": "open"})
    await city.configure(GateConfig(0, "desk-1", "counter", Direction.IN, title_zh="服務台", title_en="Desk"))
    await city.add_gate("door-2")
    found = [city.device, await city.add_device(Device("desk-1-device", "desk-1"))]
    found.append(await city.add_device(Device("door-2-device", "door-2")))
    (member,) = await city.add_members(1, 1)
    await city.change(members, members.c.id == member, reference="M-1")
    for device in found:
        await city.change(devices, devices.c.id == device.id, report=says(device, NOW_MS), seen_ms=NOW_MS)
    admin = await console.signed_in("admin")
    await admin.get("/console/members")
    for path, fields in (
        (f"{member.hex()}/put", {"name": "林阿美", "domain": "library", "classes": "senior"}),
        (f"{member.hex()}/number", {"kind": "library-barcode", "identifier": "L-00001"}),
    ):
        assert (await admin.post(f"/console/members/{path}", **fields)).status == 200
    return found


async def test_a_lost_card_is_blocked_and_each_gate_is_seen_taking_it_up(
    opened: Open, town: tuple[City, Console], counters: list[Device]
) -> None:
    city, console = town
    console.services.now_ms = lambda: NOW_MS + 60_000
    page = await opened("/console/members", "operator")
    await page.get_by_label("找誰或哪張卡").fill("林阿")
    await page.get_by_role("button", name="查詢").click()
    await page.get_by_role("heading", name="會員 M-1").wait_for()
    await page.get_by_role("button", name="掛失").click()
    await page.get_by_text("3 個閘門中 0 個已收到").wait_for()
    await is_sound(page, "card-blocked-zh-TW-1024")
    for done, device in enumerate(counters, 1):
        held = says(device, NOW_MS + 120_000)
        await city.change(devices, devices.c.id == device.id, report=held, seen_ms=NOW_MS + 61_000)
        await page.get_by_text(f"3 個閘門中 {done} 個已收到" if done < 3 else "全部 3 個閘門已收到").wait_for()
    console.services.now_ms = lambda: NOW_MS


async def test_a_card_is_waited_for_at_a_counter(opened: Open, counters: list[Device]) -> None:
    page = await opened("/console/members", "operator", lang="en", width=360)
    await page.get_by_label("Who or which card").fill("l 00001")
    await page.get_by_role("button", name="Find").click()
    await page.get_by_role("button", name="Wait for a card").click()
    await page.get_by_text("Tap the card at desk-1 now.").wait_for()
    await is_sound(page, "binding-en-360")
    await page.get_by_role("button", name="Cancel").click()
    await page.get_by_text("The counter waits for no card any more.").wait_for()


async def test_a_table_is_planned_and_written(opened: Open, tmp_path: Path, counters: list[Device]) -> None:
    path = tmp_path / "cards.csv"
    path.write_text(TABLE + "no card,B-99,citizen,,,,\n", encoding="utf-8-sig")
    page = await opened("/console/imports", lang="en")
    await page.get_by_label("CSV file").set_input_files(path)
    await page.get_by_label("Card numbers are written").select_option("hex")
    await page.get_by_role("button", name="Read and plan").click()
    await page.get_by_text("Nothing was changed yet.").wait_for()
    await is_sound(page, "import-planned-en-1024")
    await page.get_by_role("button", name="Write it").click()
    await page.get_by_text("Gates that are connected have it already.").wait_for()
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Report of every row (CSV)").click()
    report = Path(await (await download.value).path()).read_text("utf-8-sig")
    assert report.count("added") == 20
    await page.goto(page.url.partition("/imports")[0] + "/members")
    await page.get_by_label("Who or which card").fill("陳怡")
    await page.get_by_role("button", name="Find").click()
    await page.get_by_role("link", name="B-40").wait_for()
    await is_sound(page, "members-found-en-1024")


MEMBER = (1).to_bytes(4).hex() + "00" * 12
"""The id of M-1, and of M-1's card."""


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("members", "members"),
        (f"members/{MEMBER}", "member"),
        (f"cards/{MEMBER}", "card"),
        ("day-cards", "day-cards"),
        ("imports", "imports"),
    ],
)
async def test_the_pages_look_right(opened: Open, counters: list[Device], path: str, name: str) -> None:
    await looks_right(opened, f"/console/{path}", name)
