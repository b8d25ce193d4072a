"""A reader driven by nfcpy: USB readers of the PN53x and RC-S380 kind, a PN532 on a serial line, or UDP.

Only ISO/IEC 14443 type A at 106 kbit/s is looked for: both city cards are of that kind. Light and sound are left to the
release: a PN532 has none, and nfcpy has no way to them that its readers share.
"""

import logging
import threading
import time
from typing import Any

import structlog

from edge_agent.readers import CardRead, OnRead, OnState, ReaderFacts, ReaderState
from edge_agent.readers.nfc_frontend import CannotOpen, Opened, forget, is_gone, open_frontend, type_a
from edge_agent.readers.presentation import RETRY_PAUSE_S, Presentation, StateReport, Verdict
from edge_agent.readers.steps import ReadStep, note
from firmware_profiles import Matched, ProfileBook

MISSES_UNTIL_GONE = 2
"""Senses in a row without a card before it counts as removed: a card at the edge of the field misses one."""

SENSE_S = 0.1
"""Between two looks for a card that is not there yet: a person is not kept waiting."""

STABLE_READS = 2
"""Where no profile says otherwise."""

WEDGED_AFTER_S = 2.0
"""A reader that fails for so long hangs; a single failure is passed over."""

FIRST_DELAY_S, LONGEST_DELAY_S = 0.2, 5.0
LOOK_S = 0.2
"""How soon a longer pause notices that the reader was asked for something."""

log = structlog.get_logger(__name__)
logging.getLogger("nfc").setLevel(logging.INFO)  # its debug messages spell out UIDs


