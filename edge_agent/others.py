"""What this gate knows of the other gates of its domain, and until when (SPEC §7.8)."""

from collections.abc import Mapping


class Others:
    """As central told last. Times are monotonic milliseconds."""

    def __init__(self) -> None:
        self._told_ms: int | None = None
        self._inside: Mapping[str, int] = {}

    def told(self, inside: Mapping[str, int], now_ms: int) -> None:
        """Central's word arrived: these many are inside, by venue."""
        self._told_ms, self._inside = now_ms, inside

    def is_apart(self, now_ms: int, apart_ms: int) -> bool:
        """What happened elsewhere may be unknown: there was no word, or it is too old."""
        return self._told_ms is None or now_ms - self._told_ms >= apart_ms

    def inside(self, venue: str) -> int | None:
        """How many were inside a venue as of central's word; None = it said nothing of it."""
        return self._inside.get(venue)
