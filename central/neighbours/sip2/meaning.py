"""What an answer of a library system means. Pure. Never a yes by omission: what is missing or odd is unknown, and
unknown admits nobody.
"""

from datetime import date
from enum import StrEnum
from typing import NamedTuple

from central.neighbours.sip2.dates import day_of, readable
from central.neighbours.sip2.frames import Message

STATUS_CHARS = 14
CHARGE_DENIED, CARD_LOST, TOO_MANY_OVERDUE = 0, 4, 6
"""Places in the status of a patron. What else stands there are reasons of the library's for the first of them."""
_HOLDS, _OVERDUE = slice(0, 4), slice(4, 8)
_BX = 16


class Standing(StrEnum):
    """Of a patron. Only `good` admits anybody."""

    GOOD = "good"
    BLOCKED = "blocked"
    EXPIRED = "expired"
    NO_PATRON = "no-patron"
    UNKNOWN = "unknown"


class Patron(NamedTuple):
    """`why`: which part of the answer is missing or odd, where the standing is unknown. Notices that are not known are
    not there."""

    standing: Standing
    hold_ready: bool = False
    overdue: bool = False
    why: str = ""


class Service(NamedTuple):
    """What a library system says of itself."""

    online: bool
    lends: bool
    takes_back: bool
    knows_information: bool
    knows_status: bool


def patron_of(answer: Message, today: date, expiry_field: str = "") -> Patron:
    """A 24 or 64. `expiry_field`: where this server says until when a patron is one; empty: it does not say."""
    status = _header_of_patron(answer)
    why = _odd(answer, status)
    if why:
        return Patron(Standing.UNKNOWN, why=why)
    if answer.one("BL") == "N":
        return Patron(Standing.NO_PATRON)
    hold_ready, overdue = _counts(answer)
    overdue = overdue or status[TOO_MANY_OVERDUE] == "Y"
    if status[CHARGE_DENIED] == "Y" or status[CARD_LOST] == "Y":  # a lost card still says BL Y
        return Patron(Standing.BLOCKED, hold_ready, overdue)
    if expiry_field:
        until = day_of(answer.one(expiry_field) or "")
        if until is None:
            return Patron(Standing.UNKNOWN, why=f"{expiry_field} missing or odd")
        if until < today:
            return Patron(Standing.EXPIRED, hold_ready, overdue)
    return Patron(Standing.GOOD, hold_ready, overdue)


def _header_of_patron(answer: Message) -> str:
    return answer.header[:STATUS_CHARS] if answer.code in ("24", "64") else ""


def _odd(answer: Message, status: str) -> str:
    """What keeps an answer from being understood; empty: nothing does."""
    if len(status) != STATUS_CHARS:
        return "no answer about a patron"
    if set(status) - {"Y", " "}:
        return "status odd"
    if not answer.one("AA"):
        return "AA missing or odd"
    if answer.one("BL") not in ("Y", "N"):
        return "BL missing or odd"
    return ""


def _counts(answer: Message) -> tuple[bool, bool]:
    """Whether holds are ready, and whether something is overdue, as far as the counts of a 64 say so."""
    counts = answer.header[-24:] if answer.code == "64" else ""
    return _some(counts[_HOLDS]), _some(counts[_OVERDUE])


def _some(count: str) -> bool:
    return len(count) == 4 and count.isascii() and count.isdigit() and int(count) > 0


def service_of(answer: Message) -> Service:
    """A 98. Which messages it knows is in BX; a server that does not say knows none."""
    known = answer.one("BX") or ""
    yes = [letter == "Y" for letter in known[:_BX].ljust(_BX)]
    online, takes_back, lends = (letter == "Y" for letter in answer.header[:3])
    return Service(online, lends and yes[1], takes_back and yes[2], yes[7], yes[0])


def is_signed_in(answer: Message) -> bool:
    """A 94."""
    return answer.header == "1"


class Loan(NamedTuple):
    """What became of a loan or a return. `done` None: the answer does not say. `due`, `title` and `message` are the
    library's own words."""

    done: bool | None
    due: str = ""
    title: str = ""
    message: str = ""
    alert: bool = False


def loan_of(answer: Message, item: str) -> Loan:
    """A 12 or 10, to what was asked about an item. An answer about another item says nothing about this one."""
    said = {"1": True, "Y": True, "0": False, "N": False}.get(answer.header[:1])
    named = answer.one("AB")
    done = said if named is not None and named.strip().casefold() == item.strip().casefold() else None
    due = (answer.one("AH") or "") if answer.code == "12" and done else ""
    alert = answer.code == "10" and answer.header[3:4] == "Y"
    return Loan(done, readable(due), (answer.one("AJ") or "").strip(), " ".join(answer.all("AF")).strip(), alert)
