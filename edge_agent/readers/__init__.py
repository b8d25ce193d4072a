"""Where card reads come from. Each kind of reader is one module, loaded only where it is configured."""

import threading
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

import msgspec


class ReaderState(StrEnum):
    """What an operator needs to know of a reader (issue of every change: an event to central)."""

    ABSENT = "absent"
    STARTING = "starting"
    READY = "ready"
    WEDGED = "wedged"


class CardRead(msgspec.Struct, frozen=True):
    """One stable read. `raw` is the UID as the reader gave it, not yet judged: it may be empty or one byte."""

    reader: str
    raw: bytes
    atr: bytes = b""
    sak: int | None = None

    def __repr__(self) -> str:  # a UID never reaches a log
        return f"<CardRead on {self.reader}: {len(self.raw)} bytes>"


OnRead = Callable[[CardRead], object]
"""Called in the reader's thread; returns when the tap is decided, durable and signalled."""

OnState = Callable[[str, ReaderState, str], None]
"""(reader, state, why), called in the reader's thread on every change of state."""


class Reader(Protocol):
    """A source of reads that survives whatever its hardware does."""

    name: str

    def run(self, on_read: OnRead, on_state: OnState, stop: threading.Event) -> None:
        """Blocks until `stop` is set. Never raises for what a card, cable or service does."""
        ...
