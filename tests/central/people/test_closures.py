"""Closures: published to every gate concerned, ended by a person, and what falls into them said."""

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.actions.action import ActionFailed
from central.actions.places.closure_effects import Span, turns_within
from central.closures import Closed, ClosureEnded, at_venue, stated
from central.configs import read_configs
from central.facts import Fact
from central.services.attendance.teams import Shift, Team, Version
from central.store.schema import attendance_teams, gate_configs, gates, member_classes, venues
from protocol.configuration import MAX_CLOSURES, Closure, GateConfig
from tests.central.actors import NOW_MS
from tests.central.admin import Admin
from tests.central.city import City
from tests.central.people.conftest import Listed

TAIPEI = ZoneInfo("Asia/Taipei")
TEXTS = {"why_zh": "颱風停班停課", "why_en": "Typhoon", "who": "mayor"}


def local(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=TAIPEI).timestamp() * 1_000)


async def told(city: City, gate: str = "door-1") -> tuple[Closure, ...]:
    async with city.database.read() as connection:
        return (await read_configs(connection, [gate]))[gate].config.closures


async def second_venue(city: City) -> None:
    await city.add(venues, {"id": "branch", "domain": "library", "time_zone": "Asia/Taipei"})
    await city.add(gates, {"id": "branch-door", "venue": "branch", "kind": "door", "policy": "open"})
    await city.configure(GateConfig(0, "branch-door", "door"))


async def test_a_city_is_closed_at_every_gate_and_a_venue_at_its_own(admin: Admin, city: City) -> None:
    await second_venue(city)
    venue = await admin.act("closure.add", venue="branch", since="2026-10-01T12:00", until="2026-10-01T18:30", **TEXTS)
    assert venue.gates == ["branch-door"]
    assert await told(city) == ()
    day = await admin.act("closure.add", city=True, since="2026-10-02", until="2026-10-02", admit=["staff"], **TEXTS)
    assert day.gates == ["branch-door", "door-1"]
    whole = Closure(local("2026-10-02"), local("2026-10-03"), ("staff",), "颱風停班停課", "Typhoon")
    early = Closure(local("2026-10-01T12:00"), local("2026-10-01T18:30"), (), "颱風停班停課", "Typhoon")
    assert await told(city) == (whole,)
    assert await told(city, "branch-door") == (early, whole)
    listed = (await admin.act("closure.list")).closures
    assert [(each.venue, each.who) for each in listed] == [("branch", "mayor"), ("", "mayor")]


async def test_a_closure_that_is_ended_is_off_the_gates_and_one_that_never_began_never_was(
    admin: Admin, city: City
) -> None:
    coming = await admin.act("closure.add", city=True, since="2026-10-02", until="2026-10-02", **TEXTS)
    await admin.act("closure.end", id=coming.closure.id, who="mayor")
    assert await told(city) == ()
    assert (await admin.act("closure.list", all=True)).closures == []
    holds = await admin.act("closure.add", city=True, since="2026-09-21", until="2026-09-30", **TEXTS)
    admin.now_ms += 60_000
    done = await admin.act("closure.end", id=holds.closure.id, who="mayor", why="the storm turned")
    assert done.gates == ["door-1"]
    assert await told(city) == ()
    (shown,) = (await admin.act("closure.list", all=True)).closures
    assert (shown.until_ms, shown.ended_early) == (NOW_MS + 60_000, True)
    with pytest.raises(ActionFailed, match="no closure .* holds or is coming"):
        await admin.act("closure.end", id=holds.closure.id)


async def test_a_configuration_put_later_keeps_the_closures_and_no_file_states_them(admin: Admin, city: City) -> None:
    await admin.act("closure.add", city=True, since="2026-10-02", until="2026-10-02", **TEXTS)
    await admin.act("gate.config.put", gates=["door-1"], body={"title_en": "Front"})
    assert len(await told(city)) == 1
    shown = await admin.act("gate.config.show", gate="door-1")
    assert "closures" not in shown.body
    with pytest.raises(ActionFailed, match="closures: see `closure add`"):
        await admin.act("gate.config.put", gates=["door-1"], body={"closures": []})
    changed = [version.changed for version in (await admin.act("gate.config.history", gate="door-1")).versions]
    assert changed == [["title_en"], ["closures"], []]
    admin.now_ms = local("2026-10-03")
    await admin.act("gate.config.put", gates=["door-1"], body={"title_en": "Door"})
    assert await told(city) == ()


