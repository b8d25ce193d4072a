"""Cards bound by tapping them: what the gate sealed becomes the member's, once, or is refused by name."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import func, select

from central.actions.action import ActionFailed
from central.actions.cards import bind_settling
from central.actions.cards.bind_settling import settle_sessions
from central.actions.custody.restore import restore
from central.bind_sessions import GRACE_MS, Chip, chips_of
from central.config import parse
from central.custody import Custodian
from central.device_keys import DeviceKeys
from central.keys import Keys
from central.metrics import Metrics
from central.polls import Polls
from central.published_dates import DAY_MS
from central.store.database import open_database
from central.store.schema import bind_sessions, card_bindings, cards, devices, events
from central.wakeups import Wakeups
from protocol.allowlist import CardState
from protocol.binding import Bind, BindDetail, TappedCard, tapped
from protocol.envelope import seal_card
from protocol.messages import Direction, GateConfig, Kind, encode
from protocol.uid import CardUID
from tests.central.actors import NOW_MS, UNDERSTANDS, Device, Journal, find
from tests.central.admin import Admin
from tests.central.city import City, uid
from tests.central.people.conftest import Listed

KNOWS = (*UNDERSTANDS, Bind.TYPE)
NEW = uid(77).raw
ATR = bytes.fromhex("3b8f8001804f0ca000000306030001000000006a")


class Counter:
    """A gate with one device: it asks central, seals cards and delivers events, as SPEC has it."""

    def __init__(self, city: City, admin: Admin, device: Device | None = None) -> None:
        self.city, self.admin, self.device = city, admin, device or city.device
        self.custodian = Custodian(city.database, city.keys, DeviceKeys(city.database))
        self.journal = Journal(self.device)

    async def knows(self, *understands: str) -> None:
        poll = encode(self.device.poll_message(understands=understands or KNOWS))
        await self.city.change(devices, devices.c.id == self.device.id, report=poll)

    async def hears(self, understands: tuple[str, ...] = KNOWS) -> Bind | None:
        """The session that central's answer to a poll announces."""
        now_ms = self.admin.now_ms
        polls = Polls(self.city.database, self.city.keys, Wakeups(), lambda: now_ms, Metrics())
        try:
            answer = await polls.answer(self.device.poll_message(understands=understands))
        finally:
            await polls.close()
        try:
            return find(Bind, answer, self.city.keys.publish.public)  # type: ignore[no-any-return]
        except ValueError:
            return None

    async def takes(self, of: Bind, card: TappedCard | None = None, at_ms: int = 0, **bent: Any) -> None:
        """A card is tapped, and its event delivered."""
        detail = seal_card(card or tapped(NEW, 8, ATR), of)
        await self.delivers(msgspec.structs.replace(detail, **bent), at_ms)

    async def delivers(self, detail: BindDetail, at_ms: int = 0) -> None:
        self.journal.add(
            *(Kind.BIND,),
            **{"at_ms": at_ms or self.admin.now_ms, "decision": "granted", "reason": "bind-taken"},
            detail=encode(detail),
        )
        first = len(self.journal.publics) - 1
        await self.custodian.take(self.journal.upload(first if first > 1 else 0), self.admin.now_ms)

    async def opens(self, member: str = "M-1", gate: str = "door-1", **more: Any) -> Any:
        return await self.admin.act("card.bind-session.open", gate=gate, member=member, who="chen", **more)

    async def settles(self, session: Any) -> Any:
        await settle_sessions(self.city.database, self.city.keys, self.admin.now_ms)
        return await self.admin.act("card.bind-session.show", session=session.session)


@pytest.fixture
async def counter(city: City, admin: Admin) -> Counter:
    made = Counter(city, admin)
    await made.knows()
    return made


async def key_of(city: City, session: Any) -> bytes | None:
    (row,) = [row for row in await city.rows(bind_sessions) if row.id.hex() == session.session]
    return row.private_sealed  # type: ignore[no-any-return]


async def announced(counter: Counter) -> Bind:
    found = await counter.hears()
    assert found is not None
    return found


async def test_a_tapped_card_is_the_members_and_the_key_is_destroyed(
    counter: Counter, city: City, listed: Listed
) -> None:
    opened = await counter.opens()
    session = await announced(counter)
    assert (session.device, session.session.hex(), session.until_ms) == (
        "door-1-device",
        opened.session,
        NOW_MS + 120_000,
    )
    assert await key_of(city, opened) is not None
    await counter.takes(session)
    done = await counter.settles(opened)
    assert (done.state, done.number, done.why, done.member, done.who) == ("bound", 2, "", "M-1", "chen")
    assert await key_of(city, opened) is None
    before, entry = await listed.entry(1), await listed.entry(77)
    assert before is not None
    assert entry is not None
    assert (entry.subject, entry.card, entry.state) == (before.subject, 2, CardState.ACTIVE)
    assert await listed.is_whole()
    assert await counter.hears() is None
    said = (await counter.admin.act("card.history", uid=NEW.hex(), notation="hex")).statements
    assert [(each.member, each.who, each.why) for each in said] == [("M-1", "chen", "tapped at door-1")]
    await counter.admin.act("verify")
    assert counter.admin.items == []


