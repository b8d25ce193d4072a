"""Failed sign-ins as they are kept: counted before a password is checked, so that a hundred at once are a hundred.

Three counters. One of the address. One of the account, for addresses that it never signed in from. One of the account
at each address that it did sign in from: a stranger who guesses at an account thereby locks strangers out of it, and
not the person at the usual desk. Whoever is locked out all the same is let in by `account unlock` on the machine.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from central.access.lockout import (
    KNOWN_MS,
    Failures,
    drained,
    full_until_ms,
    locked_until_ms,
    network_of,
    one_more,
)
from central.store.schema import attempts


class Throttled(Exception):
    """Not now. `by`: `address` or `account`."""

    def __init__(self, by: str, until_ms: int) -> None:
        super().__init__(by)
        self.by, self.until_ms = by, until_ms


@dataclass(frozen=True)
class Attempt:
    """One that was counted. `before`: the account's counter as it was; `key` empty: there is no such name."""

    account: str
    origin: str
    key: str
    before: Failures


async def count(connection: AsyncConnection, account: str, origin: str, now_ms: int) -> Attempt:
    """Take the attempt for failed, until `forgive` or `succeed` says otherwise. `account` empty: no such name.

    Raises Throttled, and then counts nothing.
    """
    address = _address(origin)
    held = await _held(connection, address, now_ms)
    full = full_until_ms(held, now_ms)
    if full:
        raise Throttled("address", full)
    attempt = Attempt(account, origin, "", Failures())
    if account:
        key = await _counter(connection, account, origin, now_ms)
        before = await _held(connection, key, now_ms)
        locked = locked_until_ms(before)
        if locked > now_ms:
            raise Throttled("account", locked)
        await _put(connection, key, one_more(before, now_ms))
        attempt = Attempt(account, origin, key, before)
    left = drained(held, now_ms)
    await _put(connection, address, Failures(left.number + 1, left.last_ms))
    return attempt


async def forgive(connection: AsyncConnection, attempt: Attempt, now_ms: int) -> None:
    """It did not fail, and did not succeed either: its password was right, and a code is asked for."""
    address = _address(attempt.origin)
    held = await _held(connection, address, now_ms)
    await _put(connection, address, Failures(max(held.number - 1, 0), held.last_ms))
    if attempt.key:
        held = await _held(connection, attempt.key, now_ms)
        alone = held.number == attempt.before.number + 1  # else others failed meanwhile, and the lock is theirs
        kept = attempt.before if alone else Failures(max(held.number - 1, 0), held.last_ms)
        await _put(connection, attempt.key, kept)


async def succeed(connection: AsyncConnection, attempt: Attempt, now_ms: int) -> None:
    """Forget the account's failures from here, and know the address from now on."""
    await forgive(connection, attempt, now_ms)
    known = _known(attempt.account, attempt.origin)
    for key in sorted({attempt.key, known}):
        await _held(connection, key, now_ms)
        await _put(connection, key, Failures(0, now_ms))
    await connection.execute(delete(attempts).where(attempts.c.last_ms < now_ms - KNOWN_MS))


async def unlock(connection: AsyncConnection, account: str) -> None:
    """Forget every failure of the account, wherever it was."""
    mine = attempts.c.key.startswith(_everywhere(account), autoescape=True)
    await connection.execute(update(attempts).where(mine).values(failed=0))


async def locks(connection: AsyncConnection, accounts: Sequence[str], now_ms: int) -> dict[str, int]:
    """Until when accounts are locked for strangers; those that are not are left out."""
    keys = {_everywhere(account): account for account in accounts}
    rows = await connection.execute(select(attempts).where(attempts.c.key.in_(keys)))
    until = {keys[row.key]: locked_until_ms(Failures(row.failed, row.last_ms)) for row in rows}
    return {account: until_ms for account, until_ms in until.items() if until_ms > now_ms}


async def _counter(connection: AsyncConnection, account: str, origin: str, now_ms: int) -> str:
    known = _known(account, origin)
    last_ms = (await connection.execute(select(attempts.c.last_ms).where(attempts.c.key == known))).scalar()
    return known if last_ms is not None and now_ms - last_ms < KNOWN_MS else _everywhere(account)


async def _held(connection: AsyncConnection, key: str, now_ms: int) -> Failures:
    """The row, which nobody else changes until this transaction ends."""
    make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    fresh = make(attempts).values(key=key, failed=0, last_ms=now_ms).on_conflict_do_nothing()
    await connection.execute(fresh)
    row = (await connection.execute(select(attempts).where(attempts.c.key == key).with_for_update())).one()
    return Failures(row.failed, row.last_ms)


async def _put(connection: AsyncConnection, key: str, held: Failures) -> None:
    values: dict[str, Any] = {"failed": held.number, "last_ms": held.last_ms}
    await connection.execute(update(attempts).where(attempts.c.key == key).values(values))


def _address(origin: str) -> str:
    return f"address {network_of(origin)}"


def _everywhere(account: str) -> str:
    """By a digest: people type passwords into the wrong field."""
    return f"account {hashlib.sha256(account.encode()).hexdigest()[:32]}"


def _known(account: str, origin: str) -> str:
    return f"{_everywhere(account)} {network_of(origin)}"
