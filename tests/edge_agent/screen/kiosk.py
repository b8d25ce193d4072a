"""A gate with a screen: the real gate, store, lists and server, with a clock that a test turns."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec

from edge_agent.door.door_state import DoorState
from edge_agent.readers import CardRead, ReaderState
from edge_agent.release import Signal
from edge_agent.screen.around import look_around
from edge_agent.screen.screen import Screen
from edge_agent.screen.server import ScreenServer
from edge_agent.screen.situation import Membership, Surroundings
from protocol.messages import Choice, Direction, GateConfig, MaskedName, Names, ScreenConfig, StaffPin
from protocol.pin import slow, verifier
from protocol.policy import Admit, Policy, Schedule, Session
from tests.support.central_side import DOMAIN, GATE, CentralSide, subject
from tests.support.edge_side import Edge

PIN = "246810"
SALT = bytes(range(16))
STAFF = "Lin.07"
MEMBER, OTHER, STRANGER = 1, 2, 77
NAME = "王○明"
TITLE = ("總館・正門", "Central library, front door")


def staff_pin(central: CentralSide, name: str = STAFF, pin: str = PIN) -> StaffPin:
    return StaffPin(name, SALT, verifier(central.domain_key(), name, slow(pin, SALT)))


class Kiosk:
    """Readers, door, membership and whether central is reached are what a test says; all else is the gate's own."""

    def __init__(self, directory: Path, port: int = 0, **screen: Any) -> None:
        self.port = port
        self.central = CentralSide()
        self.central.names = Names(DOMAIN, 1, (MaskedName(subject(MEMBER), NAME),))
        chosen = {"undo": True, "names": True, "staff_admit": True} | screen
        self.central.config = GateConfig(
            1,
            GATE,
            "door",
            title_zh=TITLE[0],
            title_en=TITLE[1],
            screen=ScreenConfig(**chosen),
            staff=(staff_pin(self.central),),
        )
        self.central.publish()
        self.edge = Edge(directory, self.central)
        self.edge.take_all()
        self.gate, self.clock = self.edge.gate, self.edge.clock
        self.readers: tuple[ReaderState, ...] = (ReaderState.READY,)
        self.door = DoorState()
        self.membership, self.is_online = Membership.ACTIVE, True

    async def start(self) -> None:
        identity = self.edge.uptake.identity
        keys = [secret.key for secret in identity.domain_keys]
        self.screen = Screen(self.gate, self.around, lambda: keys)
        self.server = ScreenServer(self.screen, self.port)
        await self.server.start()
        self.port, self.url = self.server.port, f"http://127.0.0.1:{self.server.port}"

    def around(self) -> Surroundings:
        identity = self.edge.uptake.identity
        if self.membership is Membership.PENDING:
            identity = msgspec.structs.replace(identity, secret=bytes(16))
        return look_around(self.gate, self.readers, self.door, identity, self.membership, self.is_online)

    def set(self, **changes: Any) -> None:
        for name, value in changes.items():
            setattr(self, name, value)
        self.screen.changed()

    def configure(self, screen: dict[str, Any] | None = None, **changes: Any) -> None:
        """As if central had published it: taken up by the real uptake."""
        config = self.central.config
        shown = msgspec.structs.replace(config.screen, **(screen or {}))
        self.central.config = msgspec.structs.replace(config, version=config.version + 1, screen=shown, **changes)
        self.central.publish()
        self.edge.take(self.central.seal(self.central.manifest), self.central.seal(self.central.config))
        self.screen.changed()

    def turn(self, direction: Direction) -> None:
        self.configure(direction=direction)

    def tap(self, number: int = MEMBER) -> Signal:
        return self.edge.tap(number)

    def badly_read(self) -> Signal:
        return self.gate.tap(CardRead("front", b"\x04"))

    def wait(self, ms: int) -> None:
        self.clock.advance(ms)
        self.screen.changed()

    async def close(self) -> None:
        await self.server.close()
        self.edge.close()


KITCHEN, GARDEN = Choice("kitchen", "廚房組", "Kitchen"), Choice("garden", "園藝組", "Garden")


def volunteers(gate: Kiosk, *choices: Choice) -> None:
    """Two teams that sign in here, of which the page lists some; the night team has no hours now."""
    rules = (Admit("kitchen"), Admit("garden"), Admit("night", schedule="never"))
    policy = Policy(gate.central.policy.version + 1, rules, {"never": Schedule()}, session=Session())
    gate.central.policy = policy
    gate.central.publish()
    gate.edge.take(gate.central.seal(gate.central.manifest), gate.central.seal(policy))
    gate.central.tell()
    gate.edge.poll()
    gate.configure({"choices": choices})


@contextlib.asynccontextmanager
async def kiosk(directory: Path, port: int = 0, **screen: Any) -> AsyncIterator[Kiosk]:
    """Started, and closed in the end."""
    made = Kiosk(directory, port, **screen)
    await made.start()
    try:
        yield made
    finally:
        await made.close()
