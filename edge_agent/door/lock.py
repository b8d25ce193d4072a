"""The lock of a gate: an output that is on for the length of a pulse. Whoever holds it calls `tend` in time."""

import structlog

from edge_agent.release import Output, ReleaseFailed

log = structlog.get_logger(__name__)

RETRY_MS = 200
"""A lock that would not lock is asked again so soon, until it does."""


class Lock:
    """Times are monotonic milliseconds. Without an output nothing moves and nothing fails."""

    def __init__(self, output: Output | None) -> None:
        self.output = output
        self.failure = ""
        """Why it did not do what it was asked last; empty = it did."""
        self._free_until_ms = 0
        self._is_away = False
        self._lock_at_ms: int | None = 0 if output is not None else None
        """When it has to be locked by hand: at the start, since an earlier run may have been killed in mid-pulse, and
        at the end of a pulse that the output does not time."""

    def is_free(self, now_ms: int) -> bool:
        """As far as is known here: what a fire alarm or a key does, this does not tell."""
        return now_ms < self._free_until_ms

    @property
    def driven_by(self) -> str:
        """The reader in whose thread the output moves; empty = it moves in any."""
        return self.output.driven_by if self.output is not None else ""

    def trouble(self) -> str:
        return self.failure or (self.output.trouble() if self.output else "")

    def free(self, ms: int, now_ms: int) -> str:
        """A pulse. Returns why it failed; empty = the way is free. Of an output that is driven elsewhere this only
        takes note: see `failed`."""
        if self.output is not None:
            try:
                if not self.driven_by:
                    self.output.pulse(ms)
            except ReleaseFailed as error:
                self.failure = str(error)
                return self.failure
            self._lock_at_ms = None if self.output.times_itself else now_ms + ms
        self.failure = ""
        self._free_until_ms = now_ms + ms
        return ""

    def failed(self, why: str) -> None:
        """The pulse of an output that is driven elsewhere failed there."""
        self.failure, self._free_until_ms = why, 0

    def relock(self, now_ms: int) -> None:
        """Ends the pulse, where the output can be cut short."""
        if self.output is None or not self.output.can_be_cut:
            return
        if self.is_free(now_ms) or self._lock_at_ms is not None:
            self._lock_at_ms = now_ms
            self.tend(now_ms)

    def tend(self, now_ms: int) -> None:
        """Locks what has to be locked by now; once more an output that was away, whatever it did meanwhile."""
        if self.output is None:
            return
        was_away, self._is_away = self._is_away, bool(self.output.trouble())
        if was_away and not self._is_away and self._lock_at_ms is None and not self.is_free(now_ms):
            self._lock_at_ms = now_ms
        if self._lock_at_ms is None or now_ms < self._lock_at_ms:
            return
        try:
            self.output.off()
        except ReleaseFailed as error:
            self._lock_at_ms = now_ms + RETRY_MS
            if not self.failure:
                log.error("not-locked", error=str(error))
            self.failure = str(error)
        else:
            self._lock_at_ms, self._free_until_ms, self.failure = None, 0, ""

    def next_ms(self) -> int | None:
        return self._lock_at_ms
