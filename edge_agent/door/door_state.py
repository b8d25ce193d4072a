"""What a screen or an operator should see of a door."""

from collections.abc import Callable
from typing import Literal

import msgspec
import structlog

from edge_agent.door.passage import Alarm

log = structlog.get_logger(__name__)


class DoorState(msgspec.Struct, frozen=True):
    """As it is now; `version` rises with every change."""

    version: int = 0
    passage: Literal["none", "door", "turnstile"] = "none"
    """What tells here that somebody went through."""
    free: bool = False
    """The way was freed and is not locked again, as far as this gate knows."""
    open: bool | None = None
    """As the door's contact tells; None = nobody can tell, or there is none."""
    pending: int = 0
    """So many were let through and have not gone yet."""
    alarm: Alarm = Alarm.NONE
    fire: bool = False
    tamper: bool = False
    lock_trouble: str = ""
    """Why the lock does not do what it should; empty = it does."""
    blind: tuple[str, ...] = ()
    """Inputs that cannot be read just now."""

    @property
    def forced(self) -> bool:
        return self.alarm is Alarm.FORCED

    @property
    def held_warning(self) -> bool:
        """Open for so long that it will soon count as held."""
        return self.alarm is Alarm.WARNING

    @property
    def held(self) -> bool:
        return self.alarm is Alarm.HELD


class Shown:
    """The state, and who wants to hear of it. Changed by one thread, read by any."""

    def __init__(self) -> None:
        self.state = DoorState()
        self.listeners: list[Callable[[DoorState], None]] = []

    def change(self, **changes: object) -> None:
        """What listeners raise is logged."""
        state = msgspec.structs.replace(self.state, **changes)
        if state == self.state:
            return
        self.state = msgspec.structs.replace(state, version=state.version + 1)
        for listener in self.listeners:
            try:
                listener(self.state)
            except Exception:
                log.exception("door-listener-failed")
