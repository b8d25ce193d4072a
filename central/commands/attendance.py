"""`volunteer`: teams and rules, lists of sessions, and a team's month."""

import json
from pathlib import Path
from typing import Any

import click

from central.commands.paged import whole
from central.commands.shell import act, as_json, readable, say, say_json, say_rows, table_in, who_option
from central.config import Config

SHOWN = "session member team month in_ms out_ms minutes state why"
IN_REVIEW = "session member team in_ms out_ms shift_end_ms why"


@click.group()
def volunteer() -> None:
    """Volunteers' hours: sessions out of taps, review, months, certificates."""


# --- teams and rules ----------------------------------------------------------------------------------------------


@volunteer.group()
def team() -> None:
    """Who serves where, in which shifts, and who coordinates."""


@team.command("put")
@click.argument("team_id", metavar="TEAM")
@click.argument("file", type=readable)
@click.option(
    "--valid-from", default="", metavar="DATE", help="Judge signings since that day by it; not given: from now on."
)
@who_option
@as_json
@click.pass_obj
def team_put(settings: Config, /, team_id: str, file: Path, as_json: bool, **values: Any) -> None:
    """Put the team in FILE (TOML or JSON) in force.

    \b
    Example: tapgate-central volunteer team put desk desk.toml
    where desk.toml is:
        venue = "library-1"
        rules = [{id = "desk"}, {id = "desk-training", activity = "training"}]
        coordinators = ["lin"]
        may_sign_out_minutes = 180
        item = "0340"      # the ministry's codes, or texts that `vols_layout` has codes for
        content = "0017"
        area = "B"
        [[shifts]]
        id = "morning"
        days = ["mon", "wed"]
        hours = "09:00-12:00"
    """
    say(act(settings, "volunteer.team.put", {"id": team_id, "body": table_in(file, "a team"), **values}), as_json)


@team.command("list")
@click.option("--domain", default="")
@as_json
@click.pass_obj
def team_list(settings: Config, domain: str, as_json: bool) -> None:
    """Teams, their coordinators, and the rules by which kiosks sign in to them.

    Example: tapgate-central volunteer team list
    """
    found = act(settings, "volunteer.team.list", {"domain": domain})["teams"]
    say_rows(found, as_json, "No team yet: `tapgate-central volunteer team put`.")


@team.command("show")
@click.argument("team_id", metavar="TEAM")
@as_json
@click.pass_obj
def team_show(settings: Config, team_id: str, as_json: bool) -> None:
    """A team as it was stated last, as JSON that `volunteer team put` takes back.

    Example: tapgate-central volunteer team show desk > desk.json
    """
    _say_body(act(settings, "volunteer.team.show", {"id": team_id}), as_json)


@volunteer.group()
def rules() -> None:
    """How totals are rounded, and what an honour card (榮譽卡) needs."""


@rules.command("put")
@click.argument("file", type=readable)
@who_option
@as_json
@click.pass_obj
def rules_put(settings: Config, file: Path, who: str, as_json: bool) -> None:
    """Put the rules in FILE (TOML or JSON) in force. Locked months stay as they were rounded.

    \b
    Example: tapgate-central volunteer rules put rules.toml
    where rules.toml is:
        rounding = [{valid_from = 2024-01-01, unit_minutes = 30}]
        certificate = {hours = 300, years = 3}
    """
    body = table_in(file, "rules of volunteering")
    _say_body(act(settings, "volunteer.rules.put", {"body": body, "who": who}), as_json)


@rules.command("show")
@as_json
@click.pass_obj
def rules_show(settings: Config, as_json: bool) -> None:
    """The rules in force, as JSON that `volunteer rules put` takes back.

    Example: tapgate-central volunteer rules show
    """
    _say_body(act(settings, "volunteer.rules.show", {}), as_json)


def _say_body(shown: dict[str, Any], as_json: bool) -> None:
    if as_json:
        say_json(shown)
    else:
        click.echo(json.dumps(shown["body"], indent=2, ensure_ascii=False))


# --- lists --------------------------------------------------------------------------------------------------------


@volunteer.command()
@click.option("--member", default="", help="The city's own number of the person.")
@click.option("--team", default="")
@click.option("--domain", default="")
@click.option("--month", default="", metavar="YYYY-MM")
@as_json
@click.pass_obj
def sessions(settings: Config, /, as_json: bool, **values: str) -> None:
    """Sessions: booked, adjusted, open, in review, void.

    Example: tapgate-central volunteer sessions --team desk --month 2026-02 --json
    """
    found = whole(settings, "volunteer.sessions", values, "sessions")["sessions"]
    say_rows(found, as_json, "No session of that kind.", SHOWN)


