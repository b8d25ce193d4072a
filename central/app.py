"""The running server: built out of settings, started, and stopped without leaving anybody hanging."""

import asyncio
import os
import signal
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import structlog
from aiohttp import web

from central import admin_api, device_api, tls
from central.actions.cards.bind_settling import bind_for_ever
from central.actions.privacy.kiosk_settling import state_for_ever
from central.alerts.watching import Watching
from central.bundles import sweep_for_ever
from central.config import LOOPBACK, Config, ConfigError
from central.console import serving as console
from central.console.bodies import forget_spooled
from central.device_api import MAX_BODY_BYTES, SERVICES, Services
from central.flags import lapse_for_ever
from central.keys import Keys
from central.neighbours.events.delivering import Delivering
from central.neighbours.events.noticing import Noticing
from central.neighbours.refreshing import refresh_for_ever
from central.only_writer import SOCKET_FILE, only_writer
from central.privacy.erasure.late import sweep_for_ever as follow_erasures
from central.privacy.requiring import follow_for_ever as follow_consent_rules
from central.privacy.retention.retaining import retain_for_ever
from central.recompiling import compile_what_is_due
from central.reporting.fleet import watch_for_ever
from central.reporting.visit_counts import count_for_ever
from central.rollouts.conducting import rollouts_for_ever
from central.rotating import rotate_for_ever
from central.services.points import rounds
from central.snapshots import Snapshots
from central.store.database import open_database
from central.store.migrate import migrate_async
from protocol.messages import Role

SHUTDOWN_S = 10.0

AddRoutes = Callable[[web.Application], None]

log = structlog.get_logger()


def build_app(services: Services, add_routes: AddRoutes = device_api.add_routes) -> web.Application:
    """An application over running services; `add_routes` says for whom."""
    app = web.Application(middlewares=[device_api.refusals], client_max_size=MAX_BODY_BYTES)
    app[SERVICES] = services
    add_routes(app)
    app.on_shutdown.append(_stop_waiting)
    return app


async def _stop_waiting(app: web.Application) -> None:
    app[SERVICES].wakeups.close()


