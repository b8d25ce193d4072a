"""What an agent says of itself: over its local socket while it runs, from its files when it does not."""

import asyncio
import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import structlog

from edge_agent import identity as identity_file
from edge_agent.files import read_only, unchecked
from edge_agent.gate import Gate
from edge_agent.journal import outbox
from edge_agent.journal.store import DATABASE
from edge_agent.journal.transaction import STATES, event_id
from edge_agent.moments import Moment
from edge_agent.published.holding import Holding
from edge_agent.published.lists import ListDamaged, read_header
from edge_agent.published.masked_names import path_of
from edge_agent.published.parts import good
from edge_agent.published.proving import fact_of, standing_of
from edge_agent.published.state_feed import standing_of as states_of
from protocol.messages import PartName

log = structlog.get_logger(__name__)

SOCKET = "agent.sock"
ANSWER_S = 5

NOTHING: dict[str, Any] = {
    "running": False,
    "device": "",
    "gate": "",
    "epoch": "",
    "sequence": -1,
    "receipted_through": -1,
    "backlog": 0,
    "allowlist_version": 0,
    "allowlist_rows": 0,
    "allowlist_age_s": None,
    "policy_version": 0,
    "config_version": 0,
    "profiles_version": 0,
    "names_version": 0,
    "state_version": 0,
    "apart": None,
    "venue_inside": None,
    "on_trial": [],
    "waits_for_card": False,
    "manifest": 0,
    "clock": None,
    "readers": [],
    "door": None,
    "inside": None,
    "central_reachable": None,
    "poll_age_s": None,
    "receipt_age_s": None,
    "journal_writable": None,
    "journal_reserve_spent": None,
    "troubles": [],
}
"""Every key that a status has, always."""


def age_s(since_s: float | None) -> int | None:
    """Seconds since that moment of `time.monotonic()`; None: it never was."""
    return None if since_s is None else int(time.monotonic() - since_s)


class Reachability(NamedTuple):
    """What the two loops know of central. None: not tried yet."""

    upload: bool | None
    download: bool | None

    def word(self) -> bool | None:
        known = [value for value in self if value is not None]
        return all(known) if known else None


def of_running(gate: Gate, readers: list[dict[str, Any]], reached: Reachability, troubles: list[str]) -> dict[str, Any]:
    """The whole status of a running agent, ready for JSON."""
    holding, moment, store = gate.holding, gate.moments.now(), gate.store
    allowlist = holding.allowlist
    return NOTHING | {
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
        "config_version": holding.config.version if holding.config else 0,
        "profiles_version": _version(holding, PartName.PROFILES),
        "names_version": _version(holding, PartName.NAMES),
        **_of_others(gate, holding, moment),
        "manifest": holding.manifest.number if holding.manifest else 0,
        "clock": gate.clock(moment).name.lower(),
        "readers": readers,
        "central_reachable": reached.word(),
        "journal_writable": bool(store.epoch.number),
        "journal_reserve_spent": store.reserve.is_spent,
        "troubles": troubles,
    }


def _of_others(gate: Gate, holding: Holding, moment: Moment) -> dict[str, Any]:
    """Where the policy asks for it: whether what happened at other gates is unknown, and how many are inside."""
    policy = holding.policy
    if policy is None or not (policy.looks_back or policy.counts_inside):
        return {}
    is_apart = gate.others.is_apart(moment.monotonic_ms, policy.apart_ms)
    return {"apart": is_apart, "venue_inside": gate.others.inside(holding.venue)}


def _version(holding: Holding, name: PartName) -> int:
    part = holding.part(name)
    return part.version if part else 0


