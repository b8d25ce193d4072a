"""The list of events: what filters and pages find, what it never shows, and that a search has an end."""

import random
from typing import Any

import pytest

from central import enrolment
from central.access.caller import Role
from central.access.reach import Forbidden
from central.actions.action import ActionFailed
from central.actions.custody import event_search
from central.custody import Custodian
from central.store.database import Database
from tests.central.actors import NOW_MS, Device, Journal
from tests.central.admin import Admin
from tests.central.callers import ask, caller
from tests.central.city import City
from tests.central.sync_log.conftest import name_of

KINDS = ("tap", "tap", "tap", "passage", "admit", "reader")
REASONS = ("ok", "ok", "unknown-card", "expired")


async def filled(custodian: Custodian, *devices: Device, events: int = 40, at_ms: int = NOW_MS) -> list[Journal]:
    """A journal of each, of taps a second apart, some denied, some kinds rare; many at one instant."""
    chosen, journals = random.Random(7), []
    for device in devices:
        journal = Journal(device)
        for number in range(events):
            kind, reason = chosen.choice(KINDS), chosen.choice(REASONS)
            facts: dict[str, Any] = {}
            if kind == "tap":
                decision = "granted" if reason == "ok" else "denied"
                facts = {"decision": decision, "reason": reason, "direction": "in"}
            journal.add(kind, at_ms=at_ms + number // 3 * 1_000, **facts)
        await custodian.take(journal.upload(), NOW_MS)
        journals.append(journal)
    return journals


async def all_pages(admin: Admin, limit: int = 7, **filters: Any) -> list[str]:
    """The names on all pages, in the order in which they come."""
    found: list[str] = []
    after = ""
    for _ in range(500):
        page = await admin.act("event.list", after=after, limit=limit, **filters)
        assert len(page.events) <= limit
        found += [event.event for event in page.events]
        after = page.next
        if not after:
            return found
    raise AssertionError("the pages have no end")


async def everything(admin: Admin) -> list[Any]:
    """All events in the order of the list, found without it."""
    await admin.act("log")
    order = sorted(admin.items, key=lambda line: (line.time, line.device, line.epoch, line.sequence), reverse=True)
    return [line for line in order if line.outcome != "forked"]


FILTERS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "gate": {"gate": "pool-1"},
    "device": {"device": "pool-1-device"},
    "denied": {"decision": "denied"},
    "granted": {"decision": "granted"},
    "reason": {"reason": "expired"},
    "granting-reason": {"reason": "ok"},
    "reason-of-the-other-decision": {"reason": "ok", "decision": "denied"},
    "kind": {"kind": "tap"},
    "rare-kind": {"kind": "admit"},
    "rare-kind-at-a-gate": {"kind": "reader", "gate": "door-1"},
    "gate-and-reason": {"gate": "pool-1", "reason": "unknown-card"},
    "gate-and-device": {"gate": "pool-1", "device": "pool-1-device"},
    "gate-and-another-device": {"gate": "door-1", "device": "pool-1-device"},
    "outcome": {"outcome": "held"},
    "accepted": {"outcome": "accepted", "kind": "tap"},
    "direction": {"direction": "in"},
    "gate-nowhere": {"gate": "nowhere"},
}


