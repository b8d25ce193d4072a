"""Consent, a copy, who looked and erasing on pages; holds, retention and purposes for admins."""

import html
import re

import pytest

from central.lists import refresh_domain
from central.store.schema import audit, consent_rules, consents, incidents, legal_holds, members, retention_rules
from tests.central.actors import NOW_MS
from tests.central.admin import admin_of
from tests.central.city import City
from tests.central.console.person import Console
from tests.central.console.test_imports import done
from tests.central.privacy.conftest import NOTICE

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
async def member(city: City, database_url: str, tmp_path: object) -> str:
    """The id of M-0, who may be asked about the caring class."""
    for n, id_ in enumerate(await city.add_members(2)):
        await city.change(members, members.c.id == id_, reference=f"M-{n}-77")
    async with city.database.write() as connection:
        await refresh_domain(connection, city.keys, "library", NOW_MS)
    admin = admin_of(city.database, city.keys, database_url, city.keys.directory.parent)
    await admin.act("notice.put", purpose="caring", notice=NOTICE, who="ana")
    return bytes(16).hex()


async def test_consent_is_given_and_taken_back_at_a_counter(city: City, console: Console, member: str) -> None:
    person = await console.sign_in("operator", venues=("main",))
    page = await person.get(f"/console/members/{member}/privacy")
    assert "已告知並同意" in page.text
    assert "完整複本" not in page.text, "a copy spans every domain: that is for an admin"
    notice = await person.get("/console/privacy/notices/caring")
    assert NOTICE["zh"]["refusal"] in notice.text
    said = await person.post(f"/console/members/{member}/consent", purpose="caring", answer="yes")
    assert "同意已記錄" in said.text
    said = await person.post(f"/console/members/{member}/consent", purpose="caring", answer="no", why="<b>moved</b>")
    assert "已撤回" in said.text
    assert "&lt;b&gt;moved" in said.text
    assert [(row.state, row.how) for row in await city.rows(consents)] == [
        ("given", "counter"),
        ("withdrawn", "counter"),
    ]
    assert (await person.post_quietly(f"/console/members/{member}/erase")).status == 403


async def test_a_person_is_copied_looked_up_and_erased(city: City, console: Console, member: str) -> None:
    ana = await console.sign_in("admin", name="ana")
    copy = await ana.get(f"/console/members/{member}/copy")
    assert "M-0-77" in copy.text
    looks = await ana.get(f"/console/members/{member}/looks")
    assert "member.copy" in looks.text
    done = await ana.post(f"/console/members/{member}/correct", name="王小明", without_classes="citizen")
    assert "已更正" in done.text
    would = await ana.get(f"/console/members/{member}/erase")
    assert "將銷毀" in would.text
    wrong = await ana.post(f"/console/members/{member}/erase", member="M-1-77")
    assert "請輸入會員代號" in wrong.text
    assert len(await city.rows(members)) == 2
    erased = await ana.post(f"/console/members/{member}/erase", member="M-0-77")
    assert re.search(r'id="receipt">[A-Za-z0-9+/=]{200,}', erased.text)
    assert "M-0-77" not in erased.text
    assert [row.reference for row in await city.rows(members)] == ["M-1-77"]
    assert all("M-0-77" not in f"{row.target} {row.body}" for row in await city.rows(audit))
    assert (await ana.get(f"/console/members/{member}/privacy")).status == 422
    assert "ana" in (await ana.get("/console/privacy")).text.split('id="erased"')[1]


async def test_a_notice_is_written_anew_and_forms_are_imported(city: City, console: Console, member: str) -> None:
    ana = await console.sign_in("admin", name="ana")
    empty = await ana.get("/console/privacy/notices/notices/new")
    assert (empty.status, "第 1 版" in empty.text) == (200, True)
    assert (await ana.get("/console/privacy/notices/nothing/new")).status == 200
    form = await ana.get("/console/privacy/notices/caring/new")
    assert "第 2 版" in form.text
    texts = html.unescape(form.text)
    assert all(text in texts for told in NOTICE.values() for text in told.values()), "what holds"
    same = {f"{lang}_{item}": text for lang, told in NOTICE.items() for item, text in told.items()}
    said = await ana.post("/console/privacy/notices/caring", **same)
    assert "未另立新版" in said.text
    short = await ana.post("/console/privacy/notices/caring", **(same | {"en_rights": " "}))
    assert (short.status, NOTICE["zh"]["use"] in short.text) == (422, True), "what was typed stays"
    said = await ana.post("/console/privacy/notices/caring", **(same | {"zh_refusal": "<b>櫃檯\r\n辦理"}))
    assert "即日起以第 2 版告知" in said.text
    assert "&lt;b&gt;櫃檯\n辦理" in said.text
    older = await ana.get("/console/privacy/notices/caring?version=1")
    assert "已不再使用" in older.text
    assert 'value="consents" selected' in (await ana.get("/console/imports?kind=consents")).text
    listed = b"member,answer,date\nM-0-77,yes,\nM-9-77,yes,\n"
    fields = {"kind": "consents", "domain": "library", "purpose": "caring"}
    plan = await done(ana, await ana.upload("/console/imports", listed, "forms.csv", **fields))
    assert "查無此會員" in plan.text
    assert await city.rows(consents) == []
    await done(ana, await ana.post(plan.url.removeprefix(console.address) + "/apply"))
    assert [(row.state, row.how, row.notice) for row in await city.rows(consents)] == [("given", "list", 2)]
    auditor = await console.sign_in("auditor")
    assert "/new" not in (await auditor.get("/console/privacy")).text


