"""`rollout`."""

from pathlib import Path
from typing import Any

import click

from central.commands.custody import Instant
from central.commands.shell import (
    act,
    as_json,
    despite_option,
    readable,
    say_json,
    say_page,
    say_rows,
    table_in,
    text_of,
    who_option,
)
from central.config import Config

LISTED = "id policy gates state title first_gates who created_ms"
OF_GATES = "gate venue is_first progress wanted"
OF_STEPS = "at_ms what who why"

why_option = click.option("--why", default="", help="Why; it is kept with the rollout.")


@click.group()
def rollout() -> None:
    """Publishing at chosen gates first, then at all: by itself, by date, halted where denials jump."""


@rollout.command("start")
@click.argument("file", type=readable)
@click.option("--policy", default="", help="FILE is this policy.")
@click.option("--gate", "gates", multiple=True, help="FILE is a change of this gate's configuration. Repeatable.")
@click.option("--venue", default="", help="FILE is a change of the configuration of all gates of a venue.")
@click.option("--first", multiple=True, help="A gate that gets it first. Repeatable; none: all get it at once.")
@click.option("--title", default="", help="What it is, for people.")
@click.option("--at", "not_before_ms", type=Instant(), default=0, help="Not before then; not given: now.")
@click.option(
    "--soak-minutes", default=60, show_default=True, help="So long the first gates hold it before it goes on."
)
@click.option("--by-hand", is_flag=True, help="It goes on when somebody says so (`rollout go-on`).")
@click.option("--halt-points", default=10, show_default=True, help="Halt at so many more denied of 100 taps; 0: never.")
@click.option("--halt-taps", default=30, show_default=True, help="Judge from so many taps on.")
@click.option(
    "--back/--no-back", "goes_back", default=True, help="Where it halts by itself, the old content comes back."
)
@click.option("--choices", is_flag=True, help="Of a policy: people choose one of its rules on a screen.")
@click.option("--draft", is_flag=True, help="Only write it down.")
@despite_option
@who_option
@as_json
@click.pass_obj
def start(settings: Config, /, file: Path, as_json: bool, **values: Any) -> None:
    """Publish the policy or the change of configurations in FILE (TOML or JSON) by stages.

    It goes on to all gates once the first ones have held it for the soak time and tried it with enough taps. It halts
    where a first gate cannot take it up, or where denials jump against the same hours of the week before.

    \b
    Example: tapgate-central rollout start pool.toml --policy pool --first pool-1-door --title "Summer hours"
    """
    body = table_in(file, "a policy" if values["policy"] else "a configuration")
    _say(act(settings, "rollout.start", values | {"body": body}), as_json)


@rollout.command("list")
@click.option("--state", default="", help="Only those in a state; `open`: all that are not over.")
@click.option("--policy", default="", help="Only those of a policy.")
@click.option("--gate", default="", help="Only those that are for a gate.")
@click.option("--after", default="", help="`next` of the page before.")
@as_json
@click.pass_obj
def list_(settings: Config, /, as_json: bool, **values: Any) -> None:
    """Rollouts, the newest first.

    Example: tapgate-central rollout list --state open
    """
    listed = act(settings, "rollout.list", values)
    say_page(listed, "rollouts", as_json, "No rollout: `tapgate-central rollout start`.", LISTED)


@rollout.command("show")
@click.argument("rollout_id", metavar="ROLLOUT")
@as_json
@click.pass_obj
def show(settings: Config, rollout_id: str, as_json: bool) -> None:
    """How far it is, which gates hold it, which cannot, and what it waits for.

    Example: tapgate-central rollout show 01a2b3c4d5e6f7a8b9c0d1
    """
    _say(act(settings, "rollout.show", {"id": rollout_id}), as_json)


@rollout.command("go-on")
@click.argument("rollout_id", metavar="ROLLOUT")
@why_option
@despite_option
@who_option
@as_json
@click.pass_obj
def go_on(settings: Config, /, rollout_id: str, as_json: bool, **values: Any) -> None:
    """The next stage at once: begin a draft, go from the first gates to all, go on from a halt.

    Example: tapgate-central rollout go-on 01a2b3c4d5e6f7a8b9c0d1
    """
    _say(act(settings, "rollout.go-on", {"id": rollout_id, **values}), as_json)


@rollout.command("halt")
@click.argument("rollout_id", metavar="ROLLOUT")
@click.option("--back/--no-back", default=True, show_default=True, help="The old content is in force again.")
@why_option
@who_option
@as_json
@click.pass_obj
def halt(settings: Config, /, rollout_id: str, as_json: bool, **values: Any) -> None:
    """Stop it; no freeze delays that.

    Example: tapgate-central rollout halt 01a2b3c4d5e6f7a8b9c0d1 --why "seniors are turned away"
    """
    _say(act(settings, "rollout.halt", {"id": rollout_id, **values}), as_json)


@rollout.command("back")
@click.argument("rollout_id", metavar="ROLLOUT")
@why_option
@who_option
@as_json
@click.pass_obj
def back(settings: Config, /, rollout_id: str, as_json: bool, **values: Any) -> None:
    """Put the content of before in force again, as newer, wherever it was put.

    Example: tapgate-central rollout back 01a2b3c4d5e6f7a8b9c0d1 --why "the old hours hold until June"
    """
    _say(act(settings, "rollout.back", {"id": rollout_id, **values}), as_json)


@rollout.command("withdraw")
@click.argument("rollout_id", metavar="ROLLOUT")
@why_option
@who_option
@as_json
@click.pass_obj
def withdraw(settings: Config, /, rollout_id: str, as_json: bool, **values: Any) -> None:
    """Give up one that is not published anywhere yet.

    Example: tapgate-central rollout withdraw 01a2b3c4d5e6f7a8b9c0d1
    """
    _say(act(settings, "rollout.withdraw", {"id": rollout_id, **values}), as_json)


def _say(shown: dict[str, Any], as_json: bool) -> None:
    if as_json:
        return say_json(shown)
    of = f"policy {shown['policy']}" if shown["policy"] else "configurations"
    click.echo(f"{shown['id']}  {of}  {shown['state']}{': ' + shown['why'] if shown['why'] else ''}")
    until = f" until {text_of('until_ms', shown['waits_until_ms'])}" if shown["waits_until_ms"] else ""
    click.echo(f"waits for {shown['waits']}{until} {shown['waits_why']}".rstrip())
    for name in ("before", "since"):
        click.echo(f"{name}: {shown[name]['denied']} of {shown[name]['taps']} taps denied")
    say_rows(shown["gates"], False, "It is for no gate.", OF_GATES)
    say_rows(shown["steps"], False, "", OF_STEPS)
    return None
