"""`profile`."""

from pathlib import Path

import click

from central.commands.shell import act, as_json, fail, readable, say_json, say_rows
from central.config import Config

NONE = "No profile is published: gates go by those that they were shipped with."


@click.group()
def profile() -> None:
    """Reader profiles published to every gate: what a reader model needs, as one TOML file a model."""


@profile.command("put")
@click.argument("file", type=readable)
@as_json
@click.pass_obj
def put(settings: Config, file: Path, as_json: bool) -> None:
    """Publish the profile in FILE, which is named after it. It goes before a shipped one of its name.

    Example: tapgate-central profile put acr122u.toml
    """
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{file}: {error}")
    _say(act(settings, "profile.put", {"name": file.name.removesuffix(".toml"), "text": text}), as_json)


@profile.command("list")
@as_json
@click.pass_obj
def list_(settings: Config, as_json: bool) -> None:
    """What is published.

    Example: tapgate-central profile list
    """
    _say(act(settings, "profile.list", {}), as_json)


@profile.command("show")
@click.argument("name")
@as_json
@click.pass_obj
def show(settings: Config, name: str, as_json: bool) -> None:
    """A published profile, as the file that was put.

    Example: tapgate-central profile show acr122u > acr122u.toml
    """
    shown = act(settings, "profile.show", {"name": name})
    if as_json:
        say_json(shown)
    else:
        click.echo(shown["text"], nl=not shown["text"].endswith("\n"))


@profile.command("remove")
@click.argument("name")
@as_json
@click.pass_obj
def remove(settings: Config, name: str, as_json: bool) -> None:
    """Publish the others without it; gates go back to the profile that they were shipped with.

    Example: tapgate-central profile remove acr122u
    """
    _say(act(settings, "profile.remove", {"name": name}), as_json)


def _say(result: dict[str, object], as_json: bool) -> None:
    if as_json:
        say_json(result)
        return
    rows, lacking = result["profiles"], result["lacking"]
    assert isinstance(rows, list)
    assert isinstance(lacking, list)
    say_rows(rows, as_json, NONE)
    if lacking and rows:
        click.echo(f"Not sent to {', '.join(lacking)}, whose agents do not know published profiles yet: update them.")
