"""The list of batches, with what became evidence between them; and one batch, taken apart and checked."""

import os
from typing import Any

import pytest

from central import enrolment
from central.access.caller import Role
from central.access.reach import Forbidden
from central.actions.action import ActionFailed
from central.actions.custody import batch_search
from central.custody import Custodian
from central.store.database import Database
from central.store.schema import batches, events
from protocol.errors import Refused
from protocol.messages import Upload, decode
from tests.central.actors import NOW_MS, Device, Journal
from tests.central.admin import Admin
from tests.central.callers import ask, caller
from tests.central.city import City

HOUR_MS = 3_600_000


async def eventful(custodian: Custodian, device: Device) -> Journal:
    """Live batches, a resend, a queued one, a gap that is asked about, a declared loss, a fork, one of the future."""
    journal = Journal(device)
    journal.tap(2)
    await custodian.take(journal.upload(), NOW_MS + 1_000)
    await custodian.take(journal.upload(), NOW_MS + 2_000)
    journal.tap(3)
    await custodian.take(journal.upload(3), NOW_MS + HOUR_MS)  # its taps are of NOW_MS
    journal.tap(4)
    await custodian.take(journal.upload(8), NOW_MS + HOUR_MS + 1)  # 6 and 7 are missing
    await custodian.take(journal.upload(8, lost=2), NOW_MS + HOUR_MS + 2)
    other = journal.branch(9)
    other.tap()
    await custodian.take(other.upload(9), NOW_MS + HOUR_MS + 3)
    journal.add("tap", at_ms=NOW_MS + 9 * HOUR_MS)
    await custodian.take(journal.upload(10), NOW_MS + HOUR_MS + 4)
    return journal


def facts(line: Any) -> tuple[Any, ...]:
    return line.outcome, line.first, line.through, line.events


async def test_everything_that_came_is_told_newest_first(admin: Admin, city: City, custodian: Custodian) -> None:
    await eventful(custodian, city.device)
    page = await admin.act("batch.list")
    assert [facts(line) for line in page.batches] == [
        ("accepted", 10, 10, 1),
        ("fork", -1, -1, 0),
        ("forked", 9, 9, 0),
        ("loss", -1, -1, 0),
        ("accepted", 8, 9, 2),
        ("gap", -1, -1, 0),
        ("accepted", 3, 5, 3),
        ("accepted", 0, 2, 3),
    ]
    ahead, *_, queued, live = page.batches
    assert (live.resent, live.delay_ms, live.gate, live.venue) == (1, 1_000, "door-1", "main")
    assert live.receipted
    assert queued.delay_ms == HOUR_MS
    assert ahead.ahead_ms == 8 * HOUR_MS - 4
    assert "sent from 8" in page.batches[5].detail
    assert page.batches[5].epoch == live.epoch
    assert page.next == ""


@pytest.mark.parametrize("scan", [batch_search.SCAN, 3], ids=["at once", "step by step"])
async def test_pages_hold_all_of_them_once(
    scan: int, admin: Admin, pool: Device, city: City, custodian: Custodian, monkeypatch: pytest.MonkeyPatch
) -> None:
    journals = [await eventful(custodian, device) for device in (city.device, pool)]
    whole = (await admin.act("batch.list", limit=200)).batches
    assert len(whole) == 16
    monkeypatch.setattr(batch_search, "SCAN", scan)
    odd = {"untrusted", "forked", *batch_search.EVIDENCE}
    cases: list[tuple[dict[str, Any], Any]] = [
        ({}, lambda _line: True),
        ({"device": pool.id}, lambda line: line.device == pool.id),
        ({"gate": "door-1"}, lambda line: line.gate == "door-1"),
        ({"venue": "pool", "outcome": "accepted"}, lambda line: line.venue == "pool" and line.outcome == "accepted"),
        ({"outcome": "forked"}, lambda line: line.outcome == "forked"),
        ({"outcome": "gap"}, lambda line: line.outcome == "gap"),
        ({"outcome": "resent"}, lambda line: line.resent > 0),
        ({"outcome": "odd"}, lambda line: line.outcome in odd or line.resent > 0),
        ({"epoch": journals[0].epoch.hex()}, lambda line: line.epoch == journals[0].epoch.hex() and not line.evidence),
        ({"device": pool.id, "epoch": journals[0].epoch.hex()}, lambda _line: False),
        ({"since_ms": NOW_MS + HOUR_MS}, lambda line: line.received_ms >= NOW_MS + HOUR_MS),
        ({"until_ms": NOW_MS + HOUR_MS}, lambda line: line.received_ms < NOW_MS + HOUR_MS),
    ]
    for filters, wanted in cases:
        found, after = [], ""
        for _ in range(100):
            page = await admin.act("batch.list", limit=3, after=after, **filters)
            found += page.batches
            after = page.next
            if not after:
                break
        assert found == [line for line in whole if wanted(line)], filters


