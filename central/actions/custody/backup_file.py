"""The backup file: engine-independent, whole or refused, and never with a key in it.

"tapgate-backup-1\\n", then frames (4 bytes big-endian, then so many bytes, compressed or not):
a header (map), for each table blocks of [table, [columns], [rows]], an end {"rows": {table: count}}
and after the last frame the SHA-256 of everything before it.
"""

import hashlib
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec

from central.actions.action import ActionFailed
from central.actions.custody.frames import MAX_FRAME_BYTES, read_frames
from central.files import sync_directory

MAGIC = b"tapgate-backup-1\n"
DIGEST_BYTES = 32
BLOCK_BYTES = 1 << 20
"""Rows are gathered to about so much before they become a frame."""

Compression = Literal["zlib", "none"]


class Header(msgspec.Struct, frozen=True):
    """What a backup is of. `revision`: of the schema; `generation`: of custody."""

    revision: str
    generation: int
    at_ms: int
    compression: Compression


class Block(msgspec.Struct, frozen=True, array_like=True):
    """Some rows of one table."""

    table: str
    columns: list[str]
    rows: list[list[Any]]


class End(msgspec.Struct, frozen=True):
    """How many rows of each table the file holds."""

    rows: dict[str, int]


class BackupWriter:
    """Writes beside the target, hashing as it goes; `finish` syncs and puts it in place in one step."""

    def __init__(self, path: Path, header: Header) -> None:
        self._path, self._temporary = path, path.with_name(path.name + ".part")
        self._pack: Callable[[bytes], bytes] = _deflate if header.compression == "zlib" else bytes
        self._sha256 = hashlib.sha256()
        self._counts: dict[str, int] = {}
        self._file = os.fdopen(os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
        self._write(MAGIC)
        self._frame(msgspec.msgpack.encode(header))

    def rows(self, table: str, columns: list[str], rows: list[list[Any]]) -> None:
        """Some rows of a table; tables come one after the other."""
        self._counts[table] = self._counts.get(table, 0) + len(rows)
        if rows:
            self._frame(self._pack(msgspec.msgpack.encode(Block(table, columns, rows))))

    def finish(self) -> int:
        """The size in bytes. The file stands under its name, whole and on disk, or not at all."""
        self._frame(self._pack(msgspec.msgpack.encode(End(self._counts))))
        self._file.write(self._sha256.digest())
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._temporary.replace(self._path)
        sync_directory(self._path.parent)
        return self._path.stat().st_size

    def abandon(self) -> None:
        """Leave nothing behind."""
        self._file.close()
        self._temporary.unlink(missing_ok=True)

    def _frame(self, data: bytes) -> None:
        if len(data) > MAX_FRAME_BYTES:
            raise ActionFailed(f"a block of {len(data)} bytes does not fit a backup")
        self._write(len(data).to_bytes(4))
        self._write(data)

    def _write(self, data: bytes) -> None:
        self._sha256.update(data)
        self._file.write(data)


class BackupReader:
    """A backup whose digest was verified before anything of it is believed."""

    def __init__(self, path: Path) -> None:
        """Raises ActionFailed for a file that is no backup, is cut short, or has a flipped bit."""
        self.path = path
        self.size = path.stat().st_size
        _check(path, self.size)
        with path.open("rb") as file:
            self.header = _decoded(Header, next(_frames(file, path, self.size)), path)
        self.offset = 0

    def blocks(self) -> Iterator[Block]:
        """Every block in the order of the file. Raises ActionFailed where counts differ from the file's own."""
        unpack: Callable[[bytes], bytes] = zlib.decompress if self.header.compression == "zlib" else bytes
        counts: dict[str, int] = {}
        previous = b""
        with self.path.open("rb") as file:
            frames = _frames(file, self.path, self.size)
            next(frames)
            for frame in frames:
                if previous:
                    block = _decoded(Block, unpack(previous), self.path)
                    counts[block.table] = counts.get(block.table, 0) + len(block.rows)
                    self.offset = file.tell()
                    yield block
                previous = frame
        end = _decoded(End, unpack(previous), self.path)
        if {table: count for table, count in end.rows.items() if count} != counts:
            raise ActionFailed(f"{self.path.name}: the rows are not as many as its own end says")


def _deflate(data: bytes) -> bytes:
    return zlib.compress(data, 1)


def _check(path: Path, size: int) -> None:
    sha256, left = hashlib.sha256(), size - DIGEST_BYTES
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC or left < len(MAGIC):
            raise ActionFailed(f"{path.name} is no backup of this program")
        file.seek(0)
        while left and (data := file.read(min(left, 1 << 20))):
            sha256.update(data)
            left -= len(data)
        if file.read() != sha256.digest():
            raise ActionFailed(f"{path.name} is damaged or cut short: its digest does not match; use another backup")


def _frames(file: BinaryIO, path: Path, size: int) -> Iterator[bytes]:
    file.seek(len(MAGIC))
    return read_frames(file, path.name, end=size - DIGEST_BYTES)


def _decoded(kind: type[Any], data: bytes, path: Path) -> Any:
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, zlib.error) as error:
        raise ActionFailed(f"{path.name}: {error}: was it made by a newer version?") from None
