"""`rebuild`."""

import sys
from typing import Any

import click

from central.commands.shell import act, as_json, say_json, say_rows
from central.config import Config

SHOWN = "table rows missing wrong"


@click.command()
@click.option("--service", default="", help="One of them alone, or `marks`; not given = all.")
@click.option("--apply", is_flag=True, help="Keep what was computed in place of what stands there.")
@as_json
@click.pass_obj
def rebuild(settings: Config, service: str, apply: bool, as_json: bool) -> None:
    """Compute marks, visits, hours and points again from events and facts, and compare them row by row.

    A difference is an error: exit code 1, and the first row of each table is shown. With --apply the computed rows
    are kept and gates are told everything again; then differences are mended, and the exit code is 0.

    Example: tapgate-central rebuild --service visits
    """
    name = "rebuild.apply" if apply else "rebuild"
    found = act(settings, name, {"service": service}, bar=True)
    if as_json:
        say_json(found)
    else:
        say_rows(found["tables"], as_json, columns=SHOWN)
        for table in found["tables"]:
            _say_first(table)
    if found["different"] and not apply:
        sys.exit(1)


def _say_first(table: dict[str, Any]) -> None:
    for what in ("missing", "wrong"):
        row = table[f"first_{what}"]
        if row is not None:
            click.echo(f"{table['table']}, the first {what}: {', '.join(f'{name}={row[name]}' for name in row)}")
