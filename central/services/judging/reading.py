"""Rows that judging goes by, read for many members at once: marks, denied taps, chips, readers, losses."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from central.details import read_detail
from central.services.judging.seen import DENIED
from central.services.marks import EventName, person_of
from central.services.points.books import Line, Overspend, overspends
from central.services.points.ledger import LOSS
from central.store.schema import RARE
from central.store.wanted import rows_wanted
from protocol.history import Mark
from protocol.messages import ReaderDetail

Windows = Mapping[bytes, int]
"""By subject: taps from this instant on."""


class TapRow(NamedTuple):
    """A row of `marks`, or of `denials` as if it were one."""

    subject: bytes
    device: str
    epoch: bytes
    sequence: int
    at_ms: int
    venue: str
    gate: str
    kind: str
    direction: str
    reason: str
    rule: str
    card: int
    points: int
    due: int
    repeats: int
    fate: str

    @property
    def name(self) -> EventName:
        return self.device, self.epoch, self.sequence


def mark_of(row: Any) -> Mark:
    """A row of `marks` as gates exchange it."""
    return Mark(row.at_ms, row.venue, row.gate, row.direction, row.rule, row.points, row.due, row.epoch, row.sequence)


_TAP = ", ".join(f"t.{name}" for name in TapRow._fields)
_NOT_OF_A_DENIAL = {"t.kind": "'tap'", "t.points": "0", "t.due": "0", "t.repeats": "-1", "t.fate": f"'{DENIED}'"}
_DENIED = ", ".join(_NOT_OF_A_DENIAL.get(name, name) for name in _TAP.split(", "))
_WITHIN = " t WHERE t.domain = ? AND t.subject = w.subject AND t.at_ms >= w.since_ms AND t.at_ms < w.until_ms"
_SPANS = {"subject": "bytea", "since_ms": "bigint", "until_ms": "bigint"}
Span = tuple[bytes, int, int]
"""Subject, the first instant, and the first one after the last."""


async def marks_within(connection: AsyncConnection, domain: str, spans: Iterable[Span]) -> list[TapRow]:
    """Whatever became of them."""
    sql = f"SELECT {_TAP} FROM wanted w CROSS JOIN marks{_WITHIN}"
    return [TapRow(*row) for row in await rows_wanted(connection, _SPANS, spans, sql, domain)]


async def denials_within(connection: AsyncConnection, domain: str, spans: Iterable[Span]) -> list[TapRow]:
    """As the gates said whom they denied."""
    sql = f"SELECT {_DENIED} FROM wanted w CROSS JOIN denials{_WITHIN}"
    return [TapRow(*row) for row in await rows_wanted(connection, _SPANS, spans, sql, domain)]


async def fingerprints(connection: AsyncConnection, names: Iterable[EventName]) -> dict[EventName, bytes]:
    """Of these taps; a personal part that was destroyed has none."""
    keys = {"device": "text", "epoch": "bytea", "sequence": "bigint"}
    rows = await rows_wanted(connection, keys, names, _PERSONAL)
    return {(device, epoch, sequence): person_of(part).fingerprint for device, epoch, sequence, part in rows}


_PERSONAL = (
    "SELECT e.device, e.epoch, e.sequence, e.personal FROM wanted w CROSS JOIN events e"
    " WHERE e.device = w.device AND e.epoch = w.epoch AND e.sequence = w.sequence AND e.personal IS NOT NULL"
)


async def profiles(connection: AsyncConnection, names: Collection[EventName]) -> dict[EventName, str]:
    """By tap: the profile by which the readers of its device read then, as they said since the agent began; empty where
    they said none, or several."""
    keys = {"device": "text", "epoch": "bytea"}
    said: dict[tuple[str, bytes], list[tuple[int, str]]] = {}
    epochs = {(device, epoch) for device, epoch, _ in names}
    for device, epoch, sequence, detail in await rows_wanted(connection, keys, epochs, _READERS):
        read = read_detail("reader", detail)
        if isinstance(read, ReaderDetail) and read.profile:
            said.setdefault((device, epoch), []).append((sequence, read.profile))
    found = {}
    for device, epoch, sequence in names:
        before = {profile for at, profile in said.get((device, epoch), ()) if at < sequence}
        found[device, epoch, sequence] = before.pop() if len(before) == 1 else ""
    return found


_READERS = (
    "SELECT e.device, e.epoch, e.sequence, e.detail FROM wanted w CROSS JOIN events e"
    f" WHERE e.device = w.device AND e.epoch = w.epoch AND e.kind = 'reader' AND {RARE.text.replace('kind', 'e.kind')}"
)


async def overspent(
    connection: AsyncConnection, domain: str, subjects: Collection[bytes]
) -> dict[bytes, list[Overspend]]:
    """By member, what was spent that nobody had."""
    lines: dict[bytes, list[Line]] = {}
    names = ", ".join(f"t.{name}" for name in Line._fields)
    for table in ("point_books", "ledger"):
        sql = (
            f"SELECT t.subject, {names} FROM wanted w CROSS JOIN {table} t WHERE t.domain = ? AND t.subject = w.subject"
        )
        sql += " AND (t.source LIKE ? OR t.target LIKE ?)"
        keys = [(subject,) for subject in subjects]
        rows: Sequence[Any] = await rows_wanted(connection, {"subject": "bytea"}, keys, sql, domain, *(f"%{LOSS}",) * 2)
        for subject, *line in rows:
            lines.setdefault(subject, []).append(Line(*line))
    return {subject: overspends(each) for subject, each in lines.items()}
