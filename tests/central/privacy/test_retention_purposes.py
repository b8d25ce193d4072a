"""What a purpose needs goes by its own rule: balances, totals, counts and proofs are the same before and after."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from central.keys import Keys
from central.lists import refresh_domain
from central.privacy.retention.retaining import destroy_due
from central.privacy.retention.rules import DAY_MS, LEAST_DAYS
from central.store.database import Database
from central.store.schema import (
    activities,
    attendance_sessions,
    consents,
    events,
    evidence,
    facts,
    member_class_history,
    members,
    point_books,
    point_months,
    registrations,
    reservations,
    subjects,
    uid_looks,
)
from edge_agent.journal.pruning import KEEP_MS
from protocol.messages import Upload, decode
from tests.central.actors import NOW_MS
from tests.central.admin import Admin, admin_of
from tests.central.city import City
from tests.central.privacy.conftest import NOTICE
from tests.central.services.attendance.crew import Crew
from tests.central.services.points.town import Town as Points
from tests.central.services.points.town import at
from tests.central.services.scenes import Diary, Town

ONE_ENGINE = pytest.mark.parametrize("engine", ["sqlite"])
MONTHS = ("2026-01", "2026-02", "2026-03", "2026-04")


async def destroy(city: City, now_ms: int) -> int:
    looked_at = 0
    while more := await destroy_due(city.database, now_ms):
        looked_at += more
    return looked_at


async def proven(admin: Admin) -> list[Any]:
    """What `verify` says: scenes that were put together by hand lack a list and the like."""
    await admin.act("verify")
    return admin.items


async def holds(admin: Admin, before: list[Any]) -> None:
    """Proofs hold as before, and everything is what it is computed from."""
    assert await proven(admin) == before
    assert [each for each in (await admin.act("rebuild")).tables if each.missing or each.wrong] == []


def test_a_gate_always_keeps_less_long_than_any_rule_of_the_centre() -> None:
    assert KEEP_MS < LEAST_DAYS * DAY_MS


# --- points -------------------------------------------------------------------------------------------------------


class Pool:
    """Three members with points of four months, of which three are closed."""

    def __init__(self, points: Points) -> None:
        self.points, self.city, self.admin = points, points.city, points.admin
        self.town = Town(self.city.database, self.city.keys)
        self.who: dict[str, bytes] = {}

    async def found(self) -> None:
        await self.points.found("pool-1", now="2026-01-01T00:05:00")
        self.diary = Diary(self.points.devices["pool-1"])
        for name in ("spends", "saves", "checks"):
            self.who[name] = await self.points.add_member(name)
        granted = {"points": 30, "why": "a prize", "who": "chen", "domain": "library"}
        for month in MONTHS:
            self.now(f"{month}-01T00:05:00")
            await self.points.round()
            if month == "2026-01":
                await self.admin.act("points.grant", member="saves", **granted)
            for name, subject in self.who.items():
                self.diary.came(subject, at(f"{month}-10T09:00:00"), points=85 if name == "spends" else 20, rule="pool")
            if month == "2026-02":
                self.diary.came(self.who["spends"], at("2026-02-11T09:00:00"), points=500, rule="pool")
                self.diary.came(self.who["checks"], at("2026-02-12T09:00:00"), rule="health-check")
            self.now(f"{month}-28T12:00:00")
            await self.town.take(self.diary, len(self.taken))
            await self.town.settle()
            self.taken = self.diary.publics[:]
        for month in MONTHS[:3]:
            self.now("2026-06-15T12:00:00")
            await self.points.close(month)
        await self.admin.act("retention.put", days=31)

    taken: list[bytes] = []

    def now(self, text: str) -> None:
        self.admin.now_ms = self.town.now_ms = at(text)

    async def told(self) -> dict[str, Any]:
        """What nobody may see change."""
        totals = {month: await self.points.totals(month) for month in MONTHS}
        balances = {name: msgspec.to_builtins(await self.points.balance(name)) for name in self.who}
        return {"totals": totals, "balances": balances}

    async def booked(self) -> dict[str, list[str]]:
        """Months in which lines of closed months stand, by member."""
        rows = await self.city.rows(point_books)
        return {name: sorted({row.month for row in rows if row.subject == of}) for name, of in self.who.items()}


@pytest.fixture
async def pool(city: City, database: Database, keys: Keys, database_url: str, tmp_path: Path) -> Pool:
    made = Pool(Points(city, admin_of(database, keys, database_url, tmp_path)))
    await made.found()
    return made


async def test_points_of_closed_months_go_once_no_balance_depends_on_them(pool: Pool) -> None:
    before, now_ms, proofs = await pool.told(), at("2026-06-15T12:00:00"), await proven(pool.admin)
    assert before["totals"]["2026-02"]["venue:main:loss"] < 0, "somebody spent what nobody had"
    await destroy(pool.city, now_ms)
    assert await pool.booked() == {name: list(MONTHS[:3]) for name in pool.who}, "no rule of points was stated"
    await pool.admin.act("retention.put", days=60, purpose="points")
    await destroy(pool.city, now_ms)
    assert await pool.booked() == {
        "spends": [],
        "saves": list(MONTHS[:3]),  # a prize that is not spent yet
        "checks": ["2026-02", "2026-03"],  # points of a health check that are still good
    }
    assert await pool.told() == before
    parts = {row.sequence for row in await pool.city.rows(events) if row.personal is not None}
    assert len(parts) == 14 - 5
    left = {row.month for row in await pool.city.rows(point_months) if row.subject == pool.who["spends"]}
    assert left == {"2026-04"}
    await holds(pool.admin, proofs)
    await pool.admin.act("rebuild.apply")
    assert await pool.told() == before
    assert await destroy(pool.city, now_ms) == 0


@ONE_ENGINE
async def test_reservations_that_somebody_wrote_off_go_with_the_points(pool: Pool) -> None:
    promise = {"domain": "library", "device": "gone", "gate": "gone", "amount": 10, "untold": 0, "base": 0}
    promise |= {"made_ms": 1, "since_ms": 1, "state": "written-off", "done_ms": 1, "subject": pool.who["spends"]}
    lapsed = [at(f"{month}-20T00:00:00") for month in ("2026-01", "2026-04")]
    await pool.city.add(reservations, *({**promise, "lapse_ms": lapse_ms} for lapse_ms in lapsed))
    await pool.admin.act("retention.put", days=60, purpose="points")
    await destroy(pool.city, at("2026-06-15T12:00:00"))
    left = [row.lapse_ms for row in await pool.city.rows(reservations) if row.device == "gone"]
    assert left == lapsed[1:]


@ONE_ENGINE
async def test_points_stay_while_the_taps_that_bore_them_do(pool: Pool) -> None:
    now_ms, proofs = at("2026-06-15T12:00:00"), await proven(pool.admin)
    await pool.admin.act("retention.put", days=60, purpose="points")
    hold = await pool.admin.act("hold.put", why="case 115-42", member="spends")
    await pool.admin.act("retention.put", days=0)
    await destroy(pool.city, now_ms)
    assert await pool.booked() == {name: list(MONTHS[:3]) for name in pool.who}, "visits are kept without end"
    await pool.admin.act("retention.put", days=31)
    await destroy(pool.city, now_ms + 8 * DAY_MS)
    assert (await pool.booked())["spends"] == list(MONTHS[:3])
    await pool.admin.act("hold.end", id=hold.id)
    await destroy(pool.city, now_ms + 16 * DAY_MS)
    assert (await pool.booked())["spends"] == []
    await holds(pool.admin, proofs)


@ONE_ENGINE
async def test_a_tap_that_only_says_what_is_to_be_paid_goes_with_points(admin: Admin, city: City, keys: Keys) -> None:
    town, diary = Town(city.database, keys, NOW_MS - 99 * DAY_MS), Diary(city.device)
    who = bytes((await city.rows(subjects))[0].subject)
    diary.came(who, NOW_MS - 100 * DAY_MS, due=25)
    await town.take(diary)
    diary.came(who, NOW_MS - 40 * DAY_MS, due=25)
    town.now_ms = NOW_MS - 39 * DAY_MS
    await town.take(diary, 2)
    await town.settle()
    await admin.act("retention.put", days=31)
    await destroy(city, NOW_MS)
    assert len([row for row in await city.rows(events) if row.personal is not None]) == 2
    await admin.act("retention.put", days=60, purpose="points")
    await destroy(city, NOW_MS + 8 * DAY_MS)
    assert [row.sequence for row in await city.rows(events) if row.personal is not None] == [2]


# --- hours --------------------------------------------------------------------------------------------------------


@pytest.fixture
async def crew(city: City, database: Database, keys: Keys, database_url: str, tmp_path: Path) -> Crew:
    """A-1 served the hours of an honour card in April 2026, which was locked."""
    made = Crew(city, admin_of(database, keys, database_url, tmp_path))
    await made.found()
    for day in range(1, 31):
        made.tap("A-1", "kiosk-1", f"2026-04-{day:02} 08:00", "in")
        made.tap("A-1", "kiosk-1", f"2026-04-{day:02} 18:00", "out")
    await made.sync("kiosk-1", "2026-04-30 19:00")
    return made


async def lock(crew: Crew, *months: str) -> None:
    await crew.act("certify", member="A-1", valid_from="2026-05-10", number="115-1", who="chen")
    crew.now("2026-07-01 09:00")
    for month in months:
        await crew.act("approve", team="desk", month=month, who="lin")
        await crew.act("lock", team="desk", month=month, who="lin")
    crew.now("2027-03-01 09:00")


async def test_sessions_of_locked_months_go_up_to_the_last_honour_card(crew: Crew, city: City) -> None:
    await crew.session("A-2", "2026-04-30", ("08:00", "18:00"), "kiosk-2")
    await crew.session("A-1", "2026-05-04", ("09:00", "11:00"))
    await lock(crew, "2026-04", "2026-05")
    cards, april = await crew.act("certificates"), await crew.act("month", team="desk", month="2026-04")
    totals, now_ms, proofs = await counted(crew), crew.admin.now_ms, await proven(crew.admin)
    await crew.admin.act("retention.put", days=31)
    await destroy(city, now_ms)
    assert len(await city.rows(attendance_sessions)) == 32, "no rule of volunteering was stated"
    await crew.admin.act("retention.put", days=180, purpose="volunteering")
    await destroy(city, now_ms)
    left = {(bytes(row.subject), row.month) for row in await city.rows(attendance_sessions)}
    assert left == {(crew.people["A-1"], "2026-05"), (crew.people["A-2"], "2026-04")}
    sheet = await crew.act("month", team="desk", month="2026-04")
    assert (sheet.erased_people, sheet.erased_minutes) == (1, 18_000)
    assert await counted(crew) == totals
    assert (sheet.state, sheet.minutes + sheet.erased_minutes) == (april.state, april.minutes)
    assert await crew.act("certificates") == cards
    parts = [row for row in await city.rows(events) if row.personal is not None]
    assert len(parts) == 4
    about = [row for row in await city.rows(facts) if row.subject == crew.people["A-1"]]
    assert sorted(row.kind for row in about) == ["attendance.certificate", "attendance.locked-rows"]
    await holds(crew.admin, proofs)
    await crew.admin.act("rebuild.apply")
    assert await crew.act("certificates") == cards
    assert await destroy(city, now_ms) == 0


@ONE_ENGINE
async def test_a_locked_month_that_corrects_an_earlier_one_is_not_taken_apart(crew: Crew) -> None:
    await lock(crew, "2026-04")
    first = next(each for each in await crew.sessions(member="A-1") if each.month == "2026-04")
    crew.now("2026-07-02 09:00")
    await crew.act(
        "settle", session=first.session, outcome="hours", until="2026-04-01T17:00", why="the sheet", who="lin"
    )
    await crew.session("A-1", "2026-07-06", ("09:00", "11:00"))
    crew.now("2026-08-02 09:00")
    await crew.act("approve", team="desk", month="2026-07", who="lin")
    await crew.act("lock", team="desk", month="2026-07", who="lin")
    rows = await crew.rows()
    assert ("desk", "2026-07", -60) in await crew.booked()
    crew.now("2027-03-01 09:00")
    for purpose in ("admission", "volunteering"):
        await crew.admin.act("retention.put", days=31, purpose=purpose)
    await destroy(crew.city, crew.admin.now_ms)
    assert await crew.rows() == rows


@ONE_ENGINE
async def test_an_honour_card_is_known_though_every_session_went_into_it(crew: Crew) -> None:
    await lock(crew, "2026-04")
    for purpose in ("admission", "volunteering"):
        await crew.admin.act("retention.put", days=31, purpose=purpose)
    cards = await crew.act("certificates")
    assert [(each.member, each.state) for each in cards.certificates] == [("A-1", "valid")]
    await destroy(crew.city, crew.admin.now_ms)
    assert await crew.city.rows(attendance_sessions) == []
    assert await crew.act("certificates") == cards


async def counted(crew: Crew) -> dict[str, int]:
    """Minutes that the team served, by month."""
    found = {}
    for month in ("2026-04", "2026-05"):
        sheet = await crew.act("month", team="desk", month=month)
        found[month] = sheet.minutes + sheet.erased_minutes
    return found


# --- check-ins ----------------------------------------------------------------------------------------------------


async def test_how_many_came_to_a_health_check_stays_and_who_they_were_goes(
    admin: Admin, city: City, keys: Keys
) -> None:
    old_ms = NOW_MS - 100 * DAY_MS
    day = {"from_ms": old_ms, "until_ms": old_ms + DAY_MS, "capacity": 0, "walk_ins": True, "at_ms": 1, "who": "ana"}
    check = {"id": "check", "venue": "main", "rule": "health-check", "title_zh": "健檢", "title_en": "Health check"}
    await city.add(activities, check | day)
    who = {each.member: bytes(each.subject) for each in await city.rows(subjects)}
    of = {row.reference: row.id for row in await city.rows(members)}
    for name in ("M-1", "M-2"):
        await city.add(registrations, {"activity": "check", "member": of[name], "at_ms": 1})
    town, diary = Town(city.database, keys, old_ms + 2 * DAY_MS), Diary(city.device)
    diary.came(who[of["M-1"]], old_ms + 10, rule="health-check")
    diary.came(who[of["M-3"]], old_ms + 20, rule="health-check")
    diary.came(who[of["M-3"]], old_ms + DAY_MS, rule="health-check")  # on no day of an activity
    await town.take(diary)
    await town.settle()
    before = await admin.act("activity.attendance", id="check")
    assert (before.registered, before.counts) == (2, {"came": 1, "walk-in": 1, "absent": 1})
    await admin.act("retention.put", days=60)
    await destroy(city, NOW_MS)
    assert [row.sequence for row in await city.rows(events) if row.personal is not None] == [1, 2]
    await admin.act("retention.put", days=90, purpose="health-check")
    await destroy(city, NOW_MS + 8 * DAY_MS)
    after = await admin.act("activity.attendance", id="check")
    assert (after.registered, after.counts, after.people) == (2, before.counts, [])
    assert [row.registered for row in (await admin.act("activity.list")).activities] == [2]
    assert await city.rows(registrations) == []
    assert [row for row in await city.rows(events) if row.personal is not None] == []
    await holds(admin, [])


async def test_a_registration_that_a_hold_kept_goes_once_the_hold_is_over(admin: Admin, city: City) -> None:
    old_ms = NOW_MS - 100 * DAY_MS
    day = {"from_ms": old_ms, "until_ms": old_ms + DAY_MS, "capacity": 0, "walk_ins": True, "at_ms": 1, "who": "ana"}
    check = {"id": "check", "venue": "main", "rule": "health-check", "title_zh": "健檢", "title_en": "Health check"}
    await city.add(activities, check | day)
    of = {row.reference: row.id for row in await city.rows(members)}
    for name in ("M-1", "M-2"):
        await city.add(registrations, {"activity": "check", "member": of[name], "at_ms": 1})
    hold = await admin.act("hold.put", member="M-1", why="case 115-42", who="ana")
    await admin.act("retention.put", days=90, purpose="health-check")
    await destroy(city, NOW_MS)
    assert [row.member for row in await city.rows(registrations)] == [of["M-1"]]
    counted = (await admin.act("activity.attendance", id="check")).counts
    await admin.act("hold.end", id=hold.id, who="ana")
    await destroy(city, NOW_MS + 8 * DAY_MS)
    assert await city.rows(registrations) == []
    assert (await admin.act("activity.attendance", id="check")).counts == counted


# --- what hangs on no event ---------------------------------------------------------------------------------------


async def test_what_is_superseded_or_over_goes_by_the_rule_of_its_purpose(admin: Admin, city: City, keys: Keys) -> None:
    old_ms = NOW_MS - 100 * DAY_MS
    await admin.act("notice.put", purpose="caring", notice=NOTICE, who="ana")
    of = {row.reference: row.id for row in await city.rows(members)}
    admin.now_ms = old_ms
    for name in ("M-1", "M-2"):
        await admin.act("member.put", member=name, domain="library", classes=["caring", "student"])
        await admin.act("consent.give", member=name, purpose="caring")
    admin.now_ms = old_ms + DAY_MS
    for name in ("M-1", "M-2"):
        await admin.act("consent.withdraw", member=name, purpose="caring")
        await admin.act("member.correct", member=name, without_classes=["caring", "student"], who="ana")
    look = {"card": bytes(16), "who": "ana", "why": "found", "allowed_by": "", "allowed_ms": 0, "shown_ms": 0}
    await city.add(uid_looks, {"id": "1", "member": of["M-1"], "at_ms": old_ms, **look})
    await _forked(city, keys, old_ms)
    admin.now_ms = NOW_MS
    await admin.act("hold.put", why="case 115-42", member="M-2")
    await admin.act("retention.put", days=60)
    await destroy(city, NOW_MS)
    assert await city.rows(uid_looks) == []
    assert {(row.member, row.name) for row in await city.rows(member_class_history) if row.until_known_ms} == {
        *((of["M-1"], "caring"), (of["M-2"], "caring"), (of["M-2"], "student")),
    }
    assert len(await city.rows(consents)) == 4, "no rule of caring was stated"
    (piece,) = await city.rows(evidence)
    assert set(decode(Upload, piece.body).personal) == {b""}
    await admin.act("retention.put", days=60, purpose="caring")
    await destroy(city, NOW_MS + 2 * DAY_MS)
    said = sorted((row.member, row.state) for row in await city.rows(consents))
    assert said == sorted([(of["M-1"], "withdrawn"), (of["M-2"], "given"), (of["M-2"], "withdrawn")])
    assert {row.member for row in await city.rows(member_class_history) if row.until_known_ms} == {of["M-2"]}
    async with city.database.write() as connection:
        await refresh_domain(connection, keys, "library", NOW_MS)
    await holds(admin, [])
    told = {row.purpose: row.days for row in (await admin.act("retention.list")).purposes if row.days}
    assert told == {"admission": 60, "caring": 60}


async def _forked(city: City, keys: Keys, at_ms: int) -> None:
    """An upload that contradicts another one is evidence, with its personal parts."""
    town, diary = Town(city.database, keys, at_ms), Diary(city.device)
    who = bytes((await city.rows(subjects))[0].subject)
    diary.came(who, at_ms)
    await town.take(diary)
    other = Diary(diary.device)
    other.epoch, other.heads = diary.epoch, diary.heads[:2]
    other.publics, other.personals = diary.publics[:1], diary.personals[:1]
    other.came(who, at_ms + 7)
    assert await town.take(other, 1) == "forked"
    await town.settle()
