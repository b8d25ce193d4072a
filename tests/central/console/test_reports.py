"""The overview, the reports and their CSV files, over HTTP."""

import csv
import io
from collections.abc import Iterator
from itertools import product

import pytest
from sqlalchemy import update

from central.console.gate_states import BADGES
from central.console.words import catalog
from central.neighbours.tables.csv_text import cell
from central.reporting import city as city_module
from central.reporting.gate_state import TEXTS, State
from central.reporting.visit_counts import count_due
from central.store.schema import devices, gates, venues
from protocol.messages import encode
from tests.central.actors import NOW_MS, Device
from tests.central.city import City
from tests.central.console.person import Console
from tests.central.services.scenes import Diary, Town, person

ON_SQLITE = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
NOON_MS, MINUTE_MS = 1_789_963_200_000, 60_000
EN = {"Accept-Language": "en"}
HOSTILE = '=HYPERLINK("//x")<script>alert(1)</script>'


@pytest.fixture(autouse=True)
def always_fresh() -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setattr(city_module.city_now, "__defaults__", (0.0,))
    yield
    patch.undo()


async def busy(city: City, console: Console) -> Town:
    """Two venues with visits, denials, and a gate that is silent."""
    await city.add(venues, {"id": "branch", "domain": "library", "time_zone": "Asia/Taipei", "title_zh": HOSTILE})
    await city.add(gates, {"id": "branch-door", "venue": "branch", "kind": "door", "policy": "open"})
    other = await city.add_device(Device("b", "branch-door"))
    town = Town(city.database, city.keys)
    main, branch = Diary(city.device), Diary(other)
    for each in range(30):
        main.came(person(each), NOON_MS + each * 10 * MINUTE_MS)
    main.was_denied(person(1), NOON_MS)
    for each in range(3):
        branch.came(person(each), NOON_MS, gate="branch-door")
    for diary in (main, branch):
        await town.take(diary)
    await town.settle()
    await count_due(city.database)
    body = encode(city.device.poll_message(wait_s=30, at_ms=NOW_MS))
    async with city.database.write() as connection:
        mine = update(devices).where(devices.c.id == city.device.id)
        await connection.execute(mine.values(seen_ms=NOW_MS, report=body))
        silent_ms = NOW_MS - 20 * MINUTE_MS
        body = encode(other.poll_message(wait_s=30, at_ms=silent_ms))
        theirs = update(devices).where(devices.c.id == "b")
        await connection.execute(theirs.values(seen_ms=silent_ms, report=body))
    return town


def rows(text: str) -> list[dict[str, str]]:
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text[1:], newline="")))


async def test_the_overview_says_what_needs_a_person_and_links_there(city: City, console: Console) -> None:
    await busy(city, console)
    admin = await console.sign_in("admin")
    shown = await admin.get("/console/", headers=EN)
    assert shown.status == 200
    for text in ("Silent gates", "Gates that are not online", "nothing was heard of it", "branch-door"):
        assert text in shown.text
    assert "<svg" in shown.text
    assert "<script>alert" not in shown.text
    assert "door-1" in (await admin.get("/console/?venue=main", headers=EN)).text
    assert "No gate is in this state" in (await admin.get("/console/?state=alarm", headers=EN)).text
    assert (await admin.get("/console/?venue=nowhere&state=nonsense")).status == 200


async def test_a_venue_operator_sees_nothing_of_another_venue(city: City, console: Console) -> None:
    await busy(city, console)
    lin = await console.sign_in("operator", venues=("main",))
    pages = ("", "reports", "reports?by=venue", "reports/peaks", "reports/denials?by=gate", "reports/devices")
    files = ("reports/visits.csv?by=venue", "reports/denials.csv?by=gate", "reports/devices.csv", "reports/peaks.csv")
    for path in (*pages, *files):
        shown = await lin.get(f"/console/{path}")
        assert shown.status == 200, path
        assert "branch" not in shown.text, path
        refused = await lin.get(f"/console/{path}{'&' if '?' in path else '?'}venue=branch")
        assert refused.status in (200, 403)
        assert "HYPERLINK" not in refused.text
        assert path == "" or refused.status == 403, path


