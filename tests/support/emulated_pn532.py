"""A PN532 on a serial line: a pty whose other end speaks the chip's frames (UM0701-02), with its quirks.

The line's speed is the pty's own setting, so a chip that an earlier process left at another one hears nothing, as in
the field. `path` is a link that stays the same when the "adapter" is unplugged and plugged in again.
"""

import contextlib
import os
import pty
import select
import termios
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

ACK, NAK = bytes.fromhex("0000ff00ff00"), bytes.fromhex("0000ffff0000")
SPEEDS = (9_600, 19_200, 38_400, 57_600, 115_200, 230_400, 460_800, 921_600)
TERMIOS = {getattr(termios, f"B{speed}"): speed for speed in SPEEDS}
FIFO_DATA = 0x6339
SENS_REQ = 0x26


def frame(data: bytes) -> bytes:
    """A frame from the chip, normal or extended."""
    if len(data) < 255:
        head = bytes([len(data), -len(data) & 0xFF])
    else:
        length = len(data).to_bytes(2)
        head = b"\xff\xff" + length + bytes([-sum(length) & 0xFF])
    return b"\x00\x00\xff" + head + data + bytes([-sum(data) & 0xFF, 0])


class EmulatedPn532:
    """Plugged in while entered. What it does may be changed at any time:

    `card`, `sak`: what lies on it. `behaviour`: "well", "silent", "garbage", "nak", "cut" (half an answer), "error"
    (the chip's own error frame). `deaf_s`: it hears nothing for so long after the line was opened.
    """

    def __init__(self, folder: Path, name: str = "usb-PN532-if00-port0") -> None:
        self.path = folder / name
        self.card: bytes | None = None
        self.sak = 0x08
        self.behaviour = "well"
        self.deaf_s = 0.0
        self.commands: list[int] = []
        self.cold_start()

    def cold_start(self) -> None:
        """Its power was cut."""
        self.speed, self.asleep, self.busy, self._next_speed = 115_200, False, False, 0

    @property
    def nfcpy_path(self) -> str:
        return f"tty:{self.path}:pn532"

    def plug(self) -> None:
        self._master, self._slave_name = self._new_line()
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        self.path.symlink_to(self._slave_name)
        self._unplugged = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(self._master, self._unplugged), daemon=True)
        self._thread.start()

    def _new_line(self) -> tuple[int, str]:
        master, slave = pty.openpty()
        name = os.ttyname(slave)
        os.close(slave)
        return master, name

    def unplug(self) -> None:
        """The device file vanishes, and its power."""
        self._unplugged.set()
        self._thread.join(10)
        os.close(self._master)
        self.cold_start()

    def __enter__(self) -> Self:
        self.plug()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if not self._unplugged.is_set():
            self.unplug()

    # --- the line -----------------------------------------------------------------------------------------------

    def _serve(self, master: int, unplugged: threading.Event) -> None:
        pending, opened_s, poll = b"", 0.0, select.poll()
        poll.register(master, select.POLLIN)
        is_open = False
        while not unplugged.is_set():
            events = dict(poll.poll(20)).get(master, 0)
            if events & select.POLLHUP and not events & select.POLLIN:
                is_open, pending = False, b""
                time.sleep(0.002)
                continue
            if not is_open:
                is_open, opened_s = True, time.monotonic()
            if not events & select.POLLIN:
                continue
            try:
                heard = os.read(master, 4096)
            except OSError:
                continue
            # the acknowledgement that ends a change of speed may be read here when the line has changed over already
            heard_at = TERMIOS.get(termios.tcgetattr(master)[4])
            if time.monotonic() - opened_s < self.deaf_s or heard_at not in (self.speed, self._next_speed):
                pending = b""
            else:
                pending = self._hear(master, pending + heard)

    def _hear(self, master: int, pending: bytes) -> bytes:
        """Takes whole frames from what was heard; what is left of it."""
        if self.asleep:
            self.asleep = False  # the line moved: the chip wakes, and has missed this
            if not pending.startswith(b"\x55"):
                return b""
        while (start := pending.find(b"\x00\x00\xff")) >= 0:
            pending = pending[start:]
            if pending.startswith(ACK):
                pending = pending[len(ACK) :]
                self.busy = False
                if self._next_speed:
                    self.speed, self._next_speed = self._next_speed, 0
                continue
            extended = pending[3:5] == b"\xff\xff"
            head = 8 if extended else 5
            if len(pending) < head:
                break
            length = int.from_bytes(pending[5:7]) if extended else pending[3]
            if len(pending) < head + length + 1:
                break
            data, pending = pending[head : head + length], pending[head + length + 2 :]
            self._obey(master, data)
        return pending[-300:]

    def _obey(self, master: int, data: bytes) -> None:
        self.commands.append(data[1])
        if self.busy or self.behaviour == "silent":
            return
        if self.behaviour == "garbage":
            os.write(master, bytes.fromhex("ff13ff0042") * 3)
        elif self.behaviour == "nak":
            os.write(master, NAK)
        elif self.behaviour == "error":
            os.write(master, ACK + frame(b"\x7f"))
        else:
            answer = frame(bytes([0xD5, data[1] + 1]) + self._answer(data[1], data[2:]))
            os.write(master, ACK + (answer[: len(answer) // 2] if self.behaviour == "cut" else answer))

    # --- the chip -----------------------------------------------------------------------------------------------

    def _answer(self, command: int, data: bytes) -> bytes:
        match command:
            case 0x00:  # Diagnose: the line test comes back as it is
                return data
            case 0x02:  # GetFirmwareVersion: PN532 1.6
                return bytes.fromhex("32010607")
            case 0x06:  # ReadRegister
                registers = [int.from_bytes(data[at : at + 2]) for at in range(0, len(data), 2)]
                return bytes(SENS_REQ if register == FIFO_DATA else 0 for register in registers)
            case 0x10:  # SetSerialBaudRate: takes effect at the host's acknowledgement
                self._next_speed = SPEEDS[data[0]]
                return b""
            case 0x16:  # PowerDown
                self.asleep = True
                return b"\x00"
            case 0x4A:
                return self._list_passive_target(data)
            case _:  # SAMConfiguration, SetParameters, RFConfiguration, WriteRegister
                return b""

    def _list_passive_target(self, data: bytes) -> bytes:
        if self.card is None or data[1] != 0x00:
            return b"\x00"
        sens_res = {4: "0004", 7: "0044", 10: "0084"}.get(len(self.card), "0004")
        return bytes([1, 1]) + bytes.fromhex(sens_res) + bytes([self.sak, len(self.card)]) + self.card
