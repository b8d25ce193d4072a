"""Planted faults of central's second look at taps, and of volunteers' hours."""

from tests.planted.fault import Edit, Fault

AWAY = "tests/central/services/judging/test_turned_away.py"
DENIALS = "tests/central/services/judging/test_denials.py"
CHARGES = "tests/central/services/judging/test_charges.py"
EXITS = "tests/central/services/judging/test_exits.py"
ATTENDANCE = "tests/central/services/attendance/test_attendance.py"
HOURS = f"{ATTENDANCE}::test_a_clock_that_was_off_is_mended_by_one_statement_and_a_locked_month_by_an_adjustment"

JUDGING = (
    Fault(
        "what-came-late-blames-the-gate",
        "Every exit at one gate that is followed by a denial at another within two seconds becomes work for a person.",
        "central/services/judging/seen.py",
        (Edit("LATE_MS = TOLERANCE_MS\n", "LATE_MS = 0\n"),),
        (AWAY,),
    ),
    Fault(
        "later-word-judges-earlier-tap",
        "What a tap is found to be depends on when it is looked at, so rebuilding calls good rows wrong.",
        "central/services/judging/loading.py",
        (
            Edit(
                "held, known_ms = part.event.held, min(at_ms, part.received_ms)",
                "held, known_ms = part.event.held, at_ms",
            ),
        ),
        (f"{DENIALS}::test_what_central_said_after_it_had_the_tap_changes_nothing",),
    ),
    Fault(
        "denial-of-another-member-stays",
        "After cards were bound anew somebody is called wronged who was never at the gate.",
        "central/services/judging/loading.py",
        (
            Edit(
                "    return [row for row in rows if whose is None or"
                " whose(told := Person(row.subject, row.card), row.at_ms) == told]\n",
                "    return [row for row in rows if whose is None or Person(row.subject, row.card).subject]\n",
            ),
        ),
        (f"{DENIALS}::test_of_a_card_that_turned_out_to_be_anothers_nothing_is_said",),
    ),
    Fault(
        "any-charge-below-the-price-passes",
        "A gate that charges a fraction of the price is never noticed.",
        "central/services/judging/charges.py",
        (
            Edit(
                "found.points + found.due == mark.points + mark.due and",
                "found.points + found.due >= mark.points + mark.due and",
            ),
        ),
        (CHARGES,),
    ),
    Fault(
        "every-exit-wants-an-entry",
        "Where anti-passback only takes note, each forgotten tap becomes work for a person.",
        "central/services/judging/exits.py",
        (
            Edit(
                "for rule in hard or rules), not hard and not is_hourly",
                "for rule in hard or rules), not rules and not is_hourly",
            ),
        ),
        (EXITS,),
    ),
    Fault(
        "hours-by-a-clock-that-was-off",
        "Volunteers keep the hour that a kiosk's wrong clock gave them, whatever a person stated of it.",
        "central/services/attendance/store.py",
        (Edit("at_ms = clocks.corrected_ms(device, said_ms)", "at_ms = said_ms"),),
        (HOURS,),
    ),
    Fault(
        "correction-booked-when-the-tap-came",
        "What was stated of a clock in April changes the hours of March, which people have seen.",
        "central/services/attendance/store.py",
        (
            Edit(
                "known_ms=max(received_ms if received_ms is not None else said_ms, offset.known_ms if offset else 0),",
                "known_ms=max(received_ms if received_ms is not None else said_ms, 0 if offset else 0),",
            ),
        ),
        (HOURS,),
    ),
)