class NfcReader:
    """One nfcpy reader at `path` (such as `usb:054c:06c3`, `tty:USB0:pn532`, `udp:127.0.0.1:54321`).

    It senses and never connects, which would send commands to the card. `profile_name` is the profile that the settings
    ask for; without it, `book` finds one by what was opened, or by the path.
    """

    def __init__(self, name: str, path: str, profile_name: str | None = None, book: ProfileBook | None = None) -> None:
        self.name = name
        self._path = path
        self._profile_name = profile_name
        self._book = book or ProfileBook()
        self._matched = self._match("")
        self._facts = ReaderFacts(hardware=path)
        self._opened: Opened | None = None
        self._beat_s = time.monotonic()
        self._to_reopen = threading.Event()
        self._to_begin_anew = threading.Event()
        self._to_match = threading.Event()

    def facts(self) -> ReaderFacts:
        return self._facts

    def beat_s(self) -> float:
        return self._beat_s

    def reopen(self) -> None:
        """Where the profile says that this model cannot be opened twice, it is only tried anew on its open handle."""
        self._to_reopen.set()

    def re_establish(self) -> None:
        """Closes it and opens it again, whatever the model."""
        self._to_begin_anew.set()

    def use_profiles(self, book: ProfileBook) -> None:
        self._book = book
        self._to_match.set()

    # --- the loop ---------------------------------------------------------------------------------------

    def run(self, on_read: OnRead, on_state: OnState, stop: threading.Event) -> None:
        """See `Reader.run`. Over UDP, nfcpy's own wait for an absent card delays the end by up to 1 s."""
        report = StateReport(self.name, on_state)
        report.say(ReaderState.STARTING)
        field = _Field(self._stable_reads())
        trouble = _Trouble()
        while not stop.is_set():
            self._beat_s = time.monotonic()
            self._do_as_asked(report)
            if self._to_match.is_set() and field.is_empty:  # not between the two reads of a card
                self._use(self._opened)
                field = _Field(self._stable_reads())
            try:
                opened = self._open(stop)
                target = opened.frontend.sense(type_a(), iterations=1)
            except CannotOpen as error:
                field.gone()
                self._opened = None
                report.say(ReaderState.WEDGED if error.is_there else ReaderState.ABSENT, str(error))
                self._pause(trouble.delay_s(), stop)
            except Exception as error:  # drivers raise what their transport does: OSError, struct.error, …
                if self._failed(error, trouble, report):
                    field.gone()
                self._pause(trouble.delay_s(), stop)
            else:
                trouble.over()
                report.say(ReaderState.READY)
                self._pause(self._sensed(field, target, on_read), stop)

    def _sensed(self, field: "_Field", target: Any, on_read: OnRead) -> float:
        """Judges one sense; the seconds until the next."""
        profile = self._matched.profile if self._matched is not None else None
        if target is None:
            field.nothing()
            return SENSE_S
        if field.is_empty:
            note(ReadStep.ARRIVED)
            field.arrived()
            if profile is not None and profile.settle_ms:
                return profile.settle_ms / 1_000
        note(ReadStep.READ)
        verdict = field.see(target)
        if verdict is Verdict.TAP:
            on_read(CardRead(self.name, field.raw, sak=field.sak))
        if verdict is Verdict.AGAIN:
            return RETRY_PAUSE_S
        return profile.poll_ms / 1_000 if profile is not None else SENSE_S

    def _do_as_asked(self, report: StateReport) -> None:
        nfc = self._matched.profile.nfc if self._matched is not None else None
        reopen = self._to_reopen.is_set() and not (nfc is not None and nfc.reopen_fails)
        if reopen or self._to_begin_anew.is_set():
            report.say(ReaderState.STARTING)
            forget(self._path)
            self._opened = None
        self._to_reopen.clear()
        self._to_begin_anew.clear()

    # --- opening, matching, failing ---------------------------------------------------------------------

    def _open(self, stop: threading.Event) -> Opened:
        """Raises CannotOpen."""
        if self._opened is None:
            nfc = self._matched.profile.nfc if self._matched is not None else None
            pause_s = nfc.open_pause_ms / 1_000 if nfc is not None else 0.0
            opened = open_frontend(self._path, pause_s, lambda seconds: self._pause(seconds, stop), self._book)
            self._use(opened)
            self._opened = opened
        return self._opened

    def _use(self, opened: Opened | None) -> None:
        """Matches again and takes note of what was opened."""
        self._to_match.clear()
        self._matched = self._match(opened.usb if opened is not None else "")
        label, why = (self._matched.label, self._matched.why) if self._matched is not None else ("", "")
        hardware, firmware = (opened.hardware, opened.firmware) if opened is not None else (self._path, "")
        self._facts = ReaderFacts(hardware, label, why, firmware)

    def _match(self, usb: str) -> Matched | None:
        asked = self._book.named(self._profile_name) if self._profile_name is not None else None
        return asked if asked is not None and asked.profile.nfc is not None else self._book.match_path(self._path, usb)

    def _stable_reads(self) -> int:
        return self._matched.profile.stable_reads if self._matched is not None else STABLE_READS

    def _failed(self, error: Exception, trouble: "_Trouble", report: StateReport) -> bool:
        """Says what happened. A handle whose hardware was taken away never comes back, any other may.

        False: it may pass, and a card that lies there is not told again.
        """
        log.warning("reader failed", reader=self.name, error=repr(error))
        if is_gone(self._path, error):
            report.say(ReaderState.ABSENT, f"{self._path}: it was unplugged")
            forget(self._path)
            self._opened = None
        elif trouble.lasts_s() >= WEDGED_AFTER_S:
            report.say(ReaderState.WEDGED, f"{self._path}: it does not answer as it should ({type(error).__name__})")
        else:
            return False
        return True

    def _pause(self, seconds: float, stop: threading.Event) -> None:
        """Ends early when the reader is to stop, or is asked to begin again."""
        end_s = time.monotonic() + seconds
        while not (self._to_reopen.is_set() or self._to_begin_anew.is_set()):
            self._beat_s = time.monotonic()
            left_s = end_s - self._beat_s
            if left_s <= 0 or stop.wait(min(left_s, LOOK_S)):
                return


class _Field:
    """What lies in the reader's field."""

    def __init__(self, stable_reads: int) -> None:
        self.sak: int | None = None
        self._card = Presentation(stable_reads)
        self._misses = MISSES_UNTIL_GONE

    @property
    def raw(self) -> bytes:
        return self._card.raw

    @property
    def is_empty(self) -> bool:
        return self._misses >= MISSES_UNTIL_GONE

    def gone(self) -> None:
        self._misses = MISSES_UNTIL_GONE
        self._card.gone()

    def arrived(self) -> None:
        self._misses = 0

    def nothing(self) -> None:
        """A sense to which nothing answered."""
        self._misses += 1
        if self.is_empty:
            self._card.gone()

    def see(self, target: Any) -> Verdict:
        """A sense to which nfcpy's target answered."""
        self._misses = 0
        self.sak = target.sel_res[0] if target.sel_res else None
        return self._card.see(bytes(target.sdd_res or b""))  # a type 1 tag has none: unreadable


class _Trouble:
    """How long a reader has failed, and when it is tried again."""

    def __init__(self) -> None:
        self._since_s: float | None = None
        self._failures = 0

    def over(self) -> None:
        self._since_s, self._failures = None, 0

    def lasts_s(self) -> float:
        if self._since_s is None:
            self._since_s = time.monotonic()
        return time.monotonic() - self._since_s

    def delay_s(self) -> float:
        self._failures += 1
        return float(min(FIRST_DELAY_S * 2 ** min(self._failures - 1, 8), LONGEST_DELAY_S))
