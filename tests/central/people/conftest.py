"""Members with cards, an operator, and what gates are told of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from central.lists import refresh_domain
from central.store.schema import list_entries, lists, members
from protocol.allowlist import Entry
from protocol.messages import decode
from tests.central.actors import NOW_MS
from tests.central.admin import Admin, admin_of
from tests.central.city import City

Write = Callable[..., Path]


@pytest.fixture
async def admin(city: City, database: Any, keys: Any, database_url: str, tmp_path: Path) -> Admin:
    """Members M-0 to M-4 with one card each, and somebody who is not in the domain."""
    for n, id_ in enumerate(await city.add_members(5)):
        await city.change(members, members.c.id == id_, reference=f"M-{n}", created_ms=NOW_MS - 1_000_000)
    await city.add(members, {"id": b"elsewhere" + bytes(7), "reference": "E-1", "created_ms": NOW_MS})
    async with database.write() as connection:
        await refresh_domain(connection, keys, "library", NOW_MS)
    return admin_of(database, keys, database_url, tmp_path)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """A table on disk out of its rows."""

    def write(*rows: str, encoding: str = "utf-8-sig") -> Path:
        path = tmp_path / "table.csv"
        path.write_bytes("\r\n".join((*rows, "")).encode(encoding))
        return path

    return write


class Listed:
    """What the domain's list says, and that it is what a list compiled from scratch would say."""

    def __init__(self, city: City, domain: str = "library") -> None:
        self.city, self.domain = city, domain

    async def version(self) -> int:
        async with self.city.database.read() as connection:
            query = select(lists.c.version).where(lists.c.domain == self.domain)
            return int((await connection.execute(query)).scalar_one())

    async def entry(self, number: int) -> Entry | None:
        """Of the card `uid(number)`; None = not on the list."""
        c = list_entries.c
        query = select(c.entry).where(c.domain == self.domain, c.token == self.city.token(number, self.domain))
        async with self.city.database.read() as connection:
            body = (await connection.execute(query.where(c.dropped.is_(False)))).scalar()
        return decode(Entry, body) if body is not None else None

    async def is_whole(self) -> bool:
        """Compiling it from scratch changes nothing."""
        async with self.city.database.write() as connection:
            return not await refresh_domain(connection, self.city.keys, self.domain, NOW_MS)


@pytest.fixture
def listed(city: City, admin: Admin) -> Listed:
    return Listed(city)
