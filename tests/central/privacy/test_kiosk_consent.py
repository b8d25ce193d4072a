"""What citizens state at a kiosk: taken once, by when it was said, and at every gate like a block; or kept and told."""

from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from central.access.audit import REFUSED
from central.actions.action import ActionFailed
from central.actions.privacy.kiosk_settling import OF_ONE_DEVICE, settle_statements
from central.custody import Custodian
from central.device_keys import DeviceKeys
from central.facts import About, append
from central.metrics import Metrics
from central.polls import Polls
from central.privacy.found import events_of, person_of
from central.privacy.retention.retaining import destroy_due
from central.services.follower import Follower
from central.services.judging.stated import ClockOffset
from central.store.schema import (
    audit,
    consents,
    denials,
    events,
    gate_configs,
    kiosk_statements,
    marks,
    members,
    subjects,
    visits,
)
from central.wakeups import Wakeups
from protocol.consent import ConsentDetail, Consents, Said
from protocol.messages import GateConfig, Kind, PartName, Personal, decode, encode
from tests.central.actors import NOW_MS, UNDERSTANDS, Device, Journal, find
from tests.central.admin import Admin
from tests.central.city import City
from tests.central.privacy.conftest import NOTICE, Listed
from tests.central.privacy.test_consent import classes_at_gates

ONE_ENGINE = pytest.mark.parametrize("engine", ["sqlite"])
HOUR_MS = 3_600_000
GIVES, TAKES_BACK = ConsentDetail("notices", 1, Said.GIVEN), ConsentDetail("notices", 1, Said.WITHDRAWN)
NO_CARING = ConsentDetail("caring", 1, Said.WITHDRAWN)


class Kiosk:
    """A gate whose device delivers what members stated at its screen, as SPEC has it."""

    def __init__(self, city: City, admin: Admin, device: Device | None = None) -> None:
        self.city, self.admin = city, admin
        self.custodian = Custodian(city.database, city.keys, DeviceKeys(city.database))
        self.journal = Journal(device or city.device)
        self.sent = 0

    async def subject(self, member: str) -> bytes:
        ids = {row.reference: row.id for row in await self.city.rows(members)}
        return next(bytes(row.subject) for row in await self.city.rows(subjects) if row.member == ids[member])

    async def states(self, member: str, detail: ConsentDetail | bytes, at_ms: int = 0, **changes: Any) -> None:
        """Written down at the gate, and not delivered yet."""
        personal = encode(Personal(bytes(16), await self.subject(member), card=1)) if member else b""
        personal = changes.pop("personal", personal)
        said = {"decision": "granted", "reason": "consent-taken", "at_ms": at_ms or self.admin.now_ms}
        encoded = detail if isinstance(detail, bytes) else encode(detail)
        self.journal.add(Kind.CONSENT, personal, **(said | {"detail": encoded} | changes))

    async def delivers(self) -> None:
        await self.custodian.take(self.journal.upload(self.sent), self.admin.now_ms)
        self.sent = len(self.journal.publics)

    async def settles(self) -> int:
        return await settle_statements(self.city.database, self.city.keys, self.admin.now_ms)

    async def tells(self, member: str, detail: ConsentDetail | bytes, at_ms: int = 0, **changes: Any) -> None:
        await self.states(member, detail, at_ms, **changes)
        await self.delivers()
        await self.settles()

    async def became(self) -> list[tuple[str, str]]:
        rows = sorted(await self.city.rows(kiosk_statements), key=lambda row: (row.device, row.epoch, row.sequence))
        return [(row.state, row.why) for row in rows]

    async def hears(self, *understands: str) -> list[bytes]:
        now_ms = self.admin.now_ms
        polls = Polls(self.city.database, self.city.keys, Wakeups(), lambda: now_ms, Metrics())
        try:
            return await polls.answer(self.city.device.poll_message(understands=(*UNDERSTANDS, *understands)))
        finally:
            await polls.close()


