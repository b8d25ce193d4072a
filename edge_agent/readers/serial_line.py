"""A PN532 on a serial line, as a transport for nfcpy that opens the line once and finds a chip left at any speed.

nfcpy raises the speed of the line to 921,600 baud and lowers it again when it is closed. A process that was killed does
not close it: the chip stays at its speed, the next process speaks to it at 115,200, and no answer comes until somebody
cuts the power (nfcpy issue 203). Here the chip is looked for at every speed first, taken out of whatever command it was
in, and set back. nfcpy's own transport also takes only names below /dev, and trips over a frame that was cut short.

Frames are those of the PN532 user manual (UM0701-02, §6.2).
"""

import errno
import importlib
import os
import re
import time
from collections.abc import Callable
from typing import Any

_serial: Any = importlib.import_module("serial")

FIRST_BAUD = 115_200
SPEEDS = (FIRST_BAUD, 921_600, 460_800, 230_400)
"""Those that nfcpy leaves a chip at, the likeliest first."""

ACK = bytes.fromhex("0000ff00ff00")
START = bytes.fromhex("0000ff")
WAKE_UP = bytes.fromhex("5555") + bytes(14)
"""Out of power-down; the chip needs the line to move, and a moment."""

SAM_CONFIGURATION = bytes.fromhex("0000ff05fbd4140100001700")
SAM_CONFIGURED = bytes.fromhex("0000ff02fed5151600")
SET_115200 = bytes.fromhex("0000ff03fdd410041800")
SPEED_SET = bytes.fromhex("0000ff02fed5111a00")

ANSWER_S = 0.1
"""The chip acknowledges within 15 ms."""

SETTLE_S = 0.005
WRITE_S = 1.0
GARBAGE_BYTES = 512
"""Passed over while a frame's start is looked for; the longest frame has 265."""


def device_file(path: str) -> str | None:
    """The device file of nfcpy's path `tty:NAME:pn532`; None when it is of another kind, or searches for one.

    `NAME` is `USB0`, `S0`, …, or, beyond what nfcpy takes, a whole path such as one of /dev/serial/by-id, which stays
    the same wherever the adapter is plugged in.
    """
    found = re.fullmatch(r"tty:(?P<name>[^:].*):pn532", path)
    if found is None:
        return None
    name = found["name"]
    if name.startswith("/"):
        return name
    if re.fullmatch(r"(S|ACM|AMA|USB)\d+", name):
        return f"/dev/tty{name}"
    return None if name in ("S", "ACM", "AMA", "USB") else f"/dev/{name}"


class SerialLine:
    """What nfcpy's driver of the PN532 asks of a transport. Raises OSError for whatever goes wrong.

    `pause` is called with the seconds that the adapter needs after opening: some reset the board.
    """

    TYPE = "TTY"

    def __init__(self, file: str, pause_s: float, pause: Callable[[float], None]) -> None:
        # nfcpy gives the name to a shell (`stty -F …`): the file's own name, never one that somebody chose
        self.port = os.path.realpath(file)
        self._line = _serial.Serial(self.port, FIRST_BAUD, timeout=ANSWER_S, write_timeout=WRITE_S, exclusive=True)
        try:
            pause(pause_s)
            find_chip(self._line)
        except BaseException:
            self.close()
            raise

    def open(self, port: str, baudrate: int = FIRST_BAUD) -> None:
        """The line stays open: closing and opening it again may reset the board, and another program may take it."""
        self.baudrate = baudrate

    @property
    def baudrate(self) -> int:
        return int(self._line.baudrate)

    @baudrate.setter
    def baudrate(self, value: int) -> None:
        _change_speed(self._line, value)

    def write(self, frame: bytes) -> None:
        self._line.reset_input_buffer()
        self._line.write(frame)

    def read(self, timeout: int) -> bytearray:
        """One frame; `timeout` in milliseconds. ETIMEDOUT: nothing came; EIO: what came is no frame, or a refusal."""
        frame = read_frame(self._line, max(timeout / 1_000, 0.05))
        if not frame:
            raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        return bytearray(frame)

    def close(self) -> None:
        self._line.close()


def read_frame(line: Any, timeout_s: float) -> bytes:
    """The next whole frame, without what came before its start; empty when nothing came. Raises OSError (EIO)."""
    end_s = time.monotonic() + timeout_s
    window, passed = b"", 0
    while window != START:
        line.timeout = max(0.0, end_s - time.monotonic())
        byte = bytes(line.read(1))
        if not byte:
            if passed < 2:  # zeros at the end of a frame, or a stray byte
                return b""
            raise OSError(errno.EIO, "no frame in what the reader sent")
        window, passed = (window + byte)[-len(START) :], passed + 1
        if passed > GARBAGE_BYTES:
            raise OSError(errno.EIO, "no frame in what the reader sent")
    line.timeout = ANSWER_S
    head = bytes(line.read(2))
    if head == b"\x00\xff":
        return START + head + bytes(line.read(1))
    rest = 0
    if head == b"\xff\xff":
        head += bytes(line.read(3))
        rest = int.from_bytes(head[2:4]) + 2 if len(head) == 5 else 0
    elif len(head) == 2 and head != b"\xff\x00":  # FF 00: it did not understand
        rest = head[0] + 2
    body = bytes(line.read(rest)) if rest else b""
    if not rest or len(body) < rest:
        raise OSError(errno.EIO, "a frame was cut short, or refused ours")
    return START + head + body


def find_chip(line: Any) -> int:
    """The speed at which the chip was found; it is at 115,200 baud afterwards. Raises OSError (ENODEV)."""
    for baud in SPEEDS:
        line.baudrate = baud
        for _ in range(2):  # the first may fall into the end of what the chip was doing
            line.write(WAKE_UP + ACK)
            time.sleep(0.005)
            line.reset_input_buffer()
            if _asked(line, SAM_CONFIGURATION, SAM_CONFIGURED):
                if baud != FIRST_BAUD:
                    _slow_down(line)
                return baud
    raise OSError(errno.ENODEV, "nothing that speaks like a PN532 answers")


def _slow_down(line: Any) -> None:
    if not _asked(line, SET_115200, SPEED_SET):
        raise OSError(errno.EIO, "the PN532 does not change its speed")
    line.write(ACK)  # the chip changes over when it sees this
    _change_speed(line, FIRST_BAUD)


def _change_speed(line: Any, baud: int) -> None:
    """What was written goes out at the speed that it was written for; an adapter passes it on a moment later."""
    line.flush()
    time.sleep(SETTLE_S)
    line.baudrate = baud


def _asked(line: Any, command: bytes, answer: bytes) -> bool:
    line.write(command)
    try:
        return read_frame(line, ANSWER_S) == ACK and read_frame(line, ANSWER_S) == answer
    except OSError:
        return False
