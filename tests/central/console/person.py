"""People at the console, over real HTTP: they sign in, read pages and send forms as a browser would."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from sqlalchemy import insert

from central import admin_api
from central.access.caller import on_this_machine
from central.access.passwords import hashed
from central.access.perform import perform
from central.actions.action import Context
from central.app import build_app
from central.config import Config, parse
from central.console import serving
from central.device_api import Services
from central.keys import Keys
from central.snapshots import Snapshots
from central.store.database import Database
from central.store.schema import accounts
from tests.central.actors import NOW_MS
from tests.central.callers import _json

_numbers = count()
PASSWORD = "correct horse battery"
CSRF = re.compile(r'name="csrf" value="([0-9a-f]{64})"')


@dataclass
class Answered:
    """A page as it came. `said`: what the flash message of the page after a form says."""

    status: int
    text: str
    headers: Any
    url: str


class Person:
    """One browser of one person."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._http = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True, treat_as_secure_origin=[address]))
        self.csrf = ""

    async def get(self, path: str, **options: Any) -> Answered:
        """`path`: below the server's address, such as `/console/devices`."""
        async with self._http.get(self.address + path, **options) as response:
            return await self._read(response)

    async def post(self, path: str, **fields: Any) -> Answered:
        """A form with the token of the page that was read last; a list gives a field several times."""
        pairs = [("csrf", fields.pop("csrf", self.csrf))]
        for name, value in fields.items():
            pairs += [(name, str(one)) for one in value] if isinstance(value, list) else [(name, str(value))]
        return await self.send(path, data=pairs)

    async def post_quietly(self, path: str, **fields: str) -> Answered:
        """The same, without following where it leads."""
        return await self.send(path, data={"csrf": self.csrf, **fields}, allow_redirects=False)

    async def upload(self, path: str, file: bytes, name: str = "table.csv", **fields: Any) -> Answered:
        form = aiohttp.FormData()
        form.add_field("csrf", self.csrf)
        for field, value in fields.items():
            form.add_field(field, str(value))
        form.add_field("file", file, filename=name)
        return await self.send(path, data=form)

    async def send(self, path: str, **options: Any) -> Answered:
        async with self._http.post(self.address + path, **options) as response:
            return await self._read(response)

    @asynccontextmanager
    async def stream(self, path: str) -> AsyncIterator[Callable[[], Awaitable[str]]]:
        """Server-sent events of a live page: each call waits for the next block, or `over`."""
        async with self._http.get(self.address + path) as response:
            assert response.content_type == "text/event-stream", response.status

            async def following() -> str:
                async with asyncio.timeout(20):
                    while True:
                        line = (await response.content.readline()).decode()
                        if line.startswith("event: over"):
                            return "over"
                        if line.startswith("data: ") and len(line) > len("data: \n"):
                            return str(json.loads(line.removeprefix("data: ")))

            yield following

    async def _read(self, response: aiohttp.ClientResponse) -> Answered:
        text = await response.text(errors="replace")
        found = CSRF.search(text)
        if found:
            self.csrf = found[1]
        return Answered(response.status, text, response.headers, str(response.url))

    def cookies(self) -> dict[str, str]:
        return {cookie.key: cookie.value for cookie in self._http.cookie_jar}

    def set_cookie(self, name: str, value: str) -> None:
        self._http.cookie_jar.update_cookies({name: value}, aiohttp.client.URL(self.address))

    async def sign_in(self, name: str, password: str = PASSWORD, **fields: str) -> Answered:
        await self.get("/console/sign-in")
        answered = await self.post("/console/sign-in", name=name, password=password, **fields)
        return answered

    async def close(self) -> None:
        await self._http.close()


class Console:
    """A server with pages. `person` is somebody who is signed in; accounts are made as they are needed."""

    def __init__(self, address: str, services: Services, config: Config) -> None:
        self.address, self.services, self.config = address, services, config
        self._hash = ""
        self._people: list[Person] = []
        self._signed_in: dict[str, Person] = {}

    async def account(
        self, name: str, *roles: str, venues: tuple[str, ...] = (), teams: tuple[str, ...] = (), **more: Any
    ) -> None:
        self._hash = self._hash or await hashed(PASSWORD)
        row = {"id": name, "roles": _json(roles), "venues": _json(venues), "teams": _json(teams), "state": "active"}
        row |= {"password": self._hash, "must_change": False, "loopback_only": False, "created_ms": 1}
        async with self.services.database.write() as connection:
            await connection.execute(insert(accounts).values(row | more))

    def visitor(self) -> Person:
        """Somebody who is not signed in."""
        made = Person(self.address)
        self._people.append(made)
        return made

    async def sign_in(
        self, role: str, *, name: str = "", venues: tuple[str, ...] = (), teams: tuple[str, ...] = ()
    ) -> Person:
        """Somebody of this role, with an account of their own."""
        name = name or f"{role}-{len(self._people)}"
        await self.account(name, role, venues=venues, teams=teams)
        made = self.visitor()
        answered = await made.sign_in(name)
        assert "/sign-in" not in answered.url, answered.text
        return made

    async def signed_in(self, name: str) -> Person:
        """Somebody whose account exists; the same browser every time."""
        if name not in self._signed_in:
            self._signed_in[name] = self.visitor()
            await self._signed_in[name].sign_in(name)
        return self._signed_in[name]

    async def token(self, account: str, *actions: str) -> str:
        """A new API token of an account."""
        caller = on_this_machine("root", "command line")
        database, keys = self.services.database, self.services.keys
        context = Context(self.config, database, keys, self.services.now_ms(), caller=caller)
        values = {"id": f"token-{next(_numbers)}", "days": 30, "account": account, "actions": list(actions)}
        return str((await perform(context, "token.issue", values)).token)  # type: ignore[attr-defined]

    async def ask_api(self, secret: str, action: str, params: Any, **options: Any) -> Answered:
        """One request of a system; its text is JSON."""
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        options = options or {"json": params}
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{self.address}/api/v1/{action}", headers=headers, **options) as response,
        ):
            return Answered(response.status, await response.text(), response.headers, str(response.url))

    async def close(self) -> None:
        for person in self._people:
            await person.close()


@asynccontextmanager
async def console_over(
    database: Database, keys: Keys, url: str, directory: Path, **settings: Any
) -> AsyncIterator[Console]:
    """A console on a free port of loopback. Its clock stands still at `services.now_ms`, which tests may replace."""
    directory.mkdir(parents=True, exist_ok=True)
    values = {"data_dir": str(directory), "database": url, "keys_dir": str(keys.directory), "tls": "none"}
    config = parse(values | settings)
    services = Services(database, keys, Snapshots(database, keys, directory / "snapshots"), now_ms=lambda: NOW_MS)

    def add(app: web.Application) -> None:
        serving.add_routes(app, config)
        admin_api.add_routes(app, config)

    runner = web.AppRunner(build_app(services, add), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    console = Console(f"http://127.0.0.1:{runner.addresses[0][1]}", services, config)
    try:
        yield console
    finally:
        await console.close()
        await runner.cleanup()
        await services.polls.close()
