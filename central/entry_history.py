"""What a domain's list said of each card at any time (SPEC §5.11): appended whenever a row changes, never altered.

By subject and card, so that it outlives the domain's key. A version is the time in UTC milliseconds at which central
came to say so, or a little later, so it answers both `as the gate held it` and `as central knew then`.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.store.schema import entry_history, meta
from central.store.slices import slices
from central.store.steps import Statement, one, run_steps
from protocol.allowlist import Entry
from protocol.wire import decode

SINCE = "entry-history-since"


class HeldEntry(NamedTuple):
    """What a list said of a card from `version` on. `body` empty: it was not on the list any more."""

    version: int
    token: bytes
    body: bytes

    @property
    def entry(self) -> Entry | None:
        """None: not on the list."""
        return _entry(self.body) if self.body else None


@lru_cache(maxsize=10_000)
def _entry(body: bytes) -> Entry:
    return decode(Entry, body)


class CardHistory:
    """All that one domain's list ever said of one card."""

    def __init__(self, rows: Sequence[HeldEntry]) -> None:
        self.rows = rows
        self._versions = [row.version for row in rows]

    def at(self, version: int) -> HeldEntry | None:
        """What the list of this version, or central at this instant, said; None = nothing is known of then."""
        place = bisect_right(self._versions, version)
        return self.rows[place - 1] if place else None

    def between(self, version: int, through: int) -> Sequence[HeldEntry]:
        """What lists said after a version, through another one."""
        return self.rows[bisect_right(self._versions, version) : bisect_right(self._versions, through)]


NEVER_LISTED = CardHistory(())
Histories = dict[tuple[bytes, int], CardHistory]
"""By subject and card."""


# --- reading --------------------------------------------------------------------------------------------------


async def entry_at(
    connection: AsyncConnection, domain: str, subject: bytes, card: int, version_or_ms: int
) -> HeldEntry | None:
    """What the list of a version, or central at an instant, said of a card; None = nothing is known of then."""
    c = entry_history.c
    query = select(c.version, c.token, c.entry).where(c.domain == domain, c.subject == subject, c.card == card)
    newest = query.where(c.version <= version_or_ms).order_by(c.version.desc()).limit(1)
    row = (await connection.execute(newest)).first()
    return None if row is None else HeldEntry(*row)


async def histories(connection: AsyncConnection, domain: str, subjects: Collection[bytes]) -> Histories:
    """All that is known of these members' cards."""
    found: dict[tuple[bytes, int], list[HeldEntry]] = {}
    for subject, card, *said in await rows_of(connection, domain, subjects):
        found.setdefault((subject, card), []).append(HeldEntry(*said))
    return {card: CardHistory(rows) for card, rows in found.items()}


async def rows_of(connection: AsyncConnection, domain: str, subjects: Collection[bytes]) -> list[Sequence[Any]]:
    """Subject, card, version, token and entry (empty: dropped) of all that is known, by card and rising version."""
    found: list[Sequence[Any]] = []
    for some in slices(sorted(subjects)):
        marks = ", ".join("?" * len(some))
        sql = f"{_ROWS} WHERE domain = ? AND subject IN ({marks}) ORDER BY subject, card, version"
        found += await run_steps(connection, one(Statement(sql, (domain, *some))))
    return found


_ROWS = "SELECT subject, card, version, token, entry FROM entry_history"


async def known_since(connection: AsyncConnection) -> int:
    """Before this instant a card that was changed later has no history: it was not kept then. 0 = always kept."""
    value = (await connection.execute(select(meta.c.value).where(meta.c.key == SINCE))).scalar()
    return int(value) if value is not None else 0


# --- writing, with the list -----------------------------------------------------------------------------------

Row = tuple[bytes, bytes]
"""Token and entry."""
_COLUMNS = "domain, subject, card, version, token, entry, dropped"
_PUT = " ON CONFLICT (domain, subject, card, version) DO UPDATE SET token = excluded.token, entry = excluded.entry,"
_PUT += " dropped = excluded.dropped"
_DROP = " ON CONFLICT (domain, subject, card, version) DO NOTHING"
_UNNEST = "SELECT $1, s, c, $2, t, e, $3 FROM unnest($4::bytea[], $5::int[], $6::bytea[], $7::bytea[]) u (s, c, t, e)"
_INSERT = f"INSERT INTO entry_history ({_COLUMNS}) "


async def append(
    connection: AsyncConnection, domain: str, version: int, gone: Iterable[Row], came: Iterable[Row]
) -> None:
    """Write down what a list says from a version on. `gone`: rows that were on it; one whose card came under another
    token, now or before (of a couple with swapped cards both do), is not dropped."""
    put = {_card_of(entry): (token, entry) for token, entry in came}
    dropped = {card: (token, b"") for token, entry in gone if (card := _card_of(entry)) not in put}
    if dropped:
        known = await histories(connection, domain, {subject for subject, _ in dropped})
        dropped = {
            card: row for card, row in dropped.items() if card not in known or known[card].rows[-1].token == row[0]
        }
    await _write(connection, domain, version, dropped, _DROP)
    await _write(connection, domain, version, put, _PUT)


def _card_of(body: bytes) -> tuple[bytes, int]:
    entry = decode(Entry, body)
    return entry.subject, entry.card


async def _write(
    connection: AsyncConnection, domain: str, version: int, rows: dict[tuple[bytes, int], Row], conflict: str
) -> None:
    if not rows:
        return
    ordered = sorted(rows.items())  # neighbours in the index go in together
    is_dropped = not ordered[0][1][1]
    if connection.dialect.name == "sqlite":
        values: list[Any] = [(domain, *card, version, *row, is_dropped) for card, row in ordered]
        await connection.exec_driver_sql(f"{_INSERT}VALUES (?, ?, ?, ?, ?, ?, ?){conflict}", values)
        return
    columns = map(list, zip(*((*card, *row) for card, row in ordered), strict=True))
    raw = await connection.get_raw_connection()
    driver: Any = raw.driver_connection
    await driver.execute(f"{_INSERT}{_UNNEST}{conflict}", domain, version, is_dropped, *columns)
