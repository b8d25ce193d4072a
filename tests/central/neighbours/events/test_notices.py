"""Citizens are told of holds, of what is overdue, of a forgotten sign-out, of points that go: if they agreed, once."""

from typing import Any

import pytest
from sqlalchemy import delete

from central.flags import set_flags
from central.neighbours.events import noticing
from central.neighbours.events.kinds import HOLD_READY, NO_SIGN_OUT, NOTICES, OVERDUE, POINTS_EXPIRING
from central.neighbours.events.noticing import KEPT_MS, POINTS_EVERY_S, Noticing
from central.neighbours.events.quiet import is_quiet
from central.privacy.consent import Said, state_consents
from central.store.schema import attendance_sessions, consents, notices, subjects
from tests.central.actors import NOW_MS
from tests.central.neighbours.events.conftest import Telling
from tests.support import webhook_traps as traps

SQLITE = pytest.mark.parametrize("engine", ["sqlite"])
HOUR_MS = 3_600_000
MORNING_MS = NOW_MS + 10 * HOUR_MS
"""08:13 in Taipei; NOW_MS is 22:13 of the evening before."""


class Citizens:
    """Members 0, 1, 2 …: what they agreed to, and what is known of them."""

    def __init__(self, telling: Telling, members: list[bytes]) -> None:
        self.telling, self.members = telling, members

    async def say(self, member: int, state: str = "given") -> None:
        said = Said(self.members[member], "notices", state, 1, self.telling.now_ms, "counter", "lin", "")
        async with self.telling.city.database.write() as connection:
            await state_consents(connection, [said], self.telling.now_ms)

    async def flag(self, member: int, *flags: str) -> None:
        keys, now_ms = self.telling.city.keys, self.telling.now_ms
        wanted = {self.members[member]: dict.fromkeys(flags, 0)}
        async with self.telling.city.database.write() as connection:
            await set_flags(connection, keys, "library", wanted, now_ms)

    async def look(self) -> int:
        """And tell."""
        made = await self.telling.noticing.look()
        await self.telling.tell()
        return made

    @property
    def told(self) -> list[tuple[str, int]]:
        """What was sent, by type, and to whom."""
        events = [request.event for request in self.telling.receiver.asked]
        return [(e["type"], self.members.index(bytes.fromhex(e["data"]["member"]))) for e in events]


@pytest.fixture
async def citizens(telling: Telling) -> Citizens:
    made = Citizens(telling, await telling.city.add_members(3))
    await telling.subscribe(types=sorted(NOTICES))
    telling.now_ms = MORNING_MS
    return made


async def test_who_agreed_is_told_once_and_who_did_not_never(citizens: Citizens) -> None:
    await citizens.say(0)
    await citizens.say(1)
    await citizens.say(1, "withdrawn")
    for member in range(3):
        await citizens.flag(member, "hold-ready", "overdue")
    assert await citizens.look() == 2
    assert sorted(citizens.told) == [(HOLD_READY, 0), (OVERDUE, 0)]
    assert await citizens.look() == 0
    assert {row.member for row in await citizens.telling.city.rows(notices)} == {citizens.members[0]}
    (event, _) = (request.event for request in citizens.telling.receiver.asked)
    assert event["data"] == {"member": citizens.members[0].hex(), "domain": "library"}
    assert event["source"] == "/notices"
    assert "subject" not in event


async def test_a_flag_that_is_set_again_is_told_again(citizens: Citizens) -> None:
    await citizens.say(0)
    await citizens.flag(0, "hold-ready")
    await citizens.look()
    await citizens.flag(0)
    await citizens.look()
    await citizens.flag(0, "hold-ready")
    await citizens.look()
    assert citizens.told == [(HOLD_READY, 0)] * 2


@SQLITE
async def test_who_agrees_later_is_told_of_what_still_stands(citizens: Citizens) -> None:
    await citizens.flag(0, "hold-ready")
    assert await citizens.look() == 0
    await citizens.say(0)
    assert await citizens.look() == 1
    assert citizens.told == [(HOLD_READY, 0)]


@SQLITE
async def test_nobody_is_woken_and_what_is_over_by_the_morning_is_not_told(citizens: Citizens) -> None:
    telling = citizens.telling
    telling.now_ms = NOW_MS
    for member in range(3):
        await citizens.say(member)
        await citizens.flag(member, "hold-ready")
    assert await citizens.look() == 3
    assert citizens.told == []
    await citizens.flag(1)  # fetched by a friend
    await citizens.say(2, "withdrawn")
    telling.now_ms = MORNING_MS - 30 * 60_000
    await telling.tell()
    assert citizens.told == []
    telling.now_ms = MORNING_MS
    await telling.tell()
    assert citizens.told == [(HOLD_READY, 0)]


@SQLITE
async def test_a_try_that_failed_in_the_evening_waits_for_the_morning(citizens: Citizens) -> None:
    telling = citizens.telling
    await citizens.say(0)
    await citizens.flag(0, "overdue")
    telling.receiver.acts = [traps.answering(503)]
    await citizens.look()
    telling.now_ms = NOW_MS + 24 * HOUR_MS
    await telling.tell()
    assert len(telling.receiver.asked) == 1
    telling.now_ms = MORNING_MS + 24 * HOUR_MS
    await telling.tell()
    assert citizens.told == [(OVERDUE, 0)] * 2


