"""A gate with a screen: the real gate, store and server, with a clock that a test turns."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec

from edge_agent.release import Signal
from edge_agent.screen.screen import Screen
from edge_agent.screen.server import ScreenServer
from edge_agent.screen.view import Surroundings
from protocol.decision import Staleness
from protocol.messages import GateConfig, ReleaseConfig, ScreenConfig, StaffPin
from protocol.pin import slow, verifier
from tests.support.central_side import GATE, CentralSide, subject
from tests.support.edge_side import Edge

PIN = "246810"
SALT = bytes(range(16))
MEMBER, STRANGER = 1, 77
NAME = "王○明"


class Kiosk:
    """`around` is what the page is told of the gate's surroundings; change it by `set`."""

    def __init__(self, directory: Path, **screen: Any) -> None:
        self.central = CentralSide()
        made = verifier(self.central.domain_key(), "7", slow(PIN, SALT))
        chosen = {"undo": True, "names": True, "staff_admit": True} | screen
        self.config = GateConfig(
            1,
            GATE,
            "door",
            title_zh="總館・正門",
            title_en="Central library, front door",
            release=ReleaseConfig(),
            screen=ScreenConfig(**chosen),
            staff=(StaffPin("7", SALT, made),),
        )
        self.central.config = self.config
        self.central.publish()
        self.edge = Edge(directory, self.central)
        self.edge.take_all()
        self.gate = self.edge.gate
        self.gate.holding = msgspec.structs.replace(self.gate.holding, names={subject(MEMBER): NAME})
        self.around = Surroundings(
            config=self.config, staleness=Staleness.FRESH, age_s=5, is_online=True, readers_ready=1, readers=1
        )

    async def start(self) -> None:
        self.screen = Screen(self.gate, lambda: self.around)
        self.server = ScreenServer(self.screen, 0)
        await self.server.start()
        self.url = f"http://127.0.0.1:{self.server.port}"

    def set(self, **changes: Any) -> None:
        self.around = msgspec.structs.replace(self.around, **changes)
        self.screen.changed()

    def configure(self, **screen: Any) -> None:
        chosen = msgspec.structs.replace(self.around.config.screen, **screen)  # type: ignore[union-attr]
        config = msgspec.structs.replace(self.around.config, screen=chosen)
        self.gate.holding = msgspec.structs.replace(self.gate.holding, config=config)
        self.set(config=config)

    def tap(self, number: int = MEMBER) -> Signal:
        return self.edge.tap(number)

    def wait(self, ms: int) -> None:
        self.edge.clock.advance(ms)
        self.screen.changed()

    async def close(self) -> None:
        await self.server.close()
        self.edge.close()


@contextlib.asynccontextmanager
async def kiosk(directory: Path, **screen: Any) -> AsyncIterator[Kiosk]:
    """Started, and closed in the end."""
    made = Kiosk(directory, **screen)
    await made.start()
    try:
        yield made
    finally:
        await made.close()
