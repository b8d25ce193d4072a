"""A real server is killed while it tells of an alert: the next one tells the same again, and nothing twice."""

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from tests.central.terminal import Operator, serving
from tests.support.webhook_sink import webhook_sink

ALERT = bytes.fromhex("01a0c456d4a00000000000000000000f")
PATIENCE_S = 30


async def test_a_server_that_is_killed_while_it_tells_leaves_the_message_to_the_next(
    run: Operator, tmp_path: Path
) -> None:
    def put(url: str) -> None:
        (tmp_path / "url").write_text(url)
        run("alert", "contact", "put", "ops", "--title", "Ops", "--webhook-file", str(tmp_path / "url"))
        now_ms = time.time_ns() // 1_000_000
        with closing(sqlite3.connect(run.directory / "central.db")) as database:
            database.execute(
                "INSERT INTO alerts (id, kind, target, venue, gate, device, state, opened_ms, facts)"
                " VALUES (?, 'silent', 'door-1', 'library-1', 'door-1', '', 'open', ?, '{}')",
                (ALERT, now_ms),
            )
            database.execute(
                "INSERT INTO alert_messages (alert, contact, channel, what, state, bundle, made_ms, next_ms,"
                " taken_until_ms, tries) VALUES (?, 'ops', 'webhook', 'opened', 'waiting', x'', ?, 0, 0, 0)",
                (ALERT, now_ms),
            )
            database.commit()

    def state(forget_who_took_it: bool = False) -> str:
        with closing(sqlite3.connect(run.directory / "central.db")) as database:
            if forget_who_took_it:  # two minutes later
                database.execute("UPDATE alert_messages SET taken_until_ms = 0")
                database.commit()
            return str(database.execute("SELECT state FROM alert_messages").fetchone()[0])

    async def until(count: int) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while len(hook.deliveries) < count:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)

    async with webhook_sink() as hook:
        await asyncio.to_thread(put, hook.url)
        hook.delay_s = 5
        with serving(run.directory, tmp_path / "central.toml") as served:
            await until(1)  # the system has it, and the server does not know
            served.process.kill()
            await asyncio.to_thread(served.process.communicate)
        assert state() == "waiting"
        hook.delay_s = 0
        (run.directory / "admin.sock").unlink(missing_ok=True)
        assert state(forget_who_took_it=True) == "waiting"
        with serving(run.directory, tmp_path / "central.toml"):
            await until(2)
            deadline = time.monotonic() + PATIENCE_S
            while state() != "told":
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)
            await asyncio.sleep(3)
        assert hook.deliveries == [hook.deliveries[0]] * 2
        assert hook.bodies[0]["alert"]["id"] == ALERT.hex()