@volunteer.command()
@click.option("--member", default="", help="The city's own number of the person.")
@click.option("--team", default="")
@click.option("--domain", default="")
@click.option("--month", default="", metavar="YYYY-MM")
@as_json
@click.pass_obj
def review(settings: Config, /, as_json: bool, **values: str) -> None:
    """What must be settled: forgotten sign-outs, and whatever taps leave in doubt. None of it counts.

    Why: no-sign-out, no-sign-in, odd-tap (a tap too many or too few), two-teams, no-team, overlap. The end of the
    shift is shown to help; only `volunteer settle` makes hours of any of it.
    What is of no team yet is shown where none is asked for.

    Example: tapgate-central volunteer review --team desk
    """
    found = whole(settings, "volunteer.review", values, "sessions")["sessions"]
    say_rows(found, as_json, "Nothing is in review.", IN_REVIEW)


@volunteer.command()
@click.argument("team_id", metavar="TEAM")
@as_json
@click.pass_obj
def months(settings: Config, team_id: str, as_json: bool) -> None:
    """The months that a team has sheets of, and which are approved and locked.

    Example: tapgate-central volunteer months desk
    """
    found = act(settings, "volunteer.months", {"team": team_id, "limit": 1_200})["months"]
    say_rows(found, as_json, "Nothing is booked for this team yet.")


@volunteer.command()
@click.argument("member")
@click.option("--domain", required=True)
@click.option("--year", type=int, required=True)
@as_json
@click.pass_obj
def totals(settings: Config, /, as_json: bool, **values: Any) -> None:
    """A member's hours of a year, by month and team: exact, and rounded by the rule in force.

    Example: tapgate-central volunteer totals A-1 --domain library --year 2026
    """
    found = act(settings, "volunteer.totals", values)
    if as_json:
        say_json(found)
        return
    say_rows(found["months"], False, "No hours.")
    click.echo(f"{found['year']}: {found['minutes']} minutes, shown as {_hours(found['rounded_minutes'])}.")


# --- months -------------------------------------------------------------------------------------------------------


@volunteer.command()
@click.argument("team")
@click.argument("month", metavar="YYYY-MM")
@as_json
@click.pass_obj
def month(settings: Config, team: str, month: str, as_json: bool) -> None:
    """The sheet of a team's month: members by days in minutes, adjustments, totals, allowances.

    Example: tapgate-central volunteer month desk 2026-02
    """
    _say_sheet(act(settings, "volunteer.month", {"team": team, "month": month}), as_json)


@volunteer.command()
@click.argument("team")
@click.argument("month", metavar="YYYY-MM")
@click.option("--leave-review", is_flag=True, help="Leave what is in review there; settled later, it is an adjustment.")
@who_option
@as_json
@click.pass_obj
def approve(settings: Config, /, as_json: bool, **values: Any) -> None:
    """State that a month that is over is right as it is.

    Example: tapgate-central volunteer approve desk 2026-02
    """
    _say_sheet(act(settings, "volunteer.approve", values), as_json)


@volunteer.command()
@click.argument("team")
@click.argument("month", metavar="YYYY-MM")
@who_option
@as_json
@click.pass_obj
def lock(settings: Config, /, as_json: bool, **values: Any) -> None:
    """Close an approved month for ever. What becomes known later is an adjustment in the month it became known.

    Example: tapgate-central volunteer lock desk 2026-02
    """
    _say_sheet(act(settings, "volunteer.lock", values), as_json)


def _say_sheet(sheet: dict[str, Any], as_json: bool) -> None:
    if as_json:
        say_json(sheet)
        return
    days = sorted({day for line in sheet["lines"] for day in line["days"]})
    rows = [
        {"member": line["member"]}
        | {day[8:]: line["days"].get(day, "") for day in days}
        | {"adjustments": line["adjustments"], "minutes": line["minutes"], "hours": _hours(line["rounded_minutes"])}
        | {name: line[name] for name in ("people", "transport", "meal")}
        for line in sheet["lines"]
    ]
    say_rows(rows, False, "Nothing is booked.")
    by = f" by {sheet['by']}" if sheet["by"] else ""
    click.echo(f"{sheet['team']} {sheet['month']}: {sheet['state']}{by}, {sheet['minutes']} minutes in all.")
    if sheet["erased_people"]:
        hours = _hours(sheet["erased_minutes"])
        click.echo(f"{sheet['erased_people']} people are not known any more: their {hours} h stand in no line.")
    if sheet["unsettled"]:
        click.echo(f"{sheet['unsettled']} sessions are in review and count for nothing: see `volunteer review`.")


def _hours(minutes: int) -> str:
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else ''}{hours}:{rest:02}"
