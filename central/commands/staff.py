"""`staff`."""

import sys
from pathlib import Path

import click

from central.commands.shell import act, as_json, fail, say_json, say_rows
from central.config import Config

NONE = "No staff yet: `tapgate-central staff add VENUE ID` lets somebody admit by hand."


@click.group()
def staff() -> None:
    """Who may admit by hand at a venue's gates, or close them, with a PIN and a reason: where `screen.staff_admit` and
    `screen.staff_close` offer it."""


@staff.command("add")
@click.argument("venue")
@click.argument("staff_id", metavar="ID")
@click.option("--title", default="", help="What people call the person; stays here.")
@click.option(
    "--pin-file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="Where the PIN stands, `-` for standard input; not given = asked for twice, unseen.",
)
@click.option("--replace", is_flag=True, help="Give a person who is there already a new PIN.")
@as_json
@click.pass_obj
def add(
    settings: Config, /, venue: str, staff_id: str, title: str, pin_file: Path | None, replace: bool, as_json: bool
) -> None:
    """Let a person admit by hand. The PIN has 6 to 12 digits, and nobody can read it back.

    Example: tapgate-central staff add library-1 lin --title 林館員
    """
    values = {"venue": venue, "id": staff_id, "title": title, "pin": _pin(pin_file), "replace": replace}
    _say(act(settings, "staff.add", values), as_json)


@staff.command("list")
@click.argument("venue", default="")
@as_json
@click.pass_obj
def list_(settings: Config, venue: str, as_json: bool) -> None:
    """Who may admit by hand, at one venue or all.

    Example: tapgate-central staff list library-1
    """
    say_rows(act(settings, "staff.list", {"venue": venue})["staff"], as_json, NONE)


@staff.command("remove")
@click.argument("venue")
@click.argument("staff_id", metavar="ID")
@as_json
@click.pass_obj
def remove(settings: Config, venue: str, staff_id: str, as_json: bool) -> None:
    """Take the right to admit away; connected gates know at once.

    Example: tapgate-central staff remove library-1 lin
    """
    _say(act(settings, "staff.remove", {"venue": venue, "id": staff_id}), as_json)


def _pin(path: Path | None) -> str:
    """Never an argument: those stand in the process list and in the shell's history."""
    if path is None:
        return str(click.prompt("PIN", hide_input=True, confirmation_prompt=True, err=True))
    try:
        text = sys.stdin.readline() if str(path) == "-" else path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        fail(f"{path}: no PIN can be read from it")
    return text.strip()


def _say(result: dict[str, object], as_json: bool) -> None:
    if as_json:
        say_json(result)
        return
    gates, not_offered = result["gates"], result["not_offered"]
    assert isinstance(gates, list)
    assert isinstance(not_offered, list)
    click.echo(f"Published to {', '.join(gates)}." if gates else "No gate had to be told.")
    if not_offered:
        click.echo(
            f"Staff cannot admit at {', '.join(not_offered)}: see `gate config put`, screen.staff_admit, staff_close."
        )
