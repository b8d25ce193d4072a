"""Who may admit or close by hand: PINs checked offline, and longer and longer waits after wrong ones."""

import hmac
import threading
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

import msgspec
import structlog

from edge_agent.gate import Gate
from edge_agent.journal.database import JournalUnwritable, StoreDamaged
from protocol.errors import Refused
from protocol.messages import StaffPin, encode
from protocol.pin import slow, verifier

log = structlog.get_logger(__name__)

FREE_TRIES = 5
FIRST_WAIT_MS, LONGEST_WAIT_MS = 30_000, 3_600_000
WRONG = "pin_failures"
"""The fact that counts wrong PINs in a row, by person: pulling the plug gives no new tries."""
NOBODY = ""
"""All the names that nobody here has count as one, so that guessing names locks nobody out who has one."""


def wait_ms(failures: int) -> int:
    """How long nobody may try after so many wrong PINs in a row: nothing below five, then 30 s, doubling to an hour."""
    if failures < FREE_TRIES:
        return 0
    return min(FIRST_WAIT_MS << min(failures - FREE_TRIES, 10), LONGEST_WAIT_MS)


def person_named(people: Iterable[StaffPin], typed: str) -> StaffPin | None:
    """By the very id, or by the one that differs only in upper and lower case."""
    found = [person for person in people if person.id.casefold() == typed.strip().casefold()]
    exact = next((person for person in found if person.id == typed), None)
    return exact or (found[0] if len(found) == 1 else None)


class Checked(NamedTuple):
    """Whose PIN it was; empty = nobody's, and `wait_ms` for how long none of this person is looked at."""

    staff: str
    wait_ms: int = 0


class Pins:
    """One at a time: each check costs tens of milliseconds by intent. Blocks: call it in a thread.

    `keys`: the domain's. While they rotate a configuration may be under a newer one than the list in use.
    """

    def __init__(self, gate: Gate, keys: Callable[[], Iterable[bytes]]) -> None:
        self._gate, self._keys = gate, keys
        self._lock = threading.Lock()
        self._failures = self._stored()
        now_ms = self._now_ms()
        self._again_ms = {name: now_ms + wait_ms(count) for name, count in self._failures.items()}

    def check(self, typed: str, pin: str, to: Literal["staff_admit", "staff_close"] = "staff_admit") -> Checked:
        """An unknown name costs as much as a wrong PIN, and is one. `to`: what the configuration has to allow; wrong
        PINs count together, whatever they were typed for."""
        with self._lock:
            config = self._gate.holding.config
            everybody = config.staff if config else ()
            people = everybody if config and getattr(config.screen, to) else ()
            person = person_named(people, typed)
            name = person.id if person else NOBODY
            left_ms = self._again_ms.get(name, 0) - self._now_ms()
            if left_ms > 0:
                return Checked("", left_ms)
            right = self._fits(person, pin)
            failures = 0 if right else self._failures.get(name, 0) + 1
            if not right:
                log.warning("wrong-pin", staff=name or "(unknown)", failures=failures)
            self._count(name, failures, {each.id for each in everybody})
            return Checked(name if right else "", wait_ms(failures))

    def _fits(self, person: StaffPin | None, pin: str) -> bool:
        salt = person.salt if person else bytes(16)
        try:
            slowed = slow(pin, salt)
        except Refused:
            return False
        return person is not None and any(
            hmac.compare_digest(verifier(key, person.id, slowed), person.verifier) for key in self._keys()
        )

    def _count(self, name: str, failures: int, names: set[str]) -> None:
        if failures == self._failures.get(name, 0):
            return
        kept = {each: count for each, count in self._failures.items() if each in names or each == NOBODY}
        self._failures = {each: count for each, count in (kept | {name: failures}).items() if count}
        self._again_ms[name] = self._now_ms() + wait_ms(failures)
        self._again_ms = {each: at for each, at in self._again_ms.items() if each in self._failures}
        encoded = encode(self._failures)
        try:
            self._gate.store.commit(lambda transaction: transaction.set_fact(WRONG, encoded))
        except (JournalUnwritable, StoreDamaged) as error:
            log.error("pin-failures-not-written", error=str(error))

    def _stored(self) -> dict[str, int]:
        try:
            return msgspec.msgpack.decode(self._gate.store.fact(WRONG) or b"\x80", type=dict[str, int])
        except (JournalUnwritable, StoreDamaged, msgspec.MsgspecError):
            return {}

    def _now_ms(self) -> int:
        return self._gate.moments.now().monotonic_ms
