"""`tapgate-edge enrol`."""

import asyncio

import click

from edge_agent import config, enrolment
from edge_agent.agent import AlreadyRunning, hold_lock
from edge_agent.commands.shell import as_json, fail, say, with_settings
from edge_agent.identity import IdentityDamaged
from edge_agent.uplink import NetworkFailure
from protocol.errors import Refused
from protocol.joining import from_text


@click.command()
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
