"""An agent's parts on a real disk, with a clock that a test turns by hand."""

from collections.abc import Callable
from pathlib import Path
from typing import Self

from edge_agent import identity as identity_file
from edge_agent.gate import Gate
from edge_agent.identity import Identity
from edge_agent.journal.store import Limits, Store
from edge_agent.moments import Moment
from edge_agent.published.holding import Holding
from edge_agent.published.uptake import Uptake
from edge_agent.readers import CardRead
from edge_agent.release import Signal
from edge_agent.sync import UNDERSTANDS
from protocol.envelope import new_sealing_key
from protocol.messages import Event, Poll, decode
from tests.support.central_side import DEVICE, DOMAIN, GATE, VENUE, CentralSide, key, uid

LIMITS = Limits(journal_bytes=64 * 1024**2, reserve_bytes=256 * 1024, wal_bytes=1024**2)


class HandClock:
    """Wall and monotonic clock, apart."""

    def __init__(self, wall_ms: int) -> None:
        self.wall_ms, self.monotonic_ms, self.boot_id = wall_ms, 1_000_000, b"boot 001"

    def now(self) -> Moment:
        return Moment(self.wall_ms, self.monotonic_ms, self.boot_id)

    def advance(self, ms: int) -> None:
        self.wall_ms += ms
        self.monotonic_ms += ms

    def reboot(self, off_ms: int = 0) -> None:
        """Another boot; the wall clock ran on."""
        self.wall_ms += off_ms
        self.boot_id = b"boot %03d" % (int(self.boot_id[5:]) + 1)
        self.monotonic_ms = 1_000


class Ear:
    """A release that hears what the door is told, and may look around at that moment."""

    def __init__(self) -> None:
        self.heard: list[Signal] = []
        self.look: Callable[[Signal], None] = lambda signal: None

    def signal(self, signal: Signal) -> None:
        self.heard.append(signal)
        self.look(signal)

    def close(self) -> None:
        pass


def identity_for(
    central: CentralSide, directory: Path, url: str = "http://127.0.0.1:9", pinned: bool = True
) -> Identity:
    """An enrolled device's key file, made once a directory."""
    held = identity_file.load(directory)
    if held is None:
        private, public = new_sealing_key()
        held = Identity(
            url, central.root.public, pinned, b"", key("device"), private, public, DEVICE, GATE, VENUE, DOMAIN
        )
        identity_file.save(directory, held)
    central.sealing_public = held.sealing_public
    return held


class Edge:
    """Store, gate and uptake in `directory`, opened as the agent opens them; `reopen` is a restart."""

    def __init__(
        self,
        directory: Path,
        central: CentralSide,
        clock: HandClock | None = None,
        wire: Callable[[Uptake], None] = lambda uptake: None,
    ) -> None:
        """`wire` connects what the uptake sets, at each opening before anything is loaded."""
        self.directory, self.central, self.wire = directory, central, wire
        self.clock = clock or HandClock(central.now_ms)
        self.ear = Ear()
        self.open()

    def open(self) -> None:
        identity = identity_for(self.central, self.directory)
        self.store = Store(self.directory, LIMITS)
        self.gate = Gate(self.store, self.ear, self.clock, Holding(DEVICE, GATE))
        self.uptake = Uptake(self.directory, self.gate, identity)
        self.wire(self.uptake)
        self.uptake.load()
        moment = self.clock.now()
        self.store.begin_epoch(
            DEVICE, self.gate.holding.gate, identity.signer(), moment, self.gate.clock(moment), "start"
        )
        self.uptake.remove_leftovers()

    def close(self) -> None:
        self.uptake.close()
        self.store.close()

    def crash(self) -> None:
        """As a kill leaves it: nothing is told, nothing is tidied."""
        if self.gate.holding.allowlist is not None:
            self.gate.holding.allowlist.close()
        self.store.connection.close()

    def prove(self) -> None:
        """The agent has run for long enough with what it was set to."""
        for now_s in (0.0, 1e9):
            self.uptake.tick(now_s)

    def reopen(self) -> Self:
        self.close()
        self.open()
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def take(self, *envelopes: bytes) -> None:
        self.uptake.take(envelopes or tuple(self.central.everything()), self.clock.now())

    def take_all(self) -> None:
        """What central says now, the list by snapshot where that is wanted."""
        self.take()
        if self.uptake.wants_snapshot:
            self.fetch()

    def fetch(self, version: int = 0) -> None:
        head, chunks = self.central.snapshot(version)
        writer = self.uptake.begin_snapshot(head)
        try:
            for chunk in chunks:
                writer.add(chunk)
            self.uptake.finish_snapshot(writer)
        except BaseException:
            writer.abandon()
            raise

    def poll(self) -> None:
        """One question to central and its answer, without the waiting."""
        uptake = self.uptake
        manifest = uptake.gate.holding.manifest
        question = Poll(
            DEVICE,
            bytes(16),
            0,
            manifest.number if manifest else 0,
            uptake.statement.number if uptake.statement else 0,
            uptake.held_parts(),
            tuple(uptake.troubles.values()),
            0,
            0,
            "test",
            UNDERSTANDS,
        )
        self.take(*self.central.answer(question))

    def tap(self, number: int) -> Signal:
        return self.gate.tap(CardRead("front", uid(number), b"", 0x08))

    def events(self) -> list[Event]:
        rows = self.store.connection.execute("SELECT public FROM events ORDER BY id").fetchall()
        return [decode(Event, public) for (public,) in rows]
