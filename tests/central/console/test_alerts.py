"""The pages of alerts, of who is told, and of the servers' health, over HTTP."""

import re
from typing import Any

import pytest
from sqlalchemy import insert

from central.alerts import store
from central.alerts.conditions import Kind, Level, Place, Reading
from central.alerts.servers import ServerReport, note
from central.device_api import system_now_ms
from central.store.schema import alert_contacts, alerts, venues
from tests.central.actors import NOW_MS
from tests.central.city import City
from tests.central.console.person import Console
from tests.support.webhook_sink import webhook_sink

SQLITE = pytest.mark.parametrize("engine", ["sqlite"])


async def incident(console: Console, target: str = "door-1", venue: str = "main", kind: Kind = Kind.SILENT) -> str:
    """One that opened just now."""
    facts: dict[str, Any] = {"devices": [f"{target}-device"], "heard_ms": NOW_MS - 600_000}
    if kind is Kind.DISK:
        facts = {"free_bytes": 10**9, "total_bytes": 10**11}
    reading = Reading(kind, Place(target, venue, target if venue else ""), Level.BAD, facts)
    async with console.services.database.write() as connection:
        id_ = store.new_id(NOW_MS)
        await store.begin(connection, [(id_, reading)], NOW_MS)
    return id_.hex()


async def test_an_alert_is_taken_on_and_ended(console: Console, city: City) -> None:
    lin = await console.sign_in("operator", name="lin", venues=("main",))
    assert "目前沒有需要處理的狀況" in (await lin.get("/console/alerts")).text
    id_ = await incident(console)
    listed = await lin.get("/console/alerts")
    assert "閘門 door-1 沒有回報" in listed.text
    assert f"/console/alerts/{id_}" in listed.text
    shown = await lin.get(f"/console/alerts/{id_}")
    assert "請檢查該處的電源與網路" in shown.text
    taken = await lin.post(f"/console/alerts/{id_}/acknowledge", comment="on my way <b>")
    assert (taken.status, "on my way &lt;b&gt;" in taken.text) == (200, True)
    (row,) = await city.rows(alerts)
    assert (row.state, row.acknowledged_by) == ("acknowledged", "lin")
    ended = await lin.post(f"/console/alerts/{id_}/resolve", why="painted")
    assert "lin: painted" in ended.text
    assert "由我處理" not in ended.text
    assert "目前沒有需要處理的狀況" in (await lin.get("/console/alerts")).text
    assert "閘門 door-1 沒有回報" in (await lin.get("/console/alerts?state=resolved")).text


@SQLITE
async def test_an_end_without_a_reason_is_asked_for_again(console: Console, city: City) -> None:
    lin = await console.sign_in("operator", name="lin", venues=("main",))
    id_ = await incident(console)
    await lin.get(f"/console/alerts/{id_}")
    answered = await lin.post(f"/console/alerts/{id_}/resolve", why=" ")
    assert answered.status in (400, 409, 422)
    assert 'role="alert"' in answered.text
    (row,) = await city.rows(alerts)
    assert row.state == "open"


@SQLITE
async def test_nobody_reads_or_ends_alerts_of_other_venues(console: Console, city: City) -> None:
    await city.add(venues, {"id": "branch", "domain": "library", "time_zone": "Asia/Taipei"})
    id_ = await incident(console)
    of_server = await incident(console, "central:8443", "", Kind.DISK)
    wang = await console.sign_in("operator", name="wang", venues=("branch",))
    assert "door-1" not in (await wang.get("/console/alerts?state=any")).text
    for each in (id_, of_server):
        assert (await wang.get(f"/console/alerts/{each}")).status == 403
        assert (await wang.post(f"/console/alerts/{each}/resolve", why="x")).status == 403
    assert (await wang.get("/console/alerts?venue=main")).status == 403
    assert {row.state for row in await city.rows(alerts)} == {"open"}
    assert (await wang.get("/console/alerts/contacts")).status == 403
    assert (await wang.get("/console/health")).status == 403


