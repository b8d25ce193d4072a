"""How a command reaches the data: in this process, or through the server that holds it.

Two processes never write one SQLite file. Whoever writes holds `central.lock`; while a server does, commands
that write go to its socket, and so do those that look at a person's data, since the audit log tells of them. Commands
that only read, and any on PostgreSQL, run here.
"""

import asyncio
import getpass
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from central.access import perform
from central.access.caller import on_this_machine
from central.access.rules import leaves_trace
from central.actions.action import (
    Action,
    ActionFailed,
    Context,
    Emit,
    Params,
    Progress,
    no_items,
    no_progress,
    require_content,
)
from central.config import Config
from central.keys import Keys
from central.only_writer import LOCK_FILE, SOCKET_FILE, Locked, only_writer
from central.store.database import open_database
from central.store.migrate import is_current

USER_HEADER = "Tapgate-User"
"""Who asks: believed, since whoever can open the socket can read the keys beside it."""
SEND_BYTES = 1 << 18
RETRY_S = 0.1
STARTING_S = 5.0
"""How long a server that holds the lock may take until it answers on its socket."""


async def run(
    config: Config,
    action: Action[Any],
    params: Params,
    *,
    file: Path | None = None,
    progress: Progress = no_progress,
    emit: Emit = no_items,
) -> dict[str, Any]:
    """The action's result as a map, wherever it ran. Raises ActionFailed with one line for a person."""
    if not config.is_sqlite or not leaves_trace(action.name, writes=action.writes):
        return await _run_here(config, action, params, file, progress, emit)
    try:
        with only_writer(config):
            return await _run_here(config, action, params, file, progress, emit)
    except Locked:
        return await _run_there(config, action, params, file, progress, emit)


async def _run_here(
    config: Config, action: Action[Any], params: Params, file: Path | None, progress: Progress, emit: Emit
) -> dict[str, Any]:
    require_initialised(config)
    try:
        async with open_database(config.database) as database:
            async with database.read() as connection:
                if not await is_current(connection):
                    raise ActionFailed(f"{name_of(config)} has another schema than this version: run `init` to upgrade")
            caller = on_this_machine(user_name(), "command line")
            context = Context(config, database, Keys(config.keys_dir), now_ms(), progress, emit, file, caller)
            return dict(msgspec.to_builtins(await perform.run(context, action, params)))
    except (SQLAlchemyError, OSError) as error:
        if isinstance(error, OSError) and error.filename is not None:  # of a file of ours, not of the database
            raise ActionFailed(f"{error.filename}: {error.strerror}") from error
        raise ActionFailed(f"{name_of(config)}: {_one_line(error)}") from error


def require_initialised(config: Config) -> None:
    """Raises ActionFailed where `init` was not run."""
    require_keys(config)
    database = make_url(config.database).database
    if config.is_sqlite and not Path(str(database)).exists():
        raise ActionFailed(f"no database at {database}: run `tapgate-central init` or `restore` first")


def require_keys(config: Config) -> None:
    """Raises ActionFailed where there are none."""
    if not (config.keys_dir / "root.public").exists():
        raise ActionFailed(f"no keys in {config.keys_dir}: run `tapgate-central init` first, or state --config")


def user_name() -> str:
    """Who is at this machine's command line, for the audit log."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def now_ms() -> int:
    """UTC."""
    return time.time_ns() // 1_000_000


def name_of(config: Config) -> str:
    """The database, without its password."""
    return make_url(config.database).render_as_string(hide_password=True)


def _one_line(error: BaseException) -> str:
    cause = getattr(error, "orig", None) or error
    return " ".join(str(cause).split())[:300] or type(cause).__name__


# --- through the server -----------------------------------------------------------------------------------


async def _run_there(
    config: Config, action: Action[Any], params: Params, file: Path | None, progress: Progress, emit: Emit
) -> dict[str, Any]:
    require_content(file)
    connector = aiohttp.UnixConnector(path=str(config.data_dir / SOCKET_FILE))
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        deadline = time.monotonic() + STARTING_S
        while True:
            try:
                return await _ask(session, action, params, file, progress, emit)
            except aiohttp.ClientConnectorError as error:
                if time.monotonic() > deadline:
                    raise ActionFailed(
                        f"a process holds {config.data_dir / LOCK_FILE} and does not answer on {SOCKET_FILE}"
                        f" ({_one_line(error)}): is another command running?"
                    ) from None
                await asyncio.sleep(RETRY_S)
            except aiohttp.ClientError as error:
                raise ActionFailed(f"the server broke off ({_one_line(error)}): see its log, then try again") from None


async def _ask(
    session: aiohttp.ClientSession,
    action: Action[Any],
    params: Params,
    file: Path | None,
    progress: Progress,
    emit: Emit,
) -> dict[str, Any]:
    address, headers = f"http://central/actions/{action.name}", {USER_HEADER: quote(user_name())}
    async with session.post(address, data=_body(params, file), headers=headers) as response:
        result: dict[str, Any] | None = None
        async for line in _lines(response):  # to the end: only then has the server let go of the attached file
            said = msgspec.json.decode(line)
            if "progress" in said:
                await progress(*said["progress"])
            elif "items" in said:
                await emit(said["items"])
            elif "failure" in said:
                raise ActionFailed(said["failure"])
            elif "result" in said:
                result = dict(said["result"])
        if result is not None:
            return result
    raise ActionFailed(f"the server ended in the midst of {action.name}: see its log, then try again")


async def _body(params: Params, file: Path | None) -> AsyncIterator[bytes]:
    yield msgspec.json.encode(params) + b"\n"
    if file is not None:
        with file.open("rb") as opened:
            while data := opened.read(SEND_BYTES):
                yield data


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Lines of any length; a report's blocks of rows are long ones."""
    rest = b""
    async for data in response.content.iter_any():
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            yield line
    if rest:
        yield rest