async def test_what_the_reader_told_of_the_chip_is_kept_with_the_card(counter: Counter, city: City) -> None:
    opened = await counter.opens()
    await counter.takes(await announced(counter))
    await counter.settles(opened)
    async with city.database.read() as connection:
        id_ = (await connection.execute(select(cards.c.id).where(cards.c.number == 2))).scalar_one()
        found = await chips_of(connection, [id_, bytes(16)])
    assert found == {id_: [Chip("door-1-device", NOW_MS, 7, 8, ATR)]}


async def test_no_table_holds_the_tapped_uid_in_the_clear(counter: Counter, city: City) -> None:
    opened = await counter.opens()
    await counter.takes(await announced(counter))
    await counter.settles(opened)
    for table in (events, bind_sessions, cards, card_bindings):
        for row in await city.rows(table):
            assert not any(isinstance(value, bytes) and NEW in value for value in row)


async def test_somebody_elses_card_is_refused_by_name(counter: Counter, city: City, listed: Listed) -> None:
    before = await listed.entry(3)
    opened = await counter.opens("M-1")
    await counter.takes(await announced(counter), tapped(uid(3).raw, None, b""))
    done = await counter.settles(opened)
    assert done.state == "refused"
    assert "M-3's already (card 1)" in done.why
    assert await key_of(city, opened) is None
    assert await listed.entry(3) == before


async def test_the_members_own_card_again_changes_nothing(counter: Counter, city: City, listed: Listed) -> None:
    version = await listed.version()
    opened = await counter.opens("M-2")
    await counter.takes(await announced(counter), tapped(uid(2).raw, 8, ATR))
    done = await counter.settles(opened)
    assert (done.state, done.number, done.why) == ("bound", 1, "it was theirs already")
    assert await listed.version() == version
    assert await city.rows(card_bindings) == []


async def test_the_members_own_lost_card_does_not_come_back_by_a_tap(counter: Counter, listed: Listed) -> None:
    await counter.admin.act("card.lose", uid=uid(2).raw.hex(), notation="hex", who="desk")
    opened = await counter.opens("M-2")
    await counter.takes(await announced(counter), tapped(uid(2).raw, 8, ATR))
    done = await counter.settles(opened)
    assert (done.state, "M-2's own and lost" in done.why) == ("refused", True)
    entry = await listed.entry(2)
    assert entry is not None
    assert entry.state is CardState.LOST


async def test_a_tap_that_comes_late_is_bound_within_its_grace(counter: Counter, city: City) -> None:
    opened = await counter.opens()
    session = await announced(counter)
    tapped_ms = session.until_ms - 1
    counter.admin.now_ms = session.until_ms
    assert (await counter.settles(opened)).state == "late"
    assert await counter.hears() is None
    counter.admin.now_ms = session.until_ms + GRACE_MS - 1
    await counter.takes(session, at_ms=tapped_ms)
    assert (await counter.settles(opened)).state == "bound"


async def test_a_tap_that_comes_after_its_grace_is_read_by_nobody(counter: Counter, city: City) -> None:
    opened = await counter.opens()
    session = await announced(counter)
    counter.admin.now_ms = session.until_ms + GRACE_MS
    assert (await counter.settles(opened)).state == "expired"
    await counter.takes(session, at_ms=session.until_ms - 1)
    assert (await counter.settles(opened)).state == "expired"
    assert await key_of(city, opened) is None
    assert len(await city.rows(cards)) == 5


async def test_a_card_tapped_after_the_end_is_refused(counter: Counter) -> None:
    opened = await counter.opens()
    session = await announced(counter)
    await counter.takes(session, at_ms=session.until_ms)
    done = await counter.settles(opened)
    assert (done.state, done.why) == ("refused", "the card was tapped after the session's end")


async def test_a_cancelled_session_takes_no_card(counter: Counter, city: City) -> None:
    opened = await counter.opens()
    session = await announced(counter)
    assert (await counter.admin.act("card.bind-session.cancel", gate="door-1", who="wu")).cancelled == 1
    assert await counter.hears() is None
    await counter.takes(session)
    done = await counter.settles(opened)
    assert (done.state, done.why) == ("cancelled", "cancelled by wu")
    assert await key_of(city, opened) is None
    assert len(await city.rows(cards)) == 5
    with pytest.raises(ActionFailed, match="waits for no card"):
        await counter.admin.act("card.bind-session.cancel", gate="door-1", who="wu")


