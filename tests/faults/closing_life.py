"""One life of an agent whose staff close the gate and open it again without end. What they were told goes to `seen`:

closed FROM UNTIL  the gate said that it is closed
open FROM          the gate said that it is open again
"""

import itertools
import random
from pathlib import Path

from tests.faults import city
from tests.faults.agent_life import Life

HOUR_MS = 3_600_000


class ClosingLife(Life):
    """Closes for hours, so that none ends by itself."""

    def close_entry(self, hours: int) -> None:
        if self.gate.closing.close_entry("lin", "typhoon", hours * HOUR_MS):
            closing = self.gate.closing.newest
            assert closing is not None
            self.see(f"closed {closing.from_ms} {closing.until_ms}")

    def open_entry(self) -> None:
        before_ms = self.gate.now_ms()
        if self.gate.closing.open_entry("lin"):
            self.see(f"open {before_ms}")


def live(directory: str, outside: str, seed: str) -> None:
    """Until it is killed."""
    life, chance = ClosingLife(Path(directory), Path(outside)), random.Random(seed)
    for _ in itertools.count():
        if chance.random() < 0.5:
            life.close_entry(chance.choice((1, 2, 4)))
        else:
            life.open_entry()
        life.tap(chance.randrange(city.CARDS))
