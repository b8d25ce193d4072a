"""Snapshot files (SPEC §5.10): a whole allowlist as it is sent, built beside the old one, kept while deltas reach on.

A file is the answer to a fetch from chunk 0: the header's frame, then each chunk's, each with its length in
front. The header's size is known before its digests are, so one pass writes the file.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.keys import Keys
from central.store.database import Database
from central.store.schema import (
    list_entries,
    lists,
    under_own_key,
)
from protocol.envelope import digest
from protocol.errors import Failure, Refused
from protocol.messages import MAX_CHUNK_BYTES, MAX_CHUNK_ROWS, MAX_DELTA_ROWS, Snapshot, encode

KEPT = 2
ROWS_THAT_ALWAYS_FIT = 2_048
READ_BYTES = 256 * 1024

log = structlog.get_logger()


class SnapshotFile(NamedTuple):
    """A finished file."""

    path: Path
    version: int


class Snapshots:
    """One directory of files; each domain's is built by one task at a time, however many devices wait for it."""

    def __init__(self, database: Database, keys: Keys, directory: Path) -> None:
        self._database, self._keys, self._directory = database, keys, directory
        self._building: dict[str, asyncio.Lock] = {}
        self.built = 0

    async def newest(self, domain: str, floor: int = 0) -> SnapshotFile:
        """A file from `floor` on from which a delta leads to the current list; built now if there is none.

        Raises Refused for a domain without a list.
        """
        async with self._building.setdefault(domain, asyncio.Lock()):
            async with self._database.read() as connection:
                head = await _head(connection, domain)
                for file in self._files(domain):
                    if file.version >= floor and await _is_near(connection, head, file.version):
                        return file
                try:
                    file = await self._build(connection, head, MAX_CHUNK_ROWS)
                except _ChunkTooLarge:
                    file = await self._build(connection, head, ROWS_THAT_ALWAYS_FIT)
            self.built += 1
            for old in self._files(domain)[KEPT:]:
                old.path.unlink(missing_ok=True)
            return file

    async def of_version(self, domain: str, version: int) -> SnapshotFile:
        """The file of this version if it still serves, to go on with after a break; else one that is newer."""
        file = next((file for file in self._files(domain) if file.version == version), None)
        if file is not None:
            async with self._database.read() as connection:
                if await _is_near(connection, await _head(connection, domain), version):
                    return file
        return await self.newest(domain, floor=version)

    async def frames(self, file: SnapshotFile, first_chunk: int) -> AsyncIterator[bytes]:
        """The bytes to send: header, then the chunks from `first_chunk` on. Constant memory."""
        reading = await asyncio.to_thread(file.path.open, "rb")
        try:
            yield await asyncio.to_thread(_skip, reading, first_chunk)
            while data := await asyncio.to_thread(reading.read, READ_BYTES):
                yield data
        finally:
            await asyncio.to_thread(reading.close)

    def _files(self, domain: str) -> list[SnapshotFile]:
        """Finished ones, the newest first."""
        return sorted(_files_of(self._directory, domain), key=lambda file: file.version, reverse=True)

    async def _build(self, connection: AsyncConnection, head: Any, chunk_rows: int) -> SnapshotFile:
        """Of exactly the version that `head` is: both come out of one reading transaction."""
        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._directory / f"{_file_name(head.domain)}-{head.version}.snap"
        temporary = path.with_suffix(f".{os.getpid()}.new")
        writer = _Writer(temporary, head, self._keys, chunk_rows)
        try:
            c = list_entries.c
            own = (c.domain == head.domain) & (c.key_number == head.key_number)
            query = select(c.token, c.entry).where(own, c.dropped.is_(False)).order_by(c.token)
            async with connection.stream(query, execution_options={"yield_per": chunk_rows}) as rows:
                async for block in rows.partitions(chunk_rows):
                    await asyncio.to_thread(writer.add, block)
            await asyncio.to_thread(writer.finish, path)
        finally:
            await asyncio.to_thread(writer.close)
        log.info("snapshot-built", domain=head.domain, version=head.version, rows=head.count)
        return SnapshotFile(path, head.version)


def drop_before(directory: Path, domain: str, version: int) -> None:
    """Files of a domain that are older than a version."""
    for file in _files_of(directory, domain):
        if file.version < version:
            file.path.unlink(missing_ok=True)


def _files_of(directory: Path, domain: str) -> list[SnapshotFile]:
    prefix = f"{_file_name(domain)}-"
    return [
        SnapshotFile(path, int(version))
        for path in directory.glob("*.snap")
        if path.name.startswith(prefix) and (version := path.stem.removeprefix(prefix)).isdigit()
    ]


class _ChunkTooLarge(Exception):
    """Entries so large that fewer rows must go into a chunk."""


class _Writer:
    """Writes one file; every method blocks."""

    def __init__(self, temporary: Path, head: Any, keys: Keys, chunk_rows: int) -> None:
        self._temporary, self._head, self._keys = temporary, head, keys
        self._digests: list[bytes] = []
        self._rows = 0
        self._file = temporary.open("wb")
        self._file.write(self._header([bytes(32)] * -(-head.count // chunk_rows)))  # room for the real one

    def add(self, rows: Any) -> None:
        chunk = encode([tuple(row) for row in rows])
        if len(chunk) > MAX_CHUNK_BYTES:
            raise _ChunkTooLarge
        self._digests.append(digest(chunk))
        self._rows += len(rows)
        self._file.write(_frame(chunk))

    def finish(self, path: Path) -> None:
        """Raises Refused `wrong-count` when the list's head does not describe its rows."""
        if self._rows != self._head.count:
            raise Refused(
                Failure.WRONG_COUNT, f"list {self._head.domain} has {self._rows} rows, not {self._head.count}"
            )
        self._file.seek(0)
        self._file.write(self._header(self._digests))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._temporary.replace(path)

    def close(self) -> None:
        self._file.close()
        self._temporary.unlink(missing_ok=True)

    def _header(self, digests: list[bytes]) -> bytes:
        head = self._head
        return _frame(
            self._keys.publish.seal(
                Snapshot(head.domain, head.version, head.key_number, head.count, head.sum, tuple(digests))
            )
        )


def _frame(data: bytes) -> bytes:
    return len(data).to_bytes(4) + data


def _skip(file: BinaryIO, chunks: int) -> bytes:
    """Read the header's frame and place the file before chunk number `chunks`, or at its end."""
    size = file.read(4)
    header = size + file.read(int.from_bytes(size))
    for _ in range(chunks):
        size = file.read(4)
        if not size:
            break
        file.seek(int.from_bytes(size), os.SEEK_CUR)
    return header


async def _head(connection: AsyncConnection, domain: str) -> Any:
    head = (await connection.execute(select(lists).where(lists.c.domain == domain, under_own_key(lists)))).one_or_none()
    if head is None:
        raise Refused(Failure.OTHER_DOMAIN, f"there is no list of {domain}")
    return head


async def _is_near(connection: AsyncConnection, head: Any, version: int) -> bool:
    """Whether a delta leads from a version to the current list."""
    if version == head.version:
        return True
    if not head.base <= version < head.version:
        return False
    c = list_entries.c
    own = (c.domain == head.domain) & (c.key_number == head.key_number)
    changed = select(c.token).where(own, c.version > version).limit(MAX_DELTA_ROWS + 1).subquery()
    return int((await connection.execute(select(func.count()).select_from(changed))).scalar_one()) <= MAX_DELTA_ROWS


def _file_name(domain: str) -> str:
    """A domain's name may hold what a file's may not, and be a prefix of another's."""
    return domain.encode().hex()
