"""The two programs as they are deployed, `tapgate-central serve` and `tapgate-edge run`, as separate processes with a
misbehaving line between them, taps through a FIFO, and the auditor's look at both disks."""

import functools
import json
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Self

import msgspec

from central.keys import Keys
from deploy.ports import Port
from deploy.town import CommandFailed, run
from edge_agent import identity as identity_file
from protocol.envelope import Keyring
from protocol.messages import Role
from tests.support import auditor
from tests.support.auditor import Released
from tests.support.fault_proxy import FaultProxy
from tests.support.kill import Victim

BIN = Path(sys.executable).parent
POLICY = """
repeat_window_s = 0
[[rules]]
kind = "admit"
id = "members"
classes = ["citizen"]
"""
UIDS = [f"04{number:02X}A1B2C3D4E5" for number in range(30)]
BLOCKED, STRANGER = UIDS[-1], "04FFA1B2C3D4E5"


class Founded(NamedTuple):
    """Both sides' directories on the first morning, and the device's name."""

    central: Path
    edge: Path
    device: str


_kept: list[tempfile.TemporaryDirectory[str]] = []


@functools.cache
def founded(tls: bool) -> Founded:
    """A library with one gate, its policy and cards, and an agent enrolled by the book; made once, to be copied."""
    made = tempfile.TemporaryDirectory()
    _kept.append(made)
    directory, port = Path(made.name), Port.free()
    (directory / "policy.toml").write_text(POLICY)
    rows = "".join(f"{uid},M-{uid},citizen,,\n" for uid in UIDS)
    (directory / "cards.csv").write_text("uid,member,class,valid_from,valid_until\n" + rows)
    central_config, edge_config = directory / "central.toml", directory / "edge.toml"
    central_config.write_text(central_settings(directory / "central", port, tls))
    edge_config.write_text(f'data_dir = "{directory / "edge"}"\n')
    operate = functools.partial(run, BIN / "tapgate-central", "--config", central_config)
    for arguments in (
        ["init"],
        ["domain", "add", "library"],
        ["venue", "add", "main", "--domain", "library"],
        ["policy", "put", "open", str(directory / "policy.toml")],
        ["gate", "add", "door", "--venue", "main", "--kind", "door", "--policy", "open"],
        ["card", "import", str(directory / "cards.csv"), "--domain", "library", "--notation", "hex", "--apply"],
        ["card", "block", BLOCKED, "--notation", "hex"],
    ):
        operate(*arguments)
    command = [str(BIN / "tapgate-central"), "--config", str(central_config), "serve"]
    with Victim(command, directory / "central.log", cwd=directory) as central:
        central.start()
        wait_for(lambda: listening(port), central.said)
        token = json.loads(operate("device", "invite", "door", "--json"))["token"]
        answer = json.loads(run(BIN / "tapgate-edge", "--config", edge_config, "enrol", token, "--json"))
        operate("device", "confirm", answer["device"], "--words", answer["words"])
        central.stop()
    return Founded(directory / "central", directory / "edge", answer["device"])


