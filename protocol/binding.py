"""Binding a card by tapping it at a gate (SPEC §7.9): the session that central opens, what the gate seals for it, and
when a tap is taken for it rather than decided. Pure."""

from typing import Annotated

from msgspec import Meta

from protocol.events import Clock, Direction
from protocol.uid import LENGTHS
from protocol.wire import Count, Digest, Id16, Identifier, Message, Millis, Record

MAX_ATR_BYTES = 64
NO_SAK = -1


class Bind(Message, frozen=True):
    """The next card that is read at this device is for somebody who stands there: seal it, decide nothing."""

    TYPE = "tapgate.bind.v1"
    device: Identifier
    version: Count
    session: Id16
    until_ms: Millis
    """Excluded."""
    seal_public: Digest
    """X25519; made for this session alone."""


class BindDetail(Record, frozen=True):
    """A card was taken for a session: sealed, so that nobody but central knows which one."""

    session: Id16
    sealed: Annotated[bytes, Meta(max_length=512)]


class TappedCard(Record, frozen=True):
    """What a reader told of a card. It travels sealed and rests nowhere as it is."""

    uid: bytes
    sak: Annotated[int, Meta(ge=NO_SAK, le=255)] = NO_SAK
    """−1 where the reader does not tell it."""
    atr: Annotated[bytes, Meta(max_length=MAX_ATR_BYTES)] = b""

    def __post_init__(self) -> None:
        if len(self.uid) not in LENGTHS:
            raise ValueError("a UID has 4, 7 or 10 bytes")

    def __repr__(self) -> str:  # a UID never reaches a log
        return f"<TappedCard of {len(self.uid)} bytes>"

    __str__ = __repr__


def tapped(uid: bytes, sak: int | None, atr: bytes) -> TappedCard:
    """As a reader gave it; an answer to reset that is longer than any is left out."""
    return TappedCard(uid, NO_SAK if sak is None else sak, atr if len(atr) <= MAX_ATR_BYTES else b"")


def takes(session: Bind, at_ms: int, clock: Clock, direction: Direction, used: bytes) -> bool:
    """Whether a tap with a usable UID is taken for the session. `used`: the last session that took one here.

    Nobody who leaves is ever held up, and where the time is in doubt a session may be long over.
    """
    is_open = clock is Clock.TRUSTED and at_ms < session.until_ms
    return is_open and direction is Direction.IN and session.session != used