async def test_a_gate_has_one_session_at_a_time_and_another_once_it_is_over(counter: Counter) -> None:
    first = await counter.opens("M-1")
    with pytest.raises(ActionFailed, match="open session already, for M-1"):
        await counter.opens("M-2")
    earlier = await announced(counter)
    counter.admin.now_ms += 120_000
    second = await counter.opens("M-2")
    later = await announced(counter)
    assert later.version > earlier.version
    await counter.takes(earlier, tapped(uid(78).raw, None, b""), at_ms=earlier.until_ms - 1)
    await counter.takes(later)
    assert [(await counter.settles(each)).state for each in (first, second)] == ["bound", "bound"]
    listed = (await counter.admin.act("card.bind-session.list", all=True)).sessions
    assert [(each.member, each.number) for each in listed] == [("M-2", 2), ("M-1", 2)]
    assert (await counter.admin.act("card.bind-session.list")).sessions == []


async def test_the_same_card_told_twice_at_one_moment_is_bound_once(counter: Counter, city: City) -> None:
    for _ in range(2):
        opened = await counter.opens()
        await counter.takes(await announced(counter), at_ms=NOW_MS)
        done = await counter.settles(opened)
        assert (done.state, done.number) == ("bound", 2)
    assert done.why == "it was theirs already"


