"""The fleet and one device as pages: what is shown to whom, and what the forms do."""

import base64
from typing import Any

import pytest

from central import bundles as kept
from central.store.schema import bundles, devices, gates, venues
from protocol.configuration import GateConfig
from protocol.envelope import digest
from protocol.fleet import Health, ReaderHealth
from protocol.messages import Ask, Bundle, Clock
from tests.central.actors import NOW_MS, UNDERSTANDS, Device
from tests.central.city import City
from tests.central.console.person import Console, Person

DEVICE = "door-1-device"
PAGE = f"/console/devices/{DEVICE}"
XSS = "<script>alert(1)</script>"


async def heard(console: Console, city: City, **changes: Any) -> None:
    """Its newest poll and health came just now."""
    reports = console.services.reports
    poll = city.device.poll_message(**{"understands": (*UNDERSTANDS, Ask.TYPE), "version": "9.8.7", **changes})
    reports.note(poll, NOW_MS)
    reader = ReaderHealth("front", "pcsc", "ready", "ACS ACR1252", "acr1252u", "V106")
    health = Health(DEVICE, NOW_MS, "9.8.7", Clock.TRUSTED, 90, 60, 5 * 2**30, 10 * 2**30, 1, 2, (reader,))
    reports.note_health(health, NOW_MS)
    await reports.write()


@pytest.fixture
async def admin(console: Console) -> Person:
    return await console.sign_in("admin")


async def test_the_fleet_is_listed_with_queue_clock_disk_and_readers(
    console: Console, city: City, admin: Person
) -> None:
    await heard(console, city, backlog=1_234, at_ms=NOW_MS + 200_000)
    text = (await admin.get("/console/devices")).text
    for shown in (DEVICE, "1,234", "5.0 GiB", "ACS ACR1252", "警報", "快 3 分 20 秒"):
        assert shown in text, shown


async def test_the_list_is_filtered_by_venue_and_state(console: Console, city: City, admin: Person) -> None:
    await heard(console, city)
    await city.add(venues, {"id": "branch", "domain": "library", "time_zone": "Asia/Taipei"})
    await city.add(gates, {"id": "branch-1", "venue": "branch", "kind": "door", "policy": "open"})
    await city.configure(GateConfig(0, "branch-1", "door"))
    await city.add_device(Device("branch-device", "branch-1"), "pending")
    for query, shown, hidden in (
        ("venue=branch", "branch-device", DEVICE),
        ("venue=main", DEVICE, "branch-device"),
        ("stands=waiting", "branch-device", DEVICE),
    ):
        text = (await admin.get(f"/console/devices?{query}")).text
        assert f"/console/devices/{shown}" in text, query
        assert f"/console/devices/{hidden}" not in text, query
    assert "沒有符合條件的裝置" in (await admin.get("/console/devices?stands=silent")).text
    assert (await admin.get("/console/devices?stands=nonsense&venue=nowhere")).status == 200
    assert (await admin.get("/console/devices?after=nowhere")).status == 422


async def test_an_operator_sees_devices_of_own_venues_alone(console: Console, city: City) -> None:
    operator = await console.sign_in("operator", venues=("elsewhere",))
    assert DEVICE not in (await operator.get("/console/devices")).text
    assert (await operator.get(PAGE)).status in (403, 404)
    own = await console.sign_in("operator", venues=("main",))
    assert DEVICE in (await own.get("/console/devices")).text
    assert (await own.get(PAGE)).status == 200


async def test_one_device_is_shown_with_its_machine_and_its_readers(
    console: Console, city: City, admin: Person
) -> None:
    await heard(console, city)
    text = (await admin.get(PAGE)).text
    for shown in ("9.8.7", "ACS ACR1252", "V106", "acr1252u", "1 分 30 秒", "索取支援資料", "更換裝置"):
        assert shown in text, shown


async def test_a_device_moves_to_another_gate_of_its_domain(console: Console, city: City, admin: Person) -> None:
    await city.add_gate("door-2")
    assert '<option value="door-2"' in (await admin.get(PAGE)).text
    said = await admin.post(f"{PAGE}/move", gate="door-2", why=XSS)
    assert "door-2" in said.text
    assert "door-1 → door-2" in said.text
    assert XSS not in said.text
    (row,) = await city.rows(devices)
    assert row.gate == "door-2"
    refused = await admin.post(f"{PAGE}/move", gate="nowhere")
    assert refused.status == 422
    assert "未執行" in refused.text


