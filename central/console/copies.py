"""A member's copy as a person reads it: titles, words and local times in place of columns, codes and milliseconds.

The copy itself (`member.copy`, JSON) stays as it is held; nothing of it is left out here but what every row repeats.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from central.console.copy_words import REPEATED, is_identifier, meaning_of, title_of
from central.console.page import _N, Asking
from central.console.rendering import reason_text
from central.console.titles import title_of as title_of_place
from central.console.titles import venues_of
from central.console.words import say
from central.details import told
from central.services.points.ledger import LOSS, venue_account
from protocol.allowlist import Entry
from protocol.errors import Refused
from protocol.messages import decode
from protocol.notices import NOTICES

TEXT, MOMENT, PAIRS, MANY, NAMES = "text", "moment", "pairs", "many", "names"
SAYS_NOTHING: tuple[Any, ...] = (None, "", [], {})
NEVER = (0, -1)
"""Of times; −1 is also where an identifier names no event."""
VENUE = venue_account("")
OTHERWISE = _N("Identifiers")


class Cell(NamedTuple):
    """What stands in one place: a text, a moment, pairs of title and cell, several cells, or identifiers."""

    kind: str
    value: Any
    zone: str = ""


class Places(NamedTuple):
    """What venues, gates, domains and purposes are called in the language, and zones by venue and by gate."""

    lang: str
    titles: Mapping[str, Mapping[str, str]]
    zones: Mapping[tuple[str, str], str]


class Shown(NamedTuple):
    """A section: its title and purpose, and a table."""

    table: str
    title: str
    purpose: str
    heads: list[str]
    rows: list[list[Cell]]


async def places_of(ask: Asking) -> Places:
    """For whoever may see the city: the copy spans it."""
    venues = await venues_of(ask)
    gates = (await ask("gate.list")).rows if ask.may("gate.list") else []
    domains = (await ask("domain.list")).rows if ask.may("domain.list") else []
    purposes = (await ask("purpose.list")).purposes
    titles = {
        "venue": {each.id: each.title for each in venues.values()},
        "gate": {str(row["id"]): title_of_place(row, ask.lang) for row in gates},
        "domain": {str(row["id"]): str(row["title"] or row["id"]) for row in domains},
        "purpose": {each.id: each.title_en if ask.lang == "en" else each.title_zh for each in purposes},
    }
    zones = {("venue", each.id): each.zone for each in venues.values()}
    zones |= {("gate", str(row["id"])): venues[row["venue"]].zone for row in gates if row["venue"] in venues}
    return Places(ask.lang, titles, zones)


def shown_of(section: Any, places: Places) -> Shown:
    """Columns that say nothing in any row are left out; what only systems read stands last."""
    table, rows = section.table, [_opened(section.table, row) for row in section.rows]
    columns = [column for column in dict.fromkeys(name for row in rows for name in row) if _is_shown(table, column)]
    said = [column for column in columns if any(_says(table, column, row.get(column)) for row in rows)]
    heads = [say(places.lang, title_of(table, column)) for column in said]
    cells = [[_cell(table, column, row.get(column), row, places) for column in said] for row in rows]
    others = [_identifiers(table, row) for row in rows]
    if any(others):
        heads.append(say(places.lang, OTHERWISE))
        cells = [[*line, Cell(NAMES, names)] for line, names in zip(cells, others, strict=True)]
    title = section.title_en if places.lang == "en" else section.title_zh
    return Shown(table, title, places.titles["purpose"].get(section.purpose, section.purpose), heads, cells)


def _is_shown(table: str, column: str) -> bool:
    if column in REPEATED and table != "subjects":
        return False
    return column != "member" and not is_identifier(table, column)


def _says(table: str, column: str, value: Any) -> bool:
    if isinstance(value, int) and not isinstance(value, bool) and meaning_of(table, column, value) is None:
        return value not in (NEVER if column.endswith("_ms") else (0,))
    return value not in SAYS_NOTHING


def _identifiers(table: str, row: Mapping[str, Any]) -> str:
    found = {name: value for name, value in row.items() if is_identifier(table, name)}
    return " · ".join(f"{name} {value}" for name, value in found.items() if value not in (*SAYS_NOTHING, -1))


def _cell(table: str, column: str, value: Any, row: Mapping[str, Any], places: Places) -> Cell:
    if not _says(table, column, value):
        return Cell(TEXT, "–")
    if column.endswith("_ms"):
        return Cell(MOMENT, value, _zone(row, places))
    if isinstance(value, Mapping):
        return Cell(PAIRS, _pairs(table, column, value, places))
    if isinstance(value, (list, tuple)):
        return Cell(MANY, [_cell(table, column, each, row, places) for each in value])
    return Cell(TEXT, _word(table, column, value, places))


def _pairs(table: str, column: str, said: Mapping[str, Any], places: Places) -> list[tuple[str, Cell]]:
    """What stands within a place has titles, too."""
    named = [name for name in said if not is_identifier(column, name) and _says(column, name, said[name])]
    pairs = [
        (say(places.lang, title_of(column, name)), _cell(column, name, said[name], said, places)) for name in named
    ]
    others = _identifiers(column, said)
    return [*pairs, (say(places.lang, OTHERWISE), Cell(NAMES, others))] if others else pairs


def _word(table: str, column: str, value: Any, places: Places) -> str:
    if isinstance(value, bool):
        return say(places.lang, _N("yes") if value else _N("no"))
    meaning = meaning_of(table, column, value)
    if meaning is not None:
        return say(places.lang, meaning)
    if column == "reason":
        return reason_text(places.lang, str(value))
    if column in ("flag", "flags") and value in NOTICES:
        return NOTICES[value][places.lang == "en"]
    if column in ("source", "target") and str(value).startswith(VENUE):
        venue = str(value).removeprefix(VENUE).removesuffix(LOSS)
        title = places.titles.get("venue", {}).get(venue, venue)
        return say(places.lang, _N("of the venue %(venue)s")) % {"venue": title}
    return str(places.titles.get(column, {}).get(str(value), value))


def _zone(row: Mapping[str, Any], places: Places) -> str:
    return next((zone for name in ("venue", "gate") if (zone := places.zones.get((name, str(row.get(name)))))), "")


# --- what is held packed ------------------------------------------------------------------------------------------


def _opened(table: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with what is packed within it taken apart."""
    opened = dict(row)
    if table == "entry_history" and row["entry"]:
        opened["entry"] = _entry(row["entry"])
    if table == "events" and row["detail"]:
        opened["detail"] = told(row["kind"], bytes.fromhex(row["detail"]))
    for column in _JSON.get(table, ()):
        opened[column] = _map(row[column])
    return opened


_JSON: dict[str, Sequence[str]] = {"notices": ("body",), "conflicts": ("detail",)}


def _map(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _entry(data: str) -> Any:
    """What a list said of a card; as it stands where this version cannot read it."""
    try:
        entry = decode(Entry, bytes.fromhex(data))
    except Refused:
        return data
    classes: Iterable[dict[str, Any]] = (
        {"name": each.name, "from_ms": each.from_ms, "until_ms": each.until_ms} for each in entry.classes
    )
    dates = {"from_ms": entry.from_ms, "until_ms": entry.until_ms}
    return {"state": int(entry.state), "classes": list(classes), **dates, "flags": list(entry.flags)}
