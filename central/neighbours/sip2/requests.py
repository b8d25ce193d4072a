"""What is asked of a library system, message by message. Pure.

Each names the one answer that it takes. `repeatable`: asking it again changes nothing, so a lost answer may be
asked for anew.
"""

from datetime import datetime
from typing import NamedTuple

from central.neighbours.sip2.dates import written

LANGUAGE = "019"
"""Chinese; servers that do not know it answer in their own."""
NO_SUMMARY = " " * 10


class Request(NamedTuple):
    """`patron`: whom it is about, to notice an answer about another one."""

    code: str
    answer: str
    header: str
    fields: tuple[tuple[str, str], ...]
    repeatable: bool = True
    patron: str = ""


def login(user: str, password: str, place: str) -> Request:
    """93. Neither name nor password is encrypted by the protocol: TLS does that."""
    return Request("93", "94", "00", (("CN", user), ("CO", password), *_given("CP", place)))


def status() -> Request:
    """99: whether the library system is there, and what it understands."""
    return Request("99", "98", "00802.00", ())


def patron_status(institution: str, patron: str, now: datetime) -> Request:
    """23: what the 14 characters say of a patron."""
    return Request("23", "24", LANGUAGE + written(now), _patron(institution, patron), patron=patron)


def patron_information(institution: str, patron: str, now: datetime) -> Request:
    """63: the same, and counts; no list of what is borrowed is asked for."""
    return Request("63", "64", LANGUAGE + written(now) + NO_SUMMARY, _patron(institution, patron), patron=patron)


def checkout(institution: str, patron: str, item: str, now: datetime) -> Request:
    """11: lend an item; a renewal of what the patron has already is not asked for."""
    at = written(now)
    fields = (("AO", institution), ("AA", patron), ("AB", item), ("AC", ""), ("BO", "N"), ("BI", "N"))
    return Request("11", "12", "NN" + at + at, fields, repeatable=False, patron=patron)


def checkin(institution: str, place: str, item: str, now: datetime) -> Request:
    """09: take an item back."""
    at = written(now)
    fields = (("AP", place), ("AO", institution), ("AB", item), ("AC", ""), ("BI", "N"))
    return Request("09", "10", "N" + at + at, fields, repeatable=False)


def _patron(institution: str, patron: str) -> tuple[tuple[str, str], ...]:
    return (("AO", institution), ("AA", patron), ("AC", ""), ("AD", ""))


def _given(name: str, value: str) -> tuple[tuple[str, str], ...]:
    return ((name, value),) if value else ()
