"""Visits, points, activities, offers and passes over HTTP: each page does what it says, and only where it may."""

import datetime as dt
import re
from pathlib import Path
from typing import Any

import pytest

from central.keys import Keys
from central.lists import refresh_domain
from central.store.database import Database
from central.store.schema import gates, member_classes, members, venues
from protocol.time_zones import CITY
from tests.central.actors import NOW_MS
from tests.central.admin import Admin, admin_of
from tests.central.city import City
from tests.central.console.person import Console

EN = {"Accept-Language": "en"}
DAY_MS = 86_400_000
TODAY = dt.datetime.fromtimestamp(NOW_MS / 1_000, CITY)
PLAN = """
domain = "library"
monthly = [{class = "senior", points = 480, valid_from = "2016-01-01"}]
"""


@pytest.fixture
async def admin(city: City, database: Database, keys: Keys, database_url: str, tmp_path: Path) -> Admin:
    """Members M-0 to M-2 of `library`, and another domain with the venue `pool`."""
    for n, id_ in enumerate(await city.add_members(3)):
        await city.change(members, members.c.id == id_, reference=f"M-{n}")
    await city.add(venues, {"id": "branch", "domain": "library", "time_zone": "Asia/Taipei", "title_en": "Branch"})
    async with database.write() as connection:
        await refresh_domain(connection, keys, "library", NOW_MS)
    return admin_of(database, keys, database_url, tmp_path)


def main_of(text: str) -> str:
    return text.split("<main")[1]


# --- visits -----------------------------------------------------------------------------------------------------


async def test_an_operator_corrects_who_is_inside_own_venues(admin: Admin, console: Console) -> None:
    operator = await console.sign_in("operator", name="mai", venues=("main",))
    every = main_of((await operator.get("/console/visits")).text)
    assert "/console/visits/main" in every
    assert "branch" not in every
    page = await operator.get("/console/visits/main", headers=EN)
    assert "Nobody came in this time." in page.text
    for fields, why in (
        ({"count": "5"}, "請說明原因"),
        ({"why": "x"}, "請填寫實際場內人數"),
        ({"count": "-1", "why": "x"}, ""),
    ):
        refused = await operator.post("/console/visits/main/correct", **fields)
        assert (refused.status, why in refused.text) == (422, True), fields
    await operator.get("/console/visits/main", headers=EN)
    await operator.post("/console/visits/main/correct", count="5", why="counted")
    assert (await admin.act("occupancy", venue="main")).inside == 5
    await operator.post("/console/visits/main/correct", change="-2", why="two left")
    assert (await admin.act("occupancy", venue="main")).inside == 3
    assert (await operator.post("/console/visits/branch/correct", count="5", why="x")).status == 403
    for path in ("branch", "branch/inside", "nowhere"):
        assert (await operator.get(f"/console/visits/{path}")).status == 403, path
    assert (await operator.get("/console/visits/main/inside")).status == 200


@pytest.mark.parametrize(
    "query", ["since=x", "by=week", "since=2026-09-02&until=2026-09-01", "since=2026-01-01&until=9999-12-31"]
)
async def test_a_period_that_is_none_is_said_so(admin: Admin, console: Console, query: str) -> None:
    person = await console.sign_in("admin")
    assert (await person.get(f"/console/visits/main?{query}")).status == 422


# --- points -----------------------------------------------------------------------------------------------------


async def test_points_are_shown_given_and_redeemed(admin: Admin, console: Console) -> None:
    ada = await console.sign_in("admin", name="ada")
    await ada.get("/console/points/plans")
    wrong = await ada.post("/console/points/plans", id="seniors", body="domain = ")
    assert wrong.status == 422
    shown = await ada.post("/console/points/plans", id="seniors", body=PLAN)
    assert "480" in shown.text
    again = await ada.post("/console/points/plans", id="seniors", body=re.sub("\n", "\r\n", PLAN))
    assert again.status == 200
    await ada.get("/console/points?member=M-0&domain=library")
    of = {"member": "M-0", "domain": "library"}
    await ada.post("/console/points/grant", **of, points="100", why="<u>prize</u>", until="")
    await ada.post("/console/points/adjust", **of, points="-10", why="typo", until="", of="")
    operator = await console.sign_in("operator", name="mai", venues=("main",))
    page = await operator.get("/console/points?member=M-0", headers=EN)
    assert "90" in main_of(page.text)
    assert "/points/grant" not in page.text
    short = await operator.post("/console/points/redeem", **of, points="91", why="bus")
    assert (short.status, "可自由使用的為 90 點" in short.text) == (422, True)
    await operator.post("/console/points/redeem", **of, points="40", why="bus")
    assert (await admin.act("points.balance", **of)).points == 50
    assert (await operator.post("/console/points/grant", **of, points="1", why="x")).status == 403
    assert (await operator.get("/console/points/months")).status == 403
    pool = await console.sign_in("operator", venues=("elsewhere",))
    assert (await pool.get("/console/points?member=M-0&domain=library")).status == 403


async def test_a_month_is_added_up_on_demand_and_closed_when_it_is_over(admin: Admin, console: Console) -> None:
    await admin.act("points.grant", member="M-0", domain="library", points=7, who="lin", why="x")
    month = f"{TODAY:%Y-%m}"
    last = f"{TODAY.replace(day=1) - dt.timedelta(days=1):%Y-%m}"
    ada = await console.sign_in("admin")
    assert "members" not in main_of((await ada.get("/console/points/months")).text)
    now = await ada.get(f"/console/points/months?add=1&domain=library&month={month}")
    assert "points/months/close" not in now.text
    before = await ada.get(f"/console/points/months?add=1&domain=library&month={last}")
    assert "points/months/close" in before.text
    closed = await ada.post("/console/points/months/close", domain="library", month=last)
    assert "points/months/close" not in closed.text
    early = await ada.post("/console/points/months/close", domain="library", month=month)
    assert early.status == 422


