"""`subscription` at the command line, and a real server that is killed between sending and noting."""

import asyncio
import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from tests.central.terminal import Operator, serving
from tests.support import webhook_traps as traps
from tests.support.webhook_traps import receiving

PATIENCE_S = 30


def test_a_subscription_is_added_shown_and_removed(run: Operator, tmp_path: Path) -> None:
    (tmp_path / "url").write_text("https://hooks.example/secret-path\n")
    assert "Nobody outside is told" in run("subscription", "list").stdout
    url = str(tmp_path / "url")
    made = run("subscription", "add", "messages", "--type", "hold-ready", "--type", "tap", "--webhook-file", url)
    assert made.stdout.startswith("whsec_")
    assert made.stdout.count("\n") == 1
    shown = run.json("subscription", "show", "messages")
    assert (shown["webhook_host"], shown["state"]) == ("https://hooks.example", "active")
    assert shown["types"] == ["tw.tapgate.notice.hold-ready.v1", "tw.tapgate.tap.v1"]
    assert run.json("subscription", "pause", "messages")["state"] == "paused"
    assert run.json("subscription", "resume", "messages")["state"] == "active"
    assert run("subscription", "rotate", "messages").stdout.startswith("whsec_")
    assert "There are no dead letters." in run("subscription", "dead", "messages").stdout
    assert run.json("subscription", "replay", "messages", "--since", "2026-01-01")["since_ms"] > 0
    assert "one of the two" in run.refused("subscription", "replay", "messages")
    run("subscription", "replay", "messages", "--since", "yesterday", code=2)
    assert "no subscription 'other'" in run.refused("subscription", "remove", "other")
    run("subscription", "remove", "messages")
    assert run.json("subscription", "list") == []
    audited = run("audit", "list", "--json").stdout
    assert "secret-path" not in audited
    assert "whsec_" not in audited


NETWORKS = "[events]\nnetworks = ['127.0.0.0/8']\n"


async def test_a_server_that_is_killed_after_sending_has_the_next_one_send_the_same(
    run: Operator, tmp_path: Path
) -> None:
    async with receiving() as receiver:
        receiver.act = traps.hanging  # it has the event, and the server does not know
        with serving(run.directory, tmp_path / "central.toml", NETWORKS) as served:
            (tmp_path / "url").write_text(receiver.url)
            url = str(tmp_path / "url")
            await asyncio.to_thread(served, "subscription", "add", "s", "--type", "tap", "--webhook-file", url)
            await asyncio.to_thread(tap, run.directory)
            await until(receiver, 1)
            served.process.kill()
            await asyncio.to_thread(served.process.communicate)
        (run.directory / "admin.sock").unlink(missing_ok=True)
        receiver.act = traps.taking
        execute(run.directory, "UPDATE subscriptions SET taken_until_ms = 0")  # a minute and a half later
        with serving(run.directory, tmp_path / "central.toml", NETWORKS) as served:
            await until(receiver, 2)
            told = 0
            while not told:
                shown = await asyncio.to_thread(served, "subscription", "show", "s", "--json")
                told = json.loads(shown.stdout)["told"]
        assert receiver.ids == [f"gate/{bytes(8).hex()}/1"] * 2
        assert told == 1


def tap(directory: Path) -> None:
    """One, as an upload would leave it."""
    now_ms = time.time_ns() // 1_000_000
    batch = "'gate', x'0000000000000000', 0, x'00', 1, 0, ?, 'accepted', 0, x'', x''"
    execute(directory, f"INSERT INTO batches VALUES ({batch})", now_ms)
    event = "'gate', x'0000000000000000', 1, ?, 'door-1', 'tap', 'in', 'granted', 'ok', '', 0, 'accepted', NULL, NULL"
    execute(directory, f"INSERT INTO events VALUES ({event})", now_ms)
    epoch = "'gate', x'0000000000000000', 1, x'00', ?, x'', -1"
    execute(directory, f"INSERT INTO epochs VALUES ({epoch})", now_ms)


def execute(directory: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(directory / "central.db", timeout=10)) as database:
        database.execute(statement, values)
        database.commit()


async def until(receiver: traps.Receiver, count: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while len(receiver.asked) < count:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
