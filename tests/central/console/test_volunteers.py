"""Volunteers' pages over HTTP: the review queue, months that are approved and locked, each for its own team."""

from pathlib import Path

import aiohttp
import pytest
import xlrd

from central.keys import Keys
from central.store.database import Database
from tests.central.admin import admin_of
from tests.central.city import City
from tests.central.console.person import Console
from tests.central.services.attendance.crew import Crew
from tests.central.services.attendance.life import ms

EN = {"Accept-Language": "en"}
FORGOTTEN, DONE = "A-3", "A-1"


@pytest.fixture
async def crew(city: City, database: Database, keys: Keys, database_url: str, tmp_path: Path, console: Console) -> Crew:
    """In March, A-1 served at the desk for two hours, A-2 with the children, and A-3 forgot to sign out."""
    crew = Crew(city, admin_of(database, keys, database_url, tmp_path))
    await crew.found()
    await crew.session("A-1", "2026-03-02", ("09:00", "11:00"))
    await crew.session("A-2", "2026-03-03", ("09:00", "11:00"), rule="children")
    crew.tap("A-3", "kiosk-1", "2026-03-04 09:00", "in")
    await crew.sync("kiosk-1", "2026-03-04 10:00")
    console.services.now_ms = lambda: ms("2026-04-02 09:00")
    crew.now("2026-04-02 09:00")
    return crew


async def forgotten(crew: Crew) -> str:
    return str((await crew.act("review")).sessions[0].session)


async def test_a_coordinator_decides_approves_and_locks(crew: Crew, console: Console) -> None:
    dee = await console.sign_in("coordinator", name="dee", teams=("desk",))
    queue = await dee.get("/console/volunteers", headers=EN)
    name = await forgotten(crew)
    assert f"/console/volunteers/sessions/{name}" in queue.text
    assert "Nobody signed out" in queue.text
    page = await dee.get(f"/console/volunteers/sessions/{name}", headers=EN)
    assert 'value="2026-03-04T12:00"' in page.text, "the end of the shift is proposed"
    early = await dee.post("/console/volunteers/teams/desk/2026-03/approve")
    assert (early.status, "個時段待確認：" in early.text) == (422, True)
    await dee.get(f"/console/volunteers/sessions/{name}")
    times = {"from": "2026-03-04T09:00", "until": "2026-03-04T08:00"}
    wrong = await dee.post(f"/console/volunteers/sessions/{name}/settle", outcome="hours", why="seen", **times)
    assert wrong.status == 422
    times["until"] = "2026-03-04T11:30"
    await dee.post(f"/console/volunteers/sessions/{name}/settle", outcome="hours", why="seen", **times)
    await dee.post(f"/console/volunteers/sessions/{name}/served", people="12", remark="tour")
    sheet = await dee.get("/console/volunteers/teams/desk/2026-03", headers=EN)
    assert "4:30" in sheet.text
    assert "/2026-03/lock" not in sheet.text
    await dee.post("/console/volunteers/teams/desk/2026-03/approve")
    locked = await dee.post("/console/volunteers/teams/desk/2026-03/lock")
    assert "/2026-03/approve" not in locked.text
    shown = await crew.act("month", team="desk", month="2026-03")
    assert (shown.state, shown.by, shown.minutes, shown.lines[1].people) == ("locked", "dee", 270, 12)
    table = await dee.get("/console/volunteers/teams/desk/2026-03/sheet.csv")
    assert table.text.splitlines()[1] == "A-1,120,,0,120,120,0,1,0,0,0,0,0"
    again = await dee.post("/console/volunteers/teams/desk/2026-03/lock")
    assert again.status == 422


async def test_other_teams_are_nobodys_affair(crew: Crew, console: Console) -> None:
    name = await forgotten(crew)
    chi = await console.sign_in("coordinator", name="chi", teams=("children",))
    queue = await chi.get("/console/volunteers")
    assert name not in queue.text
    for path in (f"sessions/{name}", "teams/desk", "teams/desk/2026-03", "teams/desk/2026-03/sheet.csv"):
        assert (await chi.get(f"/console/volunteers/{path}")).status == 403, path
    assert "desk" not in (await chi.get("/console/volunteers/teams")).text.split("<main")[1]
    for path, fields in (
        (f"sessions/{name}/settle", {"outcome": "void", "why": "x"}),
        (f"sessions/{name}/reassign", {"team": "children", "why": "x"}),
        ("teams/desk/sign", {"member": "A-1", "signed_in": "2026-03-05T09:00", "why": "x"}),
        ("teams/desk/2026-03/approve", {}),
    ):
        assert (await chi.post(f"/console/volunteers/{path}", **fields)).status == 403, path
    operator = await console.sign_in("operator", venues=("main",))
    assert (await operator.get("/console/volunteers")).status == 403


