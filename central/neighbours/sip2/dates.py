"""Moments as SIP2 writes them: `YYYYMMDD`, four characters for the zone, `HHMMSS`. Pure."""

import re
from datetime import date, datetime

_DATE = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})(?:.{4}[0-9]{6})?\Z")


def written(local: datetime) -> str:
    """18 characters, of a time at the library; blanks stand for its zone."""
    return f"{local:%Y%m%d}    {local:%H%M%S}"


def day_of(text: str) -> date | None:
    """The day of `YYYYMMDD`, alone or with a time; None where it is none."""
    found = _DATE.match(text)
    try:
        return date(int(found[1]), int(found[2]), int(found[3])) if found else None
    except ValueError:
        return None


def readable(text: str) -> str:
    """A due date for a person: `2026-12-20`, with its time where it has one; what is no such date, as it was said."""
    day, clock = day_of(text), text[12:18]
    if day is None:
        return text.strip()
    return f"{day}" if clock in ("", "000000") else f"{day} {clock[:2]}:{clock[2:4]}"
