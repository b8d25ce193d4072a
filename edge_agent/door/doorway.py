"""What the thread of a door does at every turn: hears the contacts, asks the passage what follows, works the lock, and
has the outcomes written down. Used by that thread alone."""

import functools
from collections.abc import Callable

import structlog

from edge_agent.door.contacts import DOOR, EXIT, FIRE, TAMPER, Contacts
from edge_agent.door.door_state import Shown
from edge_agent.door.fitness import CONTACT
from edge_agent.door.flutter import Budget
from edge_agent.door.lock import Lock
from edge_agent.door.outcomes import Outcomes, Write
from edge_agent.door.passage import Busy, Effect, Ended, Free, Relock, Told, Way
from edge_agent.door.passage.door import DoorWay
from edge_agent.door.passage.turnstile import TurnstileWay
from edge_agent.door.passage.unseen import UnseenWay
from edge_agent.gate import Gate
from edge_agent.release import Signal
from protocol.messages import ReleaseConfig

log = structlog.get_logger(__name__)

BLIND_MS = 5_000
TELL_AGAIN_MS = 60_000
"""What comes and goes is told of so often at most."""

WAYS: dict[str, Callable[[ReleaseConfig], Way[Signal]]] = {
    "none": UnseenWay,
    "door": DoorWay,
    "turnstile": TurnstileWay,
}


class Asked:
    """A granted tap, and who waits for the lock to move."""

    def __init__(self, signal: Signal) -> None:
        self.signal, self.error = signal, ""
        self.pulse_here = False
        """Who waits pulses the output: it is driven by the thread that waits."""


