"""What the screen shows, from every side: answers before conditions, what stops the gate, what is only calmly told."""

from typing import Any

import msgspec
import pytest

from edge_agent.door.passage import Alarm
from edge_agent.readers import ReaderState
from edge_agent.release import Signal
from edge_agent.screen import wording
from edge_agent.screen.situation import Answer, Membership, Surroundings, Undo
from edge_agent.screen.view import DENIED_MS, UNDO_MS, Mode, View, next_ms, view
from edge_agent.screen.wording import Words, of_reason, with_age
from protocol.decision import Staleness
from protocol.messages import Choice, Direction, GateConfig, Outcome, ScreenConfig, StaffPin, Wording
from protocol.reasons import HEADLINES, Reason

AT_MS = 50_000
STAFF = (StaffPin("lin.07", bytes(16), bytes(32)), StaffPin("王小明", bytes(16), bytes(32)))


def config(direction: Direction = Direction.IN, texts: Any = (), **screen: Any) -> GateConfig:
    shown = ScreenConfig(**({"undo": True, "staff_admit": True} | screen))
    return GateConfig(1, "gate", "door", direction, title_zh="總館", screen=shown, staff=STAFF, texts=dict(texts or {}))


CALM = Surroundings(config=config(), staleness=Staleness.FRESH, age_s=5, is_online=True, readers=(ReaderState.READY,))
OUTWARD = msgspec.structs.replace(CALM, config=config(Direction.OUT))


def around(base: Surroundings = CALM, **changes: Any) -> Surroundings:
    return msgspec.structs.replace(base, **changes)


def signal(outcome: Outcome, reason: Reason, direction: Direction = Direction.IN, **more: Any) -> Signal:
    return Signal(b"epoch 01", 7, outcome, reason.value, direction, **more)


def answer(signalled: Signal, **more: Any) -> Answer:
    return Answer(3, AT_MS, signalled, **({"can_undo": signalled.outcome is Outcome.GRANTED} | more))


OK = answer(signal(Outcome.GRANTED, Reason.OK), name="王○明")
DENIED = answer(signal(Outcome.DENIED, Reason.UNKNOWN_CARD))


def shown(surroundings: Surroundings = CALM, given: Answer | None = None, after_ms: int = 0) -> View:
    return view(surroundings, given, AT_MS + after_ms)


# --- answers ----------------------------------------------------------------------------------------------------


def test_between_taps_it_asks_for_a_card() -> None:
    found = shown()
    assert (found.mode, found.headline) == (Mode.READY, Words("請感應卡片", "Please tap your card"))
    assert (found.is_answer, found.strip, found.undo, found.denied) == (False, wording.NOTHING, -1, -1)


@pytest.mark.parametrize("direction", Direction)
def test_who_is_granted_sees_which_way_and_who_they_are(direction: Direction) -> None:
    reason = Reason.OK if direction is Direction.IN else Reason.LEAVING
    given = answer(signal(Outcome.GRANTED, reason, direction), name="王○明")
    found = shown(around(config=config(direction)), given)
    assert (found.mode, found.direction, found.name) == (Mode.GRANTED, direction.value, "王○明")
    assert found.headline == Words(*HEADLINES[reason])
    assert (found.is_answer, found.answer) == (True, 3)


MODES = {
    **dict.fromkeys((Reason.UID_INCOMPLETE, Reason.UID_UNREADABLE), Mode.AGAIN),
    **dict.fromkeys(
        (
            Reason.LIST_MISSING,
            Reason.LIST_TOO_OLD,
            Reason.CLOCK_UNTRUSTED,
            Reason.JOURNAL_UNWRITABLE,
            Reason.NOT_ENROLLED,
        ),
        Mode.CLOSED,
    ),
}


@pytest.mark.parametrize("reason", sorted(set(Reason) - {Reason.OK, Reason.LEAVING, Reason.STAFF_ADMITTED}))
def test_who_is_denied_is_told_why_and_what_to_do_next(reason: Reason) -> None:
    found = shown(CALM, answer(signal(Outcome.DENIED, reason)))
    assert found.mode is MODES.get(reason, Mode.DENIED)
    assert found.headline == Words(*HEADLINES[reason])
    assert all(found.next)
    assert found.name == ""


