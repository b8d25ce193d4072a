"""`audit`."""

from functools import partial
from typing import Any

import click

from central.commands.custody import Instant
from central.commands.shell import act, as_json, fail, say_json, say_problems, say_rows
from central.config import Config

NONE = "Nothing was asked for that fits."
COLUMNS = "number at_ms account origin action target outcome why"


@click.group()
def audit() -> None:
    """Who asked for what, from where, and what became of it. Appended to, never changed."""


@audit.command("list")
@click.option("--account", default="", help="Only what this account asked for.")
@click.option("--action", default="", help="Only this action, such as card.block.")
@click.option("--target", default="", help="Only what was about this.")
@click.option(
    "--kind", type=click.Choice(["", "changes", "refused", "looks", "signing"]), default="", help="Only such."
)
@click.option("--since", type=Instant(), default=0, help="From this time on.")
@click.option("--until", type=Instant(), default=0, help="Before this time.")
@click.option("--before", type=click.IntRange(min=0), default=0, help="Older than this number: the next page.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="The newest so many.")
@as_json
@click.pass_obj
def list_(settings: Config, /, since: int, until: int, as_json: bool, **values: Any) -> None:
    """What was asked for, the newest first. With --json also what was different before and after.

    Example: tapgate-central audit list --account lin --since 2026-01-31
    """
    found = act(settings, "audit.list", {**values, "since_ms": since, "until_ms": until})
    say_rows(found["entries"], as_json, NONE, COLUMNS)
    if found["more"] and not as_json:
        click.echo(f"More: --before {found['entries'][-1]['number']}", err=True)


@audit.command("verify")
@as_json
@click.pass_obj
def verify(settings: Config, as_json: bool) -> None:
    """Check the chain of the whole log. 0 = whole, 1 = what is wrong, a line each.

    Keep the newest number and head elsewhere: rows cut off at the end are found by nothing else.

    Example: tapgate-central audit verify
    """

    result = act(settings, "audit.verify", {}, bar=True, on_items=partial(say_problems, as_json=as_json))
    if as_json:
        say_json({"whole": not result["problems"], **result})
    else:
        whole = "Whole" if not result["problems"] else "NOT whole"
        click.echo(f"{whole}: {result['rows']:,} rows, newest {result['newest']}, head {result['head']}.")
    if result["problems"]:
        fail(f"{result['problems']} things are not whole")
