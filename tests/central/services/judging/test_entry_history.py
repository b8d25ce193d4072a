"""What a list said of each card at any time, months later, whatever became of keys, cards and backups since."""

from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import delete, insert, select, update

from central.actions.custody.restore import restore
from central.config import parse
from central.entry_history import entry_at, histories, known_since
from central.lists import refresh_domain, refresh_members
from central.store.database import Database, open_database
from central.store.schema import cards, entry_history, list_entries, lists, member_classes, subjects
from protocol.allowlist import CardState, Entry
from protocol.messages import decode
from tests.central.actors import NOW_MS
from tests.central.admin import admin_of
from tests.central.city import City
from tests.central.test_migrate import _to


class Lists:
    """One domain's list, changed step by step; after each what it says is remembered."""

    def __init__(self, city: City) -> None:
        self.city, self.now_ms = city, NOW_MS
        self.said: dict[int, dict[tuple[bytes, int], Entry]] = {}

    async def refresh(self, *members: bytes, whole: bool = False) -> int:
        self.now_ms += 1_000
        async with self.city.database.write() as connection:
            if whole:
                await refresh_domain(connection, self.city.keys, "library", self.now_ms)
            else:
                await refresh_members(connection, self.city.keys, members, self.now_ms)
            rows = select(list_entries.c.entry).where(list_entries.c.dropped.is_(False))
            entries = [decode(Entry, entry) for entry in (await connection.execute(rows)).scalars()]
            version = (await connection.execute(select(lists.c.version))).scalar_one()
        self.said[version] = {(entry.subject, entry.card): entry for entry in entries}
        return int(version)

    async def must_be_remembered(self) -> None:
        """Of every card at every version, and between them."""
        known = {card for said in self.said.values() for card in said}
        async with self.city.database.read() as connection:
            of_cards = await histories(connection, "library", {subject for subject, _ in known})
            for version, said in self.said.items():
                for subject, card in known:
                    for at in (version, version + 999):
                        held = await entry_at(connection, "library", subject, card, at)
                        assert (held.entry if held else None) == said.get((subject, card)), (version, at)
                        assert held == of_cards[subject, card].at(at)


@pytest.fixture
async def kept(city: City) -> Lists:
    lists_ = Lists(city)
    city.ids = await city.add_members(4)  # type: ignore[attr-defined]
    await lists_.refresh(whole=True)
    return lists_


def ids_of(city: City) -> list[bytes]:
    return city.ids  # type: ignore[attr-defined,no-any-return]


async def leave(city: City, member: bytes) -> None:
    async with city.database.write() as connection:
        await connection.execute(delete(subjects).where(subjects.c.member == member))


async def test_every_change_is_kept(kept: Lists, city: City) -> None:
    first, second, third, fourth = ids_of(city)
    await city.set_card_state(first, CardState.BLOCKED)
    await kept.refresh(first)
    await city.change(member_classes, member_classes.c.member == second, until_ms=NOW_MS + 5)
    await kept.refresh(second)
    await leave(city, third)
    await kept.refresh(third)
    await city.set_card_state(first, CardState.ACTIVE)
    await kept.refresh(first, fourth)
    await kept.must_be_remembered()
    assert len({len(said) for said in kept.said.values()}) == 2


async def test_what_did_not_change_is_written_once(kept: Lists, city: City) -> None:
    await kept.refresh(*ids_of(city))
    await kept.refresh(whole=True)
    assert len(await city.rows(entry_history)) == 4


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_couple_with_swapped_cards_is_told_apart(kept: Lists, city: City, at_once: bool) -> None:
    first, second, *_ = ids_of(city)
    async with city.database.write() as connection:
        for card, member in ((first, second), (second, first)):
            await connection.execute(update(cards).where(cards.c.id == card).values(member=member))
    for members in ((first, second),) if at_once else ((first,), (second,)):
        await kept.refresh(*members)
    if not at_once:
        del kept.said[kept.now_ms - 1_000]  # in between, the list has two rows of one card and none of the other
    await kept.must_be_remembered()


