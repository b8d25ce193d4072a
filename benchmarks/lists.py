"""A three-million-card snapshot over the wire, a block on its way to ten gates, an agent at rest."""

import asyncio
import sqlite3
import time
from pathlib import Path

from benchmarks.report import Row, at_most, ratio_at_most
from benchmarks.town import DOMAIN, action, first_answer_s, found, memory_mb, written_bytes
from deploy.town import Gate, Town
from protocol.allowlist import total

GATES = 10
IDLE_S = 30
CSV = "uid,member,class,valid_from,valid_until\n" + "".join(
    f"04{number:012X},M-{number},citizen,2024-01-01,2099-12-31\n" for number in range(1, 101)
)
CARD = "04000000000001"


def fill(town: Town, rows: list[tuple[bytes, bytes]]) -> None:
    """Three million rows straight into central's list, with central stopped."""
    connection = sqlite3.connect(town.directory / "central" / "central.db")
    version = time.time_ns() // 1_000_000
    connection.execute("DELETE FROM list_entries WHERE domain = ?", (DOMAIN,))
    connection.executemany(
        "INSERT INTO list_entries (domain, key_number, token, entry, version, dropped) VALUES (?, 1, ?, ?, ?, 0)",
        ((DOMAIN, token, entry, version) for token, entry in rows),
    )
    connection.execute(
        "UPDATE lists SET version = ?, base = ?, count = ?, sum = ? WHERE domain = ?",
        (version, version, len(rows), total(rows).to_bytes(32), DOMAIN),
    )
    connection.commit()
    connection.close()


def floor_s(directory: Path, rows: list[tuple[bytes, bytes]]) -> float:
    """The same rows inserted in order, and synced."""
    connection = sqlite3.connect(directory / "floor-list.db", isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE entries (token BLOB PRIMARY KEY, entry BLOB NOT NULL) WITHOUT ROWID")
    start = time.perf_counter()
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO entries VALUES (?, ?)", rows)
    connection.execute("COMMIT")
    return time.perf_counter() - start


async def snapshot(directory: Path, rows: list[tuple[bytes, bytes]]) -> list[Row]:
    """The first gate makes central build the snapshot; the second one is timed."""
    async with await found(directory, ["first", "second"]) as town:
        await asyncio.to_thread(town.central.stop)
        await asyncio.to_thread(fill, town, rows)
        await town.start_central()
        first, second = town.gates["first"], town.gates["second"]
        first.process.start()
        await first.until(lambda status: status["allowlist_rows"] == len(rows), timeout_s=240)
        await asyncio.to_thread(first.stop)
        second.process.start()
        await second.until(lambda status: True)
        start = time.perf_counter()
        await second.until(lambda status: status["allowlist_rows"] == len(rows), timeout_s=240)
        elapsed_s = time.perf_counter() - start
        memory = memory_mb(second.process.pid, "VmHWM")
    floor = floor_s(directory, rows)
    return [
        ratio_at_most(f"{len(rows):,}-card snapshot fetched and applied", "s", floor, elapsed_s, 2),
        at_most("the agent's memory meanwhile, at the most", "MB", memory, 150),
    ]


async def block(town: Town) -> float:
    """Seconds from the block to the last gate that holds the list with it."""
    gates = list(town.gates.values())
    before = {}
    for gate in gates:
        before[gate.spot.gate] = (await gate.until(lambda status: status["allowlist_rows"] == 100))["allowlist_version"]
    start = time.perf_counter()
    await action(town, "card.block", {"uid": CARD, "notation": "hex"})
    pending = list(gates)
    while pending:
        status = await pending[0].status()
        if status and status["allowlist_version"] > before[pending[0].spot.gate]:
            pending.pop(0)
    elapsed_s = time.perf_counter() - start
    for gate in gates:
        count = len(gate.signals())
        gate.tap(CARD)
        while len(gate.signals()) == count:
            await asyncio.sleep(0.01)
        assert gate.signals()[-1][3] == "card-blocked", gate.signals()[-1]
    return elapsed_s


async def gates(directory: Path) -> list[Row]:
    """Ten agents: start, rest, and a block."""
    async with await found(directory, [f"gate-{number}" for number in range(GATES)], CSV) as town:
        for gate in town.gates.values():
            gate.process.start()
        blocked_s = await block(town)
        resting = town.gates["gate-0"]
        # a new configuration is proven ten seconds after the start, by one write
        await resting.until(lambda status: status["backlog"] == 0 and not status["on_trial"])
        await asyncio.sleep(8)  # the check of everything that follows a start
        before = written_bytes(resting.process.pid)
        await asyncio.sleep(IDLE_S)
        idle_bytes = written_bytes(resting.process.pid) - before
        memory = memory_mb(resting.process.pid, "VmRSS")
        for gate in town.gates.values():
            await asyncio.to_thread(gate.stop)
        starts = sorted([await first_answer_s(resting, CARD), await _again(resting), await _again(resting)])
    return [
        at_most(f"a card blocked, every one of {GATES} gates refuses it", "s", blocked_s, 0.5),
        at_most("agent at rest", "MB", memory, 70),
        at_most(f"agent at rest, written in {IDLE_S} s", "bytes", idle_bytes, 0),
        at_most("first decision after start (median of 3)", "s", starts[1], 1),
    ]


async def _again(gate: Gate) -> float:
    await asyncio.to_thread(gate.stop)
    return await first_answer_s(gate, CARD)
