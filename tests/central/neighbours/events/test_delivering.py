"""Events reach who subscribed to them: at least once, in the order of their gate, whatever the receiver does."""

import asyncio

import pytest
import standardwebhooks
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from central.alerts.watching import Watching
from central.metrics import Metrics
from central.neighbours.events import store
from central.store.schema import alerts, subscriptions
from protocol.messages import Passage
from tests.central.neighbours.events.conftest import Telling, ids
from tests.central.services.scenes import Diary, person
from tests.support import webhook_traps as traps

SQLITE = pytest.mark.parametrize("engine", ["sqlite"])
HOUR_MS = 3_600_000


async def test_what_happens_after_it_was_added_is_told_once_and_in_order(telling: Telling, diary: Diary) -> None:
    await telling.subscribe()
    expected = await telling.taps(diary, 70)
    assert await telling.tell() == 2
    assert telling.receiver.ids == expected
    assert await telling.tell() == 0
    telling.now_ms += 1_000
    more = await telling.taps(diary, 3)
    await telling.tell()
    assert telling.receiver.ids == expected + more
    row = await telling.row()
    assert (row.told, row.failing_ms, row.problem) == (73, 0, "")


@SQLITE
async def test_an_event_is_a_cloud_event_that_names_no_card(telling: Telling, diary: Diary) -> None:
    await telling.subscribe(pseudonyms=True)
    await telling.subscribe("other", pseudonyms=True)
    await telling.subscribe("plain")
    tap = diary.came(person(7))
    diary.passed(tap, Passage.TAKEN)
    diary.admitted()
    diary.undid(tap)
    await telling.upload(diary, tap)
    await telling.tell()
    events = [JSONFormat().read(CloudEvent, request.body) for request in telling.receiver.asked]
    of_tap = [event for event in events if event.get_type() == "tw.tapgate.tap.v1"]
    assert len(of_tap) == 3
    assert {event.get_id() for event in of_tap} == set(ids(diary, [tap]))
    assert of_tap[0].get_source() == "/gates/door-1"
    assert of_tap[0].get_data() == {
        **{"domain": "library", "venue": "main", "gate": "door-1"},
        **{"direction": "in", "decision": "granted", "reason": "ok"},
    }
    pseudonyms = {event.get_subject() for event in of_tap}
    assert len(pseudonyms) == 3
    assert None in pseudonyms
    (passage,) = [event for event in events if event.get_type() == "tw.tapgate.passage.v1"][:1]
    assert (passage.get_data()["passage"], passage.get_data()["of"]) == ("taken", ids(diary, [tap])[0])
    sent = b"".join(request.body for request in telling.receiver.asked)
    assert person(7).hex().encode() not in sent
    assert b"chen" not in sent
    assert b"lost card" not in sent


@SQLITE
async def test_the_same_person_has_the_same_pseudonym_for_one_receiver(telling: Telling, diary: Diary) -> None:
    await telling.subscribe(pseudonyms=True)
    first = diary.came(person(1))
    diary.came(person(1))
    diary.came(person(2))
    await telling.upload(diary, first)
    await telling.tell()
    one, again, other = (request.event["subject"] for request in telling.receiver.asked)
    assert one == again != other


