"""Relay boards, against a real Modbus server in a process of its own that times its pulses by itself."""

import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from edge_agent.release import Output, ReleaseFailed
from edge_agent.release.modbus import Board, ModbusInput, ModbusOutput
from edge_agent.release.settings import BoardSettings, ModbusInputSettings, ModbusOutputSettings
from tests.support.relay_board import RelayBoard, until

QUICK_S = 1.0
"""Far more than the timeouts that are meant, for a machine that is busy."""


@pytest.fixture(scope="module")
def shared() -> Iterator[RelayBoard]:
    with RelayBoard() as board:
        yield board


@pytest.fixture
def relays(shared: RelayBoard) -> RelayBoard:
    """Well again, every relay at rest."""
    shared.tell(mode="well", times=True, inputs=dict.fromkeys(range(8), False), rest=True)
    return shared


def settings(port: int, **changes: Any) -> BoardSettings:
    return BoardSettings(**{"host": "127.0.0.1", "port": port, "timing": "flash", "poll_ms": 20} | changes)


@contextmanager
def wired(wanted: BoardSettings, *inputs: ModbusInputSettings) -> Iterator[tuple[Board, list[ModbusInput]]]:
    board = Board("relays", wanted)
    found = [ModbusInput(each, board) for each in inputs]
    board.start()
    with closing(board):
        yield board, found


def lock(board: Board, **changes: Any) -> ModbusOutput:
    return ModbusOutput("lock", ModbusOutputSettings(**{"board": "relays", "relay": 0} | changes), board)


def test_the_board_ends_the_pulse_by_itself(relays: RelayBoard) -> None:
    before = len(relays.pulses())
    with wired(settings(relays.port)) as (board, _):
        output = lock(board)
        assert output.times_itself
        output.pulse(250)
        assert relays.on()
        assert relays.asked()[-1] == [5, 0x0200, 3], "hundreds of milliseconds, rounded up"
        assert until(lambda: relays.pulses()[before:])[0] > 0.2


def test_a_board_that_counts_in_a_register_gets_command_and_time_in_one_write(relays: RelayBoard) -> None:
    with wired(settings(relays.port, timing="register", register_base=0x0600, most_units=255)) as (board, _):
        output = lock(board, relay=3)
        assert (output.times_itself, output.longest_ms) == (True, 25_500)
        output.pulse(100)
        assert relays.asked()[-1] == [6, 3, 0x0601]
        assert until(lambda: relays.pulses(3))


def test_a_board_without_timing_is_switched_on_and_off(relays: RelayBoard) -> None:
    relays.tell(times=False)
    with wired(settings(relays.port, timing="none")) as (board, _):
        output = lock(board, relay=2)
        assert (output.times_itself, output.reverts, output.may_be_untimed) == (False, False, False)
        assert lock(board, relay=2, allow_untimed=True).may_be_untimed
        output.pulse(100)
        assert relays.on(2)
        output.off()
        assert not relays.on(2)


def test_a_relay_that_holds_a_lock_lets_go_for_the_pulse(relays: RelayBoard) -> None:
    """At rest it is energised; without the agent it is not."""
    with wired(settings(relays.port)) as (board, _):
        output = lock(board, relay=5, at_rest="energised")
        assert (output.rests_free, output.times_itself) == (True, True)
        output.off()
        assert relays.on(5)
        output.pulse(100)
        assert not relays.on(5)
        until(lambda: relays.on(5))
        output.on()
        assert not relays.on(5)
        output.off()
        output.close()
        assert not relays.on(5)


def test_a_pulse_is_cut_short_by_off(relays: RelayBoard) -> None:
    before = len(relays.pulses())
    with wired(settings(relays.port)) as (board, _):
        output = lock(board)
        output.pulse(60_000)
        output.off()
        assert not relays.on()
        assert len(relays.pulses()) == before + 1


def test_power_is_cut_for_a_while_by_the_board_s_own_timer(relays: RelayBoard) -> None:
    before = len(relays.pulses(6))
    with wired(settings(relays.port)) as (board, _):
        lock(board, relay=6).cycle(0.3)
        assert not relays.on(6)
        assert relays.pulses(6)[before] > 0.2
        assert relays.asked()[-2][1] == 0x0206


# --- inputs ---------------------------------------------------------------------------------------------------


def test_inputs_are_levels_and_a_contact_that_opens_may_mean_on(relays: RelayBoard) -> None:
    plain, opens = ModbusInputSettings("relays", 2), ModbusInputSettings("relays", 7, normally_closed=True)
    with wired(settings(relays.port), plain, opens) as (_, inputs):
        until(lambda: [each.level() for each in inputs] == [False, True])
        relays.tell(inputs={2: True, 7: True})
        until(lambda: [each.level() for each in inputs] == [True, False])


