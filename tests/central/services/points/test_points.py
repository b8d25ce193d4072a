"""Points from marks and months to the ledger, its months closed, and what people state about them."""

import os

import msgspec
import pytest

from central.actions.action import ActionFailed
from central.custody import Custodian
from central.device_keys import DeviceKeys
from central.metrics import Metrics
from central.services.follower import Follower
from central.services.members import members_after
from central.services.points import rounds
from central.services.projector import settle_services
from central.services.service import Touched
from central.store.schema import batches, ledger, marks, point_months, subjects
from protocol.messages import Kind, Personal, encode
from tests.central.actors import Journal
from tests.central.services.points.town import PLAN, Town, at


async def test_a_month_is_given_spent_and_expires_at_midnight_in_taipei(town: Town) -> None:
    await town.found("pool-1", now="2026-06-01T00:05:00")
    a = await town.add_member("A-1")
    await town.round()
    assert (await town.balance("A-1")).points == 480
    await town.tap(a, "pool-1", 85, "2026-06-30T23:59:59")
    town.admin.now_ms = at("2026-07-01") - 2
    assert (await town.balance("A-1")).points == 395
    town.admin.now_ms = at("2026-07-01") - 1
    assert (await town.balance("A-1")).points == 0
    town.admin.now_ms = at("2026-07-01T00:01:00")
    await town.round()
    found = await town.balance("A-1")
    assert (found.points, [lot.expires_ms for lot in found.lots]) == (600, [at("2026-08-01")])
    june = await town.statement("A-1", "2026-06")
    assert [(line["what"], line["points"], line["balance"]) for line in june.lines] == [
        ("month", 480, 480),
        ("spent", 85, 395),
        ("expired", 395, 0),
    ]
    assert (june.opening, june.closing, june.closed) == (0, 0, False)
    moved = {"city:expired": 395, "city:issued": -480, "venue:main": 85}
    assert await town.totals("2026-06") == moved
    assert await town.rebuilt()


@pytest.mark.parametrize(
    ("from_", "until", "june", "july"),
    [
        ("", "", 480, 600),
        ("2026-06-01", "", 480, 600),
        ("2026-06-02", "", 0, 600),
        ("", "2026-06-15", 480, 0),
        ("", "2026-07-01", 480, 0),
    ],
)
async def test_a_class_that_begins_or_lapses_in_a_month(
    town: Town, from_: str, until: str, june: int, july: int
) -> None:
    await town.found("pool-1", now="2026-06-20T10:00:00")
    await town.add_member("A-1", from_ms=at(from_) if from_ else 0, until_ms=at(until) if until else 0)
    for now, points in (("2026-06-20T10:00:00", june), ("2026-07-20T10:00:00", july)):
        town.admin.now_ms = at(now)
        await town.round()
        assert (await town.balance("A-1")).points == points


async def test_what_a_month_gave_stays_though_class_and_plan_change(town: Town) -> None:
    await town.found("pool-1", now="2026-06-01T00:05:00")
    a = await town.add_member("A-1")
    await town.round()
    await town.drop_classes()
    await town.admin.act(
        "points.plan.put", id="seniors", body={**PLAN, "monthly": [{**PLAN["monthly"][0], "points": 1}]}
    )
    town.admin.now_ms = at("2026-06-02T10:00:05")
    await town.tap(a, "pool-1", 100, "2026-06-02T10:00:00")
    await town.admin.act("points.round", domain="library")
    assert (await town.balance("A-1")).points == 380
    assert len(await town.city.rows(point_months)) == 1
    assert await town.rebuilt()


async def test_who_comes_after_the_days_round_is_given_the_month_by_another_one_and_never_twice(town: Town) -> None:
    await town.found("pool-1", now="2026-06-01T00:05:00")
    await town.add_member("A-1")
    await town.round()
    await town.add_member("A-2")
    await town.round()
    assert (await town.balance("A-2")).points == 0
    for _ in range(2):
        assert (await town.admin.act("points.round", domain="library")).members == 2
    assert [(await town.balance(name)).points for name in ("A-1", "A-2")] == [480, 480]


async def test_a_replaced_card_spends_the_same_points(town: Town) -> None:
    await town.found("pool-1", now="2026-06-01T00:05:00")
    a = await town.add_member("A-1")
    await town.round()
    await town.tap(a, "pool-1", 25, "2026-06-02T10:00:00", card=1)
    await town.tap(a, "pool-1", 25, "2026-06-03T10:00:00", card=2)
    town.admin.now_ms = at("2026-06-04")
    assert (await town.balance("A-1")).points == 430


