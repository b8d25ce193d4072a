"""A domain's key is rotated under a million cards: how long that takes, and how long uploads of gates wait for it.

Gates decide by what they hold meanwhile, so no tap waits; what is measured is central's side, on SQLite.
"""

import asyncio
import hashlib
import time
from pathlib import Path

from sqlalchemy import func, select

from benchmarks.large.sink import Sink, open_sink
from benchmarks.report import Row, at_most
from central.custody import Custodian
from central.device_keys import DeviceKeys
from central.keys import Keys
from central.lists import refresh_domain
from central.store import schema
from central.store.database import Database, open_database
from central.store.migrate import migrate_async
from protocol.allowlist import CardState
from protocol.token import token
from protocol.uid import CardUID
from tests.central.actors import NOW_MS, Journal
from tests.central.admin import admin_of
from tests.central.city import City

ROTATED_S, WAITED_S = 300.0, 2.0
AT_ONCE, UPLOAD_EVERY_S = 50_000, 0.25


async def run(directory: Path, count: int) -> list[Row]:
    """Seconds of the rotation, and the longest that an upload waited while it ran."""
    directory.mkdir(parents=True)
    url = f"sqlite:///{directory / 'central.db'}"
    await migrate_async(url)
    keys = Keys.create(directory / "keys", None, NOW_MS)
    async with open_database(url) as database:
        city = City(database, keys)
        await city.found()
        sink = await open_sink(url)
        for first in range(0, count, AT_ONCE):
            await _people(sink, keys, range(first, min(count, first + AT_ONCE)))
        await sink.close()
        async with database.write() as connection:
            await refresh_domain(connection, keys, "library", NOW_MS)
        admin = admin_of(database, keys, url, directory / "data")
        admin.now_ms += 1
        waits, stop = list[float](), asyncio.Event()
        uploading = asyncio.create_task(_upload(city, waits, stop))
        await asyncio.sleep(2)
        before = len(waits)
        start = time.perf_counter()
        await admin.act("domain.rotate-key", domain="library")
        rotated_s = time.perf_counter() - start
        await asyncio.sleep(1)
        stop.set()
        await uploading
        await _check(database, keys, count)
    name = f"a domain's key rotated under {count:,} cards"
    return [
        at_most(name, "s", rotated_s, ROTATED_S),
        at_most(f"{name}: the longest that an upload waited", "s", max(waits[before:]), WAITED_S),
    ]


async def _people(sink: Sink, keys: Keys, numbers: range) -> None:
    """One card each."""
    members, classes, subjects, cards = [], [], [], []
    for n in numbers:
        id_, uid = n.to_bytes(16), _uid(n)
        members.append((id_, f"M{n:07}", None, NOW_MS))
        classes.append((id_, "citizen", 0, 0))
        subjects.append(("library", id_, hashlib.sha256(id_).digest()[:16]))
        cards.append((id_, id_, 1, keys.uid_index(uid), keys.seal_uid(uid, id_), int(CardState.ACTIVE), 0, 0, 1, ""))
    await sink.put(schema.members, members)
    await sink.put(schema.member_classes, classes)
    await sink.put(schema.subjects, subjects)
    await sink.put(schema.cards, cards)


def _uid(n: int) -> CardUID:
    return CardUID(b"\x04" + n.to_bytes(6))


async def _upload(city: City, waits: list[float], stop: asyncio.Event) -> None:
    """A gate's taps, as they come: a few a second, each batch signed and taken into custody."""
    custodian, journal, sent = Custodian(city.database, city.keys, DeviceKeys(city.database)), Journal(city.device), 0
    while not stop.is_set():
        journal.tap(5)
        start = time.perf_counter()
        taken = await custodian.take(journal.upload(sent), NOW_MS)
        waits.append(time.perf_counter() - start)
        assert taken.outcome == "accepted", taken.outcome
        sent = len(journal.publics)
        await asyncio.sleep(UPLOAD_EVERY_S)


async def _check(database: Database, keys: Keys, count: int) -> None:
    """Every card stands on the list by its new token, and none by the old one."""
    e = schema.list_entries.c
    async with database.read() as connection:
        kept = select(func.count()).where(e.domain == "library", e.dropped.is_(False))
        assert (await connection.execute(kept)).scalar_one() == count
        for number, is_there in ((1, False), (2, True)):
            of = token(keys.domain_key("library", number), _uid(count // 2))
            found = (await connection.execute(select(e.dropped).where(e.token == of))).scalar()
            assert (found is False) == is_there, number
