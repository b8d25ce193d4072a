"""What every scene of the demonstration does: tap, wait, show, check."""

import asyncio
import time
from typing import Any

from rich.console import Console
from rich.table import Table

from deploy.town import Gate, Town
from protocol.reasons import TEXTS, Reason

CARDS = {
    "2A83155E": "citizen 王○明",
    "04A1B2C3D4E5F6": "volunteer 李○君",
    "9B3C7D21": "senior 張○英",
    "045566778899AA": "staff 陳○豪",
    "5A6B7C8D": "former student 林○華",
    "C0FFEE11": "expired 黃○芬",
    "7186A61E": "citizen 吳○雄",
    "DEADBEEF": "a card nobody knows",
    "08112233": "a phone with a random number",
}
console = Console(highlight=False, soft_wrap=True)


class Stage:
    """A town, and what did not hold in it."""

    def __init__(self, town: Town, failures: list[str]) -> None:
        self.town, self.failures = town, failures

    def check(self, holds: bool, what: str) -> None:
        """A line of the scenario's own audit."""
        console.print(f"  [green]✓[/] {what}" if holds else f"  [bold red]✗ {what}[/]")
        if not holds:
            self.failures.append(what)

    async def command(self, *arguments: str) -> str:
        """One of central's commands, beside everything that goes on."""
        return await asyncio.to_thread(self.town.command, *arguments)

    async def json(self, *arguments: str) -> Any:
        return await asyncio.to_thread(self.town.json, *arguments)

    async def tap(self, gate: Gate, uid: str) -> tuple[str, str]:
        """One tap, shown when the gate has answered. Returns outcome and reason."""
        before = len(gate.signals())
        start = time.perf_counter()
        gate.tap(uid)
        async with asyncio.timeout(10):
            while len(gate.signals()) == before:  # noqa: ASYNC110 - the answer comes by a file
                await asyncio.sleep(0.002)
        milliseconds = (time.perf_counter() - start) * 1_000
        _, sequence, outcome, reason = gate.signals()[before]
        zh, en = TEXTS[Reason(reason)]
        colour = "green" if outcome == "granted" else "red"
        line = "  [yellow](line cut)[/]" if gate.line.is_cut else ""
        console.print(
            f"{time.strftime('%H:%M:%S')} {gate.spot.gate:17} {CARDS.get(uid, 'a card'):28} "
            f"[{colour}]{outcome:7}[/] {zh} · {en} [dim](event {sequence}, {milliseconds:.0f} ms)[/]{line}"
        )
        return outcome, reason

    async def show_receipts(self) -> None:
        table = Table("gate", "events", "receipted through", "waiting", "central", box=None)
        for gate in self.town.gates.values():
            status = await gate.status()
            if status is not None:
                reach = {True: "reachable", False: "[red]out of reach[/]", None: "–"}[status["central_reachable"]]
                counts = (status["sequence"] + 1, status["receipted_through"], status["backlog"])
                table.add_row(gate.spot.gate, *map(str, counts), reach)
        console.print(table)

    async def delivered(self, gate: Gate) -> None:
        await gate.until(lambda status: status["backlog"] == 0 and status["receipted_through"] == status["sequence"])
