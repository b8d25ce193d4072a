"""The passage of a door with a contact. Pure."""

from enum import StrEnum
from typing import Generic

from edge_agent.door.passage import Alarm, Effect, Ended, Free, Pending, Relock, T, Told
from protocol.messages import Passage, ReleaseConfig


class Phase(StrEnum):
    """Of the door itself; beside it one ticket may be pending in all of them but `FIRE`."""

    BLIND = "blind"
    """Nobody can tell whether it is open."""
    SHUT = "shut"
    OPEN = "open"
    WARNED = "warned"
    """Open for so long that it will soon count as held."""
    HELD = "held"
    FORCED = "forced"
    """Open, and nobody was let through."""
    FIRE = "fire"


ALARMS = {Phase.WARNED: Alarm.WARNING, Phase.HELD: Alarm.HELD, Phase.FORCED: Alarm.FORCED}


class DoorWay(Generic[T]):
    """One ticket at a time: who is granted while another is on the way ends that one's."""

    def __init__(self, config: ReleaseConfig) -> None:
        self.config = config
        self.phase = Phase.BLIND
        self._open: bool | None = None
        self._pending: Pending[T] | None = None
        self._exit_until_ms = 0
        """Until then an opening is somebody's who pressed the button; 0 = nobody did."""
        self._since_ms = 0
        """Since when it counts as open."""

    @property
    def pending(self) -> tuple[T, ...]:
        return (self._pending.ticket,) if self._pending else ()

    @property
    def alarm(self) -> Alarm:
        return ALARMS.get(self.phase, Alarm.NONE)

    # --- who is let through -----------------------------------------------------------------------------

    def granted(self, ticket: T, now_ms: int) -> list[Effect[T]]:
        before, self._pending = self._pending, None
        effects: list[Effect[T]] = []
        if before is not None:
            not_freed = before.failed and not before.clouded
            effects.append(Ended(before.ticket, Passage.NOT_TAKEN if not_freed else Passage.UNKNOWN))
        effects.append(Free(ticket))
        if self.phase is Phase.FIRE:
            return [*effects, Ended(ticket, Passage.UNKNOWN)]
        is_shut = self.phase is Phase.SHUT
        self._pending = Pending(ticket, now_ms + self.config.passage_ms, not is_shut, is_shut)
        self._open_anew(now_ms)
        return effects

    def exit(self, now_ms: int) -> list[Effect[T]]:
        self._exit_until_ms = now_ms + self.config.passage_ms
        self._open_anew(now_ms)
        return [Free(None)]

    def _open_anew(self, now_ms: int) -> None:
        """Who is let through an open door may take as long as who opened it."""
        if self.phase in (Phase.OPEN, Phase.WARNED):
            self.phase, self._since_ms = Phase.OPEN, now_ms

    def failed(self, ticket: T) -> None:
        if self._pending and self._pending.ticket == ticket:
            self._pending.failed = True

    def undone(self, ticket: T, now_ms: int) -> list[Effect[T]]:
        if self._pending is None or self._pending.ticket != ticket:
            return []
        self._pending = None
        return self._relock()

    # --- what the door does -----------------------------------------------------------------------------

    def level(self, on: bool | None, now_ms: int) -> list[Effect[T]]:
        self._open = on
        if self.phase is Phase.FIRE:
            return []
        if on is None:
            return self._lost()
        return self._opened(now_ms) if on else self._shut()

    def _lost(self) -> list[Effect[T]]:
        if self._pending:
            self._pending.clouded = True
        if self.phase in (Phase.SHUT, Phase.OPEN, Phase.WARNED):
            self.phase = Phase.BLIND
        return []

    def _opened(self, now_ms: int) -> list[Effect[T]]:
        if self.phase not in (Phase.SHUT, Phase.BLIND):
            return []
        effects: list[Effect[T]] = []
        if self._pending and self._pending.was_shut:
            effects.append(Ended(self._pending.ticket, Passage.TAKEN))
            self._pending = None
        elif self._exit_until_ms:
            self._exit_until_ms = 0
        elif self.phase is Phase.SHUT:
            self.phase = Phase.FORCED
            return [Told(Passage.FORCED)]
        self.phase, self._since_ms = Phase.OPEN, now_ms
        return [*effects, *(self._relock() if self.config.relock_on_open else [])]

    def _shut(self) -> list[Effect[T]]:
        if self.phase is Phase.SHUT:
            return []
        effects: list[Effect[T]] = [Told(Passage.CLOSED)] if self.phase in (Phase.HELD, Phase.FORCED) else []
        came_through = self.phase is not Phase.BLIND
        self.phase = Phase.SHUT
        if self._pending:
            self._pending.was_shut = True
        return [*effects, *(self._relock() if came_through else [])]

    def _relock(self) -> list[Effect[T]]:
        """Unless somebody is still to come."""
        return [] if self._pending or self._exit_until_ms or self.phase is Phase.FIRE else [Relock()]

    def fire(self, on: bool, now_ms: int) -> list[Effect[T]]:
        if on and self.phase is not Phase.FIRE:
            self.phase = Phase.FIRE  # who pressed the button is still on the way when a false alarm ends
            return self.stop()
        if not on and self.phase is Phase.FIRE:
            self.phase = Phase.BLIND if self._open is None else Phase.OPEN if self._open else Phase.SHUT
            self._since_ms = now_ms
        return []

    # --- time -------------------------------------------------------------------------------------------

    def tick(self, now_ms: int) -> list[Effect[T]]:
        effects: list[Effect[T]] = []
        if self._exit_until_ms and now_ms >= self._exit_until_ms:
            self._exit_until_ms = 0
        if self._pending and now_ms >= self._pending.until_ms:
            effects.append(Ended(self._pending.ticket, self._pending.unseen()))
            self._pending = None
            effects += self._relock()
        open_ms = now_ms - self._since_ms
        if self.phase is Phase.OPEN and self.config.held_warn_ms and open_ms >= self.config.held_warn_ms:
            self.phase = Phase.WARNED
        if self.phase in (Phase.OPEN, Phase.WARNED) and self.config.held_ms and open_ms >= self.config.held_ms:
            self.phase = Phase.HELD
            effects.append(Told(Passage.HELD))
        return effects

    def next_ms(self) -> int | None:
        config, times = self.config, [self._exit_until_ms]
        if self._pending:
            times.append(self._pending.until_ms)
        if self.phase is Phase.OPEN and config.held_warn_ms:
            times.append(self._since_ms + config.held_warn_ms)
        if self.phase in (Phase.OPEN, Phase.WARNED) and config.held_ms:
            times.append(self._since_ms + config.held_ms)
        return min((time for time in times if time), default=None)

    def stop(self) -> list[Effect[T]]:
        before, self._pending = self._pending, None
        return [Ended(before.ticket, Passage.UNKNOWN)] if before else []
