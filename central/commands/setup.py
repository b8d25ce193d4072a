"""`init` and `serve`."""

import functools
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import structlog

from central import local_api, app, operate, tls
from central.actions.action import Context
from central.actions.custody.restore import remember_generation
from central.actions.places.places import DomainParams, VenueParams, domain_add, venue_add
from central.commands.shell import as_json, finish, say_json
from central.config import Config
from central.generation import generation_of
from central.keys import Keys
from central.store.database import open_database
from central.store.migrate import migrate_async

NEXT = """
Next:
  1. Move {keys}/root.key to a medium that stays offline: it is needed to change keys, never to run.
  2. Copy the other files of {keys} to a safe place: no backup holds them.
  3. {place}tapgate-central policy put POLICY FILE
     tapgate-central gate add GATE --venue VENUE --policy POLICY
  4. tapgate-central serve
  5. tapgate-central device invite GATE
"""
PLACE = """tapgate-central domain add DOMAIN
     tapgate-central venue add VENUE --domain DOMAIN
     """


@click.command()
@click.option("--domain", default="", help="A first domain to add.")
@click.option("--venue", default="", help="A first venue to add, in that domain.")
@as_json
@click.pass_obj
def init(settings: Config, domain: str, venue: str, as_json: bool) -> None:
    """Make data directory, keys, certificate and database; what is there already stays as it is.

    Example: tapgate-central --config /etc/tapgate/central.toml init --domain library --venue library-1
    """
    if venue and not domain:
        raise click.UsageError("--venue needs --domain")
    made = finish(_init(settings, domain, venue))
    if as_json:
        say_json(made)
        return
    click.echo(f"Keys in {settings.keys_dir} ({'new' if made['keys_made'] else 'kept'}).")
    click.echo(f"Database {made['database']} is ready. Devices will call {settings.url}.")
    click.echo(NEXT.format(keys=settings.keys_dir, place="" if venue else PLACE))


async def _init(settings: Config, domain: str, venue: str) -> dict[str, Any]:
    with app.only_writer(settings):
        now_ms = operate.now_ms()
        keys_made = not (settings.keys_dir / "root.public").exists()
        keys = Keys.create(settings.keys_dir, _certificate(settings, now_ms), now_ms) if keys_made else None
        keys = keys or Keys(settings.keys_dir)
        await migrate_async(settings.database)
        async with open_database(settings.database) as database:
            context = Context(settings, database, keys, now_ms)
            if domain:
                await domain_add(context, DomainParams(id=domain))
            if venue:
                await venue_add(context, VenueParams(id=venue, domain=domain))
            async with database.read() as connection:
                remember_generation(settings.data_dir, await generation_of(connection))
    return {
        "data_dir": str(settings.data_dir),
        "keys_dir": str(settings.keys_dir),
        "database": operate.name_of(settings),
        "url": settings.url,
        "keys_made": keys_made,
    }


def _certificate(settings: Config, now_ms: int) -> bytes | None:
    """The digest that the key statement shall name; None where devices trust public authorities."""
    if settings.tls == "self-signed":
        names = {settings.host, urlsplit(settings.url).hostname or settings.host, "localhost", "127.0.0.1"}
        return tls.self_signed(settings.keys_dir, sorted(names - {"0.0.0.0", "::"}), now_ms)  # noqa: S104
    if settings.tls == "files" and settings.pinned and settings.certificate is not None:
        return tls.certificate_digest(Path(settings.certificate))
    return None


@click.command()
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info")
@click.pass_obj
def serve(settings: Config, log_level: str) -> None:
    """Serve devices, and commands on this machine, until stopped.

    Example: tapgate-central --config /etc/tapgate/central.toml serve
    """
    _log_to_stderr(log_level)
    finish(app.serve(settings, functools.partial(local_api.add_routes, config=settings)))


def _log_to_stderr(level: str) -> None:
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
