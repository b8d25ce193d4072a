"""Readers that behave as their manuals say: what they answer, and what somebody beside them sees and hears.

A reader is more than the card on it: it keeps its settings between cards, and it answers escape commands without one.
vsmartcard's virtual reader passes pseudo-APDUs to the card side; escape commands it does not know, so those take the
way of `PcscLayer`, which stands where pyscard does and passes everything else on.
"""

import time
from collections.abc import Callable
from typing import Any

Reply = tuple[int, list[int]]
"""As pyscard has it: return code, bytes."""

NOT_TRANSACTED, UNSUPPORTED = 0x80100016, 0x8010001F


class EmulatedReader:
    """Gives the UID of the card on it as PC/SC Part 3 says, and knows no other command."""

    tenth_s = 0.1
    """How long it takes for 100 ms of its own."""

    def __init__(self, uid: bytes = b"") -> None:
        self.uid = uid
        self.log: list[str] = []
        """What is seen and heard, in order; tests write into it as well."""
        self.apdus: list[bytes] = []
        self.escapes: list[bytes] = []

    def card_came(self) -> None:
        """What the reader does by itself."""

    def apdu(self, command: bytes) -> bytes | None:
        """The card side of the virtual reader."""
        self.apdus.append(command)
        if command[:4] == b"\xff\xca\x00\x00":
            return self.uid + b"\x90\x00" if self.uid else b"\x63\x00"
        return self.own(command)

    def escape(self, command: bytes) -> bytes | None:
        self.escapes.append(command)
        return self.own(command)

    def own(self, command: bytes) -> bytes | None:
        """A command to the reader itself. None: no answer. Sent past a card, that pulls it; as an escape, it fails."""
        return b"\x63\x00"


class Acr122u(EmulatedReader):
    """Beeps at every card until it is told not to; answers a LED command when it has stopped blinking."""

    def __init__(self, uid: bytes = b"", firmware: bytes = b"ACR122U215") -> None:
        super().__init__(uid)
        self.firmware = firmware
        self.beeps_at_cards = True
        self.polls_for = 0xFF
        self.lit = 0
        self.led_answer: Callable[[], bytes | None] = lambda: bytes([0x90, self.lit])
        """In place of success, for a reader that is ill."""

    def card_came(self) -> None:
        if self.beeps_at_cards:
            self.log.append("beeps by itself")

    def own(self, command: bytes) -> bytes | None:
        match list(command):
            case [0xFF, 0x00, 0x48, 0x00, 0x00]:
                return self.firmware  # no status word behind it
            case [0xFF, 0x00, 0x52, on, 0x00] if self.firmware >= b"ACR122U2":
                self.beeps_at_cards = on != 0
                return b"\x90\x00"
            case [0xFF, 0x00, 0x51, parameter, 0x00]:
                self.polls_for = parameter
                return bytes([parameter])  # as firmware 215 does; others put 90 before it
            case [0xFF, 0x00, 0x40, state, 0x04, t1, t2, times, link]:
                return self._blink(state, t1, t2, times, link)
        return b"\x63\x00"

    def _blink(self, state: int, t1: int, t2: int, times: int, link: int) -> bytes | None:
        blinking, first = state >> 6 & 3, state >> 4 & 3
        if times and t1 + t2:
            lit = self.lit & ~blinking | first & blinking
            for _ in range(times):
                self._light(lit)
                if link & 1 and t1:
                    self.log.append(f"beep {t1 * 100} ms")
                time.sleep((t1 + t2) * self.tenth_s)
        counts, last = state >> 2 & 3, state & 3
        self._light(self.lit & ~counts | last & counts)
        return self.led_answer()

    def _light(self, lit: int) -> None:
        if lit != self.lit:
            self.log.append(("dark", "red", "green", "red and green")[lit])
        self.lit = lit


