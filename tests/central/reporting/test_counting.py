"""Visits of one day, counted by hour and class."""

from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from central.reporting.counting import EVERYBODY, NO_CLASS, WHOLE_DAY, Held, count_day, day_span, hour_span, local_hour
from central.services.visits.report import Counted, Sweep

TAIPEI, BERLIN = ZoneInfo("Asia/Taipei"), ZoneInfo("Europe/Berlin")
DAY = "2026-09-21"
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
MIDNIGHT_MS = 1_789_920_000_000
"""2026-09-21T00:00+08:00."""
A, B = bytes([1]) * 16, bytes([2]) * 16


def visit(who: bytes, hour: float, hours: float = 1.0, ended: str = "out") -> Counted:
    in_ms = MIDNIGHT_MS + int(hour * HOUR_MS)
    return Counted(who, in_ms, in_ms + int(hours * HOUR_MS), ended)


def test_visits_count_in_their_hour_their_day_and_their_classes() -> None:
    classes = {A: [Held("senior", 0, 0), Held("citizen", 0, 0)]}
    cells = {(c.hour, c.class_name): c for c in count_day(DAY, TAIPEI, [visit(A, 9), visit(B, 9.5)], classes)}
    assert {key: cell.visits for key, cell in cells.items()} == {
        (9, EVERYBODY): 2,
        (9, "citizen"): 1,
        (9, "senior"): 1,
        (9, NO_CLASS): 1,
        (WHOLE_DAY, EVERYBODY): 2,
        (WHOLE_DAY, "citizen"): 1,
        (WHOLE_DAY, "senior"): 1,
        (WHOLE_DAY, NO_CLASS): 1,
    }
    assert (cells[9, EVERYBODY].peak, cells[9, EVERYBODY].peak_ms) == (2, MIDNIGHT_MS + 9 * HOUR_MS + HOUR_MS // 2)


def test_a_class_counts_only_while_the_member_has_it() -> None:
    classes = {A: [Held("student", MIDNIGHT_MS + 10 * HOUR_MS, MIDNIGHT_MS + 12 * HOUR_MS)]}
    cells = count_day(DAY, TAIPEI, [visit(A, hour) for hour in (9, 10, 11.9, 12)], classes)
    assert {(c.hour, c.class_name) for c in cells if c.class_name == "student"} == {
        (10, "student"),
        (11, "student"),
        (WHOLE_DAY, "student"),
    }


def test_members_are_counted_once_those_let_in_by_hand_each_time() -> None:
    cells = count_day(DAY, TAIPEI, [visit(A, 9), visit(A, 9.2), visit(b"", 9.3), visit(b"", 9.4, ended="open")], {})
    whole = next(c for c in cells if c.hour == WHOLE_DAY and c.class_name == EVERYBODY)
    assert (whole.visits, whole.members, whole.by_hand, whole.without_exit) == (4, 1, 2, 1)


def test_who_came_the_day_before_is_inside_and_not_counted() -> None:
    cells = count_day(DAY, TAIPEI, [visit(A, -1, 3), visit(B, 1)], {})
    whole = next(c for c in cells if c.hour == WHOLE_DAY and c.class_name == EVERYBODY)
    assert (whole.visits, whole.peak) == (1, 2)
    assert count_day(DAY, TAIPEI, [visit(A, -1, 3)], {}) == []


def test_most_may_be_inside_in_an_hour_in_which_nobody_comes() -> None:
    cells = count_day(DAY, TAIPEI, [visit(A, -2, 3), visit(B, -1, 2), visit(A, 9)], {})
    peaks = {cell.hour: (cell.peak, cell.peak_ms) for cell in cells if cell.class_name == EVERYBODY}
    assert peaks == {WHOLE_DAY: (2, MIDNIGHT_MS + HOUR_MS), 9: (1, MIDNIGHT_MS + 9 * HOUR_MS)}


visits = st.lists(
    st.builds(visit, st.sampled_from([A, B, b""]), st.floats(-10, 30), st.floats(0.01, 20), st.just("out")), max_size=20
).map(lambda found: sorted(found, key=lambda each: each.in_ms))


@given(visits)
def test_the_hours_make_the_day_and_peaks_are_those_of_the_other_report(found: list[Counted]) -> None:
    cells = [cell for cell in count_day(DAY, TAIPEI, found, {}) if cell.class_name == EVERYBODY]
    since_ms, until_ms = day_span(DAY, TAIPEI)
    within = [each for each in found if each.in_ms < until_ms]
    whole = next((cell for cell in cells if cell.hour == WHOLE_DAY), None)
    assert sum(cell.visits for cell in cells if cell.hour != WHOLE_DAY) == (whole.visits if whole else 0)
    sweep = Sweep("hour", TAIPEI, since_ms, until_ms)
    for each in within:
        sweep.add(each)
    lines = {int(line.label[11:13]): line for line in sweep.lines()}
    by_hour = {cell.hour: cell for cell in cells if cell.hour != WHOLE_DAY}
    assert {hour: (line.visits, line.peak) for hour, line in lines.items()} == {
        hour: (cell.visits, cell.peak) for hour, cell in by_hour.items()
    }
    peak = max((cell.peak for cell in by_hour.values()), default=0)
    in_before = any(each.in_ms < since_ms < each.end_ms for each in found)
    assert whole is None or whole.peak == peak or (in_before and whole.peak > peak)  # in an hour when nobody came


def test_an_hour_that_the_clocks_repeat_is_one_and_one_that_they_leave_out_is_empty() -> None:
    since_ms, until_ms = hour_span("2026-10-25", 2, BERLIN)
    assert until_ms - since_ms == 2 * HOUR_MS
    since_ms, until_ms = hour_span("2026-03-29", 2, BERLIN)
    assert until_ms - since_ms in (0, HOUR_MS)
    assert local_hour(until_ms, BERLIN) == ("2026-03-29", 3)


@given(st.integers(1_700_000_000_000, 1_900_000_000_000), st.sampled_from([TAIPEI, BERLIN, ZoneInfo("Asia/Kathmandu")]))
def test_every_moment_lies_in_its_hour(at_ms: int, zone: ZoneInfo) -> None:
    day, hour = local_hour(at_ms, zone)
    since_ms, until_ms = hour_span(day, hour, zone)
    assert since_ms <= at_ms < until_ms
    assert day_span(day, zone)[0] <= at_ms < day_span(day, zone)[1]