async def test_holds_retention_and_required_consent_are_stated_by_admins(
    city: City, console: Console, member: str
) -> None:
    ana = await console.sign_in("admin", name="ana")
    await ana.get("/console/privacy")
    await ana.post("/console/privacy/holds", member="M-0-77", why="case 115-42")
    (hold,) = await city.rows(legal_holds)
    held = await ana.get(f"/console/members/{member}/erase")
    assert (held.status, "case 115-42" in held.text) == (422, True)
    ended = await ana.post(f"/console/privacy/holds/{hold.id}/end")
    assert "已結束保留" in ended.text
    ruled = await ana.post("/console/privacy/retention", venue="main", days="180")
    assert "180" in ruled.text
    assert [(row.venue, row.days) for row in await city.rows(retention_rules)] == [("main", 180)]
    short = await ana.post("/console/privacy/retention", venue="main", days="3")
    assert short.status == 422
    of_points = await ana.post("/console/privacy/retention", kept_for="points", venue="", days="1825")
    assert "1825" in of_points.text.split('id="retention-by-purpose"')[1].split("</table>")[0]
    at_venue = await ana.post("/console/privacy/retention", kept_for="points", venue="main", days="60")
    assert (at_venue.status, "全市僅有一條規則" in at_venue.text) == (422, True)
    required = await ana.post("/console/privacy/require", purpose="caring", when="2100-01-01")
    assert "自該日起" in required.text
    (rule,) = await city.rows(consent_rules)
    assert (rule.purpose, rule.required) == ("caring", False)
    now = await ana.post("/console/privacy/require", purpose="caring", when="now")
    assert "即日起僅限已同意者" in now.text
    operator = await console.sign_in("operator", venues=("main",))
    page = await operator.get("/console/privacy")
    assert (page.status, "依法保留資料" in page.text) == (200, False)


async def test_a_cards_number_is_seen_by_two_people(city: City, console: Console, member: str) -> None:
    ana = await console.sign_in("admin", name="ana")
    bea = await console.sign_in("admin", name="bea")
    await ana.get(f"/console/cards/{member}")
    asked = await ana.post(f"/console/cards/{member}/uid", why="found card")
    assert "found card" in asked.text
    assert "/allow" not in asked.text, "not by the one who asked"
    (id_,) = re.findall(r"/privacy/uid/([0-9a-f]{16})/allow", (await bea.get("/console/privacy")).text)
    await bea.post(f"/console/privacy/uid/{id_}/allow")
    await ana.get("/console/privacy")
    shown = await ana.post(f"/console/privacy/uid/{id_}/show")
    assert 'id="uid">04000000000000<' in shown.text
    again = await ana.post_quietly(f"/console/privacy/uid/{id_}/show")
    assert "04000000000000" not in again.text


async def test_an_incident_is_opened_from_a_lost_device_told_and_closed(city: City, console: Console) -> None:
    ana = await console.sign_in("admin", name="ana")
    device = await ana.get(f"/console/devices/{city.device.id}")
    assert f"/privacy?device={city.device.id}#incident" in device.text
    form = await ana.get(f"/console/privacy?device={city.device.id}")
    assert f'name="incident_device" type="text" value="{city.device.id}"' in form.text
    values = {"incident_what": "<b>stolen</b>", "incident_device": city.device.id, "incident_learned": ""}
    page = await ana.post("/console/privacy/incidents", **values)
    assert "&lt;b&gt;stolen" in page.text
    assert re.search(r"2 天 23 小時|3 天", page.text)
    (row,) = await city.rows(incidents)
    later = await ana.post(f"/console/privacy/incidents/{row.id}/told", whom="authority", told_when="2100-01-01T00:00")
    assert later.status == 422
    page = await ana.post(f"/console/privacy/incidents/{row.id}/told", whom="authority", told_note="115-42")
    assert "115-42" in page.text
    await ana.post(f"/console/privacy/incidents/{row.id}/told", whom="concerned")
    assert "已全部通知" in (await ana.get("/console/privacy")).text
    page = await ana.post(f"/console/privacy/incidents/{row.id}/close", close_why="found again")
    assert "stolen" not in page.text
    operator = await console.sign_in("operator", venues=("main",))
    assert 'id="incidents"' not in (await operator.get("/console/privacy")).text