# --- activities and offers --------------------------------------------------------------------------------------


def walk(**changes: Any) -> dict[str, Any]:
    day = f"{TODAY + dt.timedelta(days=1):%Y-%m-%d}"
    fields = {"id": "walk", "venue": "main", "rule": "walk", "since": f"{day}T09:00", "until": f"{day}T11:00"}
    return fields | {"title_zh": "健走", "title_en": "<b>Walk</b>", "capacity": "2", "walk_ins": "true"} | changes


async def test_an_activity_is_added_changed_and_registered_for(admin: Admin, console: Console) -> None:
    operator = await console.sign_in("operator", name="mai", venues=("main",))
    await operator.get("/console/activities/new")
    assert (await operator.post("/console/activities/new", **walk(venue="branch"))).status == 403
    assert (await operator.post("/console/activities/new", **walk(until="x"))).status == 422
    page = await operator.post("/console/activities/new", **walk())
    assert page.url.endswith("/console/activities/walk")
    taken = await operator.post("/console/activities/new", **walk(capacity="9"))
    assert taken.status == 422
    english = (await operator.get("/console/activities", headers=EN)).text
    assert "&lt;b&gt;Walk&lt;/b&gt;" in english
    checked = await operator.upload("/console/activities/walk/register", b"member\nM-0\nM-1\nM-2\n", do="plan")
    assert "名額已滿，已有 2 人報名" in checked.text
    assert (await admin.act("activity.list")).activities[0].registered == 0
    await operator.upload("/console/activities/walk/register", b"member\nM-0\nM-1\n", do="apply")
    assert (await admin.act("activity.list")).activities[0].registered == 2
    nothing = await operator.post("/console/activities/walk/register", do="apply")
    assert nothing.status == 422
    full = await operator.post("/console/activities/walk", **walk(capacity="1"))
    assert (full.status, "已有 2 人報名" in full.text) == (422, True)
    await operator.post("/console/activities/walk", **walk(capacity="5", walk_ins="false"))
    (shown,) = (await admin.act("activity.list")).activities
    assert (shown.capacity, shown.walk_ins) == (5, False)
    branch = await console.sign_in("operator", venues=("branch",))
    assert "walk" not in main_of((await branch.get("/console/activities")).text)
    assert (await branch.get("/console/activities/walk")).status == 403
    assert (await branch.post("/console/activities/walk", **walk(venue="branch"))).status == 403


async def test_offers_are_imported_by_an_admin_and_found_by_day_and_class(admin: Admin, console: Console) -> None:
    table = "id,partner,title_zh,title_en,class,from,until\n"
    table += "tea,<i>Tea</i>,九折,10% off,senior,,\nfilm,Film,早場,Matinee,student,,2026-01-31\n,x,y,z,,,\n"
    ada = await console.sign_in("admin")
    await ada.get("/console/offers")
    planned = await ada.upload("/console/offers", table.encode(), do="plan")
    assert "代號：0 個字元" in planned.text
    assert (await admin.act("offer.list", on="2026-01-01")).offers == []
    await ada.upload("/console/offers", table.encode(), do="apply")
    page = await ada.get("/console/offers?on=2026-01-01", headers=EN)
    assert "&lt;i&gt;Tea&lt;/i&gt;" in page.text
    assert "Matinee" in page.text
    assert "Matinee" not in main_of((await ada.get("/console/offers?on=2026-01-01&for=senior", headers=EN)).text)
    coordinator = await console.sign_in("coordinator")
    assert (await coordinator.get("/console/offers")).status == 200
    assert (await coordinator.upload("/console/offers", table.encode(), do="apply")).status == 403
    assert (await ada.get("/console/offers?on=x")).status == 422


# --- passes -----------------------------------------------------------------------------------------------------


async def test_passes_that_end_soon_are_listed_and_counted(admin: Admin, city: City, console: Console) -> None:
    id_ = next(row.id for row in await city.rows(members) if row.reference == "M-1")
    for name, days in (("swim", 3), ("gym", 40), ("old", -3)):
        row = {"member": id_, "name": name, "from_ms": 1, "until_ms": NOW_MS + days * DAY_MS}
        await city.add(member_classes, row)
    operator = await console.sign_in("operator", venues=("main",))
    page = main_of((await operator.get("/console/passes")).text)
    assert ("swim" in page, "gym" in page, "old" in page) == (True, False, True)
    assert "gym" in main_of((await operator.get("/console/passes?days=60")).text)
    assert "gym" in main_of((await operator.get("/console/passes?member=M-1")).text)
    assert (await operator.get("/console/passes?member=M-77")).status == 403
    elsewhere = await console.sign_in("operator", venues=("nowhere",))
    assert "swim" not in main_of((await elsewhere.get("/console/passes")).text)


async def test_an_auditor_reads_every_page_and_is_offered_nothing(admin: Admin, city: City, console: Console) -> None:
    await admin.act("activity.put", **walk(capacity=2, walk_ins=True))
    auditor = await console.sign_in("auditor")
    for path in (
        *("visits", "visits/main", "visits/main/inside", "points", "points?member=M-0&domain=library"),
        *("points/months", "points/plans", "activities", "activities/walk", "offers", "passes"),
    ):
        page = await auditor.get(f"/console/{path}")
        assert page.status == 200, path
        assert '<form method="post"' not in main_of(page.text), path
    assert (await auditor.get("/console/activities/new")).status == 403
    assert (await city.rows(gates))[0].id == "door-1"
