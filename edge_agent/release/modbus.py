"""Relay boards on Modbus TCP.

One connection and one thread a board: the thread reads the inputs, notices a board that has gone, and looks for it with
growing pauses. While it is gone every output on it fails at once, so that nobody waits for a dead board.
"""

import contextlib
import logging
import struct
import threading
import time
from collections.abc import Callable

import structlog
from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ConnectionException, ModbusException
from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.bit_message import (
    ReadCoilsRequest,
    ReadDiscreteInputsRequest,
    WriteSingleCoilRequest,
)
from pymodbus.pdu.register_message import WriteSingleRegisterRequest

from edge_agent.release import Output, ReleaseFailed
from edge_agent.release.settings import BoardSettings, ModbusInputSettings, ModbusOutputSettings

log = structlog.get_logger(__name__)
logging.getLogger("pymodbus").addHandler(logging.NullHandler())  # what it has to say, this file says

IDLE_S = 1.0
"""How often a board without inputs is asked whether it is there."""
RETRY_S = 0.25
RETRY_MAX_S = 2.0
STALE_S = 1.5
"""After so long without an answer nobody can tell a level."""

EXCEPTIONS = {1: "illegal function", 2: "illegal address", 3: "illegal value", 4: "device failure", 6: "busy"}
EXCEPTIONS |= {10: "no path behind the gateway", 11: "no answer behind the gateway"}


class BoardRefused(ReleaseFailed):
    """The board is there and will not do it."""


class TimedCoil(WriteSingleCoilRequest):
    """Function 05 with a time in the place of on or off."""

    def __init__(self, address: int, units: int, dev_id: int) -> None:
        super().__init__(address=address, dev_id=dev_id)
        self.units = units

    def encode(self) -> bytes:
        return struct.pack(">HH", self.address, self.units)


