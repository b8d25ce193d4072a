"""The audit log as it is read, and what an altered one looks like."""

from typing import Any

import pytest
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from central.access.audit import STRUCK, chained, head_of
from central.access.reach import Forbidden
from central.actions.action import ActionFailed
from central.store.schema import audit
from tests.central.access.conftest import House


async def listed(house: House, **values: Any) -> list[Any]:
    return list((await house.act("audit.list", **values)).entries)


async def some(house: House) -> None:
    """A change that was done, one that was not, and one that was refused; an hour between."""
    await house.act("domain.add", id="library")
    await house.act("venue.add", id="main", domain="library")
    lin = await house.add("lin", "operator", venues=["main"])
    house.now_ms += 3_600_000
    with pytest.raises(Forbidden):
        await house.act("account.set", lin, account="lin", roles=["admin"])
    house.now_ms += 3_600_000
    with pytest.raises(ActionFailed):
        await house.act("account.set", account="nobody", title="x")
    house.now_ms += 3_600_000
    await house.act("account.set", account="lin", title="林館員", venues=[])


async def test_what_was_asked_and_what_became_of_it_is_one_line(house: House) -> None:
    await some(house)
    done, failed, refused = (await listed(house, action="account.set"))[:3]
    assert (done.outcome, done.account, done.origin, done.target) == ("done", "root", "command line", "lin")
    assert done.params["title"] == "林館員"
    assert done.was == {"account": {"title": "", "venues": ["main"]}}
    assert done.now == {"account": {"title": "林館員", "venues": []}}
    assert done.done_number == done.number + 1
    assert (failed.outcome, failed.target) == ("failed", "nobody")
    assert "there is no account 'nobody'" in failed.why
    assert (refused.outcome, refused.account, refused.origin) == ("refused", "lin", "192.0.2.7")
    assert "may not ask" in refused.why


async def test_a_change_whose_end_was_never_written_is_unknown(house: House) -> None:
    await some(house)
    last = (await listed(house, limit=1))[0]
    async with house.database.write() as connection:
        row = (await connection.execute(select(audit).where(audit.c.number == last.number))).one()
        values = dict(row._mapping) | {"number": last.done_number + 1}
        await connection.execute(insert(audit).values(values))
    assert (await listed(house, limit=1))[0].outcome == "unknown"


async def test_entries_are_found_by_who_what_about_what_and_when(house: House) -> None:
    start_ms = house.now_ms
    await some(house)
    assert {each.account for each in await listed(house, account="lin")} == {"lin"}
    assert [each.target for each in await listed(house, target="main")] == ["main"]
    assert {each.outcome for each in await listed(house, kind="refused")} == {"refused"}
    assert {each.outcome for each in await listed(house, kind="changes")} == {"done", "failed"}
    hour_ms = 3_600_000
    first = await listed(house, until_ms=start_ms + 1)
    assert [each.action for each in first] == ["account.password", "account.add", "venue.add", "domain.add"]
    later = await listed(house, since_ms=start_ms + 1, until_ms=start_ms + 3 * hour_ms)
    assert [each.outcome for each in later] == ["failed", "refused"]
    assert await listed(house, since_ms=start_ms + 3 * hour_ms + 1) == []
    assert [each.number for each in await listed(house, since_ms=1)] == [each.number for each in await listed(house)]


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_what_an_action_refuses_as_it_goes_is_refused_and_not_failed(house: House) -> None:
    await some(house)
    with pytest.raises(Forbidden):
        await house.act("session.end", await house.caller("lin"), account="nobody")
    with pytest.raises(Forbidden):
        await house.act("volunteer.lock", await house.caller("lin"), team="t", month="2026-01")
    refused = await listed(house, kind="refused")
    assert [each.action for each in refused] == ["volunteer.lock", "session.end", "account.set"]
    assert {each.outcome for each in refused} == {"refused"}
    assert "own account only" in refused[1].why
    assert [each.action for each in await listed(house, kind="refused", before=refused[1].number)] == ["account.set"]


async def test_pages_follow_each_other_without_a_gap(house: House) -> None:
    await some(house)
    everything = [each.number for each in await listed(house)]
    found, before, more = [], 0, True
    while more:
        page = await house.act("audit.list", before=before, limit=2)
        found += [each.number for each in page.entries]
        before, more = found[-1], page.more
    assert found == everything


async def test_the_database_itself_refuses_to_change_a_row(house: House) -> None:
    await some(house)
    for change in (update(audit).values(who="somebody"), delete(audit)):
        with pytest.raises(DBAPIError, match="appended to, never changed"):
            async with house.database.write() as connection:
                await connection.execute(change)


