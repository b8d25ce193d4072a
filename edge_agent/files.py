"""Files that must survive a power cut: written beside, synced, then put in place."""

import contextlib
import hashlib
import os
from pathlib import Path

CHECK_BYTES = 8


def replace_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """The file holds either its old content or all of the new one, whatever happens."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            hand_over(file.fileno(), path.parent)
            os.fchmod(file.fileno(), mode)  # whatever the umask
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def hand_over(descriptor: int, directory: Path) -> None:
    """What root makes in somebody's directory is that somebody's: an operator's `sudo` must not lock the agent out."""
    if os.geteuid() == 0:
        owner = directory.stat()
        with contextlib.suppress(OSError):  # a file system without owners
            os.fchown(descriptor, owner.st_uid, owner.st_gid)


def is_there(path: Path) -> bool:
    """Unlike `Path.exists`, raises PermissionError where nobody may tell."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def destroy_file(path: Path) -> None:
    """Overwrites a file's own blocks before it goes. Where the medium moves blocks about, nobody can promise more."""
    try:
        with path.open("r+b") as file:
            file.write(bytes(path.stat().st_size))
            file.flush()
            os.fsync(file.fileno())
    except FileNotFoundError:
        return
    path.unlink()
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


def read_only(path: Path, immutable: bool = False) -> str:
    """The URI that opens a database for reading. `immutable`: as of its last checkpoint, touching nothing at all."""
    return f"{path.absolute().as_uri()}?{'immutable=1' if immutable else 'mode=ro'}"


def checked(name: bytes, value: bytes) -> bytes:
    """`value` with a short check of itself and its name behind it: SQLite does not notice a flipped bit."""
    return value + hashlib.sha256(name + b"\0" + value).digest()[:CHECK_BYTES]


def unchecked(name: object, stored: object) -> bytes | None:
    """What `checked` was given, or None when either is not what was stored (a flipped bit can change a type too)."""
    if not isinstance(name, bytes) or not isinstance(stored, bytes):
        return None
    value = stored[:-CHECK_BYTES]
    return value if checked(name, value) == stored else None
