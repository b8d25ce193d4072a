"""Real processes, ended by SIGKILL at random moments or at a chosen system call. Bookkeeping by pid only.

`Victim` is one program as people start it. `Nest` is for hundreds of deaths: a process that has imported a
function's module and forks a child for each run, so that a life costs milliseconds, not an interpreter's start; it
also keeps each child's pid from being used again until the test has seen its end.
"""

import importlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

KILLED = -signal.SIGKILL


class At(NamedTuple):
    """Die on entering the `when`-th system call of this name, counted in each thread."""

    call: str
    when: int

    def strace(self) -> list[str]:
        """What to put before the command."""
        inject = f"inject={self.call}:signal=KILL:when={self.when}"
        return ["strace", "-f", "-qqq", "-o", "/dev/null", "-e", f"trace={self.call}", "-e", inject]


class Victim:
    """A program of ours that can be started again and again. Its output is appended to `output`."""

    def __init__(
        self, command: Sequence[str], output: Path, *, cwd: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.command, self.output, self.cwd = list(command), output, cwd
        self.env = dict(os.environ) | dict(env or {})
        self.process: subprocess.Popen[bytes] | None = None
        self.kills = 0

    def start(self, at: At | None = None) -> None:
        """Start it, to die at a system call if that is named."""
        assert self.process is None or self.process.poll() is not None, "it is still running"
        # -D: strace stands aside as a grandchild, so that the process we wait for is the program itself
        before = [*at.strace()[:1], "-D", *at.strace()[1:]] if at else []
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [*before, *self.command],
                cwd=self.cwd,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """SIGKILL, unless it is dead already."""
        self.end(signal.SIGKILL, 30)

    def stop(self, timeout_s: float = 30) -> int:
        """SIGTERM, and its exit code."""
        return self.end(signal.SIGTERM, timeout_s)

    def end(self, number: int, timeout_s: float) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait(timeout_s)

    def wait(self, timeout_s: float) -> int:
        """Its exit code; a death by SIGKILL is counted. Raises TimeoutExpired."""
        assert self.process is not None
        code = self.process.wait(timeout_s)
        self.kills += code == KILLED
        return code

    def said(self) -> str:
        """All it printed so far."""
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.alive:
            self.kill()


class Nest:
    """`function` is `module:name`; every life calls it with strings in a process of its own."""

    def __init__(self, function: str, output: Path, *, cwd: Path, at: At | None = None) -> None:
        self.output = output
        with output.open("ab") as errors:
            self._server = subprocess.Popen(
                [*(at.strace() if at else []), sys.executable, "-m", "tests.support.kill", function],
                cwd=cwd,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        self.pid = 0
        self._line(60)  # it has imported everything

    def start(self, *arguments: str) -> None:
        """Begin a life."""
        self._say(json.dumps(arguments))
        self.pid = int(self._line(30))

    def kill(self) -> int:
        """SIGKILL, and how it ended (KILLED unless it had ended before)."""
        os.kill(self.pid, signal.SIGKILL)  # a process that has ended keeps its pid until `wait` lets go of it
        return self.wait(30)

    def wait(self, timeout_s: float) -> int:
        """How it ended: its exit code, or minus the signal. Raises TimeoutError."""
        code = int(self._line(timeout_s))
        self.pid = 0
        self._say("")
        return code

    def _say(self, line: str) -> None:
        assert self._server.stdin is not None
        self._server.stdin.write(line.encode() + b"\n")
        self._server.stdin.flush()

    def _line(self, timeout_s: float) -> str:
        assert self._server.stdout is not None
        with selectors.DefaultSelector() as ready:
            ready.register(self._server.stdout, selectors.EVENT_READ)
            deadline, line = time.monotonic() + timeout_s, b""
            while not line.endswith(b"\n"):
                if not ready.select(max(0.0, deadline - time.monotonic())):
                    raise TimeoutError(f"no answer in {timeout_s} s; it said:\n{self.said()}")
                piece = os.read(self._server.stdout.fileno(), 1)
                if not piece:
                    raise RuntimeError(f"the nest is gone; it said:\n{self.said()}")
                line += piece
        return line.decode().strip()

    def said(self) -> str:
        """All that its children and itself wrote to standard error."""
        return self.output.read_text(errors="replace")[-4_000:]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            self.wait(30)
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait(30)
        self._server.stdout.close()


def _serve(function: str) -> None:
    module, _, name = function.partition(":")
    work = getattr(importlib.import_module(module), name)
    answers = os.dup(1)
    os.dup2(2, 1)
    os.write(answers, b"ready\n")
    while line := sys.stdin.buffer.readline():
        pid = os.fork()
        if pid == 0:
            os.close(answers)
            code = 1
            try:
                work(*json.loads(line))
                code = 0
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:
                os._exit(code)
        os.write(answers, b"%d\n" % pid)
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert ended is not None
        code = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
        os.write(answers, b"%d\n" % code)
        sys.stdin.buffer.readline()
        os.waitpid(pid, 0)


if __name__ == "__main__":
    _serve(sys.argv[1])