class AcrWithEscapes(EmulatedReader):
    """The family of the ACR1252U: everything by escape, answers `E1 00 00 00`, length, data."""

    COLOURS = ("dark", "red", "green", "red and green")
    """By the value of the LED byte."""
    BEHAVIOUR, BEEPS_BIT = 0x7F, 0x08
    FIRMWARE = b"ACR1252U_V107"

    def __init__(self, uid: bytes = b"") -> None:
        super().__init__(uid)
        self.behaviour = self.BEHAVIOUR
        self.writes = 0
        """Of the memory that outlasts a power cut."""
        self.lit = 0

    def card_came(self) -> None:
        if self.behaviour & self.BEEPS_BIT:
            self.log.append("beeps by itself")

    def own(self, command: bytes) -> bytes | None:
        match list(command):
            case [0xE0, 0x00, 0x00, 0x18, 0x00]:
                return self._answer(self.FIRMWARE)
            case [0xE0, 0x00, 0x00, 0x21, 0x00]:
                return self._answer(bytes([self.behaviour]))
            case [0xE0, 0x00, 0x00, 0x21, 0x01, behaviour]:
                self.behaviour = behaviour
                self.writes += 1
                return self._answer(bytes([behaviour]))
            case [0xE0, 0x00, 0x00, 0x28, 0x01, tens_of_ms]:
                self.log.append(f"beep {tens_of_ms * 10} ms")
                return self._answer(b"\x00")
            case [0xE0, 0x00, 0x00, 0x29, 0x01, lit]:
                if lit != self.lit:
                    self.log.append(self.COLOURS[lit])
                self.lit = lit
                return self._answer(bytes([lit]))
        return None  # what these readers answer to what they do not know, no manual says

    @staticmethod
    def _answer(data: bytes) -> bytes:
        return b"\xe1\x00\x00\x00" + bytes([len(data)]) + data


class Acr1255u(AcrWithEscapes):
    COLOURS = ("dark", "green", "red", "red and green")
    BEHAVIOUR = 0x8F
    FIRMWARE = b"ACR1255U-J1 SWV 3.01"


class Acr1281u(AcrWithEscapes):
    BEHAVIOUR, BEEPS_BIT = 0xFB, 0x10
    FIRMWARE = b"ACR1281U_V503.1"


class PcscLayer:
    """The real library, but for what the virtual reader cannot do: escape commands, a channel, an unplugged cable."""

    def __init__(self, real: Any, reader: EmulatedReader | None = None) -> None:
        self._real = real
        self.reader = reader or EmulatedReader()
        self.escapes_pass = True
        """Whether the driver's option is set."""
        self.cable = True
        self.channel: int | None = None
        self.contexts = 0
        self.meanwhile: Callable[[], None] | None = None
        """Done once, when readers are listed next: between closing one and opening it again."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def SCardEstablishContext(self, scope: int) -> Any:
        self.contexts += 1
        return self._real.SCardEstablishContext(scope)

    def SCardListReaders(self, context: Any, groups: Any) -> Any:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return self._real.SCardListReaders(context, groups) if self.cable else (0x8010002E, [])

    def SCardGetStatusChange(self, context: Any, timeout_ms: int, states: Any) -> Any:
        result, after = self._real.SCardGetStatusChange(context, timeout_ms, states)
        return (result, after) if self.cable else (0, [(states[0][0], self._real.SCARD_STATE_UNKNOWN, [])])

    def SCardGetAttrib(self, connection: Any, attribute: int) -> Reply:
        if self.channel is None or attribute != self._real.SCARD_ATTR_CHANNEL_ID:
            return UNSUPPORTED, []
        return 0, list(self.channel.to_bytes(4, "little"))

    def SCardControl(self, connection: Any, code: int, command: list[int]) -> Reply:
        if code != 0x42000001:
            return UNSUPPORTED, []
        if not self.escapes_pass:
            return NOT_TRANSACTED, []
        answer = self.reader.escape(bytes(command))
        return (NOT_TRANSACTED, []) if answer is None else (0, list(answer))
