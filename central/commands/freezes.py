"""`freeze`."""

from typing import Any

import click

from central.commands.custody import Instant
from central.commands.shell import act, as_json, say, say_rows, who_option
from central.config import Config

LISTED = "id venue days span from_ms until_ms frozen_until_ms why"


@click.group()
def freeze() -> None:
    """Times in which no policy and no configuration is published; blocks and closures never wait."""


@freeze.command("put")
@click.argument("freeze_id", metavar="FREEZE")
@click.option("--venue", default="", help="Only at this venue; not given: the whole city.")
@click.option("--days", default="", help="Weekly: weekdays, separated by commas (mon,tue,wed,thu,fri,sat,sun).")
@click.option("--span", default="00:00-24:00", show_default=True, help="Weekly: the hours, local; 22:00-26:00 runs on.")
@click.option("--time-zone", default="", help="Not given: the venue's.")
@click.option("--from", "from_ms", type=Instant(), default=0, help="Dated: the first moment.")
@click.option("--until", "until_ms", type=Instant(), default=0, help="Dated: excluded.")
@click.option("--why", required=True, help="Why; whoever is kept back reads it.")
@who_option
@as_json
@click.pass_obj
def freeze_put(settings: Config, /, freeze_id: str, days: str, as_json: bool, **values: Any) -> None:
    """State a freeze, or another time of one.

    Example: tapgate-central freeze put weekends --days sat,sun --why "nobody is there to look"
    """
    named = list(filter(None, map(str.strip, days.split(","))))
    say_rows(act(settings, "freeze.put", {"id": freeze_id, "days": named, **values})["freezes"], as_json)


@freeze.command("list")
@click.option("--venue", default="", help="Only those that bear on a venue.")
@click.option("--all", "all_", is_flag=True, help="Also those that are over.")
@as_json
@click.pass_obj
def freeze_list(settings: Config, venue: str, all_: bool, as_json: bool) -> None:
    """Freezes by name, and which of them hold now.

    Example: tapgate-central freeze list
    """
    listed = act(settings, "freeze.list", {"venue": venue, "all": all_})["freezes"]
    say_rows(listed, as_json, "No freeze: `tapgate-central freeze put`.", LISTED)


@freeze.command("remove")
@click.argument("freeze_id", metavar="FREEZE")
@who_option
@as_json
@click.pass_obj
def freeze_remove(settings: Config, freeze_id: str, who: str, as_json: bool) -> None:
    """Take a freeze away; what waited for its end goes on.

    Example: tapgate-central freeze remove weekends
    """
    say(act(settings, "freeze.remove", {"id": freeze_id, "who": who}), as_json)
