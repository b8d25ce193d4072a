"""A real PC/SC service of the test's own, with vsmartcard's virtual reader, beside whatever the machine runs.

pcscd has fixed paths and its virtual reader listens on every address, so both live in a mount and a network
namespace. One process in there (this file, run as a script) owns pcscd and does what it is asked over a socket;
when the test process ends, however it ends, that socket closes and everything is gone. The service's own socket
lies in a directory both sides see, and libpcsclite is pointed at it by PCSCLITE_CSOCK_NAME.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PORTS = (35963, 35964)
"""Where the card side of `Virtual PCD 00 00` and `00 01` connects."""

DRIVERS = Path("/usr/lib/pcsc/drivers")
READERS = """FRIENDLYNAME "Virtual PCD"
DEVICENAME /dev/null:0x8C7B
LIBPATH {driver}
CHANNELID 0x8C7B
"""


class PrivatePcscd:
    """Starts and kills the service, with and without a reader. One directory, so one instance, per test process."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="pcscd-", dir="/tmp"))  # a socket path must be short
        for name in ("pcscd", "readers", "no-drivers"):
            (self.directory / name).mkdir()
        self._driver = self.directory / "vpcd.so"
        shutil.copy(next(iter(DRIVERS.glob("serial/libifdvpcd.so*"))), self._driver)
        os.environ["PCSCLITE_CSOCK_NAME"] = str(self.directory / "pcscd" / "pcscd.comm")
        self._inside, self._control = self._enter()

    def _enter(self) -> tuple[subprocess.Popen[bytes], socket.socket]:
        # The machine's USB readers stay with the machine's own service: hide their drivers.
        script = (
            'set -e; mount --bind "$1" /run; mount --bind "$1/no-drivers" "$2"; ip link set lo up;'
            'exec "$3" -I "$4" "$1"'
        )
        arguments = [str(self.directory), str(DRIVERS), sys.executable, __file__]
        if os.geteuid() == 0:
            ways = [["unshare"]]
        else:
            ways = [["unshare", "--user", "--map-root-user"], ["sudo", "-n", "unshare"]]
        complaints = []
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.directory / "control"))
            listener.listen(1)
            listener.settimeout(0.2)
            for way in ways:
                inside = subprocess.Popen(
                    [*way, "--mount", "--net", "sh", "-c", script, "inside", *arguments],
                    stdin=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                )
                while inside.poll() is None:
                    with contextlib.suppress(TimeoutError):
                        return inside, listener.accept()[0]
                complaints.append(inside.communicate()[1].decode().strip())
        raise RuntimeError(
            "the PC/SC tests need a mount and a network namespace of their own: run them as root, where user "
            f"namespaces are permitted, or with 'sudo -n' allowed. unshare said: {'; '.join(complaints)}"
        )

    def _ask(self, order: bytes) -> None:
        self._control.sendall(order)
        assert self._control.recv(1) == b".", "the namespace of the PC/SC service is gone"

    def start(self, *, with_reader: bool = True) -> None:
        """Returns when the service takes connections. It looks for virtual readers at its start only."""
        configuration = self.directory / "readers" / "virtual"
        configuration.write_text(READERS.format(driver=self._driver) if with_reader else "")
        self._ask(b"p")

    def kill(self) -> None:
        self._ask(b"k")

    def freeze(self) -> None:
        """It hangs: whoever asks it something waits, until it is killed."""
        self._ask(b"f")

    def card_socket(self, slot: int = 0) -> socket.socket:
        """A connection to a slot of the virtual reader: a card that is about to be inserted."""
        self._control.sendall(b"s")
        _, descriptors, _, _ = socket.recv_fds(self._control, 1, 1)
        card = socket.socket(fileno=descriptors[0])
        card.connect(("127.0.0.1", PORTS[slot]))
        return card

    def close(self) -> None:
        self._control.close()
        self._inside.wait(10)
        if self._inside.stderr is not None:
            self._inside.stderr.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def serve_inside(directory: Path) -> None:
    """The process inside the namespaces: obeys until the test's end of the socket closes."""
    control = socket.socket(socket.AF_UNIX)
    control.connect(str(directory / "control"))
    service: subprocess.Popen[bytes] | None = None
    while order := control.recv(1):
        if order == b"s":
            with socket.socket() as card:  # belongs to this network for ever, whoever uses it
                socket.send_fds(control, [b"."], [card.fileno()])
            continue
        if order == b"p":
            service = start_pcscd(directory)
        elif order == b"k" and service is not None:
            service.kill()
            service.wait()
            service = None
        elif order == b"f" and service is not None:
            service.send_signal(signal.SIGSTOP)
        control.sendall(b".")
    if service is not None:
        service.kill()
        service.wait()


def start_pcscd(directory: Path) -> subprocess.Popen[bytes]:
    comm = directory / "pcscd" / "pcscd.comm"
    comm.unlink(missing_ok=True)
    with (directory / "pcscd.log").open("ab") as log:
        service = subprocess.Popen(["pcscd", "-f", "-c", str(directory / "readers")], stdout=log, stderr=log)
    while service.poll() is None:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(comm)) == 0:
                break
        time.sleep(0.01)
    return service


if __name__ == "__main__":
    serve_inside(Path(sys.argv[1]))
