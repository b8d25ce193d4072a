"""Faults of what central settles: visits, points, what gates are told. See `tests.planted.faults`."""

from tests.planted.fault import Edit, Fault

FEED = "tests/central/test_state_feed.py"
BATCHES = "tests/central/people/test_batches.py"
SERVICES = "tests/central/services"
STAYS, COUNTING = f"{SERVICES}/visits/test_stays.py", f"{SERVICES}/visits/test_counting.py"
LEDGER, RESERVED = f"{SERVICES}/points/test_ledger.py", f"{SERVICES}/points/test_reservations.py"
POINTS, HOURS = f"{SERVICES}/points/test_points.py", f"{SERVICES}/points/test_volunteering.py"
REPLAY = f"{SERVICES}/judging/test_replay.py"

SETTLING = (
    Fault(
        "undone-tap-is-still-inside",
        "The pool is full of people who never went in.",
        "central/services/visits/service.py",
        (Edit('(marks.c.fate == "counts", marks.c.reason', '(marks.c.fate != "repeat", marks.c.reason'),),
        (f"{COUNTING}::test_an_entry_that_was_undone_is_no_visit",),
    ),
    Fault(
        "counter-counts-as-a-door",
        "Whoever asks for a book at the desk enters the library a second time.",
        "central/services/visits/service.py",
        (Edit(", marks.c.gate.not_in(_COUNTERS))", ")"),),
        (f"{COUNTING}::test_a_tap_at_a_counter_is_neither_an_entry_nor_an_exit",),
    ),
    Fault(
        "visit-goes-on-after-closing",
        "Who left unseen stays inside until the next visit, days later.",
        "central/services/visits/stays.py",
        (Edit("if then is None or then.at_ms >= ends_by_ms:", "if then is None:"),),
        (f"{STAYS}::test_who_is_inside_when_the_venue_closes_left_unseen",),
    ),
    Fault(
        "fewer-than-nobody-inside",
        "A correction by staff lets more people in than the ceiling allows.",
        "central/services/visits/occupancy.py",
        (Edit("return max(0, open_now + more)", "return open_now + more"),),
        (f"{STAYS}::test_there_are_never_fewer_than_nobody",),
    ),
    Fault(
        "undone-tap-is-still-paid",
        "A member pays points for a door that did not open.",
        "central/services/points/accounts.py",
        (Edit('_m.fate == "counts", bears)', "bears)"),),
        (f"{POINTS}::test_an_overspend_is_the_venues_loss_until_the_tap_is_undone",),
    ),
    Fault(
        "overspend-taken-from-nobody",
        "Points are paid to a venue that no account gave: the books do not add up.",
        "central/services/points/ledger.py",
        (Edit("((MEMBER, taken.points - missing), (taken.loss, missing))", "((MEMBER, taken.points),)"),),
        (f"{LEDGER}::test_points_are_never_created_nor_lost_and_nobody_has_less_than_none",),
    ),
    Fault(
        "adjustment-missing",
        "What came after a month was closed is in no month at all.",
        "central/services/points/books.py",
        (
            Edit(
                "return [*sorted(adjustments, key=lambda line: (line.target != MEMBER, line)), *standing]",
                "return standing",
            ),
        ),
        (f"{LEDGER}::test_a_late_mark_is_an_adjustment_in_the_first_open_month",),
    ),
    Fault(
        "closed-month-counted-twice",
        "A late batch books a closed month's points a second time, among the open ones.",
        "central/services/points/books.py",
        (Edit(" for posting in postings if posting.at_ms >= closed_ms]", " for posting in postings]"),),
        (f"{LEDGER}::test_closed_months_never_change_and_all_months_together_are_the_ledger",),
    ),
    Fault(
        "reservation-given-twice",
        "Two gates apart spend the same point.",
        "central/services/points/allotment.py",
        (
            Edit(
                "others = [each for each in open_ones.values() if each.device != device]",
                "others = [each for each in open_ones.values() if each.lapse_ms != lapse_ms and each.device != device]",
            ),
        ),
        (f"{RESERVED}::test_no_point_is_spent_twice_in_random_days",),
    ),
    Fault(
        "reservation-returned-unheard",
        "What a gate apart spent before midnight is spent again elsewhere after it.",
        "central/services/points/returns.py",
        (Edit("void = _r.lapse_ms <= min(heard_ms, now_ms)", "void = _r.lapse_ms <= now_ms"),),
        (f"{RESERVED}::test_what_a_gate_apart_may_have_spent_goes_nowhere_else",),
    ),
    Fault(
        "hours-taken-back-are-forgotten",
        "A month of hours that nobody served keeps its points.",
        "central/services/points/volunteering.py",
        (Edit("line.points * (_full(total) - _full(before))", "max(0, line.points * (_full(total) - _full(before)))"),),
        (f"{HOURS}::test_an_adjustment_takes_or_gives_the_difference",),
    ),
    Fault(
        "left-over-minutes-are-lost",
        "Fifty minutes a month are never an hour.",
        "central/services/points/volunteering.py",
        (Edit("(_full(total) - _full(before))", "_full(total - before)"),),
        (f"{HOURS}::test_minutes_that_are_left_over_count_on_in_the_next_month",),
    ),
    Fault(
        "feed-counts-one-too-many",
        "A gate lets go of a tap of its own that central does not count yet, and lets the member in again.",
        "central/state_feed.py",
        (Edit("Counted(epoch, min(settled, held))", "Counted(epoch, min(settled + 1, held + 1))"),),
        (f"{FEED}::test_a_tap_elsewhere_is_told_and_ones_own_are_counted",),
    ),
    Fault(
        "feed-counts-what-is-only-held",
        "A tap that waits to be settled is in neither's history, and a limit is passed unseen.",
        "central/state_feed.py",
        (Edit("Counted(epoch, min(settled, held))", "Counted(epoch, held)"),),
        (f"{FEED}::test_what_is_held_and_not_settled_is_not_counted",),
    ),
    Fault(
        "re-attribution-forgotten-for-late-taps",
        "A card was given to the wrong member; what comes late is still the wrong one's.",
        "central/services/marks.py",
        (
            Edit(
                "now = whose(Person(person.subject, person.card), event.at_ms)",
                "now = Person(person.subject, person.card)",
            ),
        ),
        (f"{BATCHES}::test_taps_go_to_the_member_whose_the_card_was_also_those_that_come_late",),
    ),
    Fault(
        "visit-correction-booked-again",
        "Whoever repeats a correction takes every visit off twice.",
        "central/actions/judging/correct_visits.py",
        (Edit("dict.fromkeys(set(denied) - taken, -1)", "dict.fromkeys(set(denied), -1)"),),
        (f"{REPLAY}::test_an_entry_that_would_have_been_denied_counts_as_a_visit_no_more",),
    ),
    Fault(
        "undone-tap-is-corrected",
        "Who undid a tap is given back points that nobody took: points are made out of nothing.",
        "central/actions/judging/correct.py",
        (Edit("        found = await _of_payers(connection, found)\n", ""),),
        (f"{REPLAY}::test_nothing_is_given_back_twice_of_a_tap_that_was_undone",),
    ),
    Fault(
        "two-corrections-at-once",
        "Two people press the same button, and every charge is given back twice.",
        "central/actions/judging/correct.py",
        (Edit("now = await _corrected(connection, scene)", "now = scene.corrected"),),
        (f"{REPLAY}::test_two_people_who_correct_the_same_at_once_book_it_once",),
    ),
)
