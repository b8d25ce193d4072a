"""A domain's key rotated while members, cards and classes go on changing: block after block, then all at once."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from central import lists as lists_module
from central import rotating
from central.actions.custody.restore import restore
from central.config import parse
from central.lists import drop_cards, refresh_domain, refresh_members
from central.store.database import open_database
from central.store.schema import cards, domains, key_rotations, list_entries, lists, member_classes, subjects
from protocol.allowlist import CardState, total
from tests.central.actors import NOW_MS
from tests.central.admin import Admin, admin_of
from tests.central.city import City, uid

MEMBERS = 7
LATER = NOW_MS + 1_000


@pytest.fixture
def admin(city: City, database_url: str, tmp_path: Path) -> Admin:
    return admin_of(city.database, city.keys, database_url, tmp_path / "data")


@pytest.fixture
async def members(city: City, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """In blocks of two, on a published list."""
    monkeypatch.setattr(lists_module, "BLOCK_MEMBERS", 2)
    monkeypatch.setattr(rotating, "CLEARED_AT_ONCE", 3)
    ids = await city.add_members(MEMBERS)
    async with city.database.write() as connection:
        await refresh_domain(connection, city.keys, "library", NOW_MS)
    return ids


async def begin(city: City) -> int:
    async with city.database.write() as connection:
        return await rotating.begin(connection, city.keys, "library")


async def must_be_published(city: City, key_number: int, wanted: set[int]) -> None:
    """Under the domain's key stand the cards of these numbers and none else, and its head says so."""
    rows = [row for row in await city.rows(list_entries) if row.key_number == key_number and not row.dropped]
    assert {bytes(row.token) for row in rows} == {city.token(n, key_number=key_number) for n in wanted}
    (head,) = [row for row in await city.rows(lists) if row.key_number == key_number]
    summed = total((bytes(row.token), bytes(row.entry)) for row in rows)
    assert (head.count, int.from_bytes(head.sum)) == (len(wanted), summed)
    assert [row.key_number for row in await city.rows(domains)] == [key_number]


async def block_card(city: City, members: list[bytes], n: int) -> set[int]:
    await city.set_card_state(members[n], CardState.BLOCKED)
    async with city.database.write() as connection:
        await refresh_members(connection, city.keys, [members[n]], LATER)
    return set(range(MEMBERS))


async def change_class(city: City, members: list[bytes], n: int) -> set[int]:
    await city.change(member_classes, member_classes.c.member == members[n], name="senior")
    async with city.database.write() as connection:
        await refresh_members(connection, city.keys, [members[n]], LATER)
    return set(range(MEMBERS))


async def leave(city: City, members: list[bytes], n: int) -> set[int]:
    async with city.database.write() as connection:
        await connection.execute(delete(subjects).where(subjects.c.member == members[n]))
        await refresh_members(connection, city.keys, [members[n]], LATER)
    return set(range(MEMBERS)) - {n}


async def erase_card(city: City, members: list[bytes], n: int) -> set[int]:
    async with city.database.write() as connection:
        await connection.execute(delete(cards).where(cards.c.member == members[n]))
        await drop_cards(connection, city.keys, [uid(n)], LATER)
    return set(range(MEMBERS)) - {n}


async def come(city: City, _members: list[bytes], n: int) -> set[int]:
    ids = await city.add_members(1, first=100 + n)
    async with city.database.write() as connection:
        await refresh_members(connection, city.keys, ids, LATER)
    return {*range(MEMBERS), 100 + n}


async def import_many(city: City, _members: list[bytes], n: int) -> set[int]:
    await city.add_members(1, first=100 + n)
    async with city.database.write() as connection:
        await refresh_domain(connection, city.keys, "library", LATER)
    return {*range(MEMBERS), 100 + n}


Happens = Callable[[City, list[bytes], int], Awaitable[set[int]]]


