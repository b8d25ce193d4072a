"""Classes by a feed: planned, applied, named where they cannot be, published by date, and with a history."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from central.actions.action import ActionFailed
from central.store.schema import member_class_history, member_classes
from protocol.allowlist import Grant
from tests.central.actors import NOW_MS
from tests.central.admin import Admin
from tests.central.city import City
from tests.central.people.conftest import Listed, Write

HEADER = "member,action,class,from,until,date"


def midnight(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Asia/Taipei")).timestamp() * 1_000)


async def classes_of(listed: Listed, number: int) -> set[tuple[str, int, int]]:
    entry = await listed.entry(number)
    assert entry is not None
    return {(grant.name, grant.from_ms, grant.until_ms) for grant in entry.classes}


async def test_a_feed_adds_ends_and_moves_out_by_its_dates(
    admin: Admin, city: City, listed: Listed, write: Write
) -> None:
    file = write(
        HEADER,
        "M-0,add,senior,115/10/01,,",
        "M-1,add,caring,2026-01-01,2027-12-31,",
        "M-2,遷出,,,,2026-11-01",
        "M-3,end,citizen,,2026/12/31,",
    )
    planned = await admin.act("member.classes", file=file, domain="library", who="chen")
    assert planned.verdicts == {"changed": 4, "unchanged": 0, "refused": 0}
    assert await classes_of(listed, 0) == {("citizen", 0, 0)}
    done = await admin.act("member.classes", file=file, domain="library", who="chen", apply=True)
    assert done.verdicts == planned.verdicts
    assert await classes_of(listed, 0) == {("citizen", 0, 0), ("senior", midnight("2026-10-01"), 0)}
    caring = ("caring", midnight("2026-01-01"), midnight("2028-01-01"))
    assert await classes_of(listed, 1) == {("citizen", 0, 0), caring}
    assert await classes_of(listed, 2) == {("citizen", 0, midnight("2026-11-01"))}
    assert await classes_of(listed, 3) == {("citizen", 0, midnight("2027-01-01"))}
    assert await listed.is_whole()
    version = await listed.version()
    again = await admin.act("member.classes", file=file, domain="library", apply=True)
    assert again.verdicts == {"changed": 0, "unchanged": 4, "refused": 0}
    assert await listed.version() == version


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp950"])
async def test_rows_that_cannot_be_applied_are_named_and_the_others_are_applied(
    admin: Admin, listed: Listed, write: Write, encoding: str
) -> None:
    file = write(
        HEADER,
        "M-9,add,senior,,,",
        "E-1,add,senior,,,",
        "M-0,升級,senior,,,",
        "M-0,end,senior,,2026-01-01,",
        "M-0,add,,,,",
        "M-0,add,senior,98/01/01,,",
        "M-0,add,senior,2026-02-02,2026-01-01,",
        "M-0,end,citizen,,,",
        "M-0,end,citizen,2026-01-01,2026-02-02,",
        "M-0,add,senior,2026-02-02,,2026-02-02",
        "M-0,add,senior",
        "M-1,新增,student,,,2026-09-01",
        encoding=encoding,
    )
    done = await admin.act("member.classes", file=file, domain="library", apply=True, report=True)
    assert done.verdicts == {"changed": 1, "unchanged": 0, "refused": 11}
    expected = {
        2: "member: not known here",
        3: "member: not in library",
        4: "action: '升級' is not one of add, end, move-out, 新增, 終止, 遷出",
        5: "class: the member does not hold 'senior'",
        6: "class: empty; an add names the class",
        7: "from: '98/01/01' could be several dates",
        8: "until: 2026-01-01 is before from 2026-02-02",
        9: "until: empty, and no date",
        10: "from: an end and a move-out have until",
        11: "date: stands for from",
        12: "3 cells where the header has 6",
    }
    for row, why in expected.items():
        assert admin.why(row).startswith(why), (row, admin.why(row))
    assert await classes_of(listed, 1) == {("citizen", 0, 0), ("student", midnight("2026-09-01"), 0)}


async def test_rows_of_one_member_are_followed_in_their_order(admin: Admin, listed: Listed, write: Write) -> None:
    file = write(HEADER, "M-0,move-out,,,,2026-05-01", "M-0,add,citizen,,,2026-08-01", "M-0,end,citizen,,,2026-09-01")
    for apply in (False, True):
        done = await admin.act("member.classes", file=file, domain="library", apply=apply)
        assert done.verdicts["changed"] == 3
    spans = {(0, midnight("2026-05-01")), (midnight("2026-08-01"), midnight("2026-09-01"))}
    assert {(since, until) for _, since, until in await classes_of(listed, 0)} == spans


async def test_the_history_says_what_was_true_when_and_when_it_was_known(
    admin: Admin, city: City, write: Write
) -> None:
    made_ms = NOW_MS - 1_000_000
    for who, row in (("a", "M-0,end,citizen,,,2026-05-01"), ("b", "M-0,add,citizen,,,2026-04-01")):
        await admin.act("member.classes", file=write(HEADER, row), domain="library", apply=True, who=who)
        admin.now_ms += 5_000
    found = await admin.act("member.history", member="M-0")
    assert [(each.from_ms, each.until_ms, each.known_ms, each.until_known_ms, each.who) for each in found.classes] == [
        (0, 0, NOW_MS + 5_000, 0, "b"),
        (0, midnight("2026-05-01"), NOW_MS, NOW_MS + 5_000, "a"),
        (0, 0, made_ms, NOW_MS, ""),
    ]
    untouched = await admin.act("member.history", member="M-1")
    assert [(each.name, each.known_ms, each.until_known_ms) for each in untouched.classes] == [("citizen", made_ms, 0)]
    with pytest.raises(ActionFailed, match="no member 'M-9'"):
        await admin.act("member.history", member="M-9")


async def test_what_the_history_knows_now_is_what_the_table_says(admin: Admin, city: City, write: Write) -> None:
    rows = ("senior,2026-01-01,,", "senior,,,2026-06-01", "senior,,,2026-06-01", ",,,2026-02-01")
    for deed, row in zip(("add", "end", "add", "move-out"), rows, strict=True):  # all within one millisecond
        file = write(HEADER, f"M-0,{deed},{row}")
        await admin.act("member.classes", file=file, domain="library", apply=True)
    h, c = member_class_history.c, member_classes.c
    async with city.database.read() as connection:
        query = select(h.member, h.name, h.from_ms, h.until_ms).where(h.until_known_ms == 0)
        known = set(map(tuple, await connection.execute(query)))
        query = select(c.member, c.name, c.from_ms, c.until_ms).where(c.member == (0).to_bytes(4) + bytes(12))
        held = set(map(tuple, await connection.execute(query)))
    assert known == held
    assert len(held) == 2


async def test_an_import_writes_the_history_of_classes_too(admin: Admin, city: City, write: Write) -> None:
    file = write("uid,member,class,valid_from,valid_until", "04000000000000,M-0,student,,")
    await admin.act("card.import", file=file, domain="library", notation="hex", apply=True)
    found = (await admin.act("member.history", member="M-0")).classes
    assert [(each.name, each.until_known_ms, each.why) for each in found] == [
        ("student", 0, "a card import"),
        ("citizen", NOW_MS, ""),
    ]


async def test_expo_cards_become_citizen_cards_in_bulk_without_a_new_card(
    admin: Admin, city: City, listed: Listed, write: Write
) -> None:
    rows = [f"M-{n},add,expo,2018-11-03,," for n in (0, 1, 2)]
    rows += [f"M-{n},end,citizen,,,2018-11-03" for n in (0, 1, 2)] + ["M-2,end,expo,,,2019-01-01"]
    await admin.act("member.classes", file=write(HEADER, *rows), domain="library", apply=True)
    before = {n: await listed.entry(n) for n in range(5)}
    values = {"domain": "library", "from_class": "expo", "to_class": "citizen", "on": "2019-04-25"}
    planned = await admin.act("member.move", **values)
    assert (planned.members, planned.left_out, planned.applied) == (2, 1, False)
    assert {n: await listed.entry(n) for n in range(5)} == before
    done = await admin.act("member.move", **values, apply=True)
    assert (done.members, done.left_out) == (2, 1)
    turned = midnight("2019-04-25")
    for number in (0, 1):
        entry, was = await listed.entry(number), before[number]
        assert entry is not None
        assert was is not None
        assert (entry.subject, entry.card) == (was.subject, was.card)
        assert Grant("expo", midnight("2018-11-03"), turned) in entry.classes
        assert Grant("citizen", turned, 0) in entry.classes
    assert await listed.entry(2) == before[2]
    assert (await admin.act("member.move", **values, apply=True)).members == 0
    assert await listed.is_whole()
