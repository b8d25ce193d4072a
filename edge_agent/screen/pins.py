"""Who may admit by hand: PINs checked offline, and longer and longer waits after wrong ones."""

import threading
from typing import NamedTuple

import structlog

from edge_agent.database import JournalUnwritable, StoreDamaged
from edge_agent.gate import Gate
from protocol.pin import fits

log = structlog.get_logger(__name__)

FREE_TRIES = 5
FIRST_WAIT_MS, LONGEST_WAIT_MS = 30_000, 3_600_000
WRONG = "pin_failures"
"""The fact that counts wrong PINs in a row: pulling the plug does not give new tries."""


def wait_ms(failures: int) -> int:
    """How long nobody may try after so many wrong PINs in a row: none up to five, then 30 s, doubling to an hour."""
    if failures < FREE_TRIES:
        return 0
    return min(FIRST_WAIT_MS << min(failures - FREE_TRIES, 10), LONGEST_WAIT_MS)


class Checked(NamedTuple):
    """Whether the PIN fits; if nothing was checked, for how long nothing is."""

    fits: bool
    wait_ms: int = 0


class Pins:
    """One at a time: each check costs tens of milliseconds by intent. Blocks: call it in a thread."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._lock = threading.Lock()
        self._failures = self._stored()
        self._again_ms = self._now_ms() + wait_ms(self._failures)

    def check(self, staff: str, pin: str) -> Checked:
        """An unknown name costs as much as a wrong PIN and counts as one."""
        with self._lock:
            left_ms = self._again_ms - self._now_ms()
            if left_ms > 0:
                return Checked(False, left_ms)
            holding = self._gate.holding
            people = holding.config.staff if holding.config and holding.config.screen.staff_admit else ()
            person = next((person for person in people if person.id == staff), None)
            salt, verifier = (person.salt, person.verifier) if person else (bytes(16), bytes(32))
            right = fits(holding.domain_key or bytes(32), staff, salt, verifier, pin) and person is not None
            self._count(0 if right else self._failures + 1)
            if not right:
                log.warning("wrong-pin", staff=staff if person else "(unknown)", failures=self._failures)
            return Checked(right, wait_ms(self._failures))

    def _count(self, failures: int) -> None:
        if failures == self._failures:
            return
        self._failures = failures
        self._again_ms = self._now_ms() + wait_ms(failures)
        try:
            self._gate.store.commit(lambda transaction: transaction.set_fact(WRONG, failures.to_bytes(4)))
        except (JournalUnwritable, StoreDamaged) as error:
            log.error("pin-failures-not-written", error=str(error))

    def _stored(self) -> int:
        try:
            return int.from_bytes(self._gate.store.fact(WRONG) or b"")
        except (JournalUnwritable, StoreDamaged):
            return 0

    def _now_ms(self) -> int:
        return self._gate.moments.now().monotonic_ms