@SQLITE
async def test_pages_go_on_by_key(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("central.console.pages.alerts.AT_ONCE", 2)
    for n in range(1, 6):
        await incident(console, f"door-{n}")
    chen = await console.sign_in("admin", name="chen")
    seen: list[str] = []
    page = await chen.get("/console/alerts")
    while True:
        seen += re.findall(r'href="/console/alerts/([0-9a-f]{32})"', page.text)
        more = re.search(r'href="(/console/alerts\?[^"]*after=[^"]*)" rel="next"', page.text)
        if more is None:
            break
        page = await chen.get(more[1].replace("&amp;", "&"))
    assert len(seen) == len(set(seen)) == 5


@SQLITE
async def test_an_admin_says_who_is_told(console: Console, city: City) -> None:
    chen = await console.sign_in("admin", name="chen")
    assert "目前沒有人會收到警示通知" in (await chen.get("/console/alerts/contacts")).text
    fields = {"id": "lin", "title": "林館員", "webhook": "https://hooks.example/SECRET", "language": "en"}
    added = await chen.post("/console/alerts/contacts", **fields, kinds=["silent", "disk"], venues=["main"])
    assert "林館員" in added.text
    assert "SECRET" not in added.text
    (row,) = await city.rows(alert_contacts)
    assert (row.kinds, row.venues, row.language) == ('["disk","silent"]', '["main"]', "en")
    shown = await chen.get("/console/alerts/contacts/lin")
    assert "SECRET" not in shown.text
    assert "https://hooks.example" in shown.text
    changed = await chen.post("/console/alerts/contacts/lin", title="Lin", mail="lin@library.example", language="en")
    assert changed.status == 200
    (row,) = await city.rows(alert_contacts)
    assert (row.title, row.mail, row.webhook_host, row.kinds) == (
        *("Lin", "lin@library.example"),
        *("https://hooks.example", "[]"),
    )
    await chen.post("/console/alerts/contacts/lin", title="Lin", mail="lin@library.example", no_webhook="true")
    (row,) = await city.rows(alert_contacts)
    assert row.webhook_sealed is None
    await chen.post("/console/alerts/contacts/lin/remove")
    assert await city.rows(alert_contacts) == []
    assert "/console/alerts/contacts" in (await chen.get("/console/alerts/contacts/lin")).url


@SQLITE
async def test_what_was_typed_wrong_is_shown_again_with_what_is_wrong(console: Console, city: City) -> None:
    chen = await console.sign_in("admin", name="chen")
    await chen.get("/console/alerts/contacts")
    answered = await chen.post("/console/alerts/contacts", id="lin", title="林館員", mail="lin")
    assert answered.status in (400, 409, 422)
    assert "不是電子郵件地址" in answered.text
    assert 'value="林館員"' in answered.text
    assert await city.rows(alert_contacts) == []


@SQLITE
async def test_a_test_shows_what_became_of_it(console: Console) -> None:
    chen = await console.sign_in("admin", name="chen")
    async with webhook_sink() as hook:
        await chen.get("/console/alerts/contacts")
        await chen.post("/console/alerts/contacts", id="ops", title="Ops", webhook=hook.url)
        assert "已送達" in (await chen.post("/console/alerts/contacts/ops/test")).text
        hook.status = 500
        assert "Webhook 回應 500" in (await chen.post("/console/alerts/contacts/ops/test")).text
    assert [body["what"] for body in hook.bodies] == ["test", "test"]


@SQLITE
async def test_an_auditor_sees_and_changes_nothing(console: Console) -> None:
    id_ = await incident(console)
    wu = await console.sign_in("auditor", name="wu")
    shown = await wu.get(f"/console/alerts/{id_}")
    assert shown.status == 200
    assert "/acknowledge" not in shown.text
    assert (await wu.post(f"/console/alerts/{id_}/acknowledge")).status == 403
    contacts = await wu.get("/console/alerts/contacts")
    assert (contacts.status, "新增人員" in contacts.text) == (200, False)


@SQLITE
@pytest.mark.parametrize("evil", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7*7 }}"])
async def test_no_text_of_anybody_becomes_part_of_a_page(console: Console, city: City, evil: str) -> None:
    chen = await console.sign_in("admin", name="chen")
    await chen.get("/console/alerts/contacts")
    await chen.post("/console/alerts/contacts", id="lin", title=evil, mail="lin@library.example")
    id_ = await incident(console, evil)
    await chen.get(f"/console/alerts/{id_}")
    await chen.post(f"/console/alerts/{id_}/acknowledge", comment=evil)
    await chen.post(f"/console/alerts/{id_}/resolve", why=evil)
    pages = [f"/alerts/{id_}", "/alerts?state=any", "/alerts/contacts", "/alerts/contacts/lin"]
    for path in pages:
        text = (await chen.get(f"/console{path}")).text
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert "49" not in re.sub(r"<[^>]*>", "", text).replace(evil, "") or evil != "{{ 7*7 }}"


