"""A thousand agents hold their polls on one process; a card is blocked, and each must have the list that refuses it.

The agents are played within this one process: each has its own keys and its own TLS connection, and opens what it is
sent as an agent does (signature, manifest, delta). What a real one does with a delta then is measured by `make bench`.
"""

import asyncio
import os
import ssl
import time
from pathlib import Path
from typing import Any

import aiohttp
from sqlalchemy import insert

from benchmarks.report import Row, at_most
from benchmarks.town import action
from central.keys import Keys
from central.store.database import open_database
from central.store.schema import devices
from deploy.town import Town
from protocol.envelope import Keyring, Signer, new_sealing_key, open_as, unwrap
from protocol.messages import Delta, Manifest, Poll, decode
from tests.central.actors import UNDERSTANDS

CARDS = 100
LIMIT_S = 2.0
GATES = 100
POLICY = '[[rules]]\nkind = "admit"\nid = "members"\nclasses = ["citizen"]\n'


class _Agent:
    """One device: it polls, takes up what it is sent, and polls again."""

    def __init__(self, number: int) -> None:
        self.id, self.gate = f"agent-{number:04}", f"gate-{number % GATES:03}"
        self.signer, self.sealing = Signer.generate(), new_sealing_key()
        self.manifest: Manifest | None = None
        self.list_version = 0
        self.newer = asyncio.Event()

    def poll(self, wait_s: int) -> bytes:
        held = self.manifest
        number, keys_number, parts = (held.number, held.keys_number, held.parts) if held else (0, 0, ())
        now_ms = time.time_ns() // 1_000_000
        return self.signer.seal(
            Poll(self.id, os.urandom(16), now_ms, number, keys_number, parts, (), 0, wait_s, "bench", UNDERSTANDS)
        )

    async def run(self, session: aiohttp.ClientSession, url: str, ring: Keyring) -> None:
        while True:
            async with session.post(f"{url}/v1/poll", data=self.poll(60)) as response:
                body = await response.read()
                assert response.status == 200, body
            for envelope in decode(tuple[bytes, ...], body):
                kind = unwrap(envelope).type
                if kind == Manifest.TYPE:
                    self.manifest = open_as(Manifest, envelope, ring)
                    versions = {part.name: part.version for part in self.manifest.parts}
                    self.list_version = versions["allowlist"]
                    self.newer.set()
                elif kind == Delta.TYPE:
                    open_as(Delta, envelope, ring)


async def run(directory: Path, count: int) -> list[Row]:
    """Seconds from the block to the last agent that holds the list with it."""
    directory.mkdir(parents=True)
    async with Town(directory, lines=False) as town:
        await _found(town, directory)
        agents = [_Agent(number) for number in range(count)]
        await _enrol(town, directory, agents)
        await town.start_central()
        keys = Keys(directory / "central" / "keys")
        ring = Keyring.stated(keys.statement, keys.statement.at_ms)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connector = aiohttp.TCPConnector(limit=0, ssl=context)
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            tasks = [
                asyncio.create_task(agent.run(session, f"https://127.0.0.1:{town.port}", ring)) for agent in agents
            ]
            async with asyncio.timeout(300):
                await asyncio.gather(*(agent.newer.wait() for agent in agents))
                await asyncio.sleep(5)  # all of them hold their polls again
            taken = [await _block(town, agents, number) for number in range(5)]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        name = f"a card blocked, each of {count:,} agents holds the list with it (worst of 5)"
        return [at_most(name, "s", max(taken), LIMIT_S)]


async def _block(town: Town, agents: list[_Agent], number: int) -> float:
    before = {agent.id: agent.list_version for agent in agents}
    for agent in agents:
        agent.newer.clear()
    start = time.perf_counter()
    await action(town, "card.block", {"uid": f"04{number:012X}", "notation": "hex"})
    async with asyncio.timeout(60):
        for agent in agents:
            while agent.list_version <= before[agent.id]:
                await agent.newer.wait()
                agent.newer.clear()
    elapsed_s = time.perf_counter() - start
    await asyncio.sleep(2)
    return elapsed_s


async def _found(town: Town, directory: Path) -> None:
    (directory / "policy.toml").write_text(POLICY)
    header = "uid,member,class,valid_from,valid_until\n"
    table = header + "".join(f"04{n:012X},m{n},citizen,,\n" for n in range(CARDS))
    (directory / "cards.csv").write_text(table)
    for arguments in (
        ("init",),
        ("domain", "add", "bench"),
        ("venue", "add", "venue", "--domain", "bench"),
        ("policy", "put", "policy", str(directory / "policy.toml")),
        ("card", "import", str(directory / "cards.csv"), "--domain", "bench", "--notation", "hex", "--apply"),
    ):
        await asyncio.to_thread(town.command, *arguments)
    await town.start_central()
    for number in range(GATES):
        await action(town, "gate.add", {"id": f"gate-{number:03}", "venue": "venue", "policy": "policy"})
    await asyncio.to_thread(town.central.stop)


async def _enrol(town: Town, directory: Path, agents: list[_Agent]) -> None:
    """As confirmed devices, written while nobody serves: what is measured comes after joining."""
    rows: list[dict[str, Any]] = [
        {
            **{"id": agent.id, "gate": agent.gate, "state": "active", "signing_public": agent.signer.public},
            **{"sealing_public": agent.sealing[1], "words": "", "enrolled_ms": 1, "confirmed_ms": 1},
        }
        for agent in agents
    ]
    async with (
        open_database(f"sqlite:///{directory / 'central' / 'central.db'}") as database,
        database.write() as connection,
    ):
        await connection.execute(insert(devices), rows)
