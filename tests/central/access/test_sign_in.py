"""Getting in and out, being locked out, and being told nothing that helps a stranger."""

import asyncio
import hashlib
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import func, select, update

from central.access import passwords
from central.access.audit import LOOKED
from central.access.caller import Role
from central.access.lockout import MINUTE_MS
from central.access.sessions import IDLE_MS, LONGEST_MS, Session, caller_of_session
from central.access.sign_in import SignedIn, SignInRefused, here_alone, sign_out
from central.access.totp import code_at
from central.config import parse
from central.store.schema import accounts, attempts, audit, sign_ins
from tests.central.access.conftest import DESK, HERE, PASSWORD, STRANGER, House


async def refused(house: House, *arguments: Any, **options: Any) -> SignInRefused:
    with pytest.raises(SignInRefused) as caught:
        await house.sign_in(*arguments, **options)
    return caught.value


async def session(house: House, signed: SignedIn, origin: str = DESK, **options: Any) -> Session | None:
    return await caller_of_session(house.database, signed.secret, origin, house.now_ms, **options)


async def count(house: House, table: Any) -> int:
    async with house.database.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())


async def test_who_knows_the_password_is_let_in_as_what_the_account_is(house: House) -> None:
    await house.act("domain.add", id="library")
    await house.act("venue.add", id="main", domain="library")
    await house.add("lin", "operator", venues=["main"], title="林館員")
    signed = await house.sign_in(" LIN ")
    found = await session(house, signed)
    assert found is not None
    assert (found.caller.name, found.caller.roles, found.caller.venues) == ("lin", {Role.OPERATOR}, {"main"})
    assert (found.caller.origin, found.title, found.must_change, found.caller.only) == (DESK, "林館員", False, None)
    assert found == signed.session


async def test_every_sign_in_has_a_secret_of_its_own_and_none_is_stored(house: House) -> None:
    await house.add("lin", "operator")
    secrets = [(await house.sign_in("lin")).secret for _ in range(3)]
    assert len(set(secrets)) == 3
    async with house.database.read() as connection:
        rows = (await connection.execute(select(sign_ins.c.hash))).scalars().all()
    assert sorted(rows) == sorted(hashlib.sha256(secret.encode()).digest() for secret in secrets)


@pytest.mark.parametrize("secret", ["", "x", "x" * 43, "x" * 100_000, "\x00" * 43, "密" * 43, "\ud800" * 43])
@pytest.mark.parametrize("engine", ["sqlite"])
async def test_what_is_no_secret_lets_nobody_in(house: House, secret: str) -> None:
    assert await caller_of_session(house.database, secret, DESK, house.now_ms) is None


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_a_session_ends_when_it_is_idle_or_old(house: House) -> None:
    await house.add("lin", "operator")
    began_ms = house.now_ms
    signed = await house.sign_in("lin")
    house.now_ms = began_ms + IDLE_MS - 1
    assert await session(house, signed, touch=False)
    house.now_ms = began_ms + IDLE_MS
    assert await session(house, signed) is None
    signed = await house.sign_in("lin")
    began_ms = house.now_ms
    while house.now_ms < began_ms + LONGEST_MS - IDLE_MS:
        house.now_ms += IDLE_MS - 1
        assert await session(house, signed), "used all the time"
    house.now_ms = began_ms + LONGEST_MS
    assert await session(house, signed) is None


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_what_a_page_asks_by_itself_keeps_nobody_signed_in(house: House) -> None:
    await house.add("lin", "operator")
    signed = await house.sign_in("lin")
    for _ in range(2):
        house.now_ms += IDLE_MS - 1_000
        last = await session(house, signed, touch=False)
    assert last is None


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_a_session_in_use_is_written_down_once_a_minute(house: House) -> None:
    await house.add("lin", "operator")
    signed, seen = await house.sign_in("lin"), set()
    for _ in range(20):
        house.now_ms += 10_000
        assert await session(house, signed)
        async with house.database.read() as connection:
            seen.add((await connection.execute(select(sign_ins.c.seen_ms))).scalar_one())
    assert len(seen) == 4