# --- health -------------------------------------------------------------------------------------------------------


async def server(console: Console, name: str = "central:8443", seen_ms: int = NOW_MS, **said: Any) -> None:
    facts = {"version": "0.1.0", "disk_free_bytes": 50, "disk_total_bytes": 100, "tasks": {"settling": True}}
    async with console.services.database.write() as connection:
        await note(connection, name, NOW_MS - 60_000, seen_ms, ServerReport(**(facts | said)))


async def test_health_shows_servers_and_says_when_all_is_well(console: Console) -> None:
    console.services.now_ms = system_now_ms  # the database's clock is compared with it
    await server(console, seen_ms=system_now_ms(), backup_ms=system_now_ms() - 3_600_000)
    chen = await console.sign_in("admin", name="chen")
    shown = await chen.get("/console/health")
    assert "一切運作正常" in shown.text
    assert "central:8443" in shown.text


@SQLITE
@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"seen_ms": NOW_MS - 61_000}, "central:8443 沒有回報"),
        ({"tasks": {"settling": False}}, "背景工作已停止：事件結算"),
        ({"waits_for_restart": True}, "使用的金鑰不是最新的"),
        ({"is_named": False}, "裝置不信任 central:8443 的憑證"),
        ({"certificate_until_ms": NOW_MS + 86_400_000}, "憑證即將到期"),
        ({"disk_free_bytes": 10}, "磁碟快滿了"),
        ({"backup_ms": NOW_MS - 3 * 86_400_000}, "最近一次備份已超過兩天"),
        ({"backup_ms": 0}, "沒有已知的備份"),
    ],
)
async def test_health_says_in_words_what_is_wrong(console: Console, said: dict[str, Any], problem: str) -> None:
    await server(console, **({"backup_ms": NOW_MS} | said))
    chen = await console.sign_in("admin", name="chen")
    shown = await chen.get("/console/health")
    assert problem in shown.text
    assert "一切運作正常" not in shown.text


@SQLITE
async def test_health_of_a_database_that_no_server_ran_on_is_shown_too(console: Console) -> None:
    chen = await console.sign_in("admin", name="chen")
    shown = await chen.get("/console/health")
    assert shown.status == 200
    assert "還沒有伺服器回報" in shown.text


@SQLITE
async def test_an_alert_of_a_venue_that_is_gone_is_shown_by_its_name(console: Console, city: City) -> None:
    row = {
        "id": bytes(16),
        "kind": "silent",
        "target": "x",
        "venue": "gone",
        "gate": "x",
        "device": "",
        "state": "open",
    }
    async with console.services.database.write() as connection:
        await connection.execute(insert(alerts).values(row | {"opened_ms": NOW_MS, "facts": "{}"}))
    chen = await console.sign_in("admin", name="chen")
    assert "gone" in (await chen.get("/console/alerts")).text
    assert (await chen.get(f"/console/alerts/{bytes(16).hex()}")).status == 200
