"""`tapgate-edge journal`."""

import contextlib
import json
import sys
from pathlib import Path

import click

from edge_agent import config
from edge_agent import identity as identity_file
from edge_agent.agent import AlreadyRunning, hold_lock
from edge_agent.commands.shell import as_json, fail, with_settings
from edge_agent.identity import IdentityDamaged
from edge_agent.journal.database import JournalUnwritable, StoreDamaged
from edge_agent.journal.journal_file import export as export_journal
from edge_agent.journal.schema import NewerSchema
from edge_agent.journal.store import DATABASE, Store
from edge_agent.journal.verify import verify


@click.group()
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
