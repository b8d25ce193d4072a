"""Actions over the server's own socket, for commands while it runs: parameters in, lines of JSON out.

    POST /actions/card.import
    {"domain": "library", …}\\n        the first line: the parameters
    …                                 the rest: the attached file, where the action takes one

Each line of the answer is a map of one key: `progress` [what, done, total], `items` [ … ], and at last either
`result` or `failure` (one line for a person). The socket's file mode (0600) says who may ask.
"""

import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
import structlog
from aiohttp import web

from central.access import perform
from central.access.caller import on_this_machine
from central.actions.action import Action, ActionFailed, Context
from central.actions.registry import ACTIONS
from central.config import Config
from central.device_api import SERVICES, Services
from central.failures import breakage
from central.operate import USER_HEADER
from protocol.errors import Refused

MAX_PARAMS_BYTES = 2 * 1024 * 1024
"""A policy of the largest size, written as JSON."""
PROGRESS_EVERY_S = 0.1

log = structlog.get_logger()


def add_routes(app: web.Application, config: Config) -> None:
    """To an application that holds the services of a running server."""
    app.router.add_post("/actions/{name}", _LocalApi(config, app[SERVICES]).handle)


class _LocalApi:
    def __init__(self, config: Config, services: Services) -> None:
        self._config, self._services = config, services

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Status 404 for an action that there is not, 400 for parameters that cannot be read, else 200 and lines."""
        action = ACTIONS.get(request.match_info["name"])
        if action is None:
            return _refusal(404, f"there is no action {request.match_info['name']!r}")
        try:
            first = await _first_line(request)
            params = msgspec.json.decode(first, type=action.params)
        except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
            return _refusal(400, f"{action.name}: {error}")
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        async with _spooled(request, self._config.data_dir) as file:
            await self._run(action, params, file, response, unquote(request.headers.get(USER_HEADER, "")))
        await response.write_eof()
        return response

    async def _run(
        self, action: Action[Any], params: Any, file: Path | None, response: web.StreamResponse, user: str
    ) -> None:
        said_at = 0.0

        async def line(**content: Any) -> None:
            await response.write(msgspec.json.encode(content) + b"\n")

        async def progress(what: str, done: int, total: int) -> None:
            nonlocal said_at
            if time.monotonic() - said_at >= PROGRESS_EVERY_S:
                said_at = time.monotonic()
                await line(progress=[what, done, total])

        async def emit(items: Sequence[Any]) -> None:
            await line(items=items)

        now_ms = time.time_ns() // 1_000_000
        services, caller = self._services, on_this_machine(user, "local socket")
        context = Context(self._config, services.database, services.keys, now_ms, progress, emit, file, caller)
        try:
            await line(result=await perform.run(context, action, params))
            log.info("action", name=action.name)
        except (ActionFailed, Refused) as error:
            log.info("action-failed", name=action.name)
            await line(failure=str(error))
        except ConnectionResetError:
            log.warning("action-abandoned", name=action.name)
            raise
        except Exception as error:
            log.error("action-broken", name=action.name, **breakage(error))
            await line(failure=f"{action.name} broke off ({type(error).__name__}): see the server's log")


def _refusal(status: int, why: str) -> web.Response:
    return web.json_response({"failure": why}, status=status)


async def _first_line(request: web.Request) -> bytes:
    line = bytearray()
    while not line.endswith(b"\n"):
        if len(line) > MAX_PARAMS_BYTES:
            raise ValueError("the parameters are too long")
        more = await request.content.readline()
        if not more:
            break
        line += more
    return bytes(line)


@contextlib.asynccontextmanager
async def _spooled(request: web.Request, directory: Path) -> AsyncIterator[Path | None]:
    """The attached file, for as long as the action runs; readable by the server alone, since it may hold UIDs."""
    first = await request.content.readany()
    if not first:
        yield None
        return
    with tempfile.NamedTemporaryFile(dir=directory, prefix="attached-") as file:
        file.write(first)
        async for data in request.content.iter_any():
            file.write(data)
        file.flush()
        yield Path(file.name)