async def test_a_forgotten_sign_out_is_told_until_somebody_settles_it(citizens: Citizens) -> None:
    telling = citizens.telling
    of = {row.member: row.subject for row in await telling.city.rows(subjects)}
    for member in (0, 1):
        await citizens.say(member)
        row = session(of[citizens.members[member]], telling.now_ms - HOUR_MS)
        await telling.city.add(attendance_sessions, row)
    assert await telling.noticing.look() == 2
    settled = attendance_sessions.c.subject == of[citizens.members[1]]
    await telling.city.change(attendance_sessions, settled, state="counted")
    await telling.tell()
    assert citizens.told == [(NO_SIGN_OUT, 0)]
    data = telling.receiver.asked[0].event["data"]
    assert (data["team"], data["venue"], data["signed_in"]) == ("desk", "main", "2026-09-21T23:13:20Z")
    assert await citizens.look() == 0


def session(subject: bytes, at_ms: int) -> dict[str, Any]:
    row: dict[str, Any] = {column.name: "" for column in attendance_sessions.columns}
    numbers = ("minutes", "people", "transport", "meal", "people_abroad", "people_home")
    row |= dict.fromkeys(numbers, 0) | {"in_ms": at_ms, "out_ms": None, "shift_end_ms": None}
    row |= {"adjustment_of": b"", "stated": b"", "taps": b"", "key": bytes(16), "at_ms": at_ms, "ends_by_ms": at_ms}
    return row | {
        **{"domain": "library", "subject": subject, "team": "desk", "venue": "main"},
        **{"state": "review", "why": "no-sign-out"},
    }


async def test_points_that_go_within_a_week_are_told_with_how_many_are_left(citizens: Citizens) -> None:
    telling = citizens.telling
    reference = citizens.members[0].hex()
    plan = {"domain": "library", "monthly": [{"class": "senior", "points": 480, "valid_from": "2016-01-01"}]}
    await telling.act("points.plan.put", id="seniors", body=plan)
    about = {"member": reference, "domain": "library", "who": "lin"}
    for points, until in ((30, "2026-09-25"), (20, "2026-09-25"), (99, "2026-12-31"), (7, "")):
        await telling.act("points.grant", points=points, until=until, why="a prize", **about)
    await telling.act("points.redeem", points=5, why="transit", **about)
    await citizens.say(0)
    await citizens.look()
    assert citizens.told == [(POINTS_EXPIRING, 0)]
    data = telling.receiver.asked[0].event["data"]
    assert (data["points"], data["expires"]) == (45, "2026-09-24T16:00:00Z")
    telling.noticing._points_s -= POINTS_EVERY_S
    assert await citizens.look() == 0


@SQLITE
async def test_without_a_subscription_for_them_nothing_is_written_down(telling: Telling) -> None:
    citizens = Citizens(telling, await telling.city.add_members(1))
    await telling.subscribe()
    await citizens.say(0)
    await citizens.flag(0, "hold-ready")
    assert await citizens.look() == 0
    assert await telling.city.rows(notices) == []


@SQLITE
async def test_what_was_told_long_ago_is_forgotten_but_for_flags_that_stand(citizens: Citizens) -> None:
    telling = citizens.telling
    await citizens.say(0)
    await citizens.flag(0, "hold-ready", "overdue")
    await citizens.look()
    await citizens.flag(0, "overdue")
    telling.now_ms += KEPT_MS + 1
    assert await citizens.look() == 0
    assert [row.type for row in await telling.city.rows(notices)] == [OVERDUE]
    assert sorted(citizens.told) == [(HOLD_READY, 0), (OVERDUE, 0)]


async def test_who_is_erased_while_notices_are_written_down_stands_in_none(
    citizens: Citizens, monkeypatch: pytest.MonkeyPatch
) -> None:
    for member in range(2):
        await citizens.say(member)
        await citizens.flag(member, "hold-ready")
    real, left = noticing._known, [citizens.members[0]]

    async def known(*asked: Any) -> set[str]:
        while left:
            async with citizens.telling.city.database.write() as connection:
                await connection.execute(delete(consents).where(consents.c.member == left.pop()))
        return await real(*asked)

    monkeypatch.setattr(noticing, "_known", known)
    assert await citizens.look() == 1
    assert {row.member for row in await citizens.telling.city.rows(notices)} == {citizens.members[1]}


async def test_two_processes_write_each_down_once(citizens: Citizens) -> None:
    import asyncio

    telling = citizens.telling
    for member in range(3):
        await citizens.say(member)
        await citizens.flag(member, "hold-ready")
    other = Noticing(telling.city.database, lambda: telling.now_ms)
    assert sum(await asyncio.gather(telling.noticing.look(), other.look())) == 3
    assert sorted(row.number for row in await telling.city.rows(notices)) == [1, 2, 3]


@pytest.mark.parametrize(
    ("local", "hours", "quiet"),
    [
        ("20:59", (1260, 480), False),
        ("21:00", (1260, 480), True),
        ("03:00", (1260, 480), True),
        ("08:00", (1260, 480), False),
        ("12:30", (720, 780), True),
        ("13:00", (720, 780), False),
        ("04:00", (0, 0), False),
    ],
)
def test_quiet_hours_go_over_midnight(local: str, hours: tuple[int, int], quiet: bool) -> None:
    hour, minute = map(int, local.split(":"))
    at_ms = 1_789_920_000_000 + (hour * 60 + minute) * 60_000  # from midnight in Taipei
    assert is_quiet(at_ms, *hours, "Asia/Taipei") == quiet
