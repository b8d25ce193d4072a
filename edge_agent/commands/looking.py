"""What an agent holds and would answer, without changing anything: `status`, `decide`."""

import asyncio
import datetime as dt

import click

from edge_agent import config, status
from edge_agent.commands.shell import as_json, fail, not_running, say, with_settings
from edge_agent.identity import IdentityDamaged
from edge_agent.journal.database import ERRORS, StoreDamaged
from edge_agent.journal.store import DATABASE
from edge_agent.preview import preview
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
@as_json
@with_settings
def decide(settings: config.Config, uid: str, at: str | None, notation: str, as_json: bool) -> None:
    """What this gate would answer to a card, without writing anything. Its list counts as fresh then as it is now.

    Example: tapgate-edge decide 2A83155E --at 2026-11-23T09:00 --json
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
        say(preview(settings.data_dir, card, when), as_json)
    except (Refused, IdentityDamaged, FileNotFoundError, StoreDamaged) as error:
        fail(str(error))
