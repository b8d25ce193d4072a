"""`member copy`, `looks`, `correct`, `erase`; `erasure`, `hold`, `retention`: what the law asks for."""

import base64
import contextlib
from pathlib import Path
from typing import Any, get_args

import click
import msgspec

from central.commands.shell import act, as_json, fail, private_file, say, say_json, say_rows, who_option
from central.config import Config
from central.privacy.copying import title_of
from central.privacy.retention.rules import ADMISSION, Ruled

LOOKS = "at_ms who origin what action"
ERASURES = "erasure at_ms who heard_ms"
HOLDS = "id member venue why who at_ms ended_ms"
RETENTION = "venue days own held before_ms oldest_ms"
PURPOSES = "purpose days before_ms oldest_ms"
why_option = click.option("--why", default="", help="Kept with what is said.")
person_argument = click.argument("member")


@click.command("copy")
@person_argument
@click.option("--to", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write the JSON there.")
@as_json
@click.pass_obj
def copy(settings: Config, member: str, file: Path | None, as_json: bool) -> None:
    """Everything that is held of a member, for the member to take away.

    Example: tapgate-central member copy A-1024 --to A-1024.json
    """
    found = act(settings, "member.copy", {"member": member})
    if file is not None:
        with private_file(file) as out:
            out.write(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
    if as_json:
        say_json(found)
        return
    for section in found["sections"]:
        click.echo(f"\n{section['title_en']} ({section['purpose']}): {len(section['rows'])}")
        say_rows(section["rows"], as_json)


@click.command("looks")
@person_argument
@click.option("--before", type=click.IntRange(min=0), default=0, help="The last number of the page before.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@as_json
@click.pass_obj
def looks(settings: Config, /, as_json: bool, **values: Any) -> None:
    """Who looked at a member's data or changed it, the newest first: by a page, the API or a command.

    Example: tapgate-central member looks A-1024
    """
    found = act(settings, "member.looks", values)
    if as_json:
        say_json(found)
        return
    say_rows(found["looks"], False, "Nobody did.", LOOKS)
    if found["more"]:
        click.echo(f"There are more: --before {found['looks'][-1]['number']}")


@click.command("correct")
@person_argument
@click.option("--name", default="", help="In place of the one that is held.")
@click.option("--without-name", is_flag=True, help="None is held any more.")
@click.option("--without-class", "without_classes", multiple=True, help="Not in it any more; may stand several times.")
@click.option("--reference", default="", help="The city's own, in place of MEMBER; who looked is told under both.")
@why_option
@who_option
@as_json
@click.pass_obj
def correct(settings: Config, /, as_json: bool, **values: Any) -> None:
    """Put right what is held of a member.

    Example: tapgate-central member correct A-1024 --without-class student --why "left school"
    """
    say(act(settings, "member.correct", {**values, "without_classes": list(values["without_classes"])}), as_json)


@click.command("erase")
@click.argument("person", metavar="MEMBER")
@click.option("--apply", is_flag=True, help="Do it, for good. Without this nothing is changed.")
@click.option("--receipt", type=click.Path(dir_okay=False, path_type=Path), help="Where the signed receipt goes.")
@who_option
@as_json
@click.pass_obj
def erase(settings: Config, /, person: str, apply: bool, receipt: Path | None, who: str, as_json: bool) -> None:
    """Destroy everything that is held of a member; by default only say what would go. It cannot be undone, and is done
    again when an older backup is restored.

    Example: tapgate-central member erase A-1024 --apply --receipt A-1024.erased
    """
    if apply and receipt is None:
        fail("state --receipt: it is shown once and kept nowhere")
    with contextlib.ExitStack() as stack:
        out = stack.enter_context(private_file(receipt)) if apply and receipt is not None else None
        done = act(settings, "member.erase", {"person": person, "apply": apply, "who": who})
        if out is not None:
            out.write(base64.b64decode(done["receipt_base64"]))
    if as_json:
        say_json(done)
        return
    rows = {title_of(name)[1]: number for name, number in done["rows"].items()}
    say({"applied": done["applied"], "erasure": done["erasure"], **rows}, as_json)
    for place in done["remains"]:
        until = "until somebody removes it" if not place["until_ms"] else "for 30 days at most"
        click.echo(f"{place['where']}: may hold some of it {until}")
    for name in done["copies"]:
        click.echo(f"{name}: a copy of the database that was set aside, which holds it")
    if not apply:
        click.echo("Nothing was changed: add --apply to do it.")
    elif not done["files_clean"]:
        click.echo("The database file is written anew at night; `erasure compact` does it now.")


@click.group()
def erasure() -> None:
    """Who was erased, without saying who."""


@erasure.command("list")
@click.option("--member", "sought", default="", help="Whether somebody was erased under this reference.")
@click.option("--before-ms", type=click.IntRange(min=0), default=0, help="The time of the last one of the page before.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@as_json
@click.pass_obj
def erasure_list(settings: Config, /, as_json: bool, **values: Any) -> None:
    """Erasures, the newest first, and which gates have still to hear of.

    Example: tapgate-central erasure list
    """
    say_rows(act(settings, "erasure.list", values)["erasures"], as_json, "Nobody was.", ERASURES)


@erasure.command("compact")
@as_json
@click.pass_obj
def erasure_compact(settings: Config, as_json: bool) -> None:
    """Write the database file anew, so that no file holds what was deleted. Uploads wait meanwhile.

    Example: tapgate-central erasure compact
    """
    say(act(settings, "erasure.compact", {}), as_json)


@click.group()
def hold() -> None:
    """Legal holds: what must not be destroyed meanwhile."""


@hold.command("put")
@click.option("--member", default="", help="Everything of one member.")
@click.option("--venue", default="", help="Everything that happened at one venue; neither: everything.")
@click.option("--why", required=True, help="The order or the case.")
@who_option
@as_json
@click.pass_obj
def hold_put(settings: Config, /, as_json: bool, **values: Any) -> None:
    """From now on neither an erasure nor a rule destroys it.

    Example: tapgate-central hold put --member A-1024 --why "court order 115-42"
    """
    say(act(settings, "hold.put", values), as_json)


@hold.command("end")
@click.argument("id", metavar="HOLD")
@who_option
@as_json
@click.pass_obj
def hold_end(settings: Config, /, as_json: bool, **values: Any) -> None:
    """What it kept may be destroyed again.

    Example: tapgate-central hold end h1795399200000
    """
    say(act(settings, "hold.end", values), as_json)


@hold.command("list")
@click.option("--ended", is_flag=True, help="Those that are over, too.")
@as_json
@click.pass_obj
def hold_list(settings: Config, ended: bool, as_json: bool) -> None:
    """What is kept, why and by whose order.

    Example: tapgate-central hold list
    """
    say_rows(act(settings, "hold.list", {"ended": ended})["holds"], as_json, "Nothing is held.", HOLDS)


@click.group()
def retention() -> None:
    """How long what is personal is kept, by purpose."""


@retention.command("put")
@click.argument("days", type=click.IntRange(0, 36_500))
@click.option("--purpose", type=click.Choice(get_args(Ruled)), default=ADMISSION, show_default=True)
@click.option("--venue", default="", help="Of admission; not given = every venue without a rule of its own.")
@why_option
@who_option
@as_json
@click.pass_obj
def retention_put(settings: Config, /, as_json: bool, **values: Any) -> None:
    """What is older than so many days is destroyed in the background, once no other purpose counts on it; 0: no rule.
    Counts and proofs stay.

    Example: tapgate-central retention put 180 --venue library-1
    """
    _say_rules(act(settings, "retention.put", values), as_json)


@retention.command("list")
@as_json
@click.pass_obj
def retention_list(settings: Config, as_json: bool) -> None:
    """The rule of each venue and purpose, and how old the oldest is that is kept.

    Example: tapgate-central retention list
    """
    _say_rules(act(settings, "retention.list", {}), as_json)


def _say_rules(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        say_json(found)
        return
    say_rows(found["venues"], as_json, "There is no venue.", columns=RETENTION)
    say_rows(found["purposes"], as_json, columns=PURPOSES)


@click.command("held")
@click.argument("device")
@click.option("--members", type=click.Path(dir_okay=False, path_type=Path), help="Whom it concerns, a line each.")
@as_json
@click.pass_obj
def held(settings: Config, device: str, members: Path | None, as_json: bool) -> None:
    """What a stolen device held, and by when those whom it concerns have to be told.

    Example: tapgate-central device held library-1-door-7f3a --members concerned.txt
    """
    seen: list[str] = []
    found = act(settings, "device.held", {"device": device}, on_items=seen.extend)
    if members is not None:
        with private_file(members) as out:
            out.write("".join(f"{each}\n" for each in seen).encode())
    say(found, as_json)


@click.command("rotate-key")
@click.argument("domain")
@why_option
@who_option
@as_json
@click.pass_obj
def rotate_key(settings: Config, /, as_json: bool, **values: Any) -> None:
    """A new key for a domain, and every token made again with it, in blocks. Gates decide with what they hold until
    they have both. Say it again to go on with a rotation that was cut short.

    Example: tapgate-central domain rotate-key library --why "door-1 was stolen"
    """
    say(act(settings, "domain.rotate-key", values, bar=True), as_json)


OF_MEMBERS = (copy, looks, correct, erase)
GROUPS = (erasure, hold, retention)
