"""What the columns of a member's copy are called, and what the codes in them mean."""

from typing import Any

from central.console.card_words import NUMBERS, STANDINGS
from central.console.card_words import STATES as CARD_STATES
from central.console.column_words import ACCOUNTS, COLUMNS
from central.console.page import _N
from central.console.pages.conflicts import KINDS as CONFLICT_KINDS
from central.console.pages.conflicts import STATES as CONFLICT_STATES
from central.console.pages.members import SESSIONS
from central.console.pages.points import WHAT
from central.console.pages.subscriptions import TYPES
from central.console.pages.volunteers import STATES as SESSION_STATES
from central.console.pages.volunteers import WHY
from central.console.sync_words import DECISIONS, KINDS, OUTCOMES, PASSAGES
from protocol.allowlist import CardState

REPEATED = frozenset(("member", "subject"))
"""The same in every row: the sections of the member and of the pseudonyms say them once."""
IDENTIFIERS = frozenset(
    (
        *("id", "key", "epoch", "sequence", "place", "line", "token", "stated", "taps", "adjustment_of", "repeat_of"),
        *("repeats", "about", "cause", "of", "digest", "session", "sealed", "to", "closure", "policy", "event"),
        *("manifest", "policy_in_force", "unreadable", "since_ms", "base"),
        *("uid_looks.card", "notices.number", "bind_sessions.version", "entry_history.version", "point_months.version"),
        *("device", "fingerprint"),
    )
)
"""What only systems read; a copy says it, after everything else of a row."""
FACTS = {
    "attendance.approved": _N("A month was approved"),
    "attendance.certificate": _N("An honour card was made out"),
    "attendance.locked": _N("A month was locked"),
    "attendance.locked-rows": _N("Lines of a locked month"),
    "attendance.reassigned": _N("A session went to another team"),
    "attendance.served": _N("What a session served"),
    "attendance.settled": _N("A session was settled"),
    "attendance.signed": _N("Signed in or out by hand"),
    "charge-corrected": _N("A charge was corrected"),
    "clock-offset": _N("A clock was wrong"),
    "closed": _N("Closed"),
    "closing-changed": _N("Closing time was changed"),
    "closure-ended": _N("A closure ended"),
    "conflict-assigned": _N("A conflict was given to somebody"),
    "conflict-commented": _N("A conflict was commented"),
    "conflict-reopened": _N("A conflict was opened again"),
    "conflict-settled": _N("A conflict was settled"),
    "occupancy-correction": _N("Who is inside was corrected"),
    "points-adjusted": _N("Points were adjusted"),
    "points-granted": _N("Points were granted"),
    "points-redeemed": _N("Points were redeemed"),
    "reference-corrected": _N("The reference was corrected"),
    "reattributed": _N("Taps went to another member"),
    "reservations-written-off": _N("Reserved points were given back"),
    "travel-time": _N("Travel time"),
    "visit-corrected": _N("A visit was corrected"),
}
"""Kinds of facts."""
WAYS = {"in": _N("in"), "out": _N("out")}


def _texts(words: Any) -> dict[Any, str]:
    """Of words that have a look beside their text."""
    return {code: said[1] for code, said in words.items()}


_CARDS: dict[Any, str] = {int(state): CARD_STATES[state.name.lower()][1] for state in CardState}
VALUES: dict[str, dict[Any, str]] = {
    "bind_sessions.state": _texts(SESSIONS),
    "card_bindings.state": _CARDS,
    "cards.state": _CARDS,
    "conflicts.kind": {kind: said[0] for kind, said in CONFLICT_KINDS.items()},
    "conflicts.state": _texts(CONFLICT_STATES),
    "consents.how": {"counter": _N("at a counter"), "kiosk": _N("at a kiosk"), "list": _N("by a signed form")},
    "consents.state": {"given": _N("agreed"), "withdrawn": _N("refused or taken back")},
    "direction": WAYS,
    "entry.state": _CARDS,
    "events.decision": _texts(DECISIONS),
    "events.kind": dict(KINDS),
    "events.outcome": {code: said[1] for code, said in OUTCOMES.items()},
    "events.personal": {"subject": _N("names the member"), "token": _N("names the card alone")},
    "facts.kind": FACTS,
    "ledger.what": dict(WHAT),
    "library_patrons.standing": _texts(STANDINGS),
    "marks.fate": {
        "counts": _N("counts"),
        "not-taken": _N("did not go through"),
        "undone": _N("Taken back"),
        "repeat": _N("the same tap once more"),
    },
    "marks.kind": dict(KINDS),
    "member_numbers.kind": dict(NUMBERS),
    "notices.type": dict(TYPES),
    "passage": dict(PASSAGES),
    "point_books.what": dict(WHAT),
    "reservations.state": {
        "open": _N("stands"),
        "returned": _N("given back by the gate"),
        "written-off": _N("given back by the city"),
    },
    "says.conflict": {kind: said[0] for kind, said in CONFLICT_KINDS.items()},
    "says.outcome": {"hours": _N("Counted"), "void": _N("Void")},
    "says.state": _texts(SESSION_STATES),
    "says.way": WAYS,
    "attendance_sessions.state": _texts(SESSION_STATES),
    "attendance_sessions.why": dict(WHY),
    "source": ACCOUNTS,
    "target": ACCOUNTS,
    "visits.ended": {
        "out": _N("by an exit"),
        "next-entry": _N("by the next entry"),
        "open": _N("no exit is known"),
    },
}
"""By `table.column`, or by the column alone: what a code means. One that is not named stands as it is."""


def is_identifier(table: str, column: str) -> bool:
    """Whether only systems read it."""
    return column in IDENTIFIERS or f"{table}.{column}" in IDENTIFIERS


def title_of(table: str, column: str) -> str:
    """In English, as the words of a language are looked up by; the column's own name where it has none."""
    return COLUMNS.get(f"{table}.{column}") or COLUMNS.get(column, column)


def meaning_of(table: str, column: str, value: Any) -> str | None:
    """In English likewise; None where the value is no code."""
    known = VALUES.get(f"{table}.{column}") or VALUES.get(column)
    return known.get(value) if known is not None and isinstance(value, (str, int)) else None
