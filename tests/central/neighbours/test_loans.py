"""A book lent and taken back at a counter: asked for once, and what is not known is said to be unknown."""

from typing import Any

import msgspec
import pytest

from central.access.reach import Forbidden
from central.actions.action import ActionFailed
from central.store.schema import audit
from protocol.allowlist import CardState
from tests.central.callers import ask, caller
from tests.central.city import uid
from tests.central.neighbours.conftest import LibraryTown
from tests.support.sip2_server import KNOWS_ALL, Patron

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
TITLE = "紅樓夢"


@pytest.fixture
async def town(town: LibraryTown) -> LibraryTown:
    await town.people(2)
    town.server.titles = {"B1": TITLE}
    return town


async def lend(town: LibraryTown, item: str = "B1", **values: Any) -> Any:
    values = values or {"uid": uid(0).raw.hex()}
    return await town.admin.act("library.checkout", library="tc", item=item, who="lin", **values)


def loans_asked(town: LibraryTown) -> list[str]:
    return [text[:2] for text in town.server.heard if text[:2] in ("11", "09")]


async def test_a_book_is_lent_by_card_and_taken_back(town: LibraryTown) -> None:
    lent = await lend(town)
    assert (lent.outcome, lent.due, lent.item_title) == ("done", "2026-12-20 23:59", TITLE)
    assert town.server.loans == {"B1": "P0"}
    back = await town.admin.act("library.return", library="tc", item="B1", who="lin")
    assert (back.outcome, back.item_title) == ("done", TITLE)
    assert town.server.loans == {}


async def test_a_book_is_lent_to_a_member_by_reference(town: LibraryTown) -> None:
    await lend(town, member=town.members[1].hex())
    assert town.server.loans == {"B1": "P1"}


async def test_the_librarys_no_is_passed_on_in_its_words(town: LibraryTown) -> None:
    await lend(town)
    again = await lend(town, member=town.members[1].hex())
    assert (again.outcome, again.due, again.library_said) == ("refused", "", "此館藏不可外借")
    back = await town.admin.act("library.return", library="tc", item="B2", who="lin")
    assert back.outcome == "refused"


@pytest.mark.parametrize("word", ["drop", "hang-up", "checksum", "sequence", "kind", "half", "no-trailer"])
async def test_a_lost_answer_is_unknown_and_never_asked_for_again(town: LibraryTown, word: str) -> None:
    town.server.plan.append(word)
    lent = await lend(town)
    assert lent.outcome == "unknown"
    assert "look at the library's own system" in lent.library_said
    assert loans_asked(town) == ["11"]
    assert town.server.loans == {"B1": "P0"}  # it was lent, and nobody here says otherwise


async def test_what_the_library_could_not_read_is_sent_again_as_it_asks(town: LibraryTown) -> None:
    town.server.plan.append("resend")
    town.server.titles = {"B1": TITLE}
    lent = await lend(town)
    assert loans_asked(town) == ["11", "11"]
    assert lent.outcome in ("done", "refused")


async def test_what_never_reached_the_library_is_not_done(town: LibraryTown) -> None:
    town.server.online = "N"
    with pytest.raises(ActionFailed, match="off line .*nothing was done"):
        await lend(town)
    town.server.online = "Y"
    town.server.knows = "YNNYYYYYYYYYYYYY"
    with pytest.raises(ActionFailed, match="does not do that now; nothing was done"):
        await lend(town)
    town.server.knows = KNOWS_ALL
    with pytest.raises(ActionFailed, match="control character.*nothing was done"):
        await lend(town, "B|1")
    assert loans_asked(town) == []


async def test_a_barcode_that_cannot_be_sent_is_named_as_that(town: LibraryTown) -> None:
    with pytest.raises(ActionFailed, match=r"^tc: AB: a control character or \|; nothing was done$"):
        await lend(town, item="B1|AAx")
    assert loans_asked(town) == []


async def test_nothing_is_lent_by_a_lost_card_or_to_nobody(town: LibraryTown) -> None:
    await town.city.set_card_state(town.members[0], CardState.LOST)
    with pytest.raises(ActionFailed, match="this card is lost"):
        await lend(town)
    with pytest.raises(ActionFailed, match="bound to nobody"):
        await lend(town, uid="04FFFFFFFFFFFF")
    with pytest.raises(ActionFailed, match="one of the two"):
        await lend(town, uid=uid(1).raw.hex(), member="x")
    await town.city.add_members(1, 7)
    with pytest.raises(ActionFailed, match="no library barcode"):
        await lend(town, uid=uid(7).raw.hex())
    assert loans_asked(town) == []


async def test_whom_the_library_blocks_it_refuses_itself(town: LibraryTown) -> None:
    town.server.patrons["P0"] = Patron(status="Y" + " " * 13)
    del town.server.patrons["P1"]
    assert (await lend(town, member=town.members[1].hex())).outcome == "refused"


async def test_an_operator_lends_in_own_domains_alone_and_the_log_tells_no_title(town: LibraryTown) -> None:
    await town.keeper.round()
    values = {"library": "tc", "item": "B1", "member": town.members[0].hex()}
    with pytest.raises(Forbidden, match="no such library among yours"):
        await ask(town.admin, caller("eve", "operator", venues=("elsewhere",)), "library.checkout", **values)
    lent = await ask(town.admin, caller("lin", "operator", venues=("main",)), "library.checkout", **values)
    assert msgspec.to_builtins(lent)["outcome"] == "done"
    rows = [row.body for row in await town.city.rows(audit) if row.action == "library.checkout"]
    assert len(rows) == 3
    assert not any(TITLE in body or "B1" in body for body in rows)
