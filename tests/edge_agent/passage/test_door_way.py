"""The passage of a door: every state × every input, then the stories that the states stand for."""

from collections.abc import Callable

import pytest

from edge_agent.door.passage import Alarm, Busy, Effect, Ended, Free, Relock, Told
from edge_agent.door.passage.door import DoorWay
from protocol.messages import ReleaseConfig

# Long passages, so that somebody may still be on the way while the door counts as held.
CONFIG = ReleaseConfig(passage="door", passage_ms=40_000, held_warn_ms=20_000, held_ms=30_000)
Door = DoorWay[str]


def said(effects: list[Effect[str]]) -> str:
    """`free:new locked ann:taken held`"""
    words = []
    for effect in effects:
        match effect:
            case Free(ticket):
                words.append(f"free:{ticket}")
            case Relock():
                words.append("locked")
            case Busy():
                words.append("busy")
            case Ended(ticket, passage):
                words.append(f"{ticket}:{passage}")
            case Told(passage):
                words.append(str(passage))
    return " ".join(words)


def state(door: Door) -> str:
    return door.phase + ("+" if door.pending else "")


# --- the table ------------------------------------------------------------------------------------------------


def blind() -> Door:
    return Door(CONFIG)


def shut() -> Door:
    door = blind()
    door.level(False, 0)
    return door


def open_() -> Door:
    door = shut()
    door.granted("earlier", 0)
    assert said(door.level(True, 0)) == "earlier:taken locked"
    return door


def forced() -> Door:
    door = shut()
    door.level(True, 0)
    return door


def fire() -> Door:
    door = shut()
    door.fire(True, 0)
    return door


def ann(door: Door) -> Door:
    """Ann is on her way."""
    door.granted("ann", 0)
    return door


def later(door: Door, now_ms: int) -> Door:
    door.tick(now_ms)
    return door


