"""A loose wire must not fill the journal: so many changes may be written down, then one now and then. Pure."""

MOST = 200
"""Far more than people bring about at once."""
REFILL_MS = 2_000


class Budget:
    """Times are monotonic milliseconds."""

    def __init__(self, now_ms: int) -> None:
        self._left, self._since_ms = MOST, now_ms
        self._was_told = False

    def spend(self, now_ms: int) -> bool:
        """Whether one more change may be written down."""
        refilled = (now_ms - self._since_ms) // REFILL_MS
        self._since_ms += refilled * REFILL_MS
        self._left = min(MOST, self._left + refilled)
        self._was_told = self._was_told and self._left < MOST
        if not self._left:
            return False
        self._left -= 1
        return True

    def tell_once(self) -> bool:
        """True the first time since there was plenty."""
        first, self._was_told = not self._was_told, True
        return first
