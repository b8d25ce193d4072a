"""A named person hears of an incident: once when it opens, once when it is over, whatever breaks in between."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import update

from central.alerts import backoff, outbox, telling
from central.alerts.watching import Watching
from central.store.schema import alert_contacts, alert_messages, gates
from tests.central.alerts.conftest import Watched
from tests.support.smtp_sink import SmtpSink
from tests.support.webhook_sink import WebhookSink

SQLITE = pytest.mark.parametrize("engine", ["sqlite"])


async def silence(watched: Watched) -> None:
    """The gate of the city falls silent."""
    await watched.pass_s(480, every_s=60)
    assert await watched.standing() == [("silent", "door-1")]


async def recovery(watched: Watched) -> None:
    await watched.pass_s(240, every_s=60, heard=True)
    assert await watched.standing() == []


async def test_a_person_gets_one_mail_when_it_opens_and_one_when_it_is_over(watched: Watched, mails: SmtpSink) -> None:
    await watched.contact(mail="lin@library.example", language="en")
    await silence(watched)
    await watched.tell()
    await watched.pass_s(120, every_s=60)
    await watched.tell()
    (mail,) = mails.mails
    assert mails.recipients == ["RCPT TO:<lin@library.example>"] or "lin@library.example" in mails.recipients[0]
    assert mail["Subject"] == "[Tapgate] Opened: Gate door-1 is silent"
    assert (mail["From"], mail["To"]) == ("tapgate@library.example", "lin@library.example")
    (alert,) = await watched.alerts()
    text = mail.get_content()
    assert "Check power and network there" in text
    assert f"/console/alerts/{alert.id.hex()}" in text
    assert "door-1-device" in text
    await recovery(watched)
    await watched.tell()
    assert [each["Subject"] for each in mails.mails[1:]] == ["[Tapgate] Over: Gate door-1 is silent"]
    assert {row.state for row in await watched.city.rows(alert_messages)} == {"told"}


@SQLITE
async def test_mail_is_in_the_language_of_the_person(watched: Watched, mails: SmtpSink) -> None:
    await watched.contact(mail="lin@library.example", language="zh-TW")
    await silence(watched)
    await watched.tell()
    (mail,) = mails.mails
    assert mail["Subject"] == "[Tapgate] 發生：閘門 door-1 沒有回報"
    assert "請檢查該處的電源與網路" in mail.get_content()


async def test_a_system_is_told_by_a_webhook(watched: Watched, hook: WebhookSink) -> None:
    await watched.contact(webhook=hook.url)
    await silence(watched)
    await watched.tell()
    await recovery(watched)
    await watched.tell()
    opened, over = hook.bodies
    (row,) = await watched.alerts()
    assert (opened["what"], over["what"]) == ("opened", "resolved")
    assert opened["alert"]["id"] == over["alert"]["id"] == row.id.hex()
    told = {name: opened["alert"][name] for name in ("kind", "target", "venue", "gate", "device")}
    place = {"venue": "main", "gate": "door-1", "device": "door-1-device"}
    assert told == {"kind": "silent", "target": "door-1"} | place
    assert (opened["alert"]["resolved_ms"], over["alert"]["resolved_ms"]) == (None, row.resolved_ms)
    assert opened["alert"]["facts"]["devices"] == ["door-1-device"]
    assert opened["delivery"] == hook.deliveries[0] != hook.deliveries[1]


@SQLITE
async def test_people_hear_of_what_they_care_for(watched: Watched, mails: SmtpSink) -> None:
    for id_, values in {
        "all": {},
        "kind": {"kinds": ["silent"]},
        "venue": {"venues": ["main"]},
        "other-kind": {"kinds": ["disk", "skew"]},
    }.items():
        await watched.contact(id_, mail=f"{id_}@library.example", **values)
    async with watched.database.write() as connection:
        await connection.execute(update(alert_contacts).values(changed_ms=1))
    await silence(watched)
    await watched.tell()
    assert sorted(mail["To"].partition("@")[0] for mail in mails.mails) == ["all", "kind", "venue"]


@SQLITE
async def test_of_servers_hear_those_who_are_not_bound_to_venues(watched: Watched) -> None:
    await watched.contact("all", mail="all@library.example")
    await watched.contact("venue", mail="venue@library.example", venues=["main"])
    async with watched.database.write() as connection:
        await outbox.opened(connection, [(b"x" * 16, "disk", "")], watched.now_ms)
    assert [row.contact for row in await watched.city.rows(alert_messages)] == ["all"]


@SQLITE
async def test_a_line_that_fails_is_one_mail_and_not_a_hundred(watched: Watched, mails: SmtpSink) -> None:
    for n in range(2, 40):
        await watched.city.add_gate(f"door-{n}")
        device = watched.city.device.__class__(f"door-{n}-device", f"door-{n}")
        await watched.city.add_device(device)
    assert len(await watched.city.rows(gates)) == 39
    await watched.contact(mail="lin@library.example", language="en")
    await watched.pass_s(480, every_s=60)
    assert len(await watched.standing()) == 39
    await watched.tell()
    (mail,) = mails.mails
    assert mail["Subject"].endswith("(and 38 more)")
    assert mail.get_content().count("is silent") == 39


# --- what breaks --------------------------------------------------------------------------------------------------


async def test_a_mail_that_was_not_taken_is_tried_again_with_growing_pauses(watched: Watched, mails: SmtpSink) -> None:
    await watched.contact(mail="lin@library.example")
    mails.answers["MAIL"] = "451 later"
    await silence(watched)
    tries = []
    for _ in range(60):
        if await watched.tell():
            tries.append(watched.now_ms)
        watched.now_ms += 10_000
    assert [after - before for before, after in zip(tries, tries[1:], strict=False)] == [
        30_000,
        60_000,
        120_000,
        240_000,
    ]
    (row,) = await watched.city.rows(alert_messages)
    assert (row.state, row.problem) == ("waiting", "the mail server answered 451")
    mails.answers.clear()
    watched.now_ms += backoff.LONGEST_MS
    await watched.tell()
    assert len(mails.mails) == 1
    (row,) = await watched.city.rows(alert_messages)
    assert (row.state, row.problem) == ("told", "")


@SQLITE
async def test_what_nobody_takes_for_days_is_given_up_and_says_why(watched: Watched, mails: SmtpSink) -> None:
    await watched.contact(mail="lin@library.example")
    mails.answers["RCPT"] = "550 nobody of that name"
    await silence(watched)
    await watched.tell()
    watched.now_ms += backoff.GIVE_UP_MS
    await watched.tell()
    (row,) = await watched.city.rows(alert_messages)
    assert (row.state, row.problem) == ("given-up", "the mail server refused the address (550)")
    await recovery(watched)
    await watched.tell()
    assert len(await watched.city.rows(alert_messages)) == 1  # of what was never told nobody hears that it is over


@SQLITE
async def test_a_server_that_dies_between_sending_and_noting_sends_the_same_again(
    watched: Watched, mails: SmtpSink, hook: WebhookSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost, and who receives it twice can know it by its name."""
    await watched.contact(mail="lin@library.example", webhook=hook.url)
    await silence(watched)

    async def die(*_: Any) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as dying:
        dying.setattr(outbox, "told", die)
        with pytest.raises(asyncio.CancelledError):
            await watched.tell()
        while not hook.bodies:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)  # the other channel's task dies as well
    assert (len(mails.mails), len(hook.bodies)) == (1, 1)
    other = watched.another(port=9_001)
    assert await other.tell(watched.http) == 0  # somebody may still be sending it
    watched.now_ms += outbox.TAKEN_MS
    while await other.tell(watched.http):
        pass
    assert mails.mails[0]["Message-ID"] == mails.mails[1]["Message-ID"]
    assert hook.deliveries[0] == hook.deliveries[1]
    assert hook.bodies[0] == hook.bodies[1]
    assert {row.state for row in await watched.city.rows(alert_messages)} == {"told"}
    watched.now_ms += 86_400_000
    assert await other.tell(watched.http) == 0


