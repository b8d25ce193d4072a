"""The two recovery steps that reach outside this process: the PC/SC service, and the power of a reader."""

import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

RESTART_PCSCD = ("systemctl", "--no-ask-password", "restart", "pcscd.service")
"""Where the agent is not root, `deploy/polkit/51-tapgate-restart-pcscd.rules` permits exactly this."""

RESTART_LIMIT_S = 30.0
FRESH_S = 10.0
"""A service that was restarted so recently is not restarted for another reader: that would take the first one away."""

log = structlog.get_logger(__name__)


class StepFailed(Exception):
    """A step could not be carried out; the text says why, for people."""


class PowerSwitch(Protocol):
    """What a reader hangs on."""

    def cycle(self, off_s: float) -> None:
        """Takes the power away and gives it back; returns when it is back. Raises StepFailed, OSError."""
        ...


class ServiceRestart:
    """Restarts the service that several readers may share: one at a time, and once for all that wait for it."""

    def __init__(self, command: Sequence[str] = RESTART_PCSCD, clock: Callable[[], float] = time.monotonic) -> None:
        self._command = tuple(command)
        self._clock = clock
        self._one_at_a_time = threading.Lock()
        self._done_s: float | None = None

    def __call__(self) -> None:
        """Raises StepFailed."""
        with self._one_at_a_time:
            if self._done_s is not None and self._clock() - self._done_s < FRESH_S:
                return
            self._restart()
            self._done_s = self._clock()

    def _restart(self) -> None:
        name = " ".join(self._command)
        try:
            done = subprocess.run(
                self._command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=RESTART_LIMIT_S,
                check=False,
            )
        except FileNotFoundError:
            raise StepFailed(f"there is no {self._command[0]} here") from None
        except subprocess.TimeoutExpired:
            raise StepFailed(f"{name}: not done after {RESTART_LIMIT_S:.0f} s") from None
        except OSError as error:
            raise StepFailed(f"{name}: {error.strerror}") from None
        said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        if done.returncode:
            raise StepFailed(f"{name}: {said[0] if said else f'exit code {done.returncode}'}")
        log.warning("service restarted", command=name)
