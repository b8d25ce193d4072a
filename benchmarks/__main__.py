"""`make bench`: every figure, its floor beside it, as a table and as build/bench.json. Under ten minutes."""

import asyncio
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks import cards, lists, report, sync, tap
from edge_agent.agent import SWITCH_S


def main() -> int:
    """Exit code 1 when a limit is missed."""
    console = Console(stderr=True)
    base = Path("build")
    base.mkdir(exist_ok=True)
    found: list[report.Row] = []
    with tempfile.TemporaryDirectory(dir=base, prefix="bench-") as name:
        directory = Path(name).resolve()
        console.print(f"making {cards.CARDS:,} cards")
        made = cards.rows(cards.CARDS)
        sys.setswitchinterval(SWITCH_S)

        def place(what: str) -> Path:
            console.print(f"measuring {what}")
            path = directory / what.replace(" ", "-")
            path.mkdir()
            return path

        found += tap.run(place("taps"), made)
        found += asyncio.run(sync.run(place("uploads")))
        found += asyncio.run(lists.snapshot(place("the snapshot"), made))
        found += asyncio.run(lists.gates(place("ten gates")))
    return 0 if report.publish(found) else 1


if __name__ == "__main__":
    sys.exit(main())
