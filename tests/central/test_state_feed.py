"""What gates whose rules look back are told of each other (SPEC §7.8): by polls, on both databases."""

import asyncio
import random
import time
from typing import Any

import pytest
from sqlalchemy import select

from central import state_feed
from central.keys import Keys
from central.metrics import Metrics
from central.polls import STATE_EVERY_S, Polls
from central.state_feed import newest
from central.store.schema import projected, states, subject_states
from central.wakeups import Wakeups
from protocol.history import MAX_MARKS, accept_state
from protocol.messages import Fresh, Manifest, Mark, Part, Passage, Poll, State, SubjectState, Trouble
from protocol.policy import Admit, Limit, Occupancy, Passback
from tests.central.actors import NOW_MS, UNDERSTANDS, Device, find, types
from tests.central.city import City
from tests.central.services.scenes import Diary, Town, person
from tests.central.test_device_api import Client, config, served

__all__ = ["config", "served"]  # fixtures

A, B, C = person(1), person(2), person(3)
DAY_MS = 86_400_000
LOOKS_BACK = (Limit(id="once", most=1, per="day"), Admit(id="members"))


class Gate:
    """A device that polls and keeps what it is told, as SPEC says it."""

    def __init__(self, device: Device, polls: Any, keys: Keys) -> None:
        self.device, self.polls, self.keys = device, polls, keys
        self.manifest = self.version = self.keys_number = 0
        self.parts: tuple[Part, ...] = ()
        self.known: dict[bytes, SubjectState] = {}
        self.word: State | None = None
        self.answer: list[bytes] = []
        self.understands = (*UNDERSTANDS, "rule:limit", "rule:passback", "rule:occupancy", State.TYPE)

    def question(self, **changes: Any) -> Poll:
        state = (Part("state", self.version, bytes(32)),) if self.version else ()
        held = {"manifest": self.manifest, "keys_number": self.keys_number, "parts": (*self.parts, *state)}
        return self.device.poll_message(understands=self.understands, **held | changes)

    async def ask(self, **changes: Any) -> State | None:
        """The state message in the answer, taken up."""
        self.answer = await self.polls.answer(self.question(**changes))
        if "manifest" in types(self.answer):
            stated = find(Manifest, self.answer, self.keys.publish.public)
            self.manifest, self.keys_number, self.parts = stated.number, stated.keys_number, stated.parts
        if "state" not in types(self.answer):
            return None
        found: State = find(State, self.answer, self.keys.publish.public)
        accept_state(found, self.device.id, "library", self.version)
        if found.base == 0:
            self.known = {}
        self.known |= {state.subject: state for state in found.subjects}
        self.version, self.word = found.version, found
        return found

    async def catch_up(self) -> None:
        while await self.ask() is not None:
            await asyncio.sleep(0)

    def marks(self, subject: bytes) -> list[tuple[bytes, int]]:
        return [mark.name for mark in self.known[subject].marks] if subject in self.known else []


class Feed:
    """A city whose gates look back, its settling, and its polls."""

    def __init__(self, city: City, keys: Keys) -> None:
        self.city, self.keys, self.now_ms = city, keys, NOW_MS
        self.town = Town(city.database, keys)
        self.wakeups = Wakeups()
        city.database.on_commit = self.wakeups.wake
        self.polls = Polls(city.database, keys, self.wakeups, lambda: self.now_ms, Metrics())

    def gate(self, device: Device) -> Gate:
        return Gate(device, self.polls, self.keys)

    async def take(self, diary: Diary, first: int = 0, last: int | None = None) -> None:
        assert await self.town.take(diary, first, last) == "accepted"
        await self.town.settle()

    async def pass_time(self, ms: int) -> None:
        self.now_ms += ms
        self.town.now_ms = self.now_ms


