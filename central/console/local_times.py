"""Moments as people enter them in a form, local to a zone, and as a field shows them again. Pure."""

import datetime as dt
from zoneinfo import ZoneInfo

from central.actions.action import ActionFailed
from protocol.time_zones import CITY_ZONE


def moment_ms(name: str, text: str, zone: str = CITY_ZONE) -> int:
    """Of a field `datetime-local` or `date`; 0 where it is empty. Raises ActionFailed that names the field."""
    if not text.strip():
        return 0
    try:
        moment = dt.datetime.fromisoformat(text.strip())
        at_ms = int((moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))).timestamp() * 1_000)
    except (ValueError, OverflowError, OSError):
        raise ActionFailed(f"{name}: {text[:40]!r} is not a time such as 2026-09-01T12:00") from None
    if at_ms <= 0:
        raise ActionFailed(f"{name}: {text[:40]} is before 1970")
    return at_ms


def field_of(at_ms: int | None, zone: str = CITY_ZONE) -> str:
    """As a field `datetime-local` takes it; empty for 0 and None."""
    return dt.datetime.fromtimestamp(at_ms / 1_000, ZoneInfo(zone)).strftime("%Y-%m-%dT%H:%M") if at_ms else ""
