"""What a library says of members reaches the lists, beside what others say; each keeps to its own."""

import pytest
from sqlalchemy import delete

from central.actions.action import ActionFailed
from central.lists import refresh_domain
from central.neighbours.events.kinds import HOLD_READY, OVERDUE
from central.neighbours.events.notice_sources import BEGIN, FLAG_TYPES, flags_untold
from central.neighbours.library_word import flags_told
from central.neighbours.refreshing import Refreshing
from central.store.schema import libraries, library_patrons, list_entries, lists, member_numbers, subjects
from protocol.allowlist import Grant
from tests.central.neighbours.conftest import LibraryTown
from tests.support.sip2_server import Patron


async def version(town: LibraryTown) -> int:
    (row,) = await town.city.rows(lists)
    return int(row.version)


async def test_good_standing_is_a_class_and_the_rest_are_notices(town: LibraryTown) -> None:
    await town.people(5)
    town.server.patrons |= {
        "P1": Patron(status="    Y" + " " * 9, holds="0001"),
        "P2": Patron(overdue="0002"),
        "P3": Patron(fields={"BL": None}),
    }
    del town.server.patrons["P4"]
    assert await town.keeper.round() == 0.0
    assert [await town.classes(n) for n in range(5)] == [
        ["citizen", "library-good"],
        ["citizen"],
        ["citizen", "library-good"],
        ["citizen"],
        ["citizen"],
    ]
    assert [await town.flags(n) for n in range(5)] == [[], ["hold-ready", "library-blocked"], ["overdue"], [], []]
    entry = await town.entry(0)
    assert entry is not None
    assert entry.classes[-1] == Grant("library-good", 0, 0)
    state = await town.status()
    assert (state.good, state.blocked, state.no_patron, state.unknown, state.waiting) == (2, 1, 1, 1, 0)
    assert (state.state, state.holds_ready, state.overdue) == ("answers", 1, 1)


async def test_both_ways_of_compiling_agree(town: LibraryTown) -> None:
    await town.people(3)
    town.server.patrons["P1"] = Patron(status="Y" + " " * 13, overdue="0001")
    await town.keeper.round()
    before = {row.token: row.entry for row in await town.city.rows(list_entries)}
    async with town.city.database.write() as connection:
        assert not await refresh_domain(connection, town.city.keys, "library", town.now_ms)
    assert {row.token: row.entry for row in await town.city.rows(list_entries)} == before


async def test_only_what_changed_is_written(town: LibraryTown) -> None:
    await town.people(3)
    await town.keeper.round()
    before = await version(town)
    await town.later(12)
    assert await version(town) == before
    assert len(town.server.asked) == 6
    town.server.patrons["P2"].status = "Y" + " " * 13
    await town.later(12)
    assert await version(town) > before
    assert await town.flags(2) == ["library-blocked"]


async def test_flags_of_hand_and_library_do_not_touch_each_other(town: LibraryTown) -> None:
    await town.people(1)
    reference = town.members[0].hex()
    await town.admin.act("card.flag", member=reference, domain="library", set=["overdue"])
    town.server.patrons["P0"] = Patron(holds="0001")
    await town.keeper.round()
    assert await town.flags(0) == ["hold-ready", "overdue"]
    await town.admin.act("card.flag", member=reference, domain="library", clear=["overdue"])
    assert await town.flags(0) == ["hold-ready"]
    await town.admin.act("card.flag", member=reference, domain="library", set=["hold-ready"])
    town.server.patrons["P0"] = Patron()
    await town.later(12)
    assert await town.flags(0) == ["hold-ready"]
    assert await town.classes(0) == ["citizen", "library-good"]


async def test_who_has_no_number_any_more_or_leaves_the_domain_loses_the_word(town: LibraryTown) -> None:
    await town.people(3)
    await town.keeper.round()
    async with town.city.database.write() as connection:
        await connection.execute(delete(member_numbers).where(member_numbers.c.member == town.members[0]))
        await connection.execute(delete(subjects).where(subjects.c.member == town.members[1]))
    town.keeper._adopt_at_s = 0.0
    await town.later(0.1)
    assert await town.classes(0) == ["citizen"]
    assert await town.entry(2) is not None
    assert [row.member for row in await town.city.rows(library_patrons)] == [town.members[2]]


async def test_a_library_that_is_in_the_settings_no_more_counts_until_it_is_forgotten(town: LibraryTown) -> None:
    await town.people(2)
    await town.keeper.round()
    with pytest.raises(ActionFailed, match="in the settings"):
        await town.admin.act("library.forget", library="tc", who="lin")
    town.set(town.library, class_name="reader")
    assert await town.keeper.round() == 60.0
    assert (await town.status()).state == "not-set"
    assert await town.classes(0) == ["citizen", "library-good"]
    assert (await town.admin.act("library.forget", library="tc", who="lin")).members == 2
    assert await town.classes(0) == ["citizen"]
    assert await town.city.rows(libraries) == []
    await town.keeper.round()
    assert await town.classes(0) == ["citizen", "reader"]


async def test_two_servers_do_not_ask_the_same_library(town: LibraryTown) -> None:
    if town.city.database.is_sqlite:
        return
    await town.people(1)
    await town.keeper.round()
    other = Refreshing(town.library, town.city.database, town.city.keys, "there", lambda: town.now_ms)
    assert await other.round() == 60.0
    town.now_ms += 13 * 3_600_000
    assert await other.round() == 0.0


async def test_whoever_set_a_flag_it_is_told_once(town: LibraryTown) -> None:
    await town.people(2)
    for flag, until in (("hold-ready", "2026-12-31"), ("overdue", "")):
        values = {"member": town.members[0].hex(), "domain": "library", "set": [flag], "until": until}
        await town.admin.act("card.flag", **values)
    town.server.patrons["P0"] = Patron(holds="0001")
    town.server.patrons["P1"] = Patron(status="Y" + " " * 13, overdue="0001")
    await town.keeper.round()
    async with town.city.database.read() as connection:
        rows = {(row.member, row.flag, row.until_ms) for row in await connection.execute(flags_told)}
        found = [await flags_untold(connection, flag, BEGIN) for flag in FLAG_TYPES]
    first, second = town.members
    assert rows == {
        (first, "hold-ready", 0),
        (first, "overdue", 0),
        (second, "overdue", 0),
        (second, "library-blocked", 0),
    }
    assert sorted((wish.type, wish.member) for wishes, _ in found for wish in wishes) == sorted(
        [(HOLD_READY, first), (OVERDUE, first), (OVERDUE, second)]
    )


async def test_what_libraries_say_stands_on_the_members_page(town: LibraryTown) -> None:
    await town.people(1)
    town.server.patrons["P0"] = Patron(holds="0001")
    await town.keeper.round()
    shown = await town.admin.act("member.show", member=town.members[0].hex())
    assert [(held.library, held.standing, held.class_name) for held in shown.libraries] == [
        ("tc", "good", "library-good")
    ]
    assert [flag.flag for domain in shown.domains for flag in domain.flags] == ["hold-ready"]
