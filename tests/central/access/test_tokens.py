"""API tokens: for whom, for what, until when."""

from typing import Any

import pytest
from sqlalchemy import select

from central.access.caller import Caller, Role
from central.access.reach import Forbidden
from central.access.tokens import NEVER, ONLY_WHEN_NAMED, actions_of, caller_of_token
from central.actions.action import ActionFailed
from central.store.schema import api_tokens
from tests.central.access.conftest import DESK, HERE, House

DAY_MS = 86_400_000


@pytest.fixture
async def lin(house: House) -> Caller:
    await house.act("domain.add", id="library")
    await house.act("venue.add", id="main", domain="library")
    await house.add("chief", "admin")
    return await house.add("lin", "operator", venues=["main"])


async def caller(house: House, secret: str, origin: str = DESK, **options: Any) -> Caller | None:
    return await caller_of_token(house.database, secret, origin, house.now_ms, **options)


async def test_a_token_lets_in_as_its_account_for_what_it_names(house: House, lin: Caller) -> None:
    issued = await house.act("token.issue", lin, id="counter", days=30, actions=["gate.list", "device.list"])
    assert issued.token.startswith("tapgate_")
    assert (issued.account, issued.until_ms) == ("lin", house.now_ms + 30 * DAY_MS)
    found = await caller(house, issued.token)
    assert found is not None
    assert (found.name, found.roles, found.venues, found.token) == ("lin", {Role.OPERATOR}, {"main"}, "counter")
    await house.act("gate.list", found)
    with pytest.raises(Forbidden, match="the token"):
        await house.act("venue.list", found)


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_a_token_for_everything_stays_within_its_account_and_makes_no_accounts(house: House, lin: Caller) -> None:
    mine = await caller(house, (await house.act("token.issue", lin, id="mine", days=1)).token)
    chiefs = await caller(house, (await house.act("token.issue", account="chief", id="chiefs", days=1)).token)
    assert mine is not None
    assert chiefs is not None
    await house.act("venue.list", mine)
    with pytest.raises(Forbidden):
        await house.act("account.list", mine)
    await house.act("account.list", chiefs)
    for action, values in (
        ("account.add", {"account": "friend", "roles": ["admin"]}),
        ("account.reset", {"account": "chief"}),
        ("token.issue", {"id": "another", "days": 366}),
        ("account.password", {"old": "x", "new": "y"}),
        ("session.end", {"account": "chief"}),
    ):
        with pytest.raises(Forbidden):
            await house.act(action, chiefs, **values)


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_what_makes_accounts_may_be_named(house: House, lin: Caller) -> None:
    issued = await house.act("token.issue", id="hr", account="chief", days=1, actions=["account.add"])
    found = await caller(house, issued.token)
    await house.act("account.add", found, account="chen", roles=["operator"])
    (entry, *_) = (await house.act("audit.list", action="account.add")).entries
    assert (entry.account, entry.by_token, entry.target) == ("chief", "hr", "chen")


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_only_the_digest_is_kept(house: House, lin: Caller) -> None:
    issued = await house.act("token.issue", lin, id="mine", days=1)
    async with house.database.read() as connection:
        row = (await connection.execute(select(api_tokens))).one()
    assert len(row.hash) == 32
    assert issued.token not in repr(row)


@pytest.mark.parametrize(
    "secret", ["", "tapgate_", "tapgate_" + "x" * 43, "x" * 51, "tapgate_" + "密" * 43, "x" * 10**6]
)
@pytest.mark.parametrize("engine", ["sqlite"])
async def test_what_is_no_token_lets_nobody_in(house: House, secret: str) -> None:
    assert await caller(house, secret) is None