@pytest.fixture
async def kiosk(told: Admin, city: City) -> Kiosk:
    """There are notices of two purposes, and an hour has gone by since."""
    await told.act("notice.put", purpose="notices", notice=NOTICE)
    told.now_ms += HOUR_MS
    return Kiosk(city, told)


async def said_of(kiosk: Kiosk, member: str = "M-1") -> list[tuple[str, str, int]]:
    """Purpose, state and notice of everything that a member said, the newest first."""
    listed = await kiosk.admin.act("consent.list", member=member)
    return [(one.purpose, one.state, one.notice) for one in listed.consents]


async def test_a_tap_states_it_and_says_how_where_and_when(kiosk: Kiosk) -> None:
    at_ms = kiosk.admin.now_ms - 60_000
    await kiosk.tells("M-1", GIVES, at_ms)
    (one,) = (await kiosk.admin.act("consent.list", member="M-1")).consents
    assert (one.purpose, one.state, one.notice, one.how, one.holds) == ("notices", "given", 1, "kiosk", True)
    assert (one.at_ms, one.known_ms, one.who) == (at_ms, kiosk.admin.now_ms, "door-1/door-1-device")
    assert await kiosk.became() == [("taken", "")]


async def test_a_withdrawal_at_a_kiosk_is_off_every_list_at_once(kiosk: Kiosk, listed: Listed) -> None:
    assert await classes_at_gates(listed, 1) == {"citizen", "caring"}
    await kiosk.tells("M-1", NO_CARING)
    assert await classes_at_gates(listed, 1) == {"citizen"}
    assert await classes_at_gates(listed, 2) == {"citizen", "caring"}
    assert await listed.is_whole()


async def test_what_is_delivered_or_settled_again_is_stated_once(kiosk: Kiosk, city: City) -> None:
    await kiosk.states("M-1", GIVES)
    upload = kiosk.journal.upload()
    for _ in range(2):
        await kiosk.custodian.take(upload, kiosk.admin.now_ms)
        await kiosk.settles()
    assert await kiosk.settles() == 0
    assert len(await city.rows(consents)) == 1
    await kiosk.admin.act("consent.withdraw", member="M-1", purpose="notices")
    await kiosk.settles()
    assert (await said_of(kiosk))[0] == ("notices", "withdrawn", 1)


@ONE_ENGINE
async def test_the_same_card_held_twice_or_denied_states_nothing_more(kiosk: Kiosk, city: City) -> None:
    await kiosk.states("M-1", GIVES)
    await kiosk.states("M-1", GIVES, repeat_of=2)
    await kiosk.states("M-2", GIVES, decision="denied", reason="card-lost")
    await kiosk.delivers()
    assert await kiosk.settles() == 1
    assert [row.state for row in await city.rows(consents)] == ["given"]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (1, 0, 2)])
@ONE_ENGINE
async def test_whatever_came_first_what_was_said_last_holds(kiosk: Kiosk, city: City, order: tuple[int, ...]) -> None:
    """Kiosks that were apart deliver in any order."""
    details = (GIVES, TAKES_BACK, GIVES)
    for number in order:
        other = Kiosk(city, kiosk.admin, await city.add_device(Device(f"kiosk-{number}")))
        await other.tells("M-1", details[number], NOW_MS + 1_000 * (number + 1))
    assert (await said_of(kiosk))[0] == ("notices", "given", 1)
    assert {state for state, _ in await kiosk.became()} <= {"taken", "late"}


async def test_what_comes_late_does_not_undo_what_was_said_since_at_a_counter(kiosk: Kiosk, listed: Listed) -> None:
    await kiosk.states("M-1", NO_CARING, NOW_MS + 1_000)
    await kiosk.admin.act("consent.give", member="M-1", purpose="caring", who="ana")
    await kiosk.delivers()
    await kiosk.settles()
    assert await kiosk.became() == [("late", "")]
    assert await classes_at_gates(listed, 1) == {"citizen", "caring"}
    kiosk.admin.now_ms += 1_000
    await kiosk.tells("M-1", NO_CARING)
    assert await classes_at_gates(listed, 1) == {"citizen"}