def test_a_name_is_shown_to_nobody_who_is_denied() -> None:
    assert shown(CALM, answer(signal(Outcome.DENIED, Reason.EXPIRED), name="王○明")).name == ""


def test_a_repeat_is_told_as_one() -> None:
    found = shown(CALM, answer(signal(Outcome.GRANTED, Reason.OK, repeat=True)))
    assert (found.mode, (found.headline, found.next)) == (Mode.GRANTED, wording.REPEATED)
    again = shown(CALM, answer(signal(Outcome.DENIED, Reason.EXPIRED, repeat=True)))
    assert again.next == shown(CALM, answer(signal(Outcome.DENIED, Reason.EXPIRED))).next


def test_a_way_that_did_not_open_is_not_called_open() -> None:
    found = shown(CALM, answer(signal(Outcome.GRANTED, Reason.OK, failed=True)))
    assert (found.mode, found.headline) == (Mode.AGAIN, wording.NOT_OPENED[0])


def test_who_leaves_though_nothing_can_be_written_is_not_told_that_entry_is_closed() -> None:
    given = answer(signal(Outcome.GRANTED, Reason.JOURNAL_UNWRITABLE, Direction.OUT))
    found = shown(OUTWARD, given)
    assert (found.mode, found.headline) == (Mode.GRANTED, Words(*HEADLINES[Reason.LEAVING]))


def test_an_answer_stands_as_long_as_configured_and_not_longer() -> None:
    here = around(config=config(show_ms=2_500))
    assert shown(here, DENIED, 2_499).mode is Mode.DENIED
    assert shown(here, DENIED, 2_500).mode is Mode.READY
    assert shown(around(config=None), DENIED, 3_999).mode is Mode.DENIED
    assert shown(around(config=None), DENIED, 4_000).mode is Mode.READY


def test_a_venues_own_words_stand_in_for_the_standard_ones() -> None:
    own = {Reason.UNKNOWN_CARD: Wording(zh="沒看過這張卡", next_en="Ask Mrs Lin")}
    found = shown(around(config=config(texts=own)), DENIED)
    assert found.headline == Words("沒看過這張卡", HEADLINES[Reason.UNKNOWN_CARD][1])
    assert found.next == Words("請洽服務台", "Ask Mrs Lin")
    assert of_reason(Reason.EXPIRED, own) == of_reason(Reason.EXPIRED, {})


def test_own_words_stand_when_the_gate_is_closed_too() -> None:
    own = {Reason.LIST_TOO_OLD: Wording(zh="今天請走側門", en="Side door today")}
    found = shown(around(config=config(texts=own), staleness=Staleness.CLOSE))
    assert found.headline == Words("今天請走側門", "Side door today")


# --- taking back ------------------------------------------------------------------------------------------------


def test_a_granted_tap_can_be_taken_back_for_ten_seconds() -> None:
    assert (shown(CALM, OK).undo, shown(CALM, OK).undo_until_ms) == (7, AT_MS + UNDO_MS)
    later = shown(CALM, OK, UNDO_MS - 1)
    assert (later.mode, later.undo) == (Mode.READY, 7)
    assert (shown(CALM, OK, UNDO_MS).undo, shown(CALM, OK, UNDO_MS).undo_until_ms) == (-1, 0)


@pytest.mark.parametrize(
    ("surroundings", "given"),
    [
        (around(config=config(undo=False)), OK),
        (around(config=None), OK),
        (CALM, msgspec.structs.replace(OK, can_undo=False)),
        (CALM, DENIED),
    ],
)
def test_nothing_else_is_offered_to_be_taken_back(surroundings: Surroundings, given: Answer) -> None:
    assert shown(surroundings, given).undo == -1


def test_what_became_of_taking_back_is_said() -> None:
    done = msgspec.structs.replace(OK, undo=Undo.DONE, can_undo=False)
    late = msgspec.structs.replace(OK, undo=Undo.TOO_LATE, can_undo=False)
    assert (shown(CALM, done).mode, shown(CALM, done).headline) == (Mode.UNDONE, wording.UNDONE[0])
    assert (shown(CALM, late).mode, shown(CALM, late).headline) == (Mode.AGAIN, wording.TOO_LATE[0])
    assert shown(CALM, done).name == ""


# --- staff ------------------------------------------------------------------------------------------------------