async def test_who_signs_out_is_out_in_this_browser_alone(house: House) -> None:
    await house.add("lin", "operator")
    first, second = await house.sign_in("lin"), await house.sign_in("lin")
    await sign_out(house.database, first.session, house.now_ms)
    assert await session(house, first) is None
    assert await session(house, second)


async def test_five_failures_lock_an_account_and_the_right_password_does_not_show(house: House) -> None:
    await house.add("lin", "operator")
    for _ in range(5):
        assert (await refused(house, "lin", "wrong password")).kind == "wrong"
    wrong, right = await refused(house, "lin", "wrong password"), await refused(house, "lin", PASSWORD)
    assert (wrong.kind, wrong.until_ms) == (right.kind, right.until_ms) == ("locked", house.now_ms + MINUTE_MS)
    house.now_ms += MINUTE_MS - 1
    assert (await refused(house, "lin", PASSWORD)).kind == "locked"
    house.now_ms += 1
    assert await house.sign_in("lin")
    assert (await refused(house, "lin", "wrong password")).kind == "wrong", "it counts from the start again"


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_each_further_failure_locks_for_longer(house: House) -> None:
    await house.add("lin", "operator")
    waited = []
    for _ in range(12):
        failure = await refused(house, "lin", "wrong password")
        if failure.kind == "locked":
            waited.append((failure.until_ms - house.now_ms) // MINUTE_MS)
            house.now_ms = failure.until_ms
    assert waited == [1, 2, 4, 8]


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_an_account_that_there_is_not_is_locked_like_one_that_there_is(house: House) -> None:
    await house.add("lin", "operator")
    known = [await refused(house, "lin", "wrong password") for _ in range(7)]
    unknown = [await refused(house, "wang", "wrong password", origin=STRANGER) for _ in range(7)]
    assert [(each.kind, each.until_ms) for each in known] == [(each.kind, each.until_ms) for each in unknown]


async def test_a_hundred_attempts_at_once_are_a_hundred(house: House) -> None:
    await house.add("lin", "operator")
    everything = await asyncio.gather(
        *(house.sign_in("lin", f"wrong {n}", origin=f"198.51.100.{n}") for n in range(100)), return_exceptions=True
    )
    kinds = [each.kind for each in everything if isinstance(each, SignInRefused)]
    assert len(kinds) == 100
    assert kinds.count("wrong") == 5


async def test_an_address_may_guess_at_thirty_accounts_and_then_at_none(house: House) -> None:
    await house.add("lin", "operator")
    kinds = [(await refused(house, f"account-{n}", "guess", origin=STRANGER)).kind for n in range(32)]
    assert kinds == ["wrong"] * 30 + ["too-many"] * 2
    assert (await refused(house, "lin", PASSWORD, origin=STRANGER)).kind == "too-many"
    assert await house.sign_in("lin")
    house.now_ms += 30_000
    assert await house.sign_in("lin", origin=STRANGER)


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_one_account_of_ones_own_does_not_make_guessing_free(house: House) -> None:
    await house.add("lin", "operator")
    for n in range(29):
        await refused(house, f"account-{n}", "guess", origin=STRANGER)
        await house.sign_in("lin", origin=STRANGER)
    await refused(house, "account-29", "guess", origin=STRANGER)
    assert (await refused(house, "account-30", "guess", origin=STRANGER)).kind == "too-many"


async def test_a_stranger_locks_strangers_out_and_not_the_person_at_the_usual_desk(house: House) -> None:
    await house.add("lin", "admin")
    await house.sign_in("lin", origin=DESK)
    for _ in range(5):
        await refused(house, "lin", "guess", origin=STRANGER)
    assert (await refused(house, "lin", PASSWORD, origin=STRANGER)).kind == "locked"
    assert (await refused(house, "lin", PASSWORD, origin="203.0.113.1")).kind == "locked"
    assert await house.sign_in("lin", origin=DESK)


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_the_usual_desk_locks_itself_out(house: House) -> None:
    await house.add("lin", "admin")
    await house.sign_in("lin", origin=DESK)
    for _ in range(5):
        await refused(house, "lin", "guess", origin=DESK)
    assert (await refused(house, "lin", PASSWORD, origin=DESK)).kind == "locked"


async def test_the_machine_itself_unlocks_an_account_everywhere(house: House) -> None:
    await house.add("lin", "admin")
    await house.sign_in("lin", origin=DESK)
    for origin in (DESK, STRANGER):
        for _ in range(6):
            await refused(house, "lin", "guess", origin=origin)
    locked = (await house.act("account.show", account="lin")).account.locked_until_ms
    assert locked == house.now_ms + MINUTE_MS
    done = await house.act("account.unlock", account="lin")
    assert done.account.locked_until_ms == 0
    for origin in (DESK, STRANGER):
        assert await house.sign_in("lin", origin=origin)


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_a_name_that_cannot_be_one_is_counted_by_its_address_and_kept_nowhere(house: House) -> None:
    for name in ("My Password 123!", "", "a" * 10_000, "a\x00b", "'; drop table accounts; --"):
        assert (await refused(house, name, "x")).kind == "wrong"
    assert (await refused(house, "hunter2hunter2", "x")).kind == "wrong"
    async with house.database.read() as connection:
        everything = repr((await connection.execute(select(attempts))).all())
        everything += repr((await connection.execute(select(audit))).all())
    assert "hunter2" not in everything
    assert "Password" not in everything


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_a_disabled_account_is_told_so_only_who_knows_its_password(house: House) -> None:
    await house.add("lin", "operator")
    signed = await house.sign_in("lin")
    await house.act("account.set", account="lin", state="disabled")
    assert await session(house, signed) is None
    assert (await refused(house, "lin", "wrong password")).kind == "wrong"
    assert (await refused(house, "lin", PASSWORD)).kind == "disabled"
    await house.act("account.set", account="lin", state="active")
    assert await session(house, signed) is None, "its sessions ended"
    assert await house.sign_in("lin")


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_a_demonstration_is_let_in_on_this_machine_alone(house: House) -> None:
    made = await house.act("account.add", account="demo", roles=["admin"], loopback_only=True)
    for origin, loopback in ((STRANGER, True), (HERE, False), (DESK, False)):
        failure = await refused(house, "demo", made.password, origin=origin, loopback=loopback)
        assert failure.kind == "not-from-here"
    signed = await house.sign_in("demo", made.password, origin=HERE, loopback=True)
    assert not signed.session.must_change
    assert await session(house, signed, HERE, loopback=True)
    assert await session(house, signed, HERE) is None, "the server came to listen elsewhere"
    assert await session(house, signed, STRANGER, loopback=True) is None, "the cookie was carried away"


@pytest.mark.parametrize(
    ("settings", "alone"),
    [
        ({}, True),
        ({"host": "localhost", "url": "https://localhost:8443"}, True),
        ({"host": "0.0.0.0"}, False),
        ({"host": "192.0.2.1"}, False),
        ({"host": "127.0.0.1", "tls": "none", "url": "https://tapgate.example.tw"}, False),
    ],
)
def test_a_server_is_here_alone_when_it_neither_listens_nor_is_named_elsewhere(
    settings: dict[str, Any], alone: bool
) -> None:
    assert here_alone(parse({"data_dir": "/srv/tapgate", **settings})) is alone


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_who_has_a_password_that_others_know_may_change_it_and_nothing_else(house: House) -> None:
    made = await house.act("account.add", account="lin", roles=["admin"])
    signed = await house.sign_in("lin", made.password)
    assert signed.session.must_change
    assert signed.session.caller.only == {"account.password", "account.show"}
    await house.act("account.password", signed.session.caller, old=made.password, new=PASSWORD)
    assert await session(house, signed) is None
    assert not (await house.sign_in("lin")).session.must_change


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_a_hash_of_old_parameters_is_made_anew_at_the_next_sign_in(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.add("lin", "operator")
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=2, memory_cost=64, parallelism=1))
    await house.sign_in("lin")
    async with house.database.read() as connection:
        assert "t=2" in (await connection.execute(select(accounts.c.password))).scalar_one()
    await house.sign_in("lin")