def of_stopped(directory: Path) -> dict[str, Any]:
    """What the files of an agent that does not run tell. Raises IdentityDamaged, sqlite3.DatabaseError."""
    identity = identity_file.load(directory)
    found = NOTHING | {"device": identity.device if identity else "", "gate": identity.gate if identity else ""}
    path = directory / DATABASE
    if not path.exists():
        return found
    with contextlib.closing(sqlite3.connect(read_only(path), uri=True)) as connection:
        epochs = connection.execute("SELECT number, epoch, delivered FROM epochs ORDER BY number").fetchall()
        for number, epoch, stored in epochs:
            low, high = event_id(number, 0), event_id(number + 1, 0)
            last = connection.execute("SELECT max(id) FROM events WHERE id >= ? AND id < ?", (low, high)).fetchone()[0]
            sequence = -1 if last is None else last - low
            through = int.from_bytes(stored[:8], signed=True)
            found |= {"epoch": epoch.hex(), "sequence": sequence, "receipted_through": through}
            found["backlog"] += max(0, sequence - through)
        versions = dict(connection.execute("SELECT name, version FROM parts").fetchall())
        facts = {name: unchecked(name.encode(), value) for name, value in connection.execute("SELECT * FROM facts")}
    found |= {"policy_version": versions.get("policy", 0), "manifest": versions.get("manifest", 0)}
    for name in (PartName.CONFIG, PartName.PROFILES):
        found |= _of_trial(name, versions, facts.get(fact_of(name)), found)
    named = versions.get("names", 0)
    found["state_version"] = states_of(facts.get(STATES)).version
    found["names_version"] = named if path_of(directory, named).exists() else 0
    return _joined(found, _of_list(directory, facts))


def _of_trial(name: PartName, versions: dict[str, int], stored: bytes | None, found: dict[str, Any]) -> dict[str, Any]:
    """The version that the next start puts to use, and what has become of a newer one."""
    newest, standing = versions.get(name, 0), standing_of(stored)
    told: dict[str, Any] = {f"{name}_version": newest}
    if standing is not None and standing.version == newest:
        if standing.why_not:
            told[f"{name}_version"] = versions.get(good(name), 0)
            told["troubles"] = [*found["troubles"], f"{name} {newest}: it was given up: {standing.why_not}"]
        elif name is PartName.CONFIG:
            told["on_trial"] = [f"{name} {newest}"]
    return told


def _joined(found: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    return found | more | {"troubles": [*found["troubles"], *more.get("troubles", ())]}


def _of_list(directory: Path, facts: dict[str, bytes | None]) -> dict[str, Any]:
    """The list's own file knows its version; how fresh it is, the last word that named it."""
    name = facts.get("list_file")
    try:
        header = read_header(directory / name.decode()) if name else None
    except ListDamaged as error:
        return {"troubles": [str(error)]}
    if header is None:
        return {}
    age_s = (time.time_ns() // 1_000_000 - int.from_bytes(facts.get("confirmed_ms") or b"")) // 1_000
    return {"allowlist_version": header.version, "allowlist_rows": header.count, "allowlist_age_s": age_s}


# --- the socket -----------------------------------------------------------------------------------------------


async def serve(directory: Path, answer: Callable[[], dict[str, Any]]) -> asyncio.Server | None:
    """Answer every connection on the agent's socket with one line of JSON. None where there can be no socket: a
    gate does not need one."""

    async def handle(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            found = await asyncio.to_thread(_said, answer)
            writer.write(json.dumps(found).encode() + b"\n")
            await writer.drain()
        except OSError:
            log.debug("status-not-read")
        finally:
            writer.close()

    try:
        with _short(directory) as path:
            path.unlink(missing_ok=True)
            server = await asyncio.start_unix_server(handle, path)
            path.chmod(0o600)
    except OSError as error:
        log.error("no-status-socket", error=str(error))
        return None
    return server


def _said(answer: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return answer()
    except Exception as error:
        return NOTHING | {"running": True, "troubles": [str(error)]}


async def ask(directory: Path) -> dict[str, Any] | None:
    """The status of a running agent, or None when none answers."""
    try:
        async with asyncio.timeout(ANSWER_S):
            with _short(directory) as path:
                reader, writer = await asyncio.open_unix_connection(path)
            line = await reader.readline()
            writer.close()
        return json.loads(line) if line else None
    except (OSError, TimeoutError, ValueError):
        return None


@contextlib.contextmanager
def _short(directory: Path) -> Iterator[Path]:
    """The socket's path by way of a descriptor: a socket's name may have only 107 bytes, a folder's more."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield Path(f"/proc/self/fd/{descriptor}/{SOCKET}")
    finally:
        os.close(descriptor)