def central_settings(data_dir: Path, port: int, tls: bool) -> str:
    return f'data_dir = "{data_dir}"\nport = {port}\ntls = "{"self-signed" if tls else "none"}"\n'


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(condition: Callable[[], bool], why_not: Callable[[], object], timeout_s: float = 60) -> None:
    """Until the condition holds; else an AssertionError with what `why_not` knows."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {why_not()}"
        time.sleep(0.02)


class Programs:
    """A context manager: everything that it started has ended afterwards."""

    def __init__(self, directory: Path, *, tls: bool = False, data_dir: Path | None = None, settings: str = "") -> None:
        self.directory, self.tls = directory, tls
        self.data, self.released_file = data_dir or directory / "edge", directory / "released"
        self.port = Port.free()
        self.central_config, self.edge_config = directory / "central.toml", directory / "edge.toml"
        self.central_config.write_text(central_settings(directory / "central", self.port, tls))
        self.fifo = directory / "reader"
        os.mkfifo(self.fifo)
        self.edge_config.write_text(
            f'data_dir = "{self.data}"\nretry_max_s = 0.3\npoll_wait_s = 5\n'
            f'[release]\nkind = "dry"\npath = "{self.released_file}"\n'
            f'[[readers]]\nname = "simulated"\nkind = "simulated"\npath = "{self.fifo}"\n{settings}'
        )
        central = [str(BIN / "tapgate-central"), "--config", str(self.central_config), "serve"]
        edge = [str(BIN / "tapgate-edge"), "--config", str(self.edge_config), "run"]
        self.central = Victim(central, directory / "central.log", cwd=directory)
        self.edge = Victim(edge, directory / "edge.log", cwd=directory)
        self.line = FaultProxy(self.port, http=not tls)
        self.device = ""
        self._fifo = os.open(self.fifo, os.O_RDWR)

    # --- setting up and ending ------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        """Central serves; the agent is enrolled and not started."""
        self.line.__enter__()
        morning = founded(self.tls)
        self.device = morning.device
        shutil.copytree(morning.central, self.directory / "central")
        shutil.copytree(morning.edge, self.data, dirs_exist_ok=True)
        identity = identity_file.load(self.data)
        assert identity is not None
        url = f"{'https' if self.tls else 'http'}://127.0.0.1:{self.line.port}"
        identity_file.save(self.data, msgspec.structs.replace(identity, url=url))
        try:
            self.start_central()
        except BaseException as error:  # nobody calls __exit__ of what was never entered
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(self, *error: Any) -> None:
        self.edge.__exit__(None, None, None)
        self.central.__exit__(None, None, None)
        self.line.__exit__(None, None, None)
        os.close(self._fifo)
        if error[0] is not None:
            for victim in (self.edge, self.central):
                print(f"--- {victim.output.name}\n{victim.said()[-3_000:]}")

    def operate(self, *arguments: str) -> str:
        return run(BIN / "tapgate-central", "--config", self.central_config, *arguments)

    def agent(self, *arguments: str) -> str:
        return run(BIN / "tapgate-edge", "--config", self.edge_config, *arguments)

    def start_central(self) -> None:
        self.central.start()
        self.until(lambda: listening(self.port), "central serves")

    def start_edge(self) -> None:
        """Returns when taps are decided by a list."""
        self.edge.start()
        self.until(lambda: self.status().get("allowlist_version", 0) > 0, "the agent holds a list")

    # --- driving --------------------------------------------------------------------------------------------

    def tap(self, uid: str) -> None:
        os.write(self._fifo, f"{uid}\n".encode())

    def released(self) -> list[Released]:
        return auditor.released(self.released_file)

    def tapped(self, uid: str) -> Released:
        """Tap, and wait for what the door is told."""
        before = self.lines()
        self.tap(uid)
        self.until(lambda: self.lines() > before, "the door was told something")
        epoch, sequence, outcome, reason = self.released_file.read_text().splitlines()[before].split()
        return Released(epoch, int(sequence), outcome, reason)

    def lines(self) -> int:
        return self.released_file.read_bytes().count(b"\n") if self.released_file.exists() else 0

    def status(self) -> dict[str, Any]:
        """What the running agent says; nothing while it does not answer."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(2)
            try:
                client.connect(str(self.data / "agent.sock"))
                with client.makefile("rb") as file:
                    return json.loads(file.readline() or b"{}")
            except OSError:
                return {}

    def drained(self) -> bool:
        status = self.status()
        return bool(status) and status["backlog"] == 0 and status["receipted_through"] == status["sequence"]

    def until(self, condition: Callable[[], bool], what: str, timeout_s: float = 60) -> None:
        wait_for(condition, lambda: f"{what}; status {self.status()}", timeout_s)

    # --- afterwards -----------------------------------------------------------------------------------------

    def audit(self) -> list[str]:
        """Ends both programs in peace, and looks at what they leave."""
        findings = [f"{v.output.name} ended with {code}" for v in (self.edge, self.central) if (code := v.stop())]
        for look in (lambda: self.agent("journal", "verify"), lambda: self.operate("verify")):
            try:
                look()
            except CommandFailed as failed:
                findings.append(str(failed))
        keys = Keys(self.directory / "central" / "keys")
        ring = Keyring.of(keys.receipt.public, Role.RECEIPT)
        central = self.directory / "central" / "central.db"
        findings += auditor.audit(self.released(), self.data, central, ring, self.device)
        custody = auditor.read_custody(central, self.device)
        findings += [
            f"{line.name} never reached central" for line in self.released() if line.name not in custody.publics
        ]
        return findings
