"""`volunteer`: what coordinators state, and certificates."""

from typing import Any

import click

from central.commands.attendance import SHOWN
from central.commands.shell import act, as_json, say_rows, who_option
from central.config import Config

why_option = click.option("--why", required=True, help="Kept with what is said.")


def _say(found: dict[str, Any], as_json: bool) -> None:
    say_rows(found["sessions"], as_json, "Nothing changed by it: it was so already.", SHOWN)


@click.command()
@click.argument("member")
@click.option("--team", required=True)
@click.option("--in", "signed_in", default="", metavar="TIME", help="As 2026-02-03T09:00 at the venue, or now.")
@click.option("--out", "signed_out", default="", metavar="TIME", help="Likewise.")
@click.option("--activity", default="", help="Such as training; not given = service.")
@why_option
@who_option
@as_json
@click.pass_obj
def sign(settings: Config, /, as_json: bool, **values: Any) -> None:
    """Sign a member of your own team in or out by hand.

    Example: tapgate-central volunteer sign A-1 --team desk --out 2026-02-03T12:00 --why "card forgotten at home"
    """
    _say(act(settings, "volunteer.sign", values), as_json)


@click.command()
@click.argument("session")
@click.option("--from", "from_", default="", metavar="TIME", help="When it began; not given = as it was tapped.")
@click.option("--until", default="", metavar="TIME", help="When it ended; not given = as it was tapped.")
@click.option("--void", is_flag=True, help="It was no session at all.")
@click.option("--team", default="", help="Where it was another one.")
@click.option("--activity", default="")
@why_option
@who_option
@as_json
@click.pass_obj
def settle(settings: Config, /, void: bool, from_: str, as_json: bool, **values: Any) -> None:
    """Say what a session was, as `volunteer review` shows it. Nothing forgotten becomes hours in another way.

    Example: tapgate-central volunteer settle 1f0c…a2 --until 2026-02-03T12:10 --why "seen leaving by Lin"
    """
    outcome = "void" if void else "hours"
    _say(act(settings, "volunteer.settle", {**values, "outcome": outcome, "from": from_}), as_json)


@click.command()
@click.argument("session")
@click.option("--team", required=True, help="The one that it was for; you coordinate both.")
@click.option("--activity", default="")
@why_option
@who_option
@as_json
@click.pass_obj
def reassign(settings: Config, /, as_json: bool, **values: Any) -> None:
    """Book a session for another team.

    Example: tapgate-central volunteer reassign 1f0c…a2 --team children --why "helped upstairs"
    """
    _say(act(settings, "volunteer.reassign", values), as_json)


@click.command()
@click.argument("session")
@click.option("--people", type=int, help="受服務人次")
@click.option("--transport", type=int, help="交通費, in dollars.")
@click.option("--meal", type=int, help="誤餐費, in dollars.")
@click.option("--people-abroad", type=int, help="國外參與服務人次")
@click.option("--people-home", type=int, help="國內參與服務人次")
@click.option("--remark", help="備註")
@who_option
@as_json
@click.pass_obj
def served(settings: Config, /, as_json: bool, **values: Any) -> None:
    """What the ministry's sheet asks of a session.

    Example: tapgate-central volunteer served 1f0c…a2 --people 34 --transport 60
    """
    _say(act(settings, "volunteer.served", values), as_json)


@click.command()
@click.argument("member", default="")
@as_json
@click.pass_obj
def certificates(settings: Config, member: str, as_json: bool) -> None:
    """Who reached the hours of an honour card (榮譽卡), and until when those made out are good.

    Example: tapgate-central volunteer certificates
    """
    found = act(settings, "volunteer.certificates", {"member": member})["certificates"]
    say_rows(found, as_json, "Nobody has the hours yet.")


@click.command()
@click.argument("member")
@click.option("--valid-from", required=True, metavar="DATE")
@click.option("--number", default="", help="That is printed on it.")
@who_option
@as_json
@click.pass_obj
def certify(settings: Config, /, as_json: bool, **values: Any) -> None:
    """State that an honour card was made out. Its hours do not count for the next one.

    Example: tapgate-central volunteer certify A-1 --valid-from 2026-03-01 --number 115-0042
    """
    say_rows(act(settings, "volunteer.certify", values)["certificates"], as_json)


COMMANDS = (sign, settle, reassign, served, certificates, certify)
"""Of the group `volunteer`."""
