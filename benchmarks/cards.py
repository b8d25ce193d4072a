"""Three million cards, computed from nothing, and the list file that holds them."""

import hashlib
from pathlib import Path

from edge_agent.published.list_writer import SnapshotWriter
from edge_agent.published.lists import ListFile
from protocol.allowlist import CardState, Entry, Grant
from protocol.chunks import chunks
from protocol.messages import Snapshot
from protocol.token import token
from protocol.uid import CardUID
from protocol.wire import encode

CARDS = 3_000_000
DOMAIN, KEY = "bench", hashlib.sha256(b"the benchmark's domain key").digest()
CLASSES = tuple((Grant(f"class-{number}"),) for number in range(20))


def uid(number: int) -> CardUID:
    """A 7-byte UID."""
    return CardUID(b"\x04" + number.to_bytes(6))


def rows(count: int) -> list[tuple[bytes, bytes]]:
    """(token, entry) by rising token."""
    found = []
    for number in range(count):
        made = token(KEY, uid(number))
        entry = Entry(made[::-1], 1, CardState.ACTIVE, CLASSES[number % len(CLASSES)])
        found.append((made, encode(entry)))
    found.sort()
    return found


def list_file(directory: Path, sorted_rows: list[tuple[bytes, bytes]], sum_: int) -> ListFile:
    """The list on disk, written by the agent's own snapshot writer."""
    head = Snapshot(DOMAIN, 1, 1, len(sorted_rows), sum_.to_bytes(32), ())
    writer = SnapshotWriter(directory, head, b"")
    for chunk in chunks(sorted_rows):
        writer.add(chunk)
    return writer.finish()
