"""The stored rows of one domain's list under one key while it is compiled: what differs is written, counted, summed and
kept in the history of entries."""

from collections.abc import AsyncIterator, Collection, Sequence
from types import TracebackType
from typing import Any, Self

from sqlalchemy import ColumnElement, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central import entry_history
from central.store.schema import list_entries, lists
from protocol.allowlist import changed_total

BLOCK_ROWS = 4_000
_COLUMNS = ["domain", "key_number", "token", "entry", "version", "dropped"]
_INSERT = "INSERT INTO list_entries (domain, key_number, token, entry, version, dropped) VALUES "
_UPDATE = (
    " ON CONFLICT (domain, key_number, token) DO UPDATE"
    " SET entry = excluded.entry, version = excluded.version, dropped = excluded.dropped"
)


class ListRows:
    """Open it, put and drop, close it; all in one transaction, which holds the list's row until it ends."""

    def __init__(self, head: Any, now_ms: int) -> None:
        self.domain: str = head.domain
        self.key_number: int = head.key_number
        self.count: int = head.count
        self._sum = int.from_bytes(head.sum)
        self._base: int = head.base
        self.version = max(head.version + 1, now_ms)
        self._changed = False
        self._was_empty = False

    @classmethod
    async def open(cls, connection: AsyncConnection, domain: str, key_number: int, now_ms: int) -> Self:
        """The list as it is stored, or an empty one at version 0."""
        query = select(lists).where(lists.c.domain == domain, lists.c.key_number == key_number).with_for_update()
        head = (await connection.execute(query)).one_or_none()
        if head is None:
            empty = {"version": 0, "count": 0, "sum": bytes(32), "base": 0}
            await connection.execute(insert(lists).values(domain=domain, key_number=key_number, **empty))
            head = (await connection.execute(query)).one()
        rows = cls(head, now_ms)
        if head.version == 0:
            rows.renew()
        some = select(list_entries.c.token).where(rows._own()).limit(1)
        rows._was_empty = (await connection.execute(some)).first() is None
        return rows

    def renew(self) -> None:
        """Publish as newer whatever happens; no delta leads to it."""
        self._base, self._changed = self.version, True

    async def put(self, connection: AsyncConnection, wanted: dict[bytes, bytes]) -> None:
        """Make these rows what the list says of their tokens."""
        held = await self._stored(connection, wanted.keys())
        alive = {token: entry for token, (entry, dropped) in held.items() if not dropped}
        changed = [(token, entry) for token, entry in wanted.items() if alive.get(token) != entry]
        if not changed:
            return
        removed = [(token, alive[token]) for token, _ in changed if token in alive]
        self._count_in(removed, changed)
        rows = [(self.domain, self.key_number, token, entry, self.version, False) for token, entry in changed]
        await _write(connection, [row for row in rows if row[2] not in held], [row for row in rows if row[2] in held])
        await entry_history.append(connection, self.domain, self.version, removed, changed)

    async def drop(self, connection: AsyncConnection, tokens: Collection[bytes]) -> None:
        """Take rows off the list; what stays is the token and the version at which it went."""
        held = await self._stored(connection, tokens)
        removed = [(token, entry) for token, (entry, dropped) in held.items() if not dropped]
        if not removed:
            return
        self._count_in(removed, [])
        gone = [(self.domain, self.key_number, token, b"", self.version, True) for token, _ in removed]
        await _write(connection, [], gone)
        await entry_history.append(connection, self.domain, self.version, removed, [])

    async def close(self, connection: AsyncConnection) -> bool:
        """Store the list's new head; False when nothing changed."""
        if not self._changed:
            return False
        head = {"version": self.version, "count": self.count, "sum": self._sum.to_bytes(32), "base": self._base}
        own = (lists.c.domain == self.domain) & (lists.c.key_number == self.key_number)
        await connection.execute(update(lists).where(own).values(head))
        return True

    async def missing(self, connection: AsyncConnection) -> AsyncIterator[list[bytes]]:
        """Tokens that are not among the `WantedTokens`, block by block; each must be dropped before the next."""
        wanted = text("NOT EXISTS (SELECT 1 FROM wanted_tokens w WHERE w.token = list_entries.token)")
        query = select(list_entries.c.token).where(self._own(), list_entries.c.dropped.is_(False), wanted)
        while block := list((await connection.execute(query.limit(BLOCK_ROWS))).scalars()):
            yield block

    def _own(self) -> ColumnElement[bool]:
        return (list_entries.c.domain == self.domain) & (list_entries.c.key_number == self.key_number)

    def _count_in(self, removed: Sequence[tuple[bytes, bytes]], added: Sequence[tuple[bytes, bytes]]) -> None:
        self.count += len(added) - len(removed)
        self._sum = changed_total(self._sum, removed, added)
        self._changed = True

    async def _stored(self, connection: AsyncConnection, tokens: Collection[bytes]) -> dict[bytes, tuple[bytes, bool]]:
        found: dict[bytes, tuple[bytes, bool]] = {}
        if self._was_empty:  # each token comes once in a run, so there is nothing to find
            return found
        ordered = sorted(tokens)
        c = list_entries.c
        for at in range(0, len(ordered), BLOCK_ROWS):
            query = select(c.token, c.entry, c.dropped).where(self._own(), c.token.in_(ordered[at : at + BLOCK_ROWS]))
            found.update({row[0]: (row[1], row[2]) for row in await connection.execute(query)})
        return found


async def _write(connection: AsyncConnection, new: Sequence[tuple[Any, ...]], held: Sequence[tuple[Any, ...]]) -> None:
    if connection.dialect.name == "sqlite":
        rows = sorted((*new, *held), key=lambda row: row[2])  # neighbours in the index go in together
        if rows:
            await connection.exec_driver_sql(f"{_INSERT}(?, ?, ?, ?, ?, ?){_UPDATE}", rows)
        return
    if new:
        raw = await connection.get_raw_connection()
        driver: Any = raw.driver_connection
        await driver.copy_records_to_table("list_entries", records=new, columns=_COLUMNS)
    if held:
        await connection.exec_driver_sql(f"{_INSERT}($1, $2, $3, $4, $5, $6){_UPDATE}", list(held))


async def listed(connection: AsyncConnection, domain: str, key_number: int, tokens: Collection[bytes]) -> list[bytes]:
    """Those of these tokens that are on the domain's list under this key."""
    if not tokens:
        return []
    c = list_entries.c
    own = (c.domain == domain) & (c.key_number == key_number)
    query = select(c.token).where(own, c.token.in_(sorted(tokens)), c.dropped.is_(False))
    return list((await connection.execute(query)).scalars())


class WantedTokens:
    """A temporary table of the tokens that a list should have, to find those that it should not."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._binary = "BLOB" if connection.dialect.name == "sqlite" else "BYTEA"
        self._mark = "?" if connection.dialect.name == "sqlite" else "$1"

    async def __aenter__(self) -> Self:
        await self._connection.execute(text(f"CREATE TEMPORARY TABLE wanted_tokens (token {self._binary} PRIMARY KEY)"))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if kind is None:  # otherwise the rollback takes it along
            await self._connection.execute(text("DROP TABLE wanted_tokens"))

    async def add(self, tokens: Collection[bytes]) -> None:
        if tokens:
            insert_one = f"INSERT INTO wanted_tokens VALUES ({self._mark})"
            await self._connection.exec_driver_sql(insert_one, [(token,) for token in sorted(tokens)])
