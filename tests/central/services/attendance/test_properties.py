"""Whatever becomes known in whatever order: one result, no minute twice, and a locked month as it was locked."""

import random
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from central.services.attendance.hours import sessions
from central.services.attendance.months import Lock
from central.services.attendance.stated import MemberMonthLocked, Reassigned, Row, SessionSettled, SignedByHand
from tests.central.services.attendance.life import DAY_MS, HOUR_MS, MINUTE_MS, TEAMS, Life, key, ms, signing

BEGIN_MS = ms("2026-02-25 00:00")
MINUTES = st.integers(0, 10 * 1_440)
WAYS = st.sampled_from(["in", "out", ""])
TEAM = st.sampled_from(["desk", "desk", "children"])

TAP = st.tuples(MINUTES, WAYS, TEAM, st.integers(0, 60))
"""When, which way, for whom, and how many days later it became known."""
TAPS = st.lists(TAP, max_size=14)
WORD = st.one_of(
    st.tuples(st.just("sign"), MINUTES, st.sampled_from(["in", "out"]), TEAM),
    st.tuples(st.just("settle"), st.integers(0, 14), MINUTES, st.integers(-10, 600)),
    st.tuples(st.just("void"), st.integers(0, 14), st.lists(st.integers(0, 14), max_size=2)),
    st.tuples(st.just("reassign"), st.integers(0, 14), TEAM),
)
MONTH = st.sampled_from(["2026-02", "2026-03", "2026-04"])
WORDS = st.lists(WORD, max_size=5)


def lived(taps: list[Any], words: list[Any]) -> Life:
    life = Life()
    for number, (minute, way, team, days) in enumerate(taps):
        at_ms = BEGIN_MS + minute * MINUTE_MS
        life.taps.append(signing(number, at_ms, way, team, known_ms=at_ms + days * DAY_MS))
    for word in words:
        say(life, word, BEGIN_MS + 20 * DAY_MS)
    return life


def say(life: Life, word: Any, recorded_ms: int) -> None:
    kind, *what = word
    if kind == "sign":
        minute, way, team = what
        at_ms = BEGIN_MS + minute * MINUTE_MS
        life.state(SignedByHand(way=way, team=team, why="w"), at_ms, recorded_ms)
    elif kind == "settle":
        number, minute, long = what
        from_ms = BEGIN_MS + minute * MINUTE_MS
        times = {"from_ms": from_ms, "until_ms": from_ms + long * MINUTE_MS}
        life.state(SessionSettled(key=key(number), outcome="hours", why="w", team="desk", **times), 0, recorded_ms)
    elif kind == "void":
        number, others = what
        taps = tuple(key(other) for other in others)
        life.state(SessionSettled(key=key(number), outcome="void", why="w", taps=taps), 0, recorded_ms)
    else:
        number, team = what
        life.state(Reassigned(key=key(number), team=team, why="w"), 0, recorded_ms)


def booked(rows: list[Row]) -> list[Row]:
    return sorted((row for row in rows if row.state in ("counted", "not-counting")), key=lambda row: row.at_ms)


@given(TAPS, WORDS, st.randoms(use_true_random=False))
def test_the_order_in_which_taps_arrive_does_not_matter(taps: Any, words: Any, shuffled: random.Random) -> None:
    life = lived(taps, words)
    before = life.rows
    shuffled.shuffle(life.taps)
    assert life.rows == before


@given(TAPS, WORDS)
def test_minutes_of_booked_sessions_never_overlap(taps: Any, words: Any) -> None:
    found = booked(lived(taps, words).rows)
    ends = [(row.in_ms, row.out_ms) for row in found]
    for (_, until), (start, _) in zip(ends, ends[1:], strict=False):
        assert until is not None
        assert start is not None
        assert until <= start


@given(TAPS, WORDS)
def test_no_tap_is_lost(taps: Any, words: Any) -> None:
    life = lived(taps, words)
    settled = {name for fact in life.facts if isinstance(fact.body, SessionSettled) for name in fact.body.taps}
    assert {tap.key for tap in life.taps} - names_in(life.rows).keys() <= settled


@given(TAPS)
def test_every_tap_is_in_one_session(taps: Any) -> None:
    life = lived(taps, [])
    assert names_in(life.rows) == Counter(tap.key for tap in life.taps)


