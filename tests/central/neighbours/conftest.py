"""A city with members who have library barcodes, and a library on loopback that is asked about them."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from central.actions.cards.member_index import LIBRARY_BARCODE, put_number
from central.keys import Keys
from central.lists import refresh_members
from central.neighbours.refreshing import Refreshing
from central.neighbours.settings import Library
from central.store.database import Database
from central.store.schema import list_entries
from protocol.allowlist import Entry
from protocol.messages import decode
from tests.central.actors import NOW_MS
from tests.central.admin import Admin, admin_of
from tests.central.city import City
from tests.support.sip2_server import Patron, Sip2Server


class LibraryTown:
    """Members 0, 1, 2 … have the barcodes P0, P1, P2 …"""

    def __init__(self, city: City, admin: Admin, server: Sip2Server, library: Library) -> None:
        self.city, self.admin, self.server, self.members = city, admin, server, list[bytes]()
        self.now_ms = NOW_MS
        self.set(library)

    def set(self, library: Library, **values: Any) -> None:
        """The settings name it so."""
        self.library = msgspec.structs.replace(library, **values)
        self.admin.config = msgspec.structs.replace(self.admin.config, libraries=(self.library,))
        self.keeper = Refreshing(self.library, self.city.database, self.city.keys, "here", lambda: self.now_ms)

    async def people(self, number: int) -> None:
        first = len(self.members)
        self.members += await self.city.add_members(number, first)
        for n in range(first, first + number):
            await self.number(n, f"P{n}")
            self.server.patrons[f"P{n}"] = Patron()
        async with self.city.database.write() as connection:
            await refresh_members(connection, self.city.keys, self.members[first:], NOW_MS)

    async def number(self, member: int, number: str) -> None:
        async with self.city.database.write() as connection:
            keys, member_id = self.city.keys, self.members[member]
            await put_number(connection, keys, LIBRARY_BARCODE, number, member_id, NOW_MS)

    async def entry(self, member: int) -> Entry | None:
        """What gates are told of the member's card; None: it is on no list."""
        token = self.city.token(member)
        rows = {row.token: row for row in await self.city.rows(list_entries)}
        return decode(Entry, rows[token].entry) if token in rows else None

    async def classes(self, member: int) -> list[str]:
        entry = await self.entry(member)
        return [] if entry is None else [grant.name for grant in entry.classes]

    async def flags(self, member: int) -> list[str]:
        entry = await self.entry(member)
        return [] if entry is None else list(entry.flags)

    async def later(self, hours: float) -> float:
        """So many hours later, the next round."""
        self.now_ms += int(hours * 3_600_000)
        self.admin.now_ms = self.now_ms
        return await self.keeper.round()

    async def status(self) -> Any:
        (found,) = (await self.admin.act("library.status")).libraries
        return found


@pytest.fixture
async def server() -> AsyncIterator[Sip2Server]:
    async with Sip2Server().serving() as server:
        yield server


@pytest.fixture
async def town(
    city: City, database: Database, keys: Keys, database_url: str, tmp_path: Path, server: Sip2Server
) -> LibraryTown:
    secret = tmp_path / "password"
    secret.write_text("geheim\n")
    library = Library(
        id="tc",
        domain="library",
        host="127.0.0.1",
        port=server.port,
        tls="none",
        user="tapgate",
        password_file=secret,
        institution="TC",
        per_minute=600,
        answer_s=0.2,
    )
    return LibraryTown(city, admin_of(database, keys, database_url, tmp_path), server, library)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[float]]:
    """Pauses between questions are noted, not waited for."""
    paused: list[float] = []

    async def pause(seconds: float) -> None:
        paused.append(seconds)

    monkeypatch.setattr("central.neighbours.refreshing._pause", pause)
    return lambda: paused