async def test_what_is_closed_already_is_not_published_again(admin: Admin, city: City) -> None:
    await second_venue(city)
    before = len(await city.rows(gate_configs))
    await admin.act("closure.add", venue="branch", since="2026-10-02", until="2026-10-02", **TEXTS)
    assert len(await city.rows(gate_configs)) == before + 1


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"since": "2026-10-02", "until": "2026-10-02"}, "name the venue, or state --city"),
        ({"venue": "main", "city": True, "since": "2026-10-02", "until": "2026-10-02"}, "one of the two"),
        ({"venue": "moon", "since": "2026-10-02", "until": "2026-10-02"}, "there is no venue 'moon'"),
        ({"city": True, "since": "tomorrow", "until": "2026-10-02"}, "from: 'tomorrow' is not a time"),
        ({"city": True, "since": "2026-10-02", "until": "2026-10-01"}, "is not after"),
        ({"city": True, "since": "2001-10-01", "until": "2001-10-02"}, "is over already"),
    ],
)
async def test_a_closure_that_makes_no_sense_is_refused(admin: Admin, values: dict[str, Any], why: str) -> None:
    with pytest.raises(ActionFailed, match=why):
        await admin.act("closure.add", **values, **TEXTS)


async def test_no_more_closures_are_taken_than_are_sent(admin: Admin, city: City) -> None:
    for day in range(MAX_CLOSURES):
        date = (dt.date(2026, 11, 1) + dt.timedelta(days=2 * day)).isoformat()
        await admin.act("closure.add", venue="main", since=date, until=date, **TEXTS)
    with pytest.raises(ActionFailed, match="32 closures are coming already"):
        await admin.act("closure.add", venue="main", since="2027-06-01", until="2027-06-01", **TEXTS)
    assert len(await told(city)) == MAX_CLOSURES


async def test_shifts_and_passes_that_fall_into_it_are_said_and_moved_only_when_asked(
    admin: Admin, city: City, listed: Listed
) -> None:
    team = Team(venue="main", rules=(), shifts=(Shift(id="night", hours="22:00-26:00", days=("fri",)),))
    row = {"domain": "library", "id": "guides", "version": 1, "at_ms": NOW_MS, "from_ms": 0, "venue": "main"}
    await city.add(attendance_teams, row | {"who": "a", "body": msgspec.msgpack.encode(team)})
    member = (1).to_bytes(4) + bytes(12)
    await city.change(member_classes, member_classes.c.member == member, until_ms=local("2026-10-03"))
    stays = await admin.act("closure.add", venue="main", since="2026-10-03T01:00", until="2026-10-03", **TEXTS)
    assert (stays.classes_ending, stays.extended) == (0, 0)
    assert [(shift.team, shift.shift, shift.from_ms) for shift in stays.shifts] == [
        ("guides", "night", local("2026-10-02T22:00"))
    ]
    values = {"city": True, "since": "2026-10-02", "until": "2026-10-02", **TEXTS}
    said = await admin.act("closure.add", **values)
    assert (said.classes_ending, said.cards_ending, said.extended) == (1, 0, 0)
    assert "state --extend-days" in said.note
    moved = await admin.act("closure.add", **values, extend_days=1)
    assert moved.extended == 1
    entry = await listed.entry(1)
    assert entry is not None
    assert [grant.until_ms for grant in entry.classes] == [local("2026-10-04")]
    history = (await admin.act("member.history", member="M-1")).classes
    assert [each.why for each in history] == ["closed: Typhoon", ""]


# --- the pure part --------------------------------------------------------------------------------------------


def fact(n: int, body: Closed | ClosureEnded, venue: str = "") -> Fact:
    return Fact("", bytes([n]) * 16, 0, 0, "mayor", body.KIND, b"", venue, body)


@given(
    st.integers(0, 20),
    st.integers(1, 20),
    st.lists(st.integers(0, 45), max_size=3),
    st.integers(0, 45),
)
def test_a_closure_holds_until_its_end_or_the_earliest_word_that_it_is_over(
    since: int, length: int, ends: list[int], at: int
) -> None:
    closed = fact(1, Closed(from_ms=since, until_ms=since + length, why_zh="", why_en=""))
    words = [fact(2 + n, ClosureEnded(closure=closed.id, ended_ms=end)) for n, end in enumerate(ends)]
    holds = since <= at < min([since + length, *ends])
    for order in ([closed, *words], [*words, closed]):
        found = at_venue(stated(order), "main", at)
        assert any(each.from_ms <= at < each.until_ms for each in found) == holds


def test_turns_are_those_that_the_closure_touches_across_midnight_and_in_local_days() -> None:
    shifts = (
        Shift(id="day", hours="09:00-12:00", days=("sat",)),
        Shift(id="once", hours="23:00-25:00", dates=(dt.date(2026, 10, 3),)),
    )
    team = Version("guides", 1, 0, Team(venue="main", rules=(), shifts=shifts), TAIPEI)
    whole = turns_within(team, Span(local("2026-10-03"), local("2026-10-05")))
    assert [(turn.shift, turn.from_ms) for turn in whole] == [
        ("day", local("2026-10-03T09:00")),
        ("once", local("2026-10-03T23:00")),
    ]
    assert turns_within(team, Span(local("2026-10-03T12:00"), local("2026-10-03T23:00"))) == []
    after_midnight = turns_within(team, Span(local("2026-10-04"), local("2026-10-04T00:30")))
    assert [turn.shift for turn in after_midnight] == ["once"]
