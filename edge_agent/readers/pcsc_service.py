"""The PC/SC service as the reader loop needs it: contexts, slots, and return codes turned into five exceptions.

The only user of pyscard, and of its low-level half only.
"""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import structlog

from edge_agent.readers.steps import ReadStep, note

try:
    _scard: Any = importlib.import_module("smartcard.scard")
except ImportError as error:
    raise ImportError("the pcsc reader needs pyscard: pip install tapgate[pcsc]") from error

log = structlog.get_logger(__name__)

# Return codes of pcsc-lite (pcsclite.h), as unsigned 32-bit numbers. Any code that stands in none of these
# counts as "service lost": starting afresh is always right.
_SUCCESS = 0x00000000
_TIMEOUT = 0x8010000A
_READER_GONE = {0x80100009, 0x80100017, 0x8010002E}  # unknown reader, reader unavailable, no readers at all
_SERVICE_GONE = {0x8010001D, 0x8010001E, 0x80100013, 0x80100003}  # none, stopped, communication error, old handle
_CARD_GONE = {0x80100069, 0x80100068, 0x8010000C}  # removed, reset by another program, no card
_CARD_MUTE = {0x80100066, 0x80100067, 0x80100065, 0x8010000F}  # unresponsive, unpowered, unsupported, protocol
_TRANSFER_FAILED = {0x80100016, 0x8010000B, 0x8010002F}  # not transacted, held by another program, data lost


class Lost(Exception):
    """The service or the reader is gone: start afresh. The text is for people, and one text stands for one cause."""


class CardGone(Exception):
    """The card left, or was swapped, between the report of the service and our command."""


class CardMute(Exception):
    """A card is there and does not answer."""


class TransferFailed(Exception):
    """The command did not get through to a card reported present: it is being pulled, or the reader hangs."""


class ControlRefused(Exception):
    """A command to the reader itself did not get through. Most often the driver passes none on; `code` is PC/SC's."""

    def __init__(self, result: int) -> None:
        self.code = result & 0xFFFFFFFF
        super().__init__(f"PC/SC {self.code:08X}")


def check(result: int) -> None:
    """Raises the exception that a return code of PC/SC stands for."""
    code = result & 0xFFFFFFFF
    if code == _SUCCESS:
        return
    if code in _READER_GONE:
        raise Lost("the reader was unplugged")
    if code in _CARD_GONE:
        raise CardGone
    if code in _CARD_MUTE:
        raise CardMute
    if code in _TRANSFER_FAILED:
        raise TransferFailed(f"PC/SC {code:08X}")
    log.debug("PC/SC service lost", code=f"{code:08X}")
    raise Lost("the PC/SC service does not answer")


def check_control(result: int) -> None:
    """As `check`, for what is asked of the reader itself: no answer of a driver to that ends the reading of cards."""
    code = result & 0xFFFFFFFF
    if code == _SUCCESS or code in _READER_GONE | _SERVICE_GONE | _CARD_GONE:
        check(result)
    else:
        raise ControlRefused(result)


class Service:
    """One context of the PC/SC service, to be used by one thread. Entering it raises Lost when nobody answers."""

    def __enter__(self) -> Self:
        result, self.context = _scard.SCardEstablishContext(_scard.SCARD_SCOPE_SYSTEM)
        check(result)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        _scard.SCardReleaseContext(self.context)

    def reader_names(self) -> list[str]:
        """The slots there are now, as the service names them. Raises Lost when the service is gone."""
        result, names = _scard.SCardListReaders(self.context, [])
        if result & 0xFFFFFFFF in _READER_GONE:
            return []
        check(result)
        return [str(name) for name in names]


