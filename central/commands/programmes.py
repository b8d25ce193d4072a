"""`closure`, `offer`, `activity`."""

from pathlib import Path
from typing import Any

import click

from central.commands.classes import follow, table_options
from central.commands.paged import whole
from central.commands.shell import act, as_json, readable, say, say_json, say_rows, text_of, who_option
from central.config import Config

CLOSURES = "id venue from_ms until_ms why_zh why_en admits who ended_early"


@click.group()
def closure() -> None:
    """Closures of a venue or the city: typhoon (停班停課), early closing, works."""


@closure.command("add")
@click.option("--venue", default="", help="The venue that is closed …")
@click.option("--city", is_flag=True, help="… or the whole city.")
@click.option("--from", "since", required=True, help="2026-09-01T12:00, or a date: from its beginning. Local time.")
@click.option("--until", required=True, help="The same; of a date its end.")
@click.option("--why-zh", required=True, help="What screens say.")
@click.option("--why-en", required=True, help="The same in English.")
@click.option("--admit", multiple=True, help="A class that enters nevertheless; may be repeated.")
@click.option(
    "--extend-days",
    type=click.IntRange(0, 366),
    default=0,
    show_default=True,
    help="Classes and cards that end within it end so many days later.",
)
@who_option
@as_json
@click.pass_obj
def closure_add(settings: Config, /, admit: tuple[str, ...], as_json: bool, **values: Any) -> None:
    """Close a venue or the city: nobody enters, everybody can leave; connected gates hear of it at once.

    Example: tapgate-central closure add --city --from 2026-09-01 --until 2026-09-01 --why-zh 颱風停班停課
    --why-en Typhoon --admit staff
    """
    done = act(settings, "closure.add", {**values, "admit": list(admit)}, bar=True)
    if as_json:
        say_json(done)
        return
    say_rows([done["closure"]], as_json, columns=CLOSURES)
    click.echo(f"Told to {', '.join(done['gates']) or 'no gate'}.")
    if done["shifts"]:
        say_rows(done["shifts"], as_json)
    click.echo(f"Shifts that fall into it: {len(done['shifts'])}. Nobody can sign in meanwhile.")
    click.echo(
        f"Within it end {done['classes_ending']:,} classes and {done['cards_ending']:,} cards of members,"
        f" and {done['points_expiring']:,} points expire; {done['extended']:,} members' ends were moved."
    )
    click.echo(done["note"])


@closure.command("list")
@click.option("--all", "all_", is_flag=True, help="Those that are over too.")
@as_json
@click.pass_obj
def closure_list(settings: Config, all_: bool, as_json: bool) -> None:
    """Closures that hold or are coming, and gates that their staff closed by PIN (those only staff at the gate open).

    Example: tapgate-central closure list
    """
    found = act(settings, "closure.list", {"all": all_})
    if as_json:
        say_json(found)
        return
    say_rows(found["closures"], as_json, "Nothing is closed or will be.", CLOSURES)
    for each in found["gates"]:
        until = text_of("until_ms", each["until_ms"])
        since = text_of("from_ms", each["from_ms"])
        by = f", opened by {each['opened_by']}" if each["opened_by"] else ""
        click.echo(
            f"Gate {each['gate']} ({each['venue']}): closed by {each['staff']}, {each['why']}, {since} to {until}{by}."
        )
        click.echo(
            f"  {len(each['shifts'])} shifts of the venue fall into it; {each['classes_ending']:,} classes and"
            f" {each['cards_ending']:,} cards end and {each['points_expiring']:,} points expire within it."
        )
    if found["gates"]:
        click.echo(found["note"])


@closure.command("end")
@click.argument("id_", metavar="ID")
@click.option("--why", default="", help="Kept with it.")
@who_option
@as_json
@click.pass_obj
def closure_end(settings: Config, id_: str, why: str, who: str, as_json: bool) -> None:
    """Open again now; a closure that has not begun never was.

    Example: tapgate-central closure end 0192f3a4b5c60000aabbccddeeff0011
    """
    done = act(settings, "closure.end", {"id": id_, "why": why, "who": who})
    if as_json:
        say_json(done)
        return
    until = text_of("until_ms", done["closure"]["until_ms"])
    click.echo(f"Open again; it was to last until {until}. Told to {', '.join(done['gates']) or 'no gate'}.")


@click.group()
def offer() -> None:
    """Offers of partner shops, by class and date."""


