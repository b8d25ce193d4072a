"""What the columns of a member's copy are called, and what the codes in them mean."""

from typing import Any

from central.console.card_words import NUMBERS, STANDINGS
from central.console.card_words import STATES as CARD_STATES
from central.console.page import _N
from central.console.pages.conflicts import KINDS as CONFLICT_KINDS
from central.console.pages.conflicts import STATES as CONFLICT_STATES
from central.console.pages.members import SESSIONS
from central.console.pages.points import WHAT
from central.console.pages.subscriptions import TYPES
from central.console.pages.volunteers import STATES as SESSION_STATES
from central.console.pages.volunteers import WHY
from central.console.sync_words import DECISIONS, KINDS, OUTCOMES, PASSAGES
from central.services.points.ledger import CITY_LOSS, EXPIRED, ISSUED, MEMBER, REDEEMED
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
COLUMNS = {
    "account": _N("Account"),
    "activity": _N("Activity"),
    "admits": _N("Who enters all the same"),
    "after": _N("After"),
    "allowed_by": _N("Allowed by"),
    "allowed_ms": _N("Allowed at"),
    "allowlist": _N("Version of the list"),
    "amount": _N("Points reserved"),
    "assigned": _N("Given to"),
    "at_ms": _N("Time"),
    "batch": _N("Batch"),
    "before": _N("Before"),
    "before_ms": _N("Before"),
    "body": _N("What it says"),
    "booked_ms": _N("Booked"),
    "bound_ms": _N("Bound at"),
    "card": _N("Which of the member's cards"),
    "change": _N("Change"),
    "checked_ms": _N("Last asked"),
    "classes": _N("Classes"),
    "clock": _N("The gate's clock"),
    "classes.name": _N("Class"),
    "closes_at": _N("Closes at"),
    "conflict": _N("Kind"),
    "count": _N("Count"),
    "created_ms": _N("Registered at"),
    "decision": _N("Decision"),
    "detail": _N("Details"),
    "direction": _N("Direction"),
    "domain": _N("Domain"),
    "done_ms": _N("Ended at"),
    "dropped": _N("Off the list"),
    "due": _N("To pay (NT$)"),
    "due_ms": _N("Asked again at"),
    "ended": _N("How it ended"),
    "ended_by": _N("Ended by"),
    "ended_ms": _N("Ended at"),
    "ends_by_ms": _N("Ends by"),
    "entry": _N("What the list said"),
    "expected_due": _N("To pay (NT$), as it should have been"),
    "expected_points": _N("Points, as they should have been"),
    "expires_ms": _N("Expires"),
    "extended_days": _N("Days added"),
    "failures": _N("Questions without an answer"),
    "fate": _N("What became of it"),
    "flag": _N("Notice at gates"),
    "flags": _N("Notices"),
    "from_ms": _N("Valid from"),
    "gate": _N("Gate"),
    "given_ms": _N("Given at"),
    "hold_ready": _N("A hold is ready"),
    "how": _N("How"),
    "identifier": _N("Number"),
    "in_ms": _N("Came at"),
    "kind": _N("Kind"),
    "known_ms": _N("Written down at"),
    "known_since_ms": _N("Known since"),
    "lapse_ms": _N("Good until"),
    "last": _N("The last one"),
    "library": _N("Library system"),
    "made_ms": _N("Made at"),
    "meal": _N("Meal allowance"),
    "minutes": _N("Minutes"),
    "month": _N("Month"),
    "ms": _N("Milliseconds"),
    "member_class_history.name": _N("Class"),
    "member_classes.name": _N("Class"),
    "name": _N("Person's name"),
    "notice": _N("Version of the notice"),
    "number": _N("Which of the member's cards"),
    "opened_ms": _N("Begun"),
    "other": _N("The other one"),
    "out_ms": _N("Left at"),
    "outcome": _N("Outcome"),
    "overdue": _N("Something is overdue"),
    "passage": _N("Passage"),
    "people": _N("People served"),
    "people_abroad": _N("Foreign visitors"),
    "people_home": _N("Local visitors"),
    "personal": _N("Personal part"),
    "plan": _N("Plan of points"),
    "points": _N("Points"),
    "purpose": _N("Purpose"),
    "reason": _N("Reason"),
    "received_ms": _N("Received"),
    "recorded_ms": _N("Written down at"),
    "reference": _N("Member reference"),
    "remark": _N("Remark"),
    "reservations": _N("Reservations"),
    "rows": _N("Sessions as booked"),
    "rule": _N("Rule"),
    "says": _N("What it says"),
    "shift": _N("Shift"),
    "shift_end_ms": _N("End of the shift"),
    "shown_ms": _N("Shown at"),
    "source": _N("From account"),
    "staff": _N("Staff"),
    "standing": _N("Standing at the library"),
    "state": _N("State"),
    "subject": _N("Pseudonym"),
    "target": _N("To account"),
    "team": _N("Volunteer team"),
    "to_card": _N("Which of the member's cards"),
    "transport": _N("Transport allowance"),
    "type": _N("Kind"),
    "unit_minutes": _N("Rounded to minutes"),
    "until_known_ms": _N("Replaced at"),
    "until_ms": _N("Valid until"),
    "untold": _N("Points given back"),
    "valid_from": _N("Valid from"),
    "valid_until": _N("Valid until"),
    "venue": _N("Venue"),
    "version": _N("Version"),
    "visits": _N("Visits"),
    "way": _N("Direction"),
    "what": _N("What"),
    "who": _N("Who"),
    "why": _N("Why"),
    "why_en": _N("Why, in English"),
    "why_zh": _N("Why"),
}
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
ACCOUNTS = {
    MEMBER: _N("the member"),
    ISSUED: _N("given by the city"),
    REDEEMED: _N("redeemed with the city"),
    EXPIRED: _N("expired points"),
    CITY_LOSS: _N("made up by the city"),
}
"""Of points; beside them each venue has one."""
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
