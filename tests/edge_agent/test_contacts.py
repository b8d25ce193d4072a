"""Contacts bounce, and are read as levels: one that was missed inverts nothing."""

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.door.contacts import Contacts
from edge_agent.door.debounce import Debounced
from edge_agent.door.flutter import MOST, REFILL_MS, Budget


def fed(contact: Debounced, readings: list[tuple[int, bool | None]]) -> list[tuple[int, bool | None]]:
    return [(now_ms, contact.level) for now_ms, level in readings if contact.feed(level, now_ms)]


def test_a_contact_that_bounces_changes_once() -> None:
    bouncing = [(0, False), (50, False), (100, True), (105, False), (110, True), (115, False), (120, True), (180, True)]
    assert fed(Debounced(50), bouncing) == [(50, False), (180, True)]


def test_a_level_shorter_than_the_debouncing_is_none() -> None:
    assert fed(Debounced(50), [(0, False), (60, False), (70, True), (110, True), (115, False), (300, False)]) == [
        (60, False)
    ]


def test_without_debouncing_every_reading_counts() -> None:
    assert fed(Debounced(0), [(0, True), (1, False), (2, False), (3, True)]) == [(0, True), (1, False), (3, True)]


def test_a_contact_that_cannot_be_read_is_unknown_at_once_and_known_again_when_it_has_stayed() -> None:
    readings = [(0, True), (50, True), (60, None), (70, True), (80, None), (90, True), (140, True)]
    assert fed(Debounced(50), readings) == [(50, True), (60, None), (140, True)]


@given(st.lists(st.tuples(st.integers(1, 40), st.sampled_from((True, False, None)))), st.integers(0, 100))
def test_what_is_believed_was_read_for_all_that_time(steps: list[tuple[int, bool | None]], debounce_ms: int) -> None:
    contact, now_ms, stayed = Debounced(debounce_ms), 0, []
    for step_ms, level in steps:
        now_ms += step_ms
        stayed = [*(stayed if stayed and stayed[-1][1] is level else []), (now_ms, level)]
        before = contact.level
        changed = contact.feed(level, now_ms)
        assert changed is (contact.level is not before)
        if changed:
            assert contact.level is level
            assert level is None or now_ms - stayed[0][0] >= debounce_ms
        elif level is not before and level is not None:
            assert now_ms - stayed[0][0] < debounce_ms


def test_a_loose_wire_is_told_of_and_does_not_fill_the_journal() -> None:
    budget, now_ms = Budget(0), 0
    written = told = 0
    for now_ms in range(0, 3_600_000, 100):
        if budget.spend(now_ms):
            written += 1
        else:
            told += budget.tell_once()
    assert written == MOST + now_ms // REFILL_MS
    assert told == 1
    now_ms += MOST * REFILL_MS
    assert sum(budget.spend(now_ms) for _ in range(2 * MOST)) == MOST
    assert budget.tell_once(), "it was quiet in between"


def test_people_at_a_door_are_not_a_loose_wire() -> None:
    budget = Budget(0)
    assert all(budget.spend(now_ms) for now_ms in range(0, 3_600_000, 5_000))


class Wire:
    """An input whose level a test sets."""

    def __init__(self, debounce_ms: int = 0) -> None:
        self.debounce_ms = debounce_ms
        self.on: bool | None = None

    def level(self) -> bool | None:
        return self.on

    def close(self) -> None: ...


def test_the_fire_alarm_is_heard_before_what_it_opens() -> None:
    door, fire = Wire(), Wire()
    contacts = Contacts({"door": door, "fire-alarm": fire})
    assert contacts.blind() == ("door", "fire-alarm")
    door.on = fire.on = True
    assert contacts.read(0) == [("fire-alarm", True), ("door", True)]
    assert contacts.read(1) == []
    assert (contacts.level("door"), contacts.level("turned"), contacts.blind()) == (True, None, ())
