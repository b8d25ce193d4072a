"""A city that is watched: its clock moves as the test says, and what is sent arrives on loopback."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from central.alerts.watching import Watching
from central.config import Config, parse
from central.keys import Keys
from central.metrics import Metrics
from central.store.database import Database
from central.store.schema import alerts, devices
from protocol.messages import encode
from tests.central.actors import NOW_MS, Device
from tests.central.admin import Admin
from tests.central.city import City
from tests.support.smtp_sink import SmtpSink, smtp_sink
from tests.support.webhook_sink import WebhookSink, webhook_sink


class Watched:
    """One server's watching over the fixture `city`, and an admin who asks actions at the same time."""

    def __init__(self, city: City, database: Database, keys: Keys, config: Config) -> None:
        self.city, self.database, self.keys, self.config = city, database, keys, config
        self.now_ms = NOW_MS
        self.admin = Admin(config, database, keys)
        self.watching = self.another()
        self.http: Any = None

    def another(self, **changes: Any) -> Watching:
        """Another process of central on the same database."""
        config = parse({**_plain(self.config), **changes})
        return Watching(config, self.database, self.keys, Metrics(), lambda: self.now_ms)

    async def heard(self, device: Device | None = None, **changes: Any) -> None:
        """A device polls now."""
        device = device or self.city.device
        poll = device.poll_message(**{"at_ms": self.now_ms, "wait_s": 30} | changes)
        await self.city.change(devices, devices.c.id == device.id, seen_ms=self.now_ms, report=encode(poll))

    async def pass_s(self, seconds: float, every_s: float = 30, heard: bool = False) -> None:
        """Time goes by, and the server looks now and then; `heard`: the device of the city polls before each look."""
        end_ms = self.now_ms + int(seconds * 1_000)
        while self.now_ms < end_ms:
            self.now_ms = min(end_ms, self.now_ms + int(every_s * 1_000))
            if heard:
                await self.heard()
            await self.watching.look()
        self.admin.now_ms = self.now_ms

    async def tell(self) -> int:
        """All that is due. Returns how many bundles were tried."""
        tried = 0
        while number := await self.watching.tell(self.http):
            tried += number
        return tried

    async def alerts(self) -> list[Any]:
        return sorted(await self.city.rows(alerts), key=lambda row: row.id)

    async def standing(self) -> list[tuple[str, str]]:
        return [(row.kind, row.target) for row in await self.alerts() if row.state != "resolved"]

    async def contact(self, id_: str = "lin", **values: Any) -> None:
        self.admin.now_ms = self.now_ms
        await self.admin.act("alert.contact.put", **{"id": id_, "title": "林館員"} | values)


def _plain(config: Config) -> dict[str, Any]:
    values = {"data_dir": str(config.data_dir), "database": config.database, "keys_dir": str(config.keys_dir)}
    if config.mail is not None:
        mail = config.mail
        values["mail"] = {"host": mail.host, "port": mail.port, "sender": mail.sender, "security": mail.security}
    return values | {"tls": "none", "port": config.port, "url": config.url}


@pytest.fixture
async def mails() -> AsyncIterator[SmtpSink]:
    async with smtp_sink() as sink:
        yield sink


@pytest.fixture
async def hook() -> AsyncIterator[WebhookSink]:
    async with webhook_sink() as sink:
        yield sink


@pytest.fixture
async def watched(
    city: City, database: Database, keys: Keys, database_url: str, tmp_path: Path, mails: SmtpSink
) -> AsyncIterator[Watched]:
    """A city with one gate and device that was just heard of, and a mail server on loopback."""
    mail = {"host": "127.0.0.1", "port": mails.port, "sender": "tapgate@library.example", "security": "none"}
    values = {"data_dir": str(tmp_path), "database": database_url, "keys_dir": str(keys.directory), "tls": "none"}
    made = Watched(city, database, keys, parse({**values, "mail": mail, "url": "https://tapgate.example"}))
    await made.heard()
    async with aiohttp.ClientSession() as made.http:
        yield made
