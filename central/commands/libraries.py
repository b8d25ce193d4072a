"""`library`: library systems, asked about members by SIP2, and loans at a counter."""

from typing import Any

import click

from central.commands.shell import act, as_json, fail, notation, say, say_json, who_option
from central.config import Config

NONE = "No library system: [[libraries]] in the settings names one."


@click.group()
def library() -> None:
    """Library systems: what they say of members, and lending by card."""


@library.command("status")
@click.argument("library_id", metavar="[LIBRARY]", default="")
@as_json
@click.pass_obj
def status(settings: Config, library_id: str, as_json: bool) -> None:
    """How they are, how old their word is, and of how many members they say what. Nobody is asked.

    Example: tapgate-central library status
    """
    found = act(settings, "library.status", {"library": library_id})["libraries"]
    if as_json:
        say_json(found)
        return
    for place, each in enumerate(found):
        click.echo("\n" * bool(place), nl=False)
        say(each, False)
    if not found:
        click.echo(NONE)


@library.command("check")
@click.argument("library_id", metavar="LIBRARY")
@as_json
@click.pass_obj
def check(settings: Config, library_id: str, as_json: bool) -> None:
    """Sign in there now and see what it is able to do; no member is asked about.

    Example: tapgate-central library check taichung
    """
    say(act(settings, "library.check", {"library": library_id}), as_json)


@library.command("refresh")
@click.argument("library_id", metavar="LIBRARY")
@click.argument("member", default="")
@who_option
@as_json
@click.pass_obj
def refresh(settings: Config, library_id: str, member: str, who: str, as_json: bool) -> None:
    """Ask about MEMBER now; without one, about everybody again, as slowly as the settings say.

    Example: tapgate-central library refresh taichung A-1001
    """
    say(act(settings, "library.refresh", {"library": library_id, "member": member, "who": who}), as_json)


@library.command("checkout")
@click.argument("library_id", metavar="LIBRARY")
@click.argument("item")
@click.option("--member", default="", help="To whom: the city's reference, or …")
@click.option("--uid", default="", help="… the number of the card, or …")
@click.option("--tap", default="", metavar="GATE", help="… who taps a card next at this counter.")
@notation
@who_option
@as_json
@click.pass_obj
def checkout(settings: Config, /, library_id: str, tap: str, as_json: bool, **values: Any) -> None:
    """Lend the item with this barcode. Asked for once: where the answer is lost, nobody here knows what was done.

    Example: tapgate-central library checkout taichung T00123456 --tap library-desk
    """
    if tap:
        click.echo(f"Tap the card at {tap} now.", err=True)
        values["member"] = values["member"] or act(settings, "library.tap", {"gate": tap})["member"]
    _say_lent(act(settings, "library.checkout", {"library": library_id, **values}), as_json)


@library.command("return")
@click.argument("library_id", metavar="LIBRARY")
@click.argument("item")
@who_option
@as_json
@click.pass_obj
def return_(settings: Config, /, library_id: str, as_json: bool, **values: Any) -> None:
    """Take the item with this barcode back.

    Example: tapgate-central library return taichung T00123456
    """
    _say_lent(act(settings, "library.return", {"library": library_id, **values}), as_json)


@library.command("believe")
@click.argument("library_id", metavar="LIBRARY")
@click.option("--why", default="", help="Kept with what is said.")
@who_option
@as_json
@click.pass_obj
def believe(settings: Config, library_id: str, why: str, who: str, as_json: bool) -> None:
    """What it says of many at once is right: for a day it is believed that they are in good standing no more.

    Example: tapgate-central library believe taichung --why "cards of last year ended"
    """
    say(act(settings, "library.believe", {"library": library_id, "why": why, "who": who}), as_json)


@library.command("forget")
@click.argument("library_id", metavar="LIBRARY")
@who_option
@as_json
@click.pass_obj
def forget(settings: Config, library_id: str, who: str, as_json: bool) -> None:
    """Of a library that is in the settings no more: what it said of members counts no more.

    Example: tapgate-central library forget taichung
    """
    say(act(settings, "library.forget", {"library": library_id, "who": who}), as_json)


def _say_lent(lent: dict[str, Any], as_json: bool) -> None:
    """Exit code 1 unless it was done."""
    if as_json:
        say_json(lent)
    elif lent["outcome"] == "done":
        say({name: value for name, value in lent.items() if value not in ("", False)}, False)
    if lent["outcome"] != "done":
        fail(f"{lent['outcome']}: {lent['library_said'] or 'the library says no'}")
