"""The history of entries against itself and against the list that it ends in."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.custody.findings import Findings
from central.store.schema import entry_history, list_entries, lists
from protocol.allowlist import Entry
from protocol.errors import Refused
from protocol.wire import decode

ROWS_AT_ONCE = 2_000


async def check(findings: Findings, connection: AsyncConnection, domain: str, listed: int) -> None:
    """Each row is of its own card, and the newest ones of all cards are the list of `listed` rows, no more, no less."""
    where, alive = f"history of {domain}", 0
    async for newest in _newest(findings, connection, domain):
        held = await _held(connection, domain, [row.token for row in newest])
        for row in newest:
            if held.get(row.token) != (row.entry, row.version):
                await findings.problem(f"{where}, card {row.card} of {row.subject.hex()}", "is not what the list says")
        alive += len(newest)
        await findings.context.progress(where, alive, listed)
    if alive != listed:
        await findings.problem(where, f"ends in {alive} rows, the list has {listed}")


async def _newest(findings: Findings, connection: AsyncConnection, domain: str) -> AsyncIterator[list[Any]]:
    """The newest row of each card that is on the list, block by block; every row is looked at on the way."""
    key = entry_history.primary_key.columns
    query = select(entry_history).where(entry_history.c.domain == domain).order_by(*key)
    result = await connection.stream(query.execution_options(yield_per=ROWS_AT_ONCE))
    last: Any = None
    async for rows in result.partitions(ROWS_AT_ONCE):
        newest = []
        for row in rows:
            await _own(findings, row)
            if last is not None and (last.subject, last.card) != (row.subject, row.card) and not last.dropped:
                newest.append(last)
            last = row
        findings.count("entries since", len(rows))
        yield newest
    if last is not None and not last.dropped:
        yield [last]


async def _own(findings: Findings, row: Any) -> None:
    where = f"history of {row.domain}, card {row.card} of {row.subject.hex()} at {row.version}"
    if row.dropped:
        if row.entry:
            await findings.problem(where, "was dropped, and says something")
        return
    try:
        entry = decode(Entry, row.entry)
    except Refused as refused:
        await findings.problem(where, str(refused))
        return
    if (entry.subject, entry.card) != (row.subject, row.card):
        await findings.problem(where, "is of another card")


async def _held(connection: AsyncConnection, domain: str, tokens: Sequence[bytes]) -> dict[bytes, tuple[bytes, int]]:
    c = list_entries.c
    lists_of = select(lists.c.key_number).where(lists.c.domain == domain)  # of a card that is made ahead, under both
    query = select(c.token, c.entry, c.version).where(
        *(c.domain == domain, c.key_number.in_(lists_of), c.token.in_(tokens), c.dropped.is_(False))
    )
    return {token: (entry, version) for token, entry, version in await connection.execute(query)}