STATES: dict[str, tuple[Callable[[], Door], int]] = {
    "blind": (blind, 1),
    "blind+": (lambda: ann(blind()), 1),
    "shut": (shut, 1),
    "shut+": (lambda: ann(shut()), 1),
    "open": (open_, 1),
    "open+": (lambda: ann(open_()), 1),
    "warned": (lambda: later(open_(), 20_000), 20_001),
    "warned+": (lambda: later(ann(open_()), 20_000), 20_001),
    "held": (lambda: later(open_(), 30_000), 30_001),
    "held+": (lambda: later(ann(open_()), 30_000), 30_001),
    "forced": (forced, 1),
    "forced+": (lambda: ann(forced()), 1),
    "fire": (fire, 1),
}
INPUTS: dict[str, Callable[[Door, int], list[Effect[str]]]] = {
    "grant": lambda door, now: door.granted("new", now),
    "button": lambda door, now: door.exit(now),
    "opens": lambda door, now: door.level(True, now),
    "shuts": lambda door, now: door.level(False, now),
    "unseen": lambda door, now: door.level(None, now),
    "undone": lambda door, now: door.undone("ann", now),
    "not freed": lambda door, now: door.failed("ann") or [],
    "fire": lambda door, now: door.fire(True, now),
    "fire over": lambda door, now: door.fire(False, now),
    "at once": lambda door, now: door.tick(now),
    "late": lambda door, now: door.tick(now + 100_000),
    "the end": lambda door, now: door.stop(),
}
TABLE = """
grant     | blind    | free:new                    | blind+
grant     | blind+   | ann:unknown free:new        | blind+
grant     | shut     | free:new                    | shut+
grant     | shut+    | ann:unknown free:new        | shut+
grant     | open     | free:new                    | open+
grant     | open+    | ann:unknown free:new        | open+
grant     | warned   | free:new                    | open+
grant     | warned+  | ann:unknown free:new        | open+
grant     | held     | free:new                    | held+
grant     | held+    | ann:unknown free:new        | held+
grant     | forced   | free:new                    | forced+
grant     | forced+  | ann:unknown free:new        | forced+
grant     | fire     | free:new new:unknown        | fire
button    | blind    | free:None                   | blind
button    | blind+   | free:None                   | blind+
button    | shut     | free:None                   | shut
button    | shut+    | free:None                   | shut+
button    | open     | free:None                   | open
button    | open+    | free:None                   | open+
button    | warned   | free:None                   | open
button    | warned+  | free:None                   | open+
button    | held     | free:None                   | held
button    | held+    | free:None                   | held+
button    | forced   | free:None                   | forced
button    | forced+  | free:None                   | forced+
button    | fire     | free:None                   | fire
opens     | blind    | locked                      | open
opens     | blind+   |                             | open+
opens     | shut     | forced                      | forced
opens     | shut+    | ann:taken locked            | open
opens     | open     |                             | open
opens     | open+    |                             | open+
opens     | warned   |                             | warned
opens     | warned+  |                             | warned+
opens     | held     |                             | held
opens     | held+    |                             | held+
opens     | forced   |                             | forced
opens     | forced+  |                             | forced+
opens     | fire     |                             | fire
shuts     | blind    |                             | shut
shuts     | blind+   |                             | shut+
shuts     | shut     |                             | shut
shuts     | shut+    |                             | shut+
shuts     | open     | locked                      | shut
shuts     | open+    |                             | shut+
shuts     | warned   | locked                      | shut
shuts     | warned+  |                             | shut+
shuts     | held     | closed locked               | shut
shuts     | held+    | closed                      | shut+
shuts     | forced   | closed locked               | shut
shuts     | forced+  | closed                      | shut+
shuts     | fire     |                             | fire
unseen    | blind    |                             | blind
unseen    | blind+   |                             | blind+
unseen    | shut     |                             | blind
unseen    | shut+    |                             | blind+
unseen    | open     |                             | blind
unseen    | open+    |                             | blind+
unseen    | warned   |                             | blind
unseen    | warned+  |                             | blind+
unseen    | held     |                             | held
unseen    | held+    |                             | held+
unseen    | forced   |                             | forced
unseen    | forced+  |                             | forced+
unseen    | fire     |                             | fire
undone    | blind    |                             | blind
undone    | blind+   | locked                      | blind
undone    | shut     |                             | shut
undone    | shut+    | locked                      | shut
undone    | open     |                             | open
undone    | open+    | locked                      | open
undone    | warned   |                             | warned
undone    | warned+  | locked                      | warned
undone    | held     |                             | held
undone    | held+    | locked                      | held
undone    | forced   |                             | forced
undone    | forced+  | locked                      | forced
undone    | fire     |                             | fire
not freed | blind    |                             | blind
not freed | blind+   |                             | blind+
not freed | shut     |                             | shut
not freed | shut+    |                             | shut+
not freed | open     |                             | open
not freed | open+    |                             | open+
not freed | warned   |                             | warned
not freed | warned+  |                             | warned+
not freed | held     |                             | held
not freed | held+    |                             | held+
not freed | forced   |                             | forced
not freed | forced+  |                             | forced+
not freed | fire     |                             | fire
fire      | blind    |                             | fire
fire      | blind+   | ann:unknown                 | fire
fire      | shut     |                             | fire
fire      | shut+    | ann:unknown                 | fire
fire      | open     |                             | fire
fire      | open+    | ann:unknown                 | fire
fire      | warned   |                             | fire
fire      | warned+  | ann:unknown                 | fire
fire      | held     |                             | fire
fire      | held+    | ann:unknown                 | fire
fire      | forced   |                             | fire
fire      | forced+  | ann:unknown                 | fire
fire      | fire     |                             | fire
fire over | blind    |                             | blind
fire over | blind+   |                             | blind+
fire over | shut     |                             | shut
fire over | shut+    |                             | shut+
fire over | open     |                             | open
fire over | open+    |                             | open+
fire over | warned   |                             | warned
fire over | warned+  |                             | warned+
fire over | held     |                             | held
fire over | held+    |                             | held+
fire over | forced   |                             | forced
fire over | forced+  |                             | forced+
fire over | fire     |                             | shut
at once   | blind    |                             | blind
at once   | blind+   |                             | blind+
at once   | shut     |                             | shut
at once   | shut+    |                             | shut+
at once   | open     |                             | open
at once   | open+    |                             | open+
at once   | warned   |                             | warned
at once   | warned+  |                             | warned+
at once   | held     |                             | held
at once   | held+    |                             | held+
at once   | forced   |                             | forced
at once   | forced+  |                             | forced+
at once   | fire     |                             | fire
late      | blind    |                             | blind
late      | blind+   | ann:unknown locked          | blind
late      | shut     |                             | shut
late      | shut+    | ann:not-taken locked        | shut
late      | open     | held                        | held
late      | open+    | ann:unknown locked held     | held
late      | warned   | held                        | held
late      | warned+  | ann:unknown locked held     | held
late      | held     |                             | held
late      | held+    | ann:unknown locked          | held
late      | forced   |                             | forced
late      | forced+  | ann:unknown locked          | forced
late      | fire     |                             | fire
the end   | blind    |                             | blind
the end   | blind+   | ann:unknown                 | blind
the end   | shut     |                             | shut
the end   | shut+    | ann:unknown                 | shut
the end   | open     |                             | open
the end   | open+    | ann:unknown                 | open
the end   | warned   |                             | warned
the end   | warned+  | ann:unknown                 | warned
the end   | held     |                             | held
the end   | held+    | ann:unknown                 | held
the end   | forced   |                             | forced
the end   | forced+  | ann:unknown                 | forced
the end   | fire     |                             | fire
"""
ROWS = [tuple(cell.strip() for cell in line.split("|")) for line in TABLE.strip().splitlines()]


