"""`points`."""

import json
from pathlib import Path
from typing import Any

import click

from central.commands.paged import whole
from central.commands.shell import act, as_json, readable, say, say_json, say_rows, table_in, text_of, who_option
from central.config import Config

LOTS = "points expires_ms cause"
LINES = "booked_ms at_ms what points source target balance cause"
domain_option = click.option("--domain", required=True, help="The domain that the points are of.")
month_option = click.option("--month", required=True, help="A local month: 2026-07.")
why_option = click.option("--why", required=True, help="Kept with it, for whoever asks later.")
until_option = click.option("--until", default="", help="The date from which they are gone; not given = they stay.")
WHOLE = {"ignore_unknown_options": True}
"""Lets a number below 0 be an argument and no option."""


@click.group()
def points() -> None:
    """Points of members: plans that give them, what became of them, and what is reserved to gates."""


@points.group()
def plan() -> None:
    """Who is given how many points when, as a file."""


@plan.command("put")
@click.argument("plan_id", metavar="PLAN")
@click.argument("file", type=readable)
@as_json
@click.pass_obj
def plan_put(settings: Config, plan_id: str, file: Path, as_json: bool) -> None:
    """Put the plan in FILE (TOML or JSON) in force. What months gave already stays.

    \b
    Example: tapgate-central points plan put seniors seniors.toml
    where seniors.toml is:
        domain = "sports"
        monthly = [
          {class = "senior", points = 480, valid_from = 2026-01-01, valid_until = 2026-07-01},
          {class = "senior", points = 600, valid_from = 2026-07-01},
        ]
        earn = [{rule = "health-check", points = 50, valid_from = 2026-01-01, per = "month", expire_months = 6}]
        hours = [{team = "desk", points = 10, valid_from = 2026-01-01, expire_months = 12}]
    `earn` is for an entry by a rule: a health check, an activity's check-in. `hours` is for each full hour of
    volunteers, given when its month is locked; minutes that are left over count on.
    """
    values = {"id": plan_id, "body": table_in(file, "a plan")}
    say(act(settings, "points.plan.put", values, bar=True), as_json)


@plan.command("list")
@as_json
@click.pass_obj
def plan_list(settings: Config, as_json: bool) -> None:
    """The plans in force, by domain.

    Example: tapgate-central points plan list
    """
    say_rows(act(settings, "points.plan.list", {})["plans"], as_json, "No plan yet: `points plan put`.")


@plan.command("show")
@click.argument("plan_id", metavar="PLAN")
@as_json
@click.pass_obj
def plan_show(settings: Config, plan_id: str, as_json: bool) -> None:
    """The version in force, as JSON that `points plan put` takes back.

    Example: tapgate-central points plan show seniors > seniors.json
    """
    shown = act(settings, "points.plan.show", {"id": plan_id})
    if as_json:
        say_json(shown)
    else:
        click.echo(json.dumps(shown["body"], indent=2, ensure_ascii=False))


@points.command("balance")
@click.argument("member")
@domain_option
@as_json
@click.pass_obj
def balance(settings: Config, member: str, domain: str, as_json: bool) -> None:
    """What MEMBER (the city's reference) has now, what of it gates may still spend, and what expires when.

    Example: tapgate-central points balance A-1 --domain sports
    """
    _say_balance(act(settings, "points.balance", {"member": member, "domain": domain}), as_json)


@points.command("statement")
@click.argument("member")
@domain_option
@month_option
@as_json
@click.pass_obj
def statement(settings: Config, member: str, domain: str, month: str, as_json: bool) -> None:
    """Every posting of a month, and the balance after each; of a month that goes on, until now.

    Example: tapgate-central points statement A-1 --domain sports --month 2026-07
    """
    found = whole(settings, "points.statement", {"member": member, "domain": domain, "month": month}, "lines")
    if as_json:
        say_json(found)
        return
    click.echo(f"Before: {found['opening']}")
    say_rows(found["lines"], as_json, "Nothing in this month.", LINES)
    click.echo(f"After: {found['closing']}; {'closed' if found['closed'] else 'open'}.")


