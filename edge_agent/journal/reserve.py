"""Space put by while there is plenty, so that a disk which somebody else filled does not silence the journal."""

import contextlib
import os
from pathlib import Path

import structlog

from edge_agent.files import hand_over, sync_directory

log = structlog.get_logger(__name__)

FILE = "journal.reserve"
ROOM = 3
"""So many times its size must be free before it is put by (again)."""


class Reserve:
    """A preallocated file that is given up when the journal needs its space."""

    def __init__(self, directory: Path, size_bytes: int) -> None:
        self._directory, self._path, self._size_bytes = directory, directory / FILE, size_bytes

    @property
    def is_spent(self) -> bool:
        return not self._path.exists()

    def restore(self) -> bool:
        """Put the space by. True when it had to be and could."""
        try:
            if self._path.exists() and self._path.stat().st_size >= self._size_bytes:
                return False
            free = os.statvfs(self._directory)
            if free.f_bavail * free.f_frsize < ROOM * self._size_bytes:
                return False
            with self._path.open("wb") as file:
                hand_over(file.fileno(), self._directory)
                os.posix_fallocate(file.fileno(), 0, self._size_bytes)
                os.fsync(file.fileno())
            sync_directory(self._directory)
        except OSError as error:
            log.warning("no-journal-reserve", error=str(error))
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)
            return False
        return True

    def spend(self) -> bool:
        """Give the space to the journal. False when there is none left."""
        try:
            self._path.unlink()
        except OSError:
            return False
        log.error("journal-reserve-used", free_bytes=self._size_bytes)
        return True
