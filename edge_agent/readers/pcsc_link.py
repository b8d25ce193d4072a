"""Commands to the reader itself: by which way they go at the moment, and those that it needs at its start."""

from collections.abc import Iterable

import structlog

from edge_agent.readers.pcsc_service import CardGone, CardMute, ControlRefused, Slot, TransferFailed
from firmware_profiles import Command, Escape, Send, StartupStep

TRIES = 3
"""Of a start-up step whose transfer fails; then it counts as failed."""

_UNSUPPORTED = 0x8010001F

log = structlog.get_logger(__name__)


class NoWay(Exception):
    """The command cannot be sent now: no card is there to send it past, or the driver passes no escape commands on."""


class Link:
    """The way to one reader. Once the driver has refused an escape command, none is tried until the reader is opened
    again: `refused` says why, for people."""

    def __init__(self, slot: Slot, escape: Escape | None) -> None:
        self.refused = ""
        self._slot = slot
        self._escape = escape
        self._escape_works = False

    def send(self, send: Send, raw: bytes) -> bytes:
        """The whole answer. Raises NoWay, TransferFailed, and Lost when the reader is gone."""
        if send is not Send.ESCAPE and self._slot.present:
            try:
                return self._slot.transmit(raw)
            except CardMute:
                pass
            except CardGone:
                if send is Send.APDU:
                    raise NoWay from None
        if send is Send.APDU or self._escape is None or self.refused:
            raise NoWay
        return self._control(self._escape, raw)

    def _control(self, escape: Escape, raw: bytes) -> bytes:
        try:
            answer = self._slot.control(escape.control_code, raw)
        except CardGone:  # in this very moment; the service will tell
            raise NoWay from None
        except ControlRefused as refusal:
            if self._escape_works:
                raise TransferFailed(str(refusal)) from None
            self.refused = _refusal(escape, refusal)
            raise NoWay from None
        self._escape_works = True
        return answer


def _refusal(escape: Escape, refusal: ControlRefused) -> str:
    if refusal.code == _UNSUPPORTED:
        return f"the driver knows no escape commands ({refusal})"
    needs = f"; they need bit {escape.driver_option:#04x} of its ifdDriverOptions" if escape.driver_option else ""
    return f"the driver passes no escape commands on ({refusal}){needs}"


class Startup:
    """The start-up steps of one reader, sent in order, each as soon as there is a way."""

    def __init__(self, reader: str, steps: Iterable[StartupStep], link: Link) -> None:
        self.answers: dict[str, bytes] = {}
        self.failed: dict[str, str] = {}
        """By step, what went wrong."""
        self._reader = reader
        self._link = link
        self._pending = list(steps)
        self._tries: dict[str, int] = {}

    def run(self) -> None:
        """Sends what can be sent now. Raises Lost."""
        for step in tuple(self._pending):
            try:
                failure = self._send(step)
            except NoWay:
                continue
            except TransferFailed as error:
                self._tries[step.name] = self._tries.get(step.name, 0) + 1
                if self._tries[step.name] < TRIES:
                    continue
                failure = str(error)
            self._ended(step, failure)

    def _send(self, step: StartupStep) -> str:
        """What went wrong; empty for nothing."""
        if step.unless is not None:
            answer = self._link.send(step.send, step.unless.command.raw)
            if any(pattern.fits(answer) for pattern in step.unless.expect):
                return ""
        answer = self._link.send(step.send, step.command.raw)
        if not step.obeyed(answer):
            return said(answer)
        self.answers[step.name] = answer
        return ""

    def _ended(self, step: StartupStep, failure: str) -> None:
        if failure and self.failed.get(step.name) != failure:
            log.warning("start-up step failed", reader=self._reader, step=step.name, why=failure)
        if failure:
            self.failed[step.name] = failure
        else:
            self.failed.pop(step.name, None)
        if not failure or step.tolerable:
            self._pending.remove(step)

    @property
    def in_the_way(self) -> str:
        """Why no card may be read: a step failed that must not. It is tried again whenever `run` is called."""
        failing = (f"{step.name}: {self.failed[step.name]}" for step in self._pending if step.name in self.failed)
        return ", ".join(failing)


def said(answer: bytes) -> str:
    """A reader's own answer for people; it holds nothing of a card."""
    return f"answered {answer[:16].hex().upper()}" if answer else "answered nothing"


def command_failed(command: Command, answer: bytes) -> str:
    """What went wrong with a command; empty for nothing."""
    return "" if command.obeyed(answer) else said(answer)
