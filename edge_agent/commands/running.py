"""`tapgate-edge run`."""

import asyncio
import sys

import click

from edge_agent import config
from edge_agent import identity as identity_file
from edge_agent.agent import Agent, AlreadyRunning
from edge_agent.commands.log import to_stderr
from edge_agent.commands.shell import fail, with_settings
from edge_agent.identity import IdentityDamaged
from edge_agent.journal.database import JournalUnwritable
from edge_agent.journal.schema import NewerSchema
from protocol.errors import Refused


@click.command()
@click.option("--log-level", default="info", type=click.Choice(["debug", "info", "warning", "error"]))
@with_settings
def run(settings: config.Config, log_level: str) -> None:
    """Run the agent until it is stopped.

    Example: tapgate-edge --config /etc/tapgate/edge.toml run
    """
    to_stderr(log_level)
    try:
        identity = identity_file.load(settings.data_dir)
        if identity is None or not identity.device:
            fail("this device is not enrolled: ask an operator for a join token, then `tapgate-edge enrol TOKEN`")
        sys.exit(asyncio.run(Agent(settings, identity).run()))
    except (AlreadyRunning, NewerSchema, IdentityDamaged, JournalUnwritable, Refused, ImportError, OSError) as error:
        fail(str(error))
