"""What a gate would answer, worked out from its files alone; nothing is written."""

import datetime as dt
import sqlite3
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from edge_agent import identity as identity_file
from edge_agent.files import unchecked
from edge_agent.lists import ListDamaged, lookup_once
from edge_agent.store import DATABASE
from edge_agent.sync import newest_keys, open_one
from protocol.decision import Staleness, Tap, decide, staleness
from protocol.envelope import Keyring
from protocol.errors import Failure, Refused
from protocol.messages import Clock, Direction, GateConfig, Manifest
from protocol.policy import CompiledPolicy, Policy
from protocol.reasons import TEXTS, Reason
from protocol.token import token
from protocol.uid import CardUID, judge


def preview(directory: Path, card: CardUID, when: dt.datetime) -> dict[str, Any]:
    """Decision, reason, rule and versions, as if the card were tapped at `when` with no tap before it."""
    identity = identity_file.load(directory)
    if identity is None or not identity.device:
        raise Refused(Failure.OTHER_DEVICE, "this device is not enrolled")
    parts, facts = _read(directory)
    root = Keyring.of(identity.root_public)
    keys = newest_keys([parts["keys"]], root) if "keys" in parts else None
    ring = Keyring.stated(keys.message, keys.message.at_ms) if keys else Keyring()
    manifest: Manifest | None = open_one(parts["manifest"], ring).message if "manifest" in parts else None
    policy: Policy | None = open_one(parts["policy"], ring).message if "policy" in parts else None
    config: GateConfig | None = open_one(parts["config"], ring).message if "config" in parts else None
    zone = ZoneInfo(policy.time_zone if policy else "Asia/Taipei")
    at_ms = int((when if when.tzinfo else when.replace(tzinfo=zone)).timestamp() * 1_000)
    header, entry = None, None
    if "list_file" in facts:
        try:
            header, entry = lookup_once(
                directory / facts["list_file"].decode(),
                lambda number: token(identity.domain_key(number) or bytes(32), card),
            )
        except ListDamaged as error:
            raise Refused(Failure.WRONG_DIGEST, str(error)) from None
    age_ms = max(0, at_ms - int.from_bytes(facts.get("confirmed_ms", b"")))
    tap = Tap(
        at_ms,
        b"",
        0,
        Clock.UNCONFIRMED,
        config.direction if config else Direction.IN,
        staleness(manifest.ages, age_ms) if manifest and header else Staleness.MISSING,
        judge(card.raw),
    )
    decision = decide(CompiledPolicy(policy) if policy else None, entry, None, tap)
    zh, en = TEXTS[Reason(decision.reason)]
    return {
        "decision": decision.outcome.value,
        "reason": decision.reason,
        "rule": decision.rule,
        "allowlist_version": header.version if header else 0,
        "policy_version": policy.version if policy else 0,
        "text_zh": zh,
        "text_en": en,
        "at": dt.datetime.fromtimestamp(at_ms / 1_000, dt.UTC).isoformat(),
    }


def _read(directory: Path) -> tuple[dict[str, bytes], dict[str, bytes]]:
    path = directory / DATABASE
    if not path.exists():
        raise FileNotFoundError(f"{path}: the agent has not run yet")
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        parts = dict(connection.execute("SELECT name, envelope FROM parts WHERE envelope != x''").fetchall())
        stored = connection.execute("SELECT name, value FROM facts").fetchall()
    except sqlite3.DatabaseError as error:
        raise Refused(Failure.MALFORMED, f"{path}: {error}") from None
    finally:
        connection.close()
    facts = {name: unchecked(name.encode(), value) for name, value in stored}
    return parts, {name: value for name, value in facts.items() if value is not None}
