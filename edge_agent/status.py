"""What an agent says of itself: over its local socket while it runs, from its files when it does not."""

import asyncio
import datetime as dt
import json
import sqlite3
from pathlib import Path
from typing import Any, NamedTuple

from edge_agent import identity as identity_file
from edge_agent import outbox
from edge_agent.gate import Gate
from edge_agent.store import DATABASE, Store
from edge_agent.transaction import event_id

SOCKET = "agent.sock"
ANSWER_S = 5


class Reachability(NamedTuple):
    """What the two loops know of central. None: not tried yet."""

    upload: bool | None
    download: bool | None

    def word(self) -> bool | None:
        known = [value for value in self if value is not None]
        return all(known) if known else None


def of_running(
    gate: Gate, store: Store, readers: dict[str, dict[str, str]], reached: Reachability, troubles: list[str]
) -> dict[str, Any]:
    """The whole status of a running agent, ready for JSON."""
    holding, moment = gate.holding, gate.moments.now()
    allowlist = holding.allowlist
    return {
        "running": True,
        "device": holding.device,
        "gate": holding.gate,
        "epoch": store.epoch.epoch.hex(),
        "sequence": store.next_sequence - 1,
        "receipted_through": outbox.delivered(store, store.epoch.number),
        "backlog": outbox.backlog(store),
        "allowlist_version": allowlist.header.version if allowlist else 0,
        "allowlist_rows": allowlist.header.count if allowlist else 0,
        "allowlist_age_s": gate.age_ms(moment) // 1_000 if allowlist else None,
        "policy_version": holding.policy.policy.version if holding.policy else 0,
        "manifest": holding.manifest.number if holding.manifest else 0,
        "clock": gate.clock(moment).name.lower(),
        "readers": [{"name": name, **state} for name, state in readers.items()],
        "central_reachable": reached.word(),
        "journal_reserve_spent": store.reserve.is_spent,
        "troubles": troubles,
    }


def of_stopped(directory: Path) -> dict[str, Any]:
    """What the files of an agent that does not run tell. Raises FileNotFoundError, sqlite3.DatabaseError."""
    identity = identity_file.load(directory)
    path = directory / DATABASE
    status: dict[str, Any] = {"running": False, "device": identity.device if identity else ""}
    if not path.exists():
        return status | {"epoch": "", "sequence": -1, "receipted_through": -1, "readers": [], "central_reachable": None}
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        row = connection.execute("SELECT number, epoch, delivered FROM epochs ORDER BY number DESC LIMIT 1").fetchone()
        number, epoch, delivered = row or (0, b"", b"")
        last = connection.execute("SELECT max(id) FROM events WHERE id >= ?", (event_id(number, 0),)).fetchone()[0]
        versions = dict(connection.execute("SELECT name, version FROM parts").fetchall())
    finally:
        connection.close()
    return status | {
        "gate": identity.gate if identity else "",
        "epoch": epoch.hex(),
        "sequence": -1 if last is None else last - event_id(number, 0),
        "receipted_through": int.from_bytes(delivered[:8], signed=True) if delivered else -1,
        "allowlist_version": versions.get("allowlist", 0),
        "allowlist_age_s": None,
        "policy_version": versions.get("policy", 0),
        "manifest": versions.get("manifest", 0),
        "readers": [],
        "central_reachable": None,
        "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    }


async def serve(directory: Path, answer: Any) -> asyncio.Server:
    """Answer every connection on the agent's socket with one line of JSON."""
    path = directory / SOCKET
    path.unlink(missing_ok=True)

    async def handle(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            text = await asyncio.to_thread(answer)
            writer.write(json.dumps(text).encode() + b"\n")
            await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_unix_server(handle, path)
    path.chmod(0o600)
    return server


async def ask(directory: Path) -> dict[str, Any] | None:
    """The status of a running agent, or None when none answers."""
    try:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_unix_connection(directory / SOCKET)
            line = await reader.readline()
            writer.close()
        return json.loads(line) if line else None
    except (OSError, TimeoutError, ValueError):
        return None
