"""Rows as the database gives them, to rows as a table's fields want them. Pure."""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from typing import Any

from protocol.errors import Refused
from protocol.messages import Personal, decode

PSEUDONYM_DIGITS = 32
Row = Sequence[Any]


class Pseudonyms:
    """Other names of subjects, by a key of one export that is forgotten with it: neither two exports nor an export and
    anything else can be laid side by side. A subject is of one domain already, so nothing links two domains."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, subject: bytes | None) -> str | None:
        """None for nobody."""
        if not subject:
            return None
        return hmac.digest(self._key, subject, hashlib.sha256).hex()[:PSEUDONYM_DIGITS]


def event_row(row: Row, people: Pseudonyms) -> Row:
    """As `schema.EVENTS` has it."""
    *head, repeat_of, outcome, personal = row
    head[3] = head[3].hex()
    return *head, repeat_of > 0, outcome, people.of(_subject(personal)) if personal else None


def _subject(personal: bytes) -> bytes:
    try:
        return decode(Personal, personal).subject
    except Refused:
        return b""


def visit_row(row: Row, people: Pseudonyms) -> Row:
    """As `schema.VISITS` has it."""
    *head, subject = row
    return *head, people.of(subject)


DOUBTS = frozenset(
    (
        *("", "no-sign-out", "no-sign-in", "odd-tap", "two-teams", "no-team", "overlap", "no-time"),
        *("other-team", "no-longer-known", "void", "review", "open"),
    )
)
STATED = "stated"
"""Why a session is what a coordinator said: what they wrote may name people, and stays here."""


def session_row(row: Row, people: Pseudonyms) -> Row:
    """As `schema.SESSIONS` has it."""
    *head, subject = row
    head[4], head[8] = head[4] or None, bool(head[8])
    head[7] = head[7] if head[7] in DOUBTS else STATED
    return *head, people.of(subject)


def ledger_row(row: Row, people: Pseudonyms) -> Row:
    """As `schema.LEDGER` has it."""
    booked_ms, at_ms, domain, what, cause, source, target, points, closed, subject = row
    return booked_ms, at_ms, domain, what, cause.split(" ")[0], source, target, points, bool(closed), people.of(subject)


ROWS: dict[str, Callable[[Row, Pseudonyms], Row]] = {
    "events": event_row,
    "visits": visit_row,
    "sessions": session_row,
    "ledger": ledger_row,
}
