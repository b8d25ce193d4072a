"""`tapgate-edge readers`."""

import asyncio
import json

import click

from edge_agent import config, status
from edge_agent.commands.shell import as_json, not_running, with_settings


@click.command()
@as_json
@with_settings
def readers(settings: config.Config, as_json: bool) -> None:
    """The configured readers and, while the agent runs, their state.

    Example: tapgate-edge readers
    """
    answer = asyncio.run(status.ask(settings.data_dir))
    rows = answer["readers"] if answer is not None else not_running(settings)
    if as_json:
        click.echo(json.dumps(rows))
        return
    if not rows:
        click.echo("No reader is configured: add a [[readers]] table to the settings.")
    for row in rows:
        click.echo(f"{row['name']}: {row['kind']}, {row['state']}{' – ' + row['why'] if row['why'] else ''}")
