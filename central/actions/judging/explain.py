"""Why a tap was decided as it was: every part of the answer, as a map."""

from typing import Any

import msgspec
from sqlalchemy import select

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.custody.in_scope import gates_within, is_within
from central.details import told
from central.entry_history import HeldEntry
from central.services.judging.account import Account
from central.services.judging.explain import account_of
from central.services.judging.held_policies import PolicyVersion
from central.services.marks import EventName
from central.store.schema import conflicts
from protocol.envelope import digest
from protocol.explain import Explanation
from protocol.history import Mark
from protocol.reasons import TEXTS, Reason

SHOWN_MARKS = 100
LEFT_OUT = "earlier taps at venues that are not yours: they are left out, and were judged by all the same"


class ExplainParams(Params, frozen=True):
    """The event's name, as the log ends its lines with: DEVICE/EPOCH/SEQUENCE."""

    event: str


class Explained(Result, frozen=True):
    """What was, by part. A map that is empty, or null: there is no such thing, or it is among `unknown`. `history` and
    `history_marks`: of earlier taps at the caller's venues."""

    event: dict[str, Any]
    texts: dict[str, str]
    place: dict[str, Any]
    clock: dict[str, Any]
    held: dict[str, int]
    person: dict[str, Any]
    entry_held: dict[str, Any] | None
    entry_known: dict[str, Any] | None
    entry_differs: list[str]
    policy: dict[str, Any] | None
    policy_in_force: int
    history: list[dict[str, Any]]
    history_marks: int
    then: dict[str, Any] | None
    today: dict[str, Any] | None
    conflicts: list[dict[str, Any]]
    unknown: list[str]


def event_name(text: str) -> EventName:
    """DEVICE/EPOCH/SEQUENCE, or a line of the log as JSON. Raises ActionFailed."""
    try:
        if text.lstrip().startswith("{"):
            line = msgspec.json.decode(text)
            device, epoch, sequence = line["device"], line["epoch"], line["sequence"]
        else:
            device, epoch, sequence = text.strip().rsplit("/", 2)
        name = str(device), bytes.fromhex(epoch), int(sequence)
    except (ValueError, KeyError, TypeError, msgspec.MsgspecError):
        raise ActionFailed(f"{text[:80]!r} is no event: state DEVICE/EPOCH/SEQUENCE as `log` shows it") from None
    if len(name[1]) != 8 or not 0 <= name[2] <= 2**53:
        raise ActionFailed(f"{text[:80]!r} is no event: an epoch has 16 hex digits, a sequence is a number")
    return name


@action("explain", ExplainParams, writes=False)
async def explain(context: Context, params: ExplainParams) -> Explained:
    """Out of what is in custody and what was published then."""
    name = event_name(params.event)
    async with context.database.read() as connection:
        account = await account_of(connection, name)
        if account is None:
            raise ActionFailed(f"no event {params.event[:120]} is in custody; forked ones are in `evidence`")
        c = conflicts.c
        query = select(c.id, c.kind, c.state).where(
            *(c.domain == account.domain, c.device == name[0], c.epoch == name[1], c.sequence == name[2])
        )
        if account.who.personal is not None:
            query = query.where(c.subject == account.who.personal.subject)
        found = (await connection.execute(query)).all()
        within = await gates_within(connection, context.scope)
    account = _within(account, within)
    return _explained(account, [{"id": id_.hex(), "kind": kind, "state": state} for id_, kind, state in found])


def _within(account: Account, within: frozenset[str] | None) -> Account:
    """Without what the member did elsewhere."""
    mine = tuple(mark for mark in account.before if is_within(within, mark.gate))
    if len(mine) == len(account.before):
        return account
    return account._replace(before=mine, unknown=(*account.unknown, LEFT_OUT))


def _explained(account: Account, found: list[dict[str, Any]]) -> Explained:
    held, known = entry_map(account.entry_held), entry_map(account.entry_known)
    zh, en = _texts(account.row.reason)
    before = account.before[-SHOWN_MARKS:]
    return Explained(
        event=_event(account),
        texts={"zh": zh, "en": en},
        place=_place(account),
        clock=_clock(account),
        held=msgspec.structs.asdict(account.part.event.held) if account.part else {},
        person=_person(account),
        entry_held=held,
        entry_known=known,
        entry_differs=_differences(held, known),
        policy=_policy(account.policy),
        policy_in_force=account.in_force.version if account.in_force else 0,
        history=[mark_map(mark) for mark in before],
        history_marks=len(account.before),
        then=_way(account.then, account.assumed),
        today=_way(account.today),
        conflicts=found,
        unknown=list(account.unknown),
    )


