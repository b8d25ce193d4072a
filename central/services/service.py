"""What a service is: rows of its own that follow from a member's marks and the facts about them, and from nothing else.

A service never looks at the clock nor at the order in which batches came: after the same events and facts its rows are
the same, so `rebuild` can compare them. When something of a member changed, it computes that member's rows again.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from protocol.wire import LAST_MS


class Touched(NamedTuple):
    """A member of whom a mark or a fact came or changed. `since_ms` and `until_ms`: the earliest and the latest moment
    of what came or changed; a subject is empty where nobody knows who it was (somebody let in by hand)."""

    domain: str
    subject: bytes
    since_ms: int
    until_ms: int = LAST_MS


class Service(Protocol):
    """One service. `tables` hold its rows and are projections (`PROJECTION`)."""

    name: str
    tables: Sequence[Table]

    async def settle(self, connection: AsyncConnection, touched: Sequence[Touched]) -> set[tuple[str, bytes]]:
        """Compute the rows of these members again. Returns (domain, subject) of those whose notes or reservations in
        the state feed changed by it."""
        ...