@ONE_ENGINE
async def test_one_said_again_at_a_counter_holds_against_what_comes_late(kiosk: Kiosk) -> None:
    """It changed nothing when it was said, and it was said later all the same."""
    await kiosk.admin.act("consent.give", member="M-1", purpose="notices")
    kiosk.admin.now_ms += HOUR_MS
    assert not (await kiosk.admin.act("consent.give", member="M-1", purpose="notices")).changed
    await kiosk.tells("M-1", TAKES_BACK, kiosk.admin.now_ms - 60_000)
    assert await kiosk.became() == [("late", "")]
    assert {state for _, state, _ in await said_of(kiosk)} == {"given"}


@ONE_ENGINE
async def test_it_counts_for_the_version_that_was_shown(kiosk: Kiosk) -> None:
    newer = NOTICE | {"en": NOTICE["en"] | {"use": "Period: one year."}}
    await kiosk.admin.act("notice.put", purpose="notices", notice=newer)
    await kiosk.tells("M-1", GIVES)
    assert await said_of(kiosk) == [("notices", "given", 1)]


@ONE_ENGINE
async def test_time_is_what_people_stated_of_the_clock_and_never_later_than_it_came(kiosk: Kiosk) -> None:
    now_ms, device = kiosk.admin.now_ms, kiosk.journal.device.id
    offset = ClockOffset(device=device, from_ms=NOW_MS, until_ms=now_ms + 2 * HOUR_MS, ms=600_000, why="seen")
    async with kiosk.city.database.write() as connection:
        await append(connection, About("ana", now_ms, "library"), offset, now_ms)
    await kiosk.tells("M-1", GIVES, now_ms, clock=1)
    await kiosk.tells("M-2", GIVES, now_ms + HOUR_MS, clock=1)
    times = [(await kiosk.admin.act("consent.list", member=each)).consents[0].at_ms for each in ("M-1", "M-2")]
    assert times == [now_ms - 600_000, now_ms]


@pytest.mark.parametrize(
    ("detail", "changes", "why"),
    [
        (ConsentDetail("profiling", 1, Said.GIVEN), {}, "there is no purpose 'profiling'"),
        (ConsentDetail("points", 1, Said.WITHDRAWN), {}, "points rests on another basis than consent"),
        (ConsentDetail("notices", 2, Said.GIVEN), {}, "notices has no notice 2"),
        (ConsentDetail("screen-names", 1, Said.GIVEN), {}, "screen-names has no notice 1"),
        (ConsentDetail("caring", 1, Said.GIVEN), {}, "caring needs written consent, which a tap is not"),
        (GIVES, {"clock": 2}, "the gate's clock was wrong, so nobody knows when it was said"),
        (GIVES, {"clock": 3}, "the gate's clock was wrong, so nobody knows when it was said"),
        (b"\x90", {}, "what it states cannot be read"),
    ],
)
@ONE_ENGINE
async def test_what_cannot_be_taken_is_kept_and_told(
    kiosk: Kiosk, city: City, detail: ConsentDetail | bytes, changes: dict[str, Any], why: str
) -> None:
    await kiosk.tells("M-1", detail, **changes)
    await kiosk.settles()
    assert await kiosk.became() == [("not-taken", why)]
    assert await city.rows(consents) == []
    (event,) = [row for row in await city.rows(events) if row.kind == Kind.CONSENT]
    assert event.outcome == "accepted"
    (entry,) = (await kiosk.admin.act("audit.list", action="consent.kiosk", kind="refused")).entries
    assert (entry.account, entry.origin, entry.target, entry.why) == ("door-1-device", "kiosk", "door-1", why)


