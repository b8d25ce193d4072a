"""The raw UID of a card is seen by the person who asked, once, after another one allowed it, within minutes."""

from typing import Any

import pytest

from central.actions.action import ActionFailed
from central.actions.privacy.uid_looks import ALLOW_WITHIN_MS, SHOW_WITHIN_MS
from central.store.schema import audit, members, uid_looks
from tests.central.admin import Admin
from tests.central.callers import ask, caller
from tests.central.city import City, uid

ANA, BEA, EVE = (caller(name, "admin") for name in ("ana", "bea", "eve"))


@pytest.fixture
async def asked(admin: Admin, city: City) -> Any:
    row = next(row for row in await city.rows(members) if row.reference == "M-1")
    return await ask(admin, ANA, "card.uid.ask", card=row.id.hex(), why="found card, unreadable print")


async def test_two_people_see_a_number_once(admin: Admin, city: City, asked: Any) -> None:
    assert asked.state == "asked"
    allowed = await ask(admin, BEA, "card.uid.allow", id=asked.id)
    assert (allowed.state, allowed.allowed_by, allowed.who) == ("allowed", "bea", "ana")
    shown = await ask(admin, ANA, "card.uid.show", id=asked.id)
    assert shown.uid == uid(1).raw.hex().upper()
    with pytest.raises(ActionFailed, match="shown already"):
        await ask(admin, ANA, "card.uid.show", id=asked.id)
    (listed,) = (await ask(admin, EVE, "card.uid.list")).looks
    assert listed.state == "shown"
    rows = await city.rows(audit)
    assert {row.action for row in rows} >= {"card.uid.ask", "card.uid.allow", "card.uid.show"}
    assert all(shown.uid not in row.body.upper() for row in rows)
    await admin.act("member.erase", person="M-1", apply=True)
    assert await city.rows(uid_looks) == []


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_nobody_allows_what_they_asked_for_and_nobody_else_is_shown_it(admin: Admin, asked: Any) -> None:
    with pytest.raises(ActionFailed, match="another person"):
        await ask(admin, ANA, "card.uid.allow", id=asked.id)
    with pytest.raises(ActionFailed, match="nobody allowed it yet"):
        await ask(admin, ANA, "card.uid.show", id=asked.id)
    await ask(admin, BEA, "card.uid.allow", id=asked.id)
    with pytest.raises(ActionFailed, match="only the person who asked"):
        await ask(admin, BEA, "card.uid.show", id=asked.id)
    with pytest.raises(ActionFailed, match="allowed already"):
        await ask(admin, EVE, "card.uid.allow", id=asked.id)


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_after_some_minutes_it_has_to_be_asked_for_again(admin: Admin, asked: Any) -> None:
    started_ms = admin.now_ms
    admin.now_ms = started_ms + ALLOW_WITHIN_MS
    with pytest.raises(ActionFailed, match="ask again"):
        await ask(admin, BEA, "card.uid.allow", id=asked.id)
    admin.now_ms = started_ms + ALLOW_WITHIN_MS - 1
    await ask(admin, BEA, "card.uid.allow", id=asked.id)
    admin.now_ms += SHOW_WITHIN_MS
    with pytest.raises(ActionFailed, match="ask again"):
        await ask(admin, ANA, "card.uid.show", id=asked.id)


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_who_may_say_whom_they_act_for_is_no_two_people(admin: Admin, asked: Any) -> None:
    for action, values in (("card.uid.ask", {"card": "0" * 32, "why": "why"}), ("card.uid.allow", {"id": asked.id})):
        with pytest.raises(ActionFailed, match="by their accounts"):
            await admin.act(action, who="bea", **values)