class Doorway:
    """Times are monotonic milliseconds. `pulse_aside` pulses an output for a ticket in a thread of its own."""

    def __init__(
        self,
        gate: Gate,
        lock: Lock,
        contacts: Contacts,
        shown: Shown,
        count_inside: Callable[[], int | None],
        pulse_aside: Callable[[Signal | None], None],
        now_ms: int,
    ) -> None:
        self._gate, self._lock, self._contacts, self._shown = gate, lock, contacts, shown
        self._count_inside, self._pulse_aside = count_inside, pulse_aside
        self.outcomes = Outcomes(gate)
        self.release = ReleaseConfig()
        self._way: Way[Signal] = UnseenWay(self.release)
        self._budget = Budget(now_ms)
        self._is_told = False
        """Of the trouble there is."""
        self._told_ms, self._seen_ms = now_ms - TELL_AGAIN_MS, now_ms

    # --- what the gate asks -----------------------------------------------------------------------------

    def use(self, release: ReleaseConfig, now_ms: int) -> None:
        """Whole, and not while somebody is on their way: then ask again."""
        if release == self.release or self._way.pending:
            return
        before, self.release = self.release, release
        if release.passage == before.passage:
            self._way.config = release
            return
        self._way = WAYS[release.passage](release)
        self._do(self._way.level(self._contacts.level(CONTACT.get(release.passage, "")), now_ms), now_ms)
        self._do(self._way.fire(self._shown.state.fire, now_ms), now_ms)
        self._gate.amends.awaits_passage = release.passage != "none"
        self._shown.change(passage=release.passage)

    def let_through(self, asked: Asked, now_ms: int) -> None:
        asked.error = self._do(self._way.granted(asked.signal, now_ms), now_ms, asked)

    def take_back(self, epoch: bytes, sequence: int, now_ms: int) -> None:
        for ticket in self._way.pending:
            if (ticket.epoch, ticket.sequence) == (epoch, sequence):
                self._do(self._way.undone(ticket, now_ms), now_ms)

    def pulse_failed(self, ticket: Signal | None, why: str, is_told: bool, now_ms: int) -> None:
        """Of an output that is driven elsewhere. `is_told`: the gate writes it down with the tap."""
        self._lock.failed(why)
        self._not_freed(ticket, why, is_told, now_ms)

    def turn(self, now_ms: int) -> None:
        for name, on in self._contacts.read(now_ms):
            self._heard(name, on, now_ms)
        self._do(self._way.tick(now_ms), now_ms)
        if not self._shown.state.fire:  # then nothing here locks
            self._lock.tend(now_ms)
        self._show(now_ms)

    def next_ms(self) -> int | None:
        """When the next turn is due, whatever the contacts do."""
        lock_ms = None if self._shown.state.fire else self._lock.next_ms()
        return min((due for due in (self._way.next_ms(), lock_ms) if due is not None), default=None)

    def close(self, now_ms: int) -> None:
        """Nobody will see what becomes of those on their way."""
        self._do(self._way.stop(), now_ms)
        if not self._shown.state.fire:
            self._lock.relock(now_ms)
        self.outcomes.close()

    # --- what is heard ----------------------------------------------------------------------------------

    def _heard(self, name: str, on: bool | None, now_ms: int) -> None:
        """A contact. The fire alarm and tampering are believed to go on while they cannot be read."""
        state = self._shown.state
        if name == CONTACT.get(state.passage):
            self._do(self._way.level(on, now_ms), now_ms)
        elif name == EXIT and on:
            self._do(self._way.exit(now_ms), now_ms)
            self._tell(functools.partial(self._gate.input_changed, EXIT, True), now_ms)
        elif name == FIRE and on is not None and on is not state.fire:
            self._shown.change(fire=on)
            self._do(self._way.fire(on, now_ms), now_ms)
            self._tell(functools.partial(self._tell_fire, on), now_ms)
        elif name == TAMPER and on is not None and on is not state.tamper:
            self._shown.change(tamper=on)
            self._tell(functools.partial(self._gate.input_changed, TAMPER, on), now_ms)

    def _tell_fire(self, on: bool) -> bool:
        """With how many may be inside: the hardware has freed the way, here it is only written down."""
        count = (self._count_inside() if on else 0) or 0
        log.warning("fire-alarm", on=on, inside=count)
        return self._gate.input_changed(FIRE, on, count)

    # --- what is done -----------------------------------------------------------------------------------

    def _do(self, effects: list[Effect[Signal]], now_ms: int, asked: Asked | None = None) -> str:
        """Returns why the way was not freed for who asks; empty = it was, or will be when it is their turn."""
        error = ""
        for effect in effects:
            match effect:
                case Free(ticket):
                    error = self._free_for(ticket, now_ms, asked) or error
                case Relock():
                    self._lock.relock(now_ms)
                case Busy():
                    error = "others are on their way through: tap again when they are in"
                case Ended(ticket, passage) if ticket.awaited:
                    self.outcomes.put(functools.partial(self._gate.amends.passage, ticket, passage))
                case Told(passage):
                    self._tell(functools.partial(self._gate.amends.passage, None, passage), now_ms)
        return error

    def _free_for(self, ticket: Signal | None, now_ms: int, asked: Asked | None) -> str:
        is_asking = asked is not None and ticket is asked.signal
        why, driver = self._lock.free(self.release.pulse_ms, now_ms), self._lock.driven_by
        if why:
            self._not_freed(ticket, why, is_asking, now_ms)
        elif driver and asked is not None and is_asking and asked.signal.reader == driver:
            asked.pulse_here = True
        elif driver:
            self._pulse_aside(ticket)
        return why

    def _not_freed(self, ticket: Signal | None, why: str, is_told: bool, now_ms: int) -> None:
        self._is_told, self._told_ms = True, now_ms
        if ticket is not None:
            self._way.failed(ticket)
        if not is_told:
            self._tell_failed(ticket.sequence if ticket else -1, why)

    def _tell(self, write: Write, now_ms: int) -> None:
        """What a contact brought about by itself."""
        if self._budget.spend(now_ms):
            self.outcomes.put(write)
        elif self._budget.tell_once():
            self._tell_failed(-1, "a contact flutters: not every change is written down")

    def _tell_failed(self, sequence: int, why: str) -> None:
        self.outcomes.put(functools.partial(self._gate.release_failed, sequence, why))

    # --- what is shown ----------------------------------------------------------------------------------

    def _show(self, now_ms: int) -> None:
        trouble, blind = self._lock.trouble(), self._contacts.blind()
        if not blind:
            self._seen_ms = now_ms
        missing = f"cannot be read: {', '.join(blind)}" if now_ms - self._seen_ms > BLIND_MS else ""
        if not trouble and not missing:
            self._is_told = False
        elif not self._is_told and now_ms - self._told_ms >= TELL_AGAIN_MS:
            self._is_told, self._told_ms = True, now_ms
            self._tell_failed(-1, trouble or missing)
        self._shown.change(
            free=self._lock.is_free(now_ms),
            open=self._contacts.level(DOOR),
            pending=len(self._way.pending),
            alarm=self._way.alarm,
            lock_trouble=trouble,
            blind=blind,
        )
