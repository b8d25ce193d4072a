"""A PostgreSQL of our own: a cluster in a temporary directory, on loopback, with nothing turned off that keeps data."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import asyncpg

from central.store.migrate import migrate_async
from deploy.ports import Port

START_S = 30
EMPTY = """
DO $$ DECLARE name text; BEGIN
  SET LOCAL session_replication_role = replica;  -- the audit log refuses a change
  SET LOCAL lock_timeout = '5s';
  FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version' LOOP
    EXECUTE format('DELETE FROM %I', name);
  END LOOP;
END $$
"""
SHAPE = """
SELECT md5(string_agg(line, ',' ORDER BY line)) FROM (
  SELECT version_num AS line FROM alembic_version
  UNION ALL SELECT attrelid::regclass || '.' || attname || atttypid::regtype || attnotnull FROM pg_attribute
    WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)
  UNION ALL SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace
  UNION ALL SELECT pg_get_triggerdef(oid) || tgenabled::text FROM pg_trigger WHERE NOT tgisinternal
  UNION ALL SELECT prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace
) AS lines
"""
"""What a migrated database consists of, but for its rows."""


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


class Databases:
    """Databases with the newest schema and no row. One that was given back is emptied and given out again, which takes
    milliseconds; to make one takes a hundred of them, and its thousand files as many again at the end."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._free: list[str] = []
        self._numbers = count()
        self._shape = ""

    async def take(self) -> str:
        """Its URL."""
        if not self._shape:
            template = await self._make("migrated", "template1")
            await migrate_async(template)
            self._shape = await _asked(template, SHAPE)
        return self._free.pop() if self._free else await self._make(f"migrated_{next(self._numbers)}", "migrated")

    async def give_back(self, url: str) -> None:
        """Whatever was done to it: one that cannot be emptied, or that has another shape now, is nobody's any more."""
        try:
            await _asked(url, EMPTY)
            if await _asked(url, SHAPE) == self._shape:
                self._free.append(url)
        except asyncpg.PostgresError:
            pass

    async def empty(self) -> str:
        """The URL of one without any table, for one time only."""
        return await self._make(f"bare_{next(self._numbers)}", "template1")

    async def _make(self, name: str, template: str) -> str:
        await _asked(f"{self._server}/postgres", f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return f"{self._server}/{name}"


async def _asked(url: str, statement: str) -> str:
    connection = await asyncpg.connect(url)
    try:
        return str(await connection.fetchval(statement))
    finally:
        await connection.close()
