"""What holds of every way, whatever happens in whatever order: hypothesis makes up the days."""

import itertools
from collections import Counter
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge_agent.door.passage import Effect, Ended, Free, Relock, Told
from edge_agent.door.passage.door import DoorWay
from edge_agent.door.passage.turnstile import TurnstileWay
from protocol.messages import Passage, ReleaseConfig

WAYS = {"door": DoorWay, "turnstile": TurnstileWay}
happenings = st.lists(
    st.tuples(
        st.integers(0, 40_000),
        st.one_of(
            st.tuples(st.sampled_from(("grant", "exit", "tick", "undo first", "undo last", "fail"))),
            st.tuples(st.just("level"), st.sampled_from((True, False, None))),
            st.tuples(st.just("fire"), st.booleans()),
        ),
    ),
    max_size=60,
)
configs = st.builds(
    ReleaseConfig,
    passage_ms=st.integers(1_000, 60_000),
    relock_on_open=st.booleans(),
    held_warn_ms=st.sampled_from((0, 5_000, 20_000)),
    held_ms=st.sampled_from((0, 20_000, 30_000)),
)

FALSE_ALARM = [("level", False), ("fire", True), ("fire", False)]


class Day:
    """Plays what happens, ticking whenever the way asks for it, and looks at every effect."""

    def __init__(self, kind: str, config: ReleaseConfig) -> None:
        self.way: Any = WAYS[kind](config)
        self.kind, self.now_ms, self.fire = kind, 0, False
        self.tickets = itertools.count()
        self.granted: set[int] = set()
        self.undone: set[int] = set()
        self.ended: Counter[int] = Counter()
        self.exit_until_ms = -1
        """Until then the next opening is that of who pressed the button; −1 = nobody did, or it was made."""
        self.alarms = 0
        """Told of and not closed."""

    def wait(self, ms: int) -> None:
        until_ms = self.now_ms + ms
        while (due_ms := self.way.next_ms()) is not None and due_ms <= until_ms:
            self.now_ms = max(self.now_ms, due_ms)
            self.look(self.way.tick(self.now_ms))
            again_ms = self.way.next_ms()
            assert again_ms is None or again_ms > self.now_ms, "a tick that is due is done with by ticking"
        self.now_ms = until_ms

    def play(self, what: tuple[Any, ...]) -> None:
        way, now_ms, pending = self.way, self.now_ms, self.way.pending
        match what:
            case ("grant",):
                ticket = next(self.tickets)
                self.granted.add(ticket)
                self.look(way.granted(ticket, now_ms))
                assert ticket in way.pending or self.ended[ticket], "pending, or it has its outcome"
            case ("exit",):
                self.exit_until_ms = now_ms + way.config.passage_ms
                self.look(way.exit(now_ms))
            case ("tick",):
                self.look(way.tick(now_ms))
            case ("undo first" | "undo last" as which,) if pending:
                ticket = pending[0 if which == "undo first" else -1]
                self.undone.add(ticket)
                self.look(way.undone(ticket, now_ms))
            case ("fail",) if pending:
                way.failed(pending[0])
            case ("level", on):
                effects = way.level(on, now_ms)
                self.look(effects, pending)
                if on and not any(isinstance(each, Ended) for each in effects):
                    self.exit_until_ms = -1
            case ("fire", on):
                self.fire = on
                self.alarms = 0 if on else self.alarms
                self.look(way.fire(on, now_ms))

    def look(self, effects: list[Effect[int]], pending: tuple[int, ...] = ()) -> None:
        for effect in effects:
            match effect:
                case Ended(ticket, passage):
                    self.ended[ticket] += 1
                    assert passage in (Passage.TAKEN, Passage.NOT_TAKEN, Passage.UNKNOWN)
                    assert not (self.fire and passage is not Passage.UNKNOWN), "in a fire nobody can tell"
                case Told(Passage.FORCED):
                    assert not pending, "nobody was on the way"
                    assert not self.fire
                    assert self.kind == "turnstile" or self.now_ms >= self.exit_until_ms
                    self.alarms += self.kind == "door"
                case Told(Passage.HELD):
                    assert self.way.config.held_ms
                    self.alarms += 1
                case Told(passage):
                    assert (passage, self.alarms) == (Passage.CLOSED, 1), "closed is the end of one alarm"
                    self.alarms = 0
                case Relock():
                    assert not self.fire, "the fire alarm is not fought"
                case Free(ticket):
                    assert ticket is None or ticket in self.granted
        assert len(self.way.pending) <= (1 if self.kind == "door" else 4)
        assert self.alarms <= 1


@given(st.sampled_from(("door", "turnstile")), configs, happenings)
@example("door", ReleaseConfig(), [(0, ("exit",)), *((0, each) for each in FALSE_ALARM), (0, ("level", True))])
@settings(max_examples=400, deadline=None)
def test_each_grant_has_exactly_one_outcome_and_nothing_is_forced_that_was_granted(
    kind: str, config: ReleaseConfig, day: list[tuple[int, tuple[Any, ...]]]
) -> None:
    if config.held_ms and config.held_warn_ms > config.held_ms:
        return
    life = Day(kind, config)
    for wait_ms, what in day:
        life.wait(wait_ms)
        life.play(what)
    life.look(life.way.stop())
    assert life.way.pending == ()
    assert set(life.ended) | life.undone == life.granted
    assert not set(life.ended) & life.undone, "taken back is an outcome"
    assert set(life.ended.values()) <= {1}