async def test_an_operator_moves_devices_between_own_venues_only(console: Console, city: City) -> None:
    await city.add(venues, {"id": "branch", "domain": "library", "time_zone": "Asia/Taipei"})
    await city.add(gates, {"id": "branch-1", "venue": "branch", "kind": "door", "policy": "open"})
    await city.configure(GateConfig(0, "branch-1", "door"))
    operator = await console.sign_in("operator", venues=("main",))
    assert "branch-1" not in (await operator.get(PAGE)).text
    assert (await operator.post(f"{PAGE}/move", gate="branch-1")).status == 403
    assert (await city.rows(devices))[0].gate == "door-1"


async def test_replacing_shows_a_join_token_once_and_what_would_be_lost(
    console: Console, city: City, admin: Person
) -> None:
    await heard(console, city, backlog=12)
    await admin.get(PAGE)
    answered = await admin.post(f"{PAGE}/replace")
    assert answered.status == 200
    assert "tapgate1:" in answered.text
    assert 'class="qr"' in answered.text
    assert "12 筆事件未送達" in answered.text
    assert "tapgate1:" not in (await admin.get(PAGE)).text


async def test_revoking_and_banning_say_why_and_offer_nothing_more(console: Console, city: City, admin: Person) -> None:
    await admin.get(PAGE)
    text = (await admin.post(f"{PAGE}/revoke", why=XSS)).text
    assert "裝置已撤銷" in text
    assert XSS not in text
    assert "索取支援資料</h3>" not in text
    assert "封禁裝置" in text
    text = (await admin.post(f"{PAGE}/ban", why="stolen")).text
    assert "裝置已封禁" in text
    assert "封禁裝置</h3>" not in text
    (row,) = await city.rows(devices)
    assert (row.state, row.banned_ms is not None) == ("revoked", True)


async def test_a_bundle_is_asked_for_arrives_and_is_downloaded_by_who_asked(console: Console, city: City) -> None:
    await heard(console, city)
    operator = await console.sign_in("operator", name="chen", venues=("main",))
    await operator.get(PAGE)
    assert "裝置索取" in (await operator.post(f"{PAGE}/bundle")).text
    (row,) = await city.rows(bundles)
    assert (row.who, row.state) == ("chen", "asked")
    assert "已經索取過" in (await operator.post(f"{PAGE}/bundle")).text
    content = base64.b64decode("H4sIAAAAAAAA/w==")
    async with city.database.write() as connection:
        made = Bundle(DEVICE, row.id, NOW_MS, len(content), digest(content))
        await kept.take(connection, made, content, NOW_MS)
    address = f"{PAGE}/bundles/{row.id.hex()}"
    assert address in (await operator.get(PAGE)).text
    got = await operator.get(address)
    assert got.status == 200
    assert got.headers["Content-Type"] == "application/gzip"
    assert "attachment" in got.headers["Content-Disposition"]
    other = await console.sign_in("operator", name="wu", venues=("main",))
    assert address not in (await other.get(PAGE)).text
    assert (await other.get(address)).status == 422
    auditor = await console.sign_in("auditor")
    assert (await auditor.get(address)).status == 422


async def test_an_auditor_sees_everything_and_no_form(console: Console, city: City) -> None:
    await heard(console, city)
    auditor = await console.sign_in("auditor")
    text = (await auditor.get(PAGE)).text
    assert DEVICE in text
    for action in ("move", "replace", "revoke", "ban", "bundle"):
        assert f'action="{PAGE}/{action}"' not in text
        assert (await auditor.post(f"{PAGE}/{action}", why="x", gate="door-1")).status == 403


async def test_what_a_device_says_of_itself_stays_text(console: Console, city: City, admin: Person) -> None:
    reader = ReaderHealth(XSS[:64], "pcsc", XSS, XSS, XSS, XSS)
    reports = console.services.reports
    reports.note(city.device.poll_message(version=XSS), NOW_MS)
    reports.note_health(Health(DEVICE, NOW_MS, XSS, Clock.AHEAD, 1, 1, 0, 0, 0, 0, (reader,)), NOW_MS)
    await reports.write()
    for path in (PAGE, "/console/devices"):
        text = (await admin.get(path)).text
        assert "&lt;script&gt;" in text
        assert XSS not in text
