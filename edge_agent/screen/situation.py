"""What a view of the screen is made from: the gate around it, and the last thing that happened in front of it."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from edge_agent.door.passage import Alarm
from edge_agent.readers import ReaderState
from edge_agent.release import Signal
from edge_agent.screen.wording import NOTHING, Words
from protocol.decision import Staleness
from protocol.messages import Choice, ConsentNotice, Direction, GateConfig, ScreenConfig, Wording
from protocol.reasons import Reason


class Membership(StrEnum):
    """How this device stands with central."""

    ACTIVE = "active"
    PENDING = "pending"
    REVOKED = "revoked"


class Surroundings(msgspec.Struct, frozen=True):
    """Everything but the last answer."""

    config: GateConfig | None = None
    membership: Membership = Membership.ACTIVE
    words: str = ""
    """For the operator to compare while it is pending."""
    staleness: Staleness = Staleness.MISSING
    age_s: int | None = None
    is_online: bool | None = None
    is_clock_wrong: bool = False
    """So that by the policy nobody enters."""
    is_journal_writable: bool = True
    readers: tuple[ReaderState, ...] = ()
    alarm: Alarm = Alarm.NONE
    is_fire: bool = False
    closed: Words | None = None
    """Why everybody is kept out just now, but for those whom a closure admits, and until when."""
    is_closed_by_staff: bool = False
    is_session: bool = False
    """Taps sign in and out here, so whoever is signed in taps at a closed gate too."""
    closures_change_ms: int = 0
    """When the next closure begins or ends; 0 = none will."""
    choices: tuple[Choice, ...] = ()
    """What may be chosen before the tap just now."""
    chosen: str = ""
    """The rule that was."""
    chosen_until_ms: int = 0
    consents: tuple[ConsentNotice, ...] = ()
    """What may be agreed to or taken back here."""
    stating: Words | None = None
    """What the next card states."""
    stating_until_ms: int = 0

    @property
    def direction(self) -> Direction:
        return self.config.direction if self.config else Direction.IN

    @property
    def screen(self) -> ScreenConfig:
        return self.config.screen if self.config else ScreenConfig()

    @property
    def texts(self) -> Mapping[Reason, Wording]:
        return self.config.texts if self.config else {}


class Undo(StrEnum):
    """What became of the wish to take an answer back."""

    NOT_ASKED = ""
    DONE = "done"
    TOO_LATE = "too-late"


class Answer(msgspec.Struct, frozen=True):
    """The last thing that happened in front of the screen. `number` rises, so that each is sounded once."""

    number: int
    at_ms: int
    signal: Signal
    name: str = ""
    stated: Words = NOTHING
    """What was to be stated, where that is what the card was held for."""
    undo: Undo = Undo.NOT_ASKED
    can_undo: bool = False
    """The gate would still take it back."""
