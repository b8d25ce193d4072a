"""A gate with a door of its own: real gate, store and threads; its relay and contacts are a test's."""

from typing import Any

from edge_agent.door.door import Door
from edge_agent.release import Output
from edge_agent.release.dry import DryRelease
from protocol.messages import (
    GateConfig,
    InputDetail,
    PassageDetail,
    ReaderDetail,
    ReleaseConfig,
    UndoDetail,
    decode,
)
from tests.edge_agent.test_contacts import Wire
from tests.edge_agent.test_lock import Relay
from tests.support.central_side import GATE
from tests.support.edge_side import Edge
from tests.support.relay_board import until

DETAILS = {"passage": PassageDetail, "input": InputDetail, "undo": UndoDetail, "release-failed": ReaderDetail}
CONTACTS = ("door", "turned", "exit-button", "tamper", "fire-alarm")


class Site:
    """A gate with a relay that times itself and every contact there is."""

    def __init__(self, edge: Edge, relay: Output | None, lines: DryRelease | None = None) -> None:
        self.edge = edge
        self.relay = relay if isinstance(relay, Relay) else None
        self.wires = {name: Wire() for name in CONTACTS}
        for wire in self.wires.values():
            wire.on = False
        self.door = Door(relay, self.wires, lines)
        edge.gate.release = self.door
        self.door.start(edge.gate)
        until(lambda: not self.door.state().blind)

    def use(self, passage: str, **release: Any) -> None:
        self.door.use(config(passage, **release))
        until(lambda: self.edge.gate.amends.awaits_passage is (passage != "none"))

    def set(self, name: str, on: bool | None) -> None:
        self.wires[name].on = on

    def turn(self) -> None:
        """A turnstile's contact is on for a moment."""
        self.set("turned", True)
        until(lambda: self.door._contacts.level("turned"))
        self.set("turned", False)
        until(lambda: self.door._contacts.level("turned") is False)

    def told(self, kind: str) -> list[Any]:
        return [decode(DETAILS[kind], event.detail) for event in self.edge.events() if event.kind == kind]

    def passages(self) -> list[tuple[int, str]]:
        return [(detail.sequence, detail.passage) for detail in self.told("passage")]

    def until_told(self, *passages: tuple[int, str]) -> None:
        until(lambda: self.passages() == list(passages))


def config(passage: str = "none", **release: Any) -> GateConfig:
    wanted = {"passage": passage, "passage_ms": 60_000, "held_warn_ms": 0, "held_ms": 0} | release
    return GateConfig(1, GATE, "door", release=ReleaseConfig(**wanted))
