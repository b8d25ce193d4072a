"""`tapgate-edge`: the agent's command line."""

import asyncio
import contextlib
import datetime as dt
import functools
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click
import structlog

from edge_agent import __version__, config, enrolment, status
from edge_agent import identity as identity_file
from edge_agent.agent import Agent, AlreadyRunning, hold_lock
from edge_agent.database import ERRORS, JournalUnwritable, StoreDamaged
from edge_agent.identity import IdentityDamaged
from edge_agent.journal_file import export as export_journal
from edge_agent.preview import preview
from edge_agent.schema import NewerSchema
from edge_agent.store import DATABASE, Store
from edge_agent.uplink import NetworkFailure
from edge_agent.verify import verify
from protocol.errors import Refused
from protocol.joining import from_text
from protocol.uid import Notation, parse

DEFAULT_CONFIG = Path("/etc/tapgate/edge.toml")


def fail(why: str) -> NoReturn:
    """One line to standard error, exit code 1."""
    click.echo(f"tapgate-edge: {why}", err=True)
    sys.exit(1)


def say(data: Any, as_json: bool) -> None:
    """JSON for a script, a table for a person."""
    if as_json:
        click.echo(json.dumps(data))
        return
    width = max(map(len, data))
    for key, value in data.items():
        text = "–" if value in (None, "", []) else "; ".join(map(_short, value)) if isinstance(value, list) else value
        click.echo(f"{key.replace('_', ' '):<{width}}  {text}")


def _short(item: Any) -> str:
    return " ".join(str(part) for part in item.values() if part) if isinstance(item, dict) else str(item)


as_json = click.option("--json", "as_json", is_flag=True, help="One line of JSON, for scripts.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "config_path",
    type=click.Path(dir_okay=False, path_type=Path),
    default=DEFAULT_CONFIG,
    show_default=True,
    envvar="TAPGATE_EDGE_CONFIG",
    help="The settings file.",
)
@click.version_option(__version__)
@click.pass_context
def cli(context: click.Context, config_path: Path) -> None:
    """The Tapgate agent: decides card taps at a gate, offline, and delivers them to central.

    Example: tapgate-edge --config /etc/tapgate/edge.toml status
    """
    context.obj = config_path


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """The settings as first argument, read when the command runs: help needs no file."""

    @click.pass_obj
    @functools.wraps(command)
    def run_command(config_path: Path, /, **options: Any) -> None:
        try:
            settings = config.load(config_path)
        except config.ConfigError as error:
            fail(str(error))
        command(settings, **options)

    return run_command


@cli.command()
@click.argument("token")
@click.option("--wait/--no-wait", default=False, help="Wait until an operator has confirmed the words.")
@as_json
@with_settings
def enrol(settings: config.Config, token: str, wait: bool, as_json: bool) -> None:
    """Join central with the TOKEN that an operator made for this gate.

    Example: tapgate-edge enrol tapgate1:k9JodHRwczov…
    """
    try:
        with hold_lock(settings.data_dir):
            identity = enrolment.prepare(settings.data_dir, from_text(token))
            identity = asyncio.run(enrolment.enrol(settings.data_dir, identity))
            words = enrolment.words(identity)
            say({"device": identity.device, "gate": identity.gate, "words": words}, as_json)
            if not as_json:
                click.echo("An operator now compares these words with what central shows, and confirms:")
                click.echo(f"  tapgate-central device confirm {identity.device} --words {words}")
            if wait:
                asyncio.run(enrolment.wait_until_confirmed(identity))
    except (Refused, NetworkFailure, AlreadyRunning, IdentityDamaged, OSError) as error:
        fail(str(error))


@cli.command()
@click.option("--log-level", default="info", type=click.Choice(["debug", "info", "warning", "error"]))
@with_settings
def run(settings: config.Config, log_level: str) -> None:
    """Run the agent until it is stopped.

    Example: tapgate-edge --config /etc/tapgate/edge.toml run
    """
    _log_to_stderr(log_level)
    try:
        identity = identity_file.load(settings.data_dir)
        if identity is None or not identity.device:
            fail("this device is not enrolled: ask an operator for a join token, then `tapgate-edge enrol TOKEN`")
        sys.exit(asyncio.run(Agent(settings, identity).run()))
    except (AlreadyRunning, NewerSchema, IdentityDamaged, JournalUnwritable, Refused, ImportError, OSError) as error:
        fail(str(error))