def test_staff_are_asked_for_only_where_there_are_some_and_they_may() -> None:
    assert shown().staff is True
    assert shown(around(config=config(staff_admit=False))).staff is False
    assert shown(around(config=None)).staff is False
    nobody = msgspec.structs.replace(config(), staff=())
    assert shown(around(config=nobody)).staff is False


def test_the_keys_write_every_staff_id_that_there_is() -> None:
    assert set(shown().staff_letters) == set("王小明")
    assert shown(around(config=config(staff_admit=False))).staff_letters == ""


def test_an_admission_names_the_denied_tap_while_the_person_may_still_stand_there() -> None:
    assert shown(CALM, DENIED).denied == 7
    assert shown(CALM, DENIED, DENIED_MS - 1).denied == 7
    assert shown(CALM, DENIED, DENIED_MS).denied == -1
    assert shown(CALM, OK).denied == -1
    unwritten = msgspec.structs.replace(DENIED.signal, sequence=-1)
    assert shown(CALM, answer(unwritten)).denied == -1


# --- what stands between taps -------------------------------------------------------------------------------------


STOPS: list[tuple[dict[str, Any], Mode, wording.Told]] = [
    ({"is_fire": True}, Mode.FIRE, wording.FIRE),
    ({"alarm": Alarm.FORCED}, Mode.DOOR, wording.DOOR_FORCED),
    ({"alarm": Alarm.HELD}, Mode.DOOR, wording.DOOR_HELD),
    ({"alarm": Alarm.WARNING}, Mode.DOOR, wording.DOOR_HELD),
    ({"readers": ()}, Mode.CLOSED, wording.NO_READER),
    ({"readers": (ReaderState.ABSENT, ReaderState.ABSENT)}, Mode.CLOSED, wording.NO_READER),
    ({"readers": (ReaderState.ABSENT, ReaderState.STARTING)}, Mode.WAITING, wording.STARTING),
    ({"readers": (ReaderState.WEDGED,)}, Mode.CLOSED, wording.READER_FAILS),
    ({"readers": (ReaderState.RECOVERING, ReaderState.ABSENT)}, Mode.CLOSED, wording.READER_FAILS),
]
INWARD_STOPS: list[tuple[dict[str, Any], Mode, wording.Told]] = [
    ({"membership": Membership.REVOKED}, Mode.CLOSED, wording.REVOKED),
    ({"membership": Membership.PENDING}, Mode.WAITING, wording.WAITING),
    ({"is_journal_writable": False}, Mode.CLOSED, of_reason(Reason.JOURNAL_UNWRITABLE, {})),
    ({"staleness": Staleness.MISSING}, Mode.CLOSED, of_reason(Reason.LIST_MISSING, {})),
    ({"staleness": Staleness.CLOSE}, Mode.CLOSED, of_reason(Reason.LIST_TOO_OLD, {})),
    ({"is_clock_wrong": True}, Mode.CLOSED, of_reason(Reason.CLOCK_UNTRUSTED, {})),
]


@pytest.mark.parametrize("base", [CALM, OUTWARD])
@pytest.mark.parametrize(("changes", "mode", "told"), STOPS)
def test_what_stops_every_tap_is_told_both_ways(
    base: Surroundings, changes: dict[str, Any], mode: Mode, told: wording.Told
) -> None:
    found = shown(around(base, **changes))
    assert (found.mode, (found.headline, found.next)) == (mode, told)
    assert found.is_answer is False


@pytest.mark.parametrize(("changes", "mode", "told"), INWARD_STOPS)
def test_what_stops_entry_never_stops_leaving(changes: dict[str, Any], mode: Mode, told: wording.Told) -> None:
    found = shown(around(**changes))
    assert (found.mode, (found.headline, found.next)) == (mode, told)
    assert shown(around(OUTWARD, **changes)).mode is Mode.READY


def test_the_most_urgent_of_several_is_told() -> None:
    fire, forced, *_, fails, _ = STOPS
    revoked, pending, *rest = INWARD_STOPS
    together: dict[str, Any] = {}
    for changes, _, told in reversed([fire, forced, revoked, pending, fails, *rest]):
        together |= changes
        assert shown(around(**together)).headline == told[0]


