"""What a running process of central says of itself, so that any of them can show and judge all of them."""

import contextlib
import shutil
import socket
from pathlib import Path

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central import tls
from central.alerts.conditions import Disk, ServerFacts
from central.config import Config
from central.files import replace_file
from central.keys import STATEMENT_FILE, Keys
from central.store.put_rows import put_rows
from central.store.schema import servers
from protocol.messages import Role

BACKUP_NOTE = "last-backup"
GONE_MS = 86_400_000
"""One that was not heard of for so long was switched off by somebody."""


class ServerReport(msgspec.Struct, frozen=True, kw_only=True):
    """A map: fields are only ever added, with defaults. `tasks`: background tasks, and whether each is alive.

    `certificate_until_ms` 0: it serves plain HTTP behind a proxy. `is_named`: the key statement names its certificate.
    `waits_for_restart`: the key statement on its disk is newer than the one it goes by.
    """

    version: str = ""
    schema: str = ""
    disk_free_bytes: int = 0
    disk_total_bytes: int = 0
    certificate_until_ms: int = 0
    is_named: bool = True
    statement: int = 0
    statement_ms: int = 0
    waits_for_restart: bool = False
    polls_held: int = 0
    events_behind: int = 0
    backup_ms: int = 0
    """When the newest backup was made beside it; 0 = it knows of none."""
    tasks: dict[str, bool] = {}
    stopped: bool = False
    """It was ended on purpose: nobody is to miss it."""


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """A process, what it said, and when."""

    server: str
    started_ms: int
    seen_ms: int
    said: ServerReport


def server_id(config: Config) -> str:
    """Of this process, among those that share a database."""
    return f"{socket.gethostname()[:100]}:{config.port}"


def report_of(config: Config, keys: Keys, version: str, schema: str) -> ServerReport:
    """What can be told from the disk: blocks for a moment."""
    disk = shutil.disk_usage(config.data_dir)
    until_ms, is_named = _certificate(config, keys)
    return ServerReport(
        version=version,
        schema=schema,
        disk_free_bytes=disk.free,
        disk_total_bytes=disk.total,
        certificate_until_ms=until_ms,
        is_named=is_named,
        statement=keys.statement.number,
        statement_ms=keys.statement.at_ms,
        waits_for_restart=_on_disk(keys.directory / STATEMENT_FILE) not in (b"", keys.statement_envelope),
        backup_ms=_last_backup_ms(config.data_dir),
    )


def _certificate(config: Config, keys: Keys) -> tuple[int, bool]:
    if config.tls == "none":
        return 0, True
    path = config.certificate or config.keys_dir / tls.CERTIFICATE_FILE
    try:
        until_ms, digest = tls.ends_ms(path), tls.certificate_digest(path)
    except (OSError, ValueError):
        return 0, False
    named = {key.public for key in keys.statement.keys if Role.SERVE in key.roles}
    return until_ms, not config.pinned or digest in named


def note_backup(data_dir: Path, made_ms: int) -> None:
    """A backup is whole: whoever asks for the health of this server is told. Beside a server nobody else may write its
    database, so it is a file."""
    with contextlib.suppress(OSError):
        replace_file(data_dir / BACKUP_NOTE, str(made_ms).encode())


def _last_backup_ms(data_dir: Path) -> int:
    said = _on_disk(data_dir / BACKUP_NOTE)
    return int(said) if said.isdigit() else 0


def _on_disk(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


async def note(connection: AsyncConnection, server: str, started_ms: int, now_ms: int, said: ServerReport) -> None:
    """Its row, over the one before; rows of those that are gone are dropped."""
    row = {"id": server, "started_ms": started_ms, "seen_ms": now_ms, "body": msgspec.json.encode(said).decode()}
    await put_rows(connection, servers, [row])
    await connection.execute(delete(servers).where(servers.c.seen_ms < now_ms - GONE_MS))


async def read(connection: AsyncConnection) -> list[Server]:
    """All of them by name. One that a newer version wrote is shown as far as it can be read."""
    return [
        Server(server=row.id, started_ms=row.started_ms, seen_ms=row.seen_ms, said=_said(row.body))
        for row in await connection.execute(select(servers).order_by(servers.c.id))
    ]


def _said(body: str) -> ServerReport:
    try:
        return msgspec.json.decode(body, type=ServerReport)
    except msgspec.MsgspecError:
        return ServerReport()


def facts_of(server: Server) -> ServerFacts:
    """What alerts are judged by. A certificate that cannot be read ends at the epoch."""
    said = server.said
    if said.stopped:
        return ServerFacts(server.server)
    disk = Disk(said.disk_free_bytes, said.disk_total_bytes) if said.disk_total_bytes else None
    until_ms = said.certificate_until_ms or (0 if said.is_named else 1)
    return ServerFacts(server.server, disk, until_ms, said.is_named)