def names_in(rows: list[Row]) -> Counter[bytes]:
    return Counter(row.taps[at : at + 16] for row in rows for at in range(0, len(row.taps), 16))


@given(TAPS)
def test_nothing_becomes_hours_without_both_taps_or_a_named_persons_word(taps: Any) -> None:
    life = lived(taps, [])
    by_name = {tap.key: tap for tap in life.taps}
    for row in booked(life.rows):
        own = [by_name[row.taps[at : at + 16]] for at in range(0, len(row.taps), 16)]
        first, last = own[0], max(own, key=lambda tap: tap.at_ms)
        assert row.in_ms == first.at_ms
        assert row.out_ms is not None
        assert 0 < row.out_ms - first.at_ms < 16 * HOUR_MS
        assert row.out_ms in {tap.at_ms for tap in own if tap is not first}
        assert first.way != "out" or any(tap.way == "in" for tap in own)
        assert last.at_ms - row.out_ms < MINUTE_MS
        between = [tap for tap in life.taps if row.in_ms + MINUTE_MS <= tap.at_ms < row.out_ms]
        assert between == []


@given(TAPS, WORDS)
def test_hours_that_nobody_stated_begin_and_end_with_a_tap(taps: Any, words: Any) -> None:
    life = lived(taps, words)
    tapped = {tap.key: tap.at_ms for tap in life.taps}
    for row in booked(life.rows):
        times = {tapped.get(row.taps[at : at + 16]) for at in range(0, len(row.taps), 16)}
        assert row.stated or {row.in_ms, row.out_ms} <= times or any(fact.id in row.taps for fact in life.facts)


@given(TAPS, WORDS)
def test_what_stays_in_doubt_has_no_minutes(taps: Any, words: Any) -> None:
    for row in lived(taps, words).rows:
        if row.state in ("open", "review", "void"):
            assert (row.minutes, row.month) == (0, "")


@settings(max_examples=300)
@given(
    TAPS, WORDS, st.lists(st.tuples(TAPS, WORDS, TEAM, st.sampled_from(["2026-02", "2026-03", "2026-04"])), max_size=4)
)
def test_a_locked_months_rows_never_change_and_no_minute_is_lost(first: Any, words: Any, later: Any) -> None:
    """Taps, statements and locks in turn, months late or not; after each step every locked month is as it was locked,
    and what is booked of a session comes to what the session is now."""
    life = lived(first, words)
    held: dict[tuple[str, str], list[Row]] = {}
    now_ms = BEGIN_MS + 40 * DAY_MS
    for more, said, team, month in later:
        if (team, month) not in held:
            rows = [row for row in life.rows if (row.team, row.month) == (team, month)]
            held[team, month] = rows
            life.locks[team, month] = Lock(now_ms, 1)
            life.state(MemberMonthLocked(team=team, month=month, rows=tuple(rows)), now_ms, now_ms)
        now_ms += 20 * DAY_MS
        for minute, way, for_team, _ in more:
            at_ms = BEGIN_MS + minute * MINUTE_MS
            life.taps.append(signing(len(life.taps), at_ms, way, for_team, known_ms=now_ms))
        for word in said:
            say(life, word, now_ms)
        assert_held(life, held)
    assert_held(life, held)


def assert_held(life: Life, held: dict[tuple[str, str], list[Row]]) -> None:
    rows = life.rows
    for (team, month), then in held.items():
        assert [row for row in rows if (row.team, row.month) == (team, month)] == then
    names = [(row.key, row.team, row.month) for row in rows]
    assert len(set(names)) == len(names)
    locked_keys = {row.key for some in held.values() for row in some}
    now = {each.row.key: each.row for each in sessions(life.taps, life.facts, TEAMS, locked_keys)}
    sums: Counter[tuple[bytes, str]] = Counter()
    for row in rows:
        if row.state == "counted":
            sums[row.key, row.team] += row.minutes
    for (name, team), minutes in sums.items():
        session = now.get(name)
        is_its = session is not None and session.state == "counted" and session.team == team
        assert minutes == (session.minutes if session is not None and is_its else 0)
    for name, session in now.items():
        if session.state == "counted":
            assert sums[name, session.team] == session.minutes
