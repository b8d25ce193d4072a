"""Visits out of marks: by example, and that a window computes what the whole would."""

import datetime as dt
import random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.services.visits.closing import LONGEST_MS, Closings
from central.services.visits.occupancy import Correction, inside_now
from central.services.visits.stays import Passed, Visit, visits_of

TAIPEI, BERLIN = ZoneInfo("Asia/Taipei"), ZoneInfo("Europe/Berlin")
HOUR_MS, DAY_MS = 3_600_000, 86_400_000


def ms(text: str, zone: ZoneInfo = TAIPEI) -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1_000)


MIDNIGHT = Closings(TAIPEI, "24:00")
TEN = Closings(TAIPEI, "22:00")


def passed(*moves: tuple[str, str]) -> list[Passed]:
    return [Passed(ms(at), b"e" * 8, n, direction, "members") for n, (at, direction) in enumerate(moves)]


def told(found: list[Visit]) -> list[tuple[int, str, int | None]]:
    return [(visit.sequence, visit.ended, visit.out_ms) for visit in found]


def test_an_exit_ends_the_entry_before_it() -> None:
    marks = passed(("2026-03-02T09:00", "in"), ("2026-03-02T11:00", "out"))
    assert told(visits_of(marks, MIDNIGHT)) == [(0, "out", ms("2026-03-02T11:00"))]


def test_another_entry_ends_one_without_an_exit() -> None:
    marks = passed(("2026-03-02T09:00", "in"), ("2026-03-02T10:00", "in"), ("2026-03-02T11:00", "out"))
    expected = [(0, "next-entry", ms("2026-03-02T10:00")), (1, "out", ms("2026-03-02T11:00"))]
    assert told(visits_of(marks, MIDNIGHT)) == expected


def test_an_exit_without_an_entry_is_no_visit() -> None:
    assert visits_of(passed(("2026-03-02T09:00", "out"), ("2026-03-02T09:01", "out")), MIDNIGHT) == []


def test_who_is_inside_when_the_venue_closes_left_unseen() -> None:
    marks = passed(("2026-03-02T21:59", "in"), ("2026-03-02T22:00", "out"), ("2026-03-03T09:00", "in"))
    first, second = visits_of(marks, TEN)
    assert (first.ended, first.out_ms, first.ends_by_ms) == ("open", None, ms("2026-03-02T22:00"))
    assert (second.ended, second.ends_by_ms) == ("open", ms("2026-03-03T22:00"))


def test_an_entry_after_closing_lasts_until_the_next_closing() -> None:
    marks = passed(("2026-03-02T22:00", "in"), ("2026-03-03T06:00", "out"))
    assert told(visits_of(marks, TEN)) == [(0, "out", ms("2026-03-03T06:00"))]


def test_midnight_is_the_venues_own() -> None:
    (visit,) = visits_of(passed(("2026-03-02T23:59", "in")), MIDNIGHT)
    assert visit.ends_by_ms == ms("2026-03-03T00:00")
    assert visit.is_open(ms("2026-03-02T23:59"))
    assert not visit.is_open(ms("2026-03-03T00:00"))


def test_of_two_marks_at_one_instant_the_name_decides() -> None:
    at = ms("2026-03-02T09:00")
    marks = [Passed(at, b"b" * 8, 1, "out"), Passed(at, b"a" * 8, 9, "in")]
    assert told(visits_of(marks, MIDNIGHT)) == told(visits_of(marks[::-1], MIDNIGHT)) == [(9, "out", at)]


def test_people_of_whom_nobody_knows_who_they_are_end_no_visit_of_each_other() -> None:
    marks = passed(("2026-03-02T09:00", "in"), ("2026-03-02T10:00", "in"), ("2026-03-02T11:00", "out"))
    found = visits_of(marks, MIDNIGHT, is_known=False)
    assert told(found) == [(0, "open", None), (1, "open", None)]


@pytest.mark.parametrize(
    ("date", "hours"),
    [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)],
)
def test_a_day_on_which_the_clocks_change_is_as_long_as_it_is(date: str, hours: int) -> None:
    closings = Closings(BERLIN, "24:00")
    start = ms(f"{date}T00:00", BERLIN)
    assert closings.after(start) - start == hours * HOUR_MS
    assert closings.before(start) == start
    assert closings.after(start - 1) == start


def test_a_closing_in_the_hour_that_is_skipped_or_comes_twice_comes_once() -> None:
    closings = Closings(BERLIN, "02:30")
    for date, before in (("2026-03-29", "2026-03-28T02:30"), ("2026-10-25", "2026-10-24T02:30")):
        one = closings.after(ms(before, BERLIN))
        assert closings.after(one) > one
        assert closings.before(one) == one
        assert dt.datetime.fromtimestamp(one / 1_000, BERLIN).date().isoformat() == date