async def test_a_card_that_was_lost_by_then_states_nothing_though_its_gate_did_not_know(kiosk: Kiosk) -> None:
    await kiosk.admin.act("card.block", member="M-1", state="lost")
    kiosk.admin.now_ms += 60_000
    await kiosk.tells("M-1", GIVES)
    await kiosk.tells("M-1", TAKES_BACK, NOW_MS + HOUR_MS - 1)
    assert await kiosk.became() == [("not-taken", "the card was lost by then"), ("taken", "")]


async def test_a_card_number_that_no_member_has_is_nobodys(kiosk: Kiosk) -> None:
    """It fits the wire; no column holds it."""
    personal = encode(Personal(bytes(16), await kiosk.subject("M-1"), card=2**53))
    await kiosk.states("", GIVES, personal=personal)
    await kiosk.delivers()
    await kiosk.settles()
    assert await kiosk.became() == [("not-taken", "nobody knows any more whose card it was")]


async def test_a_device_that_states_without_end_keeps_no_other_waiting(kiosk: Kiosk, city: City) -> None:
    other = Kiosk(city, kiosk.admin, await city.add_device(Device("door-1-other")))
    for n in range(3 * OF_ONE_DEVICE):
        await kiosk.states("", GIVES if n % 2 else TAKES_BACK)
    await kiosk.delivers()
    kiosk.admin.now_ms += 1
    await other.states("M-1", GIVES)
    await other.delivers()
    assert await kiosk.settles() == OF_ONE_DEVICE + 1
    assert [row.state for row in await city.rows(kiosk_statements) if row.device == "door-1-other"] == ["taken"]
    while await kiosk.settles():
        pass
    assert {row.state for row in await city.rows(kiosk_statements)} == {"not-taken", "taken"}


@ONE_ENGINE
async def test_nobody_is_named_where_nobody_is_known(kiosk: Kiosk, city: City) -> None:
    await kiosk.tells("", GIVES)
    stranger = encode(Personal(bytes(16), b"a stranger, here", card=1))
    kiosk.journal.add(Kind.CONSENT, stranger, decision="granted", reason="consent-taken", detail=encode(GIVES))
    await kiosk.delivers()
    await kiosk.settles()
    assert await kiosk.became() == [("not-taken", "nobody knows any more whose card it was")] * 2
    async with city.database.read() as connection:
        bodies = (await connection.execute(select(audit.c.body).where(audit.c.phase == REFUSED))).scalars().all()
    assert not any(b"a stranger, here".hex() in body for body in bodies)


async def test_it_is_no_visit_no_denial_and_no_mark(kiosk: Kiosk, city: City) -> None:
    await kiosk.states("M-1", GIVES)
    await kiosk.states("M-2", GIVES, decision="denied", reason="card-lost")
    await kiosk.tells("M-2", TAKES_BACK)
    await Follower(city.database, Metrics(), lambda: kiosk.admin.now_ms).settle_all()
    for table in (marks, visits, denials):
        assert await city.rows(table) == []
    event = f"{kiosk.journal.device.id}/{kiosk.journal.epoch.hex()}/1"
    explained = await kiosk.admin.act("explain", event=event)
    assert msgspec.to_builtins(explained)["event"]["kind"] == "consent"
    (shown,) = (await kiosk.admin.act("event.list", kind="consent", decision="denied")).events
    assert (shown.kind, shown.reason) == ("consent", "card-lost")


