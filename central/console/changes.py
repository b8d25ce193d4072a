"""What changed, as lines that people read: a field, what it was, what it is. Pure."""

import datetime as dt
from typing import Any, NamedTuple

import msgspec

LONGEST = 400
MOST = 200
EMPTY = "–"
NOTHING: tuple[Any, ...] = (None, "", [], {})
EARLIEST_MS = 1_000_000_000_000
"""What is smaller, in a field of milliseconds, is a length of time."""
_ABSENT = object()


class Change(NamedTuple):
    """One field. Empty `was`: it is new; empty `now`: it is gone."""

    field: str
    was: str
    now: str


def differing(was: Any, now: Any, zone: dt.tzinfo = dt.UTC) -> list[Change]:
    """Of two values, as the audit log holds them, the fields in which they differ; times in this zone."""
    return [
        Change(field, _timed(field, old, zone) or _said(old), _timed(field, new, zone) or _said(new))
        for field, old, new in _differing("", was, now)[:MOST]
    ]


def named(values: Any, zone: dt.tzinfo = dt.UTC) -> list[tuple[str, str]]:
    """A map as pairs of a field and its value, those that say something."""
    found = [(field, value) for field, value in _flat("", values) if value not in NOTHING]
    return [(field, _timed(field, value, zone) or text_of(value)) for field, value in found[:MOST]]


def text_of(value: Any) -> str:
    """One value in one line."""
    if value in NOTHING:
        return EMPTY
    if isinstance(value, list) and all(isinstance(part, (str, int)) for part in value):
        text = ", ".join(str(part) for part in value)
    elif isinstance(value, str):
        text = value
    else:
        text = msgspec.json.encode(value).decode()
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"


def _differing(field: str, was: Any, now: Any) -> list[tuple[str, Any, Any]]:
    if was == now:
        return []
    if isinstance(was, dict) and isinstance(now, dict):
        keys = [*was, *(key for key in now if key not in was)]
        return [line for key in keys for line in _differing(_below(field, key), was.get(key), now.get(key))]
    if isinstance(was, dict) and now is None:
        return [(key, value, _ABSENT) for key, value in _flat(field, was) if value not in NOTHING]
    if isinstance(now, dict) and was is None:
        return [(key, _ABSENT, value) for key, value in _flat(field, now) if value not in NOTHING]
    if isinstance(was, list) and isinstance(now, list) and any(isinstance(part, dict) for part in [*was, *now]):
        gone = [(field, part, _ABSENT) for part in was if part not in now]
        return gone + [(field, _ABSENT, part) for part in now if part not in was]
    return [(field, was, now)]


def _said(value: Any) -> str:
    return "" if value is _ABSENT else text_of(value)


def _timed(field: str, value: Any, zone: dt.tzinfo) -> str:
    if not field.endswith("_ms") or not isinstance(value, int) or not EARLIEST_MS <= value < 100 * EARLIEST_MS:
        return ""
    return dt.datetime.fromtimestamp(value / 1000, zone).strftime("%Y-%m-%d %H:%M:%S")


def _flat(field: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        return [pair for key, part in value.items() for pair in _flat(_below(field, key), part)]
    return [(field, value)]


def _below(field: str, key: str) -> str:
    return f"{field}.{key}" if field else str(key)
