"""Files that must survive a power cut: written beside, synced, then put in place."""

import hashlib
import os
from pathlib import Path

CHECK_BYTES = 8


def replace_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """The file holds either its old content or all of the new one, whatever happens."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        os.write(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Makes created, renamed and removed names durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Makes a file's content durable, whoever wrote it."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def checked(name: bytes, value: bytes) -> bytes:
    """`value` with a short check of itself and its name behind it: SQLite does not notice a flipped bit."""
    return value + hashlib.sha256(name + b"\0" + value).digest()[:CHECK_BYTES]


def unchecked(name: bytes, stored: bytes) -> bytes | None:
    """What `checked` was given, or None when the bytes are not what was stored."""
    value = stored[:-CHECK_BYTES]
    return value if checked(name, value) == stored else None
