"""A lock that hangs on the relay of a reader: the reader's own thread sends the relay command of its profile."""

from collections.abc import Callable

from edge_agent.release import Output, ReleaseFailed


class ReaderRelay(Output):
    """The command says for how long; the reader's firmware ends it, and nothing cuts it short."""

    times_itself = True
    longest_ms = 3_600_000
    can_be_cut = False

    def __init__(self, name: str, reader: str) -> None:
        self.name, self.driven_by = name, reader
        self.play: Callable[[], None] | None = None
        """Has the relay command sent, at once in the reader's own thread; set by whoever starts the reader. Raises
        ReleaseFailed."""

    def pulse(self, ms: int) -> None:
        if self.play is None:
            raise ReleaseFailed(f"output {self.name!r}: nobody drives the relay of the reader {self.driven_by!r}")
        self.play()

    def on(self) -> None:
        raise ReleaseFailed(f"output {self.name!r}: a reader's relay cannot be held")

    def off(self) -> None:
        """It ends by itself."""