async def serve(config: Config, admin_routes: AddRoutes | None = None) -> None:
    """Until SIGINT or SIGTERM. `admin_routes` adds what is served on the local socket alone.

    Raises ConfigError, Locked, SchemaNewer, OSError for an address that is taken.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with running(config, admin_routes) as address:
        log.info("serving", address=address)
        await stop.wait()
        log.info("stopping")


@asynccontextmanager
async def running(config: Config, admin_routes: AddRoutes | None = None) -> AsyncIterator[str]:
    """A server while the block runs; gives the address that it listens on."""
    config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        if config.is_sqlite:
            stack.enter_context(only_writer(config))
        keys = load_keys(config)
        context = tls_context(config)
        await migrate_async(config.database)
        forget_spooled(config.data_dir)
        services = await stack.enter_async_context(_services(config, keys))
        runner = await _runner(stack, build_app(services, _for_devices_and_people(config)))
        await web.TCPSite(runner, config.host, config.port, ssl_context=context).start()
        if config.console_port:
            await web.TCPSite(runner, "127.0.0.1", config.console_port).start()
        if admin_routes is not None:
            await stack.enter_async_context(_admin_site(config, services, admin_routes))
        host, port = runner.addresses[0][:2]
        yield f"{'https' if context else 'http'}://{host}:{port}"


async def _runner(stack: AsyncExitStack, app: web.Application) -> web.AppRunner:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    return runner


def _for_devices_and_people(config: Config) -> AddRoutes:
    def add(app: web.Application) -> None:
        device_api.add_routes(app)
        if config.console:
            console.add_routes(app, config)
            admin_api.add_routes(app, config)

    return add


@asynccontextmanager
async def _services(config: Config, keys: Keys) -> AsyncIterator[Services]:
    async with open_database(config.database) as database:
        await compile_what_is_due(database, keys)
        services = Services(database, keys, Snapshots(database, keys, config.data_dir / "snapshots"))
        watching = Watching(config, database, keys, services.metrics, services.now_ms)
        tasks = [asyncio.create_task(services.reports.run(), name="reports")]
        tasks.append(asyncio.create_task(lapse_for_ever(database, keys), name="flags"))
        tasks.append(asyncio.create_task(follow_consent_rules(database, keys), name="consent-rules"))
        tasks.append(asyncio.create_task(follow_erasures(config, database, keys), name="erasures"))
        tasks.append(asyncio.create_task(retain_for_ever(database), name="retention"))
        tasks.append(asyncio.create_task(rotate_for_ever(database, keys), name="key-rotations"))
        tasks.append(asyncio.create_task(services.follower.run(), name="settling"))
        tasks.append(asyncio.create_task(rounds.run_for_ever(database), name="points"))
        tasks.append(asyncio.create_task(count_for_ever(database), name="visit-counts"))
        tasks.append(asyncio.create_task(watch_for_ever(database), name="device-states"))
        tasks.append(asyncio.create_task(bind_for_ever(database, keys), name="bind-sessions"))
        tasks.append(asyncio.create_task(state_for_ever(database, keys), name="kiosk-consents"))
        tasks.append(asyncio.create_task(sweep_for_ever(database), name="bundles"))
        tasks.append(asyncio.create_task(rollouts_for_ever(database, keys), name="rollouts"))
        if config.libraries:
            asking = refresh_for_ever(config.libraries, database, keys, watching.server, services.now_ms)
            tasks.append(asyncio.create_task(asking, name="libraries"))
        delivering = Delivering(config, database, keys, services.now_ms)
        tasks.append(asyncio.create_task(delivering.run(), name="subscriptions"))
        tasks.append(asyncio.create_task(Noticing(database, services.now_ms).run(), name="notices"))
        tasks.append(asyncio.create_task(watching.look_for_ever(), name="alerts"))
        tasks.append(asyncio.create_task(watching.tell_for_ever(), name="alert-messages"))
        if not database.is_sqlite:
            tasks.append(asyncio.create_task(services.wakeups.follow(config.database), name="notes"))
        watching.tasks = lambda: {task.get_name(): not task.done() for task in tasks}
        try:
            yield services
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await services.polls.close()
            with suppress(Exception):
                await services.reports.write()
            with suppress(Exception):
                await watching.leave()


@asynccontextmanager
async def _admin_site(config: Config, services: Services, admin_routes: AddRoutes) -> AsyncIterator[None]:
    """Commands of the same user on this machine; whoever can open the socket is an operator."""
    path = config.data_dir / SOCKET_FILE
    path.unlink(missing_ok=True)
    runner = web.AppRunner(build_app(services, admin_routes), access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    before = os.umask(0o177)  # 0600 from the first moment
    try:
        await web.UnixSite(runner, path).start()
    finally:
        os.umask(before)
    try:
        yield
    finally:
        await runner.cleanup()
        path.unlink(missing_ok=True)


def load_keys(config: Config) -> Keys:
    """Raises ConfigError when there are none, or when devices would not trust this server's certificate."""
    if not (config.keys_dir / "root.public").exists():
        raise ConfigError(f"{config.keys_dir} holds no keys: run `tapgate-central init` first")
    keys = Keys(config.keys_dir)
    if config.tls != "none" and config.pinned:
        served = tls.certificate_digest(_certificate(config)[0])
        if served not in {key.public for key in keys.statement.keys if Role.SERVE in key.roles}:
            raise ConfigError(
                "the key statement does not name this server's certificate, so no device would trust it: "
                "`tapgate-central keys state --certificate FILE`"
            )
    return keys


def tls_context(config: Config) -> ssl.SSLContext | None:
    """None: plain HTTP, which is for loopback only. Raises ConfigError."""
    if config.tls == "none":
        if config.host not in LOOPBACK:
            raise ConfigError(f"plain HTTP is served on loopback only, not on {config.host}")
        return None
    certificate, private_key = _certificate(config)
    try:
        return tls.server_context(certificate, private_key)
    except OSError as error:
        raise ConfigError(f"{certificate}, {private_key}: {error.strerror or error}") from None


def _certificate(config: Config) -> tuple[Path, Path]:
    if config.certificate is not None and config.private_key is not None:
        return config.certificate, config.private_key
    return config.keys_dir / tls.CERTIFICATE_FILE, config.keys_dir / tls.PRIVATE_KEY_FILE