def test_a_change_of_the_hours_is_of_those_who_come_after_it() -> None:
    changed = ms("2026-03-02T15:00")
    closings = Closings(TAIPEI, "22:00", [(changed, "20:00")])
    assert closings.after(changed - 1) == ms("2026-03-02T22:00")
    assert closings.after(changed) == ms("2026-03-02T20:00")
    assert closings.after(ms("2026-03-02T21:00")) == ms("2026-03-03T20:00")


@given(st.integers(0, 253_370_000_000_000), st.sampled_from(["00:01", "02:30", "12:00", "24:00"]))
def test_the_last_closing_is_before_and_the_next_one_after(at_ms: int, closes_at: str) -> None:
    for zone in (TAIPEI, BERLIN, ZoneInfo("Pacific/Apia"), ZoneInfo("America/St_Johns")):
        closings = Closings(zone, closes_at)
        before, after = closings.before(at_ms), closings.after(at_ms)
        assert before <= at_ms < after
        assert after - before < LONGEST_MS


START = ms("2026-03-28T00:00", BERLIN)
moments = st.integers(0, 8 * 24 * 12).map(lambda n: START + n * 300_000)
one = st.builds(
    Passed, moments, st.sampled_from([b"a" * 8, b"b" * 8]), st.integers(0, 9), st.sampled_from(["in", "out"])
)
some = st.lists(one, max_size=25, unique_by=lambda mark: (mark.epoch, mark.sequence))
hours = st.sampled_from([Closings(BERLIN, "24:00"), Closings(BERLIN, "22:00", [(START + 2 * DAY_MS, "02:30")])])


@given(some, hours, st.integers())
def test_the_order_of_marks_changes_nothing(marks: list[Passed], closings: Closings, seed: int) -> None:
    shuffled = random.Random(seed).sample(marks, len(marks))
    assert visits_of(shuffled, closings) == visits_of(marks, closings)


@given(some, some, hours, st.booleans())
def test_what_a_window_computes_is_what_the_whole_would(
    marks: list[Passed], late: list[Passed], closings: Closings, is_known: bool
) -> None:
    """As the service does it: late marks come, or go; only visits near them are computed again, out of marks near."""
    late = [mark._replace(epoch=b"c" * 8) for mark in late] if late else []
    for before, after in ((marks, [*marks, *late]), ([*marks, *late], marks)):
        held = {visit[:2]: visit for visit in visits_of(before, closings, is_known=is_known)}
        if late:
            low = min(mark.at_ms for mark in late) - LONGEST_MS
            high = max(mark.at_ms for mark in late)
            near = [mark for mark in after if low <= mark.at_ms <= high + LONGEST_MS]
            computed = visits_of(near, closings, is_known=is_known)
            held = {key: visit for key, visit in held.items() if not low <= visit.in_ms <= high}
            held |= {visit[:2]: visit for visit in computed if low <= visit.in_ms <= high}
        assert held == {visit[:2]: visit for visit in visits_of(after, closings, is_known=is_known)}


@given(some, hours)
def test_a_member_is_never_inside_twice(marks: list[Passed], closings: Closings) -> None:
    found = visits_of(marks, closings)
    for at_ms in {visit.in_ms for visit in found} | {visit.ends_by_ms for visit in found}:
        assert sum(visit.is_open(at_ms) for visit in found) <= 1
    assert len(found) == sum(mark.direction == "in" for mark in marks)


# --- how many are inside ----------------------------------------------------------------------------------------


def test_what_staff_counted_holds_from_then_on() -> None:
    assert inside_now(12, {5: 10}, [Correction(5, counted=40)]) == 42
    assert inside_now(12, {5: 10}, [Correction(5, change=-3)]) == 9
    assert inside_now(12, {5: 10, 7: 11}, [Correction(7, change=1), Correction(5, counted=40)]) == 43


def test_a_late_batch_does_not_change_what_staff_counted() -> None:
    assert inside_now(5, {3: 4}, [Correction(3, counted=9)]) == 10
    assert inside_now(8, {3: 7}, [Correction(3, counted=9)]) == 10, "three had come in before, as is known now"


corrections = st.builds(Correction, st.integers(0, 3), st.integers(-50, 50), st.one_of(st.none(), st.integers(0, 50)))


@given(st.integers(0, 50), st.tuples(*[st.integers(0, 50)] * 4), st.lists(corrections, max_size=6))
def test_there_are_never_fewer_than_nobody(now: int, at: tuple[int, ...], stated: list[Correction]) -> None:
    assert inside_now(now, dict(enumerate(at)), stated) >= 0
