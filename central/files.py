"""Files that must survive a power cut: synced, and put in place whole."""

import os
from pathlib import Path


def replace_file(path: Path, data: bytes) -> None:
    """The file holds either its old content or all of the new one, whatever happens."""
    temporary = path.with_name(path.name + ".new")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Makes created and renamed names durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
