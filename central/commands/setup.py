"""`init` and `serve`."""

import functools
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import msgspec
import structlog

from central import operate, tls
from central.access import perform
from central.access.accounts import read_account
from central.access.caller import on_this_machine
from central.actions.access.accounts import AccountAddParams, AccountSecret
from central.actions.action import ActionFailed, Context
from central.actions.custody.restore import remember_generation
from central.actions.places.places import DomainParams, VenueParams
from central.actions.registry import ACTIONS
from central.commands.accounts import say_password
from central.commands.shell import as_json, finish, say_json
from central.config import Config
from central.generation import generation_of
from central.keys import Keys
from central.only_writer import only_writer
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
@click.option("--admin", default="", help="A first account to add, for whoever lets others in; prints its password.")
@as_json
@click.pass_obj
def init(settings: Config, domain: str, venue: str, admin: str, as_json: bool) -> None:
    """Make data directory, keys, certificate and database; what is there already stays as it is.

    Example: tapgate-central --config /etc/tapgate/central.toml init --domain library --venue library-1 --admin lin
    """
    if venue and not domain:
        raise click.UsageError("--venue needs --domain")
    made = finish(_init(settings, domain, venue, admin))
    if as_json:
        say_json(made)
        return
    click.echo(f"Keys in {settings.keys_dir} ({'new' if made['keys_made'] else 'kept'}).")
    click.echo(f"Database {made['database']} is ready. Devices will call {settings.url}.")
    if made.get("password"):
        say_password({"account": admin, "password": made["password"]}, as_json=False)
    elif admin:
        click.echo(f"Account {admin} is there already and stays as it is: `account reset` gives it a new password.")
    click.echo(NEXT.format(keys=settings.keys_dir, place="" if venue else PLACE))


async def _init(settings: Config, domain: str, venue: str, admin: str) -> dict[str, Any]:
    with only_writer(settings):
        now_ms = operate.now_ms()
        keys_made = not (settings.keys_dir / "root.public").exists()
        keys = Keys.create(settings.keys_dir, _certificate(settings, now_ms), now_ms) if keys_made else None
        keys = keys or Keys(settings.keys_dir)
        await migrate_async(settings.database)
        async with open_database(settings.database) as database:
            caller = on_this_machine(operate.user_name(), "command line")
            context = Context(settings, database, keys, now_ms, caller=caller)
            if domain:
                await perform.run(context, ACTIONS["domain.add"], DomainParams(id=domain))
            if venue:
                await perform.run(context, ACTIONS["venue.add"], VenueParams(id=venue, domain=domain))
            first = await _first_admin(context, admin) if admin else {}
            async with database.read() as connection:
                remember_generation(settings.data_dir, await generation_of(connection))
    return {
        "data_dir": str(settings.data_dir),
        "keys_dir": str(settings.keys_dir),
        "database": operate.name_of(settings),
        "url": settings.url,
        "keys_made": keys_made,
        **first,
    }


async def _first_admin(context: Context, name: str) -> dict[str, str]:
    """The password of the new account; nothing where there is one of this name."""
    try:
        params = msgspec.convert({"account": name, "roles": ["admin"]}, AccountAddParams)
    except msgspec.ValidationError as error:
        raise ActionFailed(f"--admin {name}: {error}") from None
    async with context.database.read() as connection:
        if await read_account(connection, name):
            return {}
    made = await perform.run(context, ACTIONS["account.add"], params)
    assert isinstance(made, AccountSecret)
    return {"account": name, "password": made.password}


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
    from central import app, local_api  # the server's own modules: no other command waits for them to load

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
