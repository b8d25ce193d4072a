"""Lists, manifests and what a poll is answered with; a model of a gate that knows only `protocol` checks the lists."""

from pathlib import Path

import msgspec
import pytest
from sqlalchemy import delete, update

from central import publish
from central.device_api import Services
from central.keys import Keys
from central.lists import refresh_domain, refresh_members
from central.snapshots import Snapshots
from central.store.database import Database
from central.store.schema import cards, gate_configs, list_entries, lists, manifests, member_classes, subjects
from protocol.allowlist import CardState, Entry, accept_delta, accept_manifest, list_digest, part_of, total
from protocol.envelope import domain_key_digest, open_domain_key
from protocol.messages import (
    Delta,
    DomainKey,
    Fresh,
    GateConfig,
    KeyStatement,
    Manifest,
    PartName,
    Pending,
    Revoked,
    Snapshot,
    Trouble,
    decode,
)
from protocol.policy import Admit, Policy, Refuse
from tests.central.actors import NOW_MS, Device, find, read_snapshot, sha256, types
from tests.central.city import City


class Gate:
    """What a gate would hold: written for these tests, from the SPEC alone."""

    def __init__(self) -> None:
        self.version, self.rows = 0, {}

    def take(self, answer: list[bytes], city: City) -> None:
        manifest = find(Manifest, answer, city.keys.publish.public)
        delta = find(Delta, answer, city.keys.publish.public)
        accept_delta(manifest, self.version, delta.key_number, delta)
        for chunk in delta.put:
            self.rows.update(msgspec.msgpack.decode(chunk, type=list[tuple[bytes, bytes]]))
        for token in delta.drop:
            self.rows.pop(token, None)
        self._check(delta)

    def take_snapshot(self, body: bytes) -> None:
        head, chunks = read_snapshot(Snapshot, body)
        assert [sha256(chunk) for chunk in chunks] == list(head.chunks)
        rows = [row for chunk in chunks for row in msgspec.msgpack.decode(chunk, type=list[tuple[bytes, bytes]])]
        assert rows == sorted(rows)
        self.rows = dict(rows)
        self._check(head)

    def _check(self, result: Snapshot | Delta) -> None:
        assert len(self.rows) == result.count
        assert total(self.rows.items()) == int.from_bytes(result.sum)
        self.version = result.version


@pytest.fixture
def now() -> list[int]:
    return [NOW_MS]


@pytest.fixture
async def services(database: Database, keys: Keys, tmp_path: Path, now: list[int]) -> Services:
    return Services(database, keys, Snapshots(database, keys, tmp_path / "snapshots"), now_ms=lambda: now[0])


async def refresh(city: City, members: list[bytes], at_ms: int, **more) -> set[str]:
    async with city.database.write() as connection:
        return await refresh_members(connection, city.keys, members, at_ms, **more)


async def whole(city: City, at_ms: int, **more) -> bool:
    async with city.database.write() as connection:
        return await refresh_domain(connection, city.keys, "library", at_ms, **more)


async def head(city: City):
    (row,) = await city.rows(lists)
    rows = [(each.token, each.entry) for each in await city.rows(list_entries) if not each.dropped]
    assert (row.count, int.from_bytes(row.sum)) == (len(rows), total(rows))
    return row


async def snapshot_of(services: Services, version: int = 0, first_chunk: int = 0) -> bytes:
    file = await services.snapshots.of_version("library", version)
    return b"".join([piece async for piece in services.snapshots.frames(file, first_chunk)])


async def manifest(services: Services, city: City, **poll) -> Manifest:
    answer = await services.polls.answer(city.device.poll_message(**poll))
    return find(Manifest, answer, city.keys.publish.public)


# --- lists ------------------------------------------------------------------------------------------------------


async def test_a_list_says_of_each_card_who_when_and_what_class(city: City) -> None:
    members = await city.add_members(3)
    assert await refresh(city, members, NOW_MS) == {"library"}
    found = {row.token: decode(Entry, row.entry) for row in await city.rows(list_entries)}
    assert set(found) == {city.token(n) for n in range(3)}
    entry = found[city.token(1)]
    assert entry.subject == next(row.subject for row in await city.rows(subjects) if row.member == members[1])
    assert ([grant.name for grant in entry.classes], entry.state, entry.card) == (["citizen"], CardState.ACTIVE, 1)
    assert (await head(city)).version == NOW_MS


