"""What becomes of those who were let through: a door, a turnstile, or nothing that could tell (SPEC §8.5). Pure: every
call is told the time, monotonic milliseconds, and returns what is to be done and written down, in order."""

from enum import StrEnum
from typing import Generic, Protocol, TypeVar

import msgspec

from protocol.messages import Passage, ReleaseConfig

T = TypeVar("T")
"""A ticket: whatever stands for one granted tap."""


class Free(msgspec.Struct, Generic[T], frozen=True):
    """The lock frees the way for the length of a pulse, for this ticket; None = for somebody inside."""

    ticket: T | None


class Relock(msgspec.Struct, frozen=True):
    """The lock locks, in mid-pulse too."""


class Busy(msgspec.Struct, frozen=True):
    """The way is not freed: more people are on their way than it can take."""


class Ended(msgspec.Struct, Generic[T], frozen=True):
    """The outcome of one ticket."""

    ticket: T
    passage: Passage


class Told(msgspec.Struct, frozen=True):
    """What the way did by itself: forced, held, closed."""

    passage: Passage


Effect = Free[T] | Relock | Busy | Ended[T] | Told


class Alarm(StrEnum):
    """What somebody should go and look at."""

    NONE = ""
    WARNING = "held-warning"
    """The door is about to count as held open."""
    HELD = "held"
    FORCED = "forced"


class Way(Protocol[T]):
    """One machine a gate. Each ticket that is `granted` ends exactly once."""

    config: ReleaseConfig
    """May be replaced by another of the same kind of passage while nothing is pending."""

    @property
    def pending(self) -> tuple[T, ...]:
        """The tickets that have not ended, the next one first."""
        ...

    @property
    def alarm(self) -> Alarm: ...

    def granted(self, ticket: T, now_ms: int) -> list[Effect[T]]: ...

    def failed(self, ticket: T) -> None:
        """The way was not freed for this ticket, as far as anybody knows."""
        ...

    def undone(self, ticket: T, now_ms: int) -> list[Effect[T]]:
        """It was taken back: that is its outcome."""
        ...

    def exit(self, now_ms: int) -> list[Effect[T]]:
        """Somebody inside pressed the button."""
        ...

    def level(self, on: bool | None, now_ms: int) -> list[Effect[T]]:
        """The contact: door open, or turnstile turned; None = nobody can tell."""
        ...

    def fire(self, on: bool, now_ms: int) -> list[Effect[T]]:
        """The fire alarm frees the way, by hardware: nobody can tell any more who goes where, and nothing relocks."""
        ...

    def tick(self, now_ms: int) -> list[Effect[T]]:
        """What time alone brings."""
        ...

    def next_ms(self) -> int | None:
        """When `tick` is due."""
        ...

    def stop(self) -> list[Effect[T]]:
        """Nobody will see what becomes of those on their way."""
        ...


class Pending(msgspec.Struct, Generic[T]):
    """A ticket on its way."""

    ticket: T
    until_ms: int
    clouded: bool
    """The contact could not be seen all the time, or not from where it would have told."""
    was_shut: bool = False
    """The door was seen shut since it was granted: the next opening is this one's."""
    failed: bool = False

    def unseen(self) -> Passage:
        """Its outcome when its time is over."""
        return Passage.UNKNOWN if self.clouded else Passage.NOT_TAKEN
