"""Closures of a venue or the city: stated as facts, ended by further facts, sent to gates in their configuration."""

from collections.abc import Iterable
from typing import ClassVar, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from central.facts import Fact, FactBody, read
from protocol.configuration import MAX_CLOSURES, Closure


class Closed(FactBody, frozen=True, kw_only=True):
    """Nobody enters but who is in a class that it admits. The fact's venue; without one, the city."""

    KIND: ClassVar[str] = "closed"
    from_ms: int
    until_ms: int
    why_zh: str
    why_en: str
    admits: tuple[str, ...] = ()
    extended_days: int = 0
    """By so many days classes and cards were extended that would have ended in it."""


class ClosureEnded(FactBody, frozen=True, kw_only=True):
    """A closure is over earlier, or never was."""

    KIND: ClassVar[str] = "closure-ended"
    closure: bytes
    """The id of the fact that stated it."""
    ended_ms: int
    why: str = ""


class Stated(NamedTuple):
    """A closure as it stands now. `venue` empty: the city."""

    id: bytes
    venue: str
    who: str
    closure: Closure
    is_ended: bool
    """By a person, before it was over."""


def stated(facts: Iterable[Fact]) -> list[Stated]:
    """Closures that hold or held, by their beginnings; what was ended before it began is none. Pure."""
    begun: dict[bytes, tuple[Fact, int]] = {}
    ended: dict[bytes, int] = {}
    for fact in facts:
        if isinstance(fact.body, Closed):
            begun[fact.id] = fact, fact.body.until_ms
        else:
            of, at_ms = fact.body.closure, fact.body.ended_ms
            ended[of] = min(ended.get(of, at_ms), at_ms)
    found = []
    for id_, (fact, until_ms) in begun.items():
        said, end_ms = fact.body, min(until_ms, ended.get(id_, until_ms))
        if end_ms > said.from_ms:
            closure = Closure(said.from_ms, end_ms, said.admits, said.why_zh, said.why_en)
            found.append(Stated(id_, fact.venue, fact.who, closure, end_ms < until_ms))
    return sorted(found, key=lambda each: (each.closure.from_ms, each.closure.until_ms, each.id))


def at_venue(closures: Iterable[Stated], venue: str, now_ms: int) -> tuple[Closure, ...]:
    """What the gates of a venue are told: those that are not over, as many as are sent, the next ones first. Pure."""
    coming = [each.closure for each in closures if each.venue in ("", venue) and each.closure.until_ms > now_ms]
    return tuple(coming[:MAX_CLOSURES])


async def read_closures(connection: AsyncConnection) -> list[Stated]:
    """Every closure that was ever stated and not taken back."""
    return stated(await read(connection, [Closed, ClosureEnded]))
