"""Compute projections again from events and facts, and compare them with what stands there.

Only what was settled is computed: events that are behind are no difference. Promises (reservations) are none either,
since they say what was told to a device at the time.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Table, delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.services import registry
from central.services.backlog import Behind, next_slice
from central.services.denials import settle_denials
from central.services.mark_rows import settle_marks
from central.services.members import members_after
from central.services.projector import new_versions, raise_version
from central.services.service import Touched
from central.services.tap_counts import settle_tap_counts
from central.store.schema import (
    denials,
    domains,
    epochs,
    fates,
    marks,
    projected,
    states,
    subject_states,
    tap_counted,
    tap_counts,
)

MARKS = "marks"
OF_MARKS = (marks, fates, denials, tap_counts, tap_counted)
"""What is computed from events alone, in the order in which it is written."""
TOGETHER = 500
MEMBERS = 100

Progress = Callable[[str, int, int], Awaitable[None]]


class Difference(NamedTuple):
    """Of one table: how many rows there are and are not as they should be, and the first of each."""

    table: str
    rows: int
    missing: int
    wrong: int
    """That should not stand there as they do."""
    first_missing: dict[str, Any] | None
    first_wrong: dict[str, Any] | None


def names() -> list[str]:
    """What can be rebuilt: marks, and each service."""
    return [MARKS, *(service.name for service in registry.SERVICES)]


async def rebuild(connection: AsyncConnection, wanted: Sequence[str], progress: Progress) -> list[Difference]:
    """In the transaction of `connection`, which holds the computed rows afterwards: the caller keeps or undoes it."""
    services = [service for service in registry.SERVICES if service.name in wanted]
    tables = list(OF_MARKS) if MARKS in wanted else []
    tables += [table for service in services for table in service.tables]
    if connection.dialect.name == "postgresql":
        # all that anybody settles, in the order in which it is written: nobody waits in a ring
        of_services = (table for service in registry.SERVICES for table in service.tables)
        every = [projected, *OF_MARKS, *of_services]
        names = ", ".join(table.name for table in every)
        await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        await connection.execute(text(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE"))
    for table in tables:
        await connection.execute(text(f"CREATE TEMPORARY TABLE {_before(table)} AS SELECT * FROM {table.name}"))
    for table in reversed(tables):
        await connection.execute(delete(table))
    if MARKS in wanted:
        await _all_marks(connection, progress)
    for domain in (await connection.execute(select(domains.c.id).order_by(domains.c.id))).scalars().all():
        await _all_members(connection, domain, services, progress)
    found = [await _compared(connection, table) for table in tables]
    for table in tables:
        await connection.execute(text(f"DROP TABLE {_before(table)}"))
    return found


async def begin_anew(connection: AsyncConnection, now_ms: int) -> None:
    """After rows were mended: every device is told everything again."""
    for domain in (await connection.execute(select(domains.c.id).order_by(domains.c.id))).scalars().all():
        began = await raise_version(connection, domain, now_ms)
        await connection.execute(update(states).where(states.c.domain == domain).values(began=began))
        await connection.execute(delete(subject_states).where(subject_states.c.domain == domain))
        after: bytes | None = None
        while some := await members_after(connection, domain, after, TOGETHER):
            await new_versions(connection, {(domain, subject) for subject in some}, now_ms)
            after = some[-1]


async def _all_marks(connection: AsyncConnection, progress: Progress) -> None:
    """Of every epoch what was settled of it, and is held."""
    query = select(projected, epochs.c.through).join(
        epochs, (epochs.c.device == projected.c.device) & (epochs.c.epoch == projected.c.epoch)
    )
    settled = [
        Behind(device, epoch, -1, min(through, held))
        for device, epoch, through, held in (await connection.execute(query)).all()
    ]
    total, done = sum(each.through + 1 for each in settled), 0
    for each in sorted(settled):
        rest = each
        while rest.after < rest.through:
            part = await next_slice(connection, [rest], TOGETHER)
            await settle_marks(connection, part.happened)
            await settle_denials(connection, part.happened)
            await settle_tap_counts(connection, part)
            done += part.reach[0].through - rest.after
            rest = rest._replace(after=part.reach[0].through)
            await progress("marks", done, total)


async def _all_members(connection: AsyncConnection, domain: str, services: Sequence[Any], progress: Progress) -> None:
    after: bytes | None = None
    done = 0
    while services and (some := await members_after(connection, domain, after, MEMBERS)):
        for service in services:
            await service.settle(connection, [Touched(domain, subject, 0) for subject in some])
        after, done = some[-1], done + len(some)
        await progress(f"members of {domain}", done, 0)


# --- comparing --------------------------------------------------------------------------------------------------


def _before(table: Table) -> str:
    return f"before_{table.name}"


async def _compared(connection: AsyncConnection, table: Table) -> Difference:
    columns = ", ".join(column.name for column in table.columns)
    now, before = f"SELECT {columns} FROM {table.name}", f"SELECT {columns} FROM {_before(table)}"
    missing, first_missing = await _except(connection, now, before)
    wrong, first_wrong = await _except(connection, before, now)
    rows = (await connection.execute(select(func.count()).select_from(table))).scalar_one()
    return Difference(str(table.name), rows, missing, wrong, first_missing, first_wrong)


async def _except(connection: AsyncConnection, these: str, those: str) -> tuple[int, dict[str, Any] | None]:
    both = f"({these} EXCEPT {those}) AS only_these"
    number = (await connection.execute(text(f"SELECT count(*) FROM {both}"))).scalar_one()
    if not number:
        return 0, None
    row = (await connection.execute(text(f"SELECT * FROM {both} LIMIT 1"))).mappings().one()
    return number, {str(name): value.hex() if isinstance(value, bytes) else value for name, value in row.items()}