def test_one_reader_that_works_is_enough() -> None:
    assert shown(around(readers=(ReaderState.WEDGED, ReaderState.READY))).mode is Mode.READY


def test_an_answer_goes_before_everything_but_fire() -> None:
    for changes, mode, _ in STOPS[1:]:
        assert shown(around(**changes), OK).mode is Mode.GRANTED, mode
    assert shown(around(is_fire=True), OK).mode is Mode.FIRE


def test_the_words_to_compare_stand_there_only_while_it_waits() -> None:
    waiting = around(membership=Membership.PENDING, words="sapan-tunur-lavim")
    assert shown(waiting).words == "sapan-tunur-lavim"
    assert shown(around(words="sapan-tunur-lavim")).words == ""


# --- the strip --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "text", "urgent"),
    [
        ({}, "", False),
        ({"is_online": None}, "", False),
        ({"is_online": False, "age_s": 7_300}, "離線中，照常服務・名單為 2 小時前", False),
        ({"is_online": False, "staleness": Staleness.WARN, "age_s": 200_000}, "離線中，照常服務・名單為 2 天前", False),
        (
            {"is_online": True, "staleness": Staleness.WARN, "age_s": 90_000},
            "名單久未更新・名單為 25 小時前",
            False,
        ),
        (
            {"is_online": False, "staleness": Staleness.RESTRICT, "age_s": 700_000},
            "離線過久，僅部分卡別可進入・名單為 8 天前",
            True,
        ),
        ({"is_online": False, "staleness": Staleness.MISSING, "age_s": None}, "", False),
        ({"is_online": False, "is_fire": True}, "", False),
    ],
)
def test_offline_is_told_calmly_until_the_restrict_age(changes: dict[str, Any], text: str, urgent: bool) -> None:
    found = shown(around(**changes))
    assert (found.strip.zh, found.is_strip_urgent) == (text, urgent)
    assert bool(found.strip.en) is bool(text)


@pytest.mark.parametrize("changes", [{"staleness": Staleness.CLOSE}, {"readers": ()}, {"is_journal_writable": False}])
def test_a_gate_that_does_not_serve_is_not_said_to(changes: dict[str, Any]) -> None:
    assert shown(around(is_online=False, age_s=7_300, **changes)).strip == Words(
        "離線中・名單為 2 小時前", "Offline · list from 2 hours ago"
    )


def test_at_an_exit_no_age_is_urgent() -> None:
    found = shown(around(OUTWARD, is_online=False, staleness=Staleness.RESTRICT, age_s=700_000))
    assert (found.is_strip_urgent, found.strip.zh) == (False, "離線中，照常服務・名單為 8 天前")


@pytest.mark.parametrize(
    ("age_s", "zh", "en"),
    [
        (0, "剛剛", "just now"),
        (59, "剛剛", "just now"),
        (60, "1 分鐘前", "1 minute ago"),
        (3_599, "59 分鐘前", "59 minutes ago"),
        (3_600, "1 小時前", "1 hour ago"),
        (47 * 3_600, "47 小時前", "47 hours ago"),
        (48 * 3_600, "2 天前", "2 days ago"),
    ],
)
def test_an_age_is_told_in_the_unit_that_says_it_best(age_s: int, zh: str, en: str) -> None:
    told = with_age(Words("離線", "Offline"), age_s)
    assert told.zh.endswith(zh)
    assert told.en.endswith(en)


# --- settings, and when to look again -----------------------------------------------------------------------------


def test_the_configuration_says_how_it_is_shown() -> None:
    found = shown(around(config=config(languages=("en",), theme="dark", sound=False)))
    assert (found.languages, found.theme, found.sound) == (("en",), "dark", False)
    plain = shown(around(config=None))
    assert (plain.languages, plain.theme, plain.sound) == (("zh-TW", "en"), "auto", True)


def test_a_title_in_one_language_stands_for_both() -> None:
    assert shown().title == Words("總館", "總館")
    english = msgspec.structs.replace(config(), title_zh="", title_en="Main")
    assert shown(around(config=english)).title == Words("Main", "Main")
    assert shown(around(config=None)).title == Words("Tapgate", "Tapgate")