async def test_a_split_payment_goes_from_the_tap_into_the_ledger(town: Town) -> None:
    """10 points left on a charge of 25: 10 points and 15 due; only the points are in the ledger."""
    await town.found("pool-1", now="2026-06-10T09:00:00", monthly=[{**PLAN["monthly"][0], "points": 10}])
    a = await town.add_member("A-1")
    await town.round()
    device = town.devices["pool-1"]
    journal = Journal(device)
    personal = encode(Personal(os.urandom(16), subject=a, card=1, points=10, due=15))
    fields = {"direction": "in", "decision": "granted", "reason": "ok", "rule": "pool"}
    journal.add(Kind.TAP, personal, at_ms=at("2026-06-10T10:00:00"), **fields)
    database = town.city.database
    town.admin.now_ms = at("2026-06-10T10:00:05")
    await Custodian(database, town.city.keys, DeviceKeys(database)).take(journal.upload(), town.admin.now_ms)
    await Follower(database, Metrics(), lambda: town.admin.now_ms).settle_all()
    (line,) = [line for line in (await town.statement("A-1", "2026-06")).lines if line["what"] == "spent"]
    assert (line["points"], line["target"], line["balance"]) == (10, "venue:main", 0)
    assert line["cause"] == f"event {device.id} {journal.epoch.hex()} 1"
    assert await town.lost(a) == []
    assert await town.rebuilt()


async def test_an_overspend_is_the_venues_loss_until_the_tap_is_undone(town: Town) -> None:
    await town.found("pool-1", now="2026-06-01T00:05:00")
    a = await town.add_member("A-1")
    await town.round()
    await town.tap(a, "pool-1", 470, "2026-06-02T10:00:00")
    sequence = await town.tap(a, "pool-1", 25, "2026-06-02T11:00:00")
    assert await town.lost(a) == [("venue:main:loss", 15)]
    (row,) = (await town.admin.act("points.overspent", domain="library")).rows
    assert (row["member"], row["points"]) == ("A-1", 15)
    assert row["cause"].endswith(f" {sequence}")
    await town.undo(a, "pool-1", sequence)
    assert await town.lost(a) == []


async def test_a_gate_years_ahead_spends_what_is_there_when_it_was_heard_of(town: Town) -> None:
    await town.found("pool-1", now="2026-06-10T09:00:00")
    a = await town.add_member("A-1")
    await town.round()
    heard_ms = at("2026-06-10T10:00:00")
    batch = {
        "digest": bytes(32),
        "through": 5,
        "taken_first": 0,
        "outcome": "accepted",
        "envelope": b"",
        "receipt": b"",
    }
    own = {"device": "pool-1-device", "epoch": town.epochs["pool-1"], "first": 0, "received_ms": heard_ms}
    await town.city.add(batches, own | batch)
    town.admin.now_ms = heard_ms
    await town.tap(a, "pool-1", 25, "2099-01-01T00:00:00")
    assert (await town.balance("A-1")).points == 455
    assert len(await town.city.rows(ledger)) == 2
    assert await town.rebuilt()


async def test_an_entry_by_an_earning_rule_earns_and_a_new_plan_counts_anew(town: Town) -> None:
    await town.found("pool-1", now="2026-06-10T09:00:00")
    a = await town.add_member("A-1", "citizen")
    await town.tap(a, "pool-1", 0, "2026-06-10T10:00:00", "health-check")
    await town.tap(a, "pool-1", 0, "2026-06-11T10:00:00", "health-check")
    town.admin.now_ms = at("2026-06-12")
    (lot,) = (await town.balance("A-1")).lots
    assert (lot.points, lot.expires_ms) == (50, at("2026-12-01"))
    put = await town.admin.act(
        "points.plan.put", id="seniors", body={**PLAN, "earn": [{**PLAN["earn"][0], "per": "day"}]}
    )
    assert put.settled == 1
    assert (await town.balance("A-1")).points == 100
    assert await town.rebuilt()


# --- closed months ------------------------------------------------------------------------------------------