async def test_a_session_that_fails_holds_up_no_other_and_binds_nothing_by_half(
    counter: Counter, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    await city.add_gate("door-2")
    other = Counter(city, counter.admin, await city.add_device(Device("door-2-device", "door-2")))
    await other.knows()
    first, second = await counter.opens("M-1"), await other.opens("M-2", "door-2")
    await counter.takes(await announced(counter))
    await other.takes(await announced(other), tapped(uid(78).raw, None, b""))
    real = bind_settling.refresh_members

    async def refresh(connection: Any, keys: Keys, members: Any, now_ms: int) -> None:
        if members == [failing]:
            raise ValueError("a fault of ours, after the card was written")
        await real(connection, keys, members, now_ms)

    failing = next(row.member for row in await city.rows(bind_sessions) if row.gate == "door-1")
    held = len(await city.rows(cards))
    monkeypatch.setattr(bind_settling, "refresh_members", refresh)
    assert [(await each.settles(of)).state for each, of in ((counter, first), (other, second))] == ["open", "bound"]
    assert len(await city.rows(cards)) == held + 1
    monkeypatch.undo()
    assert (await counter.settles(first)).state == "bound"


async def test_an_event_that_is_played_again_binds_nothing_again(counter: Counter, city: City) -> None:
    """The same event resent, the same detail in a later event, and an old session's detail under a new session."""
    first = await counter.opens("M-1")
    old = await announced(counter)
    await counter.takes(old)
    await counter.settles(first)
    held = len(await city.rows(cards))
    await counter.custodian.take(counter.journal.upload(0), counter.admin.now_ms)
    second = await counter.opens("M-2")
    await counter.takes(old, tapped(uid(80).raw, None, b""))
    assert (await counter.settles(second)).state == "open"
    new = await announced(counter)
    await counter.takes(old, session=new.session)  # what was sealed for the old one, said to be of the new one
    done = await counter.settles(second)
    assert (done.state, "bad-signature" in done.why) == ("refused", True)
    assert len(await city.rows(cards)) == held


async def test_two_taps_of_one_session_bind_the_first(counter: Counter, city: City, listed: Listed) -> None:
    opened = await counter.opens()
    session = await announced(counter)
    await counter.takes(session, tapped(uid(78).raw, None, b""))
    await counter.takes(session, tapped(uid(79).raw, None, b""), at_ms=NOW_MS + 1)
    assert (await counter.settles(opened)).state == "bound"
    assert await listed.entry(78) is not None
    assert await listed.entry(79) is None


async def test_another_devices_event_is_no_answer_to_the_session(counter: Counter, city: City) -> None:
    await city.add_gate("door-2")
    other = Counter(city, counter.admin, await city.add_device(Device("door-2-device", "door-2")))
    opened = await counter.opens()
    await other.takes(await announced(counter))
    assert (await counter.settles(opened)).state == "open"
    await counter.takes(await announced(counter))
    assert (await counter.settles(opened)).state == "bound"


async def test_a_revoked_devices_tap_binds_nothing(counter: Counter, city: City) -> None:
    opened = await counter.opens()
    session = await announced(counter)
    await city.change(devices, devices.c.id == counter.device.id, state="revoked", revoked_ms=NOW_MS)
    await counter.takes(session)
    assert (await counter.settles(opened)).state == "open"
    assert len(await city.rows(cards)) == 5


@pytest.mark.parametrize(
    ("card", "why"),
    [
        (bytes.fromhex("08112233"), "uid-random"),
        (bytes.fromhex("01020304"), "uid-placeholder"),
    ],
)
async def test_a_uid_that_nobody_can_have_is_refused_by_central_too(counter: Counter, card: bytes, why: str) -> None:
    opened = await counter.opens()
    await counter.takes(await announced(counter), tapped(card, None, b""))
    done = await counter.settles(opened)
    assert (done.state, why in done.why) == ("refused", True)


async def test_an_incomplete_read_is_refused_by_its_sak(counter: Counter) -> None:
    opened = await counter.opens()
    await counter.takes(await announced(counter), tapped(bytes.fromhex("88112233"), 0x04, b""))
    assert "uid-incomplete" in (await counter.settles(opened)).why


@pytest.mark.parametrize("sealed", [b"", b"x", bytes(78), bytes(range(200))], ids=["empty", "one", "zeros", "any"])
async def test_an_invented_detail_ends_the_session_and_binds_nothing(
    counter: Counter, city: City, sealed: bytes
) -> None:
    opened = await counter.opens()
    session = await announced(counter)
    await counter.delivers(BindDetail(session.session, sealed))
    done = await counter.settles(opened)
    assert (done.state, "cannot be used" in done.why) == ("refused", True)
    assert len(await city.rows(cards)) == 5


async def test_a_detail_that_does_not_decode_is_passed_over(counter: Counter, city: City) -> None:
    opened = await counter.opens()
    session = await announced(counter)
    counter.journal.add(Kind.BIND, at_ms=NOW_MS, detail=b"\xc1")
    counter.journal.add(Kind.BIND, at_ms=NOW_MS)
    await counter.takes(session)
    assert (await counter.settles(opened)).state == "open"  # the chain has a gap: nothing was accepted yet
    await counter.custodian.take(counter.journal.upload(0), NOW_MS)
    assert (await counter.settles(opened)).state == "bound"


async def test_a_restore_ends_what_waits_and_destroys_its_key(
    counter: Counter, city: City, keys: Keys, tmp_path: Path
) -> None:
    await counter.opens()
    await counter.admin.act("backup", path=str(tmp_path / "b"))
    (tmp_path / "other").mkdir()
    config = parse({"data_dir": str(tmp_path / "other"), "keys_dir": str(keys.directory)})
    await restore(config, keys, tmp_path / "b", NOW_MS + 1_000, replace=False)
    async with open_database(config.database) as database, database.read() as connection:
        (row,) = (await connection.execute(select(bind_sessions))).all()
    assert (row.state, row.why, row.private_sealed) == ("cancelled", "central was restored", None)


async def test_a_session_that_cannot_work_is_refused_by_name(counter: Counter, city: City) -> None:
    for values, why in (
        ({"gate": "nowhere"}, "nowhere"),
        ({"member": "M-99"}, "no member 'M-99'"),
        ({"member": "E-1"}, "not in the gate's domain library"),
    ):
        with pytest.raises(ActionFailed, match=why):
            await counter.opens(**values)
    await counter.knows(*UNDERSTANDS)
    with pytest.raises(ActionFailed, match=r"door-1-device of gate door-1 \(version test\) does not know"):
        await counter.opens()
    await city.change(devices, devices.c.id == counter.device.id, report=None)
    with pytest.raises(ActionFailed, match="not heard of yet"):
        await counter.opens()
    await counter.knows()
    second = await city.add_device(Device("door-1-spare"))
    with pytest.raises(ActionFailed, match="has 2 active devices"):
        await counter.opens()
    await city.change(devices, devices.c.id == second.id, state="revoked")
    await city.configure(GateConfig(0, "door-1", "door", direction=Direction.OUT), NOW_MS + DAY_MS)
    with pytest.raises(ActionFailed, match="nobody who leaves is held up"):
        await counter.opens()
    assert await city.rows(bind_sessions) == []


async def test_an_agent_that_does_not_know_sessions_is_told_of_none(counter: Counter) -> None:
    await counter.opens()
    assert await counter.hears(UNDERSTANDS) is None
    assert await counter.hears() is not None


async def test_many_looks_at_once_bind_once(counter: Counter, city: City) -> None:
    opened = await counter.opens()
    await counter.takes(await announced(counter))
    await asyncio.gather(*(settle_sessions(city.database, city.keys, NOW_MS) for _ in range(4)))
    assert (await counter.settles(opened)).state == "bound"
    async with city.database.read() as connection:
        of_uid = cards.c.uid_index == city.keys.uid_index(CardUID(NEW))
        assert (await connection.execute(select(func.count()).where(of_uid))).scalar_one() == 1
