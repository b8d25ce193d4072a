"""A browser's sessions: a random secret in a cookie, of which only the SHA-256 is kept."""

import hashlib
import secrets
from dataclasses import dataclass

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.access.accounts import Account, account_of
from central.access.caller import Caller
from central.access.lockout import is_loopback
from central.store.database import Database
from central.store.schema import accounts, sign_ins

IDLE_MS = 30 * 60_000
LONGEST_MS = 12 * 3_600_000
TOUCH_MS = 60_000
"""A session in use is written down this often, not at each request."""
SECRET_CHARACTERS = 43

MUST_CHANGE_MAY = frozenset({"account.password", "account.show"})
"""What somebody may do whose password another person knows, until it is changed."""


@dataclass(frozen=True)
class Session:
    """Somebody who is signed in."""

    caller: Caller
    title: str
    must_change: bool
    has_totp: bool
    id: str
    """Of the session: the digest of its secret, in hex. It lets nobody in."""
    created_ms: int
    until_ms: int
    """When it ends at the latest."""


def session_of(account: Account, origin: str, digest: bytes, created_ms: int) -> Session:
    """Out of an account and the row of the session."""
    only = MUST_CHANGE_MAY if account.must_change else None
    return Session(
        caller=account.caller(origin, only=only),
        title=account.title,
        must_change=account.must_change,
        has_totp=account.has_totp,
        id=digest.hex(),
        created_ms=created_ms,
        until_ms=created_ms + LONGEST_MS,
    )


async def begin(connection: AsyncConnection, account: Account, origin: str, now_ms: int) -> tuple[str, Session]:
    """The secret for the cookie, new at every sign-in, and the session. What has ended is swept away."""
    ended = or_(sign_ins.c.seen_ms <= now_ms - IDLE_MS, sign_ins.c.created_ms <= now_ms - LONGEST_MS)
    await connection.execute(delete(sign_ins).where(ended))
    secret = secrets.token_urlsafe(32)
    digest = _digest(secret)
    row = {"hash": digest, "account": account.id, "created_ms": now_ms, "seen_ms": now_ms, "origin": origin[:64]}
    await connection.execute(insert(sign_ins).values(row))
    return secret, session_of(account, origin, digest, now_ms)


async def caller_of_session(
    database: Database, secret: str, origin: str, now_ms: int, *, loopback: bool = False, touch: bool = True
) -> Session | None:
    """Who holds this secret; None where nobody is signed in with it (any more).

    `loopback`: this server can be reached from this machine alone (`here_alone`): only then a demonstration's account
    is let in. `touch` False: what a page asks for by itself keeps nobody signed in.
    """
    if len(secret) != SECRET_CHARACTERS:
        return None
    digest = _digest(secret)
    async with database.read() as connection:
        query = select(accounts, sign_ins.c.created_ms.label("began_ms"), sign_ins.c.seen_ms)
        row = (await connection.execute(query.join(sign_ins).where(sign_ins.c.hash == digest))).first()
    if row is None or now_ms - row.seen_ms >= IDLE_MS or now_ms - row.began_ms >= LONGEST_MS:
        return None
    account = account_of(row)
    if not account.is_active or (account.loopback_only and not (loopback and is_loopback(origin))):
        return None
    if touch and now_ms - row.seen_ms >= TOUCH_MS:
        async with database.write() as connection:
            mine = (sign_ins.c.hash == digest) & (sign_ins.c.seen_ms < now_ms)
            await connection.execute(update(sign_ins).where(mine).values(seen_ms=now_ms))
    return session_of(account, origin, digest, row.began_ms)


async def end_session(connection: AsyncConnection, digest: bytes) -> None:
    """One; where it has ended already, nothing happens."""
    await connection.execute(delete(sign_ins).where(sign_ins.c.hash == digest))


async def end_all(connection: AsyncConnection, account: str) -> int:
    """How many there were."""
    return (await connection.execute(delete(sign_ins).where(sign_ins.c.account == account))).rowcount


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()
