"""The ledger as a service: members' lines follow from their marks, the facts about them and what months gave."""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.services.points.accounts import read_members, write_members
from central.services.points.books import Line, Overspend, overspends
from central.services.points.ledger import LOSS
from central.services.service import Touched
from central.store.schema import ledger, point_books


class Points:
    """Settles the open months of members' ledgers."""

    name = "points"
    tables: Sequence[Table] = (ledger,)

    async def settle(self, connection: AsyncConnection, touched: Sequence[Touched]) -> set[tuple[str, bytes]]:
        """What is reserved is none of its affair: see `reservations.renew`."""
        by_domain: dict[str, set[bytes]] = defaultdict(set)
        for each in touched:
            if each.subject:
                by_domain[each.domain].add(each.subject)
        for domain, subjects in sorted(by_domain.items()):
            await write_members(connection, domain, await read_members(connection, domain, subjects))
        return set()


async def overspent(
    connection: AsyncConnection, domain: str, subject: bytes | None = None
) -> dict[bytes, list[Overspend]]:
    """By member, what points were spent that nobody had; a loss account paid for each."""
    found: dict[bytes, list[Line]] = defaultdict(list)
    for table in (point_books, ledger):
        t = table.c
        lost = t.source.like(f"%{LOSS}") | t.target.like(f"%{LOSS}")
        of = select(t.subject, *(t[name] for name in Line._fields))
        query = of.where(t.domain == domain, t.subject != b"", lost)  # not what is kept of nobody any more
        if subject is not None:
            query = query.where(t.subject == subject)
        for row in await connection.execute(query):
            found[row.subject].append(Line(*row[1:]))
    return {each: spent for each, lines in sorted(found.items()) if (spent := overspends(lines))}