@pytest.mark.parametrize("happens", [block_card, change_class, leave, erase_card, come, import_many])
@pytest.mark.parametrize("n", [0, 6], ids=["of-a-member-who-was-done", "of-a-member-to-come"])
async def test_what_changes_while_tokens_are_made_again_is_on_both_lists(
    city: City, admin: Admin, members: list[bytes], happens: Happens, n: int
) -> None:
    assert await begin(city) == 2
    for _ in range(2):
        await rotating.make_next(city.database, city.keys, "library", NOW_MS + 10)
    await must_be_published(city, 1, set(range(MEMBERS)))
    wanted = await happens(city, members, n)
    await must_be_published(city, 1, wanted)
    assert (await admin.act("verify")).problems == 0
    while await rotating.make_next(city.database, city.keys, "library", LATER + 10) is not None:
        assert (await admin.act("verify")).problems == 0
    await must_be_published(city, 2, wanted)
    await rotating.clear(city.database, "library")
    assert {row.key_number for row in await city.rows(list_entries)} == {2}
    async with city.database.write() as connection:
        assert not await refresh_domain(connection, city.keys, "library", LATER + 20)
    assert (await admin.act("verify")).problems == 0


async def test_a_new_list_is_newer_than_any_that_was_published_meanwhile(city: City, members: list[bytes]) -> None:
    await begin(city)
    await rotating.make_next(city.database, city.keys, "library", NOW_MS + 10)
    await block_card(city, members, 6)
    before = {row.key_number: row.version for row in await city.rows(lists)}
    await rotating.go_on(city.database, city.keys, "library", NOW_MS + 20)
    (head,) = await city.rows(lists)
    assert head.version == head.base > before[1]


async def test_a_rotation_that_was_cut_short_goes_on_with_the_same_key(
    city: City, members: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    await begin(city)
    await rotating.make_next(city.database, city.keys, "library", NOW_MS)
    assert await begin(city) == 2
    compiled = rotating.compiled_block

    async def fails(*_: Any) -> Any:
        raise OSError("the disk is full")

    monkeypatch.setattr(rotating, "compiled_block", fails)
    with pytest.raises(OSError, match="full"):
        await rotating.go_on(city.database, city.keys, "library", NOW_MS)
    await must_be_published(city, 1, set(range(MEMBERS)))
    monkeypatch.setattr(rotating, "compiled_block", compiled)
    await rotating.follow(city.database, city.keys, NOW_MS)  # as the server does by itself
    await must_be_published(city, 2, set(range(MEMBERS)))
    assert await city.rows(key_rotations) == []
    assert {row.key_number for row in await city.rows(list_entries)} == {2}
    assert await begin(city) == 3


async def test_a_list_that_had_a_row_too_many_is_put_right_with_the_key(
    city: City, admin: Admin, members: list[bytes]
) -> None:
    async with city.database.write() as connection:
        await connection.execute(delete(cards).where(cards.c.member == members[3]))  # and no list was told
    assert await city.rotate(NOW_MS + 10) == 2
    await must_be_published(city, 2, set(range(MEMBERS)) - {3})
    assert (await admin.act("verify")).problems == 0


async def test_a_backup_of_a_rotation_under_way_is_restored_without_the_next_key(
    city: City, admin: Admin, members: list[bytes], database_url: str, tmp_path: Path
) -> None:
    await begin(city)
    await rotating.make_next(city.database, city.keys, "library", NOW_MS)
    await admin.act("backup", path=str(tmp_path / "b"))
    (city.keys.directory / "domain-library-2.key").unlink()
    config = parse({"data_dir": str(tmp_path / "other"), "keys_dir": str(city.keys.directory)})
    config.data_dir.mkdir()
    await restore(config, city.keys, tmp_path / "b", LATER, replace=False)
    async with open_database(config.database) as database:
        other = City(database, city.keys)
        await must_be_published(other, 1, set(range(MEMBERS)))
        assert {row.key_number for row in await other.rows(list_entries)} == {1}
        assert (await Admin(config, database, city.keys).act("verify")).problems == 0
        assert await other.rotate(LATER) == 2
        await must_be_published(other, 2, set(range(MEMBERS)))