@ON_SQLITE
async def test_a_coordinator_has_an_overview_and_no_reports(city: City, console: Console) -> None:
    await busy(city, console)
    wang = await console.sign_in("coordinator", teams=("team",))
    shown = await wang.get("/console/", headers=EN)
    assert (shown.status, "You have no venue to look after here" in shown.text) == (200, True)
    assert "/console/reports" not in shown.text
    assert (await wang.get("/console/reports")).status == 403


@ON_SQLITE
async def test_every_way_to_count_visits_has_a_chart_a_table_and_a_file(city: City, console: Console) -> None:
    await busy(city, console)
    admin = await console.sign_in("admin")
    every = product(("hour", "weekday", "day", "month", "venue", "all"), ("", "venue", "class"))
    for by, split in every:
        query = f"by={by}&split={split}&since=2026-09-01&until=2026-09-30"
        shown = await admin.get(f"/console/reports?{query}")
        assert (shown.status, "<svg" in shown.text, "<table" in shown.text) == (200, True, True), query
        file = await admin.get(f"/console/reports/visits.csv?{query}")
        assert file.headers["Content-Type"].startswith("text/csv")
        assert file.headers["X-Content-Type-Options"] == "nosniff"
        assert "attachment" in file.headers["Content-Disposition"]
        assert rows(file.text), query


@ON_SQLITE
async def test_the_file_hides_what_the_page_hides(city: City, console: Console) -> None:
    await busy(city, console)
    await city.add_members(1)
    admin = await console.sign_in("admin")
    query = "by=venue&split=class&since=2026-09-01"
    shown = (await admin.get(f"/console/reports?{query}", headers=EN)).text
    file = (await admin.get(f"/console/reports/visits.csv?{query}", headers=EN)).text
    for text in (shown, file):
        assert "&lt;5" in text or "<5" in text or "✱" in text
    assert {row["visits"] for row in rows(file)} & {"1", "2", "3", "4"} == set()


@ON_SQLITE
async def test_no_cell_of_a_file_is_a_formula(city: City, console: Console) -> None:
    await busy(city, console)
    admin = await console.sign_in("admin")
    found = rows((await admin.get("/console/reports/visits.csv?by=venue")).text)
    assert [row["label"] for row in found if "HYPERLINK" in row["label"]] == ["'" + HOSTILE]
    assert [row["visits"] for row in found] == ["3", "30"]


@pytest.mark.parametrize("text", ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n=1", "＝1", "|x", "%x"])
def test_what_could_be_a_formula_is_text(text: str) -> None:
    assert cell(text) == "'" + text


def test_numbers_stay_numbers_and_words_stay_words() -> None:
    assert [cell(value) for value in (-5, "-5", "+886", 1.5, None, "王", "a=b")] == [
        *("-5", "-5", "+886", "1.5", "", "王", "a=b")
    ]


@ON_SQLITE
async def test_days_that_make_no_sense_are_said_and_nothing_breaks(city: City, console: Console) -> None:
    admin = await console.sign_in("admin")
    for query in ("since=x", "since=2026-02-31", "since=2026-09-02&until=2026-09-01", "since=1990-01-01"):
        for path in ("reports", "reports/peaks", "reports/denials", "reports/devices", "reports/visits.csv"):
            shown = await admin.get(f"/console/{path}?{query}")
            assert shown.status == 422, (path, query)
    for path in ("reports?by=nonsense&split=nonsense", "reports/denials?by=nonsense&gate=%00"):
        assert (await admin.get(f"/console/{path}")).status in (200, 422)


@ON_SQLITE
async def test_an_empty_city_says_what_to_do(city: City, console: Console) -> None:
    admin = await console.sign_in("admin")
    for path in ("reports", "reports/peaks", "reports/denials"):
        assert 'class="empty"' in (await admin.get(f"/console/{path}")).text
    assert "never" in (await admin.get("/console/", headers=EN)).text


def test_every_state_and_reason_is_said_in_chinese() -> None:
    assert [text for text in TEXTS.values() if text not in catalog("zh-TW")] == []
    assert set(BADGES) == {state.value for state in State}
    assert {state.value: BADGES[state.value][1] for state in State} == {s.value: TEXTS[s.value] for s in State}
