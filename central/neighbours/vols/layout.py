"""The ministry's tables as data: columns, codes and titles, in a file beside this one or in the city's own."""

import re
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

SHIPPED = Path(__file__).with_name("layout.toml")
MOST_ROWS = 65_535
"""A sheet of BIFF8 has one more, and the header takes it."""

Value = Literal[
    "name",
    "identity",
    "first_day",
    "last_day",
    "item",
    "content",
    "hours",
    "minutes",
    "people",
    "transport",
    "meal",
    "area",
    "remark",
    "people_abroad",
    "people_home",
    "fixed",
]
Text = Annotated[str, Meta(max_length=200)]
RosterColumn = Literal["number", "identity", "name", "member", "since", "until"]


class LayoutFault(Exception):
    """A file that is no layout. The text names the file and the place in it."""


class _Map(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Column(_Map, frozen=True):
    """One column of the table of hours. `fixed`: what stands in it where `value` says so."""

    title: Annotated[str, Meta(min_length=1, max_length=200)]
    value: Value
    fixed: Text = ""
    number: bool = False
    needed: bool = False
    pattern: Text = ""
    codes: Text = ""


class Roster(_Map, frozen=True):
    """The list of volunteers: where its header is, and by which titles a column goes."""

    titles: dict[RosterColumn, tuple[Text, ...]]
    header_row: Annotated[int, Meta(ge=1, le=100)] = 4


class Layout(_Map, frozen=True):
    """Both tables. `encoding`: what cannot be written in it is left out; empty: nothing is for that reason."""

    sheet: Annotated[str, Meta(min_length=1, max_length=31)]
    columns: Annotated[tuple[Column, ...], Meta(min_length=1, max_length=256)]
    roster: Roster
    most_rows: Annotated[int, Meta(ge=1, le=MOST_ROWS)] = MOST_ROWS
    encoding: Text = ""
    codes: dict[str, dict[str, str]] = {}


@lru_cache(maxsize=8)
def read_layout(path: Path | None = None) -> Layout:
    """The city's, or the one that is shipped. Raises LayoutFault."""
    path = path or SHIPPED
    try:
        layout = msgspec.toml.decode(path.read_bytes(), type=Layout)
        _check(layout)
    except (msgspec.MsgspecError, UnicodeDecodeError, OSError, ValueError) as error:
        raise LayoutFault(f"{path}: {error}") from None
    return layout


def _check(layout: Layout) -> None:
    for column in layout.columns:
        if column.codes and column.codes not in layout.codes:
            raise ValueError(f"column {column.title!r}: there is no table of codes {column.codes!r}")
        try:
            re.compile(column.pattern)
        except re.error as error:
            raise ValueError(f"column {column.title!r}: {column.pattern!r} is no pattern ({error})") from None
    try:
        "".encode(layout.encoding or "utf-8")
    except LookupError:
        raise ValueError(f"there is no encoding {layout.encoding!r}") from None
