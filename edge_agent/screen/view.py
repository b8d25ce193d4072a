"""What the screen shows, from what the gate knows at one moment. Pure: times are monotonic milliseconds."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from edge_agent.door.passage import Alarm
from edge_agent.granted import UNDO_MS
from edge_agent.readers import Answer as Shown
from edge_agent.readers import ReaderState
from edge_agent.readers.answering import answer_to
from edge_agent.screen import wording
from edge_agent.screen.closing import CLOSED_NOW, STILL_OUT
from edge_agent.screen.situation import Answer, Membership, Surroundings, Undo
from edge_agent.screen.wording import NOTHING, Told, Words, of_reason, with_age
from protocol.consent import STATE_MS
from protocol.decision import Staleness
from protocol.messages import Choice, Direction, GateConfig, Outcome, Wording
from protocol.reasons import Reason

DENIED_MS = 120_000
"""For so long an admission by hand is taken to be for the person who was denied last."""
NAMELESS = "Tapgate"
TYPED = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-._ ")
"""What the page's own keyboard can always type."""


class Mode(StrEnum):
    """One message at a time; each has its own colour, shape and sound."""

    READY = "ready"
    GRANTED = "granted"
    DENIED = "denied"
    AGAIN = "again"
    """Nothing is wrong with the person's card: it has to be held once more."""
    UNDONE = "undone"
    STATING = "stating"
    """The next card states something, and lets nobody in."""
    STATED = "stated"
    WAITING = "waiting"
    """The gate is about to be ready, or waits for its operator."""
    DOOR = "door"
    CLOSED = "closed"
    FIRE = "fire"


class View(msgspec.Struct, frozen=True):
    """One picture, as the page gets it."""

    mode: Mode
    headline: Words
    next: Words = NOTHING
    notes: Words = NOTHING
    """What the person is told beside the answer."""
    title: Words = NOTHING
    direction: str = "in"
    way: Words = NOTHING
    """In or out, or signed in or out: the largest type on the page."""
    is_said_by_way: bool = False
    """The headline says no more than the way does."""
    name: str = ""
    words: str = ""
    is_answer: bool = False
    """Stands for a moment only."""
    answer: int = 0
    strip: Words = NOTHING
    is_strip_urgent: bool = False
    undo: int = -1
    """Sequence of the tap that may still be taken back; −1 = none."""
    undo_until_ms: int = 0
    denied: int = -1
    """Sequence of the denied tap that staff would be admitting; −1 = none."""
    choices: tuple[tuple[str, Words], ...] = ()
    """Rules to choose from before the tap, and what they are called."""
    chosen: str = ""
    can_consent: bool = False
    """Whether somebody may agree to something or take it back here."""
    stating: bool = False
    """That waits for its card."""
    stating_until_ms: int = 0
    staff: bool = False
    """Whether staff may do something here: admit by hand, close the way in and open it again."""
    can_admit: bool = False
    can_close: bool = False
    is_closed_by_staff: bool = False
    staff_letters: str = ""
    """What staff ids are written with besides `TYPED`."""
    languages: tuple[str, ...] = ("zh-TW", "en")
    theme: str = "auto"
    sound: bool = True


