"""Pages of venues and gates, of joining devices, closures, staff and profiles."""

import re

from sqlalchemy import select

from central.store.schema import devices, gates, venues
from tests.central.city import City
from tests.central.console.person import Console


async def test_an_admin_adds_a_venue_and_a_gate_and_invites_its_device(console: Console, city: City) -> None:
    ana = await console.sign_in("admin")
    await ana.get("/console/gates")
    assert (await ana.post("/console/gates/venues", venue="branch", domain="library", closes_at="21:00")).status == 200
    done = await ana.post(
        "/console/gates/gates", gate="branch-door", venue="branch", policy="open", title_zh="分館大門"
    )
    assert done.url.endswith("/console/gates/branch-door")
    assert "分館大門" in done.text
    assert [row.venue for row in await city.rows(gates) if row.id == "branch-door"] == ["branch"]
    invited = await ana.post("/console/gates/branch-door/invite")
    token = re.search(r"tapgate-edge enrol (\S+)</pre>", invited.text)
    assert token, invited.text
    assert '<svg xmlns="http://www.w3.org/2000/svg"' in invited.text
    assert "data-until=" in invited.text


async def test_an_operator_sees_own_venues_alone(console: Console, city: City) -> None:
    await city.add(venues, {"id": "branch", "domain": "library", "time_zone": "Asia/Taipei"})
    olga = await console.sign_in("operator", venues=("branch",))
    listed = await olga.get("/console/gates")
    assert "branch" in listed.text
    assert "door-1" not in listed.text
    assert "/console/gates/gates" not in listed.text, "adding gates is for admins"
    for path in ("/console/gates/door-1", "/console/gates/door-1/joining"):
        assert (await olga.get(path)).status == 403
    assert (await olga.post("/console/gates/door-1/invite")).status == 403
    assert (await olga.post("/console/gates/door-1/publish", text="title_zh = '改'")).status == 403


async def test_a_configuration_is_checked_and_put_in_force(console: Console, city: City) -> None:
    olga = await console.sign_in("operator", venues=("main",))
    page = await olga.get("/console/gates/door-1")
    assert "passage_ms" in page.text
    wrong = await olga.post("/console/gates/door-1/check", text="[release]\npulse_ms = 'long'", fragment="1")
    assert "data-wrong" in wrong.text
    assert "release.pulse_ms" in wrong.text
    right = await olga.post("/console/gates/door-1/check", text="title_zh = '正門'", fragment="1")
    assert "正門" in right.text
    assert "data-wrong" not in right.text
    refused = await olga.post("/console/gates/door-1/publish", text="title_zh = ")
    assert refused.status == 422
    assert "title_zh = " in refused.text, "what was typed is still there"
    done = await olga.post("/console/gates/door-1/publish", text="title_zh = '正門'")
    assert done.status == 200
    assert "閘門 正門" in done.text
    version = re.search(r'name="version" value="(\d+)"', done.text)
    assert version
    back = await olga.post("/console/gates/door-1/back", version=version[1])
    assert "閘門 door-1" in back.text


async def test_words_that_differ_confirm_no_device(console: Console, city: City) -> None:
    await city.change(devices, devices.c.id == city.device.id, state="pending")
    ana = await console.sign_in("admin")
    page = await ana.get("/console/gates/door-1/joining")
    assert "babab-babab-babab" in page.text
    refused = await ana.post("/console/gates/door-1/joining", device=city.device.id, words="other words here")
    assert refused.status == 422
    done = await ana.post("/console/gates/door-1/joining", device=city.device.id, words="babab-babab-babab")
    assert done.status == 200
    assert [row.state for row in await city.rows(devices)] == ["active"]


async def test_a_venue_is_closed_and_opened_again(console: Console, city: City) -> None:
    olga = await console.sign_in("operator", venues=("main",))
    await olga.get("/console/closures")
    times = {"since": "2026-09-01T12:00", "until": "2026-12-31T12:00", "why_zh": "颱風", "why_en": "Typhoon"}
    refused = await olga.post("/console/closures", venue="*", **times)
    assert refused.status == 403, "the city is not an operator's"
    done = await olga.post("/console/closures", venue="main", **times)
    assert done.status == 200, done.text
    listed = await olga.get("/console/closures")
    assert "颱風" in listed.text
    end = re.search(r'action="(/console/closures/[0-9a-f]{32}/end)"', listed.text)
    assert end
    assert "颱風" not in (await olga.post(end[1])).text


async def test_a_pin_is_given_and_taken_away(console: Console, city: City) -> None:
    olga = await console.sign_in("operator", venues=("main",))
    await olga.get("/console/staff")
    weak = await olga.post("/console/staff", venue="main", id="may", pin="77123", title="May")
    assert weak.status == 422
    assert "77123" not in weak.text, "a PIN is not shown again"
    done = await olga.post("/console/staff", venue="main", id="may", pin="482916", title="May")
    assert "May" in done.text
    assert "May" not in (await olga.post("/console/staff/main/may/remove")).text
    other = await console.sign_in("operator", venues=())
    await other.get("/console/staff")
    assert (await other.post("/console/staff", venue="main", id="eve", pin="482916")).status == 403


async def test_what_people_typed_is_text_and_never_markup(console: Console, city: City) -> None:
    ana = await console.sign_in("admin")
    await ana.get("/console/gates")
    script = "<script>alert(1)</script>"
    await ana.post("/console/gates/domains", domain="parks", title=script)
    listed = await ana.get("/console/gates")
    assert script not in listed.text
    async with city.database.read() as connection:
        assert list(await connection.execute(select(gates.c.id))) == [("door-1",)]
