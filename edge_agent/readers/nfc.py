"""A reader driven by nfcpy: USB readers of the PN53x and RC-S380 kind, a PN532 on a serial line, or UDP.

Only ISO/IEC 14443 type A at 106 kbit/s is looked for: both city cards are of that kind.
"""

import atexit
import importlib
import logging
import threading
import time
from typing import Any

import structlog

from edge_agent.readers import CardRead, OnRead, OnState, ReaderFacts, ReaderState
from edge_agent.readers.presentation import RETRY_PAUSE_S, Presentation, StateReport, Verdict
from edge_agent.readers.steps import ReadStep, note
from firmware_profiles import ProfileBook

try:
    _clf: Any = importlib.import_module("nfc.clf")
except ImportError as error:
    raise ImportError("the nfc reader needs nfcpy: pip install tapgate[nfc]") from error

MISSES_UNTIL_GONE = 2
"""Senses in a row without a card before it counts as removed: a card at the edge of the field misses one."""

FAILURES_UNTIL_REOPEN = 5
FIRST_DELAY_S, LONGEST_DELAY_S = 0.2, 5.0

log = structlog.get_logger(__name__)
logging.getLogger("nfc").setLevel(logging.INFO)  # its debug messages spell out UIDs
_opened: dict[str, Any] = {}


def _frontend(path: str) -> Any:
    """The one frontend of a path in this process. Raises OSError when no such reader is there.

    It outlives `NfcReader.run`: ACR122U and SCL3711 cannot be opened a second time (nfcpy issues 115, 239),
    and a PN532 on a serial line hangs when it is never closed (issue 203), hence the closing at exit.
    """
    if path not in _opened:
        _opened[path] = _clf.ContactlessFrontend(path)
        atexit.register(_opened[path].close)
    return _opened[path]


def _forget(path: str) -> None:
    frontend = _opened.pop(path, None)
    if frontend is not None:
        atexit.unregister(frontend.close)
        frontend.close()


class NfcReader:
    """One nfcpy reader at `path` (such as `usb:054c:06c3`, `tty:USB0:pn532`, `udp:127.0.0.1:54321`).

    It senses and never connects, which would send commands to the card. `poll_ms` is the pause between
    senses, with or without a card; `stable_reads` equal reads make a tap.
    """

    def __init__(self, name: str, path: str, *, stable_reads: int = 2, poll_ms: int = 100) -> None:
        self.name = name
        self._path = path
        self._stable_reads = stable_reads
        self._poll_s = poll_ms / 1000
        self._beat_s = time.monotonic()
        self._asked = threading.Event()

    def run(self, on_read: OnRead, on_state: OnState, stop: threading.Event) -> None:
        """See `Reader.run`. Over UDP, nfcpy's own wait for an absent card delays the end by up to 1 s."""
        report = StateReport(self.name, on_state)
        report.say(ReaderState.STARTING)
        card = Presentation(self._stable_reads)
        failures = misses = 0
        while not stop.is_set():
            self._beat_s = time.monotonic()
            if self._asked.is_set():
                self._asked.clear()
                _forget(self._path)
            try:
                target = self._sense()
            except Exception as error:  # drivers raise what their transport does: OSError, struct.error, …
                failures += 1
                card.gone()
                self._failed(error, failures, report)
                stop.wait(min(FIRST_DELAY_S * 2 ** min(failures - 1, 8), LONGEST_DELAY_S))
                continue
            failures = 0
            report.say(ReaderState.READY)
            misses = misses + 1 if target is None else 0
            verdict = Verdict.KNOWN
            if target is not None:
                verdict = self._judge(card, target, on_read)
            elif misses >= MISSES_UNTIL_GONE:
                card.gone()
            stop.wait(RETRY_PAUSE_S if verdict is Verdict.AGAIN else self._poll_s)

    def facts(self) -> ReaderFacts:
        return ReaderFacts(hardware=self._path)

    def beat_s(self) -> float:
        return self._beat_s

    def reopen(self) -> None:
        self._asked.set()

    def re_establish(self) -> None:
        self._asked.set()

    def use_profiles(self, book: ProfileBook) -> None:
        pass

    def _sense(self) -> Any:
        return _frontend(self._path).sense(_clf.RemoteTarget("106A"), iterations=1)

    def _judge(self, card: Presentation, target: Any, on_read: OnRead) -> Verdict:
        note(ReadStep.READ)
        verdict = card.see(bytes(target.sdd_res or b""))  # a type 1 tag has none: unreadable
        if verdict is Verdict.TAP:
            sak = target.sel_res[0] if target.sel_res else None
            on_read(CardRead(self.name, card.raw, sak=sak))
        return verdict

    def _failed(self, error: Exception, failures: int, report: StateReport) -> None:
        """Says what happened; gives the reader up for reopening only when it stays dead."""
        if self._path not in _opened:
            report.say(ReaderState.ABSENT, f"{self._path}: cannot be opened ({type(error).__name__})")
            return
        log.warning("reader failed", reader=self.name, failures=failures, error=repr(error))
        report.say(ReaderState.WEDGED, f"{self._path}: {type(error).__name__}; if it stays so, plug it in anew")
        # A reader that was unplugged never comes back on its old handle, so reopening is the last resort;
        # where reopening fails as well (see `_frontend`), restarting the agent is what helps.
        if failures % FAILURES_UNTIL_REOPEN == 0:
            _forget(self._path)
