"""After an upgrade lists say what this version says, before anything is served."""

from sqlalchemy import insert, update

from central.lists import refresh_domain
from central.recompiling import DUE, compile_what_is_due
from central.store.schema import lists, member_classes, meta
from tests.central.actors import NOW_MS
from tests.central.city import City


async def test_lists_are_compiled_again_where_a_migration_says_so_and_then_no_more(city: City) -> None:
    await city.add_members(1)
    async with city.database.write() as connection:
        await refresh_domain(connection, city.keys, "library", NOW_MS)
        await connection.execute(update(member_classes).values(name="senior"))  # as if it was said otherwise before
    await compile_what_is_due(city.database, city.keys)
    assert [row.version for row in await city.rows(lists)] == [NOW_MS]
    async with city.database.write() as connection:
        await connection.execute(insert(meta).values(key=DUE, value="0024"))
    await compile_what_is_due(city.database, city.keys)
    (version,) = [row.version for row in await city.rows(lists)]
    assert version > NOW_MS
    assert DUE not in {row.key for row in await city.rows(meta)}
    await compile_what_is_due(city.database, city.keys)
    assert [row.version for row in await city.rows(lists)] == [version]
