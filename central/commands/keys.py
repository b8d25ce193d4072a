"""`keys`."""

from pathlib import Path

import click

from central import operate, tls
from central.commands.shell import as_json, fail, say
from central.config import Config
from central.keys import Keys, state_keys


@click.group()
def keys() -> None:
    """Central's keys: what devices are told to trust."""


@keys.command("show")
@as_json
@click.pass_obj
def show(settings: Config, as_json: bool) -> None:
    """The key statement in force: its number, and what may sign or serve.

    Example: tapgate-central keys show
    """
    statement = _keys(settings).statement
    stated = [f"{'+'.join(key.roles)} {key.public.hex()[:16]}…" for key in statement.keys]
    say({"number": statement.number, "at_ms": statement.at_ms, "keys": stated}, as_json)


@keys.command("state")
@click.option(
    "--certificate",
    "certificates",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A certificate (PEM) that devices shall accept; may be given twice for an overlap.",
)
@as_json
@click.pass_obj
def state(settings: Config, certificates: tuple[Path, ...], as_json: bool) -> None:
    """Sign a new key statement with the root's key, naming these server certificates. Restart the server afterwards.

    To change a certificate: state the old and the new one, restart, let every gate be seen once, serve with the new
    one, state it alone.

    Example: tapgate-central keys state --certificate old.pem --certificate new.pem
    """
    _keys(settings)
    if not (settings.keys_dir / "root.key").exists():
        fail(f"{settings.keys_dir / 'root.key'} is not here: bring it back from its offline place for this command")
    if not certificates and settings.pinned:
        fail("devices pin this server's certificate: name at least one with --certificate")
    statement = state_keys(settings.keys_dir, [tls.certificate_digest(path) for path in certificates], operate.now_ms())
    say({"number": statement.number, "certificates": len(certificates)}, as_json)


def _keys(settings: Config) -> Keys:
    operate.require_keys(settings)
    return Keys(settings.keys_dir)
