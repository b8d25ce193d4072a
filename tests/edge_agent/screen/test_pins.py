"""PINs at a gate: checked offline, no guessing, and nobody locked out by somebody else."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from edge_agent.screen.pins import FIRST_WAIT_MS, LONGEST_WAIT_MS, Checked, Pins, person_named, wait_ms
from protocol.messages import ScreenConfig, StaffPin
from tests.edge_agent.screen.kiosk import PIN, SALT, STAFF, staff_pin
from tests.support.central_side import CentralSide
from tests.support.edge_side import Edge

WRONG = "111111"
OTHER, OTHER_PIN = "amy", "135790"


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    central = CentralSide()
    people = (staff_pin(central), staff_pin(central, OTHER, OTHER_PIN))
    central.config = msgspec.structs.replace(central.config, screen=ScreenConfig(staff_admit=True), staff=people)
    central.publish()
    with Edge(tmp_path / "edge", central) as made:
        made.take_all()
        yield made


def pins(edge: Edge) -> Pins:
    return Pins(edge.gate, lambda: [secret.key for secret in edge.uptake.identity.domain_keys])


def fail(checked: Pins, times: int, staff: str = STAFF) -> Checked:
    found = Checked("")
    for _ in range(times):
        found = checked.check(staff, WRONG)
    return found


def test_the_right_pin_is_whose_it_is(edge: Edge) -> None:
    checked = pins(edge)
    assert checked.check(STAFF, PIN) == Checked(STAFF)
    assert checked.check("lin.07 ", PIN) == Checked(STAFF)
    assert checked.check(OTHER, OTHER_PIN) == Checked(OTHER)


@pytest.mark.parametrize(
    ("staff", "pin"),
    [
        (STAFF, WRONG),
        (STAFF, OTHER_PIN),
        (OTHER, PIN),
        ("nobody", PIN),
        ("", PIN),
        (STAFF, ""),
        (STAFF, "24681"),
        (STAFF, PIN + "0"),
        (STAFF, "２４６８１０"),
        (STAFF, PIN + "\n"),
        (STAFF, "246 810"),
    ],
)
def test_nothing_else_is(edge: Edge, staff: str, pin: str) -> None:
    assert pins(edge).check(staff, pin).staff == ""


def test_nobody_may_where_the_gate_does_not_offer_it(edge: Edge) -> None:
    off = msgspec.structs.replace(edge.central.config, screen=ScreenConfig(staff_admit=False))
    edge.gate.holding = msgspec.structs.replace(edge.gate.holding, config=off)
    assert pins(edge).check(STAFF, PIN).staff == ""
    edge.gate.holding = msgspec.structs.replace(edge.gate.holding, config=None)
    assert pins(edge).check(STAFF, PIN).staff == ""


def test_ids_that_differ_in_case_alone_are_told_apart() -> None:
    both = (StaffPin("amy", SALT, bytes(32)), StaffPin("Amy", SALT, bytes(32)))
    assert person_named(both, "Amy") is both[1]
    assert person_named(both, "amy") is both[0]
    assert person_named(both, "AMY") is None
    assert person_named(both[:1], "AMY") is both[0]


def test_waits_grow_from_half_a_minute_to_an_hour() -> None:
    assert [wait_ms(count) for count in range(8)] == [0, 0, 0, 0, 0, 30_000, 60_000, 120_000]
    assert wait_ms(12) == wait_ms(10_000) == LONGEST_WAIT_MS
    assert all(wait_ms(count) <= wait_ms(count + 1) for count in range(100))


def test_after_five_wrong_pins_not_even_the_right_one_is_looked_at(edge: Edge) -> None:
    checked = pins(edge)
    assert fail(checked, 4) == Checked("")
    assert fail(checked, 1) == Checked("", FIRST_WAIT_MS)
    edge.clock.advance(FIRST_WAIT_MS - 1)
    assert checked.check(STAFF, PIN) == Checked("", 1)
    edge.clock.advance(1)
    assert checked.check(STAFF, PIN) == Checked(STAFF)
    assert fail(checked, 4) == Checked("")


def test_each_wrong_pin_after_a_wait_makes_the_next_one_longer(edge: Edge) -> None:
    checked = pins(edge)
    fail(checked, 5)
    edge.clock.advance(FIRST_WAIT_MS)
    assert fail(checked, 1) == Checked("", 2 * FIRST_WAIT_MS)


def test_wrong_pins_of_one_person_lock_nobody_else_out(edge: Edge) -> None:
    checked = pins(edge)
    fail(checked, 5)
    fail(checked, 5, "a guessed name")
    assert checked.check(OTHER, OTHER_PIN) == Checked(OTHER)
    assert checked.check("another guess", WRONG).wait_ms > 0


def test_pulling_the_plug_gives_no_new_tries(edge: Edge) -> None:
    fail(pins(edge), 5)
    edge.clock.reboot()
    edge.reopen()
    again = pins(edge)
    assert again.check(STAFF, PIN) == Checked("", FIRST_WAIT_MS)
    assert again.check(OTHER, OTHER_PIN) == Checked(OTHER)
    edge.clock.advance(FIRST_WAIT_MS)
    assert again.check(STAFF, PIN) == Checked(STAFF)
    assert pins(edge).check(STAFF, PIN) == Checked(STAFF)


def test_who_left_the_staff_leaves_no_count_behind(edge: Edge) -> None:
    checked = pins(edge)
    fail(checked, 2)
    left = msgspec.structs.replace(edge.central.config, staff=edge.central.config.staff[1:])
    edge.gate.holding = msgspec.structs.replace(edge.gate.holding, config=left)
    fail(checked, 1, OTHER)
    assert msgspec.msgpack.decode(edge.store.fact("pin_failures") or b"") == {OTHER: 1}


def test_a_count_that_cannot_be_written_or_read_still_counts(edge: Edge) -> None:
    edge.store.commit(lambda transaction: transaction.set_fact("pin_failures", b"\xff\xff"))
    checked = pins(edge)
    fail(checked, 4)
    edge.store.connection.close()
    assert fail(checked, 1) == Checked("", FIRST_WAIT_MS)


def test_a_pin_published_under_the_next_domain_key_counts_before_the_list_follows(edge: Edge) -> None:
    """The configuration comes inside the answer to a poll; the whole list takes its time."""
    central = edge.central
    central.rotate_domain_key()
    central.deltas = False
    central.config = msgspec.structs.replace(central.config, version=2, staff=(staff_pin(central),))
    central.publish()
    edge.take()
    assert edge.gate.holding.key_number == 1
    assert pins(edge).check(STAFF, PIN) == Checked(STAFF)


def test_no_log_holds_a_pin_or_what_was_typed_for_a_name(edge: Edge) -> None:
    checked = pins(edge)
    with capture_logs() as logged:
        checked.check(STAFF, WRONG)
        checked.check(PIN, WRONG)
    said = repr(logged)
    assert "wrong-pin" in said
    assert STAFF in said
    assert PIN not in said
    assert WRONG not in said
