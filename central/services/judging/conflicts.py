"""The service of conflicts: what the re-check finds of a member's taps, and what people said about it."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import msgspec
from sqlalchemy import Table, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central import facts
from central.services.judging.clock_facts import clocks_of
from central.services.judging.kinds import Finding, Kinds
from central.services.judging.loading import load, travel_of
from central.services.judging.reading import Windows, overspent
from central.services.judging.rejudge import judge_again, of_overspends
from central.services.judging.stated import ABOUT_CONFLICTS, ConflictAssigned, ConflictReopened, ConflictSettled
from central.services.service import Touched
from central.store.schema import conflicts
from central.store.slices import slices

OPEN, NOTE, SETTLED, GONE = "open", "note", "settled", "gone"

Row = dict[str, Any]


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
    clocks = await clocks_of(connection, domain)
    windows = {subject: since_ms - 2 * clocks.widest_ms for subject, since_ms in windows.items()}
    seen = await load(connection, domain, windows, clocks)
    travel = await travel_of(connection, domain)
    spent = await overspent(connection, domain, windows)
    said = await _said(connection, domain, windows)
    rows: dict[bytes, Row] = {}
    for subject, since_ms in windows.items():
        found = [one for one in judge_again(seen.get(subject, ()), travel) if one.at_ms >= since_ms]
        found += of_overspends(spent.get(subject, ()))
        rows |= _rows(domain, subject, found, said.get(subject, ()), since_ms)
    await _replace(connection, domain, windows, rows)


async def _replace(connection: AsyncConnection, domain: str, windows: Windows, rows: Mapping[bytes, Row]) -> None:
    """Most members have no conflict, so what stands is read before anything is written."""
    c, standing = conflicts.c, dict[bytes, Row]()
    for some in slices(sorted(windows)):
        query = select(conflicts).where(c.domain == domain, c.subject.in_(some))
        for row in (await connection.execute(query)).mappings():
            if row["at_ms"] >= windows[row["subject"]] or row["kind"] == Kinds.OVERSPENT:
                standing[row["id"]] = dict(row)
    for ids in slices([id_ for id_, row in standing.items() if rows.get(id_) != row]):
        await connection.execute(delete(conflicts).where(c.domain == domain, c.id.in_(ids)))
    if changed := [row for id_, row in rows.items() if standing.get(id_) != row]:
        await connection.execute(insert(conflicts), changed)


async def _said(connection: AsyncConnection, domain: str, windows: Windows) -> Mapping[bytes, list[facts.Fact]]:
    found: dict[bytes, list[facts.Fact]] = {}
    for fact in await facts.read(connection, ABOUT_CONFLICTS, domain=domain, subjects=windows):
        found.setdefault(fact.subject, []).append(fact)
    return found


def _rows(
    domain: str, subject: bytes, found: Iterable[Finding], said: Iterable[facts.Fact], since_ms: int
) -> dict[bytes, Row]:
    """By id: what is found, and what is not found any more though somebody spoke of it: that stays to be read."""
    first = {one.id: NOTE if one.is_note else OPEN for one in found}
    rows = {one.id: _row(domain, subject, one) for one in found}
    for fact in said:
        body = fact.body
        if body.id not in rows and (fact.at_ms >= since_ms or body.conflict == Kinds.OVERSPENT):
            gone = Finding(body.conflict, body.device, body.epoch, body.sequence, fact.at_ms, {})
            rows[body.id] = _row(domain, subject, gone) | {"state": GONE}
        if body.id in rows and isinstance(body, ConflictAssigned):
            rows[body.id]["assigned"] = body.to
        if body.id in rows and rows[body.id]["state"] != GONE:
            if isinstance(body, ConflictSettled):
                rows[body.id]["state"] = SETTLED
            elif isinstance(body, ConflictReopened):
                rows[body.id]["state"] = first[body.id]
    return rows


def _row(domain: str, subject: bytes, one: Finding) -> Row:
    return {
        "domain": domain,
        "id": one.id,
        "kind": one.kind,
        "device": one.device,
        "epoch": one.epoch,
        "sequence": one.sequence,
        "subject": subject,
        "at_ms": one.at_ms,
        "state": NOTE if one.is_note else OPEN,
        "detail": msgspec.json.encode(one.detail).decode(),
        "assigned": "",
    }