def view(around: Surroundings, answer: Answer | None, now_ms: int) -> View:
    """What to show now."""
    config, screen = around.config, around.screen
    strip, urgent = _strip(around)
    undo = answer is not None and screen.undo and answer.can_undo and now_ms - answer.at_ms < UNDO_MS
    staff = config.staff if config and (screen.staff_admit or screen.staff_close) else ()
    standing = _standing(around)
    is_ready = standing.mode is Mode.READY
    stating = around.stating if is_ready and now_ms < around.stating_until_ms else None
    if stating and answer is not None and answer.at_ms < around.stating_until_ms - STATE_MS:
        answer = None  # of somebody before
    found = _answer(around, answer, now_ms) or (_stating(stating) if stating else standing)
    choices = around.choices if found.mode is Mode.READY else ()
    letters = {letter for person in staff for letter in person.id.lower()}
    return msgspec.structs.replace(
        found,
        title=_title(config),
        direction=around.direction.value,
        way=found.way if any(found.way) else wording.WAYS[around.direction.value],
        answer=answer.number if answer else 0,
        strip=strip,
        is_strip_urgent=urgent,
        undo=answer.signal.sequence if undo and answer else -1,
        undo_until_ms=answer.at_ms + UNDO_MS if undo and answer else 0,
        denied=_denied(answer, now_ms),
        choices=tuple((choice.rule, _called(choice)) for choice in choices),
        chosen=around.chosen if choices and now_ms < around.chosen_until_ms else "",
        can_consent=is_ready and bool(around.consents),
        stating=found.mode is Mode.STATING,
        stating_until_ms=around.stating_until_ms,
        staff=bool(staff),
        can_admit=bool(staff) and screen.staff_admit,
        can_close=bool(staff) and screen.staff_close,
        is_closed_by_staff=around.is_closed_by_staff,
        staff_letters="".join(sorted(letters - TYPED)),
        languages=screen.languages,
        theme=screen.theme,
        sound=screen.sound,
    )


def next_ms(around: Surroundings, answer: Answer | None, now_ms: int) -> int | None:
    """When `view` will say something else though nothing happened; None = never."""
    ends = [around.closures_change_ms, *([around.chosen_until_ms] if around.chosen else [])]
    ends += [around.stating_until_ms] if around.stating else []
    if answer is not None:
        ends += [answer.at_ms + around.screen.show_ms, answer.at_ms + UNDO_MS, answer.at_ms + DENIED_MS]
    return min((end for end in ends if end > now_ms), default=None)


def _answer(around: Surroundings, answer: Answer | None, now_ms: int) -> View | None:
    """The last answer while it stands. A fire alarm is more urgent."""
    if answer is None or around.is_fire or now_ms - answer.at_ms >= around.screen.show_ms:
        return None
    mode, told = _told(around, answer)
    if mode is not Mode.GRANTED:
        return View(mode, *told, notes=_of_statement(answer), is_answer=True)
    signal = answer.signal
    signed = wording.SIGNED.get(Reason(signal.reason))
    return View(
        mode,
        *told,
        notes=wording.of_notes(signal.notes),
        way=signed or wording.WAYS.get(signal.direction, NOTHING),
        is_said_by_way=signed is not None and not signal.repeat,
        name=answer.name,
        is_answer=True,
    )


def _told(around: Surroundings, answer: Answer) -> tuple[Mode, Told]:
    signal = answer.signal
    if answer.undo is not Undo.NOT_ASKED:
        done = answer.undo is Undo.DONE
        return (Mode.UNDONE, wording.UNDONE) if done else (Mode.AGAIN, wording.TOO_LATE)
    if signal.outcome is Outcome.GRANTED and signal.failed:
        return Mode.AGAIN, wording.NOT_OPENED
    reason = Reason(signal.reason)  # a rule's reason is one of these: a policy with another one is refused
    if signal.outcome is Outcome.GRANTED and reason is Reason.JOURNAL_UNWRITABLE:
        reason = Reason.LEAVING  # nobody is locked in: to whom leaves it makes no difference
    headline, step = of_reason(reason, around.texts)
    if reason is Reason.CLOSED and around.closed:
        headline, step = _of_closure(around.closed, around.texts)
    if signal.stated and not signal.frees:
        return Mode.STATED, (headline, step)
    if not signal.frees:  # a card was taken to be bound: no green, since no way is free
        return Mode.WAITING, (headline, step)
    shown = answer_to(signal)
    if shown is Shown.GRANTED:
        return Mode.GRANTED, wording.REPEATED if signal.repeat else (headline, step)
    modes = {Shown.DENIED: Mode.DENIED, Shown.ERROR: Mode.AGAIN, Shown.NOT_READY: Mode.CLOSED}
    return modes[shown], (headline, step)


