"""Day cards: nobody's in particular, good until the venue closes, given to the next person without a link."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from central.access.reach import Forbidden
from central.actions.action import ActionFailed
from central.store.schema import card_bindings, cards, members, subjects, venues
from protocol.allowlist import CardState
from tests.central.actors import NOW_MS
from tests.central.admin import Admin
from tests.central.callers import ask, caller
from tests.central.city import City, uid
from tests.central.people.conftest import Listed
from tests.central.people.test_bind_sessions import Counter

ADMIN = caller("chen", "admin")
LIN = caller("lin", "operator", venues=("main",))
DAY = {"venue": "main", "notation": "hex"}
CARD = uid(90).raw.hex()


async def closing_at_nine(city: City) -> int:
    """When the venue closes today."""
    await city.change(venues, venues.c.id == "main", closes_at="21:00")
    local = dt.datetime.fromtimestamp(NOW_MS / 1_000, ZoneInfo("Asia/Taipei"))
    closing = local.replace(hour=21, minute=0, second=0, microsecond=0)
    return int((closing if closing > local else closing + dt.timedelta(days=1)).timestamp() * 1_000)


async def test_a_day_card_opens_until_the_venue_closes(city: City, admin: Admin, listed: Listed) -> None:
    until_ms = await closing_at_nine(city)
    given = await ask(admin, LIN, "card.issue-day", uid=CARD, **DAY)
    assert given.until_ms == until_ms
    entry = await listed.entry(90)
    assert entry is not None
    assert [(grant.name, grant.until_ms) for grant in entry.classes] == [("day", until_ms)]
    assert (entry.until_ms, entry.state) == (until_ms, CardState.ACTIVE)
    shown = await ask(admin, LIN, "member.show", id=given.id)
    assert (shown.is_day, shown.name, shown.numbers) == (True, "", [])
    assert await listed.is_whole()


async def test_a_day_card_of_a_venue_that_closes_between_quarter_hours_opens_until_the_next(
    city: City, admin: Admin, listed: Listed
) -> None:
    """Any other moment would be published as the beginning of its day, and the card would open nothing."""
    until_ms = await closing_at_nine(city) + 15 * 60_000
    await city.change(venues, venues.c.id == "main", closes_at="21:10")
    given = await ask(admin, LIN, "card.issue-day", uid=CARD, **DAY)
    entry = await listed.entry(90)
    assert entry is not None
    assert [given.until_ms, entry.until_ms, *(grant.until_ms for grant in entry.classes)] == [until_ms] * 3


async def test_a_card_that_came_back_is_the_next_ones_without_a_link(city: City, admin: Admin, listed: Listed) -> None:
    first = await ask(admin, LIN, "card.issue-day", uid=CARD, **DAY)
    before = await listed.entry(90)
    admin.now_ms += 86_400_000
    second = await ask(admin, LIN, "card.issue-day", uid=CARD, **DAY)
    after = await listed.entry(90)
    assert before is not None
    assert after is not None
    assert first.member != second.member
    assert (before.subject != after.subject, after.until_ms) == (True, second.until_ms)
    assert (await ask(admin, LIN, "member.show", id=first.id)).cards == []
    assert [card.number for card in (await ask(admin, LIN, "member.show", id=second.id)).cards] == [1]
    assert await listed.is_whole()
    said = [row for row in await city.rows(card_bindings) if row.uid_index == city.keys.uid_index(uid(90))]
    assert len({row.member for row in said}) == 2
    assert (await admin.act("verify")).problems == 0


async def test_a_persons_card_is_no_day_card(admin: Admin) -> None:
    with pytest.raises(ActionFailed, match="bound already"):
        await ask(admin, LIN, "card.issue-day", uid=uid(1).raw.hex(), **DAY)


async def test_what_cannot_be_given_leaves_nothing_behind(city: City, admin: Admin) -> None:
    held = len(await city.rows(members)), len(await city.rows(subjects)), len(await city.rows(cards))
    for values in ({"uid": "zz"}, {"uid": uid(1).raw.hex()}, {"uid": "08010203"}):
        with pytest.raises(ActionFailed):
            await ask(admin, LIN, "card.issue-day", **DAY, **values)
    assert held == (len(await city.rows(members)), len(await city.rows(subjects)), len(await city.rows(cards)))


async def test_a_blocked_day_card_is_not_given_out(admin: Admin) -> None:
    given = await ask(admin, LIN, "card.issue-day", uid=CARD, **DAY)
    await ask(admin, LIN, "card.block", card=given.card)
    with pytest.raises(ActionFailed, match="blocked"):
        await ask(admin, LIN, "card.issue-day", uid=CARD, **DAY)


async def test_only_an_admin_names_another_class_and_only_the_own_venue_gives_cards(admin: Admin) -> None:
    with pytest.raises(ActionFailed, match="an admin"):
        await ask(admin, LIN, "card.issue-day", uid=CARD, class_name="staff", **DAY)
    with pytest.raises(Forbidden):
        await ask(admin, caller("lin", "operator", venues=("pool",)), "card.issue-day", uid=CARD, **DAY)
    assert (await ask(admin, ADMIN, "card.issue-day", uid=CARD, class_name="guest", **DAY)).card


async def test_a_day_card_is_bound_by_tapping_it_again_and_again(city: City, admin: Admin, listed: Listed) -> None:
    counter = Counter(city, admin)
    await counter.knows()
    for day in range(2):
        given = await ask(admin, LIN, "card.issue-day", venue="main")
        assert given.card == ""
        session = await ask(admin, LIN, "card.bind-session.open", gate="door-1", member=given.member)
        of = await counter.hears()
        assert of is not None
        await counter.takes(of)
        assert (await counter.settles(session)).state == "bound"
        entry = await listed.entry(77)
        assert entry is not None
        assert entry.until_ms == given.until_ms
        assert len((await ask(admin, LIN, "member.show", id=given.id)).cards) == 1, day
        admin.now_ms += 86_400_000
    assert await listed.is_whole()