@SQLITE
async def test_a_mail_server_that_takes_a_mail_and_does_not_say_so_gets_the_same_again(
    watched: Watched, mails: SmtpSink
) -> None:
    await watched.contact(mail="lin@library.example")
    await silence(watched)
    mails.hang_up_after_data = True
    await watched.tell()
    assert len(mails.mails) == 1  # not at once: it may have been taken
    mails.hang_up_after_data = False
    watched.now_ms += backoff.FIRST_MS
    await watched.tell()
    assert [mail["Message-ID"] for mail in mails.mails] == [mails.mails[0]["Message-ID"]] * 2


async def test_several_processes_tell_once(watched: Watched, mails: SmtpSink, hook: WebhookSink) -> None:
    for n in range(5):
        await watched.contact(f"person-{n}", mail=f"person-{n}@library.example", webhook=f"{hook.url}/{n}")
    await silence(watched)
    processes: list[Watching] = [watched.watching, *(watched.another(port=9_000 + n) for n in range(3))]
    for _ in range(3):
        await asyncio.gather(*(each.tell(watched.http) for each in processes))
    assert sorted(mail["To"] for mail in mails.mails) == [f"person-{n}@library.example" for n in range(5)]
    assert sorted(hook.paths) == [f"/hook/{n}" for n in range(5)]


