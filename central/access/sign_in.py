"""Getting in with a password, and with a code where the account has one; getting out again.

Each attempt is counted as a failure before its password is checked. Both are written into the audit log here.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from sqlalchemy.ext.asyncio import AsyncConnection

from central.access import audit, sessions, throttle
from central.access.accounts import Account, change_account, is_id, read_account
from central.access.caller import Caller
from central.access.lockout import is_loopback
from central.access.passwords import hashed, is_outdated, is_right
from central.access.sessions import Session
from central.access.throttle import Attempt, Throttled
from central.access.totp import matching_step
from central.config import LOOPBACK, Config
from central.keys import Keys
from central.store.database import Database

WRONG, LOCKED, NEEDS_CODE = "wrong", "locked", "needs-code"
DISABLED, NOT_FROM_HERE, TOO_MANY = "disabled", "not-from-here", "too-many"


class SignInRefused(Exception):
    """`kind`: wrong, locked (the account, `until_ms`), too-many (from this address, `until_ms`: answer 429),
    needs-code (the password is right; the code is missing, or was wrong or used already), disabled, not-from-here."""

    def __init__(self, kind: str, until_ms: int = 0, *, harmless: bool = False) -> None:
        super().__init__(kind)
        self.kind, self.until_ms = kind, until_ms
        self.harmless = harmless
        """The password was right and nothing was guessed at: it does not count as a failure."""


@dataclass(frozen=True)
class SignedIn:
    """`secret` goes into the cookie and stands nowhere else."""

    secret: str
    session: Session


def here_alone(config: Config) -> bool:
    """Whether the server can be reached from this machine alone, also by the address that it tells others.

    A proxy in front of it that serves others has to be named as `url`.
    """
    told = [url for url in (config.url, config.console_url) if url]
    return not config.proxied and config.host in LOOPBACK and all(urlsplit(url).hostname in LOOPBACK for url in told)


async def sign_in(
    database: Database,
    keys: Keys,
    name: str,
    password: str,
    code: str,
    origin: str,
    now_ms: int,
    *,
    loopback: bool = False,
) -> SignedIn:
    """Raises SignInRefused. `loopback`: as `here_alone` says."""
    name = name.strip().lower()
    id_ = name if is_id(name) else ""
    attempt, account = await _counted(database, id_, origin, now_ms)
    right = await is_right(account.password if account else None, password)
    rehashed = await hashed(password) if right and account and is_outdated(account.password) else ""
    async with database.write() as connection:
        known = account if right else None
        done = await _decided(connection, keys, known, code.strip(), origin, now_ms, loopback)
        if isinstance(done, SignedIn):
            await throttle.succeed(connection, attempt, now_ms)
            if rehashed:
                await change_account(connection, id_, password=rehashed)
        elif done.harmless:
            await throttle.forgive(connection, attempt, now_ms)
        if isinstance(done, SignedIn) or done.kind != NEEDS_CODE or not done.harmless:
            await _noted(connection, account, origin, "" if isinstance(done, SignedIn) else done.kind, now_ms)
    if isinstance(done, SignInRefused):
        raise done
    return done


async def sign_out(database: Database, session: Session, now_ms: int) -> None:
    """At once, in this browser alone."""
    async with database.write() as connection:
        await sessions.end_session(connection, bytes.fromhex(session.id))
        await audit.append_within(
            connection, session.caller, audit.Entry("sign-out", audit.DONE, session.caller.name), now_ms
        )


async def check_own(
    database: Database, keys: Keys, name: str, password: str, code: str | None, origin: str, now_ms: int
) -> None:
    """Somebody who is signed in knows the account's password, too. Guesses count as failed sign-ins do.

    `code` None: no code is asked for, also where the account has a phone. Raises SignInRefused.
    """
    attempt, account = await _counted(database, name, origin, now_ms)
    right = await is_right(account.password if account else None, password)
    async with database.write() as connection:
        held = await read_account(connection, name, lock=True) if account and right else None
        if account is None or held is None or held.password != account.password:
            raise SignInRefused(WRONG)
        refused = None if code is None else await _code_refused(connection, keys, held, code.strip(), now_ms)
        if refused is None or refused.harmless:
            await throttle.forgive(connection, attempt, now_ms)
    if refused is not None:
        raise refused


async def _counted(database: Database, id_: str, origin: str, now_ms: int) -> tuple[Attempt, Account | None]:
    async with database.write() as connection:
        try:
            attempt = await throttle.count(connection, id_, origin, now_ms)
        except Throttled as full:
            raise SignInRefused(LOCKED if full.by == "account" else TOO_MANY, full.until_ms) from None
        return attempt, await read_account(connection, id_) if id_ else None


async def _decided(
    connection: AsyncConnection,
    keys: Keys,
    account: Account | None,
    code: str,
    origin: str,
    now_ms: int,
    loopback: bool,
) -> SignedIn | SignInRefused:
    """`account` None: not with this password. It is read again, locked, since checking the password took a while."""
    now = await read_account(connection, account.id, lock=True) if account else None
    if account is None or now is None or now.password != account.password:
        return SignInRefused(WRONG)
    if not now.is_active:
        return SignInRefused(DISABLED, harmless=True)
    if now.loopback_only and not (loopback and is_loopback(origin)):
        return SignInRefused(NOT_FROM_HERE, harmless=True)
    refused = await _code_refused(connection, keys, now, code, now_ms)
    return refused or SignedIn(*await sessions.begin(connection, now, origin, now_ms))


async def _code_refused(
    connection: AsyncConnection, keys: Keys, held: Account, code: str, now_ms: int
) -> SignInRefused | None:
    """`held`: locked. None where the code is right, which is good this once, or where none is asked for."""
    if not held.has_totp or held.totp_sealed is None:
        return None
    step = matching_step(keys.open_totp(held.totp_sealed, held.id), code, now_ms, held.totp_step)
    if step is None:
        return SignInRefused(NEEDS_CODE, harmless=not code)
    await change_account(connection, held.id, totp_step=step)
    return None


async def _noted(connection: AsyncConnection, account: Account | None, origin: str, refused: str, now_ms: int) -> None:
    """An unknown name is not written down: people type passwords into the wrong field."""
    who = account.id if account else ""
    caller = Caller(who, account.roles if account else frozenset(), origin)
    phase = audit.REFUSED if refused else audit.DONE
    why = {"why": refused if account else "no such account"} if refused else {}
    await audit.append_within(connection, caller, audit.Entry("sign-in", phase, who, why), now_ms)
