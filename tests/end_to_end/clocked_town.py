"""A town whose clock the test turns: central and agent run in this process, on one clock, over real TLS."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from central import app, tls
from central.actions.action import Context
from central.actions.registry import ACTIONS
from central.config import Config, load
from central.device_api import Services
from central.keys import Keys
from central.snapshots import Snapshots
from central.store.database import open_database
from edge_agent import config as edge_config
from edge_agent import enrolment
from edge_agent import identity as identity_file
from edge_agent.agent import Agent
from edge_agent.moments import Moment
from edge_agent.readers import CardRead
from edge_agent.release import Signal
from protocol.joining import from_text

DAY_MS = 86_400_000


class Clock:
    """Wall and monotonic time go together; between boots the monotonic one begins anew."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms
        self._boot, self._booted_ms = 1, now_ms

    def wall_ms(self) -> int:
        return self.now_ms

    def now(self) -> Moment:
        return Moment(self.now_ms, self.now_ms - self._booted_ms, self._boot.to_bytes(8))

    def pass_days(self, days: float, *, switched_off: bool = False) -> None:
        self.now_ms += int(days * DAY_MS)
        if switched_off:
            self._boot, self._booted_ms = self._boot + 1, self.now_ms


def make_certificate(directory: Path, now_ms: int) -> bytes:
    """A self-signed one for loopback. Returns its digest."""
    return tls.self_signed(directory, ["127.0.0.1", "localhost"], now_ms)


class ClockedCentral:
    """Serves devices as the program does, but for where its time comes from."""

    def __init__(self, data: Path, clock: Clock, port: int) -> None:
        self.clock, self._port = clock, port
        settings = data.parent / "central.toml"
        settings.write_text(f'data_dir = "{data}"\nport = {port}\n')
        self.config: Config = load(settings)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        keys = Keys(self.config.keys_dir)
        async with open_database(self.config.database) as database:
            snapshots = Snapshots(database, keys, self.config.data_dir / "snapshots")
            self._services = Services(database, keys, snapshots, now_ms=self.clock.wall_ms)
            runner = web.AppRunner(app.build_app(self._services), access_log=None, shutdown_timeout=1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", self._port, ssl_context=app.tls_context(self.config)).start()
            try:
                yield
            finally:
                await runner.cleanup()
                await self._services.polls.close()

    async def act(self, name: str, **values: Any) -> Any:
        """What an operator does, at the clock's time."""
        services, action = self._services, ACTIONS[name]
        self.items: list[Any] = []
        context = Context(self.config, services.database, services.keys, self.clock.now_ms, emit=self._emit)
        return await action.run(context, msgspec.convert(values, action.params))

    async def _emit(self, items: Sequence[Any]) -> None:
        self.items.extend(items)

    async def log(self) -> list[Any]:
        await self.act("log")
        return self.items

    def new_certificate(self) -> bytes:
        """Another one in the old one's place, served from the next start on. Returns its digest."""
        for name in (tls.CERTIFICATE_FILE, tls.PRIVATE_KEY_FILE):
            (self.config.keys_dir / name).unlink()
        return make_certificate(self.config.keys_dir, self.clock.now_ms)


class ClockedAgent:
    """The whole agent, loops and all, at this clock."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self.clock = clock
        directory.mkdir(exist_ok=True)
        (directory / "edge.toml").write_text(
            f'data_dir = "{directory / "data"}"\npoll_wait_s = 1\nretry_max_s = 0.2\n[release]\nkind = "dry"\n'
        )
        self.config = edge_config.load(directory / "edge.toml")

    async def enrol(self, token: str) -> tuple[str, str]:
        """Device and words."""
        identity = enrolment.prepare(self.config.data_dir, from_text(token))
        identity = await enrolment.enrol(self.config.data_dir, identity)
        return identity.device, enrolment.words(identity)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Agent]:
        identity = identity_file.load(self.config.data_dir)
        assert identity is not None
        agent = Agent(self.config, identity, self.clock)
        task = asyncio.create_task(agent.run())
        try:
            while not hasattr(agent, "subscription"):
                assert not task.done(), task.exception()
                await asyncio.sleep(0.01)
            yield agent
        finally:
            agent._stopping.set()
            with suppress(asyncio.CancelledError):
                await asyncio.wait_for(task, 15)


async def tap(agent: Agent, uid: str) -> Signal:
    return await asyncio.to_thread(agent.gate.tap, CardRead("test", bytes.fromhex(uid)))
