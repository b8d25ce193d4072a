"""Watches the readers of an agent: starts them, helps those that do not work, raises alarms, tries profiles."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import structlog

from edge_agent.commissioning.machine import Machine
from edge_agent.readers import Reader, ReaderState
from edge_agent.readers.case import Patience
from edge_agent.readers.fitting import Fitting
from edge_agent.readers.presence import why_it_can_be_helped
from edge_agent.readers.recovery import PowerSwitch
from edge_agent.readers.supervision import Help, Step, steps_to_try
from edge_agent.readers.watched import GateSide, Watched
from firmware_profiles import ProfileBook
from protocol.uid import Problem, judge

TICK_S = 0.5
LOOK_S = 5.0
"""Between two looks at USB and service for a reader that is absent."""

BEHIND_A_SERVICE = "pcsc"
UNREAD = (Problem.UNREADABLE, Problem.INCOMPLETE)

log = structlog.get_logger(__name__)


class Configured(NamedTuple):
    """One reader as the settings have it. `make` gives it the book that it is to begin with."""

    name: str
    kind: str
    make: Callable[[ProfileBook], Reader]
    power: PowerSwitch | None = None
    off_s: float = 3.0


class Alarm(NamedTuple):
    """A reader that nothing helped."""

    reader: str
    why: str


class ProfilesRefused(NamedTuple):
    """A reader that did not work under its new profiles and went back to those before."""

    reader: str
    version: int
    """Of the published profiles; 0 = none were in the book."""
    why: str


class Supervisor:
    """`restart`: restarts the PC/SC service; None where that is not allowed. `fallback`: profiles for a reader that has
    never been ready with `book`."""

    def __init__(
        self,
        readers: Sequence[Configured],
        gate: GateSide,
        book: ProfileBook,
        *,
        fallback: ProfileBook | None = None,
        restart: Callable[[], None] | None = None,
        patience: Patience | None = None,
        machine: Machine | None = None,
    ) -> None:
        self.on_profiles_refused: Callable[[ProfilesRefused], None] = lambda refused: None
        """Called in the supervisor's thread."""
        self._patience, self._machine = patience or Patience(), machine or Machine()
        self._may_restart = restart is not None
        self._fittings: dict[str, Fitting] = {}
        self._one_change_at_a_time = threading.Lock()
        self._powered = {reader.name for reader in readers if reader.power is not None}
        self._looked: dict[str, tuple[float, str]] = {}
        self._stop = threading.Event()
        self.watched: dict[str, Watched] = {}
        for reader in readers:
            self._fittings[reader.name] = Fitting(book, fallback or book, self._patience.profile_s)
            self.watched[reader.name] = self._watch(reader, gate, restart)
        self._thread = threading.Thread(target=self._run, name="reader-supervisor", daemon=True)

    def _watch(self, reader: Configured, gate: GateSide, restart: Callable[[], None] | None) -> Watched:
        outside: dict[Step, Callable[[], None]] = {}
        if restart is not None:
            outside[Step.RESTART_SERVICE] = restart
        if reader.power is not None:
            power, off_s = reader.power, reader.off_s
            outside[Step.POWER_CYCLE] = lambda: power.cycle(off_s)
        fitting = self._fittings[reader.name]
        watched = Watched(
            reader.name, reader.kind, lambda: reader.make(fitting.book), gate, self._patience, self._help, outside
        )
        watched.on_read = lambda read: fitting.read(judge(read.raw, read.sak) not in UNREAD)
        watched.on_word = fitting.said
        return watched

    # --- life -------------------------------------------------------------------------------------------

    def start(self) -> None:
        for watched in self.watched.values():
            watched.start()
        self._thread.start()

    def stop(self, within_s: float) -> None:
        """A reader that hangs is left to the end of the process."""
        deadline_s = time.monotonic() + within_s
        self._stop.set()
        for watched in self.watched.values():
            watched.stop()
        for watched in self.watched.values():
            watched.join(max(0.0, deadline_s - time.monotonic()))
        if self._thread.is_alive():
            self._thread.join(max(0.0, deadline_s - time.monotonic()))

    def _run(self) -> None:
        while not self._stop.wait(TICK_S):
            for watched in self.watched.values():
                try:
                    watched.tick(time.monotonic())
                    self._judge(watched)
                except Exception:
                    log.exception("supervision-failed", reader=watched.name)

    # --- what others see --------------------------------------------------------------------------------

    def alarms(self) -> tuple[Alarm, ...]:
        """May be asked from any thread, also while a tap is decided: it waits for nothing."""
        found = ((watched.name, watched.case.alarm) for watched in self.watched.values())
        return tuple(Alarm(name, alarm) for name, alarm in found if alarm)

    def status(self) -> list[dict[str, Any]]:
        """One row a reader, ready for JSON."""
        rows = []
        for watched in self.watched.values():
            facts, case = watched.reader.facts(), watched.case
            rows.append(
                {
                    "name": watched.name,
                    "kind": watched.kind,
                    "state": case.state.value,
                    "why": case.why,
                    "hardware": facts.hardware,
                    "profile": facts.profile,
                    "matched_by": facts.matched_by,
                    "firmware": facts.firmware,
                    "alarm": case.alarm,
                }
            )
        return rows

    # --- help -------------------------------------------------------------------------------------------

    def _help(self, watched: Watched) -> Help | None:
        """What can be tried. A reader that is simply unplugged is not helped by restarting a service: at the most
        its power is cycled, where that was configured, since it may have dropped off the bus."""
        facts = watched.reader.facts()
        matched = self._fittings[watched.name].book.named(facts.profile.partition(" ")[0])
        steps = steps_to_try(
            behind_service=watched.kind == BEHIND_A_SERVICE,
            may_restart=self._may_restart,
            has_power=watched.name in self._powered,
            worth=matched.profile.recovery.steps if matched is not None else None,
        )
        if watched.word[0] is not ReaderState.ABSENT:
            return Help(steps)
        if why := self._why_absent_is_wrong(watched):
            return Help(steps, why)
        return Help((Step.POWER_CYCLE,), is_there=False) if Step.POWER_CYCLE in steps else None

    def _why_absent_is_wrong(self, watched: Watched) -> str:
        if watched.kind != BEHIND_A_SERVICE:
            return ""  # the others look for their hardware themselves
        at_s, why = self._looked.get(watched.name, (0.0, ""))
        if time.monotonic() - at_s >= min(LOOK_S, self._patience.absent_s):
            others = [
                other.reader.facts()
                for other in self.watched.values()
                if other.kind == watched.kind and other.case.state is ReaderState.READY
            ]
            why = why_it_can_be_helped(watched.reader.facts(), others, self._fittings[watched.name].book, self._machine)
            self._looked[watched.name] = time.monotonic(), why
        return why

    # --- profiles ---------------------------------------------------------------------------------------

    def use_profiles(self, book: ProfileBook, version: int = 0) -> None:
        """Gives every reader other profiles, from any thread. One that does not work with them goes back to those
        that it worked with (see `Fitting`), and `on_profiles_refused` hears of it."""
        with self._one_change_at_a_time:
            for name, watched in self.watched.items():
                self._fittings[name].use(book, version, watched.case.state, time.monotonic())
                watched.reader.use_profiles(book)

    def _judge(self, watched: Watched) -> None:
        fitting = self._fittings[watched.name]
        with self._one_change_at_a_time:
            profile, version = watched.reader.facts().profile, fitting.version
            why = fitting.judge(watched.case.state, profile, watched.case.alarm, time.monotonic())
            if not why:
                return
            watched.reader.use_profiles(fitting.book)
        log.error("profiles-refused", reader=watched.name, profile=profile, version=version, why=why)
        self.on_profiles_refused(ProfilesRefused(watched.name, version, f"{profile}: {why}"))