async def test_only_a_change_makes_a_new_version(city: City) -> None:
    members = await city.add_members(3)
    await refresh(city, members, NOW_MS)
    assert await refresh(city, members, NOW_MS + 1) == set()
    assert not await whole(city, NOW_MS + 2)
    assert (await head(city)).version == NOW_MS
    await city.set_card_state(members[0], CardState.LOST)
    assert await refresh(city, members, NOW_MS - 50) == {"library"}  # a clock that went back moves nothing back
    assert (await head(city)).version == NOW_MS + 1
    assert sorted(row.version for row in await city.rows(list_entries)) == [NOW_MS, NOW_MS, NOW_MS + 1]


@pytest.mark.parametrize("state", [CardState.BLOCKED, CardState.LOST, CardState.REPLACED])
async def test_a_card_that_may_not_enter_stays_listed_so_that_the_gate_can_say_why(
    city: City, state: CardState
) -> None:
    members = await city.add_members(2)
    await refresh(city, members, NOW_MS)
    await city.set_card_state(members[0], state)
    await refresh(city, members[:1], NOW_MS + 1)
    found = {row.token: decode(Entry, row.entry).state for row in await city.rows(list_entries)}
    assert found == {city.token(0): state, city.token(1): CardState.ACTIVE}
    await head(city)


async def test_who_leaves_a_domain_leaves_its_list(city: City) -> None:
    members = await city.add_members(3)
    await refresh(city, members, NOW_MS)
    async with city.database.write() as connection:
        await connection.execute(delete(subjects).where(subjects.c.member == members[0]))
    assert await refresh(city, members[:1], NOW_MS + 1) == {"library"}
    assert (await head(city)).count == 2
    assert [row.dropped for row in await city.rows(list_entries) if row.token == city.token(0)] == [True]


async def test_compiling_a_whole_list_finds_what_no_longer_belongs(city: City) -> None:
    await refresh(city, await city.add_members(30), NOW_MS)
    async with city.database.write() as connection:
        await connection.execute(delete(cards).where(cards.c.number == 1, cards.c.id > (20).to_bytes(4) + bytes(12)))
    assert await whole(city, NOW_MS + 1)
    assert (await head(city)).count == 21


async def test_both_ways_of_compiling_agree(city: City) -> None:
    members = await city.add_members(40)
    await refresh(city, members[:25], NOW_MS)
    await whole(city, NOW_MS + 1)
    row = await head(city)
    assert row.count == 40
    assert await refresh(city, members, NOW_MS + 2) == set()


