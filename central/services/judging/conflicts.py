"""The service of conflicts: what the re-check finds of a member's taps, and what people said about it."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import msgspec
from sqlalchemy import Table, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central import facts
from central.services.judging.loading import Windows, clocks_of, load, overspent
from central.services.judging.rejudge import Finding, Kinds, judge_again, of_overspends
from central.services.judging.stated import ABOUT_CONFLICTS, ConflictReopened, ConflictSettled
from central.services.service import Touched
from central.store.schema import conflicts
from central.store.slices import slices

OPEN, SETTLED, GONE = "open", "settled", "gone"


class Conflicts:
    """See `central.services.service.Service`."""

    name = "conflicts"
    tables: Sequence[Table] = (conflicts,)

    async def settle(self, connection: AsyncConnection, touched: Sequence[Touched]) -> set[tuple[str, bytes]]:
        """A tap is judged by those before it, so what came bears on everything since."""
        known = sorted(each for each in touched if each.subject)
        for domain, some in groupby(known, key=lambda each: each.domain):
            windows: dict[bytes, int] = {}
            for each in some:
                windows[each.subject] = min(each.since_ms, windows.get(each.subject, each.since_ms))
            await _settle(connection, domain, windows)
        return set()


async def _settle(connection: AsyncConnection, domain: str, windows: Windows) -> None:
    widest_ms = (await clocks_of(connection, domain)).widest_ms
    windows = {subject: since_ms - 2 * widest_ms for subject, since_ms in windows.items()}
    loaded = await load(connection, domain, windows)
    spent = await overspent(connection, domain, windows)
    said = await _said(connection, domain, windows)
    rows: list[dict[str, Any]] = []
    for subject, since_ms in windows.items():
        found = judge_again(loaded.seen.get(subject, ()), loaded.travel)
        found += of_overspends(spent.get(subject, ()))
        rows += _rows(domain, subject, found, said.get(subject, ()), since_ms)
    await _replace(connection, domain, windows, rows)


async def _replace(connection: AsyncConnection, domain: str, windows: Windows, rows: list[dict[str, Any]]) -> None:
    """Most members have no conflict, so what stands is read before anything is written."""
    c, gone = conflicts.c, list[bytes]()
    for some in slices(sorted(windows)):
        query = select(c.id, c.subject, c.at_ms, c.kind).where(c.domain == domain, c.subject.in_(some))
        for id_, subject, at_ms, kind in await connection.execute(query):
            if at_ms >= windows[subject] or kind == Kinds.OVERSPENT:
                gone.append(id_)
    for ids in slices(gone):
        await connection.execute(delete(conflicts).where(c.domain == domain, c.id.in_(ids)))
    if rows:
        await connection.execute(insert(conflicts), rows)


async def _said(connection: AsyncConnection, domain: str, windows: Windows) -> Mapping[bytes, list[facts.Fact]]:
    found: dict[bytes, list[facts.Fact]] = {}
    for fact in await facts.read(connection, ABOUT_CONFLICTS, domain=domain, subjects=windows):
        found.setdefault(fact.subject, []).append(fact)
    return found


def _rows(
    domain: str, subject: bytes, found: Iterable[Finding], said: Iterable[facts.Fact], since_ms: int
) -> Iterable[dict[str, Any]]:
    """What is found, and what is not found any more though somebody spoke of it: that stays to be read."""
    rows = {one.id: _row(domain, subject, one) for one in found}
    for fact in said:
        body = fact.body
        if body.id not in rows and (fact.at_ms >= since_ms or body.conflict == Kinds.OVERSPENT):
            gone = Finding(body.conflict, body.device, body.epoch, body.sequence, fact.at_ms, {})
            rows[body.id] = _row(domain, subject, gone) | {"state": GONE}
        if body.id in rows and rows[body.id]["state"] != GONE:
            if isinstance(body, ConflictSettled):
                rows[body.id]["state"] = SETTLED
            elif isinstance(body, ConflictReopened):
                rows[body.id]["state"] = OPEN
    return rows.values()


def _row(domain: str, subject: bytes, one: Finding) -> dict[str, Any]:
    return {
        "domain": domain,
        "id": one.id,
        "kind": one.kind,
        "device": one.device,
        "epoch": one.epoch,
        "sequence": one.sequence,
        "subject": subject,
        "at_ms": one.at_ms,
        "state": OPEN,
        "detail": msgspec.json.encode(one.detail).decode(),
    }
