"""What moves when somebody is let through. Called only after the event is on disk."""

from typing import Protocol

import msgspec

from protocol.messages import Direction, Outcome


class Signal(msgspec.Struct, frozen=True):
    """A decided and durable tap, or one that could not be written down (`sequence` −1)."""

    epoch: bytes
    sequence: int
    outcome: Outcome
    reason: str
    direction: Direction
    repeat: bool = False
    failed: bool = False
    """The release did not do what it was asked."""


class ReleaseFailed(Exception):
    """The way was not freed, and why."""


class Release(Protocol):
    """The door side of a gate."""

    def signal(self, signal: Signal) -> None:
        """Free the way for a granted tap, show and sound the answer. Raises ReleaseFailed."""
        ...

    def close(self) -> None: ...
