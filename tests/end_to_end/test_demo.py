"""What a newcomer sees first: the whole town, played once, and ended by Ctrl-C."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEMO = [sys.executable, "-u", "-m", "deploy.demo"]
SETTLED = b"taps go on; Ctrl-C stops"
SHOWN = (
    "the lost card is refused at every gate",
    "the ministry's table holds it, exact to the minute",
    "the library's system lent it to who tapped",
    "the door tells whom it concerns, by the library's word",
    "CloudEvents, each with a good signature",
    "no file of central says who it was",
)
"""Of what is checked, what the README promises to a newcomer."""


@pytest.fixture
def directory() -> Iterator[Path]:
    """A working directory of its own: the demonstration writes to build/demo."""
    with tempfile.TemporaryDirectory(prefix="tg-", dir="/tmp") as path:
        yield Path(path)


def start(directory: Path) -> "subprocess.Popen[bytes]":
    """As a shell starts it: the leader of a process group that the terminal's signals go to."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return subprocess.Popen(
        DEMO,
        cwd=directory,
        env=os.environ | {"PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def session_of(leader: int) -> set[int]:
    """The processes of a session that live, its leader apart."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, _, _, session = (entry / "stat").read_text().rpartition(") ")[2].split()[:4]
            except OSError:
                continue
            if int(session) == leader and state != "Z":
                found.add(int(entry.name))
    return found - {leader}


@pytest.mark.timeout(1200)
@pytest.mark.xdist_group("demo-played")
def test_the_town_plays_its_scenario_checks_it_and_ends_by_ctrl_c_with_no_process_left(directory: Path) -> None:
    """A terminal sends it to every process of the foreground group at once."""
    demo = start(directory)
    said = read_until(demo, SETTLED)
    started = session_of(demo.pid)
    assert len(started) >= 4, "central and three agents"
    os.killpg(demo.pid, signal.SIGINT)
    rest, _ = demo.communicate(timeout=40)
    said += rest
    assert demo.returncode == 0, said.decode()
    assert b"Traceback" not in said
    assert "All checks hold" in said.decode()
    assert [what for what in SHOWN if what not in said.decode()] == []
    assert session_of(demo.pid) == set()
    assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]


@pytest.mark.timeout(300)
@pytest.mark.xdist_group("demo-interrupted")
def test_an_end_asked_for_while_the_town_is_being_set_up_leaves_no_process(directory: Path) -> None:
    """A supervisor asks the program alone."""
    demo = start(directory)
    read_until(demo, b"central serves devices on")
    os.kill(demo.pid, signal.SIGTERM)
    rest, _ = demo.communicate(timeout=40)
    assert demo.returncode == 130, rest.decode()
    assert b"Traceback" not in rest
    assert session_of(demo.pid) == set()


def read_until(demo: "subprocess.Popen[bytes]", words: bytes) -> bytes:
    assert demo.stdout is not None
    said = b""
    for line in demo.stdout:
        said += line
        if words in line:
            return said
    raise AssertionError(said.decode())