def _of_statement(answer: Answer) -> Words:
    """What was stated, or that nothing was."""
    if answer.signal.stated is None:
        return NOTHING
    return wording.NOT_STATED if answer.signal.outcome is Outcome.DENIED else answer.stated


def _stating(what: Words) -> View:
    return View(Mode.STATING, wording.STATING, notes=what)


def _standing(around: Surroundings) -> View:
    """What stands between taps. Whoever leaves is held up by none of this, so only what stops a tap is told there."""
    if around.is_fire:
        return View(Mode.FIRE, *wording.FIRE)
    if around.alarm:
        return View(Mode.DOOR, *(wording.DOOR_FORCED if around.alarm is Alarm.FORCED else wording.DOOR_HELD))
    inward = around.direction is Direction.IN
    if inward and around.membership is Membership.REVOKED:
        return View(Mode.CLOSED, *wording.REVOKED)
    if inward and around.membership is Membership.PENDING:
        return View(Mode.WAITING, *wording.WAITING, words=around.words)
    if ReaderState.READY not in around.readers:
        return _without_reader(around.readers)
    reason = _closed(around) if inward else None
    if reason:
        return View(Mode.CLOSED, *of_reason(reason, around.texts))
    if inward and around.closed:
        notes = STILL_OUT if around.is_session else NOTHING
        return View(Mode.CLOSED, *_of_closure(around.closed, around.texts), notes=notes)
    return View(Mode.READY, *wording.READY)


def _of_closure(closed: Words, texts: Mapping[Reason, Wording]) -> Told:
    """Why and until when, in place of when to come again. A venue's own words for it stay."""
    own = texts.get(Reason.CLOSED, Wording())
    return Words(own.zh or CLOSED_NOW.zh, own.en or CLOSED_NOW.en), closed


def _without_reader(readers: tuple[ReaderState, ...]) -> View:
    if ReaderState.STARTING in readers:
        return View(Mode.WAITING, *wording.STARTING)
    absent = all(state is ReaderState.ABSENT for state in readers)
    return View(Mode.CLOSED, *(wording.NO_READER if absent else wording.READER_FAILS))


def _closed(around: Surroundings) -> Reason | None:
    """Why nobody enters, in the order in which a tap would be told."""
    if not around.is_journal_writable:
        return Reason.JOURNAL_UNWRITABLE
    if around.staleness is Staleness.MISSING:
        return Reason.LIST_MISSING
    if around.staleness is Staleness.CLOSE:
        return Reason.LIST_TOO_OLD
    return Reason.CLOCK_UNTRUSTED if around.is_clock_wrong else None


def _strip(around: Surroundings) -> tuple[Words, bool]:
    """Offline is calm: taps go on. From the restrict age on it is not."""
    if around.is_fire or around.staleness is Staleness.MISSING or around.age_s is None:
        return NOTHING, False
    if around.staleness is Staleness.RESTRICT and around.direction is Direction.IN:
        return with_age(wording.SOME_ONLY, around.age_s), True
    if around.is_online is False:
        serves = _standing(around).mode is Mode.READY
        return with_age(wording.OFFLINE_IN_SERVICE if serves else wording.OFFLINE, around.age_s), False
    if around.staleness is not Staleness.FRESH:
        return with_age(wording.NOT_RENEWED, around.age_s), False
    return NOTHING, False


def _denied(answer: Answer | None, now_ms: int) -> int:
    if answer is None or answer.signal.outcome is not Outcome.DENIED or now_ms - answer.at_ms >= DENIED_MS:
        return -1
    return answer.signal.sequence if answer.signal.stated is None else -1  # who states something wants to go nowhere


def _called(choice: Choice) -> Words:
    return Words(choice.zh or choice.en or choice.rule, choice.en or choice.zh or choice.rule)


def _title(config: GateConfig | None) -> Words:
    """One that was given in one language stands for both."""
    zh, en = (config.title_zh, config.title_en) if config else ("", "")
    return Words(zh or en or NAMELESS, en or zh or NAMELESS)
