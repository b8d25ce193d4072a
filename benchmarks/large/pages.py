"""Every page, as an admin opens it: the whole answer over HTTP, many times, the slowest ones told."""

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import web
from sqlalchemy import select

from benchmarks.large.seed import City, Place
from benchmarks.report import Row, at_most, percentile
from central.access.accounts import as_list
from central.access.passwords import hashed
from central.app import build_app
from central.config import Config
from central.console import serving
from central.console.registry import ROUTES
from central.device_api import Services
from central.keys import Keys
from central.snapshots import Snapshots
from central.store.database import Database
from central.store.schema import accounts, batches, conflicts

LIMIT_MS = 300
TIMES, WARM = 20, 2
PASSWORD = "bench bench bench"
CSRF = re.compile(r'name="csrf" value="([0-9a-f]{64})"')
SKIPPED = {"/sign-in", "/me/phone"}
"""Before there is a session, or in the midst of setting something up."""


async def run(database: Database, keys: Keys, config: Config, city: City, engine: str) -> list[Row]:
    """p95 of every page and of the searches that people make."""
    async with _served(database, keys, config) as (address, session):
        await _sign_in(session, address)
        rows = []
        for name, path in await _paths(database, city):
            taken_ms: list[float] = []
            status, text = 0, ""
            for number in range(TIMES + WARM):
                start = time.perf_counter()
                async with session.get(f"{address}/console{path}") as response:
                    text = await response.text(errors="replace")
                    status = response.status
                if number >= WARM:
                    taken_ms.append((time.perf_counter() - start) * 1_000)
            if status != 200:
                raise RuntimeError(f"{path}: {status}: {text[:2000]}")
            rows.append(at_most(f"{engine}: {name}", "ms p95", percentile(taken_ms, 0.95), LIMIT_MS))
        return rows


@asynccontextmanager
async def _served(database: Database, keys: Keys, config: Config) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    services = Services(database, keys, Snapshots(database, keys, config.data_dir / "snapshots"))

    def add(app: web.Application) -> None:
        serving.add_routes(app, config)

    runner = web.AppRunner(build_app(services, add), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    jar = aiohttp.CookieJar(unsafe=True, treat_as_secure_origin=[address])
    try:
        async with aiohttp.ClientSession(cookie_jar=jar) as session:
            yield address, session
    finally:
        await runner.cleanup()
        await services.polls.close()


async def _sign_in(session: aiohttp.ClientSession, address: str) -> None:
    async with session.get(f"{address}/console/sign-in") as response:
        found = CSRF.search(await response.text())
    assert found is not None
    form = {"csrf": found[1], "name": "bench", "password": PASSWORD}
    async with session.post(f"{address}/console/sign-in", data=form, allow_redirects=False) as response:
        assert response.status == 303, await response.text()


async def add_account(database: Database) -> None:
    """Whoever looks."""
    row = {"id": "bench", "roles": as_list(["admin"]), "venues": "[]", "teams": "[]", "state": "active"}
    row |= {"password": await hashed(PASSWORD)}
    async with database.write() as connection:
        await connection.execute(
            accounts.insert().values(row | {"must_change": False, "loopback_only": False, "created_ms": 1})
        )


async def _paths(database: Database, city: City) -> list[tuple[str, str]]:
    """Every page, with something that there is in its places, and the searches that people make in the sync log."""
    place = city.places[len(city.places) // 2]
    async with database.read() as connection:
        conflict = (await connection.execute(select(conflicts.c.id).limit(1))).scalar_one()
        query = select(batches.c.epoch, batches.c.first, batches.c.digest).where(batches.c.device == place.device)
        batch = (await connection.execute(query.limit(1))).one()
    event = f"{place.device}/{batch.epoch.hex()}/{batch.first + 100}"
    named = {"device": place.device, "epoch": batch.epoch.hex(), "first": str(batch.first)}
    of_batch = _query(named | {"digest": batch.digest.hex()})
    values = {
        "/accounts/{account}": "bench",
        "/members/{id}": (77).to_bytes(16).hex(),
        "/conflicts/{id}": conflict.hex(),
        "/gates/{gate}": place.gate,
        "/gates/{gate}/joining": place.gate,
        "/devices/{device}": place.device,
        "/policies/{policy}": "open",
        "/visits/{venue}": place.venue,
        "/visits/{venue}/inside": place.venue,
        "/cards/{card}": (77).to_bytes(16).hex(),
    }
    queries = {
        "/sync-log/batch": of_batch,
        "/sync-log/raw": of_batch,
        "/sync-log/device": f"device={place.device}",
        "/sync-log/event": f"event={event}",
        "/sync-log/proof": f"event={event}",
    }
    found = []
    for path in sorted({route.path for route in ROUTES if route.method == "GET"} - SKIPPED):
        if "{" not in path:
            found.append((path, f"{path}?{queries[path]}" if path in queries else path))
        elif path in values:
            found.append((path, re.sub(r"\{\w+\}", values[path], path)))
    return [*found, *_searches(place)]


def _searches(place: Place) -> list[tuple[str, str]]:
    events: list[dict[str, str]] = [
        {"gate": place.gate},
        {"device": place.device},
        {"venue": place.venue},
        {"decision": "denied"},
        {"reason": "card-lost"},
        {"venue": place.venue, "kind": "tap", "decision": "denied"},
        {"kind": "passage", "venue": place.venue},
        {"outcome": "refused"},
        {"since": "2020-01-01", "until": "2020-02-01"},
        {"text": place.gate},
    ]
    of_batches: list[dict[str, str]] = [{"venue": place.venue}, {"outcome": "forked"}, {"device": place.device}]
    return [
        *((f"/sync-log/events by {', '.join(query)}", f"/sync-log/events?{_query(query)}") for query in events),
        *((f"/sync-log by {', '.join(query)}", f"/sync-log?{_query(query)}") for query in of_batches),
    ]


def _query(query: dict[str, str]) -> str:
    return "&".join(f"{name}={value}" for name, value in query.items())


def keys_of(directory: Path, now_ms: int) -> Keys:
    """New ones."""
    return Keys.create(directory / "keys", None, now_ms)