@pytest.mark.parametrize("scan", [event_search.SCAN, 9], ids=["at once", "step by step"])
async def test_pages_hold_what_matches_once_and_in_order(
    scan: int, admin: Admin, pool: Device, city: City, custodian: Custodian, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(custodian, city.device, pool)
    monkeypatch.setattr(event_search, "SCAN", scan)
    lines = await everything(admin)
    for name, filters in FILTERS.items():
        expected = [
            f"{line.device}/{line.epoch}/{line.sequence}"
            for line in lines
            if all(getattr(line, field) == value for field, value in filters.items())
        ]
        assert await all_pages(admin, **filters) == expected, name


async def test_times_bound_what_is_found(admin: Admin, city: City, custodian: Custodian) -> None:
    await filled(custodian, city.device)
    since_ms, until_ms = NOW_MS + 3_000, NOW_MS + 9_000
    for filters in ({}, {"gate": "door-1"}, {"kind": "tap"}, {"decision": "denied"}):
        found = await admin.act("event.list", since_ms=since_ms, until_ms=until_ms, limit=200, **filters)
        assert found.events
        assert all(since_ms <= event.at_ms < until_ms for event in found.events)
        whole = await admin.act("event.list", limit=200, **filters)
        assert len(found.events) == sum(since_ms <= event.at_ms < until_ms for event in whole.events)


async def test_a_search_that_finds_little_says_how_far_it_looked_and_goes_on(
    admin: Admin, city: City, custodian: Custodian, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_search, "SCAN", 10)
    journal = Journal(city.device)
    for number in range(60):
        facts = {"reason": "expired", "decision": "denied"} if number == 5 else {"reason": "ok", "decision": "granted"}
        journal.add("tap", at_ms=NOW_MS + number * 1_000, direction="in", **facts)
    await custodian.take(journal.upload(), NOW_MS)
    first = await admin.act("event.list", gate="door-1", reason="expired")
    assert first.events == []
    assert NOW_MS + 45_000 <= first.searched_ms <= NOW_MS + 50_000
    assert await all_pages(admin, gate="door-1", reason="expired") == [name_of(journal, 6)]


async def test_an_epoch_is_read_in_its_own_order_whatever_its_clock_said(
    admin: Admin, city: City, custodian: Custodian, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(city.device)
    for number in range(30):
        journal.add("tap" if number % 10 else "reader", at_ms=NOW_MS - number * 60_000)
    await custodian.take(journal.upload(), NOW_MS)
    epoch = f"{city.device.id}/{journal.epoch.hex()}"
    assert await all_pages(admin, text=epoch) == [name_of(journal, number) for number in range(30, -1, -1)]
    monkeypatch.setattr(event_search, "SCAN", 4)
    assert await all_pages(admin, text=epoch, kind="reader") == [name_of(journal, number) for number in (21, 11, 1)]
    assert await all_pages(admin, text=f"{city.device.id}/{bytes(8).hex()}") == []


async def test_a_text_finds_what_it_names(admin: Admin, pool: Device, city: City, custodian: Custodian) -> None:
    journal, other = await filled(custodian, city.device, pool)

    async def found(text: str, **filters: Any) -> set[str]:
        page = await admin.act("event.list", text=text, limit=200, **filters)
        return {event.event.rpartition("/")[0] for event in page.events}

    one = await admin.act("event.list", text=f" {name_of(journal, 7)} ")
    assert [event.event for event in one.events] == [name_of(journal, 7)]
    assert (await admin.act("event.list", text=name_of(journal, 999))).events == []
    mine, its = (f"{each.device.id}/{each.epoch.hex()}" for each in (journal, other))
    assert await found("pool-1-device") == {its}
    assert await found("door-1") == {mine}
    assert await found("pool") == {its}
    assert await found("expired") == {mine, its}
    assert await found("admit", gate="door-1") == {mine}
    with pytest.raises(ActionFailed, match="nothing is called 'door'"):
        await found("door")
    with pytest.raises(ActionFailed, match="the filter another"):
        await found("door-1", gate="pool-1")


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
async def test_a_key_that_no_page_gave_is_refused(admin: Admin, city: City) -> None:
    for after in ("x", "1/2", "1/2/3/4", "-1", "1//0000000000000000/a", "9" * 30):
        with pytest.raises(ActionFailed, match="no page ended with"):
            await admin.act("event.list", after=after)


async def test_every_outcome_is_found(admin: Admin, city: City, custodian: Custodian, database: Database) -> None:
    journal = Journal(city.device)
    journal.add("from-the-future")
    journal.add_raw(b"\x93\x01\x02\x03")
    await custodian.take(journal.upload(), NOW_MS)
    async with database.write() as connection:
        await enrolment.revoke(connection, city.device.id, "stolen", NOW_MS)
    journal.tap()
    await custodian.take(journal.upload(3), NOW_MS)
    for outcome, sequences in {"accepted": [0], "held": [1], "refused": [2], "untrusted": [3]}.items():
        assert await all_pages(admin, outcome=outcome) == [name_of(journal, at) for at in sequences], outcome


# --- whose it is ------------------------------------------------------------------------------------------------


async def test_an_operator_sees_the_own_venue_and_nothing_of_another(
    admin: Admin, pool: Device, city: City, custodian: Custodian
) -> None:
    journal, other = await filled(custodian, city.device, pool)
    mei = caller("mei", Role.OPERATOR, venues=("pool",))
    page = await ask(admin, mei, "event.list", limit=200)
    assert {event.device for event in page.events} == {pool.id}
    assert {event.venue for event in page.events} == {"pool"}
    for text in (name_of(journal, 3), f"{city.device.id}/{journal.epoch.hex()}", "door-1", "main", city.device.id):
        assert (await ask(admin, mei, "event.list", text=text)).events == [], text
    for narrowed in ({"gate": "door-1"}, {"venue": "main"}, {"device": city.device.id}):
        with pytest.raises(Forbidden):
            await ask(admin, mei, "event.list", **narrowed)
    assert len((await ask(admin, mei, "event.list", text=name_of(other, 3))).events) == 1
    for filters in ({"kind": "admit"}, {"reason": "expired"}, {"decision": "denied"}, {"outcome": "accepted"}):
        seen = (await ask(admin, mei, "event.list", limit=200, **filters)).events
        assert {event.device for event in seen} <= {pool.id}, filters


async def test_an_operator_without_a_venue_sees_nothing(admin: Admin, city: City, custodian: Custodian) -> None:
    await filled(custodian, city.device)
    assert (await ask(admin, caller("new", Role.OPERATOR), "event.list")).events == []
    assert (await ask(admin, caller("aud", Role.AUDITOR), "event.list")).events
    with pytest.raises(Forbidden):
        await ask(admin, caller("coordinator", Role.COORDINATOR, teams=("guides",)), "event.list")
