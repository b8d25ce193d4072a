"""The relay that some readers have, worked in the reader's own thread, whoever asks: two threads on one slot would
mix their commands."""

import threading
from concurrent.futures import Future
from queue import Empty, SimpleQueue

from edge_agent.readers.pcsc_link import Link, NoWay, command_failed
from edge_agent.readers.pcsc_service import Lost, TransferFailed
from edge_agent.release import ReleaseFailed
from firmware_profiles import Command

WITHIN_S = 2.0
"""Then nobody waits any more, and a command that was not begun is not sent: nobody stands there any more either."""


class Relay:
    """Made in the reader's thread. `command` as the profile has it: one that the reader itself ends."""

    def __init__(self, command: Command | None, link: Link) -> None:
        self._command = command
        self._link = link
        self._thread = threading.get_ident()
        self._asked: SimpleQueue[Future[None]] = SimpleQueue()

    def play(self) -> None:
        """Frees the way. From any thread; returns when the reader has obeyed. Raises ReleaseFailed."""
        if self._command is None:
            raise ReleaseFailed("the reader's profile has no relay")
        if threading.get_ident() == self._thread:  # a tap is being released
            self._send(self._command)
            return
        asked: Future[None] = Future()
        self._asked.put(asked)
        try:
            asked.result(WITHIN_S)
        except TimeoutError:
            asked.cancel()
            raise ReleaseFailed("the reader did not answer in time") from None

    def work(self) -> None:
        """Does what was asked for, in the reader's thread."""
        while self._command is not None:
            try:
                asked = self._asked.get_nowait()
            except Empty:
                return
            if asked.set_running_or_notify_cancel():
                try:
                    self._send(self._command)
                except ReleaseFailed as failure:
                    asked.set_exception(failure)
                else:
                    asked.set_result(None)

    def _send(self, command: Command) -> None:
        try:
            failure = command_failed(command, self._link.send(command.send, command.command.raw))
        except NoWay:
            failure = self._link.refused or "no card lies there, and it takes commands only past one"
        except (TransferFailed, Lost) as error:  # whoever waits for the service next hears that the reader is gone
            failure = str(error)
        if failure:
            raise ReleaseFailed(f"the reader's relay: {failure}")
