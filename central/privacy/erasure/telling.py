"""Whom devices are told to forget (SPEC §7.13): everybody of their domain who was erased since they were told last."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.store.schema import erasures, erasures_pending
from protocol.erasure import MAX_FORGOTTEN, Forget
from protocol.messages import PartName, Poll


async def forgets_of(
    connection: AsyncConnection, places: Mapping[str, str], polls: Mapping[str, Poll | None], now_ms: int
) -> dict[str, Forget]:
    """By device, what it is to be told. `places`: its domain."""
    p, e = erasures_pending.c, erasures.c
    query = select(p.domain, p.subject, e.at_ms).join(erasures, e.id == p.erasure).order_by(e.at_ms, e.id)
    by_domain: dict[str, list[Any]] = {}
    for row in await connection.execute(query):
        by_domain.setdefault(row.domain, []).append(row)
    found = {}
    for device, domain in places.items() if by_domain else ():
        poll = polls[device]
        if poll is None or Forget.TYPE not in poll.understands:
            continue
        news = _next([row for row in by_domain.get(domain, ()) if row.at_ms > told_of(poll)])
        refused = {each.version for each in poll.troubles if each.part == PartName.FORGET}
        if news and news[-1].at_ms not in refused:
            found[device] = Forget(device, news[-1].at_ms, now_ms, tuple(bytes(row.subject) for row in news))
    return found


def told_of(poll: Poll) -> int:
    """Through when the device knows of those who were erased."""
    return next((part.version for part in poll.parts if part.name == PartName.FORGET), 0)


def _next(rows: Sequence[Any]) -> Sequence[Any]:
    """As many as fit; those of one moment stand in one message, since the version is the moment."""
    if len(rows) <= MAX_FORGOTTEN:
        return rows
    last_ms = rows[MAX_FORGOTTEN].at_ms
    return [row for row in rows[:MAX_FORGOTTEN] if row.at_ms < last_ms]
