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
from typing import NamedTuple

from edge_agent.readers import OnRead, OnState, ReaderFacts, ReaderState
from edge_agent.readers.choosing import choose
from edge_agent.readers.pcsc_service import CardGone, CardMute, Lost, Service, Slot, TransferFailed
from edge_agent.readers.pcsc_usb import usb_id
from edge_agent.readers.pcsc_watch import Watch
from edge_agent.readers.presentation import StateReport
from edge_agent.release import ReleaseFailed
from firmware_profiles import Matched, ProfileBook

LOOK_S = 0.4
"""Between two looks for a reader that is not plugged in."""

FIRST_DELAY_S, LONGEST_DELAY_S = 0.1, 2.0
"""Back-off between attempts to reach the service: a gate has to be back soon after it is."""


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
        self._watch: Watch | None = None
        self._plugged = _Plugged()
        self._matched: Matched | None = None
        self._facts = ReaderFacts()
        self._beat_s = time.monotonic()
        self._orders = _Orders()

    def facts(self) -> ReaderFacts:
        """Of the reader that is there, or was there last."""
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
        """The reader is opened again only where it gets another profile, or the same with other contents."""
        self._book = book
        self._match_again()

    def play_relay(self) -> None:
        """Frees the way through the relay of the reader itself. From any thread. Raises ReleaseFailed."""
        watch = self._watch
        if watch is None:
            raise ReleaseFailed(f"the reader {self.name!r} is not there")
        watch.relay.play()

    def run(self, on_read: OnRead, on_state: OnState, stop: threading.Event) -> None:
        """See `Reader.run`. Waits end within 0.4 s of `stop`; a transfer that hangs in a driver cannot be ended."""
        report = StateReport(self.name, on_state)
        report.say(ReaderState.STARTING)
        delay_s = FIRST_DELAY_S
        while not stop.is_set():
            self._beat_s = started_s = time.monotonic()
            try:
                with Service() as service:
                    self._orders.re_establish.clear()
                    self._serve(service, on_read, report, stop)
            except (Lost, CardGone, CardMute, TransferFailed) as error:
                report.say(ReaderState.ABSENT, str(error) or "the PC/SC service does not answer")
            self._plugged = _Plugged()  # what comes back may be another one
            if time.monotonic() - started_s > LONGEST_DELAY_S:
                delay_s = FIRST_DELAY_S
            stop.wait(delay_s)
            delay_s = min(delay_s * 2, LONGEST_DELAY_S)

    def _serve(self, service: Service, on_read: OnRead, report: StateReport, stop: threading.Event) -> None:
        watch: Watch | None = None
        while not stop.is_set() and not self._orders.re_establish.is_set():
            self._beat_s = time.monotonic()
            self._orders.reopen.clear()
            reader_name = self._choose(service.reader_names())
            if reader_name is None:
                report.say(ReaderState.ABSENT, "no such reader is plugged in")
                self._plugged = _Plugged()
                stop.wait(LOOK_S)
                continue
            report.say(ReaderState.STARTING)
            slot = Slot(service, reader_name)
            if self._plugged.reader_name != reader_name:
                self._plugged, watch = _Plugged(reader_name, usb_id(slot.channel())), None
            self._watch = watch = self._open(slot, stop, watch)
            try:
                watch.run(on_read, report)
            finally:
                self._watch = None
                slot.disconnect()

    def _open(self, slot: Slot, stop: threading.Event, before: Watch | None) -> Watch:
        self._matched = matched = self._match_profile(self._plugged)
        self._tell()

        def going() -> bool:
            self._beat_s = time.monotonic()
            return not stop.is_set() and not self._orders.reopen.is_set()

        return Watch(self.name, slot, matched.profile, going, stop, self._firmware_read, before)

    def _firmware_read(self, firmware: str) -> None:
        """The profile that read it may not have been written for it: then the reader is opened with another one, once.
        Two profiles that each read a firmware which only the other is for must not take turns."""
        is_first, self._plugged = not self._plugged.firmware, self._plugged._replace(firmware=firmware)
        if is_first:
            self._match_again()
        self._tell()

    def _match_again(self) -> None:
        if self._matched is None:
            return
        matched, before = self._match_profile(self._plugged), self._matched
        if matched.profile != before.profile:
            self._orders.reopen.set()
        else:
            self._matched = matched
            self._tell()

    def _tell(self) -> None:
        if self._matched is not None:
            name, _, firmware = self._plugged
            self._facts = ReaderFacts(name, self._matched.label, self._matched.why, firmware)

    def _match_profile(self, plugged: "_Plugged") -> Matched:
        found = self._book.match(*plugged, transport="pcsc")
        if not self._profile_name:
            return found
        asked = self._book.named(self._profile_name)
        if asked is None:
            return found._replace(why=f"{found.why}; there is no profile {self._profile_name!r}")
        if asked.profile.pcsc is None:
            return found._replace(why=f"{found.why}; {self._profile_name!r} is for nfcpy")
        refusal = asked.profile.refusal(plugged.firmware)
        return asked._replace(why=f"settings, though it {refusal}") if refusal else asked

    def _choose(self, reader_names: list[str]) -> str | None:
        return choose(reader_names, self._match, lambda name: self._match_profile(_Plugged(name)).profile)


class _Plugged(NamedTuple):
    """What stands behind the slot, as far as it is known."""

    reader_name: str = ""
    usb: str = ""
    firmware: str = ""


class _Orders:
    """What other threads asked of the reader's own."""

    def __init__(self) -> None:
        self.reopen = threading.Event()
        self.re_establish = threading.Event()
