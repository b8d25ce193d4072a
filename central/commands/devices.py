"""`device`."""

from typing import Any

import click

from central import operate
from central.commands.bundles import bundle
from central.commands.shell import act, as_json, say, say_rows
from central.config import Config

SHOWN = "device state seen backlog readers"
WHERE_THERE_ARE_ANY = ("words", "troubles")


@click.group()
def device() -> None:
    """Agents at the gates: invite one, confirm it, look after it, revoke it."""


@device.command("invite")
@click.argument("gate")
@click.option("--url", default="", help="Where the device finds the server; not given = as configured.")
@as_json
@click.pass_obj
def invite(settings: Config, gate: str, url: str, as_json: bool) -> None:
    """A join token for one device at GATE, good for ten minutes. It is a secret, shown once.

    Example: tapgate-central device invite library-1-door
    """
    result = act(settings, "device.invite", {"gate": gate, "url": url})
    if as_json:
        say(result, True)
    else:
        click.echo("On the device, within ten minutes: tapgate-edge enrol TOKEN", err=True)
        click.echo(result["token"])


@device.command("confirm")
@click.argument("device_id", metavar="DEVICE")
@click.option("--words", required=True, help="The words that the device itself shows.")
@as_json
@click.pass_obj
def confirm(settings: Config, device_id: str, words: str, as_json: bool) -> None:
    """Let data flow to a device that shows the right words.

    Example: tapgate-central device confirm library-1-door-5f3a9c0d1b2e4f60 --words babad-gutih-tugad
    """
    say(act(settings, "device.confirm", {"device": device_id, "words": words}), as_json)


@device.command("list")
@click.option("--gate", default="", help="Only those of one gate.")
@click.option("--venue", default="", help="Only those of one venue.")
@click.option("--state", type=click.Choice(["", "pending", "active", "revoked"]), default="", help="Only those.")
@as_json
@click.pass_obj
def list_(settings: Config, gate: str, venue: str, state: str, as_json: bool) -> None:
    """Devices with what they last said. Of a pending one, the words to compare.

    Example: tapgate-central device list --state pending
    """
    found: list[dict[str, Any]] = []
    more = True
    while more:
        asked = {"gate": gate, "venue": venue, "state": state, "after": found[-1]["device"] if found else ""}
        answer = act(settings, "device.list", asked)
        found, more = found + answer["devices"], answer["more"]
    rows = found if as_json else [{**each, "readers": _readers(each), "seen": _ago(each["seen_ms"])} for each in found]
    some = [name for name in WHERE_THERE_ARE_ANY if any(each[name] for each in found)]
    nothing = "No device: `tapgate-central device invite GATE` makes a join token."
    say_rows(rows, as_json, nothing, " ".join([SHOWN, *some]))


@device.command("show")
@click.argument("device_id", metavar="DEVICE")
@as_json
@click.pass_obj
def show(settings: Config, device_id: str, as_json: bool) -> None:
    """Everything that is known of one device: what it holds against what it should, its readers, its machine, its past.

    Example: tapgate-central device show library-1-door-5f3a9c0d1b2e4f60
    """
    shown = act(settings, "device.show", {"device": device_id})
    found = {**shown.pop("device"), **shown}
    if as_json:
        say(found, True)
        return
    told = {name: value for name, value in found.items() if value not in (None, "", [], {})}
    told["readers"] = _readers(found, whole=True)
    told.pop("published_parts", None)
    told["parts"] = [_part(each) for each in found["published_parts"]]
    told["moves"] = [f"{each['from_gate']} → {each['to_gate']}" for each in found["moves"]]
    told["bundles"] = [f"{each['bundle']} {each['state']}" for each in found["bundles"]]
    say(told, False)


def _part(part: dict[str, Any]) -> str:
    """`policy 3`, and where it is not what is published, that too."""
    return f"{part['name']} {part['held']}" + ("" if part["is_current"] else f" (published: {part['published']})")


def _ago(at_ms: int) -> str:
    """How long since, in the largest unit that says enough."""
    if not at_ms:
        return "never"
    ago_s = max(0, operate.now_ms() - at_ms) // 1_000
    for unit, seconds in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if ago_s >= 2 * seconds:
            return f"{ago_s // seconds} {unit} ago"
    return f"{ago_s} s ago"


def _readers(found: dict[str, Any], whole: bool = False) -> list[str]:
    """`usb-1 ready`, and where it is asked for by which profile and firmware, and why."""
    told = []
    for reader in found["readers"]:
        facts = [reader["profile"], reader["firmware"] and f"firmware {reader['firmware']}", reader["why"]]
        more = ", ".join(filter(None, facts)) if whole else ""
        told.append(f"{reader['reader']} {reader['state']}" + (f" ({more})" if more else ""))
    return told


@device.command("revoke")
@click.argument("device_id", metavar="DEVICE")
@click.option("--why", required=True, help="Told to the device and kept.")
@as_json
@click.pass_obj
def revoke(settings: Config, device_id: str, why: str, as_json: bool) -> None:
    """Trust nothing more from a device. Final: to come back it is enrolled anew.

    Example: tapgate-central device revoke library-1-door-5f3a9c0d1b2e4f60 --why stolen
    """
    say(act(settings, "device.revoke", {"device": device_id, "why": why}), as_json)


@device.command("move")
@click.argument("device_id", metavar="DEVICE")
@click.argument("gate")
@click.option("--why", default="", help="Kept with the move.")
@click.option("--who", default="", help="Who has it done.")
@as_json
@click.pass_obj
def move(settings: Config, device_id: str, gate: str, why: str, who: str, as_json: bool) -> None:
    """Let a device serve another GATE of its domain. What it has not delivered yet stays with the gate where it was.

    Example: tapgate-central device move library-1-door-5f3a9c0d1b2e4f60 library-1-side --why "the door is rebuilt"
    """
    say(act(settings, "device.move", {"device": device_id, "gate": gate, "why": why, "who": who}), as_json)


@device.command("replace")
@click.argument("device_id", metavar="DEVICE")
@click.option("--url", default="", help="Where the new one finds the server; not given = as configured.")
@as_json
@click.pass_obj
def replace(settings: Config, device_id: str, url: str, as_json: bool) -> None:
    """A join token for another device in the place of DEVICE, which is revoked when the new one is confirmed.

    What it has not delivered by then counts nowhere: where it still works, wait until it has; where only its disk does,
    `tapgate-edge journal export` there and `journal import` here come first.

    Example: tapgate-central device replace library-1-door-5f3a9c0d1b2e4f60
    """
    result = act(settings, "device.replace", {"device": device_id, "url": url})
    if as_json:
        say(result, True)
        return
    if result["undelivered"]:
        click.echo(f"{device_id} had {result['undelivered']} events to deliver, {_ago(result['seen_ms'])}.", err=True)
    click.echo("On the new device, within ten minutes: tapgate-edge enrol TOKEN", err=True)
    click.echo(result["token"])


@device.command("ban")
@click.argument("device_id", metavar="DEVICE")
@click.option("--why", required=True, help="Told to the device and kept.")
@as_json
@click.pass_obj
def ban(settings: Config, device_id: str, why: str, as_json: bool) -> None:
    """Revoke a device, keep nothing more of what it sends, and never enrol its keys again: for one in wrong hands.

    Example: tapgate-central device ban library-1-door-5f3a9c0d1b2e4f60 --why stolen
    """
    say(act(settings, "device.ban", {"device": device_id, "why": why}), as_json)


device.add_command(bundle)