class Board:
    """May be used from any thread; `start` once everything on it is known."""

    def __init__(self, name: str, settings: BoardSettings) -> None:
        self.name, self.settings = name, settings
        self.trouble = ""
        """Why it does not answer; empty = it does, or was not asked yet."""
        self._client = ModbusTcpClient(
            settings.host, port=settings.port, timeout=settings.timeout_ms / 1_000, retries=0
        )
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._watched: set[int] = set()
        self._levels: dict[int, bool] = {}
        self._read_s = 0.0
        self._thread = threading.Thread(target=self._watch, name=f"board-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(2 * self.settings.timeout_ms / 1_000 + 0.5)
        with self._lock:
            self._hang_up()

    def _hang_up(self) -> None:
        self._client.close()  # type: ignore[no-untyped-call]

    # --- asking it --------------------------------------------------------------------------------------

    def ask(self, request: Callable[[], ModbusPDU]) -> ModbusPDU:
        """Raises ReleaseFailed: at once while the board is known to be gone, else within its timeouts."""
        if self.trouble:
            raise ReleaseFailed(self.trouble)
        with self._lock:
            return self._exchange(request)

    def _exchange(self, request: Callable[[], ModbusPDU]) -> ModbusPDU:
        """An idle connection that the board closed meanwhile is opened again, once: what is asked may be asked twice.
        After anything else that went wrong the connection is closed, since a late answer would be taken for the next.
        """
        was_connected = self._client.connected
        try:
            response = self._client.execute(False, request())
        except (ConnectionException, ConnectionError) as error:
            self._hang_up()
            if was_connected:
                return self._exchange(request)
            raise self._gone(error) from error
        except (ModbusException, OSError, struct.error, ValueError, IndexError) as error:
            self._hang_up()
            raise self._gone(error) from error
        if self.trouble:
            log.info("board-back", board=self.name)
        self.trouble = ""
        if response.isError():
            code = getattr(response, "exception_code", 0)
            raise BoardRefused(f"board {self.name!r} refuses: {EXCEPTIONS.get(code, f'exception {code}')}")
        return response

    def _gone(self, error: Exception) -> ReleaseFailed:
        where = f"{self.settings.host}:{self.settings.port} unit {self.settings.unit}"
        if not self.trouble:
            log.error("board-gone", board=self.name, where=where, error=str(error))
        self.trouble = f"board {self.name!r} ({where}) does not answer"
        return ReleaseFailed(self.trouble)

    # --- its inputs -------------------------------------------------------------------------------------

    def watch(self, address: int) -> None:
        """Before `start`: this input is to be read."""
        self._watched.add(address)

    def level(self, address: int) -> bool | None:
        """As it was read last; None where that is too long ago."""
        return self._levels.get(address) if time.monotonic() - self._read_s < STALE_S else None

    def _watch(self) -> None:
        pause_s = 0.0
        while not self._stop.wait(pause_s):
            try:
                with self._lock:
                    self._read()
            except ReleaseFailed as error:
                self._levels = {}
                if not self.trouble:
                    log.warning("board-refuses", board=self.name, error=str(error))
                pause_s = min(max(2 * pause_s, RETRY_S), RETRY_MAX_S)
            else:
                pause_s = self.settings.poll_ms / 1_000 if self._watched else IDLE_S

    def _read(self) -> None:
        unit = self.settings.unit
        if not self._watched:
            with contextlib.suppress(BoardRefused):
                self._exchange(lambda: ReadCoilsRequest(address=self.settings.first_coil, count=1, dev_id=unit))
            return
        first, last = min(self._watched), max(self._watched)
        asked = ReadDiscreteInputsRequest(address=first, count=last - first + 1, dev_id=unit)
        bits = self._exchange(lambda: asked).bits
        self._levels = {address: bool(bits[address - first]) for address in self._watched}
        self._read_s = time.monotonic()


class ModbusOutput(Output):
    """A relay of a board."""

    def __init__(self, name: str, settings: ModbusOutputSettings, board: Board) -> None:
        self._name, self._relay, self._board, self._settings = name, settings.relay, board, board.settings
        self.rests_free = settings.at_rest == "energised"
        self.may_be_untimed = settings.allow_untimed
        timing = self._settings.timing
        self.times_itself = timing == "flash" or (timing == "register" and not self.rests_free)
        self.longest_ms = self._settings.most_units * self._settings.unit_ms if self.times_itself else 0

    def pulse(self, ms: int) -> None:
        board = self._settings
        if not self.times_itself:
            return self.on()
        units = min(-(-ms // board.unit_ms), board.most_units)
        if board.timing == "flash":
            address = (board.flash_off if self.rests_free else board.flash_on) + self._relay
            self._ask(lambda: TimedCoil(address, units, board.unit))
        else:
            address, value = board.register + self._relay, board.register_base + units
            self._ask(lambda: WriteSingleRegisterRequest(address=address, registers=[value], dev_id=board.unit))

    def on(self) -> None:
        self._energise(not self.rests_free)

    def off(self) -> None:
        self._energise(self.rests_free)

    def trouble(self) -> str:
        return self._board.trouble

    def close(self) -> None:
        """Without agent the relay is released, whatever that means for the way."""
        with contextlib.suppress(ReleaseFailed):
            self._energise(False)

    def _energise(self, on: bool) -> None:
        address, unit = self._settings.first_coil + self._relay, self._settings.unit
        self._ask(lambda: WriteSingleCoilRequest(address=address, bits=[on], dev_id=unit))

    def _ask(self, request: Callable[[], ModbusPDU]) -> None:
        try:
            self._board.ask(request)
        except ReleaseFailed as error:
            raise ReleaseFailed(f"output {self._name!r}: {error}") from error


class ModbusInput:
    """A discrete input of a board."""

    def __init__(self, settings: ModbusInputSettings, board: Board) -> None:
        self.debounce_ms = settings.debounce_ms
        self._opens, self._input, self._board = settings.normally_closed, settings.input, board
        board.watch(settings.input)

    def level(self) -> bool | None:
        found = self._board.level(self._input)
        return None if found is None else found is not self._opens

    def close(self) -> None:
        """The board's own to close."""
