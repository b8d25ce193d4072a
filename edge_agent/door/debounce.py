"""Contacts bounce: a level is believed once it has stayed. Levels, not edges, so a reading that was missed inverts
nothing. Pure."""


class Debounced:
    """One contact. Times are monotonic milliseconds."""

    def __init__(self, debounce_ms: int) -> None:
        self.debounce_ms = debounce_ms
        self.level: bool | None = None
        """What is believed; None = nobody can tell."""
        self._seen: bool | None = None
        self._since_ms = 0

    def feed(self, level: bool | None, now_ms: int) -> bool:
        """A reading. True when what is believed has changed. A contact that cannot be read is believed at once to be
        unknown: whatever it does then, nobody sees."""
        if level is not self._seen:
            self._seen, self._since_ms = level, now_ms
        if level is self.level or (level is not None and now_ms - self._since_ms < self.debounce_ms):
            return False
        self.level = level
        return True
