"""A withdrawal reaches connected gates as a block does: over real HTTP, by a delta, within two seconds."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select

from central.config import parse
from central.keys import Keys
from central.store.schema import entry_history, member_classes, subjects
from protocol.allowlist import Entry
from protocol.chunks import rows_of
from protocol.erasure import Forget
from protocol.messages import Delta, Manifest, Part, PartName, decode
from tests.central.actors import Device, find, types
from tests.central.admin import Admin
from tests.central.city import City
from tests.central.privacy.conftest import NOTICE
from tests.central.test_device_api import Client, held_by, now_ms, refresh, serving

MEMBER = bytes(16)


@pytest.fixture
async def served(database_url: str, tmp_path: Path, keys: Keys) -> AsyncIterator[tuple[Client, City, Admin]]:
    values = {"data_dir": tmp_path, "database": database_url, "keys_dir": keys.directory, "port": 0, "tls": "none"}
    async with serving(parse(values), keys) as (client, city):
        ids = await city.add_members(2)
        caring = [{"member": id_, "name": "caring", "from_ms": 0, "until_ms": 0} for id_ in ids]
        await city.add(member_classes, *caring)
        await refresh(city.database, keys, ids)
        admin = Admin(parse(values), city.database, keys)
        admin.now_ms = now_ms()
        yield client, city, admin


async def test_a_withdrawal_reaches_waiting_gates_within_two_seconds(
    served: tuple[Client, City, Admin],
) -> None:
    client, city, admin = served
    await admin.act("notice.put", purpose="caring", notice=NOTICE)
    await admin.act("consent.give", member=MEMBER.hex(), purpose="caring")
    gates = [city.device, await city.add_device(Device("door-1-b"))]
    held = [await held_by(device, client, city.keys) for device in gates]
    waiting = [
        asyncio.create_task(client.send("/v1/poll", device.poll(wait_s=20, **each)))
        for device, each in zip(gates, held, strict=True)
    ]
    await asyncio.sleep(0.3)
    started = time.monotonic()
    admin.now_ms = now_ms()
    await admin.act("consent.withdraw", member=MEMBER.hex(), purpose="caring")
    answers = await asyncio.wait_for(asyncio.gather(*waiting), 5)
    assert time.monotonic() - started < 2
    for answer in answers:
        ((token, entry),) = [
            row for chunk in find(Delta, answer, city.keys.publish.public).put for row in rows_of(chunk)
        ]
        assert token == city.token(0)
        assert [grant.name for grant in decode(Entry, entry).classes] == ["citizen"]


async def test_an_erasure_reaches_waiting_gates_with_whom_to_forget(served: tuple[Client, City, Admin]) -> None:
    client, city, admin = served
    subject = next(bytes(row.subject) for row in await city.rows(subjects) if row.member == MEMBER)
    understands = ("rule:admit", "rule:refuse", Forget.TYPE)
    held = await held_by(city.device, client, city.keys)
    waiting = asyncio.create_task(client.send("/v1/poll", city.device.poll(wait_s=20, understands=understands, **held)))
    await asyncio.sleep(0.3)
    admin.now_ms = now_ms()
    await admin.act("member.erase", person=MEMBER.hex(), apply=True)
    answer = await asyncio.wait_for(waiting, 5)
    public = city.keys.publish.public
    assert find(Delta, answer, public).drop == (city.token(0),)
    word = find(Forget, answer, public)
    assert (word.device, word.version, word.subjects) == (city.device.id, admin.now_ms, (subject,))
    manifest = find(Manifest, answer, public)
    now_held = city.device.holding(manifest)
    again = await client.send("/v1/poll", city.device.poll(understands=understands, **now_held))
    assert find(Forget, again, public).version == word.version, "until the poll names it"
    now_held["parts"] = (*now_held["parts"], Part(PartName.FORGET, word.version, bytes(32)))
    assert types(await client.send("/v1/poll", city.device.poll(understands=understands, **now_held))) == ["fresh"]
    old = await client.send("/v1/poll", city.device.poll(**city.device.holding(manifest)))
    assert types(old) == ["fresh"], "of one that does not understand it"


async def test_what_was_published_when_stays_known_so_that_taps_are_judged_by_it(
    served: tuple[Client, City, Admin],
) -> None:
    """Judging again and `explain` read the history of entries, and that never holds what was not published."""
    _, city, admin = served
    admin.now_ms = now_ms()
    await admin.act("consent.withdraw", member=MEMBER.hex(), purpose="caring")
    h = entry_history.c
    async with city.database.read() as connection:
        rows = (await connection.execute(select(h.entry).order_by(h.subject, h.version))).scalars().all()
    told = [[grant.name for grant in decode(Entry, row).classes] for row in rows]
    assert sorted(told) == [["caring", "citizen"], ["caring", "citizen"], ["citizen"]]