def _texts(reason: str) -> tuple[str, str]:
    return TEXTS[Reason(reason)] if reason in frozenset(Reason) else ("", "")


def _event(account: Account) -> dict[str, Any]:
    row = account.row
    names = ("kind", "direction", "decision", "reason", "rule", "repeat_of", "outcome", "gate", "at_ms")
    return {
        "device": row.device,
        "epoch": row.epoch.hex(),
        "sequence": row.sequence,
        **{name: getattr(row, name) for name in names},
        "venue": account.venue,
        "domain": account.domain,
        "detail": told(row.kind, row.detail),
    }


def _place(account: Account) -> dict[str, Any]:
    """Where its signed bytes lie: the batch by the digest of its envelope, and the event's own digest in it."""
    part = account.part
    if part is None:
        return {}
    place = {"batch": part.digest.hex(), "first": part.first, "through": part.through, "received_ms": part.received_ms}
    return {**place, "event_digest": digest(part.data).hex(), "personal_digest": part.event.personal_digest.hex()}


def _clock(account: Account) -> dict[str, Any]:
    state = account.part.event.clock.name.lower() if account.part else "not known"
    found: dict[str, Any] = {"state": state, "at_ms": account.row.at_ms, "corrected_ms": account.at_ms}
    return {**found, "offset_ms": account.offset.ms if account.offset else 0}


def _person(account: Account) -> dict[str, Any]:
    who, personal = account.who, account.who.personal
    found: dict[str, Any] = {"known": who.known}
    if personal is None:
        return found
    if who.known == "token":
        found |= {"token": personal.token.hex(), "key_number": personal.key_number}
        if who.listed is not None and who.listed.entry is not None:
            entry = who.listed.entry
            found["listed_since_ms"] = who.listed.version
            found |= {"listed_as": entry.subject.hex(), "listed_card": entry.card}
        return found
    found |= {"member": who.member, "subject": personal.subject.hex(), "card": personal.card}
    return found | {"fingerprint": personal.fingerprint.hex(), "points": personal.points, "due": personal.due}


def entry_map(held: HeldEntry | None) -> dict[str, Any] | None:
    """An entry as people read it; `listed` False: the list had dropped it."""
    if held is None:
        return None
    entry = held.entry
    if entry is None:
        return {"version": held.version, "listed": False}
    return {
        "version": held.version,
        "listed": True,
        "card": entry.card,
        "state": entry.state.name.lower(),
        "classes": [msgspec.structs.asdict(grant) for grant in entry.classes],
        "from_ms": entry.from_ms,
        "until_ms": entry.until_ms,
        "flags": list(entry.flags),
    }


def _differences(held: dict[str, Any] | None, known: dict[str, Any] | None) -> list[str]:
    if held is None or known is None:
        return []
    names = dict.fromkeys((*held, *known))
    return [name for name in names if name != "version" and held.get(name) != known.get(name)]


def _policy(policy: PolicyVersion | None) -> dict[str, Any] | None:
    if policy is None:
        return None
    body = msgspec.to_builtins(policy.compiled.policy)
    body.pop("version")
    return {"id": policy.id, "version": policy.version, "at_ms": policy.at_ms, "body": body}


def mark_map(mark: Mark) -> dict[str, Any]:
    """One earlier tap."""
    said = msgspec.structs.asdict(mark)
    return said | {"epoch": mark.epoch.hex()}


def _way(way: Explanation | None, assumed: str = "") -> dict[str, Any] | None:
    if way is None:
        return None
    decision = way.decision
    zh, en = _texts(decision.reason)
    return {
        "decision": decision.outcome.value,
        "reason": decision.reason,
        "rule": decision.rule,
        "direction": decision.direction,
        "points": decision.points,
        "due": decision.due,
        "text_zh": zh,
        "text_en": en,
        "assumed": assumed,
        "tried": [tried._asdict() for tried in way.tried],
    }
