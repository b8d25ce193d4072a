"""The passage of a turnstile that tells each turn. Pure."""

from collections import deque
from typing import Generic

from edge_agent.door.passage import Alarm, Busy, Effect, Ended, Free, Pending, Relock, T, Told
from protocol.messages import Passage, ReleaseConfig

MOST_WAITING = 4
"""So many may have tapped and not turned yet. Who taps behind them is not let through, and gets the entry back: a pulse
that comes long after its tap lets somebody else in."""


class TurnstileWay(Generic[T]):
    """First come, first through: the way is freed for one after the other. A ticket of None is somebody's inside who
    pressed the button: it takes its turn and has no outcome."""

    def __init__(self, config: ReleaseConfig) -> None:
        self.config = config
        self._queue: deque[Pending[T | None]] = deque()
        self._on: bool | None = None
        self._fire = False

    @property
    def pending(self) -> tuple[T, ...]:
        return tuple(each.ticket for each in self._queue if each.ticket is not None)

    @property
    def alarm(self) -> Alarm:
        return Alarm.NONE

    @property
    def phase(self) -> str:
        """For the table of states: `fire`, or how many wait."""
        return "fire" if self._fire else f"{len(self._queue)} waiting"

    # --- who is let through -----------------------------------------------------------------------------

    def granted(self, ticket: T, now_ms: int) -> list[Effect[T]]:
        if self._fire:
            return [Free(ticket), Ended(ticket, Passage.UNKNOWN)]
        effects: list[Effect[T]] = []
        if self._queue and self._queue[0].failed:  # the way was not freed for this one, and now somebody tries again
            effects += self._end_first(self._queue[0].unseen(), now_ms)
        if len(self._queue) >= MOST_WAITING:
            return [*effects, Busy(), Ended(ticket, Passage.NOT_TAKEN)]
        return effects + self._append(ticket, now_ms)

    def exit(self, now_ms: int) -> list[Effect[T]]:
        if self._fire or len(self._queue) >= MOST_WAITING:
            return [Free(None)]
        return self._append(None, now_ms)

    def _append(self, ticket: T | None, now_ms: int) -> list[Effect[T]]:
        self._queue.append(Pending(ticket, now_ms + self.config.passage_ms, self._on is None))
        return [Free(ticket)] if len(self._queue) == 1 else []

    def failed(self, ticket: T) -> None:
        for each in self._queue:
            each.failed = each.failed or each.ticket == ticket

    def undone(self, ticket: T, now_ms: int) -> list[Effect[T]]:
        if self._queue and self._queue[0].ticket == ticket:
            self._queue.popleft()
            return self._next(now_ms)
        self._queue = deque(each for each in self._queue if each.ticket != ticket)
        return []

    def _end_first(self, passage: Passage, now_ms: int, turned: bool = False) -> list[Effect[T]]:
        ended = self._queue.popleft()
        effects: list[Effect[T]] = [] if ended.ticket is None else [Ended(ended.ticket, passage)]
        return effects + self._next(now_ms, relock=self.config.relock_on_open or not turned)

    def _next(self, now_ms: int, relock: bool = True) -> list[Effect[T]]:
        if not self._queue:
            return [Relock()] if relock else []
        self._queue[0].until_ms = now_ms + self.config.passage_ms
        return [Free(self._queue[0].ticket)]

    # --- what the turnstile does ------------------------------------------------------------------------

    def level(self, on: bool | None, now_ms: int) -> list[Effect[T]]:
        before, self._on = self._on, on
        if on is None:
            for each in self._queue:
                each.clouded = True
        if not on or before or self._fire:
            return []
        if self._queue:
            return self._end_first(Passage.TAKEN, now_ms, turned=True)
        return [] if before is None else [Told(Passage.FORCED)]

    def fire(self, on: bool, now_ms: int) -> list[Effect[T]]:
        self._fire = on
        return self.stop() if on else []

    # --- time -------------------------------------------------------------------------------------------

    def tick(self, now_ms: int) -> list[Effect[T]]:
        if self._queue and now_ms >= self._queue[0].until_ms:
            return self._end_first(self._queue[0].unseen(), now_ms)
        return []

    def next_ms(self) -> int | None:
        return self._queue[0].until_ms if self._queue else None

    def stop(self) -> list[Effect[T]]:
        tickets, self._queue = self.pending, deque()
        return [Ended(ticket, Passage.UNKNOWN) for ticket in tickets]
