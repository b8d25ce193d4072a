"""Files of length-prefixed frames: 4 bytes big-endian, then so many bytes."""

from collections.abc import Iterator
from typing import BinaryIO

from central.actions.action import ActionFailed

MAX_FRAME_BYTES = 64 * 1024 * 1024
"""Above what any writer of ours makes; a damaged length must not ask for all memory."""


def read_frames(file: BinaryIO, name: str, end: int = 0) -> Iterator[bytes]:
    """Every frame until `end` (0: of the file). Raises ActionFailed, naming the offset, for one that is cut short."""
    while True:
        offset = file.tell()
        prefix = b"" if end and offset >= end else file.read(4)
        if not prefix:
            return
        size = int.from_bytes(prefix)
        if len(prefix) < 4 or size > MAX_FRAME_BYTES:
            raise ActionFailed(f"{name}: no frame begins at byte {offset}; the file is damaged or of another kind")
        data = file.read(size)
        if len(data) < size:
            raise ActionFailed(f"{name}: the frame at byte {offset} is cut short ({len(data)} of {size} bytes)")
        yield data
