"""Which members a caller may see: those of the domains of their own venues."""

from typing import Any

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.access.caller import Scope
from central.store.schema import subjects, venues


async def domains_of(connection: AsyncConnection, scope: Scope) -> frozenset[str] | None:
    """The domains of the caller's venues; None: every one."""
    if scope.venues is None:
        return None
    query = select(venues.c.domain).where(venues.c.id.in_(sorted(scope.venues))).distinct()
    return frozenset((await connection.execute(query)).scalars())


def is_in(domains: frozenset[str] | None, member: Any) -> ColumnElement[bool] | None:
    """A condition on a column that holds members' ids; None: nothing to ask for."""
    if domains is None:
        return None
    return exists().where(subjects.c.member == member, subjects.c.domain.in_(sorted(domains)))
