"""`member find`, `show`, `put`, `number`, `reindex`; `card bind`, `issue-day`, `uptake`."""

import sys
from typing import Any

import click

from central.actions.cards.member_index import KINDS
from central.commands.shell import act, as_json, fail, notation, say, say_json, say_rows, who_option
from central.config import Config

FOUND = "member name by notations card card_state classes domains"
UPTAKE = "domain gate venue device state held seen_ms"
why_option = click.option("--why", default="", help="Kept with the history.")
kind_argument = click.argument("kind", type=click.Choice(KINDS))


@click.command("find")
@click.argument("sought")
@click.option(
    "--kind",
    type=click.Choice(["any", "uid", "member", *KINDS, "name"]),
    default="any",
    show_default=True,
    help="What it is; not given = all that it could be is tried.",
)
@click.option("--after", default="", help="The `after` of the answer before: the next ones.")
@click.option("--limit", type=click.IntRange(1, 100), default=25, show_default=True)
@as_json
@click.pass_obj
def find(settings: Config, /, sought: str, as_json: bool, **values: Any) -> None:
    """Members by a card's UID in any notation, a reference, a library barcode, a volunteer number, or how a name
    begins (`-`: read from standard input, so that it stands in no history of commands).

    Example: tapgate-central member find 王小
    """
    sought = sys.stdin.readline().strip() if sought == "-" else sought
    found = act(settings, "member.find", {"sought": sought, **values})
    if as_json:
        say_json(found)
        return
    if not found["members"]:
        fail("too short for a name" if found["too_short"] else "nobody was found")
    say_rows(found["members"], as_json, columns=FOUND)
    if found["after"]:
        click.echo(f"There may be more: add --after {found['after']}")


@click.command("show")
@click.argument("member")
@as_json
@click.pass_obj
def show(settings: Config, member: str, as_json: bool) -> None:
    """All that is held of a member: cards, classes, domains, numbers, and cards waited for at counters.

    Example: tapgate-central member show A-1024
    """
    shown = act(settings, "member.show", {"member": member})
    if as_json:
        say_json(shown)
        return
    lists = ("cards", "classes", "domains", "numbers", "sessions")
    say({name: value for name, value in shown.items() if name not in lists}, as_json)
    for name in lists:
        if shown[name]:
            click.echo(f"\n{name}")
            say_rows(shown[name], as_json)


@click.command("put")
@click.argument("member")
@click.option("--domain", required=True, help="The domain to be in.")
@click.option("--name", default="", help="It rests sealed; not given = as it is held.")
@click.option("--class", "classes", multiple=True, help="Given from now on; may stand several times.")
@why_option
@who_option
@as_json
@click.pass_obj
def put(settings: Config, /, as_json: bool, **values: Any) -> None:
    """Register a member, or change one. Without a class a member's cards open nothing.

    Example: tapgate-central member put A-1024 --domain library --name 王小明 --class citizen
    """
    say(act(settings, "member.put", {**values, "classes": list(values["classes"])}), as_json)


@click.group("number")
def number() -> None:
    """What other systems call a member: a library barcode, a volunteer number."""


@number.command("put")
@click.argument("member")
@kind_argument
@click.argument("identifier", metavar="NUMBER")
@as_json
@click.pass_obj
def number_put(settings: Config, /, as_json: bool, **values: Any) -> None:
    """Set a member's number, in place of the one of its kind.

    Example: tapgate-central member number put A-1024 library-barcode L0012345
    """
    say(act(settings, "member.number.put", values), as_json)


@number.command("remove")
@click.argument("member")
@kind_argument
@as_json
@click.pass_obj
def number_remove(settings: Config, /, as_json: bool, **values: Any) -> None:
    """The member is not found by it any more.

    Example: tapgate-central member number remove A-1024 library-barcode
    """
    say(act(settings, "member.number.remove", values), as_json)


@click.command("reindex")
@as_json
@click.pass_obj
def reindex(settings: Config, as_json: bool) -> None:
    """Make the index of names anew: after an upgrade from a version without one, or when `verify` says so.

    Example: tapgate-central member reindex
    """
    say(act(settings, "member.reindex", {}, bar=True), as_json)


@click.command("bind")
@click.argument("uid")
@click.option("--member", required=True, help="Whose it is from now on, by the city's own number.")
@notation
@why_option
@who_option
@as_json
@click.pass_obj
def bind(settings: Config, /, as_json: bool, **values: Any) -> None:
    """Bind a card that is nobody's, by its UID (`-`: read from standard input).

    Example: tapgate-central card bind 0713233758 --notation decimal --member A-1024
    """
    values["uid"] = sys.stdin.readline().strip() if values["uid"] == "-" else values["uid"]
    say(act(settings, "card.bind", values), as_json)


@click.command("issue-day")
@click.argument("uid", default="")
@click.option("--venue", required=True, help="It opens until this venue closes.")
@click.option("--class", "class_name", default="day", show_default=True, help="What its bearer is to the policies.")
@notation
@why_option
@who_option
@as_json
@click.pass_obj
def issue_day(settings: Config, /, as_json: bool, **values: Any) -> None:
    """Give out a day card: for nobody in particular, and again when it came back. Without a UID only its member is
    made, for whom `card bind-session open` takes the card.

    Example: tapgate-central card issue-day 0713233758 --notation decimal --venue library-1
    """
    values["uid"] = sys.stdin.readline().strip() if values["uid"] == "-" else values["uid"]
    say(act(settings, "card.issue-day", values), as_json)


@click.command("uptake")
@click.option("--card", default="", help="A card, by the id that `card find` shows.")
@click.option("--member", default="", help="All cards of a member.")
@click.option("--domain", default="", help="The domain's newest list.")
@click.option("--waiting", is_flag=True, help="Only gates that do not hold it yet.")
@as_json
@click.pass_obj
def uptake(settings: Config, /, as_json: bool, **values: Any) -> None:
    """Which gates hold the newest change of a card already, and which do not yet.

    Example: tapgate-central card uptake --member A-1024 --waiting
    """
    found = act(settings, "card.uptake", values)
    if as_json:
        say_json(found)
        return
    rows = [{"domain": each["domain"], **gate} for each in found["lists"] for gate in each["gates"]]
    say_rows(rows, as_json, "No gate waits for it." if values["waiting"] else "It is on no list.", UPTAKE)
