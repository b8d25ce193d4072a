"""The machine that an agent stands on, as commands look at it and set it up: files below a root, and programs.

Every look goes through here, so that a test, or an image that is being prepared, can be a machine too.
"""

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

PROGRAM_S = 5.0
"""How long a program that only looks may take."""


class Ran(NamedTuple):
    """How a program ended and what it wrote, standard error behind standard output."""

    code: int
    text: str


class Run(Protocol):
    """None: there is no such program here, or it did not end in time."""

    def __call__(self, command: tuple[str, ...], limit_s: float = PROGRAM_S) -> Ran | None: ...


def run_program(command: tuple[str, ...], limit_s: float = PROGRAM_S) -> Ran | None:
    """A program of this machine, in English whatever the operator's language, with nothing to read from."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=limit_s,
            check=False,
            env=os.environ | {"LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return Ran(done.returncode, (done.stdout + done.stderr).decode(errors="replace"))


def run_nothing(command: tuple[str, ...], limit_s: float = PROGRAM_S) -> Ran | None:
    """For a machine that is only files: this one's programs would speak of this one."""
    return None


def no_slots() -> list[str] | None:
    """For a machine that is only files."""
    return None


def pcscd_socket() -> Path:
    """Where libpcsclite looks for pcscd."""
    return Path(os.environ.get("PCSCLITE_CSOCK_NAME") or "/run/pcscd/pcscd.comm")


def pcsc_slots() -> list[str] | None:
    """The names of the PC/SC slots there are, without opening any. None where nobody can tell."""
    if not pcscd_socket().exists():
        return None  # the library would only wait for it
    try:
        from edge_agent.readers.pcsc_service import Lost, Service
    except ImportError:
        return None
    try:
        with Service() as service:
            return service.reader_names()
    except Lost:
        return None


@dataclass(frozen=True)
class Machine:
    """`root`: below which its files are. The rest asks what only a running machine can answer."""

    root: Path = Path("/")
    run: Run = run_program
    slots: Callable[[], list[str] | None] = pcsc_slots
    owner: int = 0
    """Whom its system files belong to."""

    @classmethod
    def below(cls, root: Path) -> "Machine":
        """This machine, or where `root` is another folder, the files of a machine that does not run."""
        root = root.absolute()
        return cls() if root == Path("/") else cls(root, run_nothing, no_slots)

    @property
    def runs(self) -> bool:
        """Whether this is the machine that we run on."""
        return self.root == Path("/")

    def path(self, absolute: str | Path) -> Path:
        """Where a file of that machine lies on this one."""
        return self.root / str(absolute).lstrip("/")

    def read(self, absolute: str | Path) -> str | None:
        """A text file, None where there is none. Raises PermissionError and other OSError."""
        try:
            return self.path(absolute).read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, NotADirectoryError):
            return None

    def folders(self, absolute: str | Path) -> list[Path]:
        """What is in a folder, by name; nothing where there is none."""
        try:
            return sorted(self.path(absolute).iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []

    def user(self, name: str) -> tuple[int, int] | None:
        """Its uid and gid by that machine's own files; None where there is no such user."""
        for line in (self.read("/etc/passwd") or "").splitlines():
            fields = line.split(":")
            if len(fields) > 3 and fields[0] == name and fields[2].isdigit() and fields[3].isdigit():
                return int(fields[2]), int(fields[3])
        return None

    def members(self, group: str) -> tuple[int, frozenset[str]] | None:
        """The gid and the further members of a group; None where there is no such group."""
        for line in (self.read("/etc/group") or "").splitlines():
            fields = line.split(":")
            if len(fields) > 3 and fields[0] == group and fields[2].isdigit():
                return int(fields[2]), frozenset(filter(None, fields[3].split(",")))
        return None