async def test_a_text_finds_batches(admin: Admin, pool: Device, city: City, custodian: Custodian) -> None:
    journal = await eventful(custodian, city.device)
    epoch = f"{city.device.id}/{journal.epoch.hex()}"

    async def found(text: str) -> list[tuple[Any, ...]]:
        return [facts(line) for line in (await admin.act("batch.list", text=text)).batches]

    assert await found(f"{epoch}/9") == [("forked", 9, 9, 0), ("accepted", 8, 9, 2)]
    assert await found(f"{epoch}/7") == []
    assert len(await found(epoch)) == 5
    assert len(await found("main")) == 8
    assert await found("pool-1") == []
    with pytest.raises(ActionFailed, match="batches have no reason"):
        await found("expired")
    with pytest.raises(ActionFailed, match="no outcome 'bad'"):
        await admin.act("batch.list", outcome="bad")


async def test_what_was_refused_is_evidence_with_its_device(admin: Admin, city: City, custodian: Custodian) -> None:
    journal = Journal(city.device)
    with pytest.raises(Refused):
        await custodian.take(journal.upload(head=os.urandom(32)), NOW_MS)
    (line,) = (await admin.act("batch.list", outcome="broken-chain")).batches
    assert (line.evidence, line.device, line.gate) == ("broken-chain", city.device.id, "door-1")


# --- one batch --------------------------------------------------------------------------------------------------


def found_steps(shown: Any) -> dict[str, str]:
    return {check.step: check.finding for check in shown.checks}


async def test_a_batch_is_shown_as_it_was_signed(admin: Admin, city: City, custodian: Custodian) -> None:
    journal = await eventful(custodian, city.device)
    where = {"device": city.device.id, "epoch": journal.epoch.hex()}
    shown = await admin.act("batch.show", **where, first=0, raw=True)
    assert found_steps(shown) == dict.fromkeys(("form", "root", "keys", "device", "batch", "chain", "receipt"), "holds")
    assert shown.holds
    assert [(each.sequence, each.kind, each.custody) for each in shown.events] == [
        (0, "start", "accepted"),
        (1, "tap", "accepted"),
        (2, "tap", "accepted"),
    ]
    assert [each.head for each in shown.events] == [head.hex() for head in journal.heads[1:4]]
    assert shown.raw == decode(Upload, journal.upload(0, 2)).batch.hex()
    assert (shown.before, shown.after.first) == (None, 3)
    assert shown.receipt["through"] == 2
    after_loss = await admin.act("batch.show", **where, first=8)
    assert after_loss.lost == 2
    assert [piece.kind for piece in after_loss.evidence] == ["loss"]
    with pytest.raises(ActionFailed, match="no batch"):
        await admin.act("batch.show", **where, first=1)


async def test_a_forked_batch_shows_its_own_events(admin: Admin, city: City, custodian: Custodian) -> None:
    journal = await eventful(custodian, city.device)
    (line,) = (await admin.act("batch.list", outcome="forked")).batches
    shown = await admin.act("batch.show", device=line.device, epoch=line.epoch, first=line.first, digest=line.digest)
    assert [each.custody for each in shown.events] == ["forked"]
    assert shown.events[0].head != journal.heads[10].hex()
    assert [piece.kind for piece in shown.evidence] == ["fork"]
    assert shown.holds, "it is what the device signed"