async def test_members_of_many_blocks_named_twice_are_counted_once(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("central.lists.BLOCK_MEMBERS", 7)
    members = await city.add_members(30)
    await refresh(city, members + members, NOW_MS)
    assert (await head(city)).count == 30
    await city.add_members(5, first=100)
    await whole(city, NOW_MS + 1)
    assert (await head(city)).count == 35


async def test_an_empty_domain_has_an_empty_list(city: City) -> None:
    assert await whole(city, NOW_MS)
    row = await head(city)
    assert (row.version, row.count) == (NOW_MS, 0)


async def test_a_rotated_key_makes_a_new_list_that_no_delta_reaches(city: City, services: Services) -> None:
    await refresh(city, await city.add_members(3), NOW_MS)
    before = await manifest(services, city)
    await city.rotate(NOW_MS + 1)
    assert {row.token for row in await city.rows(list_entries)} == {city.token(n, key_number=2) for n in range(3)}
    assert (await head(city)).base == (await head(city)).version > NOW_MS
    answer = await services.polls.answer(city.device.poll_message(**city.device.holding(before)))
    assert types(answer) == ["manifest", "domain-key"]


async def test_a_list_that_is_published_anew_is_newer_without_any_change(city: City) -> None:
    await refresh(city, await city.add_members(3), NOW_MS)
    before = await head(city)
    assert await whole(city, NOW_MS + 1, anew=True)
    after = await head(city)
    assert (after.version, after.base, after.sum) == (NOW_MS + 1, NOW_MS + 1, before.sum)


# --- snapshots and deltas -----------------------------------------------------------------------------------------


async def test_snapshot_and_deltas_lead_to_the_same_list(
    city: City, services: Services, now: list[int], tmp_path: Path
) -> None:
    members = await city.add_members(50)
    await refresh(city, members, NOW_MS)
    gate, late = Gate(), Gate()
    gate.take_snapshot(await snapshot_of(services))
    for step in range(1, 6):
        now[0] += 1_000
        await city.set_card_state(members[step], CardState.BLOCKED)
        await city.add_members(3, first=100 * step)
        async with city.database.write() as connection:
            await connection.execute(delete(subjects).where(subjects.c.member == members[40 + step]))
        await whole(city, now[0])
        held = {"parts": (msgspec.structs.replace(_list_part(await _offer(services, city)), version=gate.version),)}
        gate.take(await services.polls.answer(city.device.poll_message(**held)), city)
    for file in tmp_path.glob("snapshots/*.snap"):  # so that a new one is built of the list as it is now
        file.unlink()
    late.take_snapshot(await snapshot_of(services))
    assert late.rows == gate.rows
    assert len(gate.rows) == 50 + 15 - 5
    assert late.version == gate.version == (await head(city)).version


def _list_part(offer: publish.Offer):
    return part_of(offer.content, PartName.ALLOWLIST)


async def _offer(services: Services, city: City) -> publish.Offer:
    async with city.database.read() as connection:
        found = await publish.offers(connection, city.keys, {city.device.id: None}, NOW_MS)
    return found[city.device.id]


async def test_a_snapshot_serves_on_while_deltas_reach_from_it(city: City, services: Services) -> None:
    members = await city.add_members(5)
    await refresh(city, members, NOW_MS)
    first = await services.snapshots.newest("library")
    await city.set_card_state(members[0], CardState.LOST)
    await refresh(city, members, NOW_MS + 1)
    assert await services.snapshots.newest("library") == first
    await whole(city, NOW_MS + 2, anew=True)  # no delta leads here
    second = await services.snapshots.newest("library")
    await whole(city, NOW_MS + 3, anew=True)
    third = await services.snapshots.newest("library")
    assert (second.version, third.version) == (NOW_MS + 2, NOW_MS + 3)
    assert not first.path.exists()
    assert second.path.exists()


async def test_a_snapshot_is_sent_from_the_chunk_that_is_asked_for(
    city: City, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("central.snapshots.MAX_CHUNK_ROWS", 10)
    await refresh(city, await city.add_members(35), NOW_MS)
    header, chunks = read_snapshot(Snapshot, await snapshot_of(services))
    assert (header.count, len(chunks)) == (35, 4)
    again, rest = read_snapshot(Snapshot, await snapshot_of(services, header.version, 2))
    assert (again, rest) == (header, chunks[2:])
    assert read_snapshot(Snapshot, await snapshot_of(services, header.version, 9))[1] == []


async def test_chunks_that_grow_too_large_are_cut_smaller(
    city: City, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("central.snapshots.MAX_CHUNK_BYTES", 1_000)
    monkeypatch.setattr("central.snapshots.ROWS_THAT_ALWAYS_FIT", 5)
    await refresh(city, await city.add_members(33), NOW_MS)
    Gate().take_snapshot(await snapshot_of(services))


async def test_a_delta_that_is_too_large_is_left_to_the_snapshot(
    city: City, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("central.deltas.MAX_DELTA_ROWS", 5)
    await whole(city, NOW_MS)
    empty = await manifest(services, city)
    await refresh(city, await city.add_members(6), NOW_MS + 1)
    answer = await services.polls.answer(city.device.poll_message(**city.device.holding(empty)))
    assert types(answer) == ["manifest"]


# --- manifests ------------------------------------------------------------------------------------------------------


async def test_a_new_device_gets_everything_but_the_list_which_it_fetches(city: City, services: Services) -> None:
    await refresh(city, await city.add_members(2), NOW_MS)
    answer = await services.polls.answer(city.device.poll_message())
    assert types(answer) == ["keys", "manifest", "domain-key", "policy", "config"]
    public = city.keys.publish.public
    manifest = find(Manifest, answer, public)
    accept_manifest(None, manifest, city.device.id, NOW_MS)
    assert (manifest.number, manifest.at_ms) == (NOW_MS, NOW_MS)
    assert manifest.expires_ms == NOW_MS + manifest.ages.close_ms
    row = await head(city)
    listed = part_of(manifest, PartName.ALLOWLIST)
    assert listed.digest == list_digest("library", 1, 2, int.from_bytes(row.sum))
    key = open_domain_key(find(DomainKey, answer, public), city.device.sealing_private)
    assert key == city.keys.domain_key("library", 1)
    assert part_of(manifest, PartName.DOMAIN_KEY).digest == domain_key_digest(1, key)
    policy = find(Policy, answer, public)
    assert part_of(manifest, PartName.POLICY).version == policy.version
    assert find(GateConfig, answer, public).time_zone == "Asia/Taipei"
    assert find(KeyStatement, answer, city.keys.root_public).number == city.keys.statement.number


async def test_nothing_newer_is_answered_by_fresh_and_signs_no_manifest(
    city: City, services: Services, now: list[int]
) -> None:
    held = city.device.holding(await manifest(services, city))
    now[0] += 3_600_000
    answer = await services.polls.answer(city.device.poll_message(**held))
    fresh = find(Fresh, answer, city.keys.publish.public)
    assert (fresh.number, fresh.at_ms, fresh.generation) == (held["manifest"], now[0], 1)
    assert len(await city.rows(manifests)) == 1


async def test_the_same_content_keeps_its_number(city: City, services: Services) -> None:
    first = await manifest(services, city)
    async with city.database.write() as connection:
        again = await publish.manifest_for(connection, city.keys, city.device.id, NOW_MS + 5)
        await connection.execute(update(gate_configs).values(close_ms=gate_configs.c.close_ms + 1))
        changed = await publish.manifest_for(connection, city.keys, city.device.id, NOW_MS + 5)
    assert find(Manifest, [again], city.keys.publish.public) == first
    assert find(Manifest, [changed], city.keys.publish.public).number == NOW_MS + 5


async def test_a_device_that_holds_a_higher_number_than_a_restored_server_gets_one_above_it(
    city: City, services: Services
) -> None:
    first = await manifest(services, city)
    ahead = first.number + 1_000_000
    found = await manifest(services, city, manifest=ahead)
    assert found.number == ahead + 1
    accept_manifest(msgspec.structs.replace(first, number=ahead), found, city.device.id, NOW_MS)


async def test_a_number_that_leaves_no_room_above_it_is_not_believed(city: City, services: Services) -> None:
    assert (await manifest(services, city, manifest=2**53)).number == NOW_MS


async def test_a_manifest_is_never_sent_with_an_old_time(city: City, services: Services, now: list[int]) -> None:
    first = await manifest(services, city)
    now[0] += 30 * 86_400_000
    found = await manifest(services, city)
    assert (found.number, found.at_ms) == (now[0], now[0])
    assert found.number > first.number


async def test_a_part_in_trouble_is_not_pressed_upon_a_device_again(city: City, services: Services) -> None:
    first = await manifest(services, city)
    policy = part_of(first, PartName.POLICY)
    held = city.device.holding(first, "config", "domain-key")
    trouble = (Trouble(PartName.POLICY, policy.version, "why"),)
    assert types(await services.polls.answer(city.device.poll_message(**held))) == ["manifest", "policy"]
    assert types(await services.polls.answer(city.device.poll_message(**held, troubles=trouble))) == ["fresh"]
    await city.add_policy(policy.version + 1)
    assert "policy" in types(await services.polls.answer(city.device.poll_message(**held, troubles=trouble)))


async def test_rules_that_a_gate_cannot_evaluate_are_not_published_to_it(city: City, services: Services) -> None:
    await city.add_policy(NOW_MS, Admit(id="members"), Refuse(id="closed"))
    old = await manifest(services, city, understands=("rule:admit",))
    assert part_of(old, PartName.POLICY) is None
    assert part_of(await manifest(services, city), PartName.POLICY).version == NOW_MS


async def test_a_delta_comes_with_the_manifest_that_names_it(city: City, services: Services, now: list[int]) -> None:
    members = await city.add_members(3)
    await refresh(city, members, NOW_MS)
    gate = Gate()
    gate.take_snapshot(await snapshot_of(services))
    held = city.device.holding(await manifest(services, city))
    await city.set_card_state(members[0], CardState.BLOCKED)
    now[0] += 1
    await refresh(city, members[:1], now[0])
    answer = await services.polls.answer(city.device.poll_message(**held))
    assert types(answer) == ["manifest", "delta"]
    gate.take(answer, city)
    assert decode(Entry, gate.rows[city.token(0)]).state is CardState.BLOCKED


async def test_one_of_many_classes_too_many_does_not_spoil_the_list(city: City) -> None:
    (member,) = await city.add_members(1)
    names = [f"{n:02d}{'長' * 60}" for n in range(20)]
    await city.add(member_classes, *({"member": member, "name": name, "from_ms": 0, "until_ms": 0} for name in names))
    await refresh(city, [member], NOW_MS)
    (row,) = await city.rows(list_entries)
    assert len(row.entry) <= 1_024
    assert decode(Entry, row.entry).classes[0].name == names[0]


async def test_pending_and_revoked_devices_get_nothing_else(city: City, services: Services) -> None:
    pending = await city.add_device(Device("door-1-new"), state="pending")
    revoked = await city.add_device(Device("door-1-old"), state="revoked")
    public = city.keys.publish.public
    assert find(Pending, await services.polls.answer(pending.poll_message()), public).device == pending.id
    assert find(Revoked, await services.polls.answer(revoked.poll_message()), public).device == revoked.id
