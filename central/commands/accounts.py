"""`account`."""

from typing import Any

import click

from central.access.caller import Role
from central.commands.shell import act, as_json, say, say_json, say_rows
from central.config import Config

NONE = "No account yet: `tapgate-central account add NAME --role admin` lets the first person in."
COLUMNS = "account title roles venues teams state totp sessions locked_until_ms"
role_option = click.option(
    "--role", "roles", multiple=True, type=click.Choice([role.value for role in Role]), help="May be given again."
)
venue_option = click.option("--venue", "venues", multiple=True, help="Of an operator; may be given again.")
team_option = click.option("--team", "teams", multiple=True, help="Of a coordinator; may be given again.")


@click.group()
def account() -> None:
    """Who may get into the console and the API, as what, and where."""


@account.command("add")
@click.argument("name")
@role_option
@venue_option
@team_option
@click.option("--title", default="", help="What people call the person or the system.")
@click.option("--loopback-only", is_flag=True, help="For a demonstration: let in on this machine alone.")
@as_json
@click.pass_obj
def add(
    settings: Config,
    /,
    name: str,
    roles: tuple[str, ...],
    venues: tuple[str, ...],
    teams: tuple[str, ...],
    title: str,
    loopback_only: bool,
    as_json: bool,
) -> None:
    """Let somebody in. The password is printed this once, and has to be changed at the first sign-in.

    Example: tapgate-central account add lin --role operator --venue library-1 --title 林館員
    """
    if not roles:
        raise click.UsageError("state what the account is for: --role")
    values: dict[str, Any] = {"account": name, "roles": roles, "venues": venues, "teams": teams, "title": title}
    values["loopback_only"] = loopback_only
    say_password(act(settings, "account.add", values), as_json)


@account.command("list")
@as_json
@click.pass_obj
def list_(settings: Config, as_json: bool) -> None:
    """Who may get in.

    Example: tapgate-central account list
    """
    found: list[dict[str, Any]] = []
    more = True
    while more:
        after = found[-1]["account"] if found else ""
        page = act(settings, "account.list", {"after": after, "limit": 500})
        found, more = [*found, *page["accounts"]], page["more"]
    say_rows(found, as_json, NONE, COLUMNS)


@account.command("set")
@click.argument("name")
@role_option
@venue_option
@team_option
@click.option("--no-venues", is_flag=True, help="Take every venue away.")
@click.option("--no-teams", is_flag=True, help="Take every team away.")
@click.option("--title", help="What people call the person or the system.")
@click.option("--state", type=click.Choice(["active", "disabled"]), help="`disabled` lets nobody in; the name stays.")
@as_json
@click.pass_obj
def set_(
    settings: Config,
    /,
    name: str,
    roles: tuple[str, ...],
    venues: tuple[str, ...],
    teams: tuple[str, ...],
    no_venues: bool,
    no_teams: bool,
    title: str | None,
    state: str | None,
    as_json: bool,
) -> None:
    """Change an account; what is not given stays. Its sessions end, unless only the title changed.

    Example: tapgate-central account set lin --venue library-1 --venue library-2
    """
    values: dict[str, Any] = {"account": name, "roles": roles or None, "title": title, "state": state}
    values["venues"] = [] if no_venues else venues or None
    values["teams"] = [] if no_teams else teams or None
    say(act(settings, "account.set", values), as_json)


@account.command("reset")
@click.argument("name")
@as_json
@click.pass_obj
def reset(settings: Config, name: str, as_json: bool) -> None:
    """Give an account a new password, printed this once; its sessions end and its lock is lifted.

    Example: tapgate-central account reset lin
    """
    say_password(act(settings, "account.reset", {"account": name}), as_json)


@account.command("unlock")
@click.argument("name")
@as_json
@click.pass_obj
def unlock(settings: Config, name: str, as_json: bool) -> None:
    """Let an account try again at once that was locked by wrong passwords, its own or a stranger's.

    Example: tapgate-central account unlock lin
    """
    say(act(settings, "account.unlock", {"account": name})["account"], as_json)


@account.command("no-codes")
@click.argument("name")
@as_json
@click.pass_obj
def no_codes(settings: Config, name: str, as_json: bool) -> None:
    """Ask for no one-time code at an account's sign-in any more: its phone was lost.

    Example: tapgate-central account no-codes lin
    """
    say(act(settings, "account.totp.remove", {"account": name}), as_json)


@account.command("sessions")
@click.argument("name")
@click.option("--end", is_flag=True, help="End them all.")
@as_json
@click.pass_obj
def sessions(settings: Config, name: str, end: bool, as_json: bool) -> None:
    """Where an account is signed in.

    Example: tapgate-central account sessions lin --end
    """
    if end:
        say(act(settings, "session.end", {"account": name}), as_json)
        return
    found = act(settings, "session.list", {"account": name})["sessions"]
    say_rows(found, as_json, f"{name} is not signed in anywhere.", "origin created_ms seen_ms")


def say_password(result: dict[str, Any], as_json: bool) -> None:
    """The one time that it is shown."""
    if as_json:
        say_json(result)
        return
    click.echo(f"Account {result['account']}, password {result['password']}")
    click.echo("It is shown this once, and has to be changed at the first sign-in.")
