"""`library …` at a terminal, and the server that asks by itself."""

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from central.__main__ import cli
from central.app import running
from central.config import load
from central.store.database import open_database
from central.store.schema import library_patrons
from tests.central.terminal import Operator
from tests.support.sip2_server import Patron, Sip2Server


@pytest.fixture
def server() -> Iterator[Sip2Server]:
    """On a thread of its own: commands have an event loop of theirs."""
    server, ready, done = Sip2Server(), threading.Event(), asyncio.Event()
    server.patrons, server.titles = {"P1": Patron(holds="0001")}, {"B1": "紅樓夢"}
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with server.serving():
            ready.set()
            await done.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(5)
    yield server
    loop.call_soon_threadsafe(done.set)
    thread.join(5)
    loop.close()


@pytest.fixture
def settings(run: Operator, server: Sip2Server, tmp_path: Path) -> Path:
    """Of a server with one library; the member A-1 has the barcode P1."""
    (tmp_path / "password").write_text("geheim")
    file = tmp_path / "central.toml"
    file.write_text(
        f"""data_dir = "{run.directory}"
tls = "none"
port = 0
[[libraries]]
id = "tc"
domain = "library"
host = "127.0.0.1"
port = {server.port}
tls = "none"
user = "tapgate"
password_file = "{tmp_path / "password"}"
"""
    )
    run("member", "number", "put", "A-1", "library-barcode", "P1")
    return file


def command(settings: Path, *arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(cli, ["--config", str(settings), "library", *arguments])
    assert result.exit_code == code, (arguments, result.output, result.exception)
    return result


def test_a_librarys_day_at_the_terminal(settings: Path, server: Sip2Server) -> None:
    (before,) = json.loads(command(settings, "status", "--json").stdout)
    assert before["state"] == "new"
    checked = json.loads(command(settings, "check", "tc", "--json").stdout)
    assert checked["lends"]
    assert re.search(r"took +[0-9.]+ s\n", command(settings, "check", "tc").stdout)
    assert "no library 'elsewhere'" in command(settings, "check", "elsewhere", code=1).stderr
    assert "library 'elsewhere'" in command(settings, "status", "elsewhere", code=1).stderr
    asked = json.loads(command(settings, "refresh", "tc", "A-1", "--json").stdout)
    assert (asked["standing"], asked["hold_ready"]) == ("good", True)
    assert "answers" in command(settings, "status").stdout
    shown = CliRunner().invoke(cli, ["--config", str(settings), "member", "show", "A-1"]).stdout
    assert ("flag: hold-ready, until: –" in shown, "checked: 20" in shown, "_ms" in shown) == (True, True, False)
    lent = command(settings, "checkout", "tc", "B1", "--uid", "2A83155E", "--notation", "hex")
    assert "2026-12-20 23:59" in lent.stdout
    again = command(settings, "checkout", "tc", "B1", "--member", "A-1", code=1)
    assert "refused: 此館藏不可外借" in again.stderr
    server.plan.append("drop")
    settings.write_text(settings.read_text() + "answer_s = 0.2\n")
    lost = command(settings, "return", "tc", "B1", "--json", code=1)
    assert json.loads(lost.stdout)["outcome"] == "unknown"
    assert "look at the library's own system" in lost.stderr
    assert "in the settings" in command(settings, "forget", "tc", code=1).stderr
    settings.write_text(settings.read_text().partition("[[libraries]]")[0])
    assert json.loads(command(settings, "forget", "tc", "--json").stdout)["members"] == 1
    assert "No library system" in command(settings, "status").stdout


async def test_the_server_asks_by_itself(settings: Path, server: Sip2Server) -> None:
    config = load(settings)
    async with running(config), open_database(config.database) as database, asyncio.timeout(20):
        found: list[str] = []
        while found != ["good"]:
            await asyncio.sleep(0.05)
            async with database.read() as connection:
                found = list((await connection.execute(select(library_patrons.c.standing))).scalars())
    assert server.asked == ["P1"]