@offer.command("import")
@click.argument("file", type=readable)
@click.option("--full", is_flag=True, help="FILE names all: an offer that it does not name is withdrawn.")
@table_options
@who_option
@click.pass_obj
def offer_import(settings: Config, /, file: Path, **values: Any) -> None:
    """Import a table of offers; by default only say, row by row, what it would do.

    The columns are id, partner, title_zh, title_en, class (several separated by |, empty = anybody), from and until
    (the last day).

    Example: tapgate-central offer import offers.csv --full --apply
    """
    follow(
        settings,
        "offer.import",
        file,
        values,
        lambda result: f"{result['withdrawn']:,} offers are not named." if values["full"] else "",
    )


@offer.command("list")
@click.option("--class", "classes", multiple=True, help="Of the card; may be repeated. Not given = every offer.")
@click.option("--on", default="", help="The day, 2026-01-31 or 115/01/31; not given = today.")
@as_json
@click.pass_obj
def offer_list(settings: Config, classes: tuple[str, ...], on: str, as_json: bool) -> None:
    """Which offers are good for somebody of a class on a day. Nobody is named.

    Example: tapgate-central offer list --class senior --on 2026-09-01
    """
    found = whole(settings, "offer.list", {"classes": list(classes), "on": on}, "offers")["offers"]
    say_rows(found, as_json, "No offer that day.")


@click.group()
def activity() -> None:
    """Activities: registration lists, capacity, walk-ins, check-in at a gate."""


@activity.command("put")
@click.argument("activity_id", metavar="ACTIVITY")
@click.option("--venue", required=True, help="At whose gates people check in.")
@click.option("--rule", required=True, help="The rule of a policy by which they enter.")
@click.option("--from", "since", required=True, help="2026-09-01T08:30, local time: check-ins count from then.")
@click.option("--until", required=True, help="The same.")
@click.option("--title-zh", default="")
@click.option("--title-en", default="")
@click.option("--capacity", type=click.IntRange(0, 1_000_000), default=0, show_default=True, help="0 = any number.")
@click.option("--walk-ins/--no-walk-ins", default=True, show_default=True, help="Who is not registered may come.")
@who_option
@as_json
@click.pass_obj
def activity_put(settings: Config, /, activity_id: str, as_json: bool, **values: Any) -> None:
    """Put an activity, or an old one as it is from now on.

    Example: tapgate-central activity put tai-chi-0901 --venue park-1 --rule tai-chi --from 2026-09-01T06:00
    --until 2026-09-01T09:00 --capacity 40
    """
    put = act(settings, "activity.put", {"id": activity_id, **values})
    say(put, as_json)
    if not put["gates"]:
        click.echo(f"No gate of {put['venue']} admits by the rule {put['rule']} yet: nobody can check in.", err=True)


@activity.command("register")
@click.argument("activity_id", metavar="ACTIVITY")
@click.argument("file", type=readable)
@table_options
@who_option
@click.pass_obj
def activity_register(settings: Config, /, activity_id: str, file: Path, **values: Any) -> None:
    """Register the members of a list; by default only say, row by row, what it would do.

    The columns are member and if wanted action (add or remove; 報名, 取消).

    Example: tapgate-central activity register tai-chi-0901 members.csv --apply
    """
    follow(settings, "activity.register", file, {**values, "activity": activity_id})


@activity.command("list")
@click.option("--venue", default="", help="Those of one venue.")
@as_json
@click.pass_obj
def activity_list(settings: Config, venue: str, as_json: bool) -> None:
    """Activities, over and to come.

    Example: tapgate-central activity list --venue park-1
    """
    found = whole(settings, "activity.list", {"venue": venue}, "activities")["activities"]
    say_rows(found, as_json, "No activity yet: `activity put`.")


@activity.command("attendance")
@click.argument("activity_id", metavar="ACTIVITY")
@as_json
@click.pass_obj
def activity_attendance(settings: Config, activity_id: str, as_json: bool) -> None:
    """Who came, who did not, and who came without being registered.

    Example: tapgate-central activity attendance tai-chi-0901
    """
    found = act(settings, "activity.attendance", {"id": activity_id})
    if as_json:
        say_json(found)
        return
    say_rows(found["people"], as_json, "Nobody came, and nobody is registered.")
    counts = ", ".join(f"{name} {number:,}" for name, number in sorted(found["counts"].items()))
    click.echo(f"Registered {found['registered']:,}; {counts or 'nobody came'}.")