class Slot:
    """One reader slot in one context, and the connection to the card on it."""

    def __init__(self, service: Service, reader_name: str) -> None:
        self.present = False
        self.atr = b""
        self._context = service.context
        self._reader_name = reader_name
        self._state: int = _scard.SCARD_STATE_UNAWARE
        self._changed = False
        self._card: tuple[Any, Any] | None = None

    @property
    def comings_and_goings(self) -> int:
        """The service's own count of cards that came and went, for as long as the service runs."""
        return self._state >> 16

    def wait(self, timeout_ms: int) -> bool:
        """True when the card came, left or was swapped since the last call; waits for that at most `timeout_ms`.

        Raises Lost. May return False early: a program that connects to the card also ends the service's wait.
        """
        self._refresh(0 if self._changed else timeout_ms)
        changed, self._changed = self._changed, False
        return changed

    def _refresh(self, timeout_ms: int) -> None:
        result, states = _scard.SCardGetStatusChange(self._context, timeout_ms, [(self._reader_name, self._state)])
        if result & 0xFFFFFFFF == _TIMEOUT:
            return
        check(result)
        _, event, atr = states[0]
        if event & (_scard.SCARD_STATE_UNKNOWN | _scard.SCARD_STATE_UNAVAILABLE):
            raise Lost("the reader was unplugged")
        before, self._state = self._state, event & ~_scard.SCARD_STATE_CHANGED
        was_present, self.present = self.present, bool(event & _scard.SCARD_STATE_PRESENT)
        self.atr = bytes(atr)
        # pcsc-lite counts every insertion and removal in the upper 16 bits, which is how a swap shows
        swapped = was_present and self.present and before >> 16 != event >> 16
        self._changed |= swapped or was_present != self.present
        if self.present and (swapped or not was_present):
            note(ReadStep.ARRIVED)

    def transmit(self, command: bytes) -> bytes:
        """The whole answer, status words included. Connects when needed and stays connected: a read is one exchange.

        Raises Lost, CardGone, CardMute, TransferFailed. It blocks inside the driver until the reader or the
        driver's own time limit ends it; PC/SC offers no way to cancel that.
        """
        try:
            card, protocol = self._card or self._connect()
            result, answer = _scard.SCardTransmit(card, protocol, list(command))
            check(result)
        except Exception:
            self.disconnect()
            raise
        note(ReadStep.READ)
        return bytes(answer)

    def _connect(self) -> tuple[Any, Any]:
        both = _scard.SCARD_PROTOCOL_T0 | _scard.SCARD_PROTOCOL_T1
        result, card, protocol = _scard.SCardConnect(self._context, self._reader_name, _scard.SCARD_SHARE_SHARED, both)
        check(result)
        self._card = card, _scard.SCARD_PCI_T1 if protocol == _scard.SCARD_PROTOCOL_T1 else _scard.SCARD_PCI_T0
        # From here on the service invalidates the handle when the card leaves, so what is read through it is
        # one card. It has to be the card last reported: one swapped in just before would be told twice.
        self._refresh(0)
        if self._changed:
            raise CardGone
        note(ReadStep.CONNECTED)
        return self._card

    def control(self, code: int, command: bytes) -> bytes:
        """What the reader itself answers to an escape command, with or without a card.

        Raises Lost, CardGone, ControlRefused. It blocks as `transmit` does; libccid gives a reader 30 s.
        """
        with self._any_connection() as connection:
            result, answer = _scard.SCardControl(connection, code, list(command))
        check_control(result)
        return bytes(answer)

    def channel(self) -> int | None:
        """Where the reader is plugged in, as its driver counts; None where it does not tell. Raises Lost."""
        try:
            with self._any_connection() as connection:
                result, value = _scard.SCardGetAttrib(connection, _scard.SCARD_ATTR_CHANNEL_ID)
            check_control(result)
        except (CardGone, ControlRefused):
            return None
        return int.from_bytes(bytes(value), sys.byteorder) if len(value) == 4 else None

    @contextmanager
    def _any_connection(self) -> Iterator[Any]:
        """The connection to the card, or for a moment one to the reader alone, which needs no card."""
        if self._card is not None:
            yield self._card[0]
            return
        direct = _scard.SCARD_SHARE_DIRECT
        result, connection, _ = _scard.SCardConnect(self._context, self._reader_name, direct, 0)
        check_control(result)
        try:
            yield connection
        finally:
            _scard.SCardDisconnect(connection, _scard.SCARD_LEAVE_CARD)

    def disconnect(self) -> None:
        """Leaves the card powered: powering it off while it is being pulled hangs readers (pyscard issue 220)."""
        if self._card is not None:
            card, self._card = self._card[0], None
            _scard.SCardDisconnect(card, _scard.SCARD_LEAVE_CARD)
