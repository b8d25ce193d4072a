"""What the screen shows, from what the gate knows at one moment. Pure: times are monotonic milliseconds."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from edge_agent.release import Signal
from edge_agent.screen.wording import (
    DOOR_FORCED,
    DOOR_HELD,
    FIRE,
    NO_READER,
    OFFLINE,
    READY,
    REVOKED,
    SOME_ONLY,
    UNDONE,
    WAITING,
    Words,
    age,
    of_reason,
)
from protocol.decision import Staleness
from protocol.messages import Direction, GateConfig, Outcome
from protocol.reasons import Reason

UNDO_MS = 10_000
NOBODY = Words("", "")


class Mode(StrEnum):
    """One message at a time; each has its own colour, shape and sound."""

    READY = "ready"
    GRANTED = "granted"
    DENIED = "denied"
    AGAIN = "again"
    """Nothing is wrong with the person's card: it has to be held once more."""
    UNDONE = "undone"
    DOOR = "door"
    CLOSED = "closed"
    FIRE = "fire"


class Membership(StrEnum):
    """How this device stands with central."""

    ACTIVE = "active"
    PENDING = "pending"
    REVOKED = "revoked"


class Surroundings(msgspec.Struct, frozen=True):
    """Everything but the last answer."""

    config: GateConfig | None = None
    membership: Membership = Membership.ACTIVE
    staleness: Staleness = Staleness.MISSING
    age_s: int | None = None
    is_online: bool | None = None
    is_journal_writable: bool = True
    readers_ready: int = 0
    readers: int = 0
    alarm: str = ""
    """`held-warning`, `held`, `forced` or nothing (see `passage.Alarm`)."""
    is_fire: bool = False

    @property
    def direction(self) -> Direction:
        return self.config.direction if self.config else Direction.IN


class Answer(msgspec.Struct, frozen=True):
    """The last thing that happened in front of the screen. `number` rises, so that each is sounded once."""

    number: int
    at_ms: int
    signal: Signal
    name: str = ""
    undone: bool = False


class View(msgspec.Struct, frozen=True):
    """One picture, as the page gets it."""

    mode: Mode
    headline: Words
    next: Words = NOBODY
    title: Words = NOBODY
    direction: str = "in"
    name: str = ""
    repeat: bool = False
    answer: int = 0
    strip: Words = NOBODY
    is_strip_urgent: bool = False
    undo: int = -1
    """Sequence of the tap that may still be taken back; −1 = none."""
    undo_until_ms: int = 0
    denied: int = -1
    """Sequence of the denied tap that staff would be admitting; −1 = none."""
    staff: bool = False
    languages: tuple[str, ...] = ("zh-TW", "en")
    theme: str = "auto"
    sound: bool = True


def view(around: Surroundings, answer: Answer | None, now_ms: int) -> View:
    """What to show now."""
    config = around.config
    screen = config.screen if config else None
    shown = _answer(around, answer, now_ms) or _standing(around)
    strip, urgent = _strip(around)
    undo = _undo(around, answer, now_ms)
    denied = answer is not None and answer.signal.outcome is Outcome.DENIED and answer.signal.sequence >= 0
    return msgspec.structs.replace(
        shown,
        title=Words(config.title_zh, config.title_en) if config else NOBODY,
        direction=around.direction.value,
        answer=answer.number if answer else 0,
        strip=strip,
        is_strip_urgent=urgent,
        undo=answer.signal.sequence if undo and answer else -1,
        undo_until_ms=answer.at_ms + UNDO_MS if undo and answer else 0,
        denied=answer.signal.sequence if denied and answer else -1,
        staff=bool(screen and screen.staff_admit and config and config.staff),
        languages=screen.languages if screen else ("zh-TW", "en"),
        theme=screen.theme if screen else "auto",
        sound=screen.sound if screen else True,
    )


def next_ms(around: Surroundings, answer: Answer | None, now_ms: int) -> int | None:
    """When `view` will say something else though nothing happened; None = never."""
    if answer is None:
        return None
    ends = [answer.at_ms + _show_ms(around), answer.at_ms + UNDO_MS]
    return min((end for end in ends if end > now_ms), default=None)


def _answer(around: Surroundings, answer: Answer | None, now_ms: int) -> View | None:
    """The last answer while it stands. A fire alarm is more urgent."""
    if answer is None or around.is_fire or now_ms - answer.at_ms >= _show_ms(around):
        return None
    signal = answer.signal
    if answer.undone:
        return View(Mode.UNDONE, *UNDONE)
    reason = Reason(signal.reason)  # a rule's reason is one of these: a policy with another one is refused
    told = of_reason(reason, around.config.texts if around.config else {})
    if signal.outcome is Outcome.GRANTED:
        return View(Mode.GRANTED, *told, name=answer.name, repeat=signal.repeat)
    again = reason in (Reason.UID_INCOMPLETE, Reason.UID_UNREADABLE)
    return View(Mode.AGAIN if again else Mode.DENIED, *told, name=answer.name)


def _standing(around: Surroundings) -> View:
    """What stands between taps. Whoever leaves is held up by none of this, so only what stops a tap is told there."""
    texts: Mapping[Reason, object] = around.config.texts if around.config else {}
    leaving = around.direction is Direction.OUT
    if around.is_fire:
        return View(Mode.FIRE, *FIRE)
    if around.alarm:
        return View(Mode.DOOR, *(DOOR_FORCED if around.alarm == "forced" else DOOR_HELD))
    if around.readers and not around.readers_ready:
        return View(Mode.CLOSED, *NO_READER)
    if leaving:
        return View(Mode.READY, *READY)
    if around.membership is not Membership.ACTIVE:
        return View(Mode.CLOSED, *(WAITING if around.membership is Membership.PENDING else REVOKED))
    closing = {Staleness.MISSING: Reason.LIST_MISSING, Staleness.CLOSE: Reason.LIST_TOO_OLD}
    reason = closing.get(around.staleness, None if around.is_journal_writable else Reason.JOURNAL_UNWRITABLE)
    return View(Mode.CLOSED, *of_reason(reason, texts)) if reason else View(Mode.READY, *READY)


def _strip(around: Surroundings) -> tuple[Words, bool]:
    """Offline is calm: taps go on. From the restrict age on it is not."""
    if around.staleness is Staleness.RESTRICT and around.direction is Direction.IN:
        return SOME_ONLY, True
    if around.is_online is not False or around.staleness is Staleness.MISSING or around.age_s is None:
        return NOBODY, False
    when = age(around.age_s)
    return Words(f"{OFFLINE.zh}・{when.zh}", f"{OFFLINE.en} · {when.en}"), False


def _undo(around: Surroundings, answer: Answer | None, now_ms: int) -> bool:
    return (
        around.config is not None
        and around.config.screen.undo
        and answer is not None
        and not answer.undone
        and answer.signal.outcome is Outcome.GRANTED
        and answer.signal.reason != Reason.STAFF_ADMITTED
        and answer.signal.sequence >= 0
        and now_ms - answer.at_ms < UNDO_MS
    )


def _show_ms(around: Surroundings) -> int:
    return around.config.screen.show_ms if around.config else 4_000
