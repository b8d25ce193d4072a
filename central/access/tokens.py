"""API tokens for systems: bound to an account, to a set of its actions, and to an end. Only the SHA-256 is kept."""

import hashlib
import secrets
from collections.abc import Collection

import msgspec
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.access.accounts import account_of
from central.access.caller import Caller
from central.access.lockout import is_loopback
from central.access.rules import LOCAL_ONLY, RULES
from central.store.database import Database
from central.store.schema import accounts, api_tokens

PREFIX = "tapgate_"
"""What scanners for leaked secrets look for."""
SECRET_CHARACTERS = len(PREFIX) + 43
LONGEST_MS = 366 * 24 * 3_600_000
TOUCH_MS = 60_000

NEVER = LOCAL_ONLY | {
    *("account.password", "account.totp.begin", "account.totp.confirm", "account.totp.remove"),
    *("token.issue", "session.end"),
}
"""What no token does: what belongs to a person at a browser, and what would let a token outlive its end."""
ONLY_WHEN_NAMED = frozenset(
    {
        *("account.add", "account.set", "account.reset", "account.unlock"),
        *("subscription.add", "subscription.rotate"),
    }
)
"""What a token for everything does not do either, unless it is named."""


SCOPE = "scope:"
"""What the name of a scope stands behind in a token's row, among those of actions."""


def actions_of(named: Collection[str]) -> frozenset[str]:
    """What a token with these names in its row is for."""
    scopes = scopes_of(named)
    scoped = {name for name, rule in RULES.items() if rule.scope and rule.scope in scopes}
    plain = {name for name in named if not name.startswith(SCOPE)} | scoped
    return (frozenset(plain) if named else frozenset(RULES) - ONLY_WHEN_NAMED) - NEVER


def scopes_of(named: Collection[str]) -> frozenset[str]:
    """The scopes among these names."""
    return frozenset(name.removeprefix(SCOPE) for name in named if name.startswith(SCOPE))


def new_secret() -> tuple[str, bytes]:
    """The secret, which is shown once, and the digest that is kept."""
    secret = PREFIX + secrets.token_urlsafe(32)
    return secret, _digest(secret)


async def caller_of_token(
    database: Database, secret: str, origin: str, now_ms: int, *, loopback: bool = False
) -> Caller | None:
    """Who holds this token; None where it is none, is over, was revoked, or its account is disabled.

    `loopback`: as for a session (`central.access.sessions`).
    """
    if len(secret) != SECRET_CHARACTERS or not secret.startswith(PREFIX):
        return None
    digest = _digest(secret)
    columns = (
        *(api_tokens.c.id.label("token"), api_tokens.c.actions, api_tokens.c.until_ms),
        *(api_tokens.c.revoked_ms, api_tokens.c.used_ms),
    )
    async with database.read() as connection:
        query = select(accounts, *columns).join(api_tokens, api_tokens.c.account == accounts.c.id)
        row = (await connection.execute(query.where(api_tokens.c.hash == digest))).first()
    if row is None or row.revoked_ms is not None or now_ms >= row.until_ms:
        return None
    account = account_of(row)
    if not account.is_active or (account.loopback_only and not (loopback and is_loopback(origin))):
        return None
    if row.used_ms is None or now_ms - row.used_ms >= TOUCH_MS:
        async with database.write() as connection:
            mine = update(api_tokens).where(api_tokens.c.hash == digest)
            await connection.execute(mine.values(used_ms=now_ms))
    named = msgspec.json.decode(row.actions, type=list[str])
    return account.caller(origin, token=row.token, only=actions_of(named), scopes=scopes_of(named))


async def revoke_all(connection: AsyncConnection, account: str, now_ms: int) -> int:
    """How many of an account's tokens were not revoked yet."""
    t = api_tokens.c
    theirs = update(api_tokens).where(t.account == account, t.revoked_ms.is_(None))
    return (await connection.execute(theirs.values(revoked_ms=now_ms))).rowcount


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()
