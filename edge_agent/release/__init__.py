"""What moves when somebody is let through, and what tells that they went. Each kind of output and input is one module,
loaded only where it is configured (`wiring.py`)."""

import contextlib
import time
from abc import ABC, abstractmethod
from typing import Any, Protocol

import msgspec

from protocol.messages import ConsentDetail, Outcome


class Signal(msgspec.Struct, frozen=True):
    """A decided and durable tap, or one that could not be written down (`sequence` −1)."""

    epoch: bytes
    sequence: int
    outcome: Outcome
    reason: str
    direction: str
    """`in` or `out`, or empty where nobody knows which way."""
    repeat: bool = False
    failed: bool = False
    """The release did not do what it was asked."""
    awaited: bool = False
    """Its passage is awaited: written down with the tap, so that even a crash leaves it an outcome (SPEC §8.5)."""
    frees: bool = True
    """False: a card was taken to be bound, or for a statement, and nobody goes through by it."""
    reader: str = ""
    """Where the card was tapped; empty = nowhere."""
    key: bytes = b""
    """What its history stands under: subject or token; empty = nobody's."""
    subject: bytes = b""
    """Of a member; empty = not on the list. For naming a person on a screen, never for a log."""
    notes: tuple[tuple[str, int], ...] = ()
    """What a screen tells the person beside the reason (`protocol.notices`)."""
    stated: ConsentDetail | None = None
    """What the card was held for, in place of a way in: a statement, which was taken where the outcome is granted."""

    def __repr__(self) -> str:  # whose tap it was never reaches a log
        return f"<Signal {self.epoch.hex()} {self.sequence}: {self.outcome} {self.reason}>"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("sequence", self.sequence), ("outcome", self.outcome), ("reason", self.reason)]


class ReleaseFailed(Exception):
    """An output did not do what it was asked, and why."""


class Release(Protocol):
    """The door side of a gate."""

    def signal(self, signal: Signal) -> None:
        """Free the way for a granted tap, show and sound the answer. Raises ReleaseFailed."""
        ...

    def close(self) -> None: ...


class Output(ABC):
    """A relay. It is either at rest (a lock locks, a reader has power) or on (the way is free, the power is cut).

    Everything raises ReleaseFailed, within a fraction of a second. May be used from any thread.
    """

    times_itself = False
    """The hardware ends a pulse by itself, whatever becomes of this process."""
    longest_ms = 0
    """The longest pulse that the hardware can time."""
    reverts = False
    """It goes back to rest when this process dies."""
    rests_free = False
    """At rest its relay is energised, so that without power or agent the way is free."""
    may_be_untimed = False
    """The settings take it upon themselves that a process that dies in mid-pulse leaves the way free."""
    can_be_cut = True
    """`off` ends a pulse."""
    driven_by = ""
    """The reader in whose thread it moves: a tap on that reader pulses it in the tap's own thread, which would else
    wait for itself."""

    @abstractmethod
    def pulse(self, ms: int) -> None:
        """On for so long. Where the hardware times nothing this is `on`, and who called it calls `off`."""

    @abstractmethod
    def on(self) -> None:
        """Until further notice."""

    @abstractmethod
    def off(self) -> None:
        """Back to rest, in mid-pulse too."""

    def trouble(self) -> str:
        """Why it would fail just now, as far as is known without trying; empty = nothing is known against it."""
        return ""

    def close(self) -> None:
        """At rest, and let go of. Never raises."""
        with contextlib.suppress(ReleaseFailed):
            self.off()

    def cycle(self, off_s: float) -> None:
        """On for so long and back, whatever happens in between: cuts the power of what hangs on the contact that is
        closed at rest. Blocks as long."""
        ms = round(off_s * 1_000)
        self.pulse(ms) if ms <= self.longest_ms else self.on()
        try:
            time.sleep(off_s)
        finally:
            self.off()


class Input(Protocol):
    """A contact, read as a level."""

    debounce_ms: int
    """How long a level has to stay before it counts."""

    def level(self) -> bool | None:
        """On or off just now; None = nobody can tell. Never blocks for longer than a line read, never raises."""
        ...

    def close(self) -> None: ...
