"""Killing, itself: it ends the right process, at the right call, and says how it ended."""

import os
import random
import sys
import time
from pathlib import Path

import pytest

from tests.support.kill import KILLED, At, Nest, Victim

ROOT = Path(__file__).parents[2]
FOREVER = "import os\nf = os.open('f', os.O_RDWR | os.O_CREAT)\nwhile True: os.pwrite(f, b'x', 0); os.fsync(f)"


def append_forever(path: str, pause_s: str = "0") -> None:
    """A child's life: number the lines on from what is there."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    number = os.fstat(file).st_size
    while True:
        number += os.write(file, b"x")
        os.fdatasync(file)
        time.sleep(float(pause_s))


def end_at_once(how: str) -> None:
    if how == "raise":
        raise ValueError("as asked")


def test_a_killed_program_is_dead_counted_and_can_be_started_again(tmp_path: Path) -> None:
    with Victim([sys.executable, "-c", FOREVER], tmp_path / "out", cwd=tmp_path) as victim:
        for kills in (1, 2):
            victim.start()
            until(lambda: (tmp_path / "f").exists())
            victim.kill()
            assert victim.kills == kills
            assert not victim.alive
            with pytest.raises(ProcessLookupError):
                os.kill(victim.pid, 0)


@pytest.mark.system
@pytest.mark.parametrize("at", [At("fsync", 1), At("fsync", 40), At("pwrite64", 7)])
def test_a_program_dies_at_the_named_call(tmp_path: Path, at: At) -> None:
    with Victim([sys.executable, "-c", FOREVER], tmp_path / "out", cwd=tmp_path) as victim:
        victim.start(at)
        assert victim.wait(30) == KILLED


def test_a_program_that_ends_by_itself_is_not_counted_as_killed(tmp_path: Path) -> None:
    with Victim([sys.executable, "-c", "print('bye')"], tmp_path / "out", cwd=tmp_path) as victim:
        victim.start()
        assert victim.wait(30) == 0
        assert (victim.kills, victim.said()) == (0, "bye\n")


def test_a_nest_gives_many_lives_quickly(tmp_path: Path) -> None:
    chance, path = random.Random(1), tmp_path / "lines"
    with Nest(f"{__name__}:append_forever", tmp_path / "out", cwd=ROOT) as nest:
        began = time.monotonic()
        sizes = []
        for _ in range(50):
            nest.start(str(path))
            time.sleep(chance.uniform(0, 0.01))
            assert nest.kill() == KILLED
            sizes.append(path.stat().st_size if path.exists() else 0)
        assert time.monotonic() - began < 10
    assert sizes == sorted(sizes)
    assert sizes[-1] > 0


@pytest.mark.system
def test_a_nest_kills_each_life_at_the_named_call(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    with Nest(f"{__name__}:append_forever", tmp_path / "out", cwd=ROOT, at=At("fdatasync", 3)) as nest:
        for life in range(1, 6):
            nest.start(str(path))
            assert nest.wait(30) == KILLED
            assert path.stat().st_size == 3 * life


def test_a_nest_says_how_a_life_ended(tmp_path: Path) -> None:
    with Nest(f"{__name__}:end_at_once", tmp_path / "out", cwd=ROOT) as nest:
        nest.start("well")
        assert nest.wait(30) == 0
        nest.start("raise")
        assert nest.wait(30) == 1
        assert "ValueError: as asked" in nest.said()
        nest.start("well")
        pid = nest.pid
        time.sleep(0.2)
        os.kill(pid, 0)  # ended, but its pid stays ours until its end has been taken note of
        assert nest.wait(30) == 0


def until(condition: object, timeout_s: float = 10) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.01)