async def test_what_comes_after_a_month_was_closed_is_an_adjustment(town: Town) -> None:
    await town.found("pool-1", now="2026-06-01T00:05:00")
    a, b = await town.add_member("A-1"), await town.add_member("A-2")
    await town.round()
    await town.tap(a, "pool-1", 85, "2026-06-10T10:00:00")
    town.admin.now_ms = at("2026-07-03T09:00:00")
    await town.round()
    closed = await town.close("2026-06")
    assert closed.closed
    assert closed.accounts == {"city:expired": 875, "city:issued": -960, "member": 0, "venue:main": 85}
    before = await town.lines()
    late = await town.tap(b, "pool-1", 25, "2026-06-29T10:00:00")
    assert (await town.lines())[0] == before[0]
    assert await town.totals("2026-06") == {"city:expired": 875, "city:issued": -960, "venue:main": 85}
    july = await town.statement("A-2", "2026-07")
    assert [(line["what"], line["points"], line["target"], line["balance"]) for line in july.lines] == [
        ("expired", 25, "member", 25),
        ("spent", 25, "venue:main", 0),
        ("month", 600, "member", 600),
    ]
    assert july.lines[1]["at_ms"] == at("2026-06-29T10:00:00")
    assert (await town.balance("A-2")).points == 600
    assert await town.rebuilt()
    await town.undo(b, "pool-1", late)
    assert len((await town.statement("A-2", "2026-07")).lines) == 1
    assert await town.lines() == before


async def test_an_adjustment_stays_where_it_was_booked_when_its_month_is_closed(town: Town) -> None:
    await town.found("pool-1", now="2026-06-01T00:05:00")
    a = await town.add_member("A-1")
    await town.round()
    town.admin.now_ms = at("2026-07-03T09:00:00")
    await town.round()
    await town.close("2026-06")
    late = await town.tap(a, "pool-1", 25, "2026-06-29T10:00:00")
    town.admin.now_ms = at("2026-08-03T09:00:00")
    await town.round()
    july = (await town.close("2026-07")).accounts
    assert (july["venue:main"], july["city:expired"]) == (25, 600 - 25)
    await town.undo(a, "pool-1", late)
    august = await town.totals("2026-08")
    assert august == {"city:expired": 25, "city:issued": -600, "member": 600, "venue:main": -25}
    assert await town.rebuilt()


async def test_months_are_closed_once_in_their_order_and_when_they_are_over(town: Town) -> None:
    await town.found("pool-1", now="2026-06-30T23:59:59")
    await town.add_member("A-1")
    close = {"domain": "library", "who": "chen"}
    assert "not over" in await town.refused("points.close", month="2026-06", **close)
    town.admin.now_ms = at("2026-07-01")
    await town.close("2026-06")
    assert "closed already" in await town.refused("points.close", month="2026-06", **close)
    town.admin.now_ms = at("2026-09-02")
    assert "the next is 2026-07" in await town.refused("points.close", month="2026-08", **close)
    await town.close("2026-07")


