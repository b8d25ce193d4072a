"""`token`."""

from typing import Any

import click

from central.access.rules import SCOPES
from central.commands.shell import act, as_json, say, say_json, say_rows
from central.config import Config

NONE = "No token yet: `tapgate-central token issue ID --account NAME --days 90` lets a system in."


@click.group()
def token() -> None:
    """What systems get into the API with: `Authorization: Bearer tapgate_…`."""


@token.command("issue")
@click.argument("token_id", metavar="ID")
@click.option("--account", required=True, help="Whose roles, venues and teams bound it.")
@click.option("--days", type=click.IntRange(1, 366), required=True, help="How long it is good.")
@click.option("--action", "actions", multiple=True, help="Only this action; may be given again. None = all it may.")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(sorted(SCOPES)),
    multiple=True,
    help="In place of actions: what another city system is for, in the whole city.",
)
@as_json
@click.pass_obj
def issue(settings: Config, /, token_id: str, as_json: bool, **values: Any) -> None:
    """Let a system in as an account. The token is printed this once.

    Example: tapgate-central token issue hr-system --account hr --days 90 --action card.block --action card.find
    """
    values |= {"id": token_id}
    result = act(settings, "token.issue", values)
    if as_json:
        say_json(result)
        return
    click.echo(result["token"])
    click.echo("It is shown this once: put it where the system reads it, and nowhere else.", err=True)


@token.command("list")
@click.option("--account", default="", help="Only of one account.")
@as_json
@click.pass_obj
def list_(settings: Config, account: str, as_json: bool) -> None:
    """Which systems may get in, and when they last did.

    Example: tapgate-central token list
    """
    found: list[dict[str, Any]] = []
    more = True
    while more:
        after = found[-1]["id"] if found else ""
        page = act(settings, "token.list", {"account": account, "after": after, "limit": 500})
        found, more = [*found, *page["tokens"]], page["more"]
    say_rows(found, as_json, NONE)


@token.command("revoke")
@click.argument("token_id", metavar="ID")
@as_json
@click.pass_obj
def revoke(settings: Config, token_id: str, as_json: bool) -> None:
    """From now on it lets nobody in.

    Example: tapgate-central token revoke hr-system
    """
    say(act(settings, "token.revoke", {"id": token_id}), as_json)