@SQLITE
async def test_a_webhook_that_hangs_holds_up_no_mail(
    watched: Watched, mails: SmtpSink, hook: WebhookSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "TIMEOUT_S", 0.3)
    hook.delay_s = 5
    await watched.contact("slow", webhook=hook.url)
    await watched.contact("lin", mail="lin@library.example")
    await silence(watched)
    await watched.tell()
    assert len(mails.mails) == 1
    states = {row.contact: (row.state, row.problem) for row in await watched.city.rows(alert_messages)}
    assert states == {"lin": ("told", ""), "slow": ("waiting", "the webhook broke off (TimeoutError)")}


@SQLITE
@pytest.mark.parametrize(
    ("status", "problem"),
    [(500, "the webhook answered 500"), (302, "the webhook answered 302: redirects are not followed")],
)
async def test_an_answer_that_takes_nothing_is_no_telling(
    watched: Watched, hook: WebhookSink, status: int, problem: str
) -> None:
    hook.status = status
    await watched.contact(webhook=hook.url)
    await silence(watched)
    await watched.tell()
    (row,) = await watched.city.rows(alert_messages)
    assert (row.state, row.problem, hook.paths) == ("waiting", problem, ["/hook"])


@SQLITE
async def test_nobody_is_told_after_being_removed(watched: Watched, mails: SmtpSink) -> None:
    await watched.contact(mail="lin@library.example")
    await silence(watched)
    await watched.admin.act("alert.contact.remove", id="lin")
    assert await watched.tell() == 0
    assert mails.said == []


@SQLITE
async def test_a_webhook_that_was_moved_to_another_contact_is_not_called(watched: Watched, hook: WebhookSink) -> None:
    await watched.contact("lin", webhook=hook.url)
    await watched.contact("wang", mail="wang@library.example")
    (lin, _) = sorted(await watched.city.rows(alert_contacts), key=lambda row: row.id)
    await watched.city.change(alert_contacts, alert_contacts.c.id == "wang", webhook_sealed=lin.webhook_sealed, mail="")
    await watched.admin.act("alert.contact.remove", id="lin")
    await silence(watched)
    await watched.tell()
    assert hook.bodies == []
    (row,) = await watched.city.rows(alert_messages)
    assert "was altered" in row.problem


@SQLITE
async def test_a_mail_server_that_cannot_prove_who_it_is_gets_no_password(
    watched: Watched, mails: SmtpSink, tmp_path: Any
) -> None:
    (tmp_path / "password").write_text("secret-of-the-mail\n")
    mails.answers["EHLO"] = "250-sink\r\n250 STARTTLS"
    mails.answers["STARTTLS"] = "220 go on"  # and then speaks no TLS
    settings = telling.MailConfig(
        host="127.0.0.1", port=mails.port, sender="a@b.example", user="a", password_file=tmp_path / "password"
    )
    with pytest.raises(telling.NotTold, match="did not prove who it is|broke off"):
        await telling.mail(settings, telling.Letter("lin@library.example", "s", "t", "d", 1))
    assert not any("AUTH" in line or "secret" in line for line in mails.said)
    assert mails.mails == []


async def test_a_mail_server_without_tls_gets_nothing_where_tls_is_asked_for(mails: SmtpSink) -> None:
    settings = telling.MailConfig(host="127.0.0.1", port=mails.port, sender="a@b.example")
    with pytest.raises(telling.NotTold):
        await telling.mail(settings, telling.Letter("lin@library.example", "s", "t", "d", 1))
    assert mails.mails == []


@pytest.mark.parametrize(
    "to", ["a@b.example\r\nBcc: c@d.example", "a@b.example, c@d.example", "<a@b.example>", "a", ""]
)
async def test_no_address_carries_more_than_itself(mails: SmtpSink, to: str) -> None:
    settings = telling.MailConfig(host="127.0.0.1", port=mails.port, sender="a@b.example", security="none")
    with pytest.raises(telling.NotTold, match="address"):
        await telling.mail(settings, telling.Letter(to, "s", "t", "d", 1))
    assert mails.said == []
