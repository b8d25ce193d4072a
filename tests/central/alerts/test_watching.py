"""A whole server's looking: from what stands in the database to one alert an incident."""

import asyncio
from typing import Any

import msgspec
import pytest

from central.alerts import facts
from central.alerts.incidents import CLEARS_MS, HOLDS_MS
from central.alerts.servers import ServerReport
from central.alerts.watching import Watching
from central.closures import Closed
from central.facts import About, append
from central.store.schema import alerts, devices, events, gates, lists, servers, venues
from protocol.messages import Kind, Outcome
from tests.central.actors import NOW_MS, Device
from tests.central.alerts.conftest import Watched

SILENT_S = 300 + 30


async def test_a_city_that_is_well_has_no_alert(watched: Watched) -> None:
    await watched.pass_s(600, heard=True)
    assert await watched.alerts() == []


async def test_a_gate_that_falls_silent_is_one_alert_until_it_is_heard_of_again(watched: Watched) -> None:
    await watched.pass_s(SILENT_S - 30)
    assert await watched.standing() == []
    await watched.pass_s(120)
    assert await watched.standing() == [("silent", "door-1")]
    await watched.pass_s(300)
    (row,) = await watched.alerts()
    assert (row.venue, row.gate, row.device, row.state) == ("main", "door-1", "door-1-device", "open")
    await watched.pass_s(CLEARS_MS["silent"] / 1_000 + 60, heard=True)
    (row,) = await watched.alerts()
    assert (row.state, row.resolved_by, row.why) == ("resolved", "", "")
    await watched.pass_s(SILENT_S + 120)
    assert len(await watched.alerts()) == 2


async def test_a_server_that_was_away_itself_calls_nobody_for_it(watched: Watched) -> None:
    await watched.pass_s(60, heard=True)
    watched.now_ms += 7_200_000  # a night's maintenance
    await watched.watching.look()
    await watched.watching.look()
    assert await watched.standing() == []
    await watched.pass_s(300, heard=True)
    assert await watched.alerts() == []


async def test_while_a_gate_is_closed_nobody_is_called_for_its_silence(watched: Watched) -> None:
    said = Closed(from_ms=NOW_MS, until_ms=NOW_MS + 1_200_000, why_zh="颱風", why_en="Typhoon")
    async with watched.database.write() as connection:
        await append(connection, About("lin", NOW_MS, "library", venue="main"), said, NOW_MS)
    await watched.pass_s(1_140)
    assert await watched.standing() == []
    await watched.pass_s(300)
    assert ("silent", "door-1") in await watched.standing()


async def test_a_closure_of_another_venue_excuses_nothing(watched: Watched) -> None:
    said = Closed(from_ms=NOW_MS, until_ms=NOW_MS + 3_600_000, why_zh="颱風", why_en="Typhoon")
    async with watched.database.write() as connection:
        await append(connection, About("lin", NOW_MS, "library", venue="branch"), said, NOW_MS)
    await watched.pass_s(480)
    assert await watched.standing() == [("silent", "door-1")]


async def test_a_device_that_is_revoked_is_not_watched_any_more(watched: Watched) -> None:
    await watched.pass_s(480)
    await watched.city.change(devices, devices.c.id == "door-1-device", state="revoked")
    await watched.pass_s(300)
    (row,) = await watched.alerts()
    assert (row.state, row.why) == ("resolved", "it is not watched any more")


async def test_a_clock_that_is_off_is_told_by_the_poll(watched: Watched) -> None:
    for _ in range(7):
        watched.now_ms += 30_000
        await watched.heard(at_ms=watched.now_ms - 90_000)
        await watched.watching.look()
    (row,) = await watched.alerts()
    assert (row.kind, row.target, row.facts) == ("skew", "door-1-device", '{"skew_ms":-90000}')


async def test_a_device_that_keeps_an_old_list_is_found_though_it_polls(watched: Watched) -> None:
    await watched.city.change(lists, lists.c.domain == "library", version=NOW_MS)
    if not await watched.city.rows(lists):
        row = {"domain": "library", "version": NOW_MS, "key_number": 1, "count": 0, "sum": bytes(32), "base": 0}
        await watched.city.add(lists, row)
    await watched.pass_s(HOLDS_MS["stale"] / 1_000 + 60, heard=True)
    assert await watched.standing() == [("stale", "door-1-device")]


async def test_a_report_that_cannot_be_read_keeps_no_other_from_being_watched(watched: Watched) -> None:
    await watched.city.add_device(Device("door-1-other"))
    await watched.city.change(devices, devices.c.id == "door-1-other", report=b"\xc1")
    await watched.pass_s(480)
    assert await watched.standing() == [("silent", "door-1")]