async def test_a_token_ends_on_its_day_or_when_it_is_revoked(house: House, lin: Caller) -> None:
    first = await house.act("token.issue", lin, id="first", days=1)
    second = await house.act("token.issue", lin, id="second", days=1)
    await house.act("token.revoke", lin, id="second")
    assert await caller(house, second.token) is None
    with pytest.raises(ActionFailed, match="revoked already"):
        await house.act("token.revoke", lin, id="second")
    house.now_ms += DAY_MS - 1
    assert await caller(house, first.token)
    house.now_ms += 1
    assert await caller(house, first.token) is None
    listed = (await house.act("token.list", lin)).tokens
    assert [(each.id, each.state) for each in listed] == [("first", "over"), ("second", "revoked")]


async def test_a_token_falls_and_shrinks_with_its_account(house: House, lin: Caller) -> None:
    issued = await house.act("token.issue", lin, id="mine", days=1)
    await house.act("account.set", account="lin", venues=[])
    found = await caller(house, issued.token)
    assert found is not None
    assert found.venues == frozenset()
    await house.act("account.set", account="lin", state="disabled")
    assert await caller(house, issued.token) is None
    with pytest.raises(ActionFailed, match="is disabled"):
        await house.act("token.issue", account="lin", id="another", days=1)


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_a_demonstrations_token_is_good_on_this_machine_alone(house: House) -> None:
    await house.act("account.add", account="demo", roles=["admin"], loopback_only=True)
    issued = await house.act("token.issue", account="demo", id="demo", days=1)
    assert await caller(house, issued.token, HERE) is None
    assert await caller(house, issued.token, DESK, loopback=True) is None
    assert await caller(house, issued.token, HERE, loopback=True)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"actions": ["no.such"]}, "no action 'no.such'"),
        ({"actions": ["account.add"]}, "itself may not"),
        ({"actions": ["policy.put"]}, "itself may not"),
        ({"actions": ["account.password"]}, "no token may"),
        ({"actions": ["token.issue"]}, "no token may"),
        ({"actions": ["backup"]}, "no token may"),
        ({"id": "taken"}, "already"),
    ],
)
@pytest.mark.parametrize("engine", ["sqlite"])
async def test_a_token_for_what_cannot_be_is_refused(
    house: House, lin: Caller, values: dict[str, Any], why: str
) -> None:
    await house.act("token.issue", lin, id="taken", days=1)
    with pytest.raises(ActionFailed, match=why):
        await house.act("token.issue", lin, **{"id": "mine", "days": 1, **values})


@pytest.mark.parametrize("days", [0, -1, 367, 10**9])
@pytest.mark.parametrize("engine", ["sqlite"])
async def test_no_token_is_good_for_longer_than_a_year(house: House, lin: Caller, days: int) -> None:
    with pytest.raises(Exception, match="days"):
        await house.act("token.issue", lin, id="mine", days=days)


async def test_people_see_and_revoke_their_own_tokens_and_admins_all(house: House, lin: Caller) -> None:
    chief = await house.caller("chief")
    await house.act("token.issue", lin, id="lins", days=1)
    await house.act("token.issue", chief, id="chiefs", days=1)
    assert [each.id for each in (await house.act("token.list", lin)).tokens] == ["lins"]
    assert [each.id for each in (await house.act("token.list", chief)).tokens] == ["chiefs", "lins"]
    with pytest.raises(ActionFailed, match="there is no token 'chiefs'"):
        await house.act("token.revoke", lin, id="chiefs")
    await house.act("token.revoke", chief, id="lins")


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_when_a_token_was_used_is_written_down_once_a_minute(house: House, lin: Caller) -> None:
    issued = await house.act("token.issue", lin, id="mine", days=1)
    used = set()
    for _ in range(12):
        house.now_ms += 10_000
        await caller(house, issued.token)
        used.add((await house.act("token.list", lin)).tokens[0].used_ms)
    assert len(used) == 2


def test_whatever_is_named_a_token_never_does_what_belongs_to_a_person() -> None:
    assert not actions_of(NEVER) & NEVER
    assert not actions_of(()) & (NEVER | ONLY_WHEN_NAMED)
