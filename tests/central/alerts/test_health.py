"""What the servers say of themselves."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import update

from central.alerts.servers import ServerReport
from central.custody import Custodian
from central.device_keys import DeviceKeys
from central.keys import STATEMENT_FILE, state_keys
from central.store.migrate import head
from central.store.schema import devices, servers
from tests.central.actors import NOW_MS, Journal
from tests.central.alerts.conftest import Watched
from tests.central.callers import ask, caller

SQLITE = pytest.mark.parametrize("engine", ["sqlite"])


async def test_a_running_server_shows_what_it_holds(watched: Watched, engine: str) -> None:
    watched.watching.tasks = lambda: {"settling": True, "points": False}
    await watched.watching.look()
    shown = await watched.admin.act("health.show")
    (server,) = shown.servers
    assert (server.is_live, server.tasks, server.schema) == (True, {"settling": True, "points": False}, head())
    assert 0 < server.disk_free_bytes <= server.disk_total_bytes
    assert (server.certificate_until_ms, server.waits_for_restart) == (0, False)
    assert server.statement == watched.keys.statement.number
    assert (shown.database.kind, shown.database.schema) == (engine, head())
    assert shown.database.bytes > 50_000
    assert shown.database.generation == 1
    assert (shown.devices_active, shown.devices_heard, shown.backup_ms) == (1, 1, 0)
    assert shown.root == watched.keys.root_public.hex()


async def test_what_is_in_custody_and_not_settled_is_shown_by_its_age(watched: Watched) -> None:
    assert (await watched.admin.act("health.show")).oldest_unsettled_ms == 0
    journal = Journal(watched.city.device)
    journal.add("tap", at_ms=NOW_MS - 5_000, decision="denied", reason="unknown-card", direction="in")
    custodian = Custodian(watched.database, watched.keys, DeviceKeys(watched.database))
    await custodian.take(journal.upload(), NOW_MS)
    assert (await watched.admin.act("health.show")).oldest_unsettled_ms == NOW_MS


async def test_a_server_that_says_nothing_any_more_is_not_live(watched: Watched) -> None:
    await watched.watching.look()
    watched.admin.now_ms += 61_000
    (server,) = (await watched.admin.act("health.show")).servers
    assert not server.is_live


@SQLITE
async def test_a_server_whose_keys_are_newer_on_disk_waits_for_a_restart(watched: Watched) -> None:
    state_keys(watched.keys.directory, [], NOW_MS + 1)
    await watched.watching.look()
    (server,) = (await watched.admin.act("health.show")).servers
    assert server.waits_for_restart
    (watched.keys.directory / STATEMENT_FILE).unlink()
    await watched.watching.look()
    (server,) = (await watched.admin.act("health.show")).servers
    assert not server.waits_for_restart


@SQLITE
async def test_the_newest_backup_is_known(watched: Watched, tmp_path: Path) -> None:
    await watched.admin.act("backup", path=str(tmp_path / "backup.tapgate"))
    await watched.watching.look()
    assert (await watched.admin.act("health.show")).backup_ms == NOW_MS


@SQLITE
async def test_what_another_version_wrote_breaks_no_page(watched: Watched) -> None:
    await watched.watching.look()
    for body in ("[]", "{", '{"tasks":3}', '{"a":1,"version":"9"}'):
        async with watched.database.write() as connection:
            await connection.execute(update(servers).values(body=body))
        (server,) = (await watched.admin.act("health.show")).servers
        assert server.version in ("", "9")
        await watched.another(port=9_001).look()
        async with watched.database.write() as connection:
            await connection.execute(servers.delete().where(servers.c.id.like("%9001")))


async def test_clocks_that_are_all_off_show_that_it_is_ours(watched: Watched) -> None:
    await watched.city.change(devices, devices.c.id == "door-1-device", skew_ms=-70_000, seen_ms=NOW_MS)
    assert (await watched.admin.act("health.show")).median_skew_ms == -70_000


@SQLITE
async def test_health_is_for_admins_and_auditors(watched: Watched) -> None:
    for role in ("admin", "auditor"):
        assert await ask(watched.admin, caller("x", role), "health.show")
    for role in ("operator", "coordinator"):
        with pytest.raises(Exception, match="may not"):
            await ask(watched.admin, caller("x", role, venues=("main",)), "health.show")


def test_fields_that_are_not_known_are_passed_over() -> None:
    said: Any = msgspec.json.decode(b'{"version":"9","new_field":1}', type=ServerReport)
    assert said.version == "9"
