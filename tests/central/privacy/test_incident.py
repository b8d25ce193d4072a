"""A gate is stolen: what it held, whom that concerns; and every token of its domain made again under another key."""

from typing import Any

import pytest

from central.actions.action import ActionFailed
from central.actions.privacy.incident import KEPT_MS
from central.leaving import leave
from central.privacy.incidents import TELL_WITHIN_MS
from central.publish import manifest_for
from central.store.schema import devices, list_entries, members, subjects
from protocol.envelope import Keyring, open_as
from protocol.messages import Manifest, Part, PartName, encode
from tests.central.actors import NOW_MS
from tests.central.admin import Admin
from tests.central.city import City
from tests.central.privacy.conftest import Listed
from tests.central.services.scenes import Diary, Town
from tests.central.terminal import Operator


async def test_what_a_stolen_gate_held_and_whom_it_concerns(admin: Admin, city: City, keys: Any) -> None:
    who = {row.member: bytes(row.subject) for row in await city.rows(subjects)}
    of = {row.reference: who.get(row.id) for row in await city.rows(members)}
    town, diary = Town(city.database, keys), Diary(city.device)
    diary.came(of["M-1"], NOW_MS - KEPT_MS - 1)
    diary.came(of["M-2"], NOW_MS - KEPT_MS + 1)
    diary.was_denied(of["M-3"], NOW_MS - 1)
    await town.take(diary)
    await town.settle()
    parts = (Part(PartName.ALLOWLIST, 7, bytes(32)), Part(PartName.DOMAIN_KEY, 1, bytes(32)))
    report = encode(city.device.poll_message(parts=parts, backlog=3))
    await city.change(devices, devices.c.id == city.device.id, report=report, seen_ms=NOW_MS)
    async with city.database.write() as connection:
        await leave(connection, "library", [row.id for row in await city.rows(members) if row.reference == "M-3"])
    found = await admin.act("device.held", device=city.device.id, learned_ms=NOW_MS - 1_000)
    assert admin.items == ["M-2", "M-3"]
    assert (found.people_seen, found.cards, found.classes) == (2, 5, {"citizen": 5})
    assert (found.list_version, found.key_number, found.undelivered) == (7, 1, 3)
    assert found.tell_by_ms == NOW_MS - 1_000 + TELL_WITHIN_MS
    with pytest.raises(ActionFailed, match="no device"):
        await admin.act("device.held", device="nowhere")


async def test_a_domains_tokens_are_made_again_under_another_key(admin: Admin, city: City, listed: Listed) -> None:
    before = {bytes(row.token) for row in await city.rows(list_entries)}
    said: list[tuple[str, int]] = []

    async def progress(what: str, done: int, _total: int) -> None:
        said.append((what, done))

    admin.progress = progress
    done = await admin.act("domain.rotate-key", domain="library", why="door-1 was stolen")
    assert (done.key_number, done.cards) == (2, 5)
    assert said[-1] == ("making the tokens of library again", 5)
    after = {bytes(row.token) for row in await city.rows(list_entries)}
    assert after == {city.token(n, key_number=2) for n in range(5)}
    assert after & before == set()
    async with city.database.write() as connection:
        envelope = await manifest_for(connection, city.keys, city.device.id, NOW_MS)
    assert envelope is not None
    manifest = open_as(Manifest, envelope, Keyring.of(city.keys.publish.public))
    assert {part.name: part.version for part in manifest.parts}[PartName.DOMAIN_KEY] == 2
    assert await listed.is_whole()
    assert (await admin.act("verify")).problems == 0
    assert (await admin.act("domain.rotate-key", domain="library")).key_number == 3
    with pytest.raises(ActionFailed, match="nowhere"):
        await admin.act("domain.rotate-key", domain="nowhere")


def test_commands_rotate_a_key(run: Operator) -> None:
    done = run.json("domain", "rotate-key", "library", "--why", "stolen")
    assert done["cards"] == 2
    assert "there is no device" in run.refused("device", "held", "door-1")
    run("verify")
