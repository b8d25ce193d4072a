"""Conflicts as they are read: with their gates and venues, within the caller's venues, a page at a time."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from sqlalchemy import ColumnElement, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from central.access.caller import Scope
from central.actions.action import ActionFailed
from central.store.schema import conflicts, events, gates

Id = Annotated[str, Meta(max_length=32)]
"""32 hex digits, or the first of them."""
LEAST_DIGITS = 4


class ConflictRow(msgspec.Struct, frozen=True):
    """One conflict. `state`: open; note (worth knowing, nothing to do); settled; gone (found no more, and spoken of).
    `event`: DEVICE/EPOCH/SEQUENCE, as `explain` takes it. `assigned`: the account that it was given to, or nobody."""

    id: str
    kind: str
    state: str
    at_ms: int
    domain: str
    gate: str
    event: str
    detail: dict[str, Any]
    venue: str = ""
    assigned: str = ""

    @property
    def key(self) -> str:
        """Where a list goes on after it."""
        return f"{self.at_ms}-{self.id}"


_COLUMNS = (
    *(conflicts.c[name] for name in ("id", "kind", "state", "at_ms", "domain", "device", "epoch", "sequence")),
    *(conflicts.c.detail, conflicts.c.subject, conflicts.c.assigned, events.c.gate, gates.c.venue),
)
OF_EVENT = (
    (events.c.device == conflicts.c.device)
    & (events.c.epoch == conflicts.c.epoch)
    & (events.c.sequence == conflicts.c.sequence)
)
QUERY = select(*_COLUMNS).outerjoin(events, OF_EVENT).outerjoin(gates, gates.c.id == events.c.gate)


def within(scope: Scope) -> Sequence[ColumnElement[bool]]:
    """Conditions on QUERY: of taps at the caller's own venues."""
    return () if scope.venues is None else (gates.c.venue.in_(sorted(scope.venues)),)


def after(key: str, *, newest_first: bool) -> ColumnElement[bool]:
    """What comes behind the row of this key. Raises ActionFailed."""
    at, _, id_ = key.partition("-")
    try:
        at_ms, last = int(at), bytes.fromhex(id_)
    except ValueError:
        at_ms, last = -1, b""
    if not 0 <= at_ms < 2**63 or len(last) != 16:
        raise ActionFailed(f"after: {key[:80]!r} is no place in the list: begin again without it")
    place = tuple_(conflicts.c.at_ms, conflicts.c.id)
    return place < (at_ms, last) if newest_first else place > (at_ms, last)


def shown(row: Any) -> ConflictRow:
    """A row of QUERY."""
    event = f"{row.device}/{row.epoch.hex()}/{row.sequence}"
    detail = msgspec.json.decode(row.detail, type=dict[str, Any])
    known = row.id.hex(), row.kind, row.state, row.at_ms, row.domain
    return ConflictRow(*known, row.gate or "", event, detail, row.venue or "", row.assigned)


async def find(connection: AsyncConnection, id_: str, scope: Scope) -> Any:
    """The row of QUERY with this id, or with the only one that begins so. Raises ActionFailed; what is not the
    caller's is not found."""
    try:
        low, high = bytes.fromhex(id_.ljust(32, "0")), bytes.fromhex(id_.ljust(32, "f"))
    except ValueError:
        low = high = b""
    if len(low) != 16 or len(id_) < LEAST_DIGITS:
        raise ActionFailed(f"{id_[:80]!r} is no conflict: state the id that `conflict list` shows, or its beginning")
    query = QUERY.where(conflicts.c.id.between(low, high), *within(scope)).limit(2)
    found = (await connection.execute(query)).all()
    if not found:
        raise ActionFailed(f"there is no conflict {id_}: it may have ended, when a later batch explained it")
    if len(found) > 1:
        raise ActionFailed(f"several conflicts begin with {id_}: state more of it")
    return found[0]
