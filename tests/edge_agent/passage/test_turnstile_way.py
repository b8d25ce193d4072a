"""The passage of a turnstile: every state × every input, then the stories that the states stand for."""

from collections.abc import Callable

import pytest

from edge_agent.door.passage import Alarm, Effect
from edge_agent.door.passage.turnstile import MOST_WAITING, TurnstileWay
from edge_agent.door.passage.unseen import UnseenWay
from protocol.messages import ReleaseConfig
from tests.edge_agent.passage.test_door_way import said

CONFIG = ReleaseConfig(passage="turnstile", passage_ms=8_000)
NAMES = ("ann", "bob", "cy", "dee")
Turnstile = TurnstileWay[str]


def turnstile(waiting: int = 0, config: ReleaseConfig = CONFIG) -> Turnstile:
    made = Turnstile(config)
    made.level(False, 0)
    for name in NAMES[:waiting]:
        made.granted(name, 0)
    return made


def burning() -> Turnstile:
    made = turnstile()
    made.fire(True, 0)
    return made


def turns(made: Turnstile, now_ms: int) -> list[Effect[str]]:
    """On for a moment."""
    return [*made.level(True, now_ms), *made.level(False, now_ms + 100)]


STATES: dict[str, Callable[[], Turnstile]] = {
    "0 waiting": turnstile,
    "1 waiting": lambda: turnstile(1),
    "2 waiting": lambda: turnstile(2),
    "4 waiting": lambda: turnstile(4),
    "fire": burning,
}
INPUTS: dict[str, Callable[[Turnstile], list[Effect[str]]]] = {
    "grant": lambda made: made.granted("new", 1),
    "button": lambda made: made.exit(1),
    "turns": lambda made: turns(made, 1),
    "unseen": lambda made: made.level(None, 1),
    "first undone": lambda made: made.undone("ann", 1),
    "second undone": lambda made: made.undone("bob", 1),
    "not freed": lambda made: made.failed("ann") or [],
    "fire": lambda made: made.fire(True, 1),
    "fire over": lambda made: made.fire(False, 1),
    "at once": lambda made: made.tick(1),
    "late": lambda made: made.tick(8_000),
    "the end": lambda made: made.stop(),
}
TABLE = """
grant         | 0 waiting | free:new                                          | 1 waiting
grant         | 1 waiting |                                                   | 2 waiting
grant         | 2 waiting |                                                   | 3 waiting
grant         | 4 waiting | busy new:not-taken                                | 4 waiting
grant         | fire      | free:new new:unknown                              | fire
button        | 0 waiting | free:None                                         | 1 waiting
button        | 1 waiting |                                                   | 2 waiting
button        | 2 waiting |                                                   | 3 waiting
button        | 4 waiting | free:None                                         | 4 waiting
button        | fire      | free:None                                         | fire
turns         | 0 waiting | forced                                            | 0 waiting
turns         | 1 waiting | ann:taken locked                                  | 0 waiting
turns         | 2 waiting | ann:taken free:bob                                | 1 waiting
turns         | 4 waiting | ann:taken free:bob                                | 3 waiting
turns         | fire      |                                                   | fire
unseen        | 0 waiting |                                                   | 0 waiting
unseen        | 1 waiting |                                                   | 1 waiting
unseen        | 2 waiting |                                                   | 2 waiting
unseen        | 4 waiting |                                                   | 4 waiting
unseen        | fire      |                                                   | fire
first undone  | 0 waiting |                                                   | 0 waiting
first undone  | 1 waiting | locked                                            | 0 waiting
first undone  | 2 waiting | free:bob                                          | 1 waiting
first undone  | 4 waiting | free:bob                                          | 3 waiting
first undone  | fire      |                                                   | fire
second undone | 0 waiting |                                                   | 0 waiting
second undone | 1 waiting |                                                   | 1 waiting
second undone | 2 waiting |                                                   | 1 waiting
second undone | 4 waiting |                                                   | 3 waiting
second undone | fire      |                                                   | fire
not freed     | 0 waiting |                                                   | 0 waiting
not freed     | 1 waiting |                                                   | 1 waiting
not freed     | 2 waiting |                                                   | 2 waiting
not freed     | 4 waiting |                                                   | 4 waiting
not freed     | fire      |                                                   | fire
fire          | 0 waiting |                                                   | fire
fire          | 1 waiting | ann:unknown                                       | fire
fire          | 2 waiting | ann:unknown bob:unknown                           | fire
fire          | 4 waiting | ann:unknown bob:unknown cy:unknown dee:unknown    | fire
fire          | fire      |                                                   | fire
fire over     | 0 waiting |                                                   | 0 waiting
fire over     | 1 waiting |                                                   | 1 waiting
fire over     | 2 waiting |                                                   | 2 waiting
fire over     | 4 waiting |                                                   | 4 waiting
fire over     | fire      |                                                   | 0 waiting
at once       | 0 waiting |                                                   | 0 waiting
at once       | 1 waiting |                                                   | 1 waiting
at once       | 2 waiting |                                                   | 2 waiting
at once       | 4 waiting |                                                   | 4 waiting
at once       | fire      |                                                   | fire
late          | 0 waiting |                                                   | 0 waiting
late          | 1 waiting | ann:not-taken locked                              | 0 waiting
late          | 2 waiting | ann:not-taken free:bob                            | 1 waiting
late          | 4 waiting | ann:not-taken free:bob                            | 3 waiting
late          | fire      |                                                   | fire
the end       | 0 waiting |                                                   | 0 waiting
the end       | 1 waiting | ann:unknown                                       | 0 waiting
the end       | 2 waiting | ann:unknown bob:unknown                           | 0 waiting
the end       | 4 waiting | ann:unknown bob:unknown cy:unknown dee:unknown    | 0 waiting
the end       | fire      |                                                   | fire
"""
ROWS = [tuple(cell.strip() for cell in line.split("|")) for line in TABLE.strip().splitlines()]


