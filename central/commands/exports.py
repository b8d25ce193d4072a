"""`export`: history as Parquet, lists as CSV."""

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from central.commands.csv_files import csv_options, writing
from central.commands.shell import act, as_json, say, who_option
from central.config import Config
from central.neighbours.tables.lists import LISTS
from central.neighbours.tables.schema import TABLES

DIRECTORY = click.Path(file_okay=False, path_type=Path)
purpose_option = click.option("--purpose", default="", help="What it is for; kept in the audit log.")


@click.group()
def export() -> None:
    """Tables that leave: history as Parquet, and lists that imports read again. `docs/tables.md` has the columns."""


def _history(what: str, about: str) -> click.Command:
    """One table of history, as a command of its own name."""

    def run(settings: Config, /, to: Path, venues: Sequence[str], as_json: bool, **values: Any) -> None:
        id_ = secrets.token_hex(16)
        act(settings, "export.declare", {"id": id_, "what": what, "venues": list(venues), **values})
        say(act(settings, "export.history", {"id": id_, "to": str(to.absolute())}, bar=True), as_json)

    run.__doc__ = (
        f"{about} as Parquet in DIR/{what}/month=…/venue=…, beside a running server; doing it again is safe.\n\n"
        f"Example: tapgate-central export {what} --to /srv/history --since 2026-01 --until 2026-03"
    )
    options: tuple[Callable[[Any], Any], ...] = (
        click.option("--to", required=True, type=DIRECTORY, metavar="DIR", help="Made where it is not there yet."),
        click.option("--since", default="", metavar="YYYY-MM", help="The first month; not given: from the beginning."),
        click.option("--until", default="", metavar="YYYY-MM", help="The last month; not given: to the end."),
        click.option("--venue", "venues", multiple=True, help="May stand several times; not given: all."),
        click.option("--people", is_flag=True, help="With pseudonyms, good within this one export."),
        *(purpose_option, who_option, as_json, click.pass_obj),
    )
    for option in reversed(options):
        run = option(run)
    return click.command(what)(run)


for _name, _about in (
    ("events", "What gates wrote down,"),
    ("visits", "Visits,"),
    ("sessions", "Volunteers' sessions,"),
    ("ledger", "Postings of points,"),
):
    assert _name in TABLES
    export.add_command(_history(_name, _about))


@export.command("list")
@click.argument("what", type=click.Choice(list(LISTS)))
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--domain", default="", help="Of classes, flags and volunteers.")
@click.option("--activity", default="", help="Of registrations.")
@click.option("--class", "class_name", default="", help="Of volunteers: the class that is theirs.")
@csv_options
@purpose_option
@who_option
@as_json
@click.pass_obj
def list_(settings: Config, /, file: Path, encoding: Any, replace: str, as_json: bool, **values: Any) -> None:
    """Write a list to FILE as the table that its import reads: classes (`member classes`), flags (`card flags`), offers
    (`offer import`), registrations (`activity register`), volunteers (`volunteer roster`).

    Example: tapgate-central export list classes classes.csv --domain library --encoding cp950
    """
    id_ = secrets.token_hex(16)
    act(settings, "export.declare", {"id": id_, **values})
    with writing(file, encoding, replace) as out:
        done = act(settings, "export.list", {"id": id_}, bar=True, on_items=out.rows)
    say({**done, "replaced": out.replaced}, as_json)
