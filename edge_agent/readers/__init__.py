"""Where card reads come from. Each kind of reader is one module, loaded only where it is configured."""

import threading
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

import msgspec

from firmware_profiles import ProfileBook


class ReaderState(StrEnum):
    """What an operator needs to know of a reader; every change is an event that reaches central (SPEC §5.1)."""

    ABSENT = "absent"
    STARTING = "starting"
    READY = "ready"
    WEDGED = "wedged"
    RECOVERING = "recovering"


class Answer(StrEnum):
    """What a reader shows and sounds after a tap: the names of a profile's patterns."""

    GRANTED = "granted"
    DENIED = "denied"
    ERROR = "error"
    NOT_READY = "not-ready"


class CardRead(msgspec.Struct, frozen=True):
    """One stable read. `raw` is the UID as the reader gave it, not yet judged: it may be empty or one byte."""

    reader: str
    raw: bytes
    atr: bytes = b""
    sak: int | None = None

    def __repr__(self) -> str:  # a UID never reaches a log
        return f"<CardRead on {self.reader}: {len(self.raw)} bytes>"


class ReaderFacts(msgspec.Struct, frozen=True):
    """What is known of the hardware behind a reader; empty = not known (yet)."""

    hardware: str = ""
    """The PC/SC name, or nfcpy's device path and chip."""
    profile: str = ""
    """As events have it: `acr122u`, `acr122u (local)`, `acr122u (published 3)`."""
    matched_by: str = ""
    """Why this profile: `usb 072F:2200`, `name 'ACS ACR122U'`, `settings`, `no other profile fits`."""
    firmware: str = ""


OnRead = Callable[[CardRead], Answer]
"""Called in the reader's thread; returns, when the tap is decided, durable and released, what to show."""

OnState = Callable[[str, ReaderState, str], None]
"""(reader, state, why), called in the reader's thread on every change of state."""


class Reader(Protocol):
    """A source of reads that survives whatever its hardware does."""

    name: str

    def run(self, on_read: OnRead, on_state: OnState, stop: threading.Event) -> None:
        """Blocks until `stop` is set. Never raises for what a card, cable or service does."""
        ...

    def facts(self) -> ReaderFacts:
        """May be asked from any thread."""
        ...

    def beat_s(self) -> float:
        """`time.monotonic()` of the last sign of life of the reader's own thread: it stands still in a driver that
        hangs."""
        ...

    def reopen(self) -> None:
        """Asks the reader's own thread to let go of its reader and open it again."""
        ...

    def re_establish(self) -> None:
        """Asks the reader's own thread to begin from nothing: a new context of the service, a new frontend."""
        ...

    def use_profiles(self, book: ProfileBook) -> None:
        """Profiles changed: match again, from any thread; the reader's own thread puts it to use between two taps."""
        ...
