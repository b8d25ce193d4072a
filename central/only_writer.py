"""One process writes a data directory's SQLite file. It holds the lock; others send their commands to its socket."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from central.config import Config

LOCK_FILE, SOCKET_FILE = "central.lock", "admin.sock"


class Locked(Exception):
    """Another process serves this data directory: send commands to its socket instead."""


@contextmanager
def only_writer(config: Config) -> Iterator[None]:
    """Holds the data directory's lock: two processes that write one SQLite file can damage it. Raises Locked."""
    config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (config.data_dir / LOCK_FILE).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Locked(f"another process serves {config.data_dir}") from None
        yield
