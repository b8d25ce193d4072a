"""A reader without hardware: taps come as lines from a script file, a FIFO or standard input.

One line a tap: the UID in hexadecimal with any separators, then `sak=20` or `atr=3B8F…` where wanted.
`wait SECONDS` pauses; `#` starts a comment. A line that says none of this is logged by number and passed over.
"""

import os
import select
import stat
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

import structlog

from edge_agent.readers import CardRead, OnRead, OnState, ReaderFacts, ReaderState
from edge_agent.readers.presentation import StateReport
from firmware_profiles import ProfileBook

LONGEST_UID = 10
"""Bytes. Shorter ones than a card has are let through: they show what an unreadable card does."""

LONGEST_LINE = 1024
LONGEST_WAIT_S = 86_400.0
_LOOK_S = 0.3

log = structlog.get_logger(__name__)


class Wait(NamedTuple):
    """A pause in a script."""

    seconds: float


def parse_line(reader: str, line: str) -> CardRead | Wait | None:
    """What one line asks for; None for a blank line or a comment. Raises ValueError saying what is wrong.

    The text of the error never holds what the line held: it may be a UID.
    """
    words = line.partition("#")[0].split()
    if not words:
        return None
    if words[0].lower() == "wait":
        return Wait(_seconds(words[1:]))
    options = dict(word.lower().split("=", 1) for word in words if "=" in word)
    if unknown := options.keys() - {"sak", "atr"}:
        raise ValueError(f"{len(unknown)} unknown option(s): only sak= and atr= are known")
    raw = _hex("UID", "".join(word for word in words if "=" not in word))
    if not 1 <= len(raw) <= LONGEST_UID:
        raise ValueError(f"a UID of {len(raw)} bytes")
    sak = _hex("sak", options["sak"]) if "sak" in options else None
    if sak is not None and len(sak) != 1:
        raise ValueError("sak is one byte")
    return CardRead(reader, raw, _hex("atr", options.get("atr", "")), sak[0] if sak else None)


def _seconds(words: list[str]) -> float:
    try:
        (seconds,) = (float(word) for word in words)
    except ValueError:
        raise ValueError("wait takes one number of seconds") from None
    if not 0 <= seconds <= LONGEST_WAIT_S:  # also false for nan
        raise ValueError("wait is 0 to 86400 seconds")
    return seconds


def _hex(what: str, text: str) -> bytes:
    try:
        return bytes.fromhex(text.translate(str.maketrans("", "", ":-.,_")))
    except ValueError:
        raise ValueError(f"the {what} is not pairs of hexadecimal digits") from None


class _SourceLost(Exception):
    """The source was opened and cannot be read, as a directory cannot."""


class SimulatedReader:
    """A reader whose cards are lines of `source`: a path of a file or FIFO, or "-" for standard input.

    Each line is a tap, the same UID twice is two. A FIFO is held open, so writers may come and go; at the
    end of a file the reader stays READY until it is stopped. A source that is not there yet is waited for.
    """

    def __init__(self, name: str, source: str) -> None:
        self.name = name
        self._source = source
        self._beat_s = time.monotonic()
        self._again = threading.Event()

    def run(self, on_read: OnRead, on_state: OnState, stop: threading.Event) -> None:
        """See `Reader.run`. A pause or a quiet source ends within 0.3 s of `stop`."""
        report = StateReport(self.name, on_state)
        report.say(ReaderState.STARTING)
        while not stop.is_set():
            self._again.clear()
            try:
                source = self._open()
            except OSError as error:
                report.say(ReaderState.ABSENT, f"{self._source}: {error.strerror}")
                self._pause(_LOOK_S, stop)
                continue
            report.say(ReaderState.READY)
            try:
                self._play(source, on_read, stop)
            except _SourceLost as lost:
                report.say(ReaderState.WEDGED, f"{self._source}: {lost}")
            finally:
                if self._source != "-":
                    os.close(source)
            self._pause(float("inf"), stop)

    def facts(self) -> ReaderFacts:
        """The source stands for hardware; there is no profile and no firmware."""
        return ReaderFacts(hardware=self._source)

    def beat_s(self) -> float:
        return self._beat_s

    def reopen(self) -> None:
        """The source is opened again; a script begins again."""
        self._again.set()

    def re_establish(self) -> None:
        """There is nothing below the source."""
        self._again.set()

    def use_profiles(self, book: ProfileBook) -> None:
        """Lines need none."""

    def _pause(self, seconds: float, stop: threading.Event) -> None:
        """Ends early when the reader is to stop or to open again."""
        end_s = time.monotonic() + seconds
        while not self._again.is_set():
            self._beat_s = time.monotonic()
            if stop.wait(max(0.0, min(_LOOK_S, end_s - self._beat_s))) or time.monotonic() >= end_s:
                return

    def _open(self) -> int:
        if self._source == "-":
            return 0
        # Linux: opening a FIFO for writing as well means that it never ends when a writer leaves.
        is_fifo = stat.S_ISFIFO(os.stat(self._source).st_mode)
        return os.open(self._source, os.O_CLOEXEC | (os.O_RDWR if is_fifo else os.O_RDONLY))

    def _play(self, source: int, on_read: OnRead, stop: threading.Event) -> None:
        for number, line in enumerate(self._lines(source, stop), start=1):
            try:
                if len(line) > LONGEST_LINE:
                    raise ValueError(f"longer than {LONGEST_LINE} bytes")
                step = parse_line(self.name, line.decode())
            except UnicodeDecodeError:
                log.warning("simulated line passed over", reader=self.name, line=number, why="not UTF-8")
            except ValueError as error:
                log.warning("simulated line passed over", reader=self.name, line=number, why=str(error))
            else:
                if isinstance(step, Wait):
                    self._pause(step.seconds, stop)
                elif step is not None:
                    on_read(step)
            if stop.is_set() or self._again.is_set():
                return

    def _lines(self, source: int, stop: threading.Event) -> Iterator[bytes]:
        """The lines of a file descriptor as they come, until its end or `stop`. An overlong one is cut short."""
        pending = b""
        poll = select.poll()
        poll.register(source, select.POLLIN)
        while not (stop.is_set() or self._again.is_set()):
            self._beat_s = time.monotonic()
            if not poll.poll(_LOOK_S * 1000):
                continue
            try:
                chunk = os.read(source, 4096)
            except OSError as error:
                raise _SourceLost(error.strerror) from error
            *whole, pending = (pending + chunk).split(b"\n")
            yield from whole
            pending = pending[: LONGEST_LINE + 1]  # enough to be refused when its end comes; never more memory
            if not chunk:
                if pending:
                    yield pending
                return
