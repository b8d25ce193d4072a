"""The PC/SC service as the reader loop needs it: contexts, slots, and return codes turned into four exceptions.

The only user of pyscard, and of its low-level half only.
"""

import importlib
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

    def transmit(self, command: bytes) -> tuple[bytes, int, int]:
        """Answer data, SW1, SW2. Connects when needed and stays connected, so that a read is one exchange.

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
        if len(answer) < 2:
            return b"", 0, 0
        return bytes(answer[:-2]), answer[-2], answer[-1]

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

    def disconnect(self) -> None:
        """Leaves the card powered: powering it off while it is being pulled hangs readers (pyscard issue 220)."""
        if self._card is not None:
            card, self._card = self._card[0], None
            _scard.SCardDisconnect(card, _scard.SCARD_LEAVE_CARD)