async def test_low_disk_and_an_old_certificate_of_any_server_are_found(watched: Watched) -> None:
    said = ServerReport(disk_free_bytes=1, disk_total_bytes=100, certificate_until_ms=NOW_MS + 86_400_000)
    body = msgspec.json.encode(said).decode()
    for _ in range(15):
        watched.now_ms += 30_000
        await watched.heard()
        await watched.city.change(servers, servers.c.id == "other:8443", seen_ms=watched.now_ms)
        if not any(row.id == "other:8443" for row in await watched.city.rows(servers)):
            row = {"id": "other:8443", "started_ms": NOW_MS, "seen_ms": watched.now_ms, "body": body}
            await watched.city.add(servers, row)
        await watched.watching.look()
    found = await watched.standing()
    assert {("certificate", "other:8443"), ("disk", "other:8443")} <= set(found)
    assert not [key for key in found if key[0] in ("silent", "stale")]


# --- denials ----------------------------------------------------------------------------------------------------


async def taps(
    watched: Watched, number: int, denied: int, at_ms: int, reason: str = "unknown-card", **more: Any
) -> None:
    row = {"device": "door-1-device", "gate": "door-1", "kind": Kind.TAP.value, "direction": "in", "rule": ""}
    row |= {"repeat_of": 0, "outcome": "accepted", **more}
    first = len(await watched.city.rows(events))
    rows = []
    for n in range(number):
        decision = Outcome.DENIED if n < denied else Outcome.GRANTED
        said = {"decision": decision.value, "reason": reason if n < denied else "ok"}
        rows.append(row | said | {"epoch": bytes(8), "sequence": first + n, "at_ms": at_ms + n})
    await watched.city.add(events, *rows)


async def test_denials_that_jump_are_found_and_are_over_when_they_are(watched: Watched) -> None:
    await taps(watched, 500, 10, NOW_MS - 86_400_000)
    await taps(watched, 60, 40, NOW_MS)
    await watched.pass_s(180, heard=True)
    assert await watched.standing() == [("denials", "door-1")]
    (row,) = await watched.alerts()
    assert row.facts == '{"taps":60,"denied":40,"taps_before":500,"denied_before":10}'
    await watched.pass_s(300, every_s=60, heard=True)
    assert await watched.standing() == [("denials", "door-1")]
    await watched.pass_s(facts.LATELY_MS / 1_000 + 600, every_s=60, heard=True)
    assert [row.state for row in await watched.alerts()] == ["resolved"]


async def test_denials_that_go_on_do_not_become_the_gates_own_past(watched: Watched) -> None:
    await taps(watched, 500, 10, NOW_MS - 86_400_000)
    for _ in range(10):  # more taps than its whole past
        await taps(watched, 300, 200, watched.now_ms)
        await watched.pass_s(240, every_s=60, heard=True)
    assert await watched.standing() == [("denials", "door-1")]
    assert len(await watched.alerts()) == 1


@pytest.mark.parametrize("engine", ["sqlite"])
@pytest.mark.parametrize("more", [{"reason": "closed"}, {"repeat_of": 1}, {"kind": "passage"}])
async def test_what_says_nothing_of_the_gate_is_no_jump(watched: Watched, more: dict[str, Any]) -> None:
    await taps(watched, 500, 10, NOW_MS - 86_400_000)
    await taps(watched, 60, 50, NOW_MS, **more)
    await watched.pass_s(300, heard=True)
    assert await watched.alerts() == []


# --- several processes -------------------------------------------------------------------------------------------


async def test_several_processes_make_one_alert_of_one_incident(watched: Watched) -> None:
    others: list[Watching] = [watched.another(port=9_000 + n) for n in range(4)]
    for _ in range(16):
        watched.now_ms += 30_000
        await asyncio.gather(*(each.look() for each in [watched.watching, *others]))
    assert await watched.standing() == [("silent", "door-1")]
    assert len(await watched.alerts()) == 1
    assert len(await watched.city.rows(servers)) == 5


async def test_a_server_that_was_switched_off_is_forgotten_after_a_day(watched: Watched) -> None:
    await watched.another(port=9_001).look()
    watched.now_ms += 86_400_001
    await watched.watching.look()
    assert [row.id.rpartition(":")[2] for row in await watched.city.rows(servers)] == ["8443"]


async def test_a_server_that_was_ended_on_purpose_is_not_missed_but_its_absence_counts(watched: Watched) -> None:
    await watched.pass_s(60, heard=True)
    await watched.watching.leave()
    watched.now_ms += 7_200_000
    watched.watching = watched.another()
    await watched.watching.look()
    await watched.watching.look()
    assert await watched.alerts() == []


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_an_idle_look_writes_nothing_but_that_the_server_lives(watched: Watched) -> None:
    await watched.pass_s(30, heard=True)
    before = [await watched.city.rows(table) for table in (alerts, devices, gates, venues)]
    await watched.watching.look()
    assert [await watched.city.rows(table) for table in (alerts, devices, gates, venues)] == before
