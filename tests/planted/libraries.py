"""Faults in how library systems are asked, believed, and lent from."""

from tests.planted.fault import Edit, Fault

LINE = "tests/central/neighbours/sip2/test_line.py"
MEANING = "tests/central/neighbours/sip2/test_meaning.py"
WORD = "tests/central/neighbours/test_library_word.py"
REFRESHING = "tests/central/neighbours/test_refreshing.py"
LOANS = "tests/central/neighbours/test_loans.py"
TAP = "tests/central/neighbours/test_counter_tap.py"
SIP2 = "central/neighbours/sip2"

LIBRARIES = (
    Fault(
        "late-answer-is-the-next-patrons",
        "The answer about the person before, which came too late, admits the next one.",
        f"{SIP2}/line.py",
        (Edit("        if answer.sequence != sequence:\n", "        if answer.sequence > sequence + 9:\n"),),
        (f"{LINE}::test_line_is_closed_for_good_at_the_first_doubt",),
    ),
    Fault(
        "line-used-on-after-a-timeout",
        "The answer that nobody waited for any more is read as the next one.",
        f"{SIP2}/line.py",
        (
            Edit(
                "    async def _broken(self, kind: FaultKind, text: str, request: Request, sent: bool) -> LineFault:\n"
                "        await self.close()\n",
                "    async def _broken(self, kind: FaultKind, text: str, request: Request, sent: bool) -> LineFault:\n",
            ),
        ),
        (f"{LINE}::test_line_is_closed_for_good_at_the_first_doubt",),
    ),
    Fault(
        "what-waits-on-the-line-is-not-looked-at",
        "An answer that came twice is taken for the one to the next question.",
        f"{SIP2}/line.py",
        (Edit("        if frames.is_answer(self._held) or len", "        if len"),),
        (f"{LINE}::test_answer_that_came_twice_ends_the_line_before_the_next_question",),
    ),
    Fault(
        "silence-is-a-yes",
        "A library that does not say whether somebody is a patron admits everybody.",
        f"{SIP2}/meaning.py",
        (Edit('    if answer.one("BL") not in ("Y", "N"):\n', '    if answer.one("BL") not in ("Y", "N", None):\n'),),
        (f"{MEANING}::test_missing_or_odd_bl_is_unknown",),
    ),
    Fault(
        "lost-card-not-looked-at",
        "Whoever found a card that was reported lost comes in with it.",
        f"{SIP2}/meaning.py",
        (Edit('status[CHARGE_DENIED] == "Y" or status[CARD_LOST] == "Y"', 'status[CHARGE_DENIED] == "Y"'),),
        (f"{MEANING}::test_lost_card_says_it_is_valid_and_only_the_status_tells",),
    ),
    Fault(
        "librarys-word-in-place-of-others",
        "What somebody set by hand is gone as soon as the library was asked.",
        "central/neighbours/library_word.py",
        (Edit("tuple(sorted({*flags.get(member, ()), *given}))", "tuple(sorted(given))"),),
        (f"{WORD}::test_flags_of_hand_and_library_do_not_touch_each_other",),
    ),
    Fault(
        "down-is-a-no",
        "A cable that is pulled out at the library shuts every patron out.",
        "central/neighbours/refreshing.py",
        (
            Edit(
                "            await self._write(answers, at_once=True)\n            if fault.kind",
                "            for each in waiting:\n"
                "                unknown = Patron(Standing.UNKNOWN)\n"
                "                answers.append(Answered(each.member, each.key, unknown, self._now_ms()))\n"
                "            await self._write(answers, at_once=True)\n            if fault.kind",
            ),
            Edit(
                "from central.neighbours.sip2.line import",
                "from central.neighbours.sip2.meaning import Patron, Standing\n"
                "from central.neighbours.sip2.line import",
            ),
        ),
        (f"{REFRESHING}::test_a_bad_line_changes_nothing_at_the_gates",),
    ),
    Fault(
        "loan-of-a-lost-answer-is-not-done",
        "The counter says that nothing was lent, and the book goes out a second time or unseen.",
        "central/actions/neighbours/loans.py",
        (Edit("if fault.sent and not request.repeatable and", "if fault.sent and request.repeatable and"),),
        (f"{LOANS}::test_a_lost_answer_is_unknown_and_never_asked_for_again",),
    ),
    Fault(
        "late-tap-is-the-next-persons",
        "A book is lent to whoever stood at the counter while the gate was not connected.",
        "central/actions/neighbours/counter_tap.py",
        (
            Edit(
                "_e.at_ms >= since_ms + min(off_ms.values()), _e.kind",
                "_e.at_ms >= since_ms - 600_000, _e.kind",
            ),
            Edit("row.device in off_ms and row.at_ms >= since_ms + off_ms[row.device]", "row.device in off_ms"),
        ),
        (f"{TAP}::test_only_a_tap_from_now_on_counts",),
    ),
)
