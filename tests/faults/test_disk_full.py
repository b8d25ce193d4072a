"""A disk that somebody else filled: the reserve carries on for a while, then nobody enters, everybody may leave, and
all is well again once there is space."""

import contextlib
import errno
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from edge_agent.gate import Gate
from edge_agent.journal.store import JournalUnwritable, Store
from edge_agent.release import Signal
from protocol.messages import Direction
from tests.faults import city
from tests.faults.agent_exam import examine
from tests.faults.agent_life import Life
from tests.faults.programs import UIDS, Programs
from tests.support.auditor import read_journal

pytestmark = pytest.mark.system
DISK_MIB = 40
FILLER = "somebody-elses.log"


@contextmanager
def small_disk(directory: Path, mebibytes: int) -> Iterator[Path]:
    """A file system of its own of this size, mounted on `directory`."""
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    directory.mkdir()
    options = f"size={mebibytes}m,uid={os.geteuid()},mode=700"
    subprocess.run([*as_root, "mount", "-t", "tmpfs", "-o", options, "tapgate-test", directory], check=True)
    try:
        yield directory
    finally:
        subprocess.run([*as_root, "umount", "--lazy", directory], check=True)


def fill(directory: Path) -> None:
    """To the last byte."""
    file = os.open(directory / FILLER, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        for size in (1 << 20, 1 << 12, 1):
            while True:
                try:
                    os.write(file, bytes(size))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    break
    finally:
        os.close(file)


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    """An agent with its list, on a small disk that is not full yet."""
    (tmp_path / "outside").mkdir()
    with small_disk(tmp_path / "disk", DISK_MIB) as disk:
        city.enrol(disk)
        living = Life(disk, tmp_path / "outside")
        living.take(whole=True)
        yield living
        living.store.close()


def entries(life: Life, most: int, until: Callable[[Signal], bool]) -> list[Signal]:
    """Taps of cards that are on the list and not blocked, until a signal meets the condition."""
    cards = [number for number in range(city.CARDS) if not city.is_blocked(number, 1)]
    signals: list[Signal] = []
    while not signals or not until(signals[-1]):
        assert len(signals) < most, f"{most} taps, the last one {signals[-1]}"
        signals.append(life.gate.tap(city.card(cards[len(signals) % len(cards)])))
    return signals


def leave(gate: Gate) -> Signal:
    """The same gate as a way out."""
    config = gate.holding.config
    assert config is not None
    held = gate.holding
    gate.holding = msgspec.structs.replace(held, config=msgspec.structs.replace(config, direction=Direction.OUT))
    try:
        return gate.tap(city.card(1))
    finally:
        gate.holding = held


def test_the_reserve_is_spent_before_anybody_is_kept_out(life: Life) -> None:
    fill(life.store.directory)
    signals = entries(life, 20_000, lambda signal: signal.reason == "journal-unwritable")
    let_in = [signal for signal in signals if signal.outcome == "granted"]
    assert len(let_in) == len(signals) - 1
    assert len(let_in) > 20
    assert life.store.reserve.is_spent
    assert (signals[-1].outcome, signals[-1].sequence) == ("denied", -1)


def test_leaving_is_granted_when_nothing_can_be_written_down(life: Life) -> None:
    fill(life.store.directory)
    entries(life, 20_000, lambda signal: signal.reason == "journal-unwritable")
    signal = leave(life.gate)
    assert (signal.outcome, signal.reason, signal.sequence) == ("granted", "journal-unwritable", -1)


def test_space_that_comes_back_lets_people_in_again_and_everything_released_is_written(
    life: Life, tmp_path: Path
) -> None:
    directory = life.store.directory
    for _ in range(2):
        fill(directory)
        entries(life, 20_000, lambda signal: signal.reason == "journal-unwritable")
        (directory / FILLER).unlink()
        entries(life, 1, lambda signal: signal.outcome == "granted")
        life.store.reserve.restore()
    assert not life.store.reserve.is_spent
    life.store.close()
    outside = tmp_path / "outside"
    assert examine(directory, (outside / "seen").read_bytes(), (outside / "released").read_bytes()) == []
    assert read_journal(directory, city.DEVICE).findings == []


def test_a_receipt_that_cannot_be_stored_is_not_counted(life: Life) -> None:
    """Delivered is what has its receipt on disk (SPEC §6.5); without space the events are sent again later."""
    fill(life.store.directory)
    entries(life, 20_000, lambda signal: signal.reason == "journal-unwritable")
    stored = 0
    with contextlib.suppress(JournalUnwritable):
        while life.deliver(200):
            stored += 1
    (life.store.directory / FILLER).unlink()
    while life.deliver(1000):
        stored += 1
    assert stored > 0
    journal = read_journal(life.store.directory, city.DEVICE)
    assert len(journal.receipts) == stored


def test_a_store_can_be_opened_on_a_full_disk(life: Life) -> None:
    """A restart must not be what locks the gate: the reserve is there for its first event too."""
    directory = life.store.directory
    fill(directory)
    life.store.close()
    store = Store(directory)
    assert store.last_row(1) is not None
    store.close()


def test_the_real_agent_keeps_running_says_so_and_recovers(tmp_path: Path) -> None:
    settings = "[journal]\nmax_mib = 16\nprune_above_mib = 8\nreserve_mib = 1\n"
    with (
        small_disk(tmp_path / "disk", DISK_MIB) as disk,
        Programs(tmp_path, data_dir=disk, settings=settings) as programs,
    ):
        programs.start_edge()
        assert programs.tapped(UIDS[0]).reason == "ok"
        programs.line.cut()
        fill(disk)
        for number in range(20_000):
            line = programs.tapped(UIDS[number % 20])
            if line.reason == "journal-unwritable":
                break
        assert (line.outcome, line.sequence) == ("denied", -1)
        assert programs.status()["journal_reserve_spent"]
        assert json.loads(programs.agent("status", "--json"))["running"]
        (disk / FILLER).unlink()
        programs.until(lambda: programs.tapped(UIDS[1]).reason == "ok", "people enter again")
        programs.line.restore()
        programs.until(programs.drained, "everything is receipted")
        assert programs.audit() == []
