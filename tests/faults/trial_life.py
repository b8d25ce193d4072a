"""One life of an agent whose machine does not work with some configurations: of every four versions one raises, one
ends the process on the spot, as a driver's fault does, and two are good. What the outside world saw goes to `seen`:

    proven VERSION     the agent had run with it for long enough
    gave-up VERSION    it went back
"""

import itertools
import os
import random
import signal
from pathlib import Path

from protocol.messages import GateConfig
from tests.faults import city
from tests.faults.agent_life import Life


def raises(version: int) -> bool:
    return version % 4 == 2


def kills(version: int) -> bool:
    return version % 4 == 3


class TrialLife(Life):
    """Takes up one configuration after the other."""

    def wire(self) -> None:
        self.uptake.on_config = self.set_machine

    def set_machine(self, config: GateConfig | None) -> None:
        version = config.version if config else 0
        if kills(version):
            os.kill(os.getpid(), signal.SIGKILL)
        if raises(version):
            raise OSError(5, f"the machine does not work with {version}")

    def prove(self) -> None:
        super().prove()
        held, trouble = self.gate.holding.config, self.uptake.troubles.get("config")
        if trouble is not None:
            self.see(f"gave-up {trouble.version}")
        elif held is not None and not self.uptake.on_trial():
            self.see(f"proven {held.version}")

    def take_config(self) -> None:
        version = self.store.manifest_floor + 1
        self.uptake.take(city.publication(version, self.uptake.identity.sealing_public), self.moments.now())


def begin(place: Path, *, proven: bool) -> Path:
    """A machine that holds one configuration in `place / "store"`, and does not run."""
    (place / "store").mkdir()
    city.enrol(place / "store")
    life = TrialLife(place / "store", place)
    life.take_config()
    if proven:
        life.prove()
    life.uptake.close()
    life.store.close()
    return place


def live(directory: str, outside: str, seed: str, steps: str = "0") -> None:
    """Open, then `steps` configurations (0 = for ever)."""
    life, chance = TrialLife(Path(directory), Path(outside)), random.Random(seed)
    for _ in range(int(steps)) if int(steps) else itertools.count():
        life.take_config()
        if chance.random() < 0.7:
            life.prove()
        life.tap(chance.randrange(city.CARDS))
