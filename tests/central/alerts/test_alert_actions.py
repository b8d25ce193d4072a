"""The inbox of alerts, and who may see, take on and end them; contacts, and their tests."""

from typing import Any

import pytest
from sqlalchemy import select

from central.access.reach import Forbidden
from central.actions.action import ActionFailed
from central.alerts.conditions import Kind
from central.store.schema import alert_contacts, audit, venues
from tests.central.actors import NOW_MS, Device
from tests.central.alerts.conftest import Watched
from tests.central.callers import ask, caller
from tests.support.smtp_sink import SmtpSink
from tests.support.webhook_sink import WebhookSink

SQLITE = pytest.mark.parametrize("engine", ["sqlite"])
MINE = caller("lin", "operator", venues=("main",))
ELSEWHERE = caller("wang", "operator", venues=("branch",))
ADMIN, AUDITOR = caller("chen", "admin"), caller("wu", "auditor")


async def incident(watched: Watched) -> str:
    await watched.pass_s(480, every_s=60)
    (row,) = await watched.alerts()
    return str(row.id.hex())


async def test_an_alert_is_acknowledged_and_stays_until_it_is_over(watched: Watched) -> None:
    id_ = await incident(watched)
    listed = await ask(watched.admin, MINE, "alert.list", state="open")
    assert ([alert.id for alert in listed.alerts], listed.open, listed.more) == ([id_], 1, False)
    done = await ask(watched.admin, MINE, "alert.acknowledge", alert=id_, comment="on my way")
    assert (done.alert.state, done.alert.acknowledged_by, done.alert.comment) == ("acknowledged", "lin", "on my way")
    assert (await ask(watched.admin, MINE, "alert.list", state="open")).alerts == []
    assert len((await ask(watched.admin, MINE, "alert.list", state="standing")).alerts) == 1
    await watched.pass_s(240, every_s=60, heard=True)
    shown = (await ask(watched.admin, MINE, "alert.show", alert=id_)).alert
    assert (shown.state, shown.resolved_by, shown.acknowledged_by) == ("resolved", "", "lin")
    with pytest.raises(ActionFailed, match="over already"):
        await ask(watched.admin, MINE, "alert.acknowledge", alert=id_)


async def test_what_a_person_ends_is_not_opened_again_while_it_holds_on(watched: Watched, mails: SmtpSink) -> None:
    await watched.contact(mail="lin@library.example", language="en")
    id_ = await incident(watched)
    await watched.tell()
    done = await ask(watched.admin, MINE, "alert.resolve", alert=id_, why="the door is being painted")
    assert (done.alert.state, done.alert.resolved_by) == ("resolved", "lin")
    await watched.pass_s(600, every_s=60)
    assert await watched.standing() == []
    await watched.tell()
    assert "lin: the door is being painted" in mails.mails[-1].get_content()
    with pytest.raises(ActionFailed, match="over already"):
        await ask(watched.admin, MINE, "alert.resolve", alert=id_, why="again")
    await watched.pass_s(240, every_s=60, heard=True)
    await watched.pass_s(480, every_s=60)
    assert len(await watched.alerts()) == 2


async def test_what_is_done_stands_in_the_audit_log_with_what_was_before(watched: Watched) -> None:
    id_ = await incident(watched)
    await ask(watched.admin, MINE, "alert.acknowledge", alert=id_, comment="on my way")
    async with watched.database.read() as connection:
        rows = (await connection.execute(select(audit).order_by(audit.c.number))).all()
    done = rows[-1]
    assert (done.action, done.phase, done.who, done.target) == ("alert.acknowledge", "done", "lin", id_)
    assert '"was":{"alert":{"state":"open"' in done.body


@SQLITE
async def test_nobody_sees_or_touches_alerts_of_other_peoples_venues(watched: Watched) -> None:
    await watched.city.add(venues, {"id": "branch", "domain": "library", "time_zone": "Asia/Taipei"})
    id_ = await incident(watched)
    assert (await ask(watched.admin, ELSEWHERE, "alert.list")).alerts == []
    assert (await ask(watched.admin, ELSEWHERE, "alert.list")).open == 0
    for name, more in (("show", {}), ("acknowledge", {}), ("resolve", {"why": "x"})):
        with pytest.raises(Forbidden):
            await ask(watched.admin, ELSEWHERE, f"alert.{name}", alert=id_, **more)
    for values in ({"venue": "main"}, {"gate": "door-1"}):
        with pytest.raises(Forbidden):
            await ask(watched.admin, ELSEWHERE, "alert.list", **values)
    assert len((await ask(watched.admin, AUDITOR, "alert.list")).alerts) == 1
    with pytest.raises(Forbidden):
        await ask(watched.admin, AUDITOR, "alert.acknowledge", alert=id_)
    with pytest.raises(Forbidden):
        await ask(watched.admin, caller("ho", "coordinator", teams=("t",)), "alert.list")


@SQLITE
async def test_alerts_of_servers_are_for_those_who_see_all(watched: Watched) -> None:
    watched.watching = watched.another(alerts={"disk_percent": 100})
    await watched.pass_s(480, every_s=30, heard=True)
    (row,) = await watched.alerts()
    assert (row.kind, row.venue) == ("disk", "")
    assert (await ask(watched.admin, MINE, "alert.list")).alerts == []
    with pytest.raises(Forbidden):
        await ask(watched.admin, MINE, "alert.show", alert=row.id.hex())
    assert len((await ask(watched.admin, ADMIN, "alert.list")).alerts) == 1


