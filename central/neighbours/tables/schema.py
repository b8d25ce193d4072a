"""What analysts get of history: four tables, column by column. `docs/tables.md` says the same. Pure.

Stable: a column is never removed, renamed or given another meaning within a version; new ones are added at the end.
In none of them: UIDs, tokens, names, references, numbers, remarks, reasons in somebody's own words.
"""

from typing import Literal, NamedTuple

Kind = Literal["timestamp", "string", "integer", "boolean"]
"""Timestamps are UTC with milliseconds; integers have 64 bits."""
Name = Literal["events", "visits", "sessions", "ledger"]
SUBJECT = "subject"


class Field(NamedTuple):
    """One column. `nullable`: it may be unknown or not there; `what` says when."""

    name: str
    kind: Kind
    nullable: bool
    what: str


class Table(NamedTuple):
    """Columns in the order of the file. `month` and `venue` are in the path."""

    name: Name
    version: int
    fields: tuple[Field, ...]

    @property
    def title(self) -> str:
        """As it stands in each file's metadata."""
        return f"{self.name}.v{self.version}"


def _must(name: str, kind: Kind, what: str) -> Field:
    return Field(name, kind, False, what)


def _may(name: str, kind: Kind, what: str) -> Field:
    return Field(name, kind, True, what)


_PERSON = _may(SUBJECT, "string", "a pseudonym of this one export; null unless it was asked for and somebody is known")

EVENTS = Table(
    "events",
    1,
    (
        _must("happened_at", "timestamp", "when it happened, by the gate's clock"),
        _must("gate", "string", "where it happened"),
        _must("device", "string", "the agent that wrote it down"),
        _must("epoch", "string", "of the device's journal, 16 hex digits"),
        _must("sequence", "integer", "in the epoch; device, epoch and sequence name the event"),
        _must("kind", "string", "tap, passage, admit, start and others (SPEC §5.1)"),
        _must("direction", "string", "in, out, or empty"),
        _must("decision", "string", "granted, denied, or empty where nothing was decided"),
        _must("reason", "string", "the stable code of the decision (SPEC §9), or empty"),
        _must("rule", "string", "of the policy that decided, or empty"),
        _must("repeat", "boolean", "the answer of an earlier tap was given again: count it once"),
        _must("outcome", "string", "accepted, held, refused, untrusted: only the first counts"),
        _PERSON,
    ),
)
VISITS = Table(
    "visits",
    1,
    (
        _must("entered_at", "timestamp", "of the entry"),
        _may("left_at", "timestamp", "of the exit or the next entry; null where neither came before closing time"),
        _must("ended", "string", "out, next-entry, open: only the first is a known exit"),
        _must("rule", "string", "of the policy that let in"),
        _PERSON,
    ),
)
SESSIONS = Table(
    "sessions",
    1,
    (
        _must("began_at", "timestamp", "when it began; where nobody knows, when it ended"),
        _may("signed_in_at", "timestamp", "null where nobody knows"),
        _may("signed_out_at", "timestamp", "null where nobody knows"),
        _must("team", "string", "of volunteers; empty: of none yet"),
        _may("booked_month", "string", "such as 2026-03; null: it is booked in none"),
        _must("minutes", "integer", "whole minutes; of an adjustment the difference, which may be below 0"),
        _must("state", "string", "counted, not-counting, void, open, review: only the first counts"),
        _must("why", "string", "the code of what left it in doubt, `stated` where a coordinator settled it, or empty"),
        _must("adjustment", "boolean", "it corrects a session of a locked month"),
        _must("shift", "string", "of the team, or empty"),
        _must("activity", "string", "such as service, training: a word of the team's"),
        _must("people", "integer", "served"),
        _must("transport", "integer", "allowance, NT$"),
        _must("meal", "integer", "allowance, NT$"),
        _must("people_abroad", "integer", "served, from abroad"),
        _must("people_home", "integer", "served, from home"),
        _PERSON,
    ),
)
LEDGER = Table(
    "ledger",
    1,
    (
        _must("booked_at", "timestamp", "in whose month it stands"),
        _must("caused_at", "timestamp", "of the cause"),
        _must("domain", "string", "whose points they are"),
        _must("what", "string", "month, earned, granted, adjusted, spent, redeemed, expired"),
        _must("cause", "string", "what kind of thing it follows from: event, fact, plan and others"),
        _must("source", "string", "the account that gave: member, city:…, venue:…"),
        _must("target", "string", "the account that got"),
        _must("points", "integer", "above 0; 1 point = NT$1 where the plan says so"),
        _must("closed", "boolean", "its month is closed: it never changes"),
        _PERSON,
    ),
)
TABLES: dict[str, Table] = {table.name: table for table in (EVENTS, VISITS, SESSIONS, LEDGER)}
