"""`subscription`."""

import datetime as dt
import sys
from pathlib import Path
from typing import Any

import click

from central.commands.shell import act, as_json, say, say_json, say_rows, url_in, who_option
from central.config import Config
from central.neighbours.events.kinds import SHORT
from protocol.time_zones import CITY_ZONE

NONE = "Nobody outside is told of events: `tapgate-central subscription add ID --type tap --webhook-file FILE`."
SHOWN = "id state webhook_host reader told waiting oldest_ms failing_ms dead_letters problem"
ONCE = "The secret is shown this once: put it where the receiver verifies signatures, and nowhere else."
TYPES = click.Choice(sorted(SHORT))


@click.group()
def subscription() -> None:
    """Systems that are told of events: called by signed webhooks, or pulling a feed."""


@subscription.command("add")
@click.argument("subscription_id", metavar="ID")
@click.option("--type", "types", type=TYPES, multiple=True, required=True, help="What it is told of; again for more.")
@click.option(
    "--webhook-file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="Where the URL stands that is called, `-` for standard input: it may hold a secret.",
)
@click.option("--reader", default="", help="In its place: the account whose tokens pull the feed.")
@click.option("--domain", "domains", multiple=True, help="Only of this domain; not given = of all.")
@click.option("--venue", "venues", multiple=True, help="Only of this venue; not given = of all.")
@click.option("--pseudonyms", is_flag=True, help="Taps say who it was, by a name that only this subscription has.")
@click.option("--quiet", "quiet", default="21:00-08:00", show_default=True, help="No notice is sent then.")
@click.option("--time-zone", default=CITY_ZONE, show_default=True, help="Of the quiet hours.")
@who_option
@as_json
@click.pass_obj
def add(
    settings: Config, /, subscription_id: str, webhook_file: Path | None, quiet: str, as_json: bool, **values: Any
) -> None:
    """Tell somebody of events from now on. The secret is printed this once.

    Example: tapgate-central subscription add messages --type hold-ready --type overdue --webhook-file url.txt
    """
    quiet_from, _, quiet_until = quiet.partition("-")
    values |= {"id": subscription_id, "webhook": url_in(webhook_file) if webhook_file else "", "quiet_from": quiet_from}
    values |= {"quiet_until": quiet_until, "types": [SHORT[each] for each in values["types"]]}
    values |= {name: list(values[name]) for name in ("domains", "venues")}
    made = act(settings, "subscription.add", values)
    if as_json:
        say_json(made)
    elif made["secret"]:
        click.echo(made["secret"])
        click.echo(ONCE, err=True)
    else:
        say(made["subscription"], False)


@subscription.command("list")
@as_json
@click.pass_obj
def list_(settings: Config, as_json: bool) -> None:
    """Who is told, how far, and what is wrong.

    Example: tapgate-central subscription list
    """
    say_rows(act(settings, "subscription.list", {})["subscriptions"], as_json, NONE, SHOWN)


@subscription.command("show")
@click.argument("subscription_id", metavar="ID")
@as_json
@click.pass_obj
def show(settings: Config, subscription_id: str, as_json: bool) -> None:
    """One of them as it stands.

    Example: tapgate-central subscription show messages
    """
    say(act(settings, "subscription.show", {"id": subscription_id})["subscription"], as_json)


@subscription.command("pause")
@click.argument("subscription_id", metavar="ID")
@who_option
@as_json
@click.pass_obj
def pause(settings: Config, subscription_id: str, who: str, as_json: bool) -> None:
    """Send nothing until it is resumed; nothing is lost meanwhile.

    Example: tapgate-central subscription pause messages
    """
    say(act(settings, "subscription.pause", {"id": subscription_id, "who": who})["subscription"], as_json)


@subscription.command("resume")
@click.argument("subscription_id", metavar="ID")
@who_option
@as_json
@click.pass_obj
def resume(settings: Config, subscription_id: str, who: str, as_json: bool) -> None:
    """Go on where it stopped, at once: after a pause, or when it was given up.

    Example: tapgate-central subscription resume messages
    """
    say(act(settings, "subscription.resume", {"id": subscription_id, "who": who})["subscription"], as_json)


@subscription.command("rotate")
@click.argument("subscription_id", metavar="ID")
@who_option
@as_json
@click.pass_obj
def rotate(settings: Config, subscription_id: str, who: str, as_json: bool) -> None:
    """Make a new secret, which is printed this once. For a day the old one signs beside it.

    Example: tapgate-central subscription rotate messages
    """
    made = act(settings, "subscription.rotate", {"id": subscription_id, "who": who})
    if as_json:
        say_json(made)
        return
    click.echo(made["secret"])
    click.echo(ONCE, err=True)


@subscription.command("replay")
@click.argument("subscription_id", metavar="ID")
@click.option("--since", default="", help="Everything that came into custody since then: 2026-11-28 or with a time.")
@click.option("--dead", is_flag=True, help="In its place: the dead letters.")
@who_option
@as_json
@click.pass_obj
def replay(settings: Config, subscription_id: str, since: str, dead: bool, who: str, as_json: bool) -> None:
    """Send again, with the same ids as before: whoever knows an event drops it.

    Example: tapgate-central subscription replay messages --since 2026-11-28T08:00
    """
    values = {"id": subscription_id, "since_ms": _instant(since), "dead": dead, "who": who}
    say(act(settings, "subscription.replay", values), as_json)


def _instant(text: str) -> int:
    """In this machine's time zone, where none is stated."""
    try:
        return int(dt.datetime.fromisoformat(text).astimezone().timestamp() * 1_000) if text else 0
    except (ValueError, OverflowError, OSError):
        raise click.UsageError(f"--since {text!r} is no time: write 2026-11-28T08:00") from None


@subscription.command("test")
@click.argument("subscription_id", metavar="ID")
@who_option
@as_json
@click.pass_obj
def test(settings: Config, subscription_id: str, who: str, as_json: bool) -> None:
    """Send an event that says nothing, and say what became of it.

    Example: tapgate-central subscription test messages
    """
    result = act(settings, "subscription.test", {"id": subscription_id, "who": who})
    if as_json:
        say_json(result)
    else:
        click.echo(result["problem"] or "It was taken.")
    if result["problem"]:
        sys.exit(1)


@subscription.command("dead")
@click.argument("subscription_id", metavar="ID")
@as_json
@click.pass_obj
def dead_letters(settings: Config, subscription_id: str, as_json: bool) -> None:
    """Events that the receiver refused for too long.

    Example: tapgate-central subscription dead messages
    """
    found: list[dict[str, Any]] = []
    after, more = "", True
    while more:
        page = act(settings, "subscription.dead", {"id": subscription_id, "after": after, "limit": 500})
        found, after = [*found, *page["letters"]], page["next"]
        more = bool(after)
    say_rows(found, as_json, "There are no dead letters.")


@subscription.command("remove")
@click.argument("subscription_id", metavar="ID")
@who_option
@as_json
@click.pass_obj
def remove(settings: Config, subscription_id: str, who: str, as_json: bool) -> None:
    """Tell it nothing more, and forget how far it was told.

    Example: tapgate-central subscription remove messages
    """
    say(act(settings, "subscription.remove", {"id": subscription_id, "who": who}), as_json)