async def test_the_inbox_is_paged_by_key(watched: Watched) -> None:
    for n in range(2, 8):
        await watched.city.add_gate(f"door-{n}")
        await watched.city.add_device(Device(f"door-{n}-device", f"door-{n}"))
    await watched.pass_s(480, every_s=60)
    seen: list[str] = []
    after = ""
    while True:
        page = await ask(watched.admin, MINE, "alert.list", after=after, limit=3)
        assert len(page.alerts) <= 3
        seen += [alert.id for alert in page.alerts]
        if not page.more:
            break
        after = seen[-1]
    assert len(seen) == len(set(seen)) == 7
    assert seen == sorted(seen, reverse=True)


@SQLITE
@pytest.mark.parametrize("alert", ["", "x", "00", "0" * 31, "0" * 33, "G" * 32, "0" * 32])
async def test_an_id_that_names_nothing_is_refused_in_words(watched: Watched, alert: str) -> None:
    with pytest.raises(Exception, match="no such alert|alert.show|pattern|regex"):
        await ask(watched.admin, ADMIN, "alert.show", alert=alert)


# --- contacts -----------------------------------------------------------------------------------------------------


async def test_a_contact_is_put_changed_and_removed_by_admins_alone(watched: Watched) -> None:
    values = {"id": "lin", "title": "林館員", "mail": "lin@library.example", "kinds": sorted(Kind), "venues": ["main"]}
    for who in (MINE, AUDITOR):
        with pytest.raises(Forbidden):
            await ask(watched.admin, who, "alert.contact.put", **values)
    await ask(watched.admin, ADMIN, "alert.contact.put", **values)
    (found,) = (await ask(watched.admin, AUDITOR, "alert.contact.list")).contacts
    assert (found.title, found.mail, found.kinds, found.venues) == (
        *("林館員", "lin@library.example"),
        *(sorted(Kind), ["main"]),
    )
    with pytest.raises(Forbidden):
        await ask(watched.admin, MINE, "alert.contact.list")
    await ask(watched.admin, ADMIN, "alert.contact.remove", id="lin")
    assert (await ask(watched.admin, ADMIN, "alert.contact.list")).contacts == []
    with pytest.raises(ActionFailed, match="no contact 'lin'"):
        await ask(watched.admin, ADMIN, "alert.contact.remove", id="lin")


async def test_a_webhook_can_hold_a_secret_that_nobody_reads_back(watched: Watched) -> None:
    url = "https://hooks.example:8443/services/T0/SECRET-PART"
    done = await ask(watched.admin, ADMIN, "alert.contact.put", id="ops", title="值班", webhook=url)
    assert done.contact.webhook_host == "https://hooks.example:8443"
    await ask(watched.admin, ADMIN, "alert.contact.put", id="ops", title="Ops", mail="ops@library.example")
    (row,) = await watched.city.rows(alert_contacts)
    assert watched.keys.open_webhook(row.webhook_sealed, "ops") == url  # not given: as it was
    everything = repr([tuple(row) for table in (alert_contacts, audit) for row in await watched.city.rows(table)])
    assert "SECRET-PART" not in everything
    done = await ask(watched.admin, ADMIN, "alert.contact.put", id="ops", title="Ops", mail="o@b.example", webhook="")
    assert done.contact.webhook_host == ""
    (row,) = await watched.city.rows(alert_contacts)
    assert row.webhook_sealed is None


@SQLITE
@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "state a mail address or a webhook"),
        ({"mail": "lin"}, "is no mail address"),
        ({"mail": "a@b.example\nBcc: c@d.example"}, "is no mail address"),
        ({"webhook": "http://hooks.example/x"}, "begins with https://"),
        ({"webhook": "file:///etc/passwd"}, "names no host"),
        ({"webhook": "https://user:pw@hooks.example/x"}, "a name or password"),
        ({"webhook": "https://hooks.example/\r\nX: y"}, "printable ASCII"),
        ({"webhook": "https://hooks.example:99999/"}, "no URL"),
        ({"webhook": "http://127.0.0.1.evil.example/"}, "begins with https://"),
        ({"webhook": "http://[::1/"}, "no URL"),
        ({"mail": "a@b.example", "venues": ["nowhere"]}, "no venue 'nowhere'"),
    ],
)
async def test_where_nobody_can_be_told_is_refused(watched: Watched, values: dict[str, Any], said: str) -> None:
    with pytest.raises(ActionFailed, match=said) as caught:
        await ask(watched.admin, ADMIN, "alert.contact.put", id="lin", title="Lin", **values)
    assert "hooks.example/" not in str(caught.value)
    assert await watched.city.rows(alert_contacts) == []


@SQLITE
async def test_a_test_says_at_once_what_became_of_it(watched: Watched, mails: SmtpSink, hook: WebhookSink) -> None:
    await watched.contact(mail="lin@library.example", webhook=hook.url, language="en")
    hook.status = 403
    done = await ask(watched.admin, ADMIN, "alert.test", id="lin")
    assert [(each.channel, each.problem) for each in done.sent] == [
        ("mail", ""),
        ("webhook", "the webhook answered 403"),
    ]
    assert mails.mails[0]["Subject"] == "[Tapgate] A test"
    assert (hook.bodies[0]["what"], hook.bodies[0]["alert"]) == ("test", None)
    with pytest.raises(Forbidden):
        await ask(watched.admin, AUDITOR, "alert.test", id="lin")


@SQLITE
async def test_the_newest_time_says_when_a_contact_was_changed(watched: Watched) -> None:
    await watched.contact(mail="lin@library.example")
    (found,) = (await ask(watched.admin, ADMIN, "alert.contact.list", id="lin")).contacts
    assert found.changed_ms == NOW_MS
