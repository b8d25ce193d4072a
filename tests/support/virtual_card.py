"""The card side of vsmartcard's virtual reader: what a card does is one function from command to answer."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import BinaryIO

CLASSIC_1K = bytes.fromhex("3B8F8001804F0CA000000306030001000000006A")

Answer = Callable[[bytes], bytes | None]
"""Command APDU to answer with status word; None pulls the card without an answer."""


def uid_card(uid: bytes) -> Answer:
    return lambda command: uid + b"\x90\x00"


def in_turn(*answers: bytes | None) -> Answer:
    """One answer a command; the last one for ever."""
    left = list(answers)
    return lambda command: left.pop(0) if len(left) > 1 else left[0]


class VirtualCard:
    """A card lying on the reader from construction until `pull`. `answer` may be replaced at any time."""

    def __init__(self, connection: socket.socket, answer: Answer, atr: bytes = CLASSIC_1K) -> None:
        self.answer = answer
        self.commands: list[bytes] = []
        self._atr = atr
        self._connection = connection
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def pull(self) -> None:
        with contextlib.suppress(OSError):  # the service was killed first
            self._connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)

    def wait_for_commands(self, more: int, deadline_s: float = 20) -> None:
        """Until the reader has asked this card `more` times more."""
        target, end = len(self.commands) + more, time.monotonic() + deadline_s
        while len(self.commands) < target:
            assert time.monotonic() < end, f"the card was asked {len(self.commands)} times, not {target}"
            time.sleep(0.01)

    def _read(self, stream: BinaryIO, count: int) -> bytes:
        # Linux: the driver sends length and message apart, and the second only when the first was acknowledged,
        # which otherwise takes 40 ms. Anything that is sent turns this off again.
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return stream.read(count)

    def _serve(self) -> None:
        with self._connection, self._connection.makefile("rb") as stream:
            try:
                while len(header := self._read(stream, 2)) == 2:
                    message = self._read(stream, int.from_bytes(header))
                    if len(message) == 1:  # power off, on, reset: no answer; 4: the ATR
                        answer: bytes | None = self._atr if message == b"\x04" else b""
                    else:
                        self.commands.append(message)
                        answer = self.answer(message)
                    if answer is None:
                        return
                    if answer:
                        self._connection.sendall(len(answer).to_bytes(2) + answer)
            except OSError:
                return
