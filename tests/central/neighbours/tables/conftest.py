"""A branch with taps, visits, volunteers and points, on both databases, and somebody who exports its history."""

import secrets
from pathlib import Path
from typing import Any

import duckdb
import pytest

from central.access.caller import on_this_machine
from central.access.perform import perform
from central.actions.action import Context, Progress, no_progress
from central.keys import Keys
from central.store.database import Database
from central.store.schema import gates, ledger, point_books, venues
from tests.central.actors import Device
from tests.central.admin import admin_of
from tests.central.city import City
from tests.central.services.attendance.crew import Crew
from tests.central.services.attendance.life import ms
from tests.central.services.scenes import Diary, Town, person

DAY = "2026-03-31"


class Exporter:
    """History of a city, into one directory; `query` reads it back with an engine that knows nothing of us."""

    def __init__(self, crew: Crew, to: Path) -> None:
        self.crew, self.to = crew, to

    async def perform(self, name: str, progress: Progress = no_progress, **values: Any) -> Any:
        admin = self.crew.admin
        caller = on_this_machine("chen", "command line")
        context = Context(admin.config, admin.database, admin.keys, admin.now_ms, progress, caller=caller)
        return await perform(context, name, values)

    async def export(self, what: str, progress: Progress = no_progress, **values: Any) -> Any:
        id_ = secrets.token_hex(16)
        await self.perform("export.declare", id=id_, what=what, **values)
        return await self.perform("export.history", progress, id=id_, to=str(self.to))

    def files(self) -> dict[str, bytes]:
        every = sorted(path for path in self.to.rglob("*") if path.is_file())
        return {path.relative_to(self.to).as_posix(): path.read_bytes() for path in every}

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect() as engine:
            engine.execute(f"SET file_search_path = '{self.to}'; SET TimeZone = 'Asia/Taipei'")
            return engine.execute(sql).fetchall()


@pytest.fixture
async def exporter(city: City, database: Database, keys: Keys, database_url: str, tmp_path: Path) -> Exporter:
    """At `main` two people come on the last evening of March and one is turned away; at `pool` one comes in April."""
    crew = Crew(city, admin_of(database, keys, database_url, tmp_path))
    await crew.found()
    await city.add(venues, {"id": "pool", "domain": "library", "time_zone": "Asia/Taipei"})
    town = Town(database, keys, ms("2026-04-01 12:00"))
    door = Diary(city.device)
    door.came(person(1), ms(f"{DAY} 20:00"))
    door.passed(door.came(person(2), ms(f"{DAY} 20:10")), "taken", ms(f"{DAY} 20:10"))
    door.was_denied(person(2), ms(f"{DAY} 20:20"))
    door.left(person(1), ms(f"{DAY} 21:00"))
    door.came(person(1), ms("2026-04-01 00:30"))
    await town.take(door)
    await city.add(gates, {"id": "pool-door", "venue": "pool", "kind": "door", "policy": "open"})
    pool = Diary(await city.add_device(Device("pool-device", "pool-door")))
    pool.came(person(3), ms("2026-04-01 09:00"))
    await town.take(pool)
    await town.settle()
    await crew.session("A-1", "2026-03-02", ("09:00", "11:05"))
    await city.add(point_books, posting(1, "2026-03-05 09:00", "spent", "member", "venue:pool", 25, month="2026-03"))
    await city.add(ledger, posting(1, "2026-04-01 09:00", "month", "city:issued", "member", 1_000))
    crew.now("2026-04-01 12:00")
    return Exporter(crew, tmp_path / "history")


def posting(line: int, at: str, what: str, source: str, target: str, points: int, **more: Any) -> dict[str, Any]:
    values = {"domain": "library", "subject": person(1), "line": line, "booked_ms": ms(at), "at_ms": ms(at)}
    return (
        values
        | {"what": what, "cause": f"event d e {line}", "source": source, "target": target}
        | {
            "points": points,
            **more,
        }
    )