@pytest.mark.parametrize(("given", "before", "effects", "after"), ROWS)
def test_table(given: str, before: str, effects: str, after: str) -> None:
    make, now_ms = STATES[before]
    door = make()
    assert state(door) == before
    assert said(INPUTS[given](door, now_ms)) == effects
    assert state(door) == after


def test_the_table_has_every_state_with_every_input() -> None:
    assert {(row[0], row[1]) for row in ROWS} == {(given, before) for given in INPUTS for before in STATES}
    assert len(ROWS) == len(INPUTS) * len(STATES)


# --- stories --------------------------------------------------------------------------------------------------


def door_with(**changes: object) -> Door:
    door = Door(ReleaseConfig(**{"passage": "door", "passage_ms": 8_000} | changes))  # type: ignore[arg-type]
    door.level(False, 0)
    return door


def test_who_was_not_let_through_by_the_lock_and_tries_again_was_not_taken() -> None:
    door = door_with()
    door.granted("first", 0)
    door.failed("first")
    assert said(door.granted("second", 2_000)) == "first:not-taken free:second"


def test_a_lock_that_failed_as_far_as_was_known_and_opened_was_taken() -> None:
    door = door_with()
    door.granted("first", 0)
    door.failed("first")
    assert said(door.level(True, 500)) == "first:taken locked"


def test_what_could_not_be_seen_all_the_while_is_unknown_unless_it_is_seen_to_open() -> None:
    for reading, outcome in ((False, "ann:unknown locked"), (True, "ann:taken locked")):
        door = door_with()
        door.granted("ann", 0)
        door.level(None, 1_000)
        assert said([*door.level(reading, 2_000), *door.tick(8_000)]) == outcome


def test_who_is_let_through_an_open_door_is_seen_only_when_it_opens_again() -> None:
    door = door_with()
    door.granted("ann", 0)
    door.level(True, 100)
    door.granted("bob", 200)
    assert said(door.tick(8_200)) == "bob:unknown locked"
    door.granted("eve", 9_000)
    assert said(door.level(False, 9_100)) == ""
    assert said(door.level(True, 9_200)) == "eve:taken locked"


def test_somebody_inside_opens_with_the_button_and_it_is_not_forced() -> None:
    door = door_with()
    door.exit(0)
    assert said(door.level(True, 7_999)) == "locked"
    assert said(door.level(False, 9_000)) == "locked"
    assert said(door.level(True, 9_500)) == "forced"


def test_the_button_counts_for_as_long_as_a_tap() -> None:
    door = door_with()
    door.exit(0)
    assert door.next_ms() == 8_000
    door.tick(8_000)
    assert said(door.level(True, 8_001)) == "forced"