@SQLITE
async def test_signatures_verify_by_plain_hmac_and_by_the_library_of_the_specification(
    telling: Telling, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    await telling.subscribe()
    await telling.taps(diary)
    await telling.tell()
    (request,) = telling.receiver.asked
    assert request.is_signed(telling.secret)
    assert request.headers["content-type"] == "application/cloudevents+json"
    hook = standardwebhooks.Webhook(telling.secret)
    monkeypatch.setattr("standardwebhooks.webhooks.Webhook._Webhook__verify_timestamp", _any_time)
    assert hook.verify(request.body, request.headers)["id"] == request.event["id"]
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        hook.verify(request.body.replace(b"door-1", b"door-2"), request.headers)


def _any_time(_self: object, header: str) -> object:
    import datetime as dt

    return dt.datetime.fromtimestamp(int(header), dt.UTC)


@SQLITE
async def test_after_a_rotation_both_secrets_sign_for_a_day(telling: Telling, diary: Diary) -> None:
    await telling.subscribe()
    rotated = await telling.act("subscription.rotate", id="platform")
    await telling.taps(diary)
    await telling.tell()
    telling.now_ms = rotated.previous_until_ms
    await telling.taps(diary)
    await telling.tell()
    during, after = telling.receiver.asked
    assert during.is_signed(rotated.secret)
    assert during.is_signed(telling.secret)
    assert after.is_signed(rotated.secret)
    assert not after.is_signed(telling.secret)


# --- reach --------------------------------------------------------------------------------------------------------


@SQLITE
async def test_only_the_types_and_places_that_were_asked_for_are_told(telling: Telling, diary: Diary) -> None:
    await telling.city.add_gate("door-2")
    await telling.subscribe("passages", types=["tw.tapgate.passage.v1"])
    await telling.act(
        "subscription.add",
        id="elsewhere",
        types=["tw.tapgate.tap.v1"],
        webhook=telling.receiver.url,
        domains=["library"],
    )
    await telling.city.change(subscriptions, subscriptions.c.id == "elsewhere", domains='["pool"]')
    tap = diary.came(person(1))
    passage = diary.passed(tap, Passage.TAKEN)
    await telling.upload(diary, tap)
    await telling.tell()
    assert telling.receiver.ids == ids(diary, [passage])
    assert {row.through for row in await telling.progress()} == {passage}


# --- crashes, many processes --------------------------------------------------------------------------------------


async def test_a_process_that_dies_between_sending_and_noting_has_another_send_the_same(
    telling: Telling, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    await telling.subscribe()
    expected = await telling.taps(diary, 3)

    async def die(*_: object) -> bool:
        raise asyncio.CancelledError

    with monkeypatch.context() as dying:
        dying.setattr(store, "is_held", die)
        with pytest.raises(asyncio.CancelledError):
            await telling.delivering.step(telling.poster)
    assert telling.receiver.ids == expected
    other = telling.another()
    assert not await other.step(telling.poster), "somebody may still be sending it"
    telling.now_ms += store.TAKEN_MS
    while await other.step(telling.poster):
        pass
    assert telling.receiver.ids == expected + expected
    assert (await telling.row()).told == 3


async def test_several_processes_tell_each_event_once(telling: Telling, diary: Diary) -> None:
    await telling.subscribe()
    expected = await telling.taps(diary, 120)
    processes = [telling.delivering, *(telling.another() for _ in range(3))]
    for _ in range(4):
        await asyncio.gather(*(each.step(telling.poster) for each in processes))
    assert telling.receiver.ids == expected


# --- order --------------------------------------------------------------------------------------------------------


async def test_lost_events_that_come_after_all_are_told(telling: Telling, diary: Diary) -> None:
    await telling.subscribe()
    diary.tap(9)
    await telling.upload(diary, 6, 9, lost=5)
    await telling.tell()
    assert telling.receiver.ids == ids(diary, range(6, 10))
    telling.now_ms += 86_400_000  # long after anybody would look there
    await telling.tell()
    await telling.upload(diary, 1, 5)
    await telling.tell()
    assert set(telling.receiver.ids) == set(ids(diary, range(1, 10)))
    assert [id_ for id_ in telling.receiver.ids if id_ in ids(diary, range(1, 6))] == ids(diary, range(1, 6))


@SQLITE
async def test_lost_events_that_come_while_a_round_is_sent_are_not_passed_over(telling: Telling, diary: Diary) -> None:
    await telling.subscribe()
    await telling.taps(diary)
    await telling.tell()
    diary.tap(9)
    await telling.upload(diary, 7, 10, lost=5)

    async def meanwhile(request: traps.Request, writer: asyncio.StreamWriter) -> bool:
        await telling.upload(diary, 2, 6)
        return await traps.taking(request, writer)

    telling.receiver.acts = [meanwhile]
    await telling.tell()
    assert set(telling.receiver.ids) == set(ids(diary, range(1, 11)))


@SQLITE
async def test_epochs_of_a_gate_follow_one_another(telling: Telling, diary: Diary) -> None:
    await telling.subscribe()
    before = await telling.taps(diary, 60)
    later = Diary(telling.city.device, diary)
    await telling.upload(later)
    after = await telling.taps(later, 60)
    await telling.tell()
    assert telling.receiver.ids == before + after


@SQLITE
async def test_few_requests_are_on_their_way_at_once(telling: Telling, diary: Diary) -> None:
    journals = [diary, *[Diary(await telling.gate(f"side-{number}")) for number in range(20)]]
    await telling.subscribe()
    for journal in journals[1:]:
        await telling.upload(journal)
    expected = [id_ for journal in journals for id_ in await telling.taps(journal, 2)]

    async def slowly(request: traps.Request, writer: asyncio.StreamWriter) -> bool:
        await asyncio.sleep(0.01)
        return await traps.taking(request, writer)

    telling.receiver.act = slowly
    await telling.tell()
    assert sorted(telling.receiver.ids) == sorted(expected)
    assert 1 < telling.receiver.most_at_once <= 8


# --- custody ------------------------------------------------------------------------------------------------------


async def test_a_receiver_that_hangs_keeps_no_upload_waiting(telling: Telling, diary: Diary) -> None:
    await telling.subscribe()
    await telling.taps(diary)
    telling.receiver.act = traps.hanging
    task = asyncio.create_task(telling.delivering.step(telling.poster))
    try:
        while not telling.receiver.asked:
            await asyncio.sleep(0.005)
        async with asyncio.timeout(2):
            await telling.taps(diary, 5)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@SQLITE
async def test_a_sealed_secret_of_another_subscription_sends_nothing(telling: Telling, diary: Diary) -> None:
    await telling.subscribe()
    await telling.subscribe("other")
    other = await telling.row("other")
    await telling.city.change(
        subscriptions, subscriptions.c.id == "platform", secret_sealed=other.secret_sealed, url_sealed=other.url_sealed
    )
    await telling.act("subscription.remove", id="other")
    await telling.taps(diary)
    await telling.tell()
    assert telling.receiver.asked == []
    assert (await telling.row()).state == "dead"


# --- alerts -------------------------------------------------------------------------------------------------------


@SQLITE
async def test_a_person_is_called_for_one_that_takes_nothing_and_not_for_one_that_is_paused(
    telling: Telling, diary: Diary
) -> None:
    watching = Watching(telling.config, telling.city.database, telling.city.keys, Metrics(), lambda: telling.now_ms)

    async def standing(seconds: int) -> list[tuple[str, str]]:
        for _ in range(seconds // 30):
            telling.now_ms += 30_000
            await watching.look()
        rows = await telling.city.rows(alerts)
        return [(row.kind, row.target) for row in rows if row.state != "resolved" and row.kind == "untold"]

    await telling.subscribe()
    await telling.taps(diary)
    telling.receiver.act = traps.answering(503)
    await telling.tell()
    assert await standing(1_800) == []
    assert await standing(2_000) == [("untold", "platform")]
    await telling.act("subscription.pause", id="platform")
    assert await standing(300) == []
    await telling.act("subscription.resume", id="platform")
    telling.receiver.act = traps.answering(410)
    await telling.tell()
    assert await standing(300) == [("untold", "platform")]
    await telling.act("subscription.remove", id="platform")
    assert await standing(600) == []


@SQLITE
async def test_what_became_visible_very_late_is_found_by_looking_back(telling: Telling, diary: Diary) -> None:
    """A transaction that hung for minutes: its time is of before what was looked at since."""
    pool = Diary(await telling.gate("door-2"))
    await telling.subscribe()
    early_ms = telling.now_ms + 1
    telling.now_ms += 20 * 60_000
    await telling.taps(diary)
    await telling.tell()
    pool.tap(2)
    await telling.custodian.take(pool.upload(), early_ms)
    telling.receiver.asked.clear()
    await telling.tell()
    assert telling.receiver.asked == []
    telling.delivering._walked_s.clear()  # an hour later
    await telling.tell()
    assert telling.receiver.ids == ids(pool, [1, 2])
