"""`purpose`, `notice`, `consent`: what data is used for, what people are told of it, and what they say to it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from central.commands.classes import follow, table_options
from central.commands.shell import act, as_json, readable, say, say_json, say_rows, table_in, who_option
from central.config import Config

PURPOSES = "id title_en consent required from_ms notice classes"
SAID = "purpose state notice at_ms how who why holds"
why_option = click.option("--why", default="", help="Kept with what is said.")
notice_option = click.option(
    "--notice", type=click.IntRange(0, 1_000_000), default=0, help="The version that was told; not given = the newest."
)


@click.group()
def purpose() -> None:
    """What personal data is used for, and whether that needs consent."""


@purpose.command("list")
@as_json
@click.pass_obj
def purpose_list(settings: Config, as_json: bool) -> None:
    """Every purpose, and since when or from when only a given consent counts.

    Example: tapgate-central purpose list
    """
    say_rows(act(settings, "purpose.list", {})["purposes"], as_json, columns=PURPOSES)


@purpose.command("require")
@click.argument("purpose")
@click.option("--from", "when", required=True, help="A local date, `now`, or `never` (not any more).")
@why_option
@who_option
@as_json
@click.pass_obj
def purpose_require(settings: Config, /, as_json: bool, **values: Any) -> None:
    """From then on a class of this purpose is on a list only where its member agreed. Nothing asks for that by itself:
    gather consents first, and look how many there are.

    Example: tapgate-central purpose require caring --from 2027-01-01
    """
    say(act(settings, "purpose.require", values, bar=True), as_json)


@click.group()
def notice() -> None:
    """What people are told before they agree: the six items of the law, in zh-TW and English."""


@notice.command("put")
@click.argument("purpose")
@click.argument("file", type=readable)
@who_option
@as_json
@click.pass_obj
def notice_put(settings: Config, /, purpose: str, file: Path, who: str, as_json: bool) -> None:
    """What is told from now on, out of a TOML file with the tables zh and en; older versions stay.

    Example: tapgate-central notice put caring deploy/privacy/caring.toml
    """
    values = {"purpose": purpose, "notice": table_in(file, "a notice"), "who": who}
    shown = act(settings, "notice.put", values)
    say({name: shown[name] for name in ("purpose", "version", "at_ms", "who")}, as_json)


@notice.command("show")
@click.argument("purpose")
@click.option("--version", type=click.IntRange(0, 1_000_000), default=0, help="Not given = the newest.")
@as_json
@click.pass_obj
def notice_show(settings: Config, /, as_json: bool, **values: Any) -> None:
    """A notice as people were told it.

    Example: tapgate-central notice show caring
    """
    shown = act(settings, "notice.show", values)
    if as_json:
        say_json(shown)
        return
    say({name: shown[name] for name in ("purpose", "version", "newest", "at_ms", "who")}, as_json)
    for language in ("zh", "en"):
        click.echo("")
        say(shown["notice"][language], as_json)


@click.group()
def consent() -> None:
    """What members agree to, and take back."""


def _statement(command: Callable[..., None]) -> Callable[..., None]:
    options: tuple[Any, ...] = (
        click.argument("member"),
        click.argument("purpose"),
        notice_option,
        click.option("--how", type=click.Choice(["counter", "kiosk"]), default="counter", show_default=True),
        why_option,
        who_option,
        as_json,
    )
    for option in reversed(options):
        command = option(command)
    return command


@consent.command("give")
@_statement
@click.pass_obj
def consent_give(settings: Config, /, as_json: bool, **values: Any) -> None:
    """The member was told, and agreed.

    Example: tapgate-central consent give A-1024 caring
    """
    say(act(settings, "consent.give", values), as_json)


@consent.command("withdraw")
@_statement
@click.pass_obj
def consent_withdraw(settings: Config, /, as_json: bool, **values: Any) -> None:
    """The member refuses, or takes it back: connected gates hear of it as of a blocked card.

    Example: tapgate-central consent withdraw A-1024 caring
    """
    say(act(settings, "consent.withdraw", values), as_json)


@consent.command("list")
@click.argument("member")
@as_json
@click.pass_obj
def consent_list(settings: Config, member: str, as_json: bool) -> None:
    """Everything that a member said of any purpose, the newest first.

    Example: tapgate-central consent list A-1024
    """
    rows = act(settings, "consent.list", {"member": member})["consents"]
    say_rows(rows, as_json, "Nothing was said of any purpose.", SAID)


@consent.command("import")
@click.argument("file", type=readable)
@click.option("--domain", required=True, help="The domain that the members are in.")
@click.option("--purpose", required=True)
@notice_option
@why_option
@who_option
@table_options
@click.pass_obj
def consent_import(settings: Config, /, file: Path, **values: Any) -> None:
    """A list of signed forms: member, answer (yes or no), date; by default only say, row by row, what it would do.

    Example: tapgate-central consent import forms.csv --domain library --purpose caring --apply
    """
    follow(settings, "consent.import", file, values)
