"""Accounts, their passwords, phones and sessions, as admins and as their owners change them."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from central.access.caller import Caller
from central.access.reach import Forbidden
from central.access.sessions import caller_of_session
from central.access.sign_in import SignInRefused
from central.access.totp import code_at
from central.actions.action import ActionFailed
from central.store.schema import accounts, audit
from tests.central.access.conftest import DESK, PASSWORD, House


@pytest.fixture
async def people(house: House) -> dict[str, Caller]:
    """One of each."""
    await house.act("domain.add", id="library")
    await house.act("venue.add", id="main", domain="library")
    return {
        "chief": await house.add("chief", "admin"),
        "lin": await house.add("lin", "operator", venues=["main"]),
        "wang": await house.add("wang", "coordinator"),
        "audit": await house.add("audit", "auditor"),
    }


async def shown(house: House, account: str) -> Any:
    return (await house.act("account.show", account=account)).account


async def test_an_admin_lets_somebody_in_and_says_where(house: House, people: dict[str, Caller]) -> None:
    made = await house.act(
        "account.add", people["chief"], account="chen", roles=["operator", "coordinator"], venues=["main"], title="陳"
    )
    found = await shown(house, "chen")
    assert (found.roles, found.venues, found.teams, found.title) == (["coordinator", "operator"], ["main"], [], "陳")
    assert (found.state, found.must_change, found.totp, found.sessions) == ("active", True, False, 0)
    await house.sign_in("chen", made.password)
    assert (await shown(house, "chen")).sessions == 1


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"account": "lin", "roles": ["operator"]}, "already"),
        ({"account": "chen", "roles": ["operator"], "venues": ["nowhere"]}, "no venue 'nowhere'"),
        ({"account": "chen", "roles": ["coordinator"], "teams": ["nobody"]}, "no team 'nobody'"),
        ({"account": "chen\n", "roles": ["operator"]}, "small letters"),
    ],
)
@pytest.mark.parametrize("engine", ["sqlite"])
async def test_what_would_make_no_sense_is_refused(
    house: House, people: dict[str, Caller], values: dict[str, Any], why: str
) -> None:
    with pytest.raises(ActionFailed, match=why):
        await house.act("account.add", people["chief"], **values)
    assert [each.account for each in (await house.act("account.list")).accounts] == ["audit", "chief", "lin", "wang"]


@pytest.mark.parametrize(
    "values",
    [
        {"account": "", "roles": ["operator"]},
        {"account": "Chen", "roles": ["operator"]},
        {"account": "c" * 41, "roles": ["operator"]},
        {"account": "../etc", "roles": ["operator"]},
        {"account": "chen", "roles": []},
        {"account": "chen", "roles": ["root"]},
        {"account": "chen", "roles": ["operator"], "title": "a\x00b"},
        {"account": "chen", "roles": ["operator"], "title": "x" * 101},
        {"account": "chen", "roles": ["operator"], "venues": ["v"] * 501},
        {"account": "chen", "roles": ["operator"], "password": "chosen by me"},
    ],
)
@pytest.mark.parametrize("engine", ["sqlite"])
async def test_what_no_account_can_be_is_refused_by_its_type(house: House, values: dict[str, Any]) -> None:
    with pytest.raises(Exception, match=r"account\.add"):
        await house.act("account.add", **values)


async def test_a_change_of_what_an_account_may_do_ends_its_sessions(house: House, people: dict[str, Caller]) -> None:
    signed = await house.sign_in("lin")
    done = await house.act("account.set", people["chief"], account="lin", title="林館員")
    assert done.sessions_ended == 0
    done = await house.act("account.set", people["chief"], account="lin", venues=[])
    assert done.sessions_ended == 1
    assert await caller_of_session(house.database, signed.secret, DESK, house.now_ms) is None
    found = await shown(house, "lin")
    assert (found.title, found.venues, found.roles) == ("林館員", [], ["operator"])


async def test_the_last_admin_can_neither_be_demoted_nor_shut(house: House, people: dict[str, Caller]) -> None:
    chief = people["chief"]
    for values in ({"roles": ["auditor"]}, {"state": "disabled"}):
        with pytest.raises(ActionFailed, match="last admin"):
            await house.act("account.set", chief, account="chief", **values)
    await house.act("account.set", chief, account="lin", roles=["admin"])
    await house.act("account.set", chief, account="chief", state="disabled")
    with pytest.raises(ActionFailed, match="last admin"):
        await house.act("account.set", account="lin", roles=["operator"])
    await house.act("account.set", account="lin", title="still an admin", roles=["admin", "operator"])


async def test_two_admins_who_demote_each_other_at_once_leave_one(house: House, people: dict[str, Caller]) -> None:
    await house.act("account.set", account="lin", roles=["admin"])
    done = await asyncio.gather(
        house.act("account.set", account="chief", roles=["auditor"]),
        house.act("account.set", account="lin", roles=["auditor"]),
        return_exceptions=True,
    )
    assert sorted(type(each).__name__ for each in done) == ["AccountChanged", "ActionFailed"]


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_an_admin_resets_a_password_that_was_forgotten(house: House, people: dict[str, Caller]) -> None:
    signed = await house.sign_in("lin")
    for _ in range(5):
        with pytest.raises(SignInRefused):
            await house.sign_in("lin", "forgotten")
    made = await house.act("account.reset", people["chief"], account="lin")
    assert await caller_of_session(house.database, signed.secret, DESK, house.now_ms) is None
    with pytest.raises(SignInRefused, match="wrong"):
        await house.sign_in("lin")
    assert (await house.sign_in("lin", made.password)).session.must_change


async def test_a_new_password_needs_the_old_one_and_ends_sessions_and_tokens(
    house: House, people: dict[str, Caller]
) -> None:
    lin, others = people["lin"], await house.sign_in("wang")
    sessions = [await house.sign_in("lin") for _ in range(2)]
    with pytest.raises(ActionFailed, match="not the account's password"):
        await house.act("account.password", lin, old="wrong password", new="a new one, and longer")
    for new, why in ((PASSWORD, "is the old one"), ("short", "at least 12"), ("password12345", "tried first")):
        with pytest.raises(ActionFailed, match=why):
            await house.act("account.password", lin, old=PASSWORD, new=new)
    await house.act("token.issue", lin, id="mine", days=1)
    await house.act("token.issue", id="wangs", account="wang", days=1)
    done = await house.act("account.password", lin, old=PASSWORD, new="a new one, and longer")
    assert (done.sessions_ended, done.tokens_revoked) == (2, 1)
    states = {each.id: each.state for each in (await house.act("token.list")).tokens}
    assert states == {"mine": "revoked", "wangs": "active"}
    for signed in sessions:
        assert await caller_of_session(house.database, signed.secret, DESK, house.now_ms) is None
    assert await caller_of_session(house.database, others.secret, DESK, house.now_ms)
    with pytest.raises(SignInRefused, match="wrong"):
        await house.sign_in("lin")
    await house.sign_in("lin", "a new one, and longer")


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_an_open_browser_is_no_place_to_guess_the_password(house: House, people: dict[str, Caller]) -> None:
    lin = people["lin"]
    for n in range(5):
        with pytest.raises(ActionFailed, match="not the account's password"):
            await house.act("account.password", lin, old=f"guess {n}", new="a new one, and longer")
    for action, values in (
        ("account.password", {"old": PASSWORD, "new": "a new one, and longer"}),
        ("account.totp.begin", {"own_password": PASSWORD}),
    ):
        with pytest.raises(ActionFailed, match="too many wrong passwords: try again in 1 min"):
            await house.act(action, lin, **values)


async def secret_of(house: House, account: str) -> bytes:
    async with house.database.read() as connection:
        query = select(accounts.c.totp_sealed).where(accounts.c.id == account)
        return house.keys.open_totp((await connection.execute(query)).scalar_one(), account)


OUTLIVES = [
    ("token.issue", {"id": "mine", "days": 366}),
    ("account.add", {"account": "friend", "roles": ["admin"]}),
    ("account.set", {"account": "lin", "roles": ["admin"]}),
    ("account.reset", {"account": "lin"}),
    ("account.totp.remove", {"account": "lin"}),
    ("subscription.add", {"id": "mine", "types": ["tw.tapgate.tap.v1"], "webhook": "https://hooks.example/"}),
    ("subscription.rotate", {"id": "mine"}),
]


@pytest.mark.parametrize("engine", ["sqlite"])
@pytest.mark.parametrize(("action", "values"), OUTLIVES)
async def test_what_outlives_an_open_browser_needs_the_password_again(
    house: House, people: dict[str, Caller], action: str, values: dict[str, Any]
) -> None:
    chief = people["chief"]
    before = await house.act("account.list"), await house.act("token.list")
    with pytest.raises(ActionFailed, match="state the account's password"):
        await house.act(action, chief, **{"own_password": ""} | values)
    for n in range(5):
        with pytest.raises(ActionFailed, match="not the account's password"):
            await house.act(action, chief, **values, own_password=f"guess {n}")
    with pytest.raises(ActionFailed, match="too many wrong passwords: try again in 1 min"):
        await house.act(action, chief, **values, own_password=PASSWORD)
    assert [each.account for each in (await house.act("account.list")).accounts] == [
        each.account for each in before[0].accounts
    ]
    assert await house.act("token.list") == before[1]


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_where_a_phone_is_asked_for_its_code_is_asked_for_again_too(
    house: House, people: dict[str, Caller]
) -> None:
    lin = people["lin"]
    await house.act("account.totp.begin", lin, own_password=PASSWORD)
    secret = await secret_of(house, "lin")
    code = code_at(secret, house.now_ms)
    await house.act("account.totp.confirm", lin, code=code)
    for stated in ("", code, "000000"):
        with pytest.raises(ActionFailed, match="the code that your phone shows now"):
            await house.act("token.issue", lin, id="mine", days=1, own_code=stated)
    house.now_ms += 30_000
    code = code_at(secret, house.now_ms)
    await house.act("token.issue", lin, id="mine", days=1, own_code=code)
    with pytest.raises(SignInRefused, match="needs-code"):
        await house.sign_in("lin", PASSWORD, code)
    for _ in range(2):
        with pytest.raises(ActionFailed, match="the code that your phone shows now"):
            await house.act("token.issue", lin, id="more", days=1, own_code="000000")
    with pytest.raises(ActionFailed, match="too many wrong passwords"):
        await house.act("token.issue", lin, id="more", days=1, own_code=code_at(secret, house.now_ms + 30_000))


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_a_phone_counts_once_it_has_shown_a_code(house: House, people: dict[str, Caller]) -> None:
    lin = people["lin"]
    with pytest.raises(ActionFailed, match="not the account's password"):
        await house.act("account.totp.begin", lin, own_password="wrong password")
    begun = await house.act("account.totp.begin", lin, own_password=PASSWORD)
    assert f"secret={begun.secret.replace(' ', '')}" in begun.uri
    await house.sign_in("lin")
    with pytest.raises(ActionFailed, match="not the code of now"):
        await house.act("account.totp.confirm", lin, code="000000")
    assert not (await shown(house, "lin")).totp
    code = code_at(await secret_of(house, "lin"), house.now_ms)
    await house.act("account.totp.confirm", lin, code=code)
    assert (await shown(house, "lin")).totp
    with pytest.raises(SignInRefused, match="needs-code"):
        await house.sign_in("lin", PASSWORD, code)
    with pytest.raises(ActionFailed, match="remove that one first"):
        await house.act("account.totp.begin", lin, own_password=PASSWORD)
    with pytest.raises(ActionFailed, match="begin again"):
        await house.act("account.totp.confirm", lin, code=code)


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_a_phone_is_removed_with_the_password_or_by_an_admin(house: House, people: dict[str, Caller]) -> None:
    lin, chief = people["lin"], people["chief"]
    for remover, values in ((lin, {"own_password": PASSWORD}), (chief, {"account": "lin", "own_password": PASSWORD})):
        await house.act("account.totp.begin", lin, own_password=PASSWORD)
        await house.act("account.totp.confirm", lin, code=code_at(await secret_of(house, "lin"), house.now_ms))
        with pytest.raises(ActionFailed, match="state the account's password"):
            await house.act("account.totp.remove", lin)
        with pytest.raises(ActionFailed, match="not the account's password"):
            await house.act("account.totp.remove", lin, own_password="wrong password")
        await house.act("account.totp.remove", remover, **values)
        await house.sign_in("lin")
    with pytest.raises(ActionFailed, match="no codes are asked for"):
        await house.act("account.totp.remove", chief, account="lin", own_password=PASSWORD)


async def test_people_see_and_end_their_own_sessions(house: House, people: dict[str, Caller]) -> None:
    lin = people["lin"]
    await house.sign_in("wang")
    for origin in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
        house.now_ms += 1_000
        await house.sign_in("lin", origin=origin)
    listed = (await house.act("session.list", lin)).sessions
    assert [each.origin for each in listed] == ["192.0.2.3", "192.0.2.2", "192.0.2.1"]
    await house.act("session.end", lin, session=listed[1].session)
    with pytest.raises(ActionFailed, match="has ended already"):
        await house.act("session.end", lin, session=listed[1].session)
    assert (await house.act("session.end", lin)).sessions_ended == 2
    assert (await house.act("session.list", people["chief"], account="wang")).sessions


OTHERS = [
    ("account.show", {"account": "chief"}),
    ("account.totp.remove", {"account": "chief"}),
    ("session.list", {"account": "chief"}),
    ("session.end", {"account": "chief"}),
    ("token.issue", {"account": "chief", "id": "mine", "days": 1}),
    ("token.list", {"account": "chief"}),
    ("account.add", {"account": "friend", "roles": ["admin"]}),
    ("account.list", {}),
    ("account.set", {"account": "lin", "roles": ["admin"]}),
    ("account.reset", {"account": "chief"}),
    ("account.unlock", {"account": "chief"}),
    ("audit.list", {}),
    ("audit.verify", {}),
]


@pytest.mark.parametrize("engine", ["sqlite"])
@pytest.mark.parametrize("who", ["lin", "wang"])
async def test_nobody_but_admins_reaches_other_peoples_accounts(
    house: House, people: dict[str, Caller], who: str
) -> None:
    for action, values in OTHERS:
        with pytest.raises(Forbidden):
            await house.act(action, people[who], **values)
    refused = (await house.act("audit.list", account=who, kind="refused")).entries
    assert {each.action for each in refused} >= {"account.set", "account.reset", "audit.list"}


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_an_auditor_reads_every_account_and_changes_the_own_password_alone(
    house: House, people: dict[str, Caller]
) -> None:
    auditor = people["audit"]
    assert len((await house.act("account.list", auditor)).accounts) == 4
    for action in ("account.show", "session.list", "token.list"):
        await house.act(action, auditor, account="chief")
    await house.act("audit.list", auditor)
    for action, values in OTHERS:
        if action not in ("account.show", "account.list", "session.list", "token.list", "audit.list", "audit.verify"):
            with pytest.raises(Forbidden):
                await house.act(action, auditor, **values)
    await house.act("account.password", auditor, old=PASSWORD, new="a new one, and longer")


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_another_persons_session_cannot_be_ended_by_its_id(house: House, people: dict[str, Caller]) -> None:
    await house.sign_in("chief")
    (theirs,) = (await house.act("session.list", account="chief")).sessions
    with pytest.raises(ActionFailed, match="no such session"):
        await house.act("session.end", people["lin"], session=theirs.session)
    assert (await house.act("session.list", account="chief")).sessions


async def test_accounts_are_listed_a_page_at_a_time(house: House, people: dict[str, Caller]) -> None:
    first = await house.act("account.list", limit=3)
    assert ([each.account for each in first.accounts], first.more) == (["audit", "chief", "lin"], True)
    rest = await house.act("account.list", limit=3, after="lin")
    assert ([each.account for each in rest.accounts], rest.more) == (["wang"], False)


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_the_audit_log_holds_no_secret_of_any_kind(house: House, people: dict[str, Caller]) -> None:
    lin, chief = people["lin"], people["chief"]
    made = await house.act("account.reset", chief, account="wang")
    begun = await house.act("account.totp.begin", lin, own_password=PASSWORD)
    code = code_at(await secret_of(house, "lin"), house.now_ms)
    await house.act("account.totp.confirm", lin, code=code)
    await house.act("account.password", lin, old=PASSWORD, new="a new one, and longer")
    issued = await house.act("token.issue", chief, id="hr-system", days=1, account="wang")
    async with house.database.read() as connection:
        everything = repr((await connection.execute(select(audit))).all())
        everything += repr((await connection.execute(select(accounts))).all())
    typed = begun.secret.replace(" ", "")
    for secret in (made.password, begun.secret, typed, code, PASSWORD, "a new one, and longer", issued.token):
        assert secret not in everything
    assert "account.totp.confirm" in everything
