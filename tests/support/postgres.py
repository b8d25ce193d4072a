"""A PostgreSQL of our own: a cluster in a temporary directory, on loopback, with nothing turned off that keeps data."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.ports import Port

START_S = 30


@contextmanager
def cluster() -> Iterator[str]:
    """The URL of a running server, without a database's name. Stopped and removed at the end."""
    binaries = _binaries()
    directory = Path(tempfile.mkdtemp(prefix="tapgate-postgres-"))
    account = pwd.getpwnam("postgres") if os.getuid() == 0 else None
    if account is not None:  # the server refuses to run as root
        os.chown(directory, account.pw_uid, account.pw_gid)
    data, port = directory / "data", Port.free()
    options = f"-p {port} -k {directory} -c listen_addresses=127.0.0.1 -c fsync=on -c max_connections=200"

    def run(*command: str | Path) -> None:
        found = subprocess.run(
            command,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            cwd=directory,
            capture_output=True,
            text=True,
        )
        if found.returncode:
            log = directory / "log"
            raise RuntimeError(f"{command[0]}: {found.stderr}\n{log.read_text() if log.exists() else ''}")

    try:
        run(binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N")
        run(
            *(binaries / "pg_ctl", "-D", data, "-l", directory / "log", "-o", options),
            *("-w", "-t", str(START_S), "start"),
        )
        try:
            yield f"postgresql://postgres@127.0.0.1:{port}"
        finally:
            run(binaries / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _binaries() -> Path:
    """Distributions keep them off the path; the newest version that is there."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    asked = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, check=True)
    return Path(asked.stdout.strip())
