"""Faults in consent, erasure, retention, keys, and in what others are told of people."""

from tests.planted.fault import Edit, Fault

HERE = "tests/central/privacy"
EVENTS = "tests/central/neighbours/events"
SYSTEMS = "tests/central/neighbours/test_other_systems.py"
ROTATING = "tests/central/test_rotating.py"
FORGETTING = "tests/edge_agent/test_forgetting.py"

PRIVACY = (
    Fault(
        "refusal-that-waits-for-a-date",
        "Who took consent back stays on the lists until the city requires it.",
        "central/privacy/consent.py",
        (
            Edit(
                "    return state == GIVEN or (state is None and not strict)\n",
                "    return state == GIVEN or not strict\n",
            ),
        ),
        (f"{HERE}/test_consent.py::test_who_takes_it_back_is_off_the_list_at_once_even_before_it_is_required",),
    ),
    Fault(
        "silence-is-consent",
        "Where only a given consent counts, who was never asked is published as if they had agreed.",
        "central/privacy/consent.py",
        (
            Edit(
                "    return state == GIVEN or (state is None and not strict)\n",
                "    return state == GIVEN or state is None\n",
            ),
        ),
        (f"{HERE}/test_consent.py::test_a_class_that_needs_consent_is_on_no_list_without_it",),
    ),
    Fault(
        "late-events-keep-the-erased",
        "A gate that was apart brings an erased person back.",
        "central/privacy/erasure/late.py",
        (Edit("        if found:\n            await destroy(", "        if not found:\n            await destroy("),),
        (f"{HERE}/test_erasing.py::test_what_a_gate_delivers_late_loses_its_personal_part_too",),
    ),
    Fault(
        "who-left-a-domain-stays-in-it",
        "What members did in a domain that they left is erased with nobody.",
        "central/leaving.py",
        (Edit("union_all(select(subjects), select(former_subjects))", "select(subjects)"),),
        (f"{HERE}/test_erasing.py::test_who_left_the_domain_leaves_nothing_there_either",),
    ),
    Fault(
        "settled-by-what-was-destroyed",
        "A tap that is settled while its person is erased stays theirs.",
        "central/services/backlog.py",
        (Edit("    if part.happened and await number_of(connection, part.reach) != read:", "    if not read:"),),
        (
            "tests/central/services/test_settling_troubles.py"
            "::test_what_is_destroyed_between_reading_and_settling_is_settled_without_the_person",
        ),
    ),
    Fault(
        "restore-forgets-who-was-erased",
        "A backup brings everybody back who was erased since.",
        "central/privacy/erasure/replaying.py",
        (Edit("if line.erasure not in known]", "if line.erasure in known]"),),
        (f"{HERE}/test_erasing.py::test_restoring_an_older_backup_erases_again",),
    ),
    Fault(
        "hold-of-a-venue-not-asked",
        "What a court wants kept is erased on request.",
        "central/privacy/holds.py",
        (Edit("h.venue.in_(theirs), everything)", "everything)"),),
        (f"{HERE}/test_erasing.py::test_a_legal_hold_stops_it_with_its_reason",),
    ),
    Fault(
        "retention-believes-a-stopped-clock",
        "A gate whose clock stands at 1970 loses what it just delivered.",
        "central/privacy/retention/rules.py",
        (Edit("these, b.received_ms < before_ms)", "these)"),),
        (f"{HERE}/test_retention.py::test_a_gate_whose_clock_stands_still_loses_nothing_that_just_came",),
    ),
    Fault(
        "one-person-breaks-the-glass",
        "Whoever asks for the number of a card allows it, too.",
        "central/actions/privacy/uid_looks.py",
        (Edit("        if row.who == params.who:\n", "        if not params.who:\n"),),
        (f"{HERE}/test_uid_looks.py::test_nobody_allows_what_they_asked_for_and_nobody_else_is_shown_it",),
    ),
    Fault(
        "moment-on-two-lists",
        "The millisecond at which a card was replaced says who is who in two domains.",
        "central/published_dates.py",
        (
            Edit(
                "    return at_ms if at_ms % QUARTER_MS == 0 else at_ms - (at_ms + AHEAD_MS) % DAY_MS\n",
                "    return at_ms\n",
            ),
        ),
        (f"{HERE}/test_linkability.py::test_nothing_that_two_lists_say_is_of_one_person_in_both",),
    ),
    Fault(
        "next-list-does-not-follow",
        "A card that is blocked while the key is rotated opens doors again with the new list.",
        "central/open_lists.py",
        (Edit("        found[domain].append(number)\n", "        found[domain].append(found[domain][0])\n"),),
        (f"{ROTATING}::test_what_changes_while_tokens_are_made_again_is_on_both_lists",),
    ),
    Fault(
        "delta-from-the-list-of-another-key",
        "A gate lays tokens of the new key over a list of the old one.",
        "central/rotating.py",
        (Edit("    rows.renew()\n", ""),),
        (f"{ROTATING}::test_a_new_list_is_newer_than_any_that_was_published_meanwhile",),
    ),
    Fault(
        "gate-destroys-what-central-lacks",
        "A gate that is told to forget somebody destroys taps that it never delivered.",
        "edge_agent/published/forgetting.py",
        (Edit("if id_ & SEQUENCES <= through[id_ >> SEQUENCE_BITS]}", "if through}"),),
        (FORGETTING,),
    ),
)

