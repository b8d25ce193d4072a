"""Cards over time: replaced, lost, found again; the subject stays, and what was known is not forgotten."""

import pytest

from central.actions.action import ActionFailed
from central.published_dates import published
from central.store.schema import card_bindings, cards, member_classes
from protocol.allowlist import CardState
from tests.central.actors import NOW_MS
from tests.central.admin import Admin
from tests.central.city import City, uid
from tests.central.people.conftest import Listed, Write

DAY_MS = 86_400_000
MIDNIGHT_MS = published(NOW_MS)
BULK = {"domain": "library", "notation": "hex"}


def text(number: int) -> str:
    return uid(number).raw.hex()


async def replaced(admin: Admin, old: int, new: int, **values: object) -> object:
    return await admin.act("card.replace", uid=text(old), new_uid=text(new), notation="hex", who="chen", **values)


async def test_a_replaced_card_stops_at_once_and_the_new_one_has_the_same_subject(admin: Admin, listed: Listed) -> None:
    before = await listed.entry(1)
    await replaced(admin, 1, 77)
    old, new = await listed.entry(1), await listed.entry(77)
    assert before is not None
    assert old is not None
    assert new is not None
    assert (old.state, new.state) == (CardState.REPLACED, CardState.ACTIVE)
    assert (new.subject, new.card, new.classes) == (before.subject, 2, before.classes)
    assert await listed.is_whole()


async def test_a_replaced_card_may_serve_until_the_new_one_is_there(admin: Admin, city: City, listed: Listed) -> None:
    await city.change(cards, cards.c.uid_index == city.keys.uid_index(uid(2)), until_ms=MIDNIGHT_MS + 300 * DAY_MS)
    await replaced(admin, 2, 77, after_days=14)
    old, new = await listed.entry(2), await listed.entry(77)
    assert old is not None
    assert new is not None
    assert (old.state, old.until_ms) == (CardState.ACTIVE, MIDNIGHT_MS + 15 * DAY_MS)  # the fourteenth day to its end
    assert new.until_ms == MIDNIGHT_MS + 300 * DAY_MS  # the new one ends when the old one would have
    said = (await admin.act("card.history", uid=text(2), notation="hex")).statements
    assert [(each.state, each.from_ms, each.known_ms, each.who) for each in said] == [
        ("replaced", MIDNIGHT_MS + 15 * DAY_MS, NOW_MS, "chen"),
        ("active", 0, NOW_MS, ""),
    ]


async def test_a_card_that_ends_before_its_grace_keeps_its_end(admin: Admin, city: City, listed: Listed) -> None:
    await city.change(cards, cards.c.uid_index == city.keys.uid_index(uid(2)), until_ms=MIDNIGHT_MS + DAY_MS)
    await replaced(admin, 2, 77, after_days=14)
    old = await listed.entry(2)
    assert old is not None
    assert old.until_ms == MIDNIGHT_MS + DAY_MS


async def test_a_lost_card_is_refused_and_one_found_again_is_as_before(admin: Admin, listed: Listed) -> None:
    before = await listed.entry(3)
    await admin.act("card.lose", uid=text(3), notation="hex", who="desk", why="by phone")
    lost = await listed.entry(3)
    assert lost is not None
    assert lost.state is CardState.LOST
    admin.now_ms += 60_000
    await admin.act("card.find-again", uid=text(3), notation="hex", who="desk")
    assert await listed.entry(3) == before
    said = (await admin.act("card.history", uid=text(3), notation="hex")).statements
    assert [(each.state, each.from_ms, each.why, each.who) for each in said] == [
        ("active", NOW_MS + 60_000, "found again", "desk"),
        ("lost", NOW_MS, "by phone", "desk"),
        ("active", 0, "", ""),
    ]


@pytest.mark.parametrize(
    ("action", "values", "why"),
    [
        ("card.find-again", {"uid": text(0)}, "this card is active"),
        ("card.lose", {"uid": text(40)}, "bound to nobody"),
        ("card.replace", {"uid": text(0), "new_uid": text(1)}, "new uid: this card is bound already"),
        ("card.replace", {"uid": text(40), "new_uid": text(41)}, "bound to nobody"),
        ("card.replace", {"uid": text(0), "new_uid": "08112233"}, "new uid: uid-random"),
        ("card.history", {"uid": text(40)}, "nothing was ever known"),
    ],
)
async def test_what_cannot_be_done_is_said_and_changes_nothing(
    admin: Admin, city: City, action: str, values: dict[str, str], why: str
) -> None:
    with pytest.raises(ActionFailed, match=why):
        await admin.act(action, notation="hex", **values)
    assert await city.rows(card_bindings) == []


async def test_a_card_is_not_replaced_twice(admin: Admin) -> None:
    await replaced(admin, 1, 77)
    with pytest.raises(ActionFailed, match="was replaced already"):
        await replaced(admin, 1, 78)
    with pytest.raises(ActionFailed, match="this card is replaced"):
        await admin.act("card.find-again", uid=text(1), notation="hex")


async def test_every_way_to_a_state_is_in_the_history(admin: Admin, write: Write) -> None:
    await admin.act("card.block", member="M-0", why="rent unpaid", who="wu")
    await admin.act("card.unblock", member="M-0", who="wu")
    file = write("uid,member,class,valid_from,valid_until,state", f"{text(0)},M-0,citizen,,,lost")
    await admin.act("card.import", file=file, domain="library", notation="hex", apply=True)
    said = (await admin.act("card.history", uid=text(0), notation="hex")).statements
    assert [(each.state, each.who, each.why) for each in said] == [
        ("lost", "", "a card import"),
        ("active", "wu", ""),
        ("blocked", "wu", "rent unpaid"),
        ("active", "", ""),
    ]


async def test_cards_absent_from_a_full_list_have_it_in_their_history(admin: Admin, write: Write) -> None:
    file = write("uid,member,class,valid_from,valid_until", f"{text(0)},M-0,citizen,,")
    values = {"domain": "library", "notation": "hex", "apply": True, "full": True, "absent": "block", "force": True}
    await admin.act("card.import", file=file, **values)
    said = (await admin.act("card.history", uid=text(1), notation="hex")).statements
    assert [each.why for each in said] == ["absent from a full list", ""]


async def test_verify_finds_cards_and_classes_that_are_not_what_was_stated(
    admin: Admin, city: City, write: Write
) -> None:
    await replaced(admin, 1, 77)
    await admin.act("card.batch.issue", name="b", file=write("uid,member", f"{text(70)},M-0"), apply=True, **BULK)
    await admin.act("card.batch.undo", name="b", apply=True)
    file = write("member,action,class,from,until", "M-2,add,senior,2026-01-01,")
    await admin.act("member.classes", file=file, domain="library", apply=True)
    await admin.act("verify")
    assert admin.items == []
    member = (3).to_bytes(4) + bytes(12)
    await city.change(cards, cards.c.uid_index == city.keys.uid_index(uid(77)), member=member)
    await city.change(member_classes, member_classes.c.name == "senior", from_ms=5)
    await admin.act("verify")
    said = sorted(item.what for item in admin.items)
    assert said[0] == "class senior: held otherwise than the history knows it"
    assert "the card is another's than was stated last" in said
