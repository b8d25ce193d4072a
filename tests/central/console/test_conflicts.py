"""The inbox of conflicts over HTTP: listed, filtered, settled one by one and many at once, each in its venue."""

import re
from pathlib import Path
from typing import Any

import pytest

from central.keys import Keys
from central.store.database import Database
from tests.central.actors import NOW_MS
from tests.central.admin import admin_of
from tests.central.city import City
from tests.central.console.person import Console
from tests.central.services.judging.borough import MINUTE_MS, Borough, open_borough
from tests.central.services.judging.conftest import ONCE


@pytest.fixture
async def borough(city: City, database: Database, keys: Keys, database_url: str, tmp_path: Path) -> Borough:
    """One open conflict at `branch` and two at `main`."""
    borough = await open_borough(city, admin_of(database, keys, database_url, tmp_path), ONCE, members=3)
    borough.tap(borough.here, NOW_MS - 30 * MINUTE_MS)
    borough.tap(borough.there, NOW_MS - 20 * MINUTE_MS)
    for minutes in (10, 5):
        borough.tap(borough.here, NOW_MS - minutes * MINUTE_MS, who=1, rule="nobodys")
    await borough.take()
    return borough


async def ids(borough: Borough) -> list[str]:
    return [row.id for row in await borough.conflicts()]


def shown(text: str) -> list[str]:
    """The conflicts of a page's list, in its order."""
    return re.findall(r'name="ids"[^>]* value="([0-9a-f]{32})"', text)


async def test_the_inbox_lists_open_ones_within_the_venues_of_who_looks(borough: Borough, console: Console) -> None:
    one, two, three = await ids(borough)
    admin = await console.sign_in("admin")
    page = await admin.get("/console/conflicts", headers={"Accept-Language": "en"})
    assert shown(page.text) == [one, two, three]
    assert "Used in two places" in page.text
    assert shown((await admin.get("/console/conflicts?venue=main")).text) == [two, three]
    assert shown((await admin.get("/console/conflicts?kind=used-apart&state=any")).text) == [one]
    assert shown((await admin.get(f"/console/conflicts?member={borough.members[1].hex()}")).text) == [two, three]
    operator = await console.sign_in("operator", venues=("branch",))
    assert shown((await operator.get("/console/conflicts")).text) == [one]
    assert (await operator.get("/console/conflicts?venue=main")).status == 403
    assert (await operator.get(f"/console/conflicts/{two}")).status == 403
    coordinator = await console.sign_in("coordinator", teams=("desk",))
    assert (await coordinator.get("/console/conflicts")).status == 403


async def test_what_cannot_be_asked_for_is_said_so(borough: Borough, console: Console) -> None:
    admin = await console.sign_in("admin")
    for query in ("kind=x", "state=x", "after=x"):
        assert (await admin.get(f"/console/conflicts?{query}")).status == 422
    assert (await admin.get("/console/conflicts/00112233")).status == 422


async def test_one_is_commented_settled_and_opened_again(borough: Borough, console: Console) -> None:
    one, *_ = await ids(borough)
    operator = await console.sign_in("operator", name="bo", venues=("branch",))
    page = await operator.get(f"/console/conflicts/{one}")
    assert "branch-1-device" in page.text
    empty = await operator.post(f"/console/conflicts/{one}/say", do="settle", why=" ")
    assert empty.status == 422
    page = await operator.post(f"/console/conflicts/{one}/say", do="comment", why="<b>asked</b>")
    assert "&lt;b&gt;asked&lt;/b&gt;" in page.text
    await operator.post(f"/console/conflicts/{one}/say", do="settle", why="both are his")
    assert [row.state for row in await borough.conflicts(kind="used-apart")] == ["settled"]
    again = await operator.post(f"/console/conflicts/{one}/say", do="settle", why="twice")
    assert again.status == 422
    assert "已結案：" in again.text
    await operator.post(f"/console/conflicts/{one}/say", do="reopen", why="no")
    said = (await borough.admin.act("conflict.show", id=one)).said
    assert [(each["who"], each["why"]) for each in said] == [
        ("bo", "<b>asked</b>"),
        ("bo", "both are his"),
        ("bo", "no"),
    ]