TOLD = (
    Fault(
        "next-event-sent-although-one-failed",
        "A receiver hears that somebody left before it hears that they came.",
        "central/neighbours/events/sending.py",
        (
            Edit(
                "                return LaneDone(batch.lane, through, taken, event, sent)\n",
                "                continue\n",
            ),
        ),
        (f"{EVENTS}/test_failing_receivers.py::test_what_was_not_taken_is_sent_again_the_same",),
    ),
    Fault(
        "told-before-it-was-taken",
        "A receiver that was down for a moment never hears of what happened then.",
        "central/neighbours/events/verdicts.py",
        (
            Edit(
                '    values = {"tries": tries, "failing_ms": failing_ms, "next_ms": next_ms, "problem": '
                "done.sent.problem[:300]}\n    return Place(done.lane, done.through, values)\n",
                '    values = {"tries": tries, "failing_ms": failing_ms, "next_ms": next_ms, "problem": '
                "done.sent.problem[:300]}\n    return Place(done.lane, done.failed.sequence, values)\n",
            ),
        ),
        (f"{EVENTS}/test_failing_receivers.py::test_what_was_not_taken_is_sent_again_the_same",),
    ),
    Fault(
        "one-pseudonym-for-everybody",
        "Two receivers compare notes and find out that theirs are one person.",
        "central/neighbours/events/cloud_events.py",
        (
            Edit(
                '    return hmac.digest(key, b"subject\\0" + subject,',
                '    return hmac.digest(b"key", b"subject\\0" + subject,',
            ),
        ),
        (f"{EVENTS}/test_delivering.py::test_an_event_is_a_cloud_event_that_names_no_card",),
    ),
    Fault(
        "notice-without-consent",
        "Somebody who never agreed is written to.",
        "central/neighbours/events/noticing.py",
        (Edit("if wish.member in agreed and wish.about not in known]", "if wish.about not in known]"),),
        (f"{EVENTS}/test_notices.py::test_who_agreed_is_told_once_and_who_did_not_never",),
    ),
    Fault(
        "who-asked-for-whom-is-not-said",
        "A citizen cannot tell a look of their own from one that somebody took at them.",
        "central/access/perform.py",
        (Edit('why=ON_BEHALF if CITIZEN in caller.scopes else ""', 'why=""'),),
        (f"{SYSTEMS}::test_each_look_is_the_members_to_see_and_holds_no_card",),
    ),
)
