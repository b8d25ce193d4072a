"""Receivers that fail in every way: what was not taken is sent again, and one event that is refused stops nobody."""

import asyncio
from pathlib import Path

import pytest

from central.neighbours.events import posting
from central.neighbours.events.backoff import ALONE_MS, DEAD_MS, REFUSED_MS
from central.store.schema import subscriptions
from tests.central.neighbours.events.conftest import Telling, ids
from tests.central.services.scenes import Diary
from tests.support import webhook_traps as traps
from tests.support.certificates import server_context

SQLITE = pytest.mark.parametrize("engine", ["sqlite"])
HOUR_MS = 3_600_000


# --- receivers that fail ------------------------------------------------------------------------------------------


@SQLITE
@pytest.mark.parametrize(
    ("act", "problem"),
    [
        (traps.answering(500), "the receiver answered 500"),
        (traps.answering(404), "the receiver answered 404"),
        (traps.answering(301, "location: /elsewhere"), "the receiver answered 301: redirects are not followed"),
        (traps.hanging, "the receiver did not answer within 0.3 s"),
        (traps.dripping, "the receiver did not answer within 0.3 s"),
        (traps.garbage, "the receiver broke off"),
        (traps.closing, "the receiver broke off"),
        (traps.many_headers, "the receiver broke off"),
    ],
    ids=["500", "404", "301", "hangs", "drips", "garbage", "closes", "headers"],
)
async def test_what_was_not_taken_is_sent_again_the_same(
    telling: Telling, diary: Diary, monkeypatch: pytest.MonkeyPatch, act: traps.Act, problem: str
) -> None:
    if "0.3 s" in problem:
        monkeypatch.setattr(posting, "TIMEOUT_S", 0.3)
    await telling.subscribe()
    (expected,) = await telling.taps(diary)
    telling.receiver.act = act
    await telling.tell()
    row = await telling.row()
    assert row.problem.startswith(problem)
    assert (row.state, row.tries, row.told) == ("active", 1, 0)
    assert {request.path for request in telling.receiver.asked} == {"/hook"}
    assert row.next_ms > telling.now_ms
    telling.receiver.act = traps.taking
    tried = len(telling.receiver.asked)
    assert await telling.tell() == 0, "it is left alone for a while"
    telling.now_ms = row.next_ms
    await telling.tell()
    assert telling.receiver.ids[tried:] == [expected]
    assert {request.headers["webhook-id"] for request in telling.receiver.asked} == {
        telling.receiver.asked[0].headers["webhook-id"]
    }
    assert (
        telling.receiver.asked[0].headers["webhook-timestamp"]
        != telling.receiver.asked[-1].headers["webhook-timestamp"]
    )


@SQLITE
async def test_nobody_there_and_a_wrong_certificate_are_failures_too(
    telling: Telling, diary: Diary, tmp_path: Path
) -> None:
    await telling.subscribe("nobody", webhook="http://127.0.0.1:1/hook")
    context, _ = server_context(tmp_path)
    async with traps.receiving(context) as secure:
        await telling.subscribe("stranger", webhook=secure.url)
        await telling.taps(diary)
        await telling.tell()
        assert secure.asked == []
    problems = {row.id: row.problem for row in await telling.city.rows(subscriptions)}
    assert problems["nobody"] == "the receiver was not reached (ConnectionRefusedError)"
    assert problems["stranger"] == "the receiver did not prove who it is"


@SQLITE
async def test_of_a_body_without_end_little_is_read_and_the_status_counts(telling: Telling, diary: Diary) -> None:
    await telling.subscribe()
    await telling.taps(diary, 2)
    telling.receiver.act = traps.endless
    async with asyncio.timeout(5):
        await telling.tell()
    assert (await telling.row()).told == 2
    assert telling.receiver.connections == 2


