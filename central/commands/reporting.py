"""`overview`, `report`."""

from typing import Any

import click

from central.commands.shell import act, as_json, say, say_json, say_rows, who_option
from central.config import Config

days = (
    click.option("--since", default="", metavar="DATE", help="The first day; not given: four weeks."),
    click.option("--until", default="", metavar="DATE", help="The last day; not given: today."),
)


def _of_days(command: Any) -> Any:
    for option in reversed(days):
        command = option(command)
    return command


@click.command()
@as_json
@click.pass_obj
def overview(settings: Config, as_json: bool) -> None:
    """Venues and gates as they are now, and what needs a person.

    A gate is online, behind (taps wait there, or its list is old), silent, or in alarm.

    Example: tapgate-central overview
    """
    found = act(settings, "overview.show", {})
    if as_json:
        say_json(found)
        return
    for need in found["needs"]:
        click.echo(f"needs a person: {need['number']} {need['what'].replace('-', ' ')}")
    say_rows(found["venues"], False, "There is no venue yet: `venue add`.", "venue state inside taps denied gates")
    if found["gates"]:
        click.echo()
        say_rows(found["gates"], False, columns="gate venue state reasons backlog taps_per_minute seen_ms")


@click.group()
def report() -> None:
    """Visits, peaks, denials and devices over time.

    Example: tapgate-central report visits --by month --split class
    """


@report.command("visits")
@click.option("--venue", default="", help="Not given: all.")
@_of_days
@click.option(
    "--by", type=click.Choice(["hour", "weekday", "day", "month", "venue", "all"]), default="day", show_default=True
)
@click.option("--split", type=click.Choice(["venue", "class"]), help="A line for each venue or class.")
@as_json
@click.pass_obj
def visits(settings: Config, /, split: str | None, as_json: bool, **values: Any) -> None:
    """Visits by the hour or day of entry.

    By class, whole months are counted, and counts of 1 to 4 are hidden, with others that they could be computed from.

    Example: tapgate-central report visits --venue sports-1 --since 2026-03-01 --until 2026-03-31
    """
    found = act(settings, "report.visits", {**values, "split": split or ""})
    if as_json:
        say_json(found)
        return
    rows = [row | {"visits": _shown(row)} for row in found["rows"]]
    columns = "label visits by_hand without_exit peak" if not split else "label part visits"
    say_rows(rows, False, "Nobody came, as far as this server knows.", columns)


def _shown(row: dict[str, Any]) -> str:
    return str(row["visits"]) if not row["hidden"] else {"small": "<5", "beside": "*"}[row["hidden"]]


@report.command("peaks")
@click.option("--venue", default="", help="Not given: all.")
@_of_days
@as_json
@click.pass_obj
def peaks(settings: Config, /, as_json: bool, **values: Any) -> None:
    """The busiest hours, and how many were inside at once.

    Example: tapgate-central report peaks --venue sports-1
    """
    found = act(settings, "report.peaks", values)
    if as_json:
        say_json(found)
        return
    say_rows(found["hours"], False, "Nobody came, as far as this server knows.")
    if found["peaks"]:
        click.echo()
        say_rows(found["peaks"], False)


@report.command("denials")
@click.option("--venue", default="", help="Not given: all.")
@click.option("--gate", default="", help="Not given: all.")
@_of_days
@click.option(
    "--by",
    type=click.Choice(["reason", "gate", "venue", "hour", "day", "month"]),
    default="reason",
    show_default=True,
)
@as_json
@click.pass_obj
def denials(settings: Config, /, as_json: bool, **values: Any) -> None:
    """Taps, and why they were denied.

    Example: tapgate-central report denials --gate sports-1-door --by day
    """
    found = act(settings, "report.denials", values)
    if as_json:
        say_json(found)
    else:
        say_rows(found["rows"], False, "Nobody was denied, as far as this server knows.")


@report.command("devices")
@click.option("--venue", default="", help="Not given: all.")
@click.option("--gate", default="", help="Not given: all.")
@click.option("--since", default="", metavar="DATE", help="The first day; not given: a week.")
@click.option("--until", default="", metavar="DATE", help="The last day; not given: today.")
@as_json
@click.pass_obj
def devices(settings: Config, /, as_json: bool, **values: Any) -> None:
    """For how much of the time devices were online, and how often they fell silent.

    Example: tapgate-central report devices --since 2026-03-01 --until 2026-03-07
    """
    found = act(settings, "report.devices", values)
    if as_json:
        say_json(found)
        return
    rows = [each | {"online": "–" if each["online"] is None else f"{each['online']:.1%}"} for each in found["devices"]]
    say_rows(rows, False, "No device was enrolled yet: `device invite`.", "device gate venue online silences")


@report.command("recount")
@click.option("--venue", default="", help="Not given: all.")
@_of_days
@who_option
@as_json
@click.pass_obj
def recount(settings: Config, /, as_json: bool, **values: Any) -> None:
    """Count the visits of days again, by the classes that members have now.

    Example: tapgate-central report recount --since 2026-03-01 --until 2026-03-31
    """
    say(act(settings, "report.recount", values, bar=True), as_json)
