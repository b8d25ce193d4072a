"""A relay board on Modbus TCP, in a process of its own: pymodbus' server with relays that time their own pulses.

`python -m tests.support.relay_board` prints its port, then answers each line of JSON on standard input with one on
standard output (`RelayBoard` is the test's side of that).
"""

import asyncio
import json
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, Self

from pymodbus.exceptions import NoSuchIdException
from pymodbus.pdu import ExceptionResponse, ModbusPDU
from pymodbus.pdu.bit_message import (
    ReadCoilsRequest,
    ReadCoilsResponse,
    ReadDiscreteInputsRequest,
    ReadDiscreteInputsResponse,
)
from pymodbus.pdu.register_message import WriteSingleRegisterRequest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

RELAYS = 8
UNIT = 1
FLASH_ON, FLASH_OFF = 0x0200, 0x0400
COMMAND = 0x0600
"""In the upper byte of a register: on for so many tenths of a second, in the lower one."""
PATIENCE_S = 15.0


# --- the board ------------------------------------------------------------------------------------------------


class Relays:
    """The state of the board, and how it (mis)behaves."""

    def __init__(self) -> None:
        self.coils = [False] * RELAYS
        self.inputs = [False] * RELAYS
        self.mode, self.slow_s = "well", 0.0
        self.times = True
        """Whether it has timed pulses at all."""
        self.log: list[list[Any]] = []
        """(seconds, relay, on) of every change."""
        self.asked: list[list[int]] = []
        """(function, address, value) of every write."""
        self.server: ModbusTcpServer | None = None
        self._timers: dict[int, asyncio.TimerHandle] = {}

    def put(self, relay: int, on: bool) -> None:
        if timer := self._timers.pop(relay, None):
            timer.cancel()
        if self.coils[relay] is not on:
            self.coils[relay] = on
            self.log.append([time.monotonic(), relay, on])

    def pulse(self, relay: int, on: bool, tenths: int) -> None:
        self.put(relay, on)
        self._timers[relay] = asyncio.get_running_loop().call_later(tenths / 10, self.put, relay, not on)

    async def misbehave(self, pdu: ModbusPDU) -> ModbusPDU | None:
        """An answer in the place of the right one. NoSuchIdException: none at all."""
        if self.mode == "slow":
            await asyncio.sleep(self.slow_s)
        if self.mode == "reset" and self.server is not None:
            _drop(self.server)
        if self.mode in ("silent", "reset") or pdu.dev_id != UNIT:
            raise NoSuchIdException("nobody answers")
        if self.mode == "refuse":
            return ExceptionResponse(pdu.function_code, 4)
        return None


BOARD = Relays()


class Coils(ReadCoilsRequest):
    async def datastore_update(self, context: Any, device_id: int) -> ModbusPDU:
        return await BOARD.misbehave(self) or ReadCoilsResponse(
            bits=BOARD.coils[self.address : self.address + self.count]
        )


class Inputs(ReadDiscreteInputsRequest):
    async def datastore_update(self, context: Any, device_id: int) -> ModbusPDU:
        return await BOARD.misbehave(self) or ReadDiscreteInputsResponse(
            bits=BOARD.inputs[self.address : self.address + self.count]
        )


class WriteCoil(ModbusPDU):
    """Function 05 with whatever value: the answer is what was asked."""

    function_code = 5
    value = 0

    def decode(self, data: bytes) -> None:
        self.address, self.value = struct.unpack(">HH", data[:4])

    def encode(self) -> bytes:
        return struct.pack(">HH", self.address, self.value)

    async def datastore_update(self, context: Any, device_id: int) -> ModbusPDU:
        if answer := await BOARD.misbehave(self):
            return answer
        BOARD.asked.append([5, self.address, self.value])
        bank, relay = self.address & 0xFF00, self.address & 0xFF
        if relay >= RELAYS or (bank and not BOARD.times):
            return ExceptionResponse(5, 2)
        if bank == 0 and self.value in (0x0000, 0xFF00):
            BOARD.put(relay, self.value == 0xFF00)
        elif bank in (FLASH_ON, FLASH_OFF):
            BOARD.pulse(relay, bank == FLASH_ON, self.value)
        else:
            return ExceptionResponse(5, 3)
        return self


class WriteRegister(WriteSingleRegisterRequest):
    async def datastore_update(self, context: Any, device_id: int) -> ModbusPDU:
        if answer := await BOARD.misbehave(self):
            return answer
        value = self.registers[0]
        BOARD.asked.append([6, self.address, value])
        if self.address >= RELAYS or not BOARD.times or value & 0xFF00 != COMMAND:
            return ExceptionResponse(6, 2)
        BOARD.pulse(self.address, True, value & 0xFF)
        return self


def _drop(server: ModbusTcpServer) -> None:
    """Every connection, from one moment to the next."""
    for connection in list(server.active_connections.values()):
        if connection.transport is not None:
            connection.transport.abort()  # type: ignore[attr-defined]


async def _serve(port: int) -> ModbusTcpServer:
    nothing = SimDevice(UNIT, simdata=[SimData(0, count=1, values=0, datatype=DataType.REGISTERS)])
    server = ModbusTcpServer(
        nothing,
        address=("127.0.0.1", port),
        ignore_missing_devices=True,
        custom_pdu=[Coils, Inputs, WriteCoil, WriteRegister],
    )
    await server.serve_forever(background=True)
    BOARD.server = server
    return server


async def _main() -> None:
    server = await _serve(0)
    port = server.transport.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    print(json.dumps({"port": port}), flush=True)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        asked = json.loads(line)
        for name in ("mode", "slow_s", "times"):
            if name in asked:
                setattr(BOARD, name, asked[name])
        for number, on in asked.get("inputs", {}).items():
            BOARD.inputs[int(number)] = on
        if asked.get("rest"):
            for relay in range(RELAYS):
                BOARD.put(relay, False)
        if asked.get("drop"):
            _drop(server)
        if asked.get("dead") is True:
            await server.shutdown()
        if asked.get("dead") is False:
            server = await _serve(port)
        told = {"now": time.monotonic(), "coils": BOARD.coils, "log": BOARD.log, "asked": BOARD.asked}
        print(json.dumps(told), flush=True)


# --- the test's side ------------------------------------------------------------------------------------------


class RelayBoard:
    """A context manager."""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.support.relay_board"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        self.port = int(self._read()["port"])
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE_S)
        self._process.stdout.close()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def tell(self, **changes: Any) -> dict[str, Any]:
        """`mode` (well, silent, slow, refuse, reset), `slow_s`, `times`, `inputs` (number: closed), `dead`,
        `drop` (close every connection), `rest` (every relay). Returns what the board says of itself."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(changes) + "\n")
        self._process.stdin.flush()
        return self._read()

    def on(self, relay: int = 0) -> bool:
        return bool(self.tell()["coils"][relay])

    def pulses(self, relay: int = 0) -> list[float]:
        """Seconds of each finished pulse."""
        times = [at_s for at_s, number, _ in self.tell()["log"] if number == relay]
        return [end - begin for begin, end in zip(times[::2], times[1::2], strict=False)]

    def asked(self) -> list[list[int]]:
        """(function, address, value) of each write."""
        return [list(each) for each in self.tell()["asked"]]

    def until(self, holds: Callable[[], Any]) -> Any:
        return until(holds)


def until(holds: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
    """What it returns, once it is true."""
    deadline_s = time.monotonic() + patience_s
    while not (found := holds()):
        assert time.monotonic() < deadline_s, "it never came to be"
        time.sleep(0.01)
    return found


if __name__ == "__main__":
    asyncio.run(_main())