async def test_exceptions_are_told_beside_their_events(admin: Admin, city: City, custodian: Custodian) -> None:
    journal = Journal(city.device)
    journal.add("from-the-future")
    journal.add_raw(b"\x93\x01\x02\x03")
    await custodian.take(journal.upload(), NOW_MS)
    shown = await admin.act("batch.show", device=city.device.id, epoch=journal.epoch.hex(), first=0)
    assert [(each.kind, each.custody) for each in shown.events] == [
        ("start", "accepted"),
        ("from-the-future", "held"),
        ("unreadable", "refused"),
    ]
    assert "does not decode" in shown.events[2].why


async def test_damage_is_told_and_breaks_nothing(
    admin: Admin, city: City, custodian: Custodian, database: Database
) -> None:
    journal = Journal(city.device)
    journal.tap()
    await custodian.take(journal.upload(), NOW_MS)
    envelope = decode(Upload, journal.upload()).batch
    where = {"device": city.device.id, "epoch": journal.epoch.hex(), "first": 0}
    for damaged, step in ((envelope[:-1] + b"\0", "batch"), (envelope[:40], "batch"), (b"", "batch")):
        await city.change(batches, batches.c.first == 0, envelope=damaged)
        shown = await admin.act("batch.show", **where)
        assert not shown.holds
        assert found_steps(shown)[step] == "fails"
        assert (await admin.act("batch.list")).batches


# --- whose it is ------------------------------------------------------------------------------------------------


async def test_an_operator_sees_the_own_batches_and_no_others(
    admin: Admin, pool: Device, city: City, custodian: Custodian, database: Database
) -> None:
    mine, other = [await eventful(custodian, device) for device in (pool, city.device)]
    mei = caller("mei", Role.OPERATOR, venues=("pool",))
    page = await ask(admin, mei, "batch.list", limit=200)
    assert len(page.batches) == 8
    assert {line.device for line in page.batches} == {pool.id}
    for text in (f"{city.device.id}/{other.epoch.hex()}/1", f"{city.device.id}/{other.epoch.hex()}", "door-1", "main"):
        assert (await ask(admin, mei, "batch.list", text=text)).batches == [], text
    shown = await ask(admin, mei, "batch.show", device=pool.id, epoch=mine.epoch.hex(), first=0)
    assert shown.events
    with pytest.raises(ActionFailed, match="no batch"):
        await ask(admin, mei, "batch.show", device=city.device.id, epoch=other.epoch.hex(), first=0)
    await ask(admin, mei, "log")
    assert {line.device for line in admin.items} == {pool.id}
    pieces = (await ask(admin, mei, "evidence")).evidence
    assert {piece.device for piece in pieces} == {pool.id}
    with pytest.raises(Forbidden):
        await ask(admin, mei, "batch.list", device=city.device.id)
    with pytest.raises(Forbidden):
        await ask(admin, caller("c", Role.COORDINATOR, teams=("guides",)), "batch.list")


async def test_who_gets_a_device_later_does_not_get_its_past(
    admin: Admin, pool: Device, city: City, custodian: Custodian
) -> None:
    before, after = Journal(city.device), Journal(pool)
    before.tap()
    await custodian.take(before.upload(), NOW_MS)
    after.tap()
    await custodian.take(after.upload(), NOW_MS)
    # the gate of the events goes to the other venue's hands only with the device
    await city.change(events, events.c.device == pool.id, gate="door-1")
    mei = caller("mei", Role.OPERATOR, venues=("pool",))
    assert (await ask(admin, mei, "batch.list")).batches == []
    assert (await ask(admin, mei, "event.list")).events == []


async def test_untrusted_batches_are_told_without_a_receipt(
    admin: Admin, city: City, custodian: Custodian, database: Database
) -> None:
    journal = Journal(city.device)
    await custodian.take(journal.upload(), NOW_MS)
    async with database.write() as connection:
        await enrolment.revoke(connection, city.device.id, "stolen", NOW_MS)
    journal.tap()
    await custodian.take(journal.upload(1), NOW_MS + 1)
    (line,) = (await admin.act("batch.list", outcome="untrusted")).batches
    assert not line.receipted
    shown = await admin.act("batch.show", device=line.device, epoch=line.epoch, first=1)
    assert shown.receipt is None
    assert found_steps(shown)["receipt"] == "fails"
    assert [each.custody for each in shown.events] == ["untrusted"]