@SQLITE
async def test_pauses_grow_and_a_receiver_may_ask_for_longer_ones(telling: Telling, diary: Diary) -> None:
    await telling.subscribe()
    await telling.taps(diary)
    telling.receiver.act = traps.answering(503, "retry-after: 7200")
    await telling.tell()
    assert (await telling.row()).next_ms - telling.now_ms == 2 * HOUR_MS
    telling.receiver.act = traps.answering(502)
    pauses = []
    for _ in range(9):
        telling.now_ms = (await telling.row()).next_ms
        await telling.tell()
        pauses.append((await telling.row()).next_ms - telling.now_ms)
    assert pauses == sorted(pauses) or pauses[-1] <= 7.2 * HOUR_MS
    assert pauses[0] < 60_000 < HOUR_MS < pauses[-1] <= 7.2 * HOUR_MS


@SQLITE
async def test_one_that_wants_nothing_more_is_dead_at_once_and_goes_on_when_resumed(
    telling: Telling, diary: Diary
) -> None:
    await telling.subscribe()
    expected = await telling.taps(diary, 2)
    telling.receiver.acts = [traps.answering(410)]
    await telling.tell()
    assert [(await telling.row()).state, (await telling.row()).why] == ["dead", "the receiver answered 410"]
    assert len(telling.receiver.asked) == 1
    telling.now_ms += DEAD_MS
    assert await telling.tell() == 0
    await telling.act("subscription.resume", id="platform")
    await telling.tell()
    assert telling.receiver.ids[1:] == expected


@SQLITE
async def test_one_that_takes_nothing_for_days_is_dead(telling: Telling, diary: Diary) -> None:
    await telling.subscribe()
    await telling.taps(diary)
    telling.receiver.act = traps.answering(503)
    began_ms = telling.now_ms
    while (await telling.row()).state == "active":
        await telling.tell()
        telling.now_ms = max((await telling.row()).next_ms, telling.now_ms + 1)
    assert telling.now_ms - began_ms >= DEAD_MS
    assert (await telling.row()).why.startswith("nothing was taken for three days")
    assert await telling.dead() == []  # it was never the event's fault
    assert len(telling.receiver.asked) < 40


# --- one event that cannot be taken -------------------------------------------------------------------------------


async def test_an_event_that_is_refused_holds_up_its_gate_and_no_other_and_is_given_up(
    telling: Telling, diary: Diary
) -> None:
    pool = Diary(await telling.gate("door-2"))
    await telling.subscribe()
    bad, *behind = await telling.taps(diary, 3)
    await telling.upload(pool)
    others = await telling.taps(pool, 2)
    telling.receiver.act = traps.refusing(bad)
    await telling.tell()
    assert [id_ for id_ in telling.receiver.ids if id_ != bad] == others
    began_ms = telling.now_ms
    while telling.now_ms - began_ms < REFUSED_MS + HOUR_MS:
        telling.now_ms += HOUR_MS
        others += await telling.taps(pool)
        await telling.tell()
    (letter,) = await telling.dead()
    assert ids(diary, [letter.sequence]) == [bad]
    assert letter.problem == "the receiver answered 500"
    assert [id_ for id_ in telling.receiver.ids if id_ in behind] == behind
    assert [id_ for id_ in telling.receiver.ids if id_ in others] == others
    telling.receiver.act = traps.taking
    tried = len(telling.receiver.asked)
    done = await telling.act("subscription.replay", id="platform", dead=True)
    assert done.dead_letters == 1
    await telling.tell()
    assert telling.receiver.ids[tried:] == [bad]
    assert await telling.dead() == []


@SQLITE
async def test_a_dead_letter_that_is_refused_again_waits_for_a_person(telling: Telling, diary: Diary) -> None:
    await telling.subscribe()
    bad, good = await telling.taps(diary, 2)
    telling.receiver.act = traps.refusing(bad, status=400)
    began_ms = telling.now_ms
    while telling.now_ms - began_ms <= ALONE_MS + 9 * HOUR_MS:
        await telling.tell()
        telling.now_ms += HOUR_MS
    assert telling.receiver.ids[-1] == good
    (before,) = await telling.dead()
    await telling.act("subscription.replay", id="platform", dead=True)
    await telling.tell()
    (after,) = await telling.dead()
    assert (after.tries, after.again) == (before.tries + 1, False)
    tried = len(telling.receiver.asked)
    await telling.tell()
    assert len(telling.receiver.asked) == tried
