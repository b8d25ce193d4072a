"""What venues and teams are called in the language of the page, and in which zone a venue's times are shown."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from central.console.page import Asking


class Venue(NamedTuple):
    """A venue as a page names it."""

    id: str
    title: str
    zone: str


def title_of(row: Mapping[str, Any], lang: str) -> str:
    """Its title in the language, or in the other one, or its name."""
    titles = [row.get("title_zh"), row.get("title_en")]
    if lang == "en":
        titles.reverse()
    return str(titles[0] or titles[1] or row["id"])


async def venues_of(ask: Asking) -> dict[str, Venue]:
    """Those that the caller may see, by name. Nothing for whoever may see none."""
    if not ask.may("venue.list"):
        return {}
    rows = (await ask("venue.list")).rows
    return {str(row["id"]): Venue(str(row["id"]), title_of(row, ask.lang), str(row["time_zone"])) for row in rows}


def choices(first: str, found: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Options of a field: one for none of them, then each by its title and its name."""
    named = [(value, title if title == value else f"{title} ({value})") for value, title in found]
    return [("", first), *named]
