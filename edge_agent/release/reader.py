"""A lock that hangs on the relay of a reader: the reader's own thread plays its profile's relay pattern."""

from collections.abc import Callable

from edge_agent.release import Output, ReleaseFailed


class ReaderRelay(Output):
    """The pattern says how long; the reader's firmware ends it, and nothing cuts it short."""

    times_itself = True
    longest_ms = 3_600_000
    can_be_cut = False

    def __init__(self, name: str, reader: str) -> None:
        self.name, self.reader = name, reader
        self.play: Callable[[], None] | None = None
        """Asks the reader's thread for its relay pattern; set by whoever starts the reader."""

    def pulse(self, ms: int) -> None:
        if self.play is None:
            raise ReleaseFailed(f"output {self.name!r}: the reader {self.reader!r} has no relay")
        self.play()

    def on(self) -> None:
        raise ReleaseFailed(f"output {self.name!r}: a reader's relay cannot be held")

    def off(self) -> None:
        """It ends by itself."""
