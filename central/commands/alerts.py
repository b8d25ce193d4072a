"""`alert` and `health`."""

import sys
from pathlib import Path
from typing import Any

import click

from central.alerts.conditions import Kind
from central.commands.shell import act, as_json, say, say_json, say_rows, url_in, who_option
from central.config import Config

NONE = "No alert. Who is told of one: `tapgate-central alert contact list`."
NOBODY = "Nobody is told yet: `tapgate-central alert contact put ID --title NAME --mail ADDRESS`."
SHOWN = "id state kind target venue opened_ms title_en"
KINDS = click.Choice([kind.value for kind in Kind])


@click.group()
def alert() -> None:
    """What calls for a person: silent gates, clocks, disks, certificates, denials, old lists. And who is told."""


@alert.command("list")
@click.option(
    "--state",
    type=click.Choice(["standing", "open", "acknowledged", "resolved", "all"]),
    default="standing",
    show_default=True,
    help="`standing`: what is not over.",
)
@click.option("--kind", type=KINDS, help="Only those.")
@click.option("--venue", default="", help="Only those of one venue.")
@click.option("--after", default="", help="The last id of the page before.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@as_json
@click.pass_obj
def list_(settings: Config, state: str, kind: str | None, venue: str, after: str, limit: int, as_json: bool) -> None:
    """Alerts, the newest first.

    Example: tapgate-central alert list --kind silent
    """
    values = {"state": "" if state == "all" else state, "kind": kind or "", "venue": venue}
    found = act(settings, "alert.list", values | {"after": after, "limit": limit})
    say_rows(found["alerts"], as_json, NONE, SHOWN)
    if found["more"] and not as_json:
        click.echo(f"There are older ones: --after {found['alerts'][-1]['id']}", err=True)


@alert.command("show")
@click.argument("alert_id", metavar="ALERT")
@as_json
@click.pass_obj
def show(settings: Config, alert_id: str, as_json: bool) -> None:
    """One alert, what to do about it, and whom it was told to.

    Example: tapgate-central alert show 01a0c5e1d4000f6b2b7cb4c9e1a3d5f7
    """
    found = act(settings, "alert.show", {"alert": alert_id})
    if as_json:
        say_json(found)
        return
    say({name: value for name, value in found["alert"].items() if not name.endswith("_zh")}, False)
    if found["messages"]:
        say_rows(found["messages"], False, columns="contact channel what state tries problem")


@alert.command("acknowledge")
@click.argument("alert_id", metavar="ALERT")
@click.option("--comment", default="", help="What you have to say about it.")
@who_option
@as_json
@click.pass_obj
def acknowledge(settings: Config, alert_id: str, comment: str, who: str, as_json: bool) -> None:
    """Say that you look after it.

    Example: tapgate-central alert acknowledge 01a0c5e1d4000f6b2b7cb4c9e1a3d5f7 --comment "on my way"
    """
    _say_alert(act(settings, "alert.acknowledge", {"alert": alert_id, "comment": comment, "who": who}), as_json)


@alert.command("resolve")
@click.argument("alert_id", metavar="ALERT")
@click.option("--why", required=True, help="Why it is over, or none.")
@who_option
@as_json
@click.pass_obj
def resolve(settings: Config, alert_id: str, why: str, who: str, as_json: bool) -> None:
    """Say that it is over. While it holds on, no new alert is made of it.

    Example: tapgate-central alert resolve 01a0c5e1d4000f6b2b7cb4c9e1a3d5f7 --why "the gate is being painted"
    """
    _say_alert(act(settings, "alert.resolve", {"alert": alert_id, "why": why, "who": who}), as_json)


def _say_alert(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        say_json(result)
    else:
        click.echo(f"{result['alert']['title_en']}: {result['alert']['state']}.")


@alert.group("contact")
def contact() -> None:
    """Named persons who are told of alerts, by mail or webhook."""


@contact.command("put")
@click.argument("contact_id", metavar="ID")
@click.option("--title", required=True, help="The person's name.")
@click.option("--mail", default="", help="A mail address; the server's settings say how mail leaves.")
@click.option(
    "--webhook-file",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="Where a URL stands, `-` for standard input: it may hold a secret. An empty one: none. Not given: as it was.",
)
@click.option("--kind", "kinds", type=KINDS, multiple=True, help="Only of these; not given = of all.")
@click.option("--venue", "venues", multiple=True, help="Only of these venues; not given = of all, and of servers.")
@click.option("--language", type=click.Choice(["zh-TW", "en"]), default="zh-TW", show_default=True)
@who_option
@as_json
@click.pass_obj
def put(settings: Config, /, contact_id: str, webhook_file: Path | None, as_json: bool, **values: Any) -> None:
    """Add a person, or state one anew.

    Example: tapgate-central alert contact put lin --title 林館員 --mail lin@library.example --venue library-1
    """
    values["kinds"], values["venues"] = list(values["kinds"]), list(values["venues"])
    values |= {"id": contact_id, "webhook": url_in(webhook_file) if webhook_file else None}
    say(act(settings, "alert.contact.put", values)["contact"], as_json)


@contact.command("list")
@as_json
@click.pass_obj
def contacts(settings: Config, as_json: bool) -> None:
    """Who is told, of what, and how.

    Example: tapgate-central alert contact list
    """
    found = act(settings, "alert.contact.list", {})
    say_rows(found["contacts"], as_json, NOBODY)
    if not as_json and not found["can_mail"] and any(each["mail"] for each in found["contacts"]):
        click.echo("No mail leaves this server: state [mail] in its settings.", err=True)


@contact.command("remove")
@click.argument("contact_id", metavar="ID")
@who_option
@as_json
@click.pass_obj
def remove(settings: Config, contact_id: str, who: str, as_json: bool) -> None:
    """Tell somebody nothing more.

    Example: tapgate-central alert contact remove lin
    """
    say(act(settings, "alert.contact.remove", {"id": contact_id, "who": who}), as_json)


@contact.command("test")
@click.argument("contact_id", metavar="ID")
@who_option
@as_json
@click.pass_obj
def test(settings: Config, contact_id: str, who: str, as_json: bool) -> None:
    """Send a test by each of a contact's ways, and say what became of it.

    Example: tapgate-central alert contact test lin
    """
    result = act(settings, "alert.test", {"id": contact_id, "who": who})
    if as_json:
        say_json(result)
    else:
        for each in result["sent"]:
            click.echo(f"{each['channel']}: {each['problem'] or 'sent'}")
    if any(each["problem"] for each in result["sent"]):
        sys.exit(1)


@click.command()
@as_json
@click.pass_obj
def health(settings: Config, as_json: bool) -> None:
    """What runs, what it holds, what waits: of every server that shares the database.

    Example: tapgate-central health --json
    """
    found = act(settings, "health.show", {})
    if as_json:
        say_json(found)
        return
    columns = "server is_live version polls_held events_behind disk_free_bytes certificate_until_ms tasks"
    say_rows([_alive(each) for each in found["servers"]], False, "No server has run yet.", columns)
    say({name: value for name, value in found.items() if name != "servers"}, False)


def _alive(server: dict[str, Any]) -> dict[str, Any]:
    dead = [name for name, is_alive in server["tasks"].items() if not is_alive]
    return {**server, "tasks": f"not running: {', '.join(dead)}" if dead else "all run"}
