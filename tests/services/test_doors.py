"""Library, volunteers' kiosk and staff doors: who comes in when, and what they are told."""

import datetime as dt

import msgspec
import pytest

from protocol.allowlist import CardState
from protocol.policy import Calendar
from tests.services.visitor import Visitor, policy_of

CALENDAR = Calendar(holidays=(dt.date(2026, 10, 9), dt.date(2026, 10, 10)), workdays=(dt.date(2026, 10, 17),))


@pytest.mark.parametrize(
    ("when", "who", "expected"),
    [
        ("2026-10-06T08:29:59", "citizen", "outside-hours"),
        ("2026-10-06T08:30:00", "citizen", "ok"),
        ("2026-10-06T20:59:59", "student", "ok"),
        ("2026-10-06T21:00:00", "student", "outside-hours"),
        ("2026-10-05T10:00:00", "senior", "outside-hours"),
        ("2026-10-11T16:59:59", "caring", "ok"),
        ("2026-10-11T17:00:00", "caring", "outside-hours"),
        ("2026-10-10T10:00:00", "citizen", "outside-hours"),
        ("2026-10-17T20:00:00", "citizen", "ok"),
        ("2026-10-05T03:00:00", "staff", "ok"),
        ("2026-10-06T10:00:00", "volunteer", "class-not-admitted"),
    ],
)
def test_library_opens_by_its_hours(when: str, who: str, expected: str) -> None:
    assert Visitor(policy_of("library", calendar=CALENDAR), who).comes(when).reason == expected


def test_library_tells_at_the_gate_what_is_ready_and_what_is_overdue() -> None:
    patron = Visitor(policy_of("library"), "citizen", flags=("hold-ready", "overdue"))
    assert patron.decision("2026-10-06T10:00:00").notes == (("hold-ready", 1), ("overdue", 1))
    patron.entry = msgspec.structs.replace(patron.entry, state=CardState.BLOCKED)
    blocked = patron.decision("2026-10-06T11:00:00")
    assert (blocked.reason, blocked.notes) == ("card-blocked", ())


@pytest.mark.parametrize(
    ("when", "who", "expected"),
    [
        ("2026-10-05T07:29:59", "staff", "outside-hours"),
        ("2026-10-05T07:30:00", "staff", "ok"),
        ("2026-10-05T17:59:59", "staff", "ok"),
        ("2026-10-05T18:00:00", "staff", "outside-hours"),
        ("2026-10-05T18:00:00", "cleaner", "ok"),
        ("2026-10-05T08:00:00", "cleaner", "outside-hours"),
        ("2026-10-10T09:00:00", "staff", "outside-hours"),
        ("2026-10-09T09:00:00", "staff", "outside-hours"),
        ("2026-10-17T09:00:00", "staff", "ok"),
        ("2026-10-24T09:00:00", "staff", "outside-hours"),
        ("2026-10-10T03:00:00", "duty", "ok"),
        ("2026-10-05T09:00:00", "citizen", "class-not-admitted"),
    ],
)
def test_staff_doors_open_by_schedule(when: str, who: str, expected: str) -> None:
    assert Visitor(policy_of("staff-doors", calendar=CALENDAR), who).comes(when).reason == expected


# --- volunteers ----------------------------------------------------------------------------------------------------


def taps(*moments: str, classes: tuple[str, ...] = ("volunteer-reading", "volunteer-night")) -> list[tuple[str, str]]:
    volunteer = Visitor(policy_of("volunteers"), *classes)
    return [volunteer.comes(moment, "library:kiosk")[:2] for moment in moments]


IN, OUT = ("signed-in", "reading-team"), ("signed-out", "reading-team")
NIGHT_IN, NIGHT_OUT = ("signed-in", "night-team"), ("signed-out", "night-team")


def test_two_teams_in_a_day_go_by_the_hour() -> None:
    """A Saturday: reading in the morning, the night watch after it."""
    assert taps("2026-10-03T08:55", "2026-10-03T12:05", "2026-10-03T16:40", "2026-10-03T23:00") == [
        IN,
        OUT,
        NIGHT_IN,
        NIGHT_OUT,
    ]


def test_where_two_teams_serve_at_one_hour_the_first_is_taken_unless_the_other_is_chosen() -> None:
    assert taps("2026-10-03T16:10") == [IN]
    volunteer = Visitor(policy_of("volunteers"), "volunteer-reading", "volunteer-night")
    assert volunteer.comes("2026-10-03T16:10", "library:kiosk", "night-team")[:2] == NIGHT_IN


def test_shift_runs_across_midnight() -> None:
    assert taps("2026-10-02T20:00", "2026-10-03T02:10") == [NIGHT_IN, NIGHT_OUT]


def test_a_double_tap_is_never_a_sign_out() -> None:
    assert taps("2026-10-03T09:00:00", "2026-10-03T09:00:59", "2026-10-03T09:01:00") == [IN, IN, OUT]


def test_a_forgotten_sign_out_is_not_signed_out_by_the_next_days_tap() -> None:
    assert taps("2026-10-03T09:00", "2026-10-04T09:00", "2026-10-04T12:00") == [IN, IN, OUT]


def test_sign_in_opens_half_an_hour_early_and_no_earlier() -> None:
    assert taps("2026-10-03T08:29:59") == [("outside-hours", "reading-team")]
    assert taps("2026-10-03T08:30:00") == [IN]


def test_sign_out_is_granted_after_hours_and_to_a_card_blocked_since() -> None:
    volunteer = Visitor(policy_of("volunteers"), "volunteer-reading")
    assert volunteer.comes("2026-10-03T09:00", "library:kiosk")[:2] == IN
    volunteer.entry = msgspec.structs.replace(volunteer.entry, state=CardState.LOST)
    assert volunteer.comes("2026-10-03T19:00", "library:other-kiosk")[:2] == OUT


def test_nobody_signs_in_for_another_team_than_their_own() -> None:
    assert taps("2026-10-02T21:00", classes=("volunteer-reading",)) == [("outside-hours", "reading-team")]
    assert taps("2026-10-03T09:00", classes=("citizen",)) == [("class-not-admitted", "")]