def test_it_is_known_when_the_view_changes_by_itself() -> None:
    """At every moment in between the view is the same; at the moment that is named it is another or may be."""
    for given in (OK, DENIED, msgspec.structs.replace(OK, undo=Undo.DONE)):
        now_ms = AT_MS
        while (due_ms := next_ms(CALM, given, now_ms)) is not None:
            assert now_ms < due_ms <= AT_MS + DENIED_MS
            assert view(CALM, given, now_ms) == view(CALM, given, due_ms - 1)
            now_ms = due_ms
        assert view(CALM, given, now_ms) == view(CALM, given, now_ms + 10**9)
    assert next_ms(CALM, None, AT_MS) is None


STANDING = [value for value in vars(wording).values() if isinstance(value, tuple) and not isinstance(value, Words)]


@pytest.mark.parametrize("told", [told for told in STANDING if len(told) == 2])
def test_every_text_of_the_screens_own_is_short_and_in_both_languages(told: wording.Told) -> None:
    for words, zh, en in zip(told, (12, 12), (40, 40), strict=True):
        assert len(words.zh) <= zh
        assert len(words.en) <= en
        assert bool(words.zh) is bool(words.en)
        assert words.en.isascii()


# --- notes, sessions, choices -----------------------------------------------------------------------------------


def test_what_was_charged_and_what_there_is_to_know_stands_beside_the_answer() -> None:
    told = signal(Outcome.GRANTED, Reason.OK, notes=(("points-used", 10), ("due", 15), ("no-such-note", 3)))
    assert shown(CALM, answer(told)).notes == Words("扣 10 點 · 請補差額 15 元", "10 points taken · Please pay NT$15")
    hours = signal(Outcome.GRANTED, Reason.SIGNED_OUT, Direction.OUT, notes=(("minutes-month", 754),))
    assert shown(CALM, answer(hours)).notes == Words("本月服務 12 小時 34 分", "12 h 34 min this month")
    assert shown(CALM, answer(told), after_ms=4_000).notes == Words("", ""), "it goes with its answer"


@pytest.mark.parametrize(
    ("reason", "direction", "way"),
    [
        (Reason.SIGNED_IN, "in", Words("簽到", "Signed in")),
        (Reason.SIGNED_OUT, "out", Words("簽退", "Signed out")),
        (Reason.RECORDED, "", Words("已記錄", "Recorded")),
    ],
)
def test_who_signs_in_or_out_sees_that_in_place_of_the_way(reason: Reason, direction: str, way: Words) -> None:
    given = Signal(b"epoch 01", 7, Outcome.GRANTED, reason.value, direction)
    found = shown(CALM, answer(given))
    assert (found.mode, found.way, found.is_said_by_way) == (Mode.GRANTED, way, True)
    assert found.headline == Words(*HEADLINES[reason]), "said aloud"
    again = shown(CALM, answer(msgspec.structs.replace(given, repeat=True)))
    assert (again.way, again.is_said_by_way) == (way, False)
    assert again.headline == wording.REPEATED[0]


def test_every_other_answer_shows_which_way_it_is() -> None:
    for direction, way in (("in", Words("進", "In")), ("out", Words("出", "Out"))):
        given = answer(Signal(b"epoch 01", 7, Outcome.GRANTED, Reason.STAFF_ADMITTED.value, direction))
        assert (shown(CALM, given).way, shown(CALM, given).is_said_by_way) == (way, False)


CHOICES = (Choice("kitchen", "廚房組", "Kitchen"), Choice("garden", "園藝組"), Choice("cleaning"))


def test_what_may_be_chosen_is_offered_between_taps_only_and_called_by_what_words_there_are() -> None:
    offering = around(choices=CHOICES, chosen="garden", chosen_until_ms=AT_MS + 30_000)
    found = shown(offering)
    assert found.choices == (
        ("kitchen", Words("廚房組", "Kitchen")),
        ("garden", Words("園藝組", "園藝組")),
        ("cleaning", Words("cleaning", "cleaning")),
    )
    assert found.chosen == "garden"
    assert shown(offering, OK).choices == ()
    assert shown(around(offering, readers=(ReaderState.ABSENT,))).choices == ()
    assert shown(offering, after_ms=30_000).chosen == ""
    assert next_ms(offering, None, AT_MS) == AT_MS + 30_000
    assert (shown().choices, shown().chosen, next_ms(CALM, None, AT_MS)) == ((), "", None)
