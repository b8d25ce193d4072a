"""A reader behind the PC/SC service, watched with a status loop of our own.

pyscard's CardMonitor is not enough: it compares cards by ATR, and two MIFARE Classic cards have the same one;
after a restart of the service its thread is dead. Here the service's event counter shows a swap that left no
"empty" behind, and a card that lies there is read again, which shows a swap the service never noticed.

What cannot be seen: a card that came and went before the service had powered it up, or while the tap before
it was still being decided; a swap that the reader itself hid by answering GET UID from memory; and the same
card taken away and put back before the service noticed, which counts as one presentation.
"""

import threading
import time
from collections.abc import Callable

import structlog

from edge_agent.readers import CardRead, OnRead, OnState, ReaderFacts, ReaderState
from edge_agent.readers.pcsc_service import CardGone, CardMute, Lost, Service, Slot, TransferFailed
from edge_agent.readers.presentation import RETRY_PAUSE_S, Presentation, StateReport, Verdict
from firmware_profiles import Matched, Profile, ProfileBook
from protocol.uid import LENGTHS

IDLE_MS = 400
"""Longest wait for the service, so that `stop` is seen. The service answers at once when a card comes."""

LOOK_S = 0.4
"""Between two looks for a reader that is not plugged in."""

FIRST_DELAY_S, LONGEST_DELAY_S = 0.1, 2.0
"""Back-off between attempts to reach the service: a gate has to be back soon after it is."""

WEDGED_AFTER_S = 3.0
"""A card reported present that cannot be reached for so long means a hanging reader, not a card being pulled."""

log = structlog.get_logger(__name__)


class PcscReader:
    """The contactless reader whose PC/SC name contains `match`; without `match`, the first one there is.

    Interfaces that the profile skips (SAM, contact slot) are taken only when `match` fits nothing else.
    `profile_name` is the profile that the settings ask for; without it, `book` finds one. A card that lies on the
    reader when watching starts, or when the service comes back, is a tap: whether it is a new one, nothing can tell.
    """

    def __init__(
        self, name: str, match: str | None = None, profile_name: str | None = None, book: ProfileBook | None = None
    ) -> None:
        self.name = name
        self._match = match
        self._profile_name = profile_name
        self._book = book or ProfileBook()
        self._facts = ReaderFacts()
        self._beat_s = time.monotonic()
        self._orders = _Orders()

    def facts(self) -> ReaderFacts:
        return self._facts

    def beat_s(self) -> float:
        """Moves at least every 2.4 s while nothing hangs and no tap is being decided."""
        return self._beat_s

    def reopen(self) -> None:
        self._orders.reopen.set()

    def re_establish(self) -> None:
        self._orders.re_establish.set()
        self._orders.reopen.set()

    def use_profiles(self, book: ProfileBook) -> None:
        self._book = book
        self._orders.reopen.set()

    def run(self, on_read: OnRead, on_state: OnState, stop: threading.Event) -> None:
        """See `Reader.run`. Waits end within 0.4 s of `stop`; a transfer that hangs in a driver cannot be ended."""
        report = StateReport(self.name, on_state)
        report.say(ReaderState.STARTING)
        delay_s = FIRST_DELAY_S
        while not stop.is_set():
            self._beat()
            started_s = time.monotonic()
            try:
                with Service() as service:
                    self._orders.re_establish.clear()
                    self._serve(service, on_read, report, stop)
            except (Lost, CardGone, CardMute, TransferFailed) as error:
                report.say(ReaderState.ABSENT, str(error) or "the PC/SC service does not answer")
            if time.monotonic() - started_s > LONGEST_DELAY_S:
                delay_s = FIRST_DELAY_S
            stop.wait(delay_s)
            delay_s = min(delay_s * 2, LONGEST_DELAY_S)

    def _serve(self, service: Service, on_read: OnRead, report: StateReport, stop: threading.Event) -> None:
        while not stop.is_set() and not self._orders.re_establish.is_set():
            self._beat()
            self._orders.reopen.clear()
            reader_name = self._choose(service.reader_names())
            if reader_name is None:
                report.say(ReaderState.ABSENT, "no such reader is plugged in")
                stop.wait(LOOK_S)
                continue
            slot = Slot(service, reader_name)
            matched = self._matched(reader_name)
            self._facts = ReaderFacts(reader_name, matched.label, matched.why)
            watch = _Watch(self.name, slot, matched.profile, self._going(stop), stop)
            try:
                watch.run(on_read, report)
            finally:
                slot.disconnect()

    def _going(self, stop: threading.Event) -> Callable[[], bool]:
        def going() -> bool:
            self._beat()
            return not stop.is_set() and not self._orders.reopen.is_set()

        return going

    def _beat(self) -> None:
        self._beat_s = time.monotonic()

    def _matched(self, reader_name: str) -> Matched:
        asked = self._book.named(self._profile_name) if self._profile_name else None
        return asked or self._book.match(reader_name)

    def _choose(self, reader_names: list[str]) -> str | None:
        named = [name for name in reader_names if self._match is None or self._match in name]
        contactless = [name for name in named if not self._matched(name).profile.skips(name)]
        if not contactless and self._match is not None:
            contactless = named
        return contactless[0] if contactless else None


