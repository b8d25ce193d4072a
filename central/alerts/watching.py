"""Tasks of the server: look at everything now and then, and tell what is to be told. Ingest never waits for them.

On PostgreSQL every process runs both; a lock lets one at a time change incidents or take messages.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version
from typing import Any

import msgspec
import structlog
from sqlalchemy import select

from central.alerts import letters, outbox, servers, store, telling
from central.alerts.conditions import Kind, readings
from central.alerts.facts import gather
from central.alerts.outbox import Bundle
from central.alerts.store import Looked
from central.alerts.telling import Letter, NotTold, Session
from central.config import Config
from central.custody import retrying
from central.keys import Keys
from central.metrics import Metrics
from central.store.database import Database
from central.store.migrate import head
from central.store.schema import alert_contacts
from protocol.errors import Refused

LOOK_EVERY_S = 15.0
PAUSE_MS = 60_000
"""After no server looked for so long, nobody knows what was in between."""
TELL_EVERY_S = 2.0

log = structlog.get_logger()


class Watching:
    """What one process does about alerts. `tasks`: its background tasks, and whether each is alive."""

    def __init__(
        self, config: Config, database: Database, keys: Keys, metrics: Metrics, now_ms: Callable[[], int]
    ) -> None:
        self._config, self._database, self._keys, self._metrics = config, database, keys, metrics
        self._now_ms = now_ms
        self.server, self._started_ms = servers.server_id(config), now_ms()
        self._bell = asyncio.Event()
        self.tasks: Callable[[], Mapping[str, bool]] = dict

    async def look_for_ever(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.look()
            except Exception as error:  # the next look sees the same
                log.error("alerts-not-looked-at", error=type(error).__name__, exc_info=not hasattr(error, "params"))
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> Looked:
        """At everything, once."""
        said = await self._report()
        now_ms = self._now_ms()
        async with self._database.read() as connection:
            seen_ms = max((each.seen_ms for each in await servers.read(connection)), default=now_ms)
            held = await store.watches(connection)
            since = {target: watch.bad_ms for (kind, target), watch in held.items() if kind == Kind.DENIALS}
            found = readings(await gather(connection, self._config.alerts, now_ms, since), self._config.alerts, now_ms)
        paused = now_ms - seen_ms > PAUSE_MS
        looked = Looked([], [])
        async for attempt in retrying():
            with attempt:
                async with self._database.write() as connection:
                    if store.changes(held, found, now_ms, paused):
                        await store.one_looks(connection)
                        looked = await store.apply(connection, found, now_ms, paused)
                    await servers.note(connection, self.server, self._started_ms, now_ms, said)
        for id_ in looked.opened:
            log.warning("alert-opened", alert=id_.hex())
        if looked.opened or looked.resolved:
            self._bell.set()
        return looked

    async def _report(self) -> servers.ServerReport:
        said = await asyncio.to_thread(servers.report_of, self._config, self._keys, version("tapgate"), head())
        return msgspec.structs.replace(
            said,
            polls_held=self._metrics.value("tapgate_polls_held"),
            events_behind=self._metrics.value("tapgate_events_behind"),
            tasks=dict(self.tasks()),
        )

    async def leave(self) -> None:
        """The server ends on purpose."""
        async with self._database.write() as connection:
            said = servers.ServerReport(version=version("tapgate"), stopped=True)
            await servers.note(connection, self.server, self._started_ms, self._now_ms(), said)

    # --- telling ----------------------------------------------------------------------------------------------

    async def tell_for_ever(self) -> None:
        """Until cancelled."""
        async with telling.open_session() as session:
            while True:
                self._bell.clear()
                try:
                    while await self.tell(session):
                        pass
                except Exception as error:
                    log.error("alerts-not-told", error=type(error).__name__)
                try:
                    async with asyncio.timeout(TELL_EVERY_S):
                        await self._bell.wait()
                except TimeoutError:
                    continue

    async def tell(self, session: Session) -> int:
        """What is due now; one that fails holds up no other. Returns how many bundles were tried."""
        async with self._database.read() as connection:
            if not await outbox.is_due(connection, self._now_ms()):
                return 0
        async with self._database.write() as connection:
            await store.one_looks(connection)
            bundles = await outbox.take(connection, self._now_ms())
        await asyncio.gather(*map(partial(self._send, session), bundles))
        return len(bundles)

    async def _send(self, session: Session, bundle: Bundle) -> None:
        try:
            await self._deliver(session, bundle)
            problem = ""
        except (NotTold, Refused) as error:
            problem = str(error)
            log.warning("alert-not-told", channel=bundle.channel, contact=bundle.contact, why=problem)
        except Exception as error:  # one that cannot be written holds up no other
            problem = f"it could not be written ({type(error).__name__})"
            log.error("alert-not-told", channel=bundle.channel, error=type(error).__name__)
        async with self._database.write() as connection:
            if problem:
                await outbox.failed(connection, bundle, problem, self._now_ms())
            else:
                await outbox.told(connection, bundle, self._now_ms())

    async def _deliver(self, session: Session, bundle: Bundle) -> None:
        async with self._database.read() as connection:
            query = select(alert_contacts).where(alert_contacts.c.id == bundle.contact)
            contact = (await connection.execute(query)).one_or_none()
            rows = await outbox.of_bundle(connection, bundle)
        told = [letters.of_row(row, what, msgspec.json.decode(row.facts)) for row, what in rows]
        if contact is None or not told:
            return
        await deliver(self._config, self._keys, session, contact, bundle, told, self._now_ms())


async def deliver(
    config: Config,
    keys: Keys,
    session: Session,
    contact: Any,
    bundle: Bundle,
    told: list[letters.Told],
    now_ms: int,
) -> None:
    """Send these to a contact (a row) by the bundle's channel. Raises NotTold, and Refused for an altered webhook."""
    language, delivery, links = contact.language, bundle.name.hex(), config.console_url or config.url
    if bundle.channel == outbox.MAIL:
        subject, text = letters.subject(told, language), letters.text(told, language, links)
        await telling.mail(config.mail, Letter(contact.mail, subject, text, delivery, now_ms))
    elif contact.webhook_sealed is not None:
        url = keys.open_webhook(contact.webhook_sealed, contact.id)
        await telling.post(session, url, delivery, letters.body(told[0], delivery, language, links))