@pytest.fixture
async def feed(city: City, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> Feed:
    monkeypatch.setattr("central.polls.STATE_EVERY_S", 0.0)
    await city.add_policy(NOW_MS, *LOOKS_BACK)
    await city.add_gate("door-2")
    return Feed(city, keys)


@pytest.fixture
async def other(feed: Feed) -> Device:
    return await feed.city.add_device(Device("door-2-device", "door-2"))


async def test_a_fresh_gate_of_a_domain_where_nothing_happened_knows_that_it_is_told(feed: Feed, city: City) -> None:
    gate = feed.gate(city.device)
    assert await gate.ask() is None, "not all is settled yet"
    await feed.town.settle()
    told = await gate.ask()
    assert told is not None
    assert (told.base, told.subjects, told.counted, told.inside) == (0, (), (), (("main", 0),))
    assert told.version > 0
    assert types(gate.answer)[-1] == "state"
    assert await gate.ask() is None


@pytest.mark.parametrize(("rules", "understands"), [((Admit(id="members"),), True), (LOOKS_BACK, False)])
async def test_gates_that_need_none_are_told_nothing(
    feed: Feed, city: City, rules: tuple[Any, ...], understands: bool
) -> None:
    await city.add_policy(NOW_MS + 1, *rules)
    await feed.town.settle()
    gate = feed.gate(city.device)
    if not understands:
        gate.understands = tuple(each for each in gate.understands if each != State.TYPE)
    assert await gate.ask() is None
    assert "manifest" in types(gate.answer)


async def test_a_tap_elsewhere_is_told_and_ones_own_are_counted(feed: Feed, city: City, other: Device) -> None:
    here, there = feed.gate(city.device), feed.gate(other)
    await feed.town.settle()
    await here.catch_up()
    await there.catch_up()
    diary = Diary(other)
    tap = diary.came(A, NOW_MS + 5, points=3)
    diary.came(B, NOW_MS + 6)
    await feed.take(diary, 0, tap)
    told = await here.ask()
    assert told is not None
    assert told.base < told.version
    assert told.base > 0, "only what changed is sent"
    assert told.subjects == (
        SubjectState(A, (Mark(NOW_MS + 5, "main", "door-2", "in", "members", 3, 0, diary.epoch, tap),)),
    )
    assert told.counted == ()
    assert types(here.answer) == ["fresh", "state"], "what a gate's age is counted from comes with it"
    told = await there.ask()
    assert told is not None
    assert [(each.epoch, each.through) for each in told.counted] == [(diary.epoch, tap)]
    assert here.marks(A) == there.marks(A) == [(diary.epoch, tap)]
    assert told.inside == (("main", 1),)


async def test_what_is_given_back_is_told_no_more(feed: Feed, city: City) -> None:
    gate, diary = feed.gate(city.device), Diary(city.device)
    tap = diary.came(A)
    again = diary.came(A, NOW_MS + 1, repeats=tap)
    await feed.take(diary)
    await gate.catch_up()
    assert gate.marks(A) == [(diary.epoch, tap)]
    diary.passed(tap, Passage.NOT_TAKEN)
    await feed.take(diary, again + 1)
    await gate.catch_up()
    assert gate.marks(A) == [(diary.epoch, again)]
    diary.undid(again)
    await feed.take(diary, again + 2)
    await gate.catch_up()
    assert gate.marks(A) == []


async def test_only_marks_that_a_rule_may_look_back_to_are_told(feed: Feed, city: City) -> None:
    diary = Diary(city.device)
    diary.came(A, NOW_MS - 2 * DAY_MS)
    today = diary.came(A, NOW_MS)
    diary.admitted(diary.was_denied(A))
    gate = feed.gate(city.device)
    await feed.take(diary)
    await gate.catch_up()
    assert gate.marks(A) == [(diary.epoch, today)]
    await city.add_policy(NOW_MS + 1, Passback(id="inside"), Admit(id="members"))
    gate = feed.gate(city.device)
    await gate.catch_up()
    assert len(gate.marks(A)) == 2


async def test_no_more_marks_are_told_than_fit(feed: Feed, city: City) -> None:
    diary = Diary(city.device)
    for n in range(MAX_MARKS + 20):
        diary.came(A, NOW_MS + n, points=1)
    gate = feed.gate(city.device)
    await feed.take(diary)
    await gate.catch_up()
    told = gate.known[A].marks
    assert len(told) == MAX_MARKS
    assert told[0].name == (diary.epoch, 1), "the very first says when a season began"
    assert told[-1].name == (diary.epoch, MAX_MARKS + 20)
    assert sum(mark.points for mark in told) == MAX_MARKS + 20, "what was spent stays spent"


def test_as_many_marks_as_fit_are_left_alone() -> None:
    some = [Mark(n, "v", "g", "in", "r", n, 0, b"e" * 8, n) for n in range(MAX_MARKS + 1)]
    assert newest(some[:-1]) == tuple(some[:-1])
    cut = newest(some)
    assert len(cut) == MAX_MARKS
    assert (cut[0], cut[1].points, cut[1].name, cut[2:]) == (some[0], 1 + 2, some[2].name, tuple(some[3:]))


@pytest.mark.parametrize("limit", ["MAX_STATES", "MAX_BYTES"])
async def test_what_does_not_fit_comes_in_further_messages(
    feed: Feed, city: City, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(state_feed, limit, 3 if limit == "MAX_STATES" else 250)
    diary = Diary(city.device)
    for n in range(1, 11):
        diary.came(person(n))
    await feed.take(diary)
    gate = feed.gate(city.device)
    messages = []
    while (told := await gate.ask()) is not None:
        messages.append(told)
    assert len(messages) >= 3
    assert [told.base for told in messages] == [0, *(told.version for told in messages[:-1])]
    assert sum(len(told.subjects) for told in messages) == 10
    assert all(gate.marks(person(n)) for n in range(1, 11))


async def test_whoever_changes_between_two_messages_is_told_again(
    feed: Feed, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_feed, "MAX_STATES", 1)
    diary = Diary(city.device)
    first, second = diary.came(A), diary.came(B)
    await feed.take(diary)
    gate = feed.gate(city.device)
    await gate.ask()
    diary.undid(first)
    third = diary.came(B, NOW_MS + 1)
    await feed.take(diary, second + 1)
    await gate.catch_up()
    assert (gate.marks(A), gate.marks(B)) == ([], [(diary.epoch, second), (diary.epoch, third)])


# --- after a restore --------------------------------------------------------------------------------------------


async def _forget(feed: Feed) -> None:
    """As in a database that was restored: what is computed is in no backup."""
    async with feed.city.database.write() as connection:
        for table in states.metadata.tables.values():
            if table.info.get("projection"):
                await connection.execute(table.delete())


async def test_a_restored_central_begins_anew_once_all_is_settled_again(feed: Feed, city: City, keys: Keys) -> None:
    gate, diary = feed.gate(city.device), Diary(city.device)
    diary.came(A)
    await feed.take(diary)
    await gate.catch_up()
    held = gate.version
    await _forget(feed)
    assert await gate.ask() is None, "what the gate holds is better than what is not settled yet"
    await feed.pass_time(60_000)
    feed.town = Town(city.database, keys, feed.now_ms)
    await feed.town.settle()
    told = await gate.ask()
    assert told is not None
    assert told.base == 0
    assert told.version > held
    assert gate.marks(A) == [(diary.epoch, 1)]


async def test_a_gate_that_holds_more_than_was_ever_told_begins_anew_above_it(
    feed: Feed, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the files of the database were set back, and the clock with them."""
    monkeypatch.setattr(state_feed, "MAX_STATES", 1)
    gate, diary = feed.gate(city.device), Diary(city.device)
    diary.came(A)
    diary.came(B)
    await feed.take(diary)
    gate.version = NOW_MS + DAY_MS
    assert await gate.ask() is None
    await gate.catch_up()
    assert gate.version > NOW_MS + DAY_MS
    assert gate.marks(A)
    assert gate.marks(B)
    assert len(gate.known) == 2


async def test_a_version_that_leaves_no_room_above_it_counts_as_none(feed: Feed, city: City) -> None:
    await feed.town.settle()
    told = find(
        State,
        await feed.polls.answer(feed.gate(city.device).question(parts=(Part("state", 2**53 - 1, bytes(32)),))),
        feed.keys.publish.public,
    )
    assert told.base == 0
    assert told.version < 2**52


async def test_never_more_is_counted_than_is_held(feed: Feed, city: City) -> None:
    diary = Diary(city.device)
    last = diary.came(A)
    await feed.take(diary)
    await city.change(projected, projected.c.epoch == diary.epoch, through=1_000)
    gate = feed.gate(city.device)
    told = await gate.ask()
    assert told is not None
    assert [(each.epoch, each.through) for each in told.counted] == [(diary.epoch, last)]


async def test_what_is_held_and_not_settled_is_not_counted(feed: Feed, city: City) -> None:
    gate, diary = feed.gate(city.device), Diary(city.device)
    first = diary.came(A)
    await feed.take(diary)
    await gate.catch_up()
    diary.came(B)
    assert await feed.town.take(diary, first + 1) == "accepted"
    await city.change(states, states.c.domain == "library", version=states.c.version + 1)
    told = await gate.ask()
    assert told is not None
    assert [(each.epoch, each.through) for each in told.counted] == [(diary.epoch, first)]


# --- when -------------------------------------------------------------------------------------------------------


async def test_a_version_that_a_gate_could_not_take_up_is_not_sent_again(feed: Feed, city: City) -> None:
    await feed.town.settle()
    gate = feed.gate(city.device)
    told = await gate.ask()
    assert told is not None
    gate.version = 0
    trouble = Trouble("state", told.version, "no room")
    assert await gate.ask(troubles=(trouble,)) is None


async def test_states_alone_are_not_sent_again_within_a_moment(
    feed: Feed, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("central.polls.STATE_EVERY_S", STATE_EVERY_S)
    await feed.town.settle()
    gate, diary = feed.gate(city.device), Diary(city.device)
    await gate.ask()
    told_s = time.monotonic()
    diary.came(A)
    await feed.take(diary)
    assert await gate.ask(wait_s=10) is not None
    assert time.monotonic() - told_s > STATE_EVERY_S * 0.9
    assert await gate.ask() is None
    diary.came(B)
    await feed.take(diary, 2)
    assert await gate.ask() is None, "not yet, and this one does not wait"
    await city.add_policy(NOW_MS + 5, *LOOKS_BACK)
    assert await gate.ask() is not None, "other news take it along at once"


async def test_a_poll_that_waits_hears_of_a_tap_elsewhere(feed: Feed, city: City, other: Device) -> None:
    follower = feed.town.follower
    tasks = [asyncio.create_task(follower.run())]
    if not city.database.is_sqlite:
        url = city.database._writer.url.set(drivername="postgresql").render_as_string(hide_password=False)
        tasks.append(asyncio.create_task(feed.wakeups.follow(url)))
    try:
        gate = feed.gate(city.device)
        async with asyncio.timeout(5):
            while await gate.ask(wait_s=5) is None:
                pass
        waiting = asyncio.create_task(gate.ask(wait_s=20))
        await asyncio.sleep(0.5)
        diary = Diary(other)
        tap = diary.came(A)
        began_s = time.monotonic()
        with follower.custody_at_work():
            await feed.town.take(diary)
        await waiting
        while not gate.marks(A):
            await gate.ask(wait_s=5)
        assert time.monotonic() - began_s < 2
        assert gate.marks(A) == [(diary.epoch, tap)]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_fault_in_the_feed_keeps_nothing_else_back(
    feed: Feed, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    await feed.town.settle()

    async def fails(*_: Any) -> Any:
        raise ValueError("a fault of ours")

    monkeypatch.setattr(state_feed, "_counted", fails)
    gate = feed.gate(city.device)
    assert await gate.ask() is None
    assert "manifest" in types(gate.answer)
    assert find(Fresh, await feed.polls.answer(gate.question()), feed.keys.publish.public).number == gate.manifest


async def test_how_many_are_inside_is_told_to_gates_that_count_them(feed: Feed, city: City, other: Device) -> None:
    await city.add_policy(NOW_MS + 1, Occupancy(id="full", most=2), Admit(id="members"))
    gate, diary = feed.gate(city.device), Diary(other)
    diary.came(A)
    diary.came(B)
    diary.admitted()
    await feed.take(diary)
    await gate.catch_up()
    assert gate.word is not None
    assert (gate.word.inside, gate.word.subjects) == ((("main", 3),), ())
    diary.left(A, NOW_MS + 1_000)
    await feed.pass_time(2_000)
    await feed.take(diary, 4)
    await gate.catch_up()
    assert gate.word.inside == (("main", 2),)
    await feed.pass_time(DAY_MS)
    feed.town.follower._telling._looked_s = 0.0  # as the minute passes
    await feed.town.settle()
    await gate.catch_up()
    assert gate.word.inside == (("main", 0),), "the venue closed, and no tap said so"


# --- whatever happens -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(2))
async def test_a_gate_that_follows_knows_what_a_fresh_one_is_told(
    feed: Feed, city: City, other: Device, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it counts exactly the events that were taken into custody and settled, whatever came in which order."""
    monkeypatch.setattr(state_feed, "MAX_STATES", 2)
    chance = random.Random(seed)
    gates_ = [feed.gate(city.device), feed.gate(other)]
    diaries = {gate.device.id: Diary(gate.device) for gate in gates_}
    sent = dict.fromkeys(diaries, 0)
    taps: dict[str, list[int]] = {device: [] for device in diaries}
    await feed.town.settle()
    for step in range(40):
        gate = chance.choice(gates_)
        device, diary = gate.device.id, diaries[gate.device.id]
        at_ms = NOW_MS + step * 1_000
        match chance.randint(0, 4):
            case 0 | 1:
                taps[device].append(diary.came(person(chance.randint(1, 5)), at_ms))
            case 2 if taps[device]:
                diary.passed(chance.choice(taps[device]), chance.choice([Passage.TAKEN, Passage.NOT_TAKEN]), at_ms)
            case 3 if taps[device]:
                diary.undid(chance.choice(taps[device]), at_ms)
            case _:
                await gate.ask()
        if chance.random() < 0.5 and sent[device] < len(diary.publics):
            last = chance.randint(sent[device], len(diary.publics) - 1)
            assert await feed.town.take(diary, chance.randint(0, sent[device]), last) == "accepted"
            sent[device] = last + 1
            if chance.random() < 0.7:
                await feed.town.settle()
    await feed.town.settle()
    for gate in gates_:
        await gate.catch_up()
        fresh = feed.gate(gate.device)
        await fresh.catch_up()
        changed = {subject: state for subject, state in gate.known.items() if state.marks}
        assert changed == {subject: state for subject, state in fresh.known.items() if state.marks}
        assert gate.word is not None
        counted = {each.epoch: each.through for each in gate.word.counted}
        assert counted == ({diaries[gate.device.id].epoch: sent[gate.device.id] - 1} if sent[gate.device.id] else {})


async def test_versions_are_each_members_own(feed: Feed, city: City) -> None:
    """Else more members than fit into a message could change at one version."""
    diary = Diary(city.device)
    for n in range(1, 6):
        diary.came(person(n))
    await feed.take(diary)
    async with city.database.read() as connection:
        versions = list((await connection.execute(select(subject_states.c.version))).scalars())
        state = (await connection.execute(select(states))).one()
    assert len(set(versions)) == 5
    assert state.began < min(versions)
    assert max(versions) <= state.version


async def test_a_running_server_tells_a_gate_of_a_tap_elsewhere(served: tuple[Client, City], keys: Keys) -> None:
    """Over real HTTP: an upload, its settling by the server's own task, and the poll that waited for it."""
    client, city = served
    await city.add_policy(int(time.time() * 1_000), *LOOKS_BACK)
    await city.add_gate("door-2")
    other = await city.add_device(Device("door-2-device", "door-2"))
    diary = Diary(other)
    tap = diary.came(A, int(time.time() * 1_000))

    class Remote:
        async def answer(self, poll: Poll) -> list[bytes]:
            return await client.send("/v1/poll", city.device.signer.seal(poll))

    gate = Gate(city.device, Remote(), keys)
    async with asyncio.timeout(20):
        while not gate.version:
            await gate.ask(wait_s=5)
        waiting = asyncio.create_task(gate.ask(wait_s=20))
        await asyncio.sleep(0.3)
        began_s = time.monotonic()
        await client.send("/v1/batches", diary.upload())
        await waiting
        while not gate.marks(A):
            await gate.ask(wait_s=5)
    assert time.monotonic() - began_s < 2
    assert gate.marks(A) == [(diary.epoch, tap)]