@points.command("grant")
@click.argument("member")
@click.argument("number", type=int)
@domain_option
@why_option
@until_option
@who_option
@as_json
@click.pass_obj
def grant(settings: Config, /, member: str, number: int, as_json: bool, **values: Any) -> None:
    """Give MEMBER so many points by hand.

    Example: tapgate-central points grant A-1 50 --domain sports --why "flu vaccination day" --until 2027-01-01
    """
    _say_balance(act(settings, "points.grant", {"member": member, "points": number, **values}), as_json)


@points.command("adjust", context_settings=WHOLE)
@click.argument("member")
@click.argument("number", type=int)
@domain_option
@why_option
@click.option("--of", default="", help="The cause that is corrected, as `points statement` shows it.")
@until_option
@who_option
@as_json
@click.pass_obj
def adjust(settings: Config, /, member: str, number: int, as_json: bool, **values: Any) -> None:
    """Correct MEMBER's points by so many, up or down. What was booked stays; the correction is booked beside it.

    Example: tapgate-central points adjust A-1 -50 --domain sports --why "granted twice"
    """
    _say_balance(act(settings, "points.adjust", {"member": member, "points": number, **values}), as_json)


@points.command("redeem")
@click.argument("member")
@click.argument("number", type=int)
@domain_option
@why_option
@who_option
@as_json
@click.pass_obj
def redeem(settings: Config, /, member: str, number: int, as_json: bool, **values: Any) -> None:
    """Exchange so many of MEMBER's free points for what the city pays, such as a transit subsidy.

    Example: tapgate-central points redeem A-1 100 --domain sports --why "transit subsidy"
    """
    _say_balance(act(settings, "points.redeem", {"member": member, "points": number, **values}), as_json)


@points.command("totals")
@domain_option
@month_option
@as_json
@click.pass_obj
def totals(settings: Config, domain: str, month: str, as_json: bool) -> None:
    """What a month moved on each account: issued, spent by venue, redeemed, expired, lost.

    Example: tapgate-central points totals --domain sports --month 2026-07
    """
    _say_totals(act(settings, "points.totals", {"domain": domain, "month": month}, bar=True), as_json)


@points.command("close")
@click.argument("month")
@domain_option
@who_option
@as_json
@click.pass_obj
def close(settings: Config, month: str, domain: str, who: str, as_json: bool) -> None:
    """Close MONTH. What becomes known of it later is booked as an adjustment in the first month that is open.

    Cut short, it goes on where it was when it is called again.

    Example: tapgate-central points close 2026-07 --domain sports
    """
    _say_totals(act(settings, "points.close", {"month": month, "domain": domain, "who": who}, bar=True), as_json)


@points.command("round")
@domain_option
@as_json
@click.pass_obj
def round_(settings: Config, domain: str, as_json: bool) -> None:
    """Give the month's points to who came, or got a class, since the day's round; reserve points for gates.

    Example: tapgate-central points round --domain sports
    """
    say(act(settings, "points.round", {"domain": domain}, bar=True), as_json)


@points.command("overspent")
@domain_option
@as_json
@click.pass_obj
def overspent(settings: Config, domain: str, as_json: bool) -> None:
    """Points that were spent and nobody had; the account named paid for them.

    Example: tapgate-central points overspent --domain sports
    """
    say_rows(act(settings, "points.overspent", {"domain": domain})["rows"], as_json, "Nothing was overspent.")


@points.command("write-off")
@click.argument("gate")
@click.option("--before", required=True, help="What lapsed through this date.")
@why_option
@who_option
@as_json
@click.pass_obj
def write_off(settings: Config, /, gate: str, as_json: bool, **values: Any) -> None:
    """Give members back what GATE holds reserved, where nobody will hear of it any more.

    What it spent of them after all is a loss of its venue.

    Example: tapgate-central points write-off pool-1 --before 2026-07-31 --why "flooded, its disk is gone"
    """
    say(act(settings, "points.write-off", {"gate": gate, **values}), as_json)


def _say_balance(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        say_json(found)
        return
    click.echo(f"{found['points']} points, {found['free']} free, {found['reserved']} reserved to gates.")
    if found["lots"]:
        say_rows(found["lots"], as_json, columns=LOTS)


def _say_totals(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        say_json(found)
        return
    rows = [{"account": account, "points": points} for account, points in found["accounts"].items()]
    say_rows(rows, as_json, "Nothing in this month.")
    click.echo(f"{text_of('month', found['month'])} is {'closed' if found['closed'] else 'open'}.")