def test_a_level_that_cannot_be_read_is_none(relays: RelayBoard) -> None:
    with wired(settings(relays.port), ModbusInputSettings("relays", 2)) as (_, (contact,)):
        until(lambda: contact.level() is False)
        relays.tell(mode="refuse")
        until(lambda: contact.level() is None)
        relays.tell(mode="well")
        until(lambda: contact.level() is False)


# --- boards that fail -----------------------------------------------------------------------------------------


def fails(output: Output, within_s: float = QUICK_S) -> str:
    began_s = time.monotonic()
    with pytest.raises(ReleaseFailed) as caught:
        output.pulse(500)
    assert time.monotonic() - began_s < within_s
    return str(caught.value)


@pytest.mark.parametrize(("mode", "said"), [("silent", "does not answer"), ("refuse", "refuses: device failure")])
def test_a_board_that_fails_is_named_soon_and_is_used_again_when_it_is_well(
    relays: RelayBoard, mode: str, said: str
) -> None:
    with wired(settings(relays.port)) as (board, _):
        output = lock(board)
        output.pulse(100)
        relays.tell(mode=mode)
        why = fails(output)
        assert "'lock'" in why
        assert "'relays'" in why
        assert said in why
        relays.tell(mode="well")
        until(lambda: not output.trouble())
        output.pulse(100)


def test_a_board_that_is_known_to_be_dead_keeps_nobody_waiting(relays: RelayBoard) -> None:
    with wired(settings(relays.port)) as (board, _):
        output = lock(board)
        output.pulse(100)
        relays.tell(mode="silent")
        fails(output)
        began_s = time.monotonic()
        for _ in range(100):
            fails(output)
        assert time.monotonic() - began_s < 2.0, "a hundred of them together take less than ten timeouts"
        assert f"127.0.0.1:{relays.port} unit 1" in output.trouble()


def test_a_board_that_was_switched_off_comes_back(relays: RelayBoard) -> None:
    with wired(settings(relays.port)) as (board, _):
        output = lock(board)
        output.pulse(100)
        relays.tell(dead=True)
        until(output.trouble)
        fails(output)
        relays.tell(dead=False)
        until(lambda: not output.trouble())
        output.pulse(100)
        assert relays.on()


def test_an_idle_connection_that_the_board_closed_is_opened_again_for_the_pulse(relays: RelayBoard) -> None:
    """As boards do that have few sockets: nobody is turned away for it."""
    with wired(settings(relays.port)) as (board, _):
        output = lock(board)
        output.pulse(100)  # from here on it is idle: one that is cut while it is opened is another trouble
        for _ in range(5):
            relays.tell(drop=True)
            output.pulse(100)


def test_a_board_that_resets_in_mid_call_fails_and_comes_back(relays: RelayBoard) -> None:
    with wired(settings(relays.port)) as (board, _):
        output = lock(board)
        output.pulse(100)
        relays.tell(mode="reset")
        fails(output)
        relays.tell(mode="well")
        until(lambda: not output.trouble())
        output.pulse(100)


def test_a_late_answer_is_not_taken_for_the_next_one(relays: RelayBoard) -> None:
    with wired(settings(relays.port, timeout_ms=100)) as (board, _):
        output = lock(board)
        relays.tell(mode="slow", slow_s=0.4)
        fails(output)
        relays.tell(mode="well")
        until(lambda: not output.trouble())
        output.pulse(100)
        output.off()
        assert not relays.on()


def test_a_wrong_unit_is_a_board_that_does_not_answer(relays: RelayBoard) -> None:
    with wired(settings(relays.port, unit=9)) as (board, _):
        assert "unit 9" in fails(lock(board))


def test_a_relay_that_is_not_there_is_refused_by_the_board(relays: RelayBoard) -> None:
    with wired(settings(relays.port)) as (board, _):
        assert "illegal address" in fails(lock(board, relay=200))


def test_a_host_that_does_not_exist_fails_soon() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as nobody:
        port = nobody.getsockname()[1]
    with wired(settings(port)) as (board, _):
        fails(lock(board))


def test_of_two_boards_one_dead_the_other_goes_on(relays: RelayBoard) -> None:
    with (
        RelayBoard() as bad,
        wired(settings(relays.port)) as (first, _),
        wired(settings(bad.port)) as (second, _),
    ):
        lock(second).pulse(100)
        bad.tell(mode="silent")
        fails(lock(second))
        began_s = time.monotonic()
        for _ in range(20):
            lock(first).pulse(100)
        assert time.monotonic() - began_s < QUICK_S
        assert relays.on()
