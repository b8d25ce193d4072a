"""What moves when somebody is let through. Called only after the event is on disk."""

from typing import Any, Protocol

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
    awaited: bool = False
    """Its passage is awaited: written down with the tap, so that even a crash leaves it an outcome (SPEC §8.5)."""
    key: bytes = b""
    """What its history stands under: subject or token; empty = nobody's."""
    subject: bytes = b""
    """Of a member; empty = not on the list. For naming a person on a screen, never for a log."""

    def __repr__(self) -> str:  # whose tap it was never reaches a log
        return f"<Signal {self.epoch.hex()} {self.sequence}: {self.outcome} {self.reason}>"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("sequence", self.sequence), ("outcome", self.outcome), ("reason", self.reason)]


class ReleaseFailed(Exception):
    """The way was not freed, and why."""


class Release(Protocol):
    """The door side of a gate."""

    def signal(self, signal: Signal) -> None:
        """Free the way for a granted tap, show and sound the answer. Raises ReleaseFailed."""
        ...

    def close(self) -> None: ...
