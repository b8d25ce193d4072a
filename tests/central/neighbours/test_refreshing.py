"""A library is asked politely, and while it is down or talks nonsense nothing changes at the gates."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest
import structlog
from sqlalchemy import delete

from central.actions.action import ActionFailed
from central.neighbours.landslide import MANY
from central.neighbours.refreshing import Refreshing, refresh_for_ever
from central.store.schema import libraries, library_patrons, lists
from tests.central.actors import NOW_MS
from tests.central.neighbours.conftest import LibraryTown
from tests.support.sip2_server import Patron

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


async def version(town: LibraryTown) -> int:
    (row,) = await town.city.rows(lists)
    return int(row.version)


async def test_nobody_is_asked_about_before_it_is_time(town: LibraryTown, no_pauses: Callable[[], list[float]]) -> None:
    town.set(town.library, per_minute=60)
    await town.people(2)
    await town.keeper.round()
    assert await town.later(11.9) > 0
    assert town.server.asked == ["P0", "P1"]
    assert town.server.lines == 1
    assert no_pauses() == [1.0, 1.0]


@pytest.mark.parametrize("word", ["drop", "hang-up", "checksum", "sequence", "kind", "stale", "no-trailer", "half"])
async def test_a_bad_line_changes_nothing_at_the_gates(town: LibraryTown, word: str) -> None:
    await town.people(2)
    await town.keeper.round()
    before, answered_ms = await version(town), (await town.status()).answered_ms
    town.server.patrons |= {"P0": Patron(fields={"BL": None}), "P1": Patron(fields={"BL": None})}
    town.server.plan.append(word)
    assert await town.later(12) == 30.0
    assert await version(town) == before
    assert await town.classes(0) == ["citizen", "library-good"]
    state = await town.status()
    assert (state.state, state.answered_ms, state.failed_ms) == ("down", answered_ms, town.now_ms)


async def test_a_library_that_is_down_is_asked_less_and_less_often(town: LibraryTown) -> None:
    await town.people(1)
    await town.keeper.round()
    town.set(town.library, port=1)
    waits = [await town.later(12 if not n else 1) for n in range(8)]
    assert waits == [30.0] + [60.0] * 7  # looked after every minute at the latest
    state = await town.status()
    assert state.next_ms - town.now_ms == 900_000
    assert state.failure == "connect"
    (row,) = await town.city.rows(libraries)
    assert row.failing_ms == NOW_MS + 12 * 3_600_000  # the first time that it did not answer
    assert await town.classes(0) == ["citizen", "library-good"]
    town.set(town.library, port=town.server.port)
    await town.later(1)
    state = await town.status()
    assert (state.state, state.failure, state.next_ms) == ("answers", "", 0)


async def test_one_patron_with_whom_the_line_breaks_stops_nobody_else(town: LibraryTown) -> None:
    await town.people(3)
    town.server.plan.append("hang-up")
    await town.keeper.round()
    await town.later(0.01)
    assert await town.classes(1) == await town.classes(2) == ["citizen", "library-good"]
    assert town.server.asked == ["P0", "P1", "P2"]
    await town.later(0.05)
    assert await town.classes(0) == ["citizen", "library-good"]


async def test_what_was_answered_before_the_line_broke_is_kept(town: LibraryTown) -> None:
    await town.people(3)
    town.server.plan.extend(["", "drop"])
    await town.keeper.round()
    assert [await town.classes(n) for n in range(3)] == [["citizen", "library-good"], ["citizen"], ["citizen"]]


async def test_unknown_now_is_not_admitted_any_more(town: LibraryTown) -> None:
    await town.people(1)
    await town.keeper.round()
    town.server.patrons["P0"] = Patron(status="?" + " " * 13)
    await town.later(12)
    assert await town.classes(0) == ["citizen"]
    assert (await town.city.rows(library_patrons))[0].why == "status odd"


async def test_quiet_hours_are_kept_where_the_venues_are(town: LibraryTown) -> None:
    # NOW_MS is 22:13 in Taipei
    town.set(town.library, quiet="21:30-06:00")
    await town.people(1)
    assert await town.keeper.round() == 60.0
    assert town.server.lines == 0
    assert (await town.status()).state == "quiet"
    await town.later(7.7)
    assert town.server.lines == 0
    await town.later(0.1)
    assert town.server.asked == ["P0"]


async def test_another_number_is_another_patron(town: LibraryTown) -> None:
    await town.people(2)
    await town.keeper.round()
    await town.number(0, "X9")
    town.keeper._adopt_at_s = 0.0
    del town.server.patrons["P0"]
    await town.later(0.1)
    assert town.server.asked[-1] == "X9"
    assert await town.classes(0) == ["citizen"]


async def test_an_answer_about_a_number_that_was_changed_meanwhile_counts_for_nobody(town: LibraryTown) -> None:
    await town.people(1)
    asked = town.keeper._one

    async def changed_meanwhile(*values: object) -> object:
        answer = await asked(*values)
        await town.number(0, "X9")
        async with town.city.database.write() as connection:
            await connection.execute(delete(library_patrons))
        return answer

    town.keeper._one = changed_meanwhile
    await town.keeper.round()
    assert await town.classes(0) == ["citizen"]


async def test_one_member_is_asked_about_at_once(town: LibraryTown) -> None:
    await town.people(2)
    found = await town.admin.act("library.refresh", library="tc", member=town.members[1].hex(), who="lin")
    assert (found.standing, found.changed) == ("good", True)
    assert town.server.asked == ["P1"]
    assert await town.classes(1) == ["citizen", "library-good"]
    town.server.plan.append("drop")
    with pytest.raises(ActionFailed, match="nothing changed"):
        await town.admin.act("library.refresh", library="tc", member=town.members[1].hex(), who="lin")
    assert await town.classes(1) == ["citizen", "library-good"]
    with pytest.raises(ActionFailed, match="no library barcode"):
        await town.admin.act("library.refresh", library="tc", member="nobody", who="lin")


async def test_everybody_is_asked_about_again(town: LibraryTown) -> None:
    await town.people(2)
    await town.keeper.round()
    assert (await town.admin.act("library.refresh", library="tc", who="lin")).asked == 2
    await town.later(0.01)
    assert len(town.server.asked) == 4


async def test_status_alone_is_asked_for_where_the_library_knows_no_more(town: LibraryTown) -> None:
    await town.people(1)
    town.server.knows = "YYYYYYYNNNNNNNNN"
    await town.keeper.round()
    assert [text[:2] for text in town.server.heard] == ["93", "99", "23"]
    assert await town.classes(0) == ["citizen", "library-good"]
    town.server.knows = ""
    await town.later(12)
    assert (await town.status()).failure == "unsuited"


async def test_check_signs_in_and_asks_about_nobody(town: LibraryTown) -> None:
    found = await town.admin.act("library.check", library="tc")
    assert (found.lends, found.takes_back, found.knows_holds) == (True, True, True)
    assert [text[:2] for text in town.server.heard] == ["93", "99"]
    with pytest.raises(ActionFailed, match="name no library"):
        await town.admin.act("library.check", library="elsewhere")
    town.server.password = "another"
    with pytest.raises(ActionFailed, match="refuses the login") as failed:
        await town.admin.act("library.check", library="tc")
    assert "geheim" not in str(failed.value)


async def test_no_log_holds_who_was_asked_about(town: LibraryTown) -> None:
    await town.people(2)
    with structlog.testing.capture_logs() as logs:
        await town.keeper.round()
        town.server.plan.append("checksum")
        await town.later(12)
    said = repr(logs)
    assert {each["event"] for each in logs} >= {"library-asked", "sip2-bad-line", "library-does-not-answer"}
    for secret in ("P0", "P1", "geheim", "Wang", town.members[0].hex()):
        assert secret not in said


async def test_each_library_is_asked_by_itself_for_ever(town: LibraryTown) -> None:
    await town.people(1)
    elsewhere = msgspec.structs.replace(town.library, id="elsewhere", port=1, class_name="reader")
    both = (elsewhere, town.library)
    city = town.city
    asking = asyncio.create_task(refresh_for_ever(both, city.database, city.keys, "here", lambda: town.now_ms))
    async with asyncio.timeout(5):
        while await town.classes(0) != ["citizen", "library-good"]:
            await asyncio.sleep(0.02)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_a_library_that_says_it_of_many_at_once_is_not_believed_until_a_person_says_that_it_is_right(
    town: LibraryTown,
) -> None:
    await town.people(60)
    await town.keeper.round()
    before = await version(town)
    town.server.patrons |= {f"P{n}": Patron(fields={"BL": "N"}) for n in range(60)}
    assert await town.later(25) > 0
    good = [n for n in range(60) if "library-good" in await town.classes(n)]
    assert len(good) == 60 - MANY + 1  # those before it was noticed
    state = await town.status()
    assert (state.state, state.failure, state.no_patron) == ("down", "doubted", MANY - 1)
    for _ in range(3):
        await town.later(2)
    assert len([n for n in range(60) if "library-good" in await town.classes(n)]) == len(good)
    done = await town.admin.act("library.believe", library="tc", why="all cards ended", who="ana")
    assert (done.asked, done.until_ms) == (60, town.now_ms + 24 * 3_600_000)
    await town.later(0.5)
    assert not [n for n in range(60) if "library-good" in await town.classes(n)]
    assert (await town.status()).state == "answers"
    assert await version(town) > before


async def test_a_server_that_starts_anew_does_not_believe_it_either(town: LibraryTown) -> None:
    await town.people(60)
    await town.keeper.round()
    town.server.patrons |= {f"P{n}": Patron(fields={"BL": "N"}) for n in range(60)}
    await town.later(25)
    for n in range(2):
        town.keeper = Refreshing(town.library, town.city.database, town.city.keys, f"server-{n}", lambda: town.now_ms)
        await town.later(2)
    assert len([n for n in range(60) if "library-good" in await town.classes(n)]) == 60 - MANY + 1
    town.server.patrons |= {f"P{n}": Patron() for n in range(60)}
    for _ in range(2):
        await town.later(2)
    assert (await town.status()).state == "answers"


async def test_a_library_that_is_right_again_goes_on_by_itself(town: LibraryTown) -> None:
    await town.people(60)
    await town.keeper.round()
    town.server.patrons |= {f"P{n}": Patron(fields={"BL": "N"}) for n in range(60)}
    await town.later(25)
    town.server.patrons |= {f"P{n}": Patron() for n in range(60)}
    for _ in range(2):
        await town.later(2)
    assert (await town.status()).state == "answers"
    await town.later(24)
    assert len([n for n in range(60) if "library-good" in await town.classes(n)]) == 60
