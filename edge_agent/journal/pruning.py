"""Lets go of what was delivered long enough ago; of what was not, never."""

import time
from collections.abc import Callable
from functools import partial

from edge_agent.journal.outbox import read_delivered
from edge_agent.journal.store import Store
from edge_agent.journal.transaction import SEQUENCE_BITS, Transaction, event_id

KEEP_MS = 30 * 24 * 3_600_000
PRUNE_ROWS = 2_000
"""Deleted in one transaction: a tap never waits longer than this takes."""
PAUSE_S = 0.005
EVER_MS = 2**62
OLDEST = "SELECT epoch, first, through, stored_ms FROM receipts ORDER BY epoch, first, through LIMIT 1"
EMPTY_EPOCHS = (
    "DELETE FROM epochs WHERE number < (SELECT max(number) FROM epochs)"
    " AND NOT EXISTS (SELECT 1 FROM events WHERE id >= number << ? AND id < (number + 1) << ?)"
    " AND NOT EXISTS (SELECT 1 FROM receipts WHERE receipts.epoch = number)"
)


def prune(store: Store, now_ms: int, keep_ms: int = KEEP_MS, most_bytes: int | None = None) -> int:
    """Delete up to PRUNE_ROWS delivered events whose receipt is older than `keep_ms`, or the oldest delivered
    ones while the journal is above `most_bytes`. Undelivered events are never deleted. Returns how many rows went."""
    crowded = most_bytes is not None and _used_bytes(store) > most_bytes
    cutoff_ms = EVER_MS if crowded else now_ms - keep_ms

    def work(transaction: Transaction) -> int:
        connection = transaction.connection
        number, first, through, _ = connection.execute(OLDEST).fetchone()
        receipt = (number, first, through)
        through = min(through, read_delivered(connection, number))
        last = connection.execute("SELECT max(id) FROM events").fetchone()[0] or 0  # the next epoch names it
        gone = connection.execute(
            "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE id BETWEEN ? AND ? AND id < ? LIMIT ?)",
            (event_id(number, 0), event_id(number, 0) + through, last, PRUNE_ROWS),
        ).rowcount
        if gone < PRUNE_ROWS:
            connection.execute("DELETE FROM receipts WHERE (epoch, first, through) = (?, ?, ?)", receipt)
            connection.execute(EMPTY_EPOCHS, (SEQUENCE_BITS, SEQUENCE_BITS))
        return max(gone, 1)

    with store.reading() as connection:
        oldest = connection.execute(OLDEST).fetchone()
    if oldest is None or oldest[3] >= cutoff_ms:
        return 0  # an idle agent writes nothing
    return store.commit(work)


def prune_histories(store: Store, now_ms: int, since_ms: int, stop: Callable[[], bool] = lambda: False) -> int:
    """Delete the histories of which nothing is younger than KEEP_MS or than `since_ms`, what the policy looks back to.
    In small steps with pauses; what is not older than it says stays. Returns how many went."""
    before_ms, last, gone = min(now_ms - KEEP_MS, since_ms), b"", 0
    while not stop():
        with store.reading() as connection:
            rows = connection.execute(
                "SELECT key, at_ms FROM history WHERE key > ? ORDER BY key LIMIT ?", (last, PRUNE_ROWS)
            ).fetchall()
        if not rows:
            break
        last, old = rows[-1][0], [key for key, at_ms in rows if at_ms < before_ms]
        if old:
            gone += store.commit(partial(_forget, keys=old, before_ms=before_ms))
        time.sleep(PAUSE_S)
    return gone


def _forget(transaction: Transaction, keys: list[bytes], before_ms: int) -> int:
    """Unless somebody has tapped meanwhile."""
    delete = "DELETE FROM history WHERE key = ? AND at_ms < ?"
    return sum(transaction.connection.execute(delete, (key, before_ms)).rowcount for key in keys)


def _used_bytes(store: Store) -> int:
    with store.reading() as connection:
        pages, free = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count"))
        return int((pages - free) * connection.execute("PRAGMA page_size").fetchone()[0])
