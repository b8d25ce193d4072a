"""Joining central while a gate is set up."""

import asyncio
from pathlib import Path

import click

from edge_agent import enrolment
from edge_agent import identity as identity_file
from edge_agent.agent import hold_lock
from edge_agent.commands import setup_words as words
from edge_agent.commands.setup_operator import Operator
from edge_agent.identity import Identity
from protocol.joining import from_text


def join(operator: Operator, directory: Path, token: str, wait_s: float | None) -> bool:
    """Whether this device has joined central, now or before. `wait_s`: for the confirmation; None = without end.

    Raises Refused, NetworkFailure, AlreadyRunning, IdentityDamaged, OSError.
    """
    held = identity_file.load(directory) if directory.exists() else None
    if held is not None and held.device:
        operator.tell(words.IN_PLACE, words.JOINED, device=held.device, gate=held.gate)
        return True
    if not token and operator.is_asked:
        token = click.prompt(operator.text(words.TOKEN), default="", show_default=False).strip()
    if not token:
        click.echo(f"! {operator.text(words.NOT_JOINED)}")
        return False
    parsed = from_text(token)
    operator.changed += 1
    if operator.dry:
        operator.tell(words.WOULD, words.JOIN)
        return True
    with hold_lock(directory):
        identity = enrolment.prepare(directory, parsed)
        identity = asyncio.run(enrolment.enrol(directory, identity))
    operator.tell(words.DONE, words.JOIN)
    operator.say(words.WORDS)
    click.echo(f"  {identity.device}  {enrolment.words(identity)}")
    if wait_s != 0:
        _await_confirmation(operator, identity, wait_s)
    return True


def _await_confirmation(operator: Operator, identity: Identity, wait_s: float | None) -> None:
    """Raises Refused where the device was turned away."""

    async def wait() -> None:
        async with asyncio.timeout(wait_s):
            await enrolment.wait_until_confirmed(identity)

    try:
        operator.say(words.WAITING)
        asyncio.run(wait())
    except (TimeoutError, KeyboardInterrupt):
        operator.say(words.NOT_CONFIRMED)
    else:
        operator.say(words.CONFIRMED)