class _Orders:
    """What other threads asked of the reader's own."""

    def __init__(self) -> None:
        self.reopen = threading.Event()
        self.re_establish = threading.Event()


class _Watch:
    """Watches one slot until it is lost or `going` ends: when to read, and what a failed read means."""

    def __init__(
        self, name: str, slot: Slot, profile: Profile, going: Callable[[], bool], stop: threading.Event
    ) -> None:
        self._name = name
        self._going = going
        self._slot = slot
        self._profile = profile
        self._stop = stop
        self._card = Presentation(profile.stable_reads)
        self._reached_s = 0.0

    def run(self, on_read: OnRead, report: StateReport) -> None:
        changed = self._slot.wait(0)
        report.say(ReaderState.READY)
        next_look_s = 0.0
        while self._going():
            if changed:
                self._card.gone()
                self._slot.disconnect()
                self._reached_s = time.monotonic()
                report.say(ReaderState.READY)
                self._stop.wait(self._profile.settle_ms / 1000 if self._slot.present else 0)
            # The wait below may end early, without a change: keep to the interval.
            if self._slot.present and (changed or time.monotonic() >= next_look_s):
                self._look(on_read, report)
                next_look_s = time.monotonic() + self._profile.poll_ms / 1000
            changed = self._slot.wait(min(self._profile.poll_ms, IDLE_MS) if self._slot.present else IDLE_MS)

    def _look(self, on_read: OnRead, report: StateReport) -> None:
        """Reads until the card is told, known, or gone."""
        while not self._stop.is_set():
            try:
                raw = self._read_uid()
            except CardGone:
                return
            except TransferFailed:
                self._failed(report)
                return
            if raw is None:
                return
            self._reached_s = time.monotonic()
            report.say(ReaderState.READY)
            verdict = self._card.see(raw)
            if verdict is Verdict.TAP:
                on_read(CardRead(self._name, self._card.raw, atr=self._slot.atr))
            if verdict is not Verdict.AGAIN:
                return
            if len(raw) not in LENGTHS:
                self._stop.wait(RETRY_PAUSE_S)

    def _read_uid(self) -> bytes | None:
        """The UID as the reader gives it, empty when it gives an error; None when it says "no card"."""
        command = self._profile.uid_command.raw
        try:
            data, sw1, sw2 = self._slot.transmit(command)
            if sw1 == 0x6C:  # ISO 7816-4: wrong length, the right one is SW2
                data, sw1, sw2 = self._slot.transmit(command[:-1] + bytes([sw2]))
        except CardMute:
            return b""
        status = self._profile.status
        if any(word.fits(sw1, sw2) for word in status.success):
            return data
        if any(word.fits(sw1, sw2) for word in status.no_card):
            return None
        if not any(word.fits(sw1, sw2) for word in status.failure):
            log.warning("status word in no profile", reader=self._name, profile=self._profile.name, sw1=sw1, sw2=sw2)
        return b""

    def _failed(self, report: StateReport) -> None:
        """The next status tells whether the card left; while it stays "present", every look tries again."""
        if time.monotonic() - self._reached_s >= WEDGED_AFTER_S:
            report.say(ReaderState.WEDGED, "the reader reports a card and does not answer")