@cli.command("status")
@as_json
@with_settings
def show_status(settings: config.Config, as_json: bool) -> None:
    """What the agent holds, has delivered, and can reach.

    Example: tapgate-edge status --json
    """
    answer = asyncio.run(status.ask(settings.data_dir))
    if answer is None:
        try:
            answer = status.of_stopped(settings.data_dir)
        except (IdentityDamaged, OSError) as error:
            fail(str(error))
        except (*ERRORS, TypeError, ValueError) as error:
            fail(f"{settings.data_dir / DATABASE}: {error}")
        answer["readers"] = _not_running(settings)
    say(answer, as_json)


@cli.command()
@as_json
@with_settings
def readers(settings: config.Config, as_json: bool) -> None:
    """The configured readers and, while the agent runs, their state.

    Example: tapgate-edge readers
    """
    answer = asyncio.run(status.ask(settings.data_dir))
    rows = answer["readers"] if answer is not None else _not_running(settings)
    if as_json:
        click.echo(json.dumps(rows))
        return
    if not rows:
        click.echo("No reader is configured: add a [[readers]] table to the settings.")
    for row in rows:
        click.echo(f"{row['name']}: {row['kind']}, {row['state']}{' – ' + row['why'] if row['why'] else ''}")


def _not_running(settings: config.Config) -> list[dict[str, str]]:
    why = "the agent does not run"
    return [{"name": r.name, "kind": r.kind, "state": "unknown", "why": why} for r in settings.readers]


@cli.command()
@click.argument("uid")
@click.option("--at", help="ISO time to decide at, with or without zone (default: the gate's); default now.")
@click.option("--notation", type=click.Choice([n.value for n in Notation]), default="hex", show_default=True)
@as_json
@with_settings
def decide(settings: config.Config, uid: str, at: str | None, notation: str, as_json: bool) -> None:
    """What this gate would answer to a card, without writing anything. Its list counts as fresh then as it is now.

    Example: tapgate-edge decide 2A83155E --at 2026-11-23T09:00 --json
    """
    try:
        when = dt.datetime.fromisoformat(at) if at else dt.datetime.now(dt.UTC)
    except ValueError:
        raise click.BadParameter(f"{at!r} is not an ISO time such as 2026-11-23T09:00", param_hint="--at") from None
    try:
        card = parse(uid, Notation(notation))
    except Refused as error:
        raise click.BadParameter(error.detail, param_hint="UID") from None
    try:
        say(preview(settings.data_dir, card, when), as_json)
    except (Refused, IdentityDamaged, FileNotFoundError, StoreDamaged) as error:
        fail(str(error))


@cli.group()
def journal() -> None:
    """The record of everything that this gate did.

    Example: tapgate-edge journal verify
    """


@journal.command("verify")
@as_json
@with_settings
def verify_journal(settings: config.Config, as_json: bool) -> None:
    """Check chain, receipts, lists and floors. Exit code 0: whole; 1: each fault is named.

    Example: tapgate-edge journal verify
    """
    found = verify(settings.data_dir)
    if as_json:
        click.echo(json.dumps({"whole": not found, "found": found}))
    else:
        for line in found:
            click.echo(line)
        if not found:
            click.echo("The journal is whole.")
    sys.exit(1 if found else 0)


@journal.command("export")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--all", "everything", is_flag=True, help="Delivered events too, as far as they are kept.")
@with_settings
def export(settings: config.Config, file: Path, everything: bool) -> None:
    """Write undelivered events to FILE, signed, for `tapgate-central journal import`.

    Example: tapgate-edge journal export gate-3.journal
    """
    try:
        identity = identity_file.load(settings.data_dir)
        if identity is None or not identity.device:
            fail("this device has no keys (not enrolled, or revoked): its journal cannot be signed")
        if not (settings.data_dir / DATABASE).exists():
            fail(f"{settings.data_dir}: there is no journal yet")
        with (
            hold_lock(settings.data_dir),
            contextlib.closing(Store(settings.data_dir, settings.limits())) as store,
        ):
            count = export_journal(store, identity, file, everything)
    except (AlreadyRunning, StoreDamaged, JournalUnwritable, NewerSchema, IdentityDamaged, OSError) as error:
        fail(str(error))
    click.echo(f"{count} events in {file}")


def _log_to_stderr(level: str) -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def main() -> None:
    """The entry point."""
    cli(prog_name="tapgate-edge")


if __name__ == "__main__":
    main()
