"""The overview and the reports in a real browser: a gate falls silent while somebody looks, and a report is chosen."""

import csv
import random
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import insert, update

from central.reporting import city as city_module
from central.reporting.visit_counts import count_due
from central.store.schema import device_states, devices, gates, venues
from protocol.messages import encode
from tests.central.actors import NOW_MS, Device
from tests.central.city import City
from tests.central.console.browser.conftest import Open, is_sound, looks_right
from tests.central.console.person import Console
from tests.central.services.scenes import Diary, Town, person

pytestmark = [
    pytest.mark.system,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.usefixtures("always_fresh"),
]

HOUR_MS, DAY_MS, MINUTE_MS = 3_600_000, 86_400_000, 60_000
REASONS = ("unknown-card", "already-inside", "outside-hours", "not-a-member", "card-blocked", "capacity", "too-soon")


@pytest.fixture
def always_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(city_module.city_now, "__defaults__", (0.0,))


async def seen(city: City, device: Device, ms_ago: int) -> None:
    body = encode(device.poll_message(wait_s=30, at_ms=NOW_MS - ms_ago))
    async with city.database.write() as connection:
        mine = update(devices).where(devices.c.id == device.id)
        await connection.execute(mine.values(seen_ms=NOW_MS - ms_ago, report=body))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def weeks(town: tuple[City, Console]) -> City:
    """Three weeks of two venues with four gates."""
    city, _ = town
    names = {"id": "sports", "title_zh": "中山運動中心", "title_en": "Zhongshan Sports Centre"}
    await city.add(venues, {**names, "domain": "library", "time_zone": "Asia/Taipei"})
    chance, settling = random.Random(5), Town(city.database, city.keys)
    made = [city.device]
    for number in range(3):
        await city.add(gates, {"id": f"sports-{number}", "venue": "sports", "kind": "door", "policy": "open"})
        made.append(await city.add_device(Device(f"sports-device-{number}", f"sports-{number}")))
    for n, device in enumerate(made):
        diary = Diary(device)
        for day in range(20, -1, -1):
            for _ in range(18):
                at_ms = NOW_MS - day * DAY_MS - int(chance.triangular(0, 12, 3) * HOUR_MS)
                if chance.random() < 0.2:
                    reason = chance.choices(REASONS, weights=(9, 6, 5, 4, 3, 2, 1))[0]
                    diary.came(b"", at_ms, gate=device.gate, decision="denied", reason=reason)
                else:
                    diary.came(person(chance.randint(1, 90)), at_ms, gate=device.gate)
        await settling.take(diary)
        await seen(city, device, (5_000, 10_000, 11 * MINUTE_MS, 45_000)[n])
    await settling.settle()
    await count_due(city.database)
    rows = [
        {"device": device.id, "at_ms": NOW_MS - int(hours * HOUR_MS), "state": state, "reasons": ""}
        for n, device in enumerate(made)
        for hours, state in ((170, "online"), (100 - n, "silent"), (98 - n, "behind"), (97 - n, "online"), (9, "alarm"))
        if n or state == "online"
    ]
    async with city.database.write() as connection:
        await connection.execute(insert(device_states), rows)
    return city


async def test_the_overview_tells_at_once_that_a_gate_fell_silent(opened: Open, weeks: City) -> None:
    page = await opened("/console/?venue=main", lang="en", width=1024)
    row = page.locator("#gate-list tbody tr")
    assert "online" in await row.inner_text()
    await seen(weeks, weeks.device, 20 * MINUTE_MS)
    await page.get_by_text("nothing was heard of it").wait_for()
    assert "silent" in await row.inner_text()
    await seen(weeks, weeks.device, 1_000)
    await page.locator("#gate-list .badge.good").wait_for()


async def test_the_overview_looks_right(opened: Open, weeks: City) -> None:
    await looks_right(opened, "/console/", "overview")


async def test_a_person_chooses_a_report_and_saves_its_numbers(opened: Open, weeks: City, tmp_path: Path) -> None:
    page = await opened("/console/reports", width=1024)
    await page.get_by_label("場館", exact=True).select_option("sports")
    await page.get_by_label("分組").select_option("class")
    await page.get_by_label("統計單位").select_option("weekday")
    await page.get_by_role("button", name="顯示").click()
    await page.locator("svg.chart").wait_for()
    await is_sound(page, "report-class-zh-TW-1024")
    async with page.expect_download() as download:
        await page.get_by_role("link", name="下載 CSV").click()
    await (await download.value).save_as(tmp_path / "visits.csv")
    with (tmp_path / "visits.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["label"] for row in rows} >= {"週一", "週日"}
    await page.emulate_media(media="print")
    await page.screenshot(path=Path(__file__).parents[4] / "build/screenshots/report-print.png", full_page=True)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/console/reports?split=venue", "report-visits"),
        ("/console/reports/peaks", "report-peaks"),
        ("/console/reports/denials?by=day", "report-denials"),
        ("/console/reports/devices", "report-devices"),
    ],
)
async def test_reports_look_right(opened: Open, weeks: City, path: str, name: str) -> None:
    await looks_right(opened, path, name)


async def test_reasons_by_themselves_look_right(opened: Open, weeks: City) -> None:
    page = await opened("/console/reports/denials", lang="en", width=1024, dark=True)
    await is_sound(page, "report-reasons-en-1024-dark")
