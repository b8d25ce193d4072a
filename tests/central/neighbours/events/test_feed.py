"""Systems that cannot be called pull what happened: in order, without gaps, whatever order transactions end in."""

from typing import Any

import pytest

from central.access.reach import Forbidden
from central.actions.action import ActionFailed
from central.custody import Custodian
from central.generation import next_generation
from central.neighbours.events.feeding import KEPT_MS
from central.neighbours.events.kinds import GATE_TYPES
from central.store.schema import subscription_feed
from tests.central.callers import add_account, ask, caller
from tests.central.neighbours.events.conftest import Telling, ids
from tests.central.services.scenes import Diary, person

SQLITE = pytest.mark.parametrize("engine", ["sqlite"])


async def pulled(telling: Telling, id_: str = "books", **values: Any) -> None:
    if id_ == "books":
        await add_account(telling.city.database, "books-system", "operator", venues=("main",))
    told = {"id": id_, "reader": "books-system", "webhook": ""} | values
    await telling.subscribe(**{"id_": id_, **{name: value for name, value in told.items() if name != "id"}})


async def read(telling: Telling, after: str = "", **values: Any) -> tuple[list[str], Any]:
    fed = await telling.act("feed.read", after=after, **values)
    return [event["id"] for event in fed.events], fed


async def test_what_comes_after_a_cursor_comes_in_order_and_once(telling: Telling, diary: Diary) -> None:
    await pulled(telling)
    expected = await telling.taps(diary, 25)
    await telling.tell()
    first, fed = await read(telling, limit=10)
    second, more = await read(telling, fed.next, limit=100)
    assert first + second == expected
    assert (fed.more, more.more) == (True, False)
    nothing, same = await read(telling, more.next)
    assert (nothing, same.next) == ([], more.next)
    again, _ = await read(telling, fed.next, limit=100)
    assert again == second
    later = await telling.taps(diary, 2)
    await telling.tell()
    assert (await read(telling, same.next))[0] == later


async def test_an_upload_that_becomes_visible_late_is_no_gap(telling: Telling, diary: Diary) -> None:
    """One began earlier and ends later than another that was fetched already."""
    pool = Diary(await telling.gate("door-2"))
    await pulled(telling)
    early_ms, telling.now_ms = telling.now_ms, telling.now_ms + 2_000
    seen = await telling.taps(diary, 3)
    await telling.tell()
    first, fed = await read(telling)
    assert first == seen
    pool.tap(3)
    await Custodian(telling.city.database, telling.city.keys, telling.custodian._device_keys).take(
        pool.upload(), early_ms
    )
    await telling.tell()
    assert (await read(telling, fed.next))[0] == ids(pool, range(1, 4))


@SQLITE
async def test_a_replay_comes_at_the_end_with_the_same_ids(telling: Telling, diary: Diary) -> None:
    await pulled(telling)
    expected = await telling.taps(diary, 3)
    await telling.tell()
    _, fed = await read(telling)
    await telling.act("subscription.replay", id="books", since_ms=telling.now_ms)
    await telling.tell()
    assert (await read(telling, fed.next))[0] == expected


@SQLITE
async def test_one_that_is_paused_misses_nothing(telling: Telling, diary: Diary) -> None:
    await pulled(telling)
    await telling.act("subscription.pause", id="books")
    expected = await telling.taps(diary, 2)
    assert await telling.tell() == 0
    await telling.act("subscription.resume", id="books")
    await telling.tell()
    assert (await read(telling))[0] == expected


@SQLITE
async def test_what_is_too_old_is_not_kept_and_its_cursor_says_so(telling: Telling, diary: Diary) -> None:
    await pulled(telling)
    await telling.taps(diary, 2)
    await telling.tell()
    _, fed = await read(telling, limit=1)
    telling.now_ms += KEPT_MS + 1
    await telling.tell()
    assert await telling.city.rows(subscription_feed) == []
    with pytest.raises(ActionFailed, match="is not kept any more"):
        await read(telling, fed.next)
    assert (await read(telling))[0] == []
    late = await telling.taps(diary)
    await telling.tell()
    assert (await read(telling))[0] == late


@SQLITE
@pytest.mark.parametrize("cursor", ["x", "!!", "kqVib29rc_8", "a" * 500])
async def test_what_is_no_cursor_is_refused(telling: Telling, diary: Diary, cursor: str) -> None:
    await pulled(telling)
    with pytest.raises(ActionFailed, match="no cursor"):
        await read(telling, cursor)


@SQLITE
async def test_a_cursor_of_before_a_restore_or_of_a_feed_that_was_removed_passes_over_nothing(
    telling: Telling, diary: Diary
) -> None:
    await pulled(telling)
    expected = await telling.taps(diary, 3)
    await telling.tell()
    _, fed = await read(telling)
    async with telling.city.database.write() as connection:
        await next_generation(connection, telling.now_ms)
    with pytest.raises(ActionFailed, match="began anew"):
        await read(telling, fed.next)
    again, fed = await read(telling)
    assert again == expected
    await telling.act("subscription.remove", id="books")
    telling.now_ms += 1
    await telling.subscribe("books", webhook="", reader="books-system")
    with pytest.raises(ActionFailed, match="began anew"):
        await read(telling, fed.next)


@SQLITE
async def test_a_cursor_of_one_feed_is_none_of_another(telling: Telling, diary: Diary) -> None:
    await pulled(telling)
    await pulled(telling, "pool", types=sorted(GATE_TYPES)[:1])
    _, fed = await read(telling, subscription="books")
    with pytest.raises(ActionFailed, match="no cursor"):
        await read(telling, fed.next, subscription="pool")
    with pytest.raises(ActionFailed, match="say which"):
        await read(telling)


@SQLITE
async def test_only_its_reader_with_a_token_for_feeds_may_pull(telling: Telling, diary: Diary) -> None:
    await pulled(telling, pseudonyms=True)
    diary.came(person(1))
    await telling.upload(diary, 1)
    await telling.tell()
    operator = caller("books-system", "operator", venues=("main",))
    with pytest.raises(Forbidden):
        await ask(telling.admin, operator, "feed.read")
    system = with_scope("books-system", "feed")
    fed = await ask(telling.admin, system, "feed.read")
    assert len(fed.events[0]["subject"]) == 32
    with pytest.raises(ActionFailed, match="pulls no such feed"):
        await ask(telling.admin, with_scope("other-system", "feed"), "feed.read", subscription="books")
    with pytest.raises(Forbidden):
        await ask(telling.admin, with_scope("books-system", "citizen"), "feed.read")


def with_scope(name: str, scope: str) -> Any:
    from dataclasses import replace

    from central.access.tokens import actions_of

    plain = caller(name, "operator", venues=("main",))
    return replace(plain, token=f"{name}-token", scopes=frozenset({scope}), only=actions_of([f"scope:{scope}"]))
