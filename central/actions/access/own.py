"""What people do about their own way in: password, one-time codes, sessions. Admins help where it is lost."""

import secrets
from typing import Annotated

import msgspec
from msgspec import Meta
from sqlalchemy import delete, select

from central.access.accounts import change_account
from central.access.passwords import PasswordRefused, hashed, require_good
from central.access.sessions import IDLE_MS, LONGEST_MS, end_all
from central.access.tokens import revoke_all
from central.access.totp import BEGUN, SECRET_BYTES, matching_step, typed_secret, uri_of
from central.actions.access.again import Again, Code, must_know, must_prove
from central.actions.access.whose import AccountOrOwn, Password, is_own, must_be_there, whose
from central.actions.action import ActionFailed, Context, Params, Result, action
from central.store.schema import sign_ins

SessionId = Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?$", max_length=64)]


class PasswordParams(Params, frozen=True):
    """The caller's own: the one until now, and the one from now on."""

    old: Password
    new: Password


class PasswordChanged(Result, frozen=True):
    """How many sessions and API tokens of the account ended, which is all of them: sign in with the new password."""

    sessions_ended: int
    tokens_revoked: int


class SessionsEnded(Result, frozen=True):
    """How many."""

    sessions_ended: int


class TotpBeginParams(Params, frozen=True):
    """The caller's own password, again: an open browser alone is not enough."""

    own_password: Password


class TotpBegun(Result, frozen=True):
    """`uri` is what the QR code holds, `secret` the same to type. Shown this once."""

    secret: str
    uri: str


class TotpConfirmParams(Params, frozen=True):
    """A code that the phone shows."""

    code: Code


class TotpRemoveParams(Again, frozen=True, kw_only=True):
    """Of the own account without a code, since the phone may be lost; of another's by an admin."""

    account: AccountOrOwn = ""


class TotpIs(Result, frozen=True):
    """Whether codes are asked for at the account's next sign-in."""

    account: str
    totp: bool


class SessionListParams(Params, frozen=True):
    """Empty = the caller's own."""

    account: AccountOrOwn = ""


class SessionEndParams(Params, frozen=True):
    """`session` empty: all of the account's. `account` empty: the caller's own."""

    account: AccountOrOwn = ""
    session: SessionId = ""


class SessionShown(msgspec.Struct, frozen=True):
    """`session` is a digest that lets nobody in."""

    session: str
    origin: str
    created_ms: int
    seen_ms: int


class SessionsListed(Result, frozen=True):
    """Those that have not ended, the newest first."""

    account: str
    sessions: list[SessionShown]


@action("account.password", PasswordParams, writes=True)
async def account_password(context: Context, params: PasswordParams) -> PasswordChanged:
    """Change the own password; every session of the account ends, this one, too, and its API tokens are revoked."""
    account = context.caller.name
    await must_know(context, params.old)
    try:
        require_good(params.new, account)
    except PasswordRefused as refused:
        raise ActionFailed(str(refused)) from None
    if params.new == params.old:
        raise ActionFailed("the new password is the old one")
    stored = await hashed(params.new)
    async with context.database.write() as connection:
        await change_account(connection, account, password=stored, must_change=False)
        ended, revoked = await end_all(connection, account), await revoke_all(connection, account, context.now_ms)
    return PasswordChanged(sessions_ended=ended, tokens_revoked=revoked)


@action("account.totp.begin", TotpBeginParams, writes=True)
async def totp_begin(context: Context, params: TotpBeginParams) -> TotpBegun:
    """Show a new secret for a phone. Codes are asked for once one of them was confirmed."""
    account = context.caller.name
    await must_know(context, params.own_password)
    secret = secrets.token_bytes(SECRET_BYTES)
    async with context.database.write() as connection:
        held = await must_be_there(connection, account, lock=True)
        if held.has_totp:
            raise ActionFailed("codes of a phone are asked for already: remove that one first")
        sealed = context.keys.seal_totp(secret, account)
        await change_account(connection, account, totp_sealed=sealed, totp_step=BEGUN)
    return TotpBegun(secret=typed_secret(secret), uri=uri_of(secret, account))


@action("account.totp.confirm", TotpConfirmParams, writes=True)
async def totp_confirm(context: Context, params: TotpConfirmParams) -> TotpIs:
    """Prove that the phone holds the secret: from now on each sign-in needs a code."""
    account = context.caller.name
    async with context.database.write() as connection:
        held = await must_be_there(connection, account, lock=True)
        if held.totp_sealed is None or held.has_totp:
            raise ActionFailed("no phone waits to be confirmed: begin again")
        secret = context.keys.open_totp(held.totp_sealed, account)
        step = matching_step(secret, params.code, context.now_ms, BEGUN)
        if step is None:
            raise ActionFailed("this is not the code of now: look at the phone's clock, and take the code it shows")
        await change_account(connection, account, totp_step=step)
    return TotpIs(account=account, totp=True)


@action("account.totp.remove", TotpRemoveParams, writes=True)
async def totp_remove(context: Context, params: TotpRemoveParams) -> TotpIs:
    """Ask for no more codes: a phone was lost or replaced."""
    account = whose(context, params.account)
    if is_own(context, account):
        await must_know(context, params.own_password)
    else:
        await must_prove(context, params)
    async with context.database.write() as connection:
        held = await must_be_there(connection, account, lock=True)
        if held.totp_sealed is None:
            raise ActionFailed(f"no codes are asked for at {account}'s sign-in")
        await change_account(connection, account, totp_sealed=None, totp_step=0)
    return TotpIs(account=account, totp=False)


@action("session.list", SessionListParams, writes=False)
async def session_list(context: Context, params: SessionListParams) -> SessionsListed:
    """Where an account is signed in."""
    account = whose(context, params.account, reads=True)
    live = (sign_ins.c.seen_ms > context.now_ms - IDLE_MS) & (sign_ins.c.created_ms > context.now_ms - LONGEST_MS)
    query = select(sign_ins).where(sign_ins.c.account == account, live).order_by(sign_ins.c.created_ms.desc())
    async with context.database.read() as connection:
        rows = (await connection.execute(query.limit(500))).all()
    shown = [SessionShown(row.hash.hex(), row.origin, row.created_ms, row.seen_ms) for row in rows]
    return SessionsListed(account=account, sessions=shown)


@action("session.end", SessionEndParams, writes=True)
async def session_end(context: Context, params: SessionEndParams) -> SessionsEnded:
    """Sign an account out: of one browser, or everywhere."""
    account = whose(context, params.account)
    async with context.database.write() as connection:
        if not params.session:
            return SessionsEnded(sessions_ended=await end_all(connection, account))
        digest = bytes.fromhex(params.session.strip())
        mine = delete(sign_ins).where(sign_ins.c.hash == digest, sign_ins.c.account == account)
        ended = (await connection.execute(mine)).rowcount
    if not ended:
        raise ActionFailed(f"{account} has no such session: it has ended already")
    return SessionsEnded(sessions_ended=ended)
