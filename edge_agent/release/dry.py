"""A release that moves nothing: for commissioning, demonstrations and tests.

With a path, every signal becomes one line `EPOCH SEQUENCE OUTCOME REASON` (epoch in hex), appended by a single
write at the moment at which a relay would have moved.
"""

import os
from pathlib import Path

from edge_agent.release import Output, ReleaseFailed, Signal


class DryRelease:
    """Writes what a relay would have done."""

    def __init__(self, path: Path | None = None) -> None:
        self._file = -1
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def signal(self, signal: Signal) -> None:
        if self._file < 0:
            return
        line = f"{signal.epoch.hex()} {signal.sequence} {signal.outcome} {signal.reason}\n"
        try:
            os.write(self._file, line.encode())
        except OSError as error:
            raise ReleaseFailed(str(error)) from error

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class DryOutput(Output):
    """Takes the place of a relay that is not there yet."""

    times_itself = True
    longest_ms = 3_600_000

    def pulse(self, ms: int) -> None:
        pass

    def on(self) -> None:
        pass

    def off(self) -> None:
        pass