async def test_many_are_settled_at_once_and_the_others_say_why_not(borough: Borough, console: Console) -> None:
    one, two, three = await ids(borough)
    operator = await console.sign_in("operator", venues=("main",))
    await operator.get("/console/conflicts")
    assert (await operator.post("/console/conflicts", do="settle", why="x")).status == 422
    assert (await operator.post("/console/conflicts", do="settle", ids=[two])).status == 422
    done = await operator.post("/console/conflicts", do="settle", why="one bad day", ids=[one, two, three])
    assert "沒有衝突" in done.text
    assert [row.state for row in await borough.conflicts()] == ["open", "settled", "settled"]
    admin = await console.sign_in("admin")
    await admin.get("/console/conflicts")
    done = await admin.post("/console/conflicts?state=open", do="settle", why="known", ids=[one])
    assert done.status == 200
    assert 'class="said"' in done.text
    assert await borough.conflicts(open=True) == []


async def test_a_conflict_is_given_to_somebody(borough: Borough, console: Console) -> None:
    one, two, _ = await ids(borough)
    operator = await console.sign_in("operator", name="bo", venues=("branch",))
    admin = await console.sign_in("admin", name="ada")
    await admin.get(f"/console/conflicts/{one}")
    await admin.post(f"/console/conflicts/{one}/assign", to="bo")
    refused = await admin.post(f"/console/conflicts/{two}/assign", to="bo")
    assert refused.status == 422
    assert "不負責場館" in refused.text
    assert shown((await operator.get("/console/conflicts?assigned=me")).text) == [one]
    assert one not in shown((await admin.get("/console/conflicts?assigned=-")).text)
    await admin.post("/console/conflicts", do="assign", to="-", ids=[one])
    assert shown((await operator.get("/console/conflicts?assigned=me")).text) == []


async def test_taps_are_judged_again_from_the_page(borough: Borough, console: Console) -> None:
    one, *_ = await ids(borough)
    admin = await console.sign_in("admin")
    await admin.get(f"/console/conflicts/{one}")
    still = await admin.post(f"/console/conflicts/{one}/retry")
    assert still.url.endswith(one)
    borough.here.undid(1, NOW_MS - 29 * MINUTE_MS)
    await borough.take()
    gone = await admin.post(f"/console/conflicts/{one}/retry")
    assert gone.status == 422, "it ended with the upload already"


async def test_an_auditor_reads_and_changes_nothing(borough: Borough, console: Console) -> None:
    one, *_ = await ids(borough)
    auditor = await console.sign_in("auditor")
    page = await auditor.get("/console/conflicts")
    assert one in page.text
    assert shown(page.text) == []
    assert "/say" not in (await auditor.get(f"/console/conflicts/{one}")).text
    for path, fields in (
        ("", {"ids": [one], "do": "settle", "why": "x"}),
        (f"/{one}/say", {"do": "settle", "why": "x"}),
    ):
        assert (await auditor.post(f"/console/conflicts{path}", **fields)).status == 403
    assert [row.state for row in await borough.conflicts(open=True)] == ["open"] * 3


async def test_a_long_inbox_is_read_a_page_at_a_time(borough: Borough, console: Console) -> None:
    for minutes in range(60):
        borough.tap(borough.here, NOW_MS - (200 - minutes) * MINUTE_MS, who=2, rule="nobodys")
    await borough.take()
    admin = await console.sign_in("admin")
    first = await admin.get("/console/conflicts?venue=main")
    more: Any = re.search(r'href="(/console/conflicts\?[^"]*after=[^"]*)"', first.text)
    second = await admin.get(more[1].replace("&amp;", "&"))
    every = shown(first.text) + shown(second.text)
    assert (len(shown(first.text)), len(every), len(set(every))) == (50, 62, 62)