async def unguarded(house: House, *statements: Any) -> None:
    """As somebody who owns the database could."""
    async with house.database.write() as connection:
        if house.database.is_sqlite:
            for verb in ("update", "delete"):
                await connection.execute(text(f"DROP TRIGGER IF EXISTS audit_no_{verb}"))
        else:
            await connection.execute(text("ALTER TABLE audit DISABLE TRIGGER ALL"))
        for statement in statements:
            await connection.execute(statement)


async def test_a_whole_chain_is_whole_here_and_in_verify(house: House) -> None:
    await some(house)
    done = await house.act("audit.verify")
    assert (done.problems, house.items) == (0, [])
    assert done.rows == done.newest > 8
    assert len(done.head) == 64
    everything = await house.act("verify")
    assert everything.problems == 0
    assert everything.checked["audit rows"] == done.rows


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        (update(audit).where(audit.c.number == 3).values(who="somebody"), "row 3 is not as it was written"),
        (update(audit).where(audit.c.number == 3).values(body="{}"), "row 3 is not as it was written"),
        (update(audit).where(audit.c.number == 3).values(at_ms=audit.c.at_ms + 1), "row 3 is not as it was written"),
        (delete(audit).where(audit.c.number.in_([3, 4])), "rows 3 to 4 are missing"),
        (delete(audit).where(audit.c.number == 1), "rows 1 to 1 are missing"),
    ],
)
async def test_an_altered_log_is_found_with_the_place(house: House, statement: Any, what: str) -> None:
    await some(house)
    await unguarded(house, statement)
    done = await house.act("audit.verify")
    assert done.problems == 1
    assert what in house.items[0].what
    assert (await house.act("verify")).problems == 1


async def test_what_a_row_is_about_can_be_struck_and_nothing_else_of_it(house: House) -> None:
    await some(house)
    row = update(audit).where(audit.c.number == 3)
    for change in ({"target": "", "body": "{}"}, STRUCK | {"who": ""}, STRUCK | {"about": bytes(32)}, {"salt": b""}):
        with pytest.raises(DBAPIError, match="appended to, never changed"):
            async with house.database.write() as connection:
                await connection.execute(row.values(change))
    async with house.database.write() as connection:
        await connection.execute(row.values(STRUCK))
    assert (await house.act("audit.verify")).problems == 0
    struck = next(each for each in await listed(house) if each.number == 3)
    assert (struck.target, struck.params, struck.action) == ("", {}, "venue.add")


async def test_a_row_that_was_altered_with_its_head_is_found_by_the_next(house: House) -> None:
    await some(house)
    async with house.database.read() as connection:
        second, third = (await connection.execute(select(audit).where(audit.c.number.in_([2, 3])))).all()
    number, at_ms, _, *others = chained(third)
    head = head_of(second.head, (number, at_ms, "somebody", *others))
    await unguarded(house, update(audit).where(audit.c.number == 3).values(who="somebody", head=head))
    assert (await house.act("audit.verify")).problems == 1
    assert "row 4" in house.items[0].what


@pytest.mark.parametrize("values", [{"target": "a\x00b"}, {"before": -1}, {"before": 1 << 63}, {"since_ms": 1 << 62}])
@pytest.mark.parametrize("engine", ["sqlite"])
async def test_what_no_row_can_be_is_refused_by_its_type(house: House, values: dict[str, Any]) -> None:
    with pytest.raises(Exception, match=r"audit\.list"):
        await house.act("audit.list", **values)


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_a_log_of_before_is_chained_anew_and_can_be_struck_then(house: House) -> None:
    """Back to the schema without digests, where rows are chained whole, and forward again."""
    from alembic import command

    from central.store.migrate import alembic_config

    await some(house)
    async with house.database.read() as connection:
        before = (await connection.execute(select(audit.c.number, audit.c.target, audit.c.body))).all()
    for change, revision in ((command.downgrade, "0022"), (command.upgrade, "0023")):
        async with house.database.write() as connection:
            await connection.run_sync(lambda sync, do=change, to=revision: do(alembic_config(sync), to))
    async with house.database.read() as connection:
        assert (await connection.execute(select(audit.c.number, audit.c.target, audit.c.body))).all() == before
    assert (await house.act("audit.verify")).problems == 0
    async with house.database.write() as connection:
        await connection.execute(update(audit).where(audit.c.number == 2).values(STRUCK))
    assert (await house.act("audit.verify")).problems == 0
    with pytest.raises(DBAPIError, match="never changed"):
        async with house.database.write() as connection:
            await connection.execute(delete(audit))
