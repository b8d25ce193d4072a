"""Moving, replacing and banning: what the device is told then, and what becomes of what it still has to deliver."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from central import enrolment
from central.actions.action import ActionFailed
from central.custody import Custodian
from central.device_keys import DeviceKeys
from central.failures import Declined
from central.keys import Keys
from central.publish import manifest_for
from central.reports import Reports
from central.store.database import Database
from central.store.schema import (
    batches,
    bind_sessions,
    device_moves,
    devices,
    domains,
    events,
    evidence,
    gates,
    policies,
    venues,
)
from protocol.allowlist import accept_part, part_of
from protocol.configuration import GateConfig
from protocol.envelope import Keyring, open_as
from protocol.errors import Failure
from protocol.fleet import Health, ReaderHealth
from protocol.joining import from_text
from protocol.messages import (
    Clock,
    ClosureDetail,
    Enrolled,
    Hello,
    Kind,
    Manifest,
    Part,
    PartName,
    Revoked,
    Upload,
    decode,
    encode,
)
from protocol.policy import Admit, Policy
from tests.central.actors import NOW_MS, Device, Journal, types
from tests.central.admin import Admin, admin_of
from tests.central.city import City

DEVICE = "door-1-device"
MINUTE_MS = 60_000


@pytest.fixture
def admin(city: City, database: Database, keys: Keys, database_url: str, tmp_path: Path) -> Admin:
    return admin_of(database, keys, database_url, tmp_path)


@pytest.fixture
def custodian(city: City) -> Custodian:
    return Custodian(city.database, city.keys, DeviceKeys(city.database))


async def manifest(city: City, device: str = DEVICE, at_ms: int = NOW_MS) -> Manifest:
    async with city.database.write() as connection:
        envelope = await manifest_for(connection, city.keys, device, at_ms)
    return open_as(Manifest, envelope, Keyring.of(city.keys.publish.public))


async def report(city: City, **changes: Any) -> None:
    reports = Reports(city.database)
    reports.note(city.device.poll_message(**changes), NOW_MS)
    await reports.write()


async def enrol(city: City, text: str) -> tuple[Device, str]:
    """A new device with a join token: itself, and the words that it shows."""
    device, token = Device("", "door-1"), from_text(text)
    nonce = decode(Hello, enrolment.hello(city.keys, NOW_MS)).nonce
    async with city.database.write() as connection:
        answer = await enrolment.enrol(connection, city.keys, device.enrol(token.secret, nonce), NOW_MS)
    assert isinstance(answer, bytes), answer
    device.id = open_as(Enrolled, answer, Keyring.of(city.keys.publish.public)).device
    return device, device.words(city.keys.root_public, token.secret)


# --- moving -----------------------------------------------------------------------------------------------------------


async def test_a_moved_device_gets_the_other_gate_with_parts_newer_than_those_that_it_holds(
    city: City, admin: Admin
) -> None:
    """The other gate's configuration and policy are older than the ones it has: published as they are, they would be
    refused for ever as a step back."""
    await city.add(gates, {"id": "door-2", "venue": "main", "kind": "door", "policy": "old"})
    await city.configure(GateConfig(0, "door-2", "door", title_en="Second"), NOW_MS - 10_000)
    content = Policy(NOW_MS - 9_000, (Admit(id="members"),))
    await city.add(policies, {"id": "old", "version": NOW_MS - 9_000, "at_ms": NOW_MS, "body": encode(content)})
    before = await manifest(city)
    done = await admin.act("device.move", device=DEVICE, gate="door-2", who="chen", why="the other door is busier")
    after = await manifest(city, at_ms=NOW_MS + 1)
    assert (after.gate, after.venue, after.domain) == ("door-2", "main", "library")
    assert after.number > before.number
    for name in (PartName.CONFIG, PartName.POLICY):
        held, offered = part_of(before, name), part_of(after, name)
        assert held is not None
        assert offered is not None
        accept_part(after, held.version, name, offered.version, offered.digest)
        assert offered.version > held.version
    assert (done.from_gate, done.to_gate, done.beside) == ("door-1", "door-2", [])
    assert done.config > 0
    assert done.policy > 0
    (move,) = await city.rows(device_moves)
    assert (move.device, move.from_gate, move.to_gate, move.who) == (DEVICE, "door-1", "door-2", "chen")


async def test_what_is_newer_already_is_not_published_again(city: City, admin: Admin) -> None:
    await city.add_gate("door-2")
    await city.configure(GateConfig(0, "door-2", "door"), NOW_MS + 5)
    await manifest(city)
    admin.now_ms = NOW_MS + 10
    done = await admin.act("device.move", device=DEVICE, gate="door-2")
    assert done.config == 0
    assert done.policy > 0, "the policy is the very one that it holds, and equal is not newer"


async def test_what_the_device_says_that_it_holds_counts_where_no_manifest_is_known(city: City, admin: Admin) -> None:
    """As after a restore: a device may hold what this database never signed."""
    await city.add_gate("door-2")
    ahead = NOW_MS + 86_400_000
    await report(city, parts=(Part("config", ahead, bytes(32)), Part("policy", ahead, bytes(32))))
    done = await admin.act("device.move", device=DEVICE, gate="door-2")
    assert (done.config, done.policy) == (ahead + 1, ahead + 1)


async def test_it_may_go_to_another_venue_of_its_domain_and_to_no_other_domain(city: City, admin: Admin) -> None:
    city.keys.new_domain_key("sports", 1)
    await city.add(domains, {"id": "sports", "key_number": 1})
    await city.add(
        venues,
        {"id": "branch", "domain": "library", "time_zone": "Asia/Taipei"},
        {"id": "hall", "domain": "sports", "time_zone": "Asia/Taipei"},
    )
    for gate, venue in (("branch-1", "branch"), ("hall-1", "hall")):
        await city.add(gates, {"id": gate, "venue": venue, "kind": "door", "policy": "open"})
        await city.configure(GateConfig(0, gate, "door"), NOW_MS - 500)
    with pytest.raises(ActionFailed, match="of the domain sports"):
        await admin.act("device.move", device=DEVICE, gate="hall-1")
    await admin.act("device.move", device=DEVICE, gate="branch-1")
    assert (await manifest(city)).venue == "branch"


async def test_taps_that_were_not_delivered_yet_stay_those_of_the_gate_where_they_happened(
    city: City, admin: Admin, custodian: Custodian
) -> None:
    await city.add_gate("door-2")
    journal = Journal(city.device)
    journal.tap(2)
    await admin.act("device.move", device=DEVICE, gate="door-2")
    city.device.gate = "door-2"
    journal.tap(1)
    assert (await custodian.take(journal.upload(), NOW_MS)).outcome == "accepted"
    taps = [row.gate for row in await city.rows(events) if row.kind == "tap"]
    assert sorted(taps) == ["door-1", "door-1", "door-2"]


async def test_a_session_that_waits_for_a_card_does_not_move_along(city: City, admin: Admin) -> None:
    await city.add_gate("door-2")
    (member,) = await city.add_members(1)
    values = {"id": bytes(16), "gate": "door-1", "device": DEVICE, "member": member, "who": "chen", "version": NOW_MS}
    values |= {"opened_ms": NOW_MS, "until_ms": NOW_MS + MINUTE_MS, "seal_public": bytes(32), "state": "open"}
    await city.add(bind_sessions, values | {"private_sealed": bytes(32)})
    assert (await admin.act("device.move", device=DEVICE, gate="door-2")).cancelled == 1
    assert [row.state for row in await city.rows(bind_sessions)] == ["cancelled"]


async def test_a_gate_that_its_staff_closed_keeps_its_device(city: City, admin: Admin, custodian: Custodian) -> None:
    await city.add_gate("door-2")
    journal = Journal(city.device)
    closed = ClosureDetail("desk", "typhoon", NOW_MS - 1, NOW_MS + MINUTE_MS)
    journal.add(Kind.CLOSURE, detail=encode(closed))
    await custodian.take(journal.upload(), NOW_MS)
    with pytest.raises(ActionFailed, match="staff have closed"):
        await admin.act("device.move", device=DEVICE, gate="door-2")
    admin.now_ms = NOW_MS + MINUTE_MS
    await admin.act("device.move", device=DEVICE, gate="door-2")


@pytest.mark.parametrize(
    ("device", "gate", "why"),
    [("nobody", "door-2", "no device"), (DEVICE, "nowhere", "no gate"), (DEVICE, "door-1", "already")],
)
async def test_what_cannot_be_moved_is_said_and_nothing_changes(
    city: City, admin: Admin, device: str, gate: str, why: str
) -> None:
    await city.add_gate("door-2")
    with pytest.raises(ActionFailed, match=why):
        await admin.act("device.move", device=device, gate=gate)
    assert await city.rows(device_moves) == []


@pytest.mark.parametrize("state", ["pending", "revoked"])
async def test_only_an_active_device_is_moved(city: City, admin: Admin, state: str) -> None:
    await city.add_gate("door-2")
    await city.change(devices, devices.c.id == DEVICE, state=state)
    with pytest.raises(ActionFailed, match=f"is {state}"):
        await admin.act("device.move", device=DEVICE, gate="door-2")


async def test_who_else_serves_the_new_gate_is_told(city: City, admin: Admin) -> None:
    await city.add_gate("door-2")
    await city.add_device(Device("door-2-device", "door-2"))
    assert (await admin.act("device.move", device=DEVICE, gate="door-2")).beside == ["door-2-device"]


async def test_a_moved_device_is_as_verify_expects_it_and_one_that_was_moved_by_hand_is_not(
    city: City, admin: Admin
) -> None:
    await city.add_gate("door-2")
    token = (await admin.act("device.invite", gate="door-1")).token
    device, words = await enrol(city, token)
    await admin.act("device.confirm", device=device.id, words=words)
    await admin.act("device.move", device=device.id, gate="door-2")
    assert await _problems(admin) == []
    async with city.database.write() as connection:
        await connection.execute(update(devices).where(devices.c.id == device.id).values(gate="door-1"))
    assert any(device.id in problem for problem in await _problems(admin))


async def _problems(admin: Admin) -> list[str]:
    await admin.act("verify")
    return [str(item) for item in admin.items if "name, gate or key" in str(item)]


# --- replacing --------------------------------------------------------------------------------------------------------


async def test_the_old_device_is_revoked_when_the_new_one_is_confirmed_and_not_before(
    city: City, admin: Admin, custodian: Custodian
) -> None:
    await report(city, backlog=7)
    asked = await admin.act("device.replace", device=DEVICE)
    assert (asked.gate, asked.undelivered, asked.seen_ms) == ("door-1", 7, NOW_MS)
    journal = Journal(city.device)
    journal.tap(1)
    new, words = await enrol(city, asked.token)
    shown = await admin.act("device.show", device=DEVICE)
    assert (shown.device.state, shown.replacing) == ("active", [new.id])
    assert (await custodian.take(journal.upload(), NOW_MS)).outcome == "accepted", "it goes on until then"
    with pytest.raises(ActionFailed, match="not the words"):
        await admin.act("device.confirm", device=new.id, words="babab-babab-babad")
    with pytest.raises(ActionFailed, match=r"door-1 is a gate: .*`device list --gate door-1`"):
        await admin.act("device.confirm", device="door-1", words=words)
    confirmed = await admin.act("device.confirm", device=new.id, words=words)
    assert confirmed.replaced == DEVICE
    journal.tap(1)
    late = await custodian.take(journal.upload(2), NOW_MS)
    assert (late.outcome, types([late.answer])) == ("untrusted", ["revoked"])
    told = open_as(Revoked, late.answer, Keyring.of(city.keys.publish.public))
    assert told.reason == f"replaced by {new.id}"
    states = {row.id: row.state for row in await city.rows(devices)}
    assert states == {DEVICE: "revoked", new.id: "active"}
    again = await admin.act("device.confirm", device=new.id, words=words)
    assert again.replaced == ""


async def test_a_device_that_was_moved_meanwhile_is_not_replaced(city: City, admin: Admin) -> None:
    await city.add_gate("door-2")
    new, words = await enrol(city, (await admin.act("device.replace", device=DEVICE)).token)
    await admin.act("device.move", device=DEVICE, gate="door-2")
    assert (await admin.act("device.confirm", device=new.id, words=words)).replaced == ""
    assert {row.state for row in await city.rows(devices)} == {"active"}


async def test_nothing_is_replaced_that_does_not_serve(city: City, admin: Admin) -> None:
    await admin.act("device.revoke", device=DEVICE, why="lost")
    with pytest.raises(ActionFailed, match="device invite door-1"):
        await admin.act("device.replace", device=DEVICE)
    with pytest.raises(ActionFailed, match="no device"):
        await admin.act("device.replace", device="nobody")


# --- banning ----------------------------------------------------------------------------------------------------------


async def test_a_banned_device_is_told_that_it_is_revoked_and_nothing_of_it_is_kept(
    city: City, admin: Admin, custodian: Custodian
) -> None:
    journal = Journal(city.device)
    journal.tap(1)
    await custodian.take(journal.upload(), NOW_MS)
    await admin.act("device.ban", device=DEVICE, why="stolen")
    journal.tap(3)
    answer = await custodian.take(journal.upload(2), NOW_MS)
    assert (answer.outcome, answer.events, types([answer.answer])) == ("revoked", 0, ["revoked"])
    resent = await custodian.take(journal.upload(0, 1), NOW_MS)
    assert types([resent.answer]) == ["revoked"]
    assert len(await city.rows(batches)) == 1
    assert len([row for row in await city.rows(events) if row.kind == "tap"]) == 1, "what was held stays"
    broken = journal.batch(2, 4, head=bytes(32))
    with pytest.raises(Exception, match="chain|head"):
        await custodian.take(_upload(city.device, broken), NOW_MS)
    assert await city.rows(evidence) == [], "nor does it fill a disk with evidence"


def _upload(device: Device, batch: Any) -> bytes:
    return encode(Upload(device.signer.seal(batch), tuple(b"" for _ in batch.events)))


@pytest.mark.parametrize("which", ["both", "signing", "sealing"])
async def test_a_banned_key_is_never_enrolled_again_and_raises_an_alarm(city: City, admin: Admin, which: str) -> None:
    await admin.act("device.ban", device=DEVICE, why="stolen")
    thief = Device("", "door-1")
    if which in ("both", "signing"):
        thief.signer = city.device.signer
    if which in ("both", "sealing"):
        thief.sealing_public = city.device.sealing_public
    token = from_text((await admin.act("device.invite", gate="door-1")).token)
    nonce = decode(Hello, enrolment.hello(city.keys, NOW_MS)).nonce
    async with city.database.write() as connection:
        answer = await enrolment.enrol(connection, city.keys, thief.enrol(token.secret, nonce), NOW_MS)
    assert isinstance(answer, Declined)
    assert (answer.status, answer.kind) == (403, Failure.UNKNOWN_KEY)
    assert [(row.kind, row.device) for row in await city.rows(evidence)] == [("alarm", DEVICE)]
    assert len(await city.rows(devices)) == 1


async def test_a_banned_device_gets_its_old_answer_no_more(city: City, admin: Admin) -> None:
    token = (await admin.act("device.invite", gate="door-1")).token
    device, _ = await enrol(city, token)
    await admin.act("device.ban", device=device.id, why="wrong hands")
    nonce = decode(Hello, enrolment.hello(city.keys, NOW_MS)).nonce
    async with city.database.write() as connection:
        again = await enrolment.enrol(connection, city.keys, device.enrol(from_text(token).secret, nonce), NOW_MS)
    assert isinstance(again, Declined)
    assert again.status == 403


async def test_a_revoked_device_may_be_banned_later_and_once_is_enough(city: City, admin: Admin) -> None:
    await admin.act("device.revoke", device=DEVICE, why="lost")
    admin.now_ms = NOW_MS + 5
    await admin.act("device.ban", device=DEVICE, why="stolen")
    admin.now_ms = NOW_MS + 9
    await admin.act("device.ban", device=DEVICE, why="again")
    (row,) = await city.rows(devices)
    assert (row.state, row.revoked_ms, row.revoked_why, row.banned_ms) == ("revoked", NOW_MS, "lost", NOW_MS + 5)
    assert (await admin.act("device.list")).devices[0].banned


# --- showing ----------------------------------------------------------------------------------------------------------


async def test_a_device_is_shown_with_what_it_holds_against_what_it_should(city: City, admin: Admin) -> None:
    published = await manifest(city)
    held = city.device.holding(published, "policy", "domain-key")
    await report(city, at_ms=NOW_MS + 130_000, wait_s=30, backlog=3, **held)
    shown = await admin.act("device.show", device=DEVICE)
    assert (shown.published, shown.is_taken_up) == (published.number, True)
    parts = {part.name: (part.held > 0, part.is_current) for part in shown.published_parts}
    assert parts == {"domain-key": (True, True), "config": (False, False), "policy": (True, True)}
    assert shown.device.skew_ms == 130_000
    assert (shown.device.stands, shown.device.venue) == ("alarm", "main")
    assert "clock-skew" in shown.device.reasons
    assert (shown.list_age_ms, shown.health, shown.can_bundle) == (None, None, False)


async def test_what_a_device_told_of_its_health_is_shown(city: City, admin: Admin) -> None:
    reader = ReaderHealth("front", "pcsc", "ready", "ACR1252", "acr1252u", "V106")
    health = Health(DEVICE, NOW_MS, "0.1.0", Clock.BEHIND, 90, 60, 5, 10, 3, 4, (reader,), NOW_MS + 9)
    reports = Reports(city.database)
    reports.note_health(health, NOW_MS + 7)
    await reports.write()
    shown = await admin.act("device.show", device=DEVICE)
    assert (shown.health.at_ms, shown.health.clock, shown.health.certificate_until_ms) == (
        NOW_MS + 7,
        "behind",
        NOW_MS + 9,
    )
    assert (shown.device.disk_free_bytes, shown.device.disk_bytes) == (5, 10)
    (read,) = shown.device.readers
    assert (read.reader, read.kind, read.model, read.firmware) == ("front", "pcsc", "ACR1252", "V106")


async def test_devices_are_listed_by_venue_and_paged_by_key(city: City, admin: Admin) -> None:
    await city.add(venues, {"id": "other", "domain": "library", "time_zone": "Asia/Taipei"})
    await city.add(gates, {"id": "a-gate", "venue": "other", "kind": "door", "policy": "open"})
    await city.configure(GateConfig(0, "a-gate", "door"))
    for n in range(3):
        await city.add_device(Device(f"a-{n}", "a-gate"))
    assert [each.device for each in (await admin.act("device.list", venue="other")).devices] == ["a-0", "a-1", "a-2"]
    first = await admin.act("device.list", most=2)
    second = await admin.act("device.list", most=2, after=first.devices[-1].device)
    assert (first.more, second.more) == (True, False)
    assert [each.device for each in (*first.devices, *second.devices)] == ["a-0", "a-1", "a-2", DEVICE]
