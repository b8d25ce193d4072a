"""`card bind-session`: the next card that is tapped at a gate becomes a member's."""

import time
from typing import Any

import click

from central.bind_sessions import BOUND, WAITING
from central.commands.shell import act, as_json, fail, say, say_rows
from central.config import Config
from central.operate import user_name

LOOK_EVERY_S = 0.1
LISTED = "session gate member who state opened_ms until_ms number why"
by_option = click.option(
    "--by",
    "who",
    default=user_name,
    show_default="your login name",
    help="Who does this; it is kept with the session.",
)
gate_option = click.option("--gate", required=True, help="The gate at whose reader the card is tapped.")


@click.group("bind-session")
def bind_session() -> None:
    """Bind a card by tapping it at a counter: no number has to be read or typed."""


@bind_session.command("open")
@gate_option
@click.option("--member", required=True, help="Whose the card is to be, by the city's own number.")
@by_option
@click.option("--minutes", type=click.IntRange(1, 30), default=2, show_default=True, help="How long it is waited for.")
@click.option("--wait", is_flag=True, help="Until the card is bound, or why not is known.")
@as_json
@click.pass_obj
def open_(settings: Config, /, wait: bool, as_json: bool, **values: Any) -> None:
    """The next card that is tapped at this gate is the member's; it opens no door. With --wait it ends with 1 where the
    card is somebody else's, cannot be used, or did not come.

    Example: tapgate-central card bind-session open --gate library-desk --member A-1024 --by chen --wait
    """
    session = act(settings, "card.bind-session.open", values)
    while wait and session["state"] in WAITING and time.time_ns() // 1_000_000 < session["until_ms"]:
        time.sleep(LOOK_EVERY_S)
        session = act(settings, "card.bind-session.show", {"session": session["session"]})
    say(session, as_json)
    if wait and session["state"] in WAITING:
        fail(
            "no card came; one that the gate took may still be delivered: "
            f"`card bind-session show {session['session']}`"
        )
    if wait and session["state"] != BOUND:
        fail(f"not bound, {session['state']}: {session['why']}")


@bind_session.command("list")
@click.option("--all", is_flag=True, help="Those that are over, too.")
@as_json
@click.pass_obj
def list_(settings: Config, /, as_json: bool, **values: Any) -> None:
    """Sessions that wait for a card, the newest first.

    Example: tapgate-central card bind-session list --all
    """
    found = act(settings, "card.bind-session.list", values)["sessions"]
    say_rows(found, as_json, "No session waits for a card: `card bind-session open`.", LISTED)


@bind_session.command("show")
@click.argument("session")
@as_json
@click.pass_obj
def show(settings: Config, /, as_json: bool, **values: Any) -> None:
    """What became of a session.

    Example: tapgate-central card bind-session show 9f2c41d07be35a86c0d1e2f3a4b5c6d7
    """
    say(act(settings, "card.bind-session.show", values), as_json)


@bind_session.command("cancel")
@gate_option
@by_option
@as_json
@click.pass_obj
def cancel(settings: Config, /, as_json: bool, **values: Any) -> None:
    """The gate decides on the next card again.

    Example: tapgate-central card bind-session cancel --gate library-desk --by chen
    """
    say(act(settings, "card.bind-session.cancel", values), as_json)
