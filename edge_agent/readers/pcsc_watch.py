"""One PC/SC slot while it lasts: when to read, what a failed read means, and what light and sound come after."""

import threading
import time
from collections.abc import Callable

import structlog

from edge_agent.readers import CardRead, OnRead, ReaderState
from edge_agent.readers.lights import Lights
from edge_agent.readers.pcsc_link import Link, NoWay, Startup, command_failed
from edge_agent.readers.pcsc_relay import Relay
from edge_agent.readers.pcsc_service import CardGone, CardMute, Slot, TransferFailed
from edge_agent.readers.presentation import RETRY_PAUSE_S, Presentation, StateReport, Verdict
from firmware_profiles import PatternName, Profile, Step
from protocol.uid import LENGTHS

IDLE_MS = 400
"""Longest wait for the service, so that `stop` is seen. The service answers at once when a card comes."""

WEDGED_AFTER_S = 3.0
"""A card reported present that cannot be reached for so long means a hanging reader, not a card being pulled."""

log = structlog.get_logger(__name__)


class Watch:
    """Watches one slot until it is lost, or `going` says that it is enough; `going` is asked often.

    `on_firmware` is told the firmware when it is read. `why` of READY says what does not work beside the reading.
    `before` watched the same slot: where no card came or went since, the one that lies there is not told again.
    """

    def __init__(
        self,
        name: str,
        slot: Slot,
        profile: Profile,
        going: Callable[[], bool],
        stop: threading.Event,
        on_firmware: Callable[[str], None],
        before: "Watch | None" = None,
    ) -> None:
        if profile.pcsc is None:
            raise ValueError(f"the profile {profile.name!r} is not for PC/SC")
        self._name, self._slot, self._profile, self._pcsc = name, slot, profile, profile.pcsc
        self._going, self._stop, self._on_firmware = going, stop, on_firmware
        self._before = before
        self._card: Presentation = before._card if before is not None else Presentation(profile.stable_reads)
        self._card.stable_reads = profile.stable_reads
        self._link = Link(slot, self._pcsc.escape)
        self._startup = Startup(name, self._pcsc.startup, self._link)
        self._lights = Lights(self._pcsc.lights)
        self.relay = Relay(self._pcsc.relay, self._link)
        self._firmware_told = False
        self._reached_s = 0.0

    def run(self, on_read: OnRead, report: StateReport) -> None:
        """Raises Lost."""
        changed = self._first_look()
        self._reached_s = time.monotonic()
        self._begin()
        self._show(PatternName.READY)
        next_look_s = 0.0
        while self._going():
            if changed:
                self._card_changed()
            # The wait below may end early, without a change: keep to the interval.
            if changed or time.monotonic() >= next_look_s:
                self._look(on_read, report)
                next_look_s = time.monotonic() + self._profile.poll_ms / 1000
            self._play()
            self.relay.work()
            changed = self._slot.wait(self._wait_ms())
        if changed:
            self._card.gone()
        if self._stop.is_set():
            self._show(PatternName.OFF)

    def _first_look(self) -> bool:
        """Whether the card that lies there, if any, has to be read as one that just came."""
        self._slot.wait(0)
        before, self._before = self._before, None
        if before is not None and before._slot.comings_and_goings == self._slot.comings_and_goings:
            return False
        self._card.gone()
        return self._slot.present

    def _wait_ms(self) -> int:
        longest_ms = min(self._profile.poll_ms, IDLE_MS) if self._slot.present else IDLE_MS
        light_s = self._lights.wait_s(time.monotonic())
        return longest_ms if light_s is None else min(longest_ms, int(light_s * 1000) + 1)

    def _card_changed(self) -> None:
        self._card.gone()
        self._slot.disconnect()
        self._reached_s = time.monotonic()
        self._stop.wait(self._profile.settle_ms / 1000 if self._slot.present else 0)

    def _begin(self) -> None:
        self._startup.run()
        firmware = self._pcsc.firmware
        if firmware is not None and not self._firmware_told and firmware.step in self._startup.answers:
            self._firmware_told = True
            self._on_firmware(firmware.read(self._startup.answers[firmware.step]))

    def _ready(self, report: StateReport) -> None:
        lights = f"light and sound given up: {self._lights.given_up}" if self._lights.given_up else ""
        steps = [f"start-up step {step}: {why}" for step, why in self._startup.failed.items()]
        report.say(ReaderState.READY, "; ".join(filter(None, (self._link.refused, *steps, lights))))

    # --- reading ------------------------------------------------------------------------------------------------------

    def _look(self, on_read: OnRead, report: StateReport) -> None:
        """Reads until the card is told, known, or gone; not at all while something fails that the reader needs."""
        self._begin()
        if self._startup.in_the_way:
            report.say(ReaderState.WEDGED, f"start-up step {self._startup.in_the_way}")
            return
        if not self._slot.present:  # with a card there, ready once it was reached: a hanging reader reports cards too
            self._ready(report)
            return
        while self._going():
            try:
                raw = self._read_uid()
            except CardGone:
                return
            except TransferFailed:
                self._failed(report)
                return
            self._reached_s = time.monotonic()
            self._ready(report)
            if raw is None:
                return
            verdict = self._card.see(raw)
            if verdict is Verdict.TAP:
                answer = on_read(CardRead(self._name, self._card.raw, atr=self._slot.atr))
                self._show(PatternName(answer))  # not before: by now the tap is decided and on disk
            if verdict is not Verdict.AGAIN:
                return
            if len(raw) not in LENGTHS:
                self._stop.wait(RETRY_PAUSE_S)

    def _read_uid(self) -> bytes | None:
        """The UID as the reader gives it, empty when it gives an error; None when it says "no card"."""
        command = self._pcsc.uid_command.raw
        try:
            data, sw1, sw2 = _parted(self._slot.transmit(command))
            if sw1 == 0x6C:  # ISO 7816-4: wrong length, the right one is SW2
                data, sw1, sw2 = _parted(self._slot.transmit(command[:-1] + bytes([sw2])))
        except CardMute:
            return b""
        status = self._pcsc.status
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

    # --- light and sound ----------------------------------------------------------------------------------------------

    def _show(self, pattern: PatternName) -> None:
        self._lights.show(pattern, time.monotonic())
        self._play()

    def _play(self) -> None:
        """Sends what is due. What fails here is counted and forgotten: cards are read all the same."""
        while (step := self._lights.due(time.monotonic())) is not None:
            started_s = time.monotonic()
            try:
                failure = self._sent(step)
            except NoWay:
                continue
            self._lights.sent(step, time.monotonic() - started_s, failure)
            if self._lights.given_up:
                log.warning("light and sound given up", reader=self._name, why=self._lights.given_up)

    def _sent(self, step: Step) -> str:
        try:
            return command_failed(step, self._link.send(step.send, step.command.raw))
        except TransferFailed as error:
            return str(error)


def _parted(answer: bytes) -> tuple[bytes, int, int]:
    """Data, SW1, SW2."""
    return (answer[:-2], answer[-2], answer[-1]) if len(answer) >= 2 else (b"", 0, 0)
