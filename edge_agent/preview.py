"""What a gate would answer, worked out from its files alone; nothing is written."""

import contextlib
import datetime as dt
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from edge_agent import identity as identity_file
from edge_agent.closing import CLOSED_BY_STAFF, closing_in
from edge_agent.files import read_only, unchecked
from edge_agent.journal.database import ERRORS
from edge_agent.journal.store import DATABASE
from edge_agent.journal.transaction import history_in
from edge_agent.published.lists import ListDamaged, lookup_once
from edge_agent.published.parts import ENVELOPES, MANIFEST, AtRest, closures_in
from edge_agent.published.proving import fact_of, in_use, standing_of
from edge_agent.tap_record import notes_of
from protocol.closure import closed, ends_in_ms
from protocol.compiled import CompiledPolicy
from protocol.decision import Staleness, Tap, staleness
from protocol.envelope import Keyring
from protocol.errors import Failure, Refused
from protocol.explain import explain
from protocol.history import History
from protocol.messages import Clock, Direction, Manifest, Outcome, PartName
from protocol.policy import Policy
from protocol.reasons import TEXTS, Reason
from protocol.time_zones import CITY_ZONE
from protocol.token import token
from protocol.uid import CardUID, judge


class Elsewhere(NamedTuple):
    """What a running agent knows of the other gates. Of one that does not run nobody can know."""

    is_apart: bool = True
    inside: int | None = None


def preview(
    directory: Path, card: CardUID, when: dt.datetime, elsewhere: Elsewhere = Elsewhere(), choice: str = ""
) -> dict[str, Any]:
    """Decision, reason, rule, charge, versions, and the rules that were tried: as if the card were tapped at `when`,
    after the taps that this gate knows of."""
    identity = identity_file.load(directory)
    if identity is None or not identity.device:
        raise Refused(Failure.OTHER_DEVICE, "this device is not enrolled")
    envelopes, facts = at_rest(directory)
    found = AtRest(envelopes, Keyring.of(identity.root_public))
    manifest: Manifest | None = _message(found, MANIFEST)
    policy: Policy | None = _message(found, PartName.POLICY)
    config = in_use(found, PartName.CONFIG, standing_of(facts.get(fact_of(PartName.CONFIG))))
    if config is None:
        _message(found, PartName.CONFIG)
    zone = ZoneInfo(policy.time_zone if policy else CITY_ZONE)
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
    compiled = CompiledPolicy(policy) if policy else None
    asks = compiled is not None and (compiled.looks_back or compiled.counts_inside)
    history = history_at_rest(directory, entry.subject) if entry else None
    now_ms = time.time_ns() // 1_000_000
    age_ms = max(0, min(at_ms, now_ms) - int.from_bytes(facts.get("confirmed_ms", b"")))
    tap = Tap(
        at_ms,
        b"",
        0,
        Clock.UNCONFIRMED,
        config.message.direction if config else Direction.IN,
        staleness(manifest.ages, age_ms) if manifest and header else Staleness.MISSING,
        judge(card.raw),
        manifest.venue if manifest else "",
        manifest.gate if manifest else "",
        asks and elsewhere.is_apart,
        elsewhere.inside if asks else None,
        choice=choice,
        is_closed=_closed_by_staff(facts, at_ms) or closed(closures_in(found), at_ms, entry.classes if entry else ()),
    )
    decision, tried = explain(compiled, entry, history, tap)
    zh, en = TEXTS[Reason(decision.reason)]
    return {
        "decision": decision.outcome.value,
        "reason": decision.reason,
        "rule": decision.rule,
        "direction": decision.direction if decision.outcome is Outcome.GRANTED else tap.direction.value,
        "repeat": decision.repeats is not None,
        "points": decision.points,
        "due": decision.due,
        "notes": [{"note": note, "number": number} for note, number in notes_of(decision)],
        "apart": tap.is_apart,
        "allowlist_version": header.version if header else 0,
        "policy_version": policy.version if policy else 0,
        "text_zh": zh,
        "text_en": en,
        "at": dt.datetime.fromtimestamp(at_ms / 1_000, dt.UTC).isoformat(),
        "tried": [each._asdict() for each in tried],
    }


def _closed_by_staff(facts: Mapping[str, bytes], at_ms: int) -> bool:
    """By dates alone: which boot it will be is not known. Raises Refused."""
    try:
        closing = closing_in(facts.get(CLOSED_BY_STAFF))
    except msgspec.MsgspecError as error:
        raise Refused(Failure.MALFORMED, f"the stored closing by staff: {error}") from None
    if closing is None or at_ms < closing.from_ms:
        return False
    return ends_in_ms(closing, at_ms, 0, b"", Clock.UNCONFIRMED) != 0


def history_at_rest(directory: Path, key: bytes) -> History | None:
    """What the gate holds of a member's earlier taps; what is not what was stored counts as none. Raises Refused."""
    path = directory / DATABASE
    try:
        with contextlib.closing(sqlite3.connect(read_only(path), uri=True)) as connection:
            return history_in(connection, key)
    except ERRORS as error:
        raise Refused(Failure.MALFORMED, f"{path}: {error}") from None


def _message(found: AtRest, name: str) -> Any:
    """Raises Refused where it is there and does not verify."""
    opened = found.opened(name)
    if name in found.refused:
        raise Refused(found.refused[name].kind, f"the stored {name}: {found.refused[name].detail}")
    return opened.message if opened else None


def at_rest(directory: Path) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The envelopes of the parts that are held, and the store's facts. Raises FileNotFoundError, Refused."""
    path = directory / DATABASE
    if not path.exists():
        raise FileNotFoundError(f"{path}: the agent has not run yet")
    try:
        with contextlib.closing(sqlite3.connect(read_only(path), uri=True)) as connection:
            envelopes = dict(connection.execute(ENVELOPES).fetchall())
            stored = connection.execute("SELECT name, value FROM facts").fetchall()
    except ERRORS as error:
        raise Refused(Failure.MALFORMED, f"{path}: {error}") from None
    facts = {name: unchecked(name.encode(), value) for name, value in stored}
    return envelopes, {name: value for name, value in facts.items() if value is not None}
