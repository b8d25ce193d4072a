"""Puts a question that is written as JSON, as vectors hold it, to `decide`."""

from typing import Any

import msgspec

from protocol.allowlist import Entry
from protocol.compiled import CompiledPolicy
from protocol.decision import Decision, Staleness, Tap, decide
from protocol.history import History, LastTap, Mark
from protocol.messages import decode
from protocol.policy import Policy
from tests.vectors import reference as ref

Json = dict[str, Any]


def policy_of(given: Json) -> CompiledPolicy:
    return CompiledPolicy(decode(Policy, ref.message("policy", given)))


def entry_of(given: Json | None) -> Entry | None:
    return None if given is None else decode(Entry, ref.message("entry", given))


def mark_of(given: Json) -> Mark:
    return decode(Mark, ref.message("mark", given))


def history_of(given: Json | None) -> History | None:
    if given is None:
        return None
    last = given["last"] and decode(LastTap, ref.message("last-tap", given["last"]))
    own, told = (tuple(map(mark_of, given[whose])) for whose in ("own", "told"))
    notes = tuple((note, number) for note, number in given["notes"])
    return History(last, own, told, given["reserved"], given["lapse_ms"], notes)


def tap_of(given: Json) -> Tap:
    """Hex to bytes and strings to enumerations, by the struct's own types."""
    given = given | {"staleness": Staleness[given["staleness"].upper()]}
    types = {field.name: field.type for field in msgspec.structs.fields(Tap)}
    return Tap(
        **{
            name: bytes.fromhex(value) if types[name] is bytes else msgspec.convert(value, types[name])
            for name, value in given.items()
        }
    )


def told(answer: Decision) -> Json:
    """A decision in the words of the vectors."""
    return {
        "outcome": answer.outcome.value,
        "reason": answer.reason,
        "rule": answer.rule,
        "repeats": answer.repeats is not None,
        "direction": answer.direction,
        "points": answer.points,
        "due": answer.due,
        "counts": answer.counts,
        "notes": [list(note) for note in answer.notes],
    }


def asked(policy: CompiledPolicy | None, entry: Json | None, history: Json | None, tap: Json) -> Json:
    return told(decide(policy, entry_of(entry), history_of(history), tap_of(tap)))