async def test_an_erasure_destroys_it_and_the_copy_before_tells_it(kiosk: Kiosk, city: City) -> None:
    await kiosk.tells("M-1", GIVES)
    ids = {row.reference: row.id for row in await city.rows(members)}
    async with city.database.read() as connection:
        person = await person_of(connection, city.keys, ids["M-1"])
        assert person is not None
        assert len(await events_of(connection, person)) == 1
    copied = msgspec.json.encode(await kiosk.admin.act("member.copy", member="M-1")).decode()
    copied += "".join(msgspec.json.encode(item).decode() for item in kiosk.admin.items)
    assert "kiosk" in copied
    await kiosk.admin.act("member.erase", person="M-1", apply=True)
    assert [row.personal for row in await city.rows(events) if row.kind == Kind.CONSENT] == [None]
    assert await city.rows(consents) == []


@ONE_ENGINE
async def test_retention_leaves_the_statement_and_a_legal_hold_the_event(kiosk: Kiosk, city: City) -> None:
    for member in ("M-1", "M-2"):
        await kiosk.tells(member, GIVES)
    await kiosk.admin.act("hold.put", member="M-2", why="a case", who="ana")
    await kiosk.admin.act("retention.put", days=90, who="ana")
    later_ms = kiosk.admin.now_ms + 200 * 24 * HOUR_MS
    while await destroy_due(city.database, later_ms):
        pass
    held = [row.personal is not None for row in await city.rows(events) if row.kind == Kind.CONSENT]
    assert sorted(held) == [False, True]
    assert [row.state for row in await city.rows(consents)] == ["given", "given"]


# --- the notices at gates ---------------------------------------------------------------------------------------


async def test_notices_go_to_gates_that_ask_and_understand_and_newer_ones_follow(kiosk: Kiosk, city: City) -> None:
    public = city.keys.publish.public

    async def held() -> Consents:
        found: Consents = find(Consents, await kiosk.hears(Consents.TYPE), public)
        return found

    with pytest.raises(ValueError, match="unpack"):
        await held()  # nobody asked for it
    await kiosk.admin.act("gate.config.put", gates=["door-1"], body={"screen": {"consents": ["caring", "notices"]}})
    before = await held()
    assert [(each.purpose, each.version, each.gives) for each in before.notices] == [
        *(("caring", 1, False), ("notices", 1, True)),
    ]
    assert before.notices[0].zh.collector == NOTICE["zh"]["collector"]
    with pytest.raises(ValueError, match="unpack"):
        find(Consents, await kiosk.hears(), public)  # an agent of before
    newer = NOTICE | {"en": NOTICE["en"] | {"use": "Period: one year."}}
    await kiosk.admin.act("notice.put", purpose="notices", notice=newer)
    after = await held()
    assert after.version > before.version
    assert {each.purpose: each.version for each in after.notices} == {"caring": 1, "notices": 2}
    verified = await kiosk.admin.act("verify")
    assert verified.problems == 0, kiosk.admin.items


@ONE_ENGINE
async def test_a_gate_that_asks_for_nothing_is_sent_no_word_of_it(kiosk: Kiosk, city: City) -> None:
    """An agent of before refuses a configuration with a key that it does not know."""
    for asked in (["notices"], []):
        await kiosk.admin.act("gate.config.put", gates=["door-1"], body={"screen": {"consents": asked}})
        row = max(await city.rows(gate_configs), key=lambda row: row.version)
        said = msgspec.msgpack.decode(row.body)
        assert ("consents" in said["screen"]) is bool(asked)
        assert decode(GateConfig, row.body).screen.consents == tuple(asked)


@pytest.mark.parametrize("purpose", ["profiling", "points"])
@ONE_ENGINE
async def test_a_gate_cannot_ask_for_what_asks_for_no_consent(kiosk: Kiosk, purpose: str) -> None:
    with pytest.raises(ActionFailed, match=r"screen\.consents"):
        await kiosk.admin.act("gate.config.put", gates=["door-1"], body={"screen": {"consents": [purpose]}})


def test_the_personal_part_of_a_statement_is_that_of_a_tap() -> None:
    part = Personal(bytes(16), b"a subject, here.", card=2)
    assert decode(Personal, encode(part)) == part
    assert PartName.CONSENTS == "consents"
