"""What central asks of this device (SPEC §7.11). Held in memory alone: after a restart central asks again."""

from collections.abc import Callable

from protocol.fleet import Ask, accept_ask
from protocol.messages import Part, PartName

NOTHING_BOUND = bytes(32)


class Asks:
    """The newest ask that was taken up. `on_ask` is called for each new one, in the thread of the uptake."""

    def __init__(self) -> None:
        self.held: Ask | None = None
        self.on_ask: Callable[[Ask], None] = lambda ask: None

    def take(self, ask: Ask, device: str, signed_now_ms: int) -> None:
        """Raises Refused."""
        held = self.held.version if self.held is not None else 0
        accept_ask(held, ask, device, signed_now_ms)
        if ask != self.held:
            self.held = ask
            self.on_ask(ask)

    def part(self) -> Part | None:
        """For the poll: so that it is not brought again."""
        return Part(PartName.ASK.value, self.held.version, NOTHING_BOUND) if self.held is not None else None
