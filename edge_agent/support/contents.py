"""What stands in a support bundle: chosen thing by thing, redacted all the same, and looked through at the end."""

import gzip
import io
import json
import platform
import tarfile
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from edge_agent import __version__
from edge_agent.config import Config
from edge_agent.support.redaction import betrays, redacted
from protocol.fleet import MAX_BUNDLE_BYTES

STATUS_KEYS = (
    *("running", "device", "gate", "epoch", "sequence", "receipted_through", "backlog", "manifest"),
    *("allowlist_version", "allowlist_rows", "allowlist_age_s", "policy_version", "config_version"),
    *("profiles_version", "names_version", "state_version", "apart", "on_trial", "waits_for_card", "clock"),
    *("readers", "door", "central_reachable", "poll_age_s", "receipt_age_s", "journal_writable"),
    *("journal_reserve_spent", "troubles"),
)
LOG_KEYS = (
    *("timestamp", "level", "event", "error", "why", "exception", "reader", "part", "version", "attempt", "status"),
    *("code", "board", "line", "port", "generation", "rows", "chunk", "was", "now", "step", "profile", "where", "what"),
    *("kind", "missing", "events", "waiting", "folder", "command", "table", "sequence", "through", "next"),
)
NUMBERS = frozenset(
    ("version", "attempt", "status", "line", "port", "generation", "rows", "chunk", "sequence", "through", "next")
)
"""Of a log entry, what may be a number of any size; a number elsewhere is read as a text."""
SETTINGS_KEYS = (
    *("readers", "release", "boards", "outputs", "inputs", "journal", "recovery", "screen", "poll_wait_s"),
    *("retry_max_s", "data_dir", "profiles_dir"),
)
LEFT_OUT = "left out: it held something that is secret\n"


class Gathered(NamedTuple):
    """What there is to choose from. `secrets`: what must stand nowhere."""

    place: Mapping[str, str]
    """Device, gate, venue, domain, by these words: they stay as they are."""
    at_ms: int
    status: Mapping[str, Any]
    settings: Config
    findings: Sequence[Mapping[str, Any]]
    """Of `doctor`."""
    log: Sequence[Mapping[str, Any]]
    secrets: Collection[bytes]


def pack(found: Gathered, most_bytes: int = MAX_BUNDLE_BYTES) -> bytes:
    """A compressed archive. One that is too large is made again with fewer entries of the log.

    Raises ValueError where it is too large without any.
    """
    log = list(found.log)
    while True:
        packed = _archive(_files(found._replace(log=log)), found.at_ms // 1_000)
        if len(packed) <= most_bytes:
            return packed
        if not log:
            raise ValueError(f"it would have {len(packed)} bytes, {most_bytes} are sent")
        log = log[len(log) // 2 + 1 :]


def _files(found: Gathered) -> dict[str, str]:
    harmless = frozenset((*found.place.values(), str(found.status.get("epoch", ""))))
    about = {
        **found.place,
        "made_at_ms": found.at_ms,
        "version": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "machine": platform.machine(),
    }
    settings = msgspec.to_builtins(found.settings, enc_hook=str)
    files = {
        "about.json": _json(about),
        "status.json": _json(redacted(_chosen(found.status, STATUS_KEYS), harmless)),
        "settings.json": _json(redacted(_chosen(settings, SETTINGS_KEYS), harmless)),
        "doctor.json": _json(redacted([dict(each) for each in found.findings], harmless)),
        "log.jsonl": "".join(_line(each, harmless) for each in found.log),
    }
    return {name: LEFT_OUT if betrays(text, found.secrets) else text for name, text in files.items()}


def _chosen(value: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {key: value[key] for key in keys if key in value}


def _line(entry: Mapping[str, Any], harmless: Collection[str]) -> str:
    """One log entry. Its time is one that the log itself wrote."""
    chosen = _chosen(entry, LOG_KEYS)
    told = {
        key: value
        if key == "timestamp" or (key in NUMBERS and isinstance(value, int))
        else redacted(str(value), harmless)
        for key, value in chosen.items()
    }
    return json.dumps(told, ensure_ascii=False) + "\n"


def _is_plain(key: str, value: Any) -> bool:
    return key == "timestamp" or (key in NUMBERS and isinstance(value, int))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def _archive(files: Mapping[str, str], at_s: int) -> bytes:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, text in files.items():
            data = text.encode()
            entry = tarfile.TarInfo(f"tapgate-bundle/{name}")
            entry.size, entry.mtime, entry.mode = len(data), at_s, 0o600
            archive.addfile(entry, io.BytesIO(data))
    return gzip.compress(plain.getvalue(), 6, mtime=at_s)
