"""What may be written to the agent's database together, and the names that rows go by."""

import sqlite3
from typing import NamedTuple

import msgspec

from edge_agent.files import checked, unchecked
from edge_agent.journal.database import JournalUnwritable
from protocol.history import History
from protocol.journal import extend
from protocol.messages import encode

SEQUENCE_BITS = 40
SEQUENCES = (1 << SEQUENCE_BITS) - 1

STATES = "state"
"""The fact that says which version of central's states the histories hold (see `state_feed`)."""

_history = msgspec.msgpack.Decoder(History)


class Epoch(NamedTuple):
    """`number` is local and rises; `epoch` is the random name on the wire. Number 0: none has begun."""

    number: int
    epoch: bytes


def event_id(epoch_number: int, sequence: int) -> int:
    """The journal's key of an event."""
    return epoch_number << SEQUENCE_BITS | sequence


def history_in(connection: sqlite3.Connection, key: bytes) -> History | None:
    """What is known of the earlier taps under this key. A record that is not what was stored counts as none."""
    row = connection.execute("SELECT record FROM history WHERE key = ?", (key,)).fetchone()
    if row is None:
        return None
    record = unchecked(key, row[0])
    try:
        return None if record is None else _history.decode(record)
    except msgspec.MsgspecError:  # written by another version
        return None


class Transaction:
    """What may be read and written together. Made by `Store.commit` only."""

    def __init__(self, connection: sqlite3.Connection, epoch: Epoch, sequence: int, head: bytes) -> None:
        self.connection = connection
        self.epoch, self.sequence, self.head = epoch, sequence, head

    def append(self, public: bytes, personal: bytes) -> int:
        """Writes one event of the current epoch; its sequence is this transaction's `sequence` before the call."""
        if not self.epoch.number:
            raise JournalUnwritable("no epoch could be begun yet")
        self.connection.execute(
            "INSERT INTO events VALUES (?, ?, ?, ?)",
            (event_id(self.epoch.number, self.sequence), public, personal or None, self.head),
        )
        self.head = extend(self.head, public)
        self.sequence += 1
        return self.sequence - 1

    def history(self, key: bytes) -> History | None:
        """What is known of the earlier taps under this key. A record that is not what was stored counts as none."""
        return history_in(self.connection, key)

    def remember(self, key: bytes, history: History, at_ms: int) -> None:
        """`at_ms`: of the newest thing in it, for pruning."""
        self.connection.execute(
            "INSERT OR REPLACE INTO history VALUES (?, ?, ?)", (key, checked(key, encode(history)), at_ms)
        )

    def forget(self, key: bytes) -> None:
        """As if there had never been a tap under this key."""
        self.connection.execute("DELETE FROM history WHERE key = ?", (key,))

    def fact(self, name: str) -> bytes | None:
        """A small value of the agent's own; None when it was never set, or is not what was stored."""
        row = self.connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else unchecked(name.encode(), row[0])

    def set_fact(self, name: str, value: bytes) -> None:
        self.connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, checked(name.encode(), value)))
