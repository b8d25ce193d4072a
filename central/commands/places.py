"""`domain`, `venue`, `gate`, `policy`."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import click

from central.commands.shell import (
    act,
    as_json,
    despite_option,
    readable,
    say,
    say_json,
    say_rows,
    table_in,
    who_option,
)
from central.config import Config
from protocol.time_zones import CITY_ZONE

HOUR_MS = 3_600_000
SHOWN = "id venue kind direction passage policy devices"


@click.group()
def domain() -> None:
    """Venues within which a person is recognisable: one key, one list."""


@domain.command("add")
@click.argument("domain_id", metavar="DOMAIN")
@click.option("--title", default="", help="What people call it.")
@as_json
@click.pass_obj
def domain_add(settings: Config, domain_id: str, title: str, as_json: bool) -> None:
    """Add a domain, with a key of its own and an empty list.

    Example: tapgate-central domain add library --title 圖書館
    """
    say(act(settings, "domain.add", {"id": domain_id, "title": title}), as_json)


@domain.command("list")
@as_json
@click.pass_obj
def domain_list(settings: Config, as_json: bool) -> None:
    """Domains and how many members each has.

    Example: tapgate-central domain list --json
    """
    say_rows(act(settings, "domain.list", {})["rows"], as_json, "No domain yet: `tapgate-central domain add`.")


closes_at_option = partial(
    click.option, "--closes-at", metavar="HH:MM", help="When it closes, local time; 24:00 is midnight."
)


@click.group()
def venue() -> None:
    """Places with gates: a branch library, a sports centre."""


@venue.command("add")
@click.argument("venue_id", metavar="VENUE")
@click.option("--domain", required=True, help="The domain that it belongs to.")
@click.option("--title-zh", default="")
@click.option("--title-en", default="")
@click.option("--time-zone", default=CITY_ZONE, show_default=True)
@closes_at_option(default="24:00", show_default=True)
@as_json
@click.pass_obj
def venue_add(settings: Config, /, venue_id: str, as_json: bool, **values: Any) -> None:
    """Add a venue.

    Example: tapgate-central venue add library-1 --domain library --title-zh 總館
    """
    say(act(settings, "venue.add", {"id": venue_id, **values}), as_json)


@venue.command("set")
@click.argument("venue_id", metavar="VENUE")
@closes_at_option(required=True)
@who_option
@as_json
@click.pass_obj
def venue_set(settings: Config, venue_id: str, closes_at: str, who: str, as_json: bool) -> None:
    """Set when a venue closes: who is still inside then, is not any more, and the exit is unknown.

    It holds for whoever comes in from now on; visits before it stay as they were.

    Example: tapgate-central venue set sports-1 --closes-at 22:30
    """
    say(act(settings, "venue.set", {"id": venue_id, "closes_at": closes_at, "who": who}), as_json)


@venue.command("list")
@as_json
@click.pass_obj
def venue_list(settings: Config, as_json: bool) -> None:
    """Venues.

    Example: tapgate-central venue list
    """
    say_rows(act(settings, "venue.list", {})["rows"], as_json, "No venue yet: `tapgate-central venue add`.")


@click.group()
def gate() -> None:
    """Access points of a venue: a door, a turnstile, a kiosk, a counter."""


@gate.command("add")
@click.argument("gate_id", metavar="GATE")
@click.option("--venue", required=True, help="The venue that it stands in.")
@click.option("--policy", required=True, help="The policy that it goes by.")
@click.option("--kind", type=click.Choice(["door", "turnstile", "kiosk", "counter"]), default="door", show_default=True)
@click.option("--direction", type=click.Choice(["in", "out"]), default="in", show_default=True)
@click.option("--title-zh", default="")
@click.option("--title-en", default="")
@click.option("--warn-h", default=24, show_default=True, help="Hours without word from the server until it warns.")
@click.option("--restrict-h", default=168, show_default=True, help="… until only restricted classes enter.")
@click.option("--close-h", default=720, show_default=True, help="… until nobody enters.")
@as_json
@click.pass_obj
def gate_add(
    settings: Config, /, gate_id: str, as_json: bool, warn_h: int, restrict_h: int, close_h: int, **values: Any
) -> None:
    """Add a gate.

    Example: tapgate-central gate add library-1-door --venue library-1 --policy library --kind door
    """
    ages = {"warn_ms": warn_h * HOUR_MS, "restrict_ms": restrict_h * HOUR_MS, "close_ms": close_h * HOUR_MS}
    say(act(settings, "gate.add", {"id": gate_id, **values, **ages}), as_json)


@gate.command("list")
@as_json
@click.pass_obj
def gate_list(settings: Config, as_json: bool) -> None:
    """Gates, the policy that each goes by, and how many devices serve it. For the rest see `gate config show`.

    Example: tapgate-central gate list
    """
    say_rows(act(settings, "gate.list", {})["rows"], as_json, "No gate yet: `tapgate-central gate add`.", SHOWN)


@click.group()
def policy() -> None:
    """Who may enter when: rules, schedules and a calendar, as a file."""


choices_option = click.option(
    "--choices", is_flag=True, help="People choose one of its admitting rules on a screen; so it is at kiosks anyway."
)


@policy.command("put")
@click.argument("policy_id", metavar="POLICY")
@click.argument("file", type=readable)
@choices_option
@despite_option
@as_json
@click.pass_obj
def policy_put(settings: Config, policy_id: str, file: Path, choices: bool, despite_freeze: str, as_json: bool) -> None:
    """Put the policy in FILE (TOML or JSON) in force at every gate that goes by it.

    \b
    Example: tapgate-central policy put library library.toml
    where library.toml is:
        rules = [{kind = "admit", id = "members", classes = ["citizen"], schedule = "open"}]
        [schedules.open]
        mon = ["08:00-21:00"]
    """
    body = table_in(file, "a policy")
    values = {"id": policy_id, "body": body, "choices": choices, "despite_freeze": despite_freeze}
    say(act(settings, "policy.put", values), as_json)


@policy.command("show")
@click.argument("policy_id", metavar="POLICY")
@click.option("--version", default=0, help="An older one; not given: the one in force everywhere.")
@as_json
@click.pass_obj
def policy_show(settings: Config, policy_id: str, version: int, as_json: bool) -> None:
    """The version in force, as JSON that `policy put` takes back.

    Example: tapgate-central policy show library > library.json
    """
    shown = act(settings, "policy.show", {"id": policy_id, "version": version})
    if as_json:
        say_json(shown)
    else:
        click.echo(json.dumps(shown["body"], indent=2, ensure_ascii=False))


@policy.command("calendar")
@click.argument("policy_ids", metavar="POLICY...", nargs=-1, required=True)
@click.option("--file", "file", type=readable, help="The year's table: 西元日期, 是否放假 (0 or 2), 備註.")
@click.option("--country", default="TW", show_default=True, help="Without a table: whose public holidays.")
@click.option("--year", "years", multiple=True, type=int, help="Without a table: which years.")
@despite_option
@as_json
@click.pass_obj
def policy_calendar(
    settings: Config, /, policy_ids: tuple[str, ...], file: Path | None, as_json: bool, **given: Any
) -> None:
    """Load public holidays and make-up workdays into policies, in place of what they had of those years.

    Example: tapgate-central policy calendar library pool --file 115.csv
    """
    say(act(settings, "policy.calendar", {"policies": policy_ids, **given}, file=file), as_json)