@pytest.mark.parametrize(("given", "before", "effects", "after"), ROWS)
def test_table(given: str, before: str, effects: str, after: str) -> None:
    made = STATES[before]()
    assert made.phase == before
    assert said(INPUTS[given](made)) == effects
    assert made.phase == after


def test_the_table_has_every_state_with_every_input() -> None:
    assert {(row[0], row[1]) for row in ROWS} == {(given, before) for given in INPUTS for before in STATES}
    assert int("4 waiting"[0]) == MOST_WAITING


def test_whoever_waits_has_the_whole_time_once_it_is_their_turn() -> None:
    made = turnstile(2)
    turns(made, 7_000)
    assert made.next_ms() == 15_000
    assert said(made.tick(14_999)) == ""
    assert said(made.tick(15_000)) == "bob:not-taken locked"


def test_a_turn_that_could_not_be_seen_is_nobody_s_loss() -> None:
    made = turnstile(1)
    made.level(None, 1_000)
    made.level(False, 2_000)
    assert said(made.tick(8_000)) == "ann:unknown locked"


def test_a_contact_that_is_on_when_it_is_seen_again_is_a_turn_where_one_was_due_and_not_forced() -> None:
    made = turnstile(1)
    made.level(None, 1_000)
    assert said(made.level(True, 2_000)) == "ann:taken locked"
    made = turnstile()
    made.level(None, 1_000)
    assert made.level(True, 2_000) == []


def test_a_contact_that_stays_on_is_one_turn() -> None:
    made = turnstile(2)
    made.level(True, 1_000)
    assert made.level(True, 2_000) == []
    assert made.pending == ("bob",)


def test_who_pressed_the_button_takes_a_turn_without_an_outcome() -> None:
    made = turnstile(1)
    made.exit(0)
    made.granted("bob", 0)
    assert made.pending == ("ann", "bob")
    assert said(turns(made, 1_000)) == "ann:taken free:None"
    assert said(turns(made, 2_000)) == "free:bob"
    assert said(turns(made, 3_000)) == "bob:taken locked"


def test_nobody_waits_behind_one_for_whom_the_way_was_not_freed() -> None:
    made = turnstile(1)
    made.failed("ann")
    assert said(made.granted("ann again", 2_000)) == "ann:not-taken locked free:ann again"


def test_without_relock_on_open_a_turn_ends_no_pulse() -> None:
    made = turnstile(1, ReleaseConfig(passage="turnstile", relock_on_open=False))
    assert said(turns(made, 100)) == "ann:taken"


def test_a_turnstile_raises_no_alarm() -> None:
    assert turnstile(4).alarm is Alarm.NONE


def test_where_nothing_tells_a_ticket_is_unknown_at_once_and_nothing_else_happens() -> None:
    way: UnseenWay[str] = UnseenWay(ReleaseConfig())
    assert said(way.granted("ann", 0)) == "free:ann ann:unknown"
    assert said(way.exit(0)) == "free:None"
    way.failed("ann")
    nothing = [way.undone("ann", 0), way.level(True, 0), way.fire(True, 0), way.tick(0), way.stop()]
    assert nothing == [[]] * 5
    assert (way.pending, way.next_ms(), way.alarm) == ((), None, Alarm.NONE)
