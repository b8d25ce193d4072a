"""What an agent holds and would answer, without changing anything: `status`, `decide`."""

import asyncio
import datetime as dt

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from edge_agent import config, status
from edge_agent.commands.shell import as_json, fail, not_running, say, with_settings
from edge_agent.identity import IdentityDamaged
from edge_agent.journal.database import ERRORS, StoreDamaged
from edge_agent.journal.store import DATABASE
from edge_agent.preview import Elsewhere, preview
from protocol.errors import Refused
from protocol.uid import Notation, parse


@click.command("status")
@as_json
@with_settings
def show_status(settings: config.Config, as_json: bool) -> None:
    """What the agent holds, has delivered, and can reach.

    Example: tapgate-edge status --json
    """
    answer = asyncio.run(status.ask(settings.data_dir))
    if answer is None:
        try:
            answer = status.of_stopped(settings.data_dir)
        except (IdentityDamaged, OSError) as error:
            fail(str(error))
        except (*ERRORS, TypeError, ValueError) as error:
            fail(f"{settings.data_dir / DATABASE}: {error}")
        answer["readers"] = not_running(settings)
    say(answer, as_json)


@click.command()
@click.argument("uid")
@click.option("--at", help="ISO time to decide at, with or without zone (default: the gate's); default now.")
@click.option("--notation", type=click.Choice([n.value for n in Notation]), default="hex", show_default=True)
@click.option("--choice", default="", metavar="RULE", help="As if this rule had been chosen on the screen before.")
@click.option("--explain", is_flag=True, help="Also each rule that was tried, and why it did or did not apply.")
@as_json
@with_settings
def decide(
    settings: config.Config, uid: str, at: str | None, notation: str, choice: str, explain: bool, as_json: bool
) -> None:
    """What this gate would answer to a card, without writing anything, after the taps that it knows of.

    Its list counts as fresh then as it is now. What happened at other gates is known while the agent runs and is in
    contact; else rules that ask for it are answered as at a gate that is apart.

    Example: tapgate-edge decide 2A83155E --at 2026-11-23T09:00 --explain
    """
    try:
        when = dt.datetime.fromisoformat(at) if at else dt.datetime.now(dt.UTC)
    except ValueError:
        raise click.BadParameter(f"{at!r} is not an ISO time such as 2026-11-23T09:00", param_hint="--at") from None
    try:
        card = parse(uid, Notation(notation))
    except Refused as error:
        raise click.BadParameter(error.detail, param_hint="UID") from None
    try:
        answer = preview(settings.data_dir, card, when, _elsewhere(settings), choice)
    except (Refused, IdentityDamaged, FileNotFoundError, StoreDamaged) as error:
        fail(str(error))
    tried = answer.pop("tried")
    if as_json:
        say(answer | ({"tried": tried} if explain else {}), as_json)
        return
    say(answer, as_json)
    if explain:
        _show(tried)


def _elsewhere(settings: config.Config) -> Elsewhere:
    found = asyncio.run(status.ask(settings.data_dir))
    if found is None:
        return Elsewhere()
    return Elsewhere(found.get("apart") is not False, found.get("venue_inside"))


def _show(tried: list[dict[str, str]]) -> None:
    """Rule by rule, in the order in which they were tried."""
    click.echo()
    if not tried:
        click.echo("No rule was tried: what stands above was decided before them.")
        return
    table = Table("rule", "outcome", "why", box=None, padding=(0, 2, 0, 0))
    for each in tried:
        table.add_row(escape(each["rule"]), each["outcome"], escape(each["why"]))
    Console(soft_wrap=True).print(table)