async def test_a_session_is_void_signed_by_hand_and_given_to_another_team(crew: Crew, console: Console) -> None:
    name = await forgotten(crew)
    ada = await console.sign_in("admin", name="ada")
    await ada.get(f"/console/volunteers/sessions/{name}")
    await ada.post(f"/console/volunteers/sessions/{name}/reassign", team="children", why="<i>hers</i>")
    page = await ada.post(f"/console/volunteers/sessions/{name}/settle", outcome="void", why="<i>hers</i>")
    assert "&lt;i&gt;hers&lt;/i&gt;" in page.text
    (row,) = (await crew.act("sessions", session=name)).sessions
    assert (row.team, row.state) == ("children", "void")
    hand = {"member": "A-2", "signed_in": "2026-03-20T09:00", "signed_out": "2026-03-20T10:00", "why": "no card"}
    await ada.post("/console/volunteers/teams/desk/sign", **hand)
    page = await ada.get("/console/volunteers/teams/desk?month=2026-03")
    assert "A-2" in page.text
    assert "2026-03-20 09:00" in page.text
    unknown = await ada.post("/console/volunteers/teams/desk/sign", **{**hand, "member": "Z-9"})
    assert (unknown.status, "Z-9" in unknown.text) == (422, True)


async def test_honour_cards_are_listed_and_kept(crew: Crew, console: Console) -> None:
    await crew.act("rules.put", body={"certificate": {"hours": 1, "years": 3}}, who="chen")
    ada = await console.sign_in("admin", name="ada")
    page = await ada.get("/console/volunteers/honours", headers=EN)
    assert "Due" in page.text
    await ada.post("/console/volunteers/honours", member="A-1", valid_from="2026-04-02", number="H-7")
    assert "H-7" in (await ada.get("/console/volunteers/honours")).text
    not_yet = await ada.post("/console/volunteers/honours", member="A-3", valid_from="2026-04-02")
    assert not_yet.status == 422


async def test_an_auditor_reads_and_is_offered_nothing(crew: Crew, console: Console) -> None:
    name = await forgotten(crew)
    auditor = await console.sign_in("auditor")
    for path in ("", f"/sessions/{name}", "/teams", "/teams/desk", "/teams/desk/2026-03", "/honours"):
        page = await auditor.get(f"/console/volunteers{path}")
        assert page.status == 200, path
        assert '<form method="post"' not in page.text.split("<main")[1], path
    assert (await auditor.post("/console/volunteers/teams/desk/2026-03/approve")).status == 403


async def test_a_coordinator_takes_the_month_to_the_ministry(crew: Crew, console: Console) -> None:
    team = (await crew.act("team.show", id="desk")).body
    await crew.act("team.put", id="desk", body={**team, "item": "0340", "content": "0017", "area": "B"}, who="lin")
    await crew.admin.act("member.put", member="A-1", domain="library", name="王小明")
    await crew.admin.act("member.number.put", member="A-1", kind="volunteer-number", identifier="V-1")
    dee = await console.sign_in("coordinator", name="dee", teams=("desk",))
    path = "/console/volunteers/teams/desk/2026-03"
    await dee.get(f"{path}")
    early = await dee.get(f"{path}/vols", headers=EN)
    assert ("The month is not approved" in early.text, "To be settled" in early.text) == (True, True)
    await dee.post(f"{path}/approve", leave_review="true")
    identities = "會員編號,身分證字號\nA-1,A123456789\n".encode()
    seen = await dee.upload(f"{path}/vols/preview", identities)
    assert (seen.status, "尚未核可" in seen.text, "A123456789" in seen.text) == (200, False, False)
    async with dee._http.post(
        f"{dee.address}{path}/vols/export", data=_parts(dee.csrf, identities), allow_redirects=False
    ) as answer:
        book = xlrd.open_workbook(file_contents=await answer.read()).sheet_by_index(0)
        assert answer.headers["Content-Disposition"] == 'attachment; filename="vols-desk-2026-03.xls"'
    assert [cell.value for cell in book.row(1)][:8] == [
        *("王小明", "A123456789"),
        *["1150302"] * 2,
        "0340",
        "0017",
        2,
        0,
    ]
    refused = await dee.upload(f"{path}/vols/export", b"a,b\n1,2\n")
    assert (refused.status, "身分證字號" in refused.text) == (422, True)
    roc = await dee.get(f"{path}/sheet.csv?dates=roc")
    assert roc.text.splitlines()[0].lstrip("\ufeff").startswith("會員編號,115/03/02,前月調整分鐘,合計分鐘,合計-小時")
    assert "115/03" in (await dee.get(path)).text
    chi = await console.sign_in("coordinator", name="chi", teams=("children",))
    assert (await chi.get(f"{path}/vols")).status == 403
    log = (await crew.admin.act("audit.list", action="volunteer.export")).entries
    assert {(row.account, row.outcome) for row in log} >= {("dee", "looked"), ("chi", "refused")}
    assert not any("A123456789" in str(row) for row in log)


def _parts(csrf: str, file: bytes) -> aiohttp.FormData:
    form = aiohttp.FormData()
    form.add_field("csrf", csrf)
    form.add_field("file", file, filename="identities.csv")
    return form
