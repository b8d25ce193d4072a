"""A way of which nothing tells who went through. Pure."""

from typing import Generic

from edge_agent.door.passage import Alarm, Effect, Ended, Free, T
from protocol.messages import Passage, ReleaseConfig


class UnseenWay(Generic[T]):
    """What becomes of a ticket is unknown at once. A pulse runs to its end, since it may be somebody else's by then."""

    def __init__(self, config: ReleaseConfig) -> None:
        self.config = config

    @property
    def pending(self) -> tuple[T, ...]:
        return ()

    @property
    def alarm(self) -> Alarm:
        return Alarm.NONE

    def granted(self, ticket: T, now_ms: int) -> list[Effect[T]]:
        return [Free(ticket), Ended(ticket, Passage.UNKNOWN)]

    def failed(self, ticket: T) -> None: ...

    def undone(self, ticket: T, now_ms: int) -> list[Effect[T]]:
        return []

    def exit(self, now_ms: int) -> list[Effect[T]]:
        return [Free(None)]

    def level(self, on: bool | None, now_ms: int) -> list[Effect[T]]:
        return []

    def fire(self, on: bool, now_ms: int) -> list[Effect[T]]:
        return []

    def tick(self, now_ms: int) -> list[Effect[T]]:
        return []

    def next_ms(self) -> int | None:
        return None

    def stop(self) -> list[Effect[T]]:
        return []