async def test_what_has_ended_is_swept_away(house: House) -> None:
    await house.add("lin", "operator")
    for _ in range(3):
        await house.sign_in("lin")
    house.now_ms += IDLE_MS
    await house.sign_in("lin")
    assert await count(house, sign_ins) == 1


async def with_phone(house: House) -> bytes:
    lin = await house.add("lin", "operator")
    await house.act("account.totp.begin", lin, own_password=PASSWORD)
    async with house.database.read() as connection:
        sealed = (await connection.execute(select(accounts.c.totp_sealed))).scalar_one()
    secret = house.keys.open_totp(sealed, "lin")
    await house.act("account.totp.confirm", lin, code=code_at(secret, house.now_ms))
    house.now_ms += 60_000
    return secret


async def test_an_account_with_a_phone_asks_for_a_code_once_the_password_is_right(house: House) -> None:
    secret = await with_phone(house)
    assert (await refused(house, "lin", "wrong password", code_at(secret, house.now_ms))).kind == "wrong"
    assert (await refused(house, "lin", PASSWORD)).kind == "needs-code"
    assert (await refused(house, "lin", PASSWORD, "000000")).kind == "needs-code"
    signed = await house.sign_in("lin", PASSWORD, code_at(secret, house.now_ms))
    assert signed.session.has_totp


