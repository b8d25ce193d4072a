"""What devices sent, as it came: a list that can be searched, and one batch with all that it holds."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.custody.batch_search import EVIDENCE, Filters, Found, Key, holding, search
from central.actions.custody.in_scope import (
    At,
    Hex8,
    Line,
    Lines,
    Word,
    devices_within,
    gates_within,
    is_within,
    since_here,
    venues_of,
)
from central.actions.custody.searched_text import filled, is_epoch, is_number, meaning
from central.store.schema import devices, epochs, events
from central.store.slices import named
from protocol.clock import TOLERANCE_MS

LATE_MS = 60_000
"""A batch whose oldest event waited longer was queued."""


class BatchListParams(Params, frozen=True):
    """Filters; empty or 0 = any; times are those of receipt, `until_ms` excluded. `outcome`: `accepted`, `untrusted`,
    `forked`, `resent` (came more than once), a kind of evidence (`gap`, `fork`, `loss`, `broken-chain`, `other-device`,
    `other-epoch`, `alarm`), or `odd`: any of these but `accepted`. `text`: an event's name (DEVICE/EPOCH/SEQUENCE: the
    batches that hold it), an epoch's (DEVICE/EPOCH), or that of a device, gate or venue. `after`: the `next` of the
    page before."""

    venue: Word = ""
    gate: Word = ""
    device: Word = ""
    epoch: Hex8 = ""
    outcome: Word = ""
    since_ms: At = 0
    until_ms: At = 0
    text: Line = ""
    after: Line = ""
    limit: Lines = 50


class BatchLine(msgspec.Struct, frozen=True):
    """One batch, or a piece of evidence beside them (`evidence`: its kind; then `detail` says what it is and `seen` how
    often it came). `events`: how many it brought anew. `first_at_ms`, `last_at_ms`: of the first of those and of its
    last event, by the gate's clock, 0 = not known. `delay_ms`: how long that first one waited to get here. `ahead_ms`:
    by how much the last one lies in the future."""

    evidence: str
    device: str
    gate: str
    venue: str
    epoch: str
    first: int
    through: int
    digest: str
    received_ms: int
    outcome: str
    events: int
    bytes: int
    resent: int
    receipted: bool
    first_at_ms: int
    last_at_ms: int
    delay_ms: int
    ahead_ms: int
    detail: str
    seen: int


class BatchPage(Result, frozen=True):
    """`next`, `searched_ms`: as of events."""

    batches: list[BatchLine]
    next: str
    searched_ms: int


@action("batch.list", BatchListParams, writes=False)
async def batch_list(context: Context, params: BatchListParams) -> BatchPage:
    """The newest that match, with the evidence that came between."""
    known = ("", "accepted", "untrusted", "forked", "resent", "odd", *EVIDENCE)
    if params.outcome not in known:
        raise ActionFailed(f"there is no outcome {params.outcome!r}: {', '.join(filter(None, known))}")
    async with context.database.read() as connection:
        asked = await meaning(connection, params.text)
        narrowed = msgspec.structs.replace(params, **filled(asked, params, ("device", "gate", "venue")))
        within = await gates_within(connection, context.scope, venue=narrowed.venue, gate=narrowed.gate)
        if asked.event is not None:
            found = Found(await holding(connection, asked.event))
        else:
            wanted = await devices_within(connection, within, narrowed.device)
            epoch = asked.epoch or bytes.fromhex(params.epoch)
            filters = Filters(wanted, epoch, params.outcome, params.since_ms, params.until_ms)
            filters = await _until_its_end(connection, filters, narrowed.device)
            found = await search(connection, filters, _key(params.after), params.limit)
        lines = [line for line in await lines_of(connection, found.rows) if is_within(within, line.gate)]
        mine = await gates_within(connection, context.scope)
        since = await since_here(connection, mine, {line.device for line in lines})
    # where it happened is known of what holds events; all else was where the device stood then
    lines = [line for line in lines if line.last_at_ms or line.received_ms >= since.get(line.device, 0)]
    return BatchPage(batches=lines, next=_written(found.next) if found.next else "", searched_ms=found.searched_ms)


async def _until_its_end(connection: AsyncConnection, filters: Filters, device: str) -> Filters:
    """An epoch is looked for from its last batch on."""
    if not (filters.epoch and device):
        return filters
    query = select(epochs.c.seen_ms).where(epochs.c.device == device, epochs.c.epoch == filters.epoch)
    seen_ms = (await connection.execute(query)).scalar()
    if seen_ms is None or 0 < filters.until_ms <= seen_ms:
        return filters
    return filters._replace(until_ms=seen_ms + 1)


async def lines_of(connection: AsyncConnection, rows: Sequence[Any]) -> list[BatchLine]:
    """With what their first and last events say."""
    whole = [row for row in rows if not row.kind]
    at = await _ends(connection, [row for row in whole if row.outcome != "forked"])
    query = select(devices.c.id, devices.c.gate).where(devices.c.id.in_({row.device for row in rows}))
    stands = {row.id: row.gate for row in await connection.execute(query)}
    lines = []
    gates = {row: _gate(row, at, stands) for row in rows}
    venues = await venues_of(connection, gates.values())
    for row in rows:
        gate = gates[row]
        place = (row.device, gate, venues.get(gate, ""))
        lines.append(_evidence(row, place) if row.kind else _batch(row, place, at))
    return lines


Ends = dict[tuple[str, bytes, int], tuple[str, int]]
"""Gate and time of events, by their names."""


def _gate(row: Any, at: Ends, stands: dict[str, str]) -> str:
    """Where the last event of a batch was; else where its device stands now."""
    there = "" if row.kind else at.get((row.device, row.epoch, row.through), ("", 0))[0]
    return there or stands.get(row.device, "")


def _first(row: Any) -> int:
    """The first event that a batch brought anew; its first where it brought none."""
    return int(row.taken_first if row.taken_first <= row.through else row.first)


async def _ends(connection: AsyncConnection, rows: Sequence[Any]) -> Ends:
    names = {(row.device, row.epoch, sequence) for row in rows for sequence in (_first(row), row.through)}
    e, found = events.c, {}
    for some in named((e.device, e.epoch, e.sequence), names):
        query = select(e.device, e.epoch, e.sequence, e.gate, e.at_ms).where(some)
        for device, epoch, sequence, gate, at_ms in await connection.execute(query):
            found[device, epoch, sequence] = gate, at_ms
    return found


def _batch(row: Any, place: tuple[str, str, str], at: Ends) -> BatchLine:
    forked = row.outcome == "forked"  # the events of these names are others
    first, last = (
        0 if forked else at.get((row.device, row.epoch, sequence), ("", 0))[1]
        for sequence in (_first(row), row.through)
    )
    return BatchLine(
        *("", *place, row.epoch.hex(), row.first, row.through, row.digest.hex(), row.at_ms, row.outcome),
        events=max(0, row.through + 1 - row.taken_first),
        bytes=row.bytes,
        resent=row.resent,
        receipted=row.receipt_bytes > 0,
        first_at_ms=first,
        last_at_ms=last,
        delay_ms=max(0, row.at_ms - first) if first else 0,
        ahead_ms=last - row.at_ms if last > row.at_ms + TOLERANCE_MS else 0,
        detail="",
        seen=1 + row.resent,
    )


def epoch_in(detail: str) -> str:
    """The epoch that evidence begins with naming, as custody writes it; empty where it names none."""
    words = detail.replace(":", " ").replace(",", " ").split()
    return words[1] if len(words) > 1 and words[0] == "epoch" and is_epoch(words[1]) else ""


def _evidence(row: Any, place: tuple[str, str, str]) -> BatchLine:
    return BatchLine(
        *(row.kind, *place, epoch_in(row.detail), -1, -1, row.digest.hex(), row.at_ms, row.kind),
        *(0, row.bytes, 0, False, 0, 0, 0, 0, row.detail, row.seen),
    )


# --- where a page ended -----------------------------------------------------------------------------------------


def _written(key: Key) -> str:
    at_ms, digest, kind = key
    return f"{at_ms}/{digest.hex()}/{kind}" if digest else str(at_ms)


def _key(text: str) -> Key | None:
    """Raises ActionFailed for a text that no page ended with."""
    if not text:
        return None
    at_ms, *rest = text.split("/")
    try:
        if is_number(at_ms) and len(rest) in (0, 2):
            return int(at_ms), bytes.fromhex(rest[0]) if rest else b"", rest[1] if rest else ""
    except ValueError:
        pass
    raise ActionFailed(f"no page ended with {text[:80]!r}: give what `next` said, or nothing")
