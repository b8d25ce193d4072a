"""Cards and members: seals open, indexes match, and the lists say of them what the tables say."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.findings import Findings
from central.store.schema import cards, members
from protocol.allowlist import CardState
from protocol.errors import Refused

ROWS_AT_ONCE = 1_000
_STATES = frozenset(int(state) for state in CardState)


async def check(findings: Findings, connection: AsyncConnection) -> None:
    """Every card, every sealed name."""
    await _cards(findings, connection)
    await _names(findings, connection)


async def _cards(findings: Findings, connection: AsyncConnection) -> None:
    keys = findings.context.keys
    total, done = (await connection.execute(select(func.count()).select_from(cards))).scalar_one(), 0
    query = select(cards.c.id, cards.c.uid_index, cards.c.uid_sealed, cards.c.state)
    result = await connection.stream(query.execution_options(yield_per=ROWS_AT_ONCE))
    async for rows in result.partitions(ROWS_AT_ONCE):
        for row in rows:
            where = f"card {row.id.hex()}"
            try:
                if keys.uid_index(keys.open_uid(row.uid_sealed, row.id)) != row.uid_index:
                    await findings.problem(where, "its index is not that of its UID")
            except Refused as refused:
                await findings.problem(where, str(refused))
            if row.state not in _STATES:
                await findings.problem(where, f"there is no state {row.state}")
        done += len(rows)
        findings.count("cards", len(rows))
        await findings.context.progress("cards", done, total)


async def _names(findings: Findings, connection: AsyncConnection) -> None:
    query = select(members.c.id, members.c.name_sealed).where(members.c.name_sealed.is_not(None))
    async for row in await connection.stream(query.execution_options(yield_per=ROWS_AT_ONCE)):
        findings.count("names")
        try:
            findings.context.keys.open_name(row.name_sealed, row.id)
        except (Refused, UnicodeDecodeError):
            await findings.problem(f"member {row.id.hex()}", "the sealed name was altered")