def test_the_first_opening_is_the_tap_s_the_second_the_button_s() -> None:
    door = door_with()
    door.granted("ann", 0)
    door.exit(10)
    assert said(door.level(True, 100)) == "ann:taken", "it stays free for who pressed the button"
    door.level(False, 200)
    assert said(door.level(True, 300)) == "locked"


def test_an_open_door_warns_then_alarms_then_is_closed() -> None:
    door = door_with(held_warn_ms=20_000, held_ms=30_000)
    door.granted("ann", 0)
    door.level(True, 1_000)
    assert (door.alarm, door.next_ms()) == (Alarm.NONE, 21_000)
    assert said(door.tick(21_000)) == ""
    assert (door.alarm, door.next_ms()) == (Alarm.WARNING, 31_000)
    assert said(door.tick(31_000)) == "held"
    assert (door.alarm, door.next_ms()) == (Alarm.HELD, None)
    assert said(door.level(False, 40_000)) == "closed locked"
    assert door.alarm is Alarm.NONE


@pytest.mark.parametrize(("warn_ms", "held_ms", "alarm"), [(0, 0, ""), (0, 5_000, "held"), (5_000, 0, "held-warning")])
def test_zero_means_never(warn_ms: int, held_ms: int, alarm: str) -> None:
    door = door_with(held_warn_ms=warn_ms, held_ms=held_ms)
    door.exit(0)
    door.level(True, 0)
    door.tick(10_000_000)
    assert door.alarm == alarm


def test_an_opening_by_a_tap_or_the_button_begins_the_time_anew_but_ends_no_alarm() -> None:
    door = door_with(held_warn_ms=20_000, held_ms=30_000)
    door.exit(0)
    door.level(True, 0)
    door.tick(25_000)
    door.granted("ann", 26_000)
    assert said(door.tick(45_000)) == "ann:unknown locked"
    assert door.alarm is Alarm.NONE
    assert said(door.tick(56_000)) == "held"
    door.granted("bob", 57_000)
    assert door.alarm is Alarm.HELD


def test_without_relock_on_open_the_lock_stays_free_until_the_door_shuts() -> None:
    door = door_with(relock_on_open=False)
    door.granted("ann", 0)
    assert said(door.level(True, 100)) == "ann:taken"
    assert said(door.level(False, 3_000)) == "locked"


def test_a_fire_alarm_locks_nothing_and_forces_nothing() -> None:
    door = door_with()
    door.granted("ann", 0)
    assert said(door.fire(True, 100)) == "ann:unknown"
    said_meanwhile = [*door.level(True, 200), *door.level(False, 300), *door.level(True, 400), *door.tick(99_000)]
    assert said(said_meanwhile) == ""
    assert door.fire(True, 99_000) == []
    assert said(door.fire(False, 100_000)) == ""
    assert (door.phase, door.next_ms()) == ("open", 120_000)
    assert said(door.level(False, 101_000)) == "locked"
    assert said(door.level(True, 102_000)) == "forced"


@pytest.mark.parametrize("pressed_ms", [50, 150])
def test_who_pressed_the_button_is_not_forced_when_a_false_alarm_ends(pressed_ms: int) -> None:
    door = door_with()
    happens = sorted([(100, lambda: door.fire(True, 100)), (pressed_ms, lambda: door.exit(pressed_ms))])
    for _, what in happens:
        what()
    assert said(door.fire(False, 200)) == ""
    assert said(door.level(True, 300)) == "locked"
    assert said(door.level(False, 400)) == "locked"
    assert said(door.level(True, 500)) == "forced", "the button is good for one opening"


def test_a_door_that_is_open_when_it_is_first_seen_was_not_forced_and_may_be_held() -> None:
    door = Door(ReleaseConfig(passage="door"))
    assert said(door.level(True, 0)) == "locked"
    assert said(door.tick(30_000)) == "held"


def test_who_is_unknown_is_not_taken_back() -> None:
    door = door_with()
    door.granted("ann", 0)
    assert door.undone("bob", 10) == []
    door.failed("bob")
    assert door.pending == ("ann",)
