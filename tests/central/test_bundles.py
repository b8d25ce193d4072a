"""Support bundles: asked for once, over the held poll, to agents that understand it; taken once; kept for a week."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from central import bundles as kept
from central.access.caller import Caller, Role
from central.access.perform import perform
from central.access.reach import Forbidden
from central.actions.action import ActionFailed, Context
from central.device_api import Services
from central.keys import Keys
from central.snapshots import Snapshots
from central.store.database import Database
from central.store.schema import audit, bundles, devices, venues
from protocol.envelope import digest
from protocol.errors import Refused
from protocol.fleet import MAX_BUNDLE_BYTES, MAX_BUNDLE_UPLOAD_BYTES, BundleUpload
from protocol.messages import Ask, Bundle, Manifest, Part, Trouble, encode
from tests.central.actors import NOW_MS, UNDERSTANDS, find, types
from tests.central.admin import Admin, admin_of
from tests.central.city import City

KNOWS = (*UNDERSTANDS, Ask.TYPE)
DAY_MS = 86_400_000


class Desk:
    """Who asks, the device that answers, and the server between them."""

    def __init__(self, admin: Admin, city: City, snapshots: Snapshots) -> None:
        self.admin, self.city = admin, city
        self.act = admin.act
        self.now_ms = NOW_MS
        self.services = Services(city.database, city.keys, snapshots, now_ms=lambda: self.now_ms)

    async def poll(self, **changes: Any) -> list[bytes]:
        poll = self.city.device.poll_message(**{"understands": KNOWS, **changes})
        self.services.reports.note(poll, NOW_MS)
        await self.services.reports.write()
        return await self.services.polls.answer(poll)

    async def asked(self, answer: list[bytes]) -> Ask:
        found: Ask = find(Ask, answer, self.city.keys.publish.public)
        return found

    async def take(self, ask: str, content: bytes = b"archive", at_ms: int = NOW_MS, why: str = "") -> None:
        made = Bundle(self.city.device.id, bytes.fromhex(ask), at_ms, len(content), digest(content), why)
        async with self.city.database.write() as connection:
            await kept.take(connection, made, content, at_ms)

    def at(self, ms: int) -> None:
        self.admin.now_ms = ms

    def context(self, *roles: Role, name: str = "chen", venues: tuple[str, ...] = ("main",)) -> Context:
        caller = Caller(name, frozenset(roles), "192.0.2.1", venues=frozenset(venues))
        return Context(self.admin.config, self.admin.database, self.admin.keys, self.admin.now_ms, caller=caller)


@pytest.fixture
async def desk(city: City, database: Database, keys: Keys, database_url: str, tmp_path: Path) -> AsyncIterator[Desk]:
    snapshots = Snapshots(database, keys, tmp_path / "snapshots")
    desk = Desk(admin_of(database, keys, database_url, tmp_path), city, snapshots)
    await desk.poll()
    notes = asyncio.create_task(desk.services.wakeups.follow(database_url)) if not database.is_sqlite else None
    yield desk
    if notes is not None:
        notes.cancel()
        await asyncio.gather(notes, return_exceptions=True)


# --- asking -----------------------------------------------------------------------------------------------------------


async def test_a_poll_brings_an_open_ask_beside_the_word_until_the_device_names_it(desk: Desk) -> None:
    assert "ask" not in types(await desk.poll())
    asked = await desk.act("bundle.ask", device="door-1-device", who="chen")
    assert asked.is_new
    answer = await desk.poll()
    assert "ask" in types(answer)
    assert {"manifest", "fresh"} & set(types(answer)), "what a gate's age counts from stands beside it"
    ask = await desk.asked(answer)
    assert (ask.device, ask.ask.hex(), ask.what) == ("door-1-device", asked.bundle.bundle, "bundle")
    held = (Part("ask", ask.version, bytes(32)),)
    assert "ask" not in types(await desk.poll(parts=held))
    assert "ask" not in types(await desk.poll(troubles=(Trouble("ask", ask.version, "not-satisfiable"),)))
    assert "ask" in types(await desk.poll()), "after a restart it names none, and is asked again"


async def test_a_held_poll_is_answered_with_the_ask_at_once(desk: Desk) -> None:
    held = desk.city.device.holding(find(Manifest, await desk.poll(), desk.city.keys.publish.public))
    held["keys_number"] = desk.city.keys.statement.number
    waiting = asyncio.create_task(desk.poll(wait_s=20, **held))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    await desk.act("bundle.ask", device="door-1-device")
    assert types(await asyncio.wait_for(waiting, 5)) == ["fresh", "ask"]


async def test_an_agent_that_does_not_understand_it_is_not_asked(desk: Desk) -> None:
    await desk.act("bundle.ask", device="door-1-device")
    assert "ask" not in types(await desk.poll(understands=UNDERSTANDS))
    with pytest.raises(ActionFailed, match="update its agent"):
        await desk.act("bundle.ask", device="door-1-device")


async def test_a_device_is_asked_once_at_a_time(desk: Desk) -> None:
    first = await desk.act("bundle.ask", device="door-1-device")
    again = await desk.act("bundle.ask", device="door-1-device")
    assert (again.bundle.bundle, again.is_new) == (first.bundle.bundle, False)
    await desk.take(first.bundle.bundle)
    second = await desk.act("bundle.ask", device="door-1-device")
    assert second.is_new
    assert (await desk.asked(await desk.poll())).ask.hex() == second.bundle.bundle


@pytest.mark.parametrize("state", ["pending", "revoked"])
async def test_only_an_active_device_is_asked(desk: Desk, state: str) -> None:
    await desk.city.change(devices, devices.c.id == "door-1-device", state=state)
    with pytest.raises(ActionFailed, match=f"is {state}"):
        await desk.act("bundle.ask", device="door-1-device")
    with pytest.raises(ActionFailed, match="no device"):
        await desk.act("bundle.ask", device="nobody")


# --- answering --------------------------------------------------------------------------------------------------------


async def test_the_bundle_is_listed_and_fetched_as_it_came(desk: Desk) -> None:
    asked = await desk.act("bundle.ask", device="door-1-device", who="chen")
    (waiting,) = (await desk.act("bundle.list")).bundles
    assert (waiting.state, waiting.who, waiting.size) == ("asked", "chen", 0)
    with pytest.raises(ActionFailed, match="is asked"):
        await desk.act("bundle.fetch", bundle=asked.bundle.bundle)
    await desk.take(asked.bundle.bundle, b"an archive", NOW_MS + 5)
    fetched = await desk.act("bundle.fetch", bundle=asked.bundle.bundle)
    assert (fetched.content, fetched.bundle.state, fetched.bundle.arrived_ms) == (b"an archive", "arrived", NOW_MS + 5)
    assert fetched.name == f"tapgate-bundle-door-1-device-{NOW_MS}.tar.gz"


async def test_the_same_answer_again_is_taken_for_the_same_and_another_is_refused(desk: Desk) -> None:
    asked = (await desk.act("bundle.ask", device="door-1-device")).bundle.bundle
    await desk.take(asked)
    await desk.take(asked)
    with pytest.raises(Refused) as refused:
        await desk.take(asked, b"something else")
    assert refused.value.status == 409  # type: ignore[attr-defined]
    with pytest.raises(Refused):
        await desk.take("ab" * 16)
    assert (await desk.act("bundle.fetch", bundle=asked)).content == b"archive"


async def test_nobody_answers_for_another_device(desk: Desk) -> None:
    asked = (await desk.act("bundle.ask", device="door-1-device")).bundle.bundle
    desk.city.device.id = "another"
    with pytest.raises(Refused):
        await desk.take(asked)


async def test_what_comes_too_late_is_refused_and_the_ask_is_given_up(desk: Desk) -> None:
    asked = (await desk.act("bundle.ask", device="door-1-device")).bundle.bundle
    late_ms = NOW_MS + kept.OPEN_MS
    with pytest.raises(Refused) as refused:
        await desk.take(asked, at_ms=late_ms)
    assert refused.value.status == 410  # type: ignore[attr-defined]
    desk.now_ms = late_ms
    assert "ask" not in types(await desk.poll())
    desk.at(late_ms)
    assert [each.state for each in (await desk.act("bundle.list")).bundles] == ["given-up"]
    assert (await desk.act("bundle.ask", device="door-1-device")).is_new


async def test_why_a_device_could_not_make_one_is_told(desk: Desk) -> None:
    asked = (await desk.act("bundle.ask", device="door-1-device")).bundle.bundle
    await desk.take(asked, b"", why="OSError: see the device's own log")
    (shown,) = (await desk.act("bundle.list", device="door-1-device")).bundles
    assert (shown.state, shown.why) == ("failed", "OSError: see the device's own log")


async def test_a_bundle_is_forgotten_after_a_week_and_that_it_was_asked_for_stays(desk: Desk) -> None:
    asked = (await desk.act("bundle.ask", device="door-1-device", who="chen")).bundle.bundle
    await desk.take(asked)
    desk.at(NOW_MS + kept.KEPT_MS - 1)
    assert (await desk.act("bundle.fetch", bundle=asked)).content
    desk.at(NOW_MS + kept.KEPT_MS)
    with pytest.raises(ActionFailed, match="forgotten"):
        await desk.act("bundle.fetch", bundle=asked)
    await kept._sweep_if_due(desk.city.database, NOW_MS + kept.KEPT_MS - 1)
    assert (await desk.city.rows(bundles))[0].content is not None
    await kept._sweep_if_due(desk.city.database, NOW_MS + kept.KEPT_MS)
    (row,) = await desk.city.rows(bundles)
    assert (row.content, row.state, row.who) == (None, "forgotten", "chen")


async def test_only_the_newest_of_a_device_are_kept(desk: Desk) -> None:
    for n in range(kept.KEPT_OF_A_DEVICE + 2):
        desk.at(NOW_MS + n)
        asked = (await desk.act("bundle.ask", device="door-1-device")).bundle.bundle
        await desk.take(asked, b"%d" % n, NOW_MS + n)
    found = (await desk.act("bundle.list")).bundles
    assert [each.state for each in found] == ["arrived"] * kept.KEPT_OF_A_DEVICE + ["forgotten"] * 2
    assert sum(row.content is not None for row in await desk.city.rows(bundles)) == kept.KEPT_OF_A_DEVICE


async def test_bundles_are_paged_by_key(desk: Desk) -> None:
    for n in range(3):
        desk.at(NOW_MS + n)
        await desk.take((await desk.act("bundle.ask", device="door-1-device")).bundle.bundle, b"%d" % n)
    first = await desk.act("bundle.list", most=2)
    rest = await desk.act("bundle.list", most=2, after=first.bundles[-1].bundle)
    assert (first.more, rest.more) == (True, False)
    assert [each.asked_ms - NOW_MS for each in (*first.bundles, *rest.bundles)] == [2, 1, 0]
    for unknown in ("zz", "ab" * 16):
        with pytest.raises(ActionFailed):
            await desk.act("bundle.list", after=unknown)


# --- who may look -----------------------------------------------------------------------------------------------------


async def test_only_who_asked_and_admins_fetch_it_and_looking_is_written_down(desk: Desk) -> None:
    asked: Any = await perform(desk.context(Role.OPERATOR), "bundle.ask", {"device": "door-1-device"})
    bundle = asked.bundle.bundle
    await desk.take(bundle)
    for context in (desk.context(Role.OPERATOR), desk.context(Role.ADMIN, name="lin")):
        fetched: Any = await perform(context, "bundle.fetch", {"bundle": bundle})
        assert fetched.content == b"archive"
    for context in (desk.context(Role.OPERATOR, name="wu"), desk.context(Role.AUDITOR, name="wu")):
        with pytest.raises(ActionFailed, match="only who asked"):
            await perform(context, "bundle.fetch", {"bundle": bundle})
    looked = [(row.who, row.phase) for row in await desk.city.rows(audit) if row.action == "bundle.fetch"]
    assert looked == [("chen", "looked"), ("lin", "looked")]


async def test_bundles_of_other_venues_are_neither_seen_nor_asked_for(desk: Desk) -> None:
    await desk.city.add(venues, {"id": "other", "domain": "library", "time_zone": "Asia/Taipei"})
    asked = (await desk.act("bundle.ask", device="door-1-device")).bundle.bundle
    await desk.take(asked)
    elsewhere = desk.context(Role.OPERATOR, venues=("other",))
    listed: Any = await perform(elsewhere, "bundle.list", {})
    assert listed.bundles == []
    for action, values in (
        ("bundle.list", {"device": "door-1-device"}),
        ("bundle.ask", {"device": "door-1-device"}),
        ("bundle.fetch", {"bundle": asked}),
        ("device.show", {"device": "door-1-device"}),
    ):
        with pytest.raises(Forbidden):
            await perform(elsewhere, action, values)
    here: Any = await perform(desk.context(Role.OPERATOR), "bundle.list", {})
    assert [each.bundle for each in here.bundles] == [asked]


async def test_the_content_is_no_larger_than_the_wire_allows() -> None:
    whole = encode(BundleUpload(bytes(2_048), bytes(MAX_BUNDLE_BYTES)))
    assert len(whole) <= MAX_BUNDLE_UPLOAD_BYTES
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(encode(BundleUpload(b"", bytes(MAX_BUNDLE_BYTES + 1))), type=BundleUpload)
