"""Which lists there are of each domain, and those that one transaction changes: opened once, closed together.

A domain has the list that is published, under its own key, and while its key is rotated one that is made ahead of it
(`central.rotating`).
"""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.list_rows import ListRows, listed
from central.store.schema import domains, key_rotations, lists, subjects, under_own_key
from central.store.slices import slices
from central.wakeups import domain_topic, note


async def key_numbers(connection: AsyncConnection) -> dict[str, list[int]]:
    """By domain: its key, and the next one where tokens are being made with it. That stays so until the transaction
    ends."""
    query = select(domains.c.id, domains.c.key_number).order_by(domains.c.id).with_for_update(read=True)
    found = {domain: [number] for domain, number in await connection.execute(query)}
    for domain, number in await connection.execute(select(key_rotations.c.domain, key_rotations.c.key_number)):
        found[domain].append(number)
    return found


async def version_of(connection: AsyncConnection, domain: str) -> int:
    """Of the list that is published; 0 = there is none."""
    query = select(lists.c.version).where(lists.c.domain == domain, under_own_key(lists))
    return int((await connection.execute(query)).scalar() or 0)


async def hold(connection: AsyncConnection, members: Collection[bytes], left: Collection[str]) -> None:
    """Nobody else changes the lists that these members are on, and those of what was `left`, until the transaction
    ends. What is read of the members from now on is the newest: of two who change one member at the same time, the
    second writes down what both did."""
    if connection.dialect.name == "sqlite":
        return  # one writer anyway
    concerned = set(left)
    for some in slices(sorted(members)):
        query = select(subjects.c.domain).where(subjects.c.member.in_(some)).distinct()
        concerned.update((await connection.execute(query)).scalars())
    ordered = select(lists.c.version).where(lists.c.domain.in_(sorted(concerned)))
    await connection.execute(ordered.order_by(lists.c.domain, lists.c.key_number).with_for_update())


class OpenLists:
    """The lists that a transaction changes, each opened once."""

    def __init__(self, connection: AsyncConnection, now_ms: int) -> None:
        self._connection, self._now_ms = connection, now_ms
        self._rows: dict[tuple[str, int], ListRows] = {}

    async def rows(self, domain: str, key_number: int) -> ListRows:
        """Under the next key no version is older than the published one: the history of entries ends in the next."""
        if (domain, key_number) not in self._rows:
            above_ms = await version_of(self._connection, domain)
            above_ms = max([above_ms, *(rows.version for (of, _), rows in self._rows.items() if of == domain)])
            now_ms = max(self._now_ms, above_ms)
            self._rows[domain, key_number] = await ListRows.open(self._connection, domain, key_number, now_ms)
        return self._rows[domain, key_number]

    async def drop(self, domain: str, key_number: int, tokens: Collection[bytes]) -> None:
        """Those that are listed."""
        gone = await listed(self._connection, domain, key_number, tokens)
        if gone:
            await (await self.rows(domain, key_number)).drop(self._connection, gone)

    async def close(self) -> set[str]:
        """The domains whose list is newer, in either shape."""
        newer = {rows.domain for rows in self._rows.values() if await rows.close(self._connection)}
        await note(self._connection, [domain_topic(domain) for domain in sorted(newer)])
        return newer