async def test_a_new_key_of_the_domain_changes_no_history(kept: Lists, city: City) -> None:
    """Not even that of somebody who left in the meantime."""
    before = await city.rows(entry_history)
    await leave(city, ids_of(city)[0])
    newest = max(row.version for row in before)
    kept.now_ms += 1_000
    await city.rotate(kept.now_ms)
    await kept.refresh(whole=True)
    await kept.must_be_remembered()
    after = [row for row in await city.rows(entry_history) if row.version > newest]
    assert len(after) == 4
    assert sum(row.dropped for row in after) == 1
    assert not {row.token for row in after if not row.dropped} & {row.token for row in before}


async def test_before_anything_was_said_nothing_is_known(kept: Lists, city: City) -> None:
    row = (await city.rows(entry_history))[0]
    async with city.database.read() as connection:
        assert await entry_at(connection, "library", row.subject, row.card, NOW_MS) is None
        assert await entry_at(connection, "library", row.subject, 2, NOW_MS * 2) is None
        assert await entry_at(connection, "other", row.subject, row.card, NOW_MS * 2) is None
        assert await known_since(connection) == 0


async def test_the_history_is_in_every_backup(kept: Lists, city: City, tmp_path: Path, database_url: str) -> None:
    await city.set_card_state(ids_of(city)[0], CardState.LOST)
    await kept.refresh(ids_of(city)[0])
    admin = admin_of(city.database, city.keys, database_url, tmp_path)
    await admin.act("backup", path=str(tmp_path / "b"))
    (tmp_path / "other").mkdir()
    config = parse({"data_dir": str(tmp_path / "other"), "keys_dir": str(city.keys.directory)})
    await restore(config, city.keys, tmp_path / "b", kept.now_ms + 1, replace=False)
    async with open_database(config.database) as other, other.read() as connection:
        restored = (await connection.execute(select(entry_history))).all()
    assert sorted(map(tuple, restored)) == sorted(map(tuple, await city.rows(entry_history)))


async def test_the_history_begins_with_the_rows_that_there_are(kept: Lists, city: City, database: Database) -> None:
    first = ids_of(city)[0]
    await leave(city, first)
    await kept.refresh(first)
    await _to(database, command.downgrade, "0005")
    await _to(database, command.upgrade, "head")
    async with database.read() as connection:
        assert await known_since(connection) > NOW_MS // 2
    rows = await city.rows(entry_history)
    alive = {row.token: row.version for row in await city.rows(list_entries) if not row.dropped}
    assert {row.token: row.version for row in rows} == alive
    assert len(rows) == 3


# --- is it whole? -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spoil",
    [
        delete(entry_history).where(entry_history.c.version == NOW_MS + 2_000),
        update(entry_history).values(token=b"x" * 16).where(entry_history.c.version == NOW_MS + 2_000),
        update(entry_history).values(version=entry_history.c.version + 1),
        update(entry_history).values(card=2).where(entry_history.c.version == NOW_MS + 2_000),
        update(entry_history).values(entry=b"\x90").where(entry_history.c.version == NOW_MS + 1_000),
        update(entry_history).values(dropped=True).where(entry_history.c.version == NOW_MS + 2_000),
        insert(entry_history).values(
            domain="library", subject=b"s" * 16, card=1, version=1, token=b"t" * 16, entry=b"", dropped=False
        ),
    ],
)
async def test_a_history_that_was_altered_is_noticed(
    kept: Lists, city: City, spoil: Any, tmp_path: Path, database_url: str
) -> None:
    await city.set_card_state(ids_of(city)[0], CardState.LOST)
    await kept.refresh(ids_of(city)[0])
    admin = admin_of(city.database, city.keys, database_url, tmp_path)
    assert (await admin.act("verify")).problems == 0
    async with city.database.write() as connection:
        await connection.execute(spoil)
    assert (await admin.act("verify")).problems > 0
