"""From a machine with a reader to a gate, as a person does it at a terminal, and by flags, with a real central."""

import asyncio
import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.town import BIN, Gate
from edge_agent import config
from edge_agent import identity as identity_file
from tests.end_to_end.quick_town import ALICE, DOOR, Places, QuickTown, tap

pytestmark = pytest.mark.xdist_group("commands")

DEADLINE_S = 60
WORDS = re.compile(r"^  (\S+)  (\S+-\S+-\S+)\s*$", re.MULTILINE)


def _take_the_terminal() -> None:
    """Ctrl-C then reaches this program and no other, even where whoever started the tests ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Terminal:
    """A program at a terminal of its own, and the person before it."""

    def __init__(self, *command: str | Path) -> None:
        ours, theirs = pty.openpty()
        environment = os.environ | {"TERM": "dumb", "COLUMNS": "200"}
        self._ours, self.seen = ours, ""
        self.process = subprocess.Popen(
            [str(part) for part in command],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
            start_new_session=True,
            preexec_fn=_take_the_terminal,
        )
        os.close(theirs)

    def until(self, pattern: str) -> "re.Match[str]":
        """Reads on until this was written."""
        end_s = time.monotonic() + DEADLINE_S
        while (found := re.search(pattern, self.seen, re.MULTILINE)) is None:
            assert time.monotonic() < end_s, f"no {pattern!r} in: {self.seen}"
            assert self._read() or re.search(pattern, self.seen, re.MULTILINE), f"it ended: {self.seen}"
        self.seen = self.seen[found.end() :]
        return found

    def _read(self) -> bool:
        """False at the end."""
        if not select.select([self._ours], [], [], 0.2)[0]:
            return self.process.poll() is None
        try:
            data = os.read(self._ours, 4096)
        except OSError:  # Linux: the other side is closed
            return False
        self.seen += data.decode(errors="replace")
        return bool(data)

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def interrupt(self, answer: str) -> None:
        """Ctrl-C, and again where it came in the instant before a read, which then does not notice it."""
        end_s = time.monotonic() + DEADLINE_S
        while answer not in self.seen:
            assert time.monotonic() < end_s, f"no {answer!r} in: {self.seen}"
            self.type("\x03")
            again_s = time.monotonic() + 2
            while time.monotonic() < again_s and answer not in self.seen and self._read():
                pass

    def end(self) -> int:
        """The exit code, once it ends by itself."""
        end_s = time.monotonic() + DEADLINE_S
        while self._read():
            assert time.monotonic() < end_s, f"it does not end: {self.seen}"
        return self.process.wait(DEADLINE_S)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


@contextmanager
def terminal(*command: str | Path) -> Iterator[Terminal]:
    made = Terminal(*command)
    try:
        yield made
    finally:
        made.close()


def setting_up(image: Path, *flags: str | Path) -> list[str | Path]:
    return [BIN / "tapgate-edge", "setup", "--root", image, "--lang", "en", *flags]


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=DEADLINE_S)


async def token_for(town: QuickTown) -> str:
    return await town.invite(f"https://127.0.0.1:{town.port}")


def joined(image: Path) -> identity_file.Identity | None:
    return identity_file.load(image / "var/lib/tapgate-edge")


async def test_many_machines_are_set_up_by_flags_and_admit_people(town: QuickTown) -> None:
    image = town.directory / "image"
    token, fifo = town.directory / "token", town.directory / "taps"
    token.write_text(await token_for(town))
    os.mkfifo(fifo)
    flags = ("--yes", "--reader", f"simulated:{fifo}", "--token-file", token, "--wait-s", "60")
    with terminal(*setting_up(image, *flags)) as first:
        device, words = (await asyncio.to_thread(first.until, WORDS.pattern)).groups()
        await town.do("device", "confirm", device, "--words", words)
        await asyncio.to_thread(first.until, "has confirmed")
        assert await asyncio.to_thread(first.end) == 0
    held = joined(image)
    assert held is not None
    assert (held.device, held.gate) == (device, DOOR.gate)
    assert config.load(image / "etc/tapgate/edge.toml").readers[0].path == str(fifo)

    again = await asyncio.to_thread(run, *setting_up(image, *flags))
    assert again.returncode == 0, again.stderr
    assert "nothing was changed" in again.stdout
    assert f"{device}, gate {DOOR.gate}" in again.stdout
    assert joined(image) == held

    gate = await town.new_gate()
    (gate.directory / "data").symlink_to(image / "var/lib/tapgate-edge")
    gate.process.start()
    await gate.until(lambda status: status["allowlist_version"] > 0 and status["policy_version"] > 0)
    assert (await tap(gate, ALICE)).reason == "ok"


async def test_a_person_is_led_from_nothing_to_a_gate_that_has_joined(town: QuickTown) -> None:
    image, taps = town.directory / "image", town.directory / "taps"
    taps.write_text(f"{ALICE} sak=08\n")
    with terminal(*setting_up(image)) as person:
        await asyncio.to_thread(person.until, r"No reader was found[\s\S]*Reader \(pcsc.*: ")
        person.type(f"simulated:{taps}\n")
        await asyncio.to_thread(person.until, r"Try a card\? \[Y/n\]: ")
        person.type("y\n")
        await asyncio.to_thread(person.until, ALICE)
        await asyncio.to_thread(person.until, r"at every boot\? \[Y/n\]: ")
        person.type("y\n")
        await asyncio.to_thread(person.until, r"kiosk page at every boot\? \[y/N\]: ")
        person.type("\n")
        await asyncio.to_thread(person.until, "join token .*: ")
        person.type(f"{await token_for(town)}\n")
        device, _ = (await asyncio.to_thread(person.until, WORDS.pattern)).groups()
        await asyncio.to_thread(person.until, "Waiting for the confirmation")
        await asyncio.to_thread(person.interrupt, "Not confirmed yet")
        assert await asyncio.to_thread(person.end) == 0
    held = joined(image)
    assert held is not None
    assert held.device == device
    assert (image / "etc/systemd/system/tapgate-edge.service").exists()
    assert not list(image.rglob("*.new"))


async def test_ctrl_c_at_a_question_leaves_nothing_behind(places: Places) -> None:
    image = places.directory() / "image"
    for answers in ([], ["simulated:-\n", "n\n"]):
        with terminal(*setting_up(image)) as person:
            await asyncio.to_thread(person.until, r"Reader \(pcsc.*: ")
            for answer in answers:
                person.type(answer)
                await asyncio.to_thread(person.until, r"\]: ")
            await asyncio.to_thread(person.interrupt, "run it again to go on")
            assert await asyncio.to_thread(person.end) == 1
        assert not list(image.rglob("*"))


async def test_a_central_that_is_away_is_said_and_the_rest_stays_for_the_next_run(town: QuickTown) -> None:
    image, token = town.directory / "image", town.directory / "token"
    token.write_text(await token_for(town))
    await asyncio.to_thread(town.central.stop)
    flags = ("--yes", "--reader", "simulated:-", "--token-file", token)
    failed = await asyncio.to_thread(run, *setting_up(image, *flags))
    assert failed.returncode == 1
    assert "/v1/hello" in failed.stderr
    assert len(failed.stderr.strip().splitlines()) == 1
    await town.start_central()
    done = await asyncio.to_thread(run, *setting_up(image, *flags))
    assert done.returncode == 0, done.stderr
    assert joined(image) is not None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hand files over")
async def test_a_token_enrolled_with_sudo_leaves_the_keys_to_the_agents_user(town: QuickTown) -> None:
    gate: Gate = await town.new_gate()
    data = gate.directory / "data"
    data.mkdir(mode=0o700)
    os.chown(data, 12345, 12345)
    done = await asyncio.to_thread(run, BIN / "tapgate-edge", "--config", gate.config, "enrol", await token_for(town))
    assert done.returncode == 0, done.stderr
    assert {path.name: path.stat().st_uid for path in data.iterdir()} == {"identity.json": 12345, "agent.lock": 12345}
