"""`gate config`."""

import json
from pathlib import Path
from typing import Any

import click

from central.commands.shell import act, as_json, despite_option, readable, say_json, say_rows, table_in
from central.config import Config


@click.group("config")
def config() -> None:
    """What a gate is told beside policy and list: release, passage, screen, texts, ages. Every version is kept."""


@config.command("show")
@click.argument("gate_id", metavar="GATE")
@as_json
@click.pass_obj
def show(settings: Config, gate_id: str, as_json: bool) -> None:
    """The configuration in force, as JSON that `gate config put` takes back.

    Example: tapgate-central gate config show library-1-door > door.json
    """
    shown = act(settings, "gate.config.show", {"gate": gate_id})
    if as_json:
        say_json(shown)
    else:
        click.echo(json.dumps(shown["body"], indent=2, ensure_ascii=False))


@config.command("put")
@click.argument("gate_ids", metavar="[GATE]...", nargs=-1)
@click.argument("file", type=readable)
@click.option("--gates", default="", help="More gates, separated by commas.")
@click.option("--venue", default="", help="Every gate of a venue.")
@click.option("--whole", is_flag=True, help="What FILE leaves out of release, screen and texts: as at a new gate.")
@despite_option
@as_json
@click.pass_obj
def put(settings: Config, /, gate_ids: tuple[str, ...], file: Path, gates: str, as_json: bool, **values: Any) -> None:
    """Change what FILE (TOML or JSON) names at these gates, all or none; connected gates get it at once.

    FILE holds any part of what `gate config show` gives: direction, time_zone, title_zh, title_en, and the tables
    release, screen, texts and ages. What it does not name stays; an empty text gives the standard one back.

    \b
    Example: tapgate-central gate config put library-1-door door.toml
    where door.toml is:
        release = {passage = "door", passage_ms = 8000, held_ms = 30000}
        screen = {undo = true, staff_admit = true, staff_close = true}
        texts.closed = {zh = "今日休館", en = "Closed today"}
        ages = {warn_ms = 86400000}
    """
    named = [*gate_ids, *filter(None, map(str.strip, gates.split(",")))]
    body = table_in(file, "a configuration")
    _say_put(act(settings, "gate.config.put", {"gates": named, "body": body, **values}), as_json)


@config.command("history")
@click.argument("gate_id", metavar="GATE")
@as_json
@click.pass_obj
def history(settings: Config, gate_id: str, as_json: bool) -> None:
    """Every version that was in force at a gate, the newest first, with what it changed.

    Example: tapgate-central gate config history library-1-door
    """
    say_rows(act(settings, "gate.config.history", {"gate": gate_id})["versions"], as_json)


@config.command("back")
@click.argument("gate_id", metavar="GATE")
@click.argument("version", type=int)
@despite_option
@as_json
@click.pass_obj
def back(settings: Config, gate_id: str, version: int, despite_freeze: str, as_json: bool) -> None:
    """Put the content of an old version in force again, as a newer one. Staff are those of today.

    Example: tapgate-central gate config back library-1-door 1790000000000
    """
    _say_put(
        act(settings, "gate.config.back", {"gate": gate_id, "version": version, "despite_freeze": despite_freeze}),
        as_json,
    )


def _say_put(result: dict[str, object], as_json: bool) -> None:
    rows = result["gates"]
    assert isinstance(rows, list)
    say_rows(rows, as_json)
    if not as_json and not any(row["changed"] for row in rows):
        click.echo("Nothing changed: that is what is in force.")
