"""The API for systems: every action under `/api/v1`, for the account that a token stands for.

    POST /api/v1/card.block          Authorization: Bearer tapgate_…
    {"uid": "04A1B2C3", "why": "reported lost"}

The console's pages ask the same actions; `/api/v1/openapi.json` describes them all.
"""

import asyncio
import functools
import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import structlog
from aiohttp import web

from central.access.caller import Caller
from central.access.perform import BadParameters, perform
from central.access.reach import Forbidden
from central.access.sign_in import here_alone
from central.access.tokens import caller_of_token
from central.actions.action import ActionFailed, AskedTooOften, Context
from central.actions.registry import ACTIONS
from central.config import Config
from central.console.bodies import MAX_FIELD_BYTES, read_form
from central.console.guard import harden, origin_of
from central.device_api import SERVICES, Services
from central.failures import breakage
from central.openapi import PREFIX, QUERIES, Failed, document, offered
from protocol.errors import Refused

MOST_ITEMS = 10_000
"""Handed out in one answer; ask on with the parameters that an action has for it."""

log = structlog.get_logger()


def add_routes(app: web.Application, config: Config) -> None:
    """Below `/api/v1`, to an application that holds the services of a running server."""
    api = _Api(app[SERVICES], config)
    sub = web.Application(middlewares=[_answers])
    for action in offered(ACTIONS.values()):
        sub.router.add_post(f"/{action.name}", api.answering(action.name))
    for path, name in QUERIES.items():
        sub.router.add_get(path, api.queried(name))
    sub.router.add_get("/openapi.json", api.describe)
    app.add_subapp(PREFIX, sub)


class _Refusal(Exception):
    def __init__(self, status: int, kind: str, failure: str) -> None:
        super().__init__(failure)
        self.status, self.kind = status, kind


@web.middleware
async def _answers(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Every refusal as JSON, and the same headers on everything."""
    try:
        response = await handler(request)
    except _Refusal as refusal:
        response = _failed(refusal.status, refusal.kind, str(refusal))
    except Forbidden as refusal:
        response = _failed(403, "forbidden", str(refusal))
    except BadParameters as error:
        response = _failed(400, "bad-parameters", str(error))
    except AskedTooOften as failure:
        response = _failed(429, "too-many", str(failure))
        response.headers["Retry-After"] = str(failure.wait_s)
    except ActionFailed as failure:
        response = _failed(422, "not-done", str(failure))
    except Refused as refused:
        response = _failed(422, refused.kind.value, refused.detail)
    except web.HTTPRequestEntityTooLarge:
        response = _failed(413, "too-large", "the body is larger than what is taken")
    except web.HTTPException as refusal:
        response = _failed(refusal.status, "http", refusal.reason)
        response.headers.update({name: refusal.headers[name] for name in ("Allow",) if name in refusal.headers})
    except ConnectionResetError:
        raise
    except Exception as error:
        log.error("api-broken", path=request.path, **breakage(error))
        response = _failed(503, "broken", "it went wrong on the server's side; its log says where")
    if response.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="tapgate"'
    harden(request, response)
    return response


def _failed(status: int, kind: str, failure: str) -> web.Response:
    body = msgspec.json.encode(Failed(kind, failure))
    return web.Response(status=status, body=body, content_type="application/json")


@functools.cache
def _described() -> bytes:
    """A megabyte, made when somebody asks for the first time: most servers are never asked."""
    return json.dumps(document(ACTIONS.values()), ensure_ascii=False, indent=1).encode()


class _Api:
    def __init__(self, services: Services, config: Config) -> None:
        self._services, self._config = services, config

    async def describe(self, _request: web.Request) -> web.Response:
        """The OpenAPI document; for everybody, since it says nothing about a city."""
        return web.Response(body=await asyncio.to_thread(_described), content_type="application/json")

    def answering(self, name: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """The handler of an action."""

        async def handle(request: web.Request) -> web.StreamResponse:
            caller = await self._caller(request)
            if request.content_type == "application/json":
                return await self._perform(name, caller, _object(await request.read()), None)
            if request.content_type != "multipart/form-data":
                raise _Refusal(415, "content-type", "send application/json, or multipart/form-data with a file")
            async with read_form(request, self._config.data_dir, self._config.max_upload_bytes) as (fields, file):
                params = _object(fields.get("params", "").encode())
                return await self._perform(name, caller, params, file.path if file else None)

        return handle

    def queried(self, name: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """The handler of an action whose parameters stand in the address."""

        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._perform(name, await self._caller(request), dict(request.query), None, strict=False)

        return handle

    async def _caller(self, request: web.Request) -> Caller:
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        origin = origin_of(request, self._config.proxied)
        caller = None
        if scheme.lower() == "bearer" and secret:
            now_ms, loopback = self._services.now_ms(), here_alone(self._config)
            caller = await caller_of_token(self._services.database, secret.strip(), origin, now_ms, loopback=loopback)
        if caller is None:
            raise _Refusal(401, "no-token", "send an API token that is in force: Authorization: Bearer …")
        return caller

    async def _perform(
        self, name: str, caller: Caller, values: dict[str, Any], file: Path | None, *, strict: bool = True
    ) -> web.StreamResponse:
        items: list[Any] = []
        more = False

        async def emit(some: Sequence[Any]) -> None:
            nonlocal more
            room = MOST_ITEMS - len(items)
            items.extend(some[:room])
            more = more or len(some) > room

        services = self._services
        told = {key: value for key, value in values.items() if key != "who"}
        context = Context(
            *(self._config, services.database, services.keys, services.now_ms()), emit=emit, file=file, caller=caller
        )
        result = await perform(context, name, told, strict=strict)
        body = msgspec.json.encode({"result": result, "items": items, "more": more})
        return web.Response(body=body, content_type="application/json")


def _object(body: bytes) -> dict[str, Any]:
    if len(body) > MAX_FIELD_BYTES:
        raise _Refusal(413, "too-large", f"parameters of more than {MAX_FIELD_BYTES} bytes")
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _Refusal(400, "bad-json", f"the parameters are not one JSON object: {error}") from None
