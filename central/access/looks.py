"""Who looked at a member's record or changed it: what the audit log has of the member and of the member's cards."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.access.audit import ASKED, FAILED, REFUSED
from central.references import Held, targets
from central.store.schema import audit


async def rows_about(
    connection: AsyncConnection,
    references: Sequence[Held],
    ids: Collection[bytes],
    phases: Collection[str],
    before: int | None,
    limit: int,
) -> tuple[list[Any], bool]:
    """The newest rows of the log in these phases, of those before a number where one is stated, and whether there are
    more. `references`: those that the member had, and when; `ids`: of the member and of each card, as targets name
    them in hex."""
    a = audit.c
    query = select(audit).where(or_(targets(references), a.target.in_([id_.hex() for id_ in ids])), a.phase.in_(phases))
    if before is not None:
        query = query.where(a.number < before)
    rows = (await connection.execute(query.order_by(a.number.desc()).limit(limit + 1))).all()
    return list(rows[:limit]), len(rows) > limit


async def came_to_nothing(connection: AsyncConnection, rows: Collection[Any]) -> set[int]:
    """The numbers of those that asked for a change which was not made."""
    asked = [row.number for row in rows if row.phase == ASKED]
    a = audit.c
    failed = select(a.asked).where(a.asked.in_(asked), a.phase.in_((FAILED, REFUSED)))
    return set((await connection.execute(failed)).scalars()) if asked else set()
