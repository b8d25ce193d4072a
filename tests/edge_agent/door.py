"""A gate with its real store and lists in a directory of its own, and the city of `tests.faults` in central's place."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import msgspec

from edge_agent import identity as identity_file
from edge_agent.gate import Gate
from edge_agent.journal.store import Store
from edge_agent.moments import Moment
from edge_agent.published.holding import Holding
from edge_agent.published.uptake import Uptake
from edge_agent.release import Signal
from protocol.messages import Clock, Event
from tests.faults import city
from tests.faults.agent_life import LIMITS


class StandingClock:
    """The moment at which it was made, for ever."""

    def __init__(self) -> None:
        self._ms = time.time_ns() // 1_000_000  # what the city publishes is as old as it is

    def now(self) -> Moment:
        return Moment(self._ms, 5_000_000, b"one boot")


class Ear:
    """Hears what the door is told, and may look around at that moment."""

    def __init__(self) -> None:
        self.heard: list[Signal] = []
        self.look: Callable[[Signal], None] = lambda signal: None

    def signal(self, signal: Signal) -> None:
        self.heard.append(signal)
        self.look(signal)

    def close(self) -> None:
        pass


class Door:
    """A context manager: opened as the agent opens it; its first epoch has begun."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        if identity_file.load(directory) is None:
            city.enrol(directory)
        self.clock, self.ear = StandingClock(), Ear()

    def __enter__(self) -> Self:
        self.store = Store(self.directory, LIMITS)
        self.gate = Gate(self.store, self.ear, self.clock, Holding(city.DEVICE, city.GATE))
        identity = identity_file.load(self.directory)
        assert identity is not None
        self.uptake = Uptake(self.directory, self.gate, identity)
        self.uptake.load()
        self.store.begin_epoch(city.DEVICE, city.GATE, city.OWN, self.clock.now(), Clock.TRUSTED, "started")
        return self

    def __exit__(self, *_: object) -> None:
        if self.gate.holding.allowlist is not None:
            self.gate.holding.allowlist.close()
        self.store.close()

    # --- what central sends -----------------------------------------------------------------------------------

    def publication(self, version: int, base: int = 0) -> tuple[bytes, ...]:
        return city.publication(version, self.uptake.identity.sealing_public, base)

    def take(self, version: int, base: int = 0) -> None:
        """Everything at `version`: the list by delta from `base`, or whole."""
        self.uptake.take(self.publication(version, base), self.clock.now())
        if not base:
            city.fetch_snapshot(self.uptake, version)
        assert self.version == version, self.uptake.troubles

    @property
    def version(self) -> int:
        """Of the list in use."""
        listed = self.gate.holding.allowlist
        return listed.header.version if listed else 0

    def hold(self, **parts: Any) -> None:
        """Put other parts to use than were taken up."""
        self.gate.holding = msgspec.structs.replace(self.gate.holding, **parts)

    # --- what it did ------------------------------------------------------------------------------------------

    def tap(self, number: int) -> Signal:
        return self.gate.tap(city.card(number))

    def events(self) -> list[Event]:
        rows = self.store.connection.execute("SELECT public FROM events ORDER BY id").fetchall()
        return [msgspec.msgpack.decode(public, type=Event) for (public,) in rows]

    def disks(self, into: Path) -> list[Path]:
        """From here on: a copy of the disk as it was after each commit, as a crash at that moment would leave it."""
        found: list[Path] = []
        commit = self.store.commit

        def copying(work: Any) -> Any:
            result = commit(work)
            copy = into / f"after-commit-{len(found)}"
            subprocess.run(
                ["cp", "-a", self.directory, copy], check=True
            )  # closing a file here would drop SQLite's locks
            found.append(copy)
            return result

        self.store.commit = copying  # type: ignore[method-assign]
        return found
