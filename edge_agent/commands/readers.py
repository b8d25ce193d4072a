"""`tapgate-edge readers`: what there is to tap a card on, and trying it out."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from edge_agent import config, status
from edge_agent.agent import AlreadyRunning, hold_lock
from edge_agent.commands.shell import as_json, fail, language, settings_of, with_settings
from edge_agent.commands.trying import report, show, try_a_card
from edge_agent.commissioning.machine import Machine
from edge_agent.commissioning.plugged_in import own_book, rows
from edge_agent.commissioning.tryout import ReaderFailed
from edge_agent.commissioning.unit import UNIT

COLUMNS = ("name", "kind", "state", "hardware", "profile", "matched_by", "firmware", "why", "alarm")


@click.group(invoke_without_command=True)
@as_json
@click.pass_context
def readers(context: click.Context, as_json: bool) -> None:
    """The readers of this gate: which profile fits and why, firmware, state; and what is plugged in besides.

    From the running agent; where none runs, by looking without opening anything.

    Example: tapgate-edge readers
    """
    if context.invoked_subcommand is not None:
        return
    settings = settings_of(context.obj)
    answer = asyncio.run(status.ask(settings.data_dir))
    found = rows(Machine(), settings, answer["readers"] if answer is not None else None)
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    if not found:
        click.echo("No reader is configured and none is plugged in.")
        return
    table = Table(box=None)
    shown = [column for column in COLUMNS if any(row[column] for row in found)]
    for column in shown:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in found:
        table.add_row(*(escape(str(row[column] or "–")) for column in shown))
    Console().print(table)


@readers.command("test")
@click.argument("name", required=False)
@click.option("--timeout-s", type=click.FloatRange(min=0.1), default=30.0, show_default=True)
@click.option("--stop", "stops", is_flag=True, help="Stop the agent's service meanwhile and start it again afterwards.")
@as_json
@language
@with_settings
def test(settings: config.Config, name: str | None, timeout_s: float, stops: bool, as_json: bool, lang: str) -> None:
    """Tap a card and see all that is known of it: UID in every notation, kind, timing, what this gate would answer.

    NAME: of a configured reader; not given: the first one. Nothing is decided, released or written down, and the card's
    number is shown to you alone. The agent must not run meanwhile. Exit code 1: no card came, or the reader failed.

    Example: tapgate-edge readers test front
    """
    reader = next((reader for reader in settings.readers if name in (None, reader.name)), None)
    if reader is None:
        known = ", ".join(reader.name for reader in settings.readers)
        fail(f"no reader is named {name!r}; there are: {known}" if settings.readers else "no reader is configured")
    with _agent_stopped(settings.data_dir, stops):
        try:
            made = config.make_reader(reader, own_book(Machine(), settings))
            found = try_a_card(made, timeout_s, lang, quiet=as_json)
        except (ReaderFailed, ImportError) as error:
            fail(f"{reader.name}: {error}")
    if found is None:
        fail(f"{reader.name}: no card within {timeout_s:g} s")
    told = report(found, settings.data_dir)
    if as_json:
        click.echo(json.dumps(told, ensure_ascii=False))
    else:
        show(told, lang)


@contextlib.contextmanager
def _agent_stopped(directory: Path, stops: bool) -> Iterator[None]:
    """Two programs on one reader disturb each other, and a tap for the test must not open the door."""
    machine = Machine()
    stopped = stops and asyncio.run(status.ask(directory)) is not None
    if stopped:
        ran = machine.run(("systemctl", "stop", UNIT), limit_s=30)
        if ran is None or ran.code != 0:
            fail(f"systemctl stop {UNIT}: {ran.text.strip() if ran else 'no answer'}")
    try:
        with hold_lock(directory) if directory.exists() else contextlib.nullcontext():
            yield
    except AlreadyRunning:
        fail(f"the agent runs and has this reader: add --stop, or sudo systemctl stop {UNIT} and start it afterwards")
    except PermissionError as error:
        fail(f"{error.filename}: permission denied; try it with sudo")
    finally:
        if stopped:
            machine.run(("systemctl", "start", UNIT), limit_s=30)
