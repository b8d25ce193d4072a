"""`incident`: what happened to personal data, who was told of it, and how much time is left for that."""

from typing import Any

import click

from central.commands.shell import act, as_json, say, say_rows, who_option
from central.config import Config
from central.privacy.incidents import WHOM

INCIDENTS = "id what device tell_by_ms left_ms untold closed_ms"


@click.group()
def incident() -> None:
    """Incidents with personal data, and the 72 hours to tell of them."""


@incident.command("open")
@click.argument("what")
@click.option("--learned", default="now", show_default=True, help="When, as a local time: 2026-02-03T09:00.")
@click.option("--device", default="", help="The device that was lost, if it was one.")
@who_option
@as_json
@click.pass_obj
def incident_open(settings: Config, /, as_json: bool, **values: Any) -> None:
    """Write down what happened, without names. An alert is raised when a day is left and somebody was not told.

    Example: tapgate-central incident open "door-1 was stolen" --device library-1-door-7f3a --learned 2026-02-03T09:00
    """
    say(act(settings, "incident.open", values), as_json)


@incident.command("list")
@click.option("--closed", is_flag=True, help="Those that are over, too.")
@as_json
@click.pass_obj
def incident_list(settings: Config, closed: bool, as_json: bool) -> None:
    """Who has still to be told of what, and how much time is left.

    Example: tapgate-central incident list
    """
    found = act(settings, "incident.list", {"closed": closed})["incidents"]
    say_rows(found, as_json, "Nothing is open.", INCIDENTS)


@incident.command("told")
@click.argument("id", metavar="INCIDENT")
@click.argument("whom", type=click.Choice(WHOM))
@click.option("--when", default="now", show_default=True, help="As a local time: 2026-02-03T09:00.")
@click.option("--note", default="", help="How, or under which number.")
@who_option
@as_json
@click.pass_obj
def incident_told(settings: Config, /, as_json: bool, **values: Any) -> None:
    """The authority, or those concerned, were told.

    Example: tapgate-central incident told i1795399200000 authority --note "letter 115-42"
    """
    say(act(settings, "incident.told", values), as_json)


@incident.command("close")
@click.argument("id", metavar="INCIDENT")
@click.option("--why", required=True, help="What came of it; why nobody had to be told, if nobody was.")
@who_option
@as_json
@click.pass_obj
def incident_close(settings: Config, /, as_json: bool, **values: Any) -> None:
    """It is over.

    Example: tapgate-central incident close i1795399200000 --why "found again, unopened"
    """
    say(act(settings, "incident.close", values), as_json)