async def test_a_code_lets_in_once(house: House) -> None:
    secret = await with_phone(house)
    code = code_at(secret, house.now_ms)
    both = await asyncio.gather(*(house.sign_in("lin", PASSWORD, code) for _ in range(2)), return_exceptions=True)
    assert sorted(type(each).__name__ for each in both) == ["SignInRefused", "SignedIn"]
    house.now_ms += 30_000
    assert (await refused(house, "lin", PASSWORD, code)).kind == "needs-code"


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_guessing_codes_locks_the_account(house: House) -> None:
    await with_phone(house)
    kinds = [(await refused(house, "lin", PASSWORD, f"{n:06}")).kind for n in range(7)]
    assert kinds == ["needs-code"] * 5 + ["locked"] * 2


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_being_asked_for_a_code_is_no_failure_and_locks_nobody(house: House) -> None:
    secret = await with_phone(house)
    for _ in range(4):
        await refused(house, "lin", "wrong password")
    await refused(house, "lin", "wrong password")
    house.now_ms += MINUTE_MS
    assert (await refused(house, "lin", PASSWORD)).kind == "needs-code"
    assert await house.sign_in("lin", PASSWORD, code_at(secret, house.now_ms))
    for _ in range(40):
        assert (await refused(house, "lin", PASSWORD)).kind == "needs-code"


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_a_sealed_secret_opens_for_its_own_account_only(house: House) -> None:
    secret = await with_phone(house)
    await house.add("wang", "operator")
    async with house.database.write() as connection:
        lins = select(accounts.c.totp_sealed, accounts.c.totp_step).where(accounts.c.id == "lin")
        sealed, step = (await connection.execute(lins)).one()
        await connection.execute(
            update(accounts).where(accounts.c.id == "wang").values(totp_sealed=sealed, totp_step=step)
        )
    assert secret not in sealed
    with pytest.raises(Exception, match="sealed totp"):
        await house.sign_in("wang", PASSWORD, code_at(secret, house.now_ms))


async def test_getting_in_and_out_and_not_in_stands_in_the_audit_log(house: House) -> None:
    await house.add("lin", "operator")
    await refused(house, "lin", "wrong password", origin=STRANGER)
    await refused(house, "nobody", "wrong password", origin=STRANGER)
    signed = await house.sign_in("lin")
    await sign_out(house.database, signed.session, house.now_ms)
    entries = (await house.act("audit.list", kind="signing")).entries
    assert [(each.account, each.origin, each.action, each.outcome, each.why) for each in entries] == [
        ("lin", DESK, "sign-out", "done", ""),
        ("lin", DESK, "sign-in", "done", ""),
        ("", STRANGER, "sign-in", "refused", "no such account"),
        ("lin", STRANGER, "sign-in", "refused", "wrong"),
    ]
    assert LOOKED not in {each.outcome for each in entries}
