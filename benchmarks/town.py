"""A town for the figures that need real processes: central over HTTP on loopback, and agents."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import aiohttp

from deploy.town import Gate, Spot, Town
from edge_agent import identity as identity_file
from edge_agent.identity import Identity

POLICY = """
repeat_window_s = 0
[[rules]]
kind = "admit"
id = "members"
classes = ["citizen"]
"""
VENUE, DOMAIN = "venue", "bench"


def spot(gate: str) -> Spot:
    return Spot(gate, VENUE, DOMAIN, "door", "policy", "", "")


async def found(directory: Path, gates: list[str], cards_csv: str = "", tls: bool = True) -> Town:
    """A served town with these gates enrolled and confirmed, none of them running yet."""
    town = Town(directory, tls=tls, lines=False)
    (directory / "policy.toml").write_text(POLICY)
    steps: list[list[str]] = [
        ["init"],
        ["domain", "add", DOMAIN],
        ["venue", "add", VENUE, "--domain", DOMAIN],
        ["policy", "put", "policy", str(directory / "policy.toml")],
    ]
    if cards_csv:
        (directory / "cards.csv").write_text(cards_csv)
        steps.append(
            ["card", "import", str(directory / "cards.csv"), "--domain", DOMAIN, "--notation", "hex", "--apply"]
        )
    for arguments in steps:
        await asyncio.to_thread(town.command, *arguments)
    await town.start_central()
    for gate in gates:
        await action(town, "gate.add", {"id": gate, "venue": VENUE, "policy": "policy"})
        await town.join(spot(gate))
    return town


async def action(town: Town, name: str, params: dict[str, Any]) -> dict[str, Any]:
    """One action over central's own socket: what a command does, without the time that a command takes to start."""
    connector = aiohttp.UnixConnector(path=str(town.directory / "central" / "admin.sock"))
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.post(f"http://central/actions/{name}", json=params) as response,
    ):
        lines = [json.loads(line) for line in (await response.text()).splitlines()]
    if "result" not in lines[-1]:
        raise RuntimeError(f"{name}: {lines[-1]}")
    return dict(lines[-1]["result"])


def identity_of(gate: Gate) -> Identity:
    identity = identity_file.load(gate.directory / "data")
    assert identity is not None
    return identity


def memory_mb(pid: int, field: str) -> float:
    """`VmRSS` (now) or `VmHWM` (the most so far) of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1_000
    raise RuntimeError(field)


def written_bytes(pid: int) -> int:
    """What a process has sent to the disk."""
    for line in Path(f"/proc/{pid}/io").read_text().splitlines():
        if line.startswith("write_bytes"):
            return int(line.split()[1])
    raise RuntimeError("write_bytes")


async def first_answer_s(gate: Gate, uid: str) -> float:
    """Start an agent with a card already at its reader: seconds until somebody has an answer."""
    before = len(gate.signals())
    gate.tap(uid)
    start = time.perf_counter()
    gate.process.start()
    async with asyncio.timeout(30):
        while len(gate.signals()) == before:
            await asyncio.sleep(0.005)
    return time.perf_counter() - start
