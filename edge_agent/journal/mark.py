"""What is remembered beside the database, so that a database set back or cut short is noticed."""

import contextlib
import os
from pathlib import Path

import msgspec

from edge_agent.files import checked, hand_over, unchecked
from protocol.messages import encode

FILE = "journal.mark"


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """The newest event and the floors, as they were when it was written."""

    epoch: bytes
    sequence: int
    manifest: int
    signed_ms: int
    head: bytes = b""
    """Nothing else vouches for the newest event."""


class MarkFile:
    """Not synced: it costs a tap nothing, outlives a crash of the process, and is never ahead of the disk by more
    than what a power cut takes from both."""

    def __init__(self, directory: Path) -> None:
        """A file that cannot be opened (a disk mounted read-only) is done without."""
        self._file = -1
        with contextlib.suppress(OSError):
            self._file = os.open(directory / FILE, os.O_RDWR | os.O_CREAT, 0o600)
            hand_over(self._file, directory)

    def write(self, mark: Mark) -> None:
        data = checked(b"mark", encode(mark))
        with contextlib.suppress(OSError):  # a full disk must not stop a tap that is already durable
            os.pwrite(self._file, len(data).to_bytes(2) + data, 0)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def read_mark(directory: Path) -> Mark | None:
    """The mark, or None when it is missing or torn (it is not synced)."""
    try:
        data = (directory / FILE).read_bytes()
    except OSError:
        return None
    stored = unchecked(b"mark", data[2 : 2 + int.from_bytes(data[:2])])
    return None if stored is None else msgspec.msgpack.decode(stored, type=Mark)