async def test_a_closing_that_was_cut_short_goes_on(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("central.services.points.closing.AT_ONCE", 2)
    await town.found("pool-1", now="2026-06-01T00:05:00")
    for number in range(5):
        await town.add_member(f"A-{number}")
    await town.round()
    town.admin.now_ms = at("2026-07-03T09:00:00")
    done = 0

    async def cut(_what: str, count: int, _total: int) -> None:
        nonlocal done
        done = count
        raise RuntimeError("the power went")

    monkeypatch.setattr(town.admin, "progress", cut)
    with pytest.raises(RuntimeError):
        await town.close("2026-06")
    assert done == 2
    assert len((await town.lines())[0]) == 2 * 2
    monkeypatch.undo()
    assert await town.rebuilt()
    assert (await town.close("2026-06")).accounts["city:expired"] == 5 * 480
    assert [len(lines) for lines in await town.lines()] == [5 * 2, 0]


# --- what people state --------------------------------------------------------------------------------------


async def test_people_grant_adjust_and_redeem_and_it_says_who(town: Town) -> None:
    await town.found("pool-1", now="2026-06-10T09:00:00")
    await town.add_member("A-1", "citizen")
    who = {"member": "A-1", "domain": "library", "who": "chen"}
    granted = await town.admin.act("points.grant", points=100, why="vaccination day", until="2026-06-20", **who)
    assert granted.lots[0].expires_ms == at("2026-06-20")
    cause = granted.lots[0].cause
    assert (await town.admin.act("points.adjust", points=-40, why="twice", of=cause, **who)).points == 60
    assert (await town.admin.act("points.redeem", points=50, why="transit", **who)).free == 10
    assert "10 are free" in await town.refused("points.redeem", points=11, why="transit", **who)
    assert "10 are free" in await town.refused("points.adjust", points=-11, why="more", **who)
    assert "until: 2026-06-10 is over" in await town.refused(
        "points.grant", points=1, why="late", until="2026-06-10", **who
    )
    assert "not known" in await town.refused("points.balance", member="B-9", domain="library")
    assert await town.totals("2026-06") == {"city:issued": -60, "city:redeemed": 50, "member": 10}
    town.admin.now_ms = at("2026-06-20")
    assert (await town.balance("A-1")).points == 0
    assert await town.rebuilt()


async def test_a_redemption_that_a_late_tap_leaves_short_is_the_citys_loss(town: Town) -> None:
    await town.found("pool-1", now="2026-06-10T09:00:00")
    a = await town.add_member("A-1")
    await town.round()
    await town.admin.act("points.redeem", member="A-1", domain="library", points=480, who="chen", why="transit")
    await town.tap(a, "pool-1", 25, "2026-06-09T10:00:00")
    assert await town.lost(a) == [("city:loss", 25)]
    assert (await town.balance("A-1")).points == 0


async def test_order_of_arrival_does_not_change_open_months(town: Town) -> None:
    await town.found("pool-1", now="2026-06-01T00:05:00")
    a = await town.add_member("A-1")
    await town.round()
    for day in (9, 3, 20, 1, 14):
        await town.tap(a, "pool-1", 110, f"2026-06-{day:02}T10:00:00")
    spent = [line for line in await town.city.rows(ledger) if line.what == "spent"]
    assert [(line.source, line.points) for line in sorted(spent, key=lambda line: (line.at_ms, line.source))] == [
        *[("member", 110)] * 4,
        ("member", 40),
        ("venue:main:loss", 70),
    ]
    assert len(await town.city.rows(marks)) == 5
    assert await town.rebuilt()


async def test_the_round_goes_on_where_it_was_cut_short(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("central.services.points.rounds.AT_ONCE", 2)
    await town.found("pool-1", now="2026-06-01T00:05:00")
    for number in range(5):
        await town.add_member(f"A-{number}")
    database, now_ms = town.city.database, town.admin.now_ms
    assert [await rounds.step(database, "library", now_ms) for _ in range(2)] == [2, 2]
    assert len(await town.city.rows(point_months)) == 4
    await town.round()
    assert len(await town.city.rows(point_months)) == 5
    assert await rounds.step(database, "library", now_ms) == 0


async def test_a_member_who_left_the_domain_keeps_a_ledger_and_is_in_the_totals(town: Town) -> None:
    await town.found("pool-1", now="2026-06-01T00:05:00")
    a = await town.add_member("A-1")
    await town.round()
    town.admin.now_ms = at("2026-06-11")
    await town.tap(a, "pool-1", 85, "2026-06-10T10:00:00")
    async with town.city.database.write() as connection:
        await connection.execute(subjects.delete())
    assert await town.totals("2026-06") == {"city:issued": -480, "member": 395, "venue:main": 85}
    town.admin.now_ms = at("2026-07-02")
    assert (await town.close("2026-06")).accounts["city:expired"] == 395


async def test_rebuild_finds_the_same_ledger_also_of_those_who_never_tapped(town: Town) -> None:
    await town.found("pool-1", now="2026-06-01T00:05:00")
    a = await town.add_member("A-1")
    await town.add_member("A-2")
    await town.round()
    town.admin.now_ms = at("2026-07-01T00:05:00")
    await town.round()
    await town.tap(a, "pool-1", 25, "2026-06-29T10:00:00")
    before = await town.lines()
    async with town.city.database.write() as connection:
        await connection.execute(ledger.delete())
        members = await members_after(connection, "library", None, 100)
        await settle_services(connection, [Touched("library", subject, 0) for subject in members])
    assert await town.lines() == before


async def test_a_long_statement_is_read_a_page_at_a_time(town: Town) -> None:
    await town.found("pool-1", now="2026-06-10T09:00:00")
    await town.add_member("A-1")
    await town.round()
    for points in (3, 4, 5):
        await town.admin.act("points.grant", member="A-1", domain="library", points=points, who="lin", why="x")
    every = await town.statement("A-1", "2026-06")
    key, read, closing = "", [], set()
    for _ in every.lines:
        values = {"member": "A-1", "domain": "library", "month": "2026-06", "limit": 1, "after": key}
        page = await town.admin.act("points.statement", **values)
        read += page.lines
        closing.add(page.closing)
        key = page.next
    assert (read, key, closing) == (every.lines, "", {every.closing})
    assert len(read) >= 3
    with pytest.raises(ActionFailed, match="no place in this list"):
        await town.admin.act("points.statement", **{**values, "after": "x"})
    assert [each.id for each in (await town.admin.act("points.plan.list")).plans] == ["seniors"]
    with pytest.raises(msgspec.ValidationError):
        await town.statement("A-1", "9999-12")
