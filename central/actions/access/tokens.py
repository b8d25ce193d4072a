"""API tokens: what systems get in with instead of a password."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from sqlalchemy import insert, select, update

from central.access.accounts import as_list
from central.access.caller import Role
from central.access.rules import may
from central.access.tokens import LONGEST_MS, NEVER, SCOPE, new_secret
from central.actions.access.again import Again, must_prove
from central.actions.access.whose import AccountOrOwn, Instant, Limit, must_be_there, whose
from central.actions.action import ACTIONS, ActionFailed, Context, Params, Result, action
from central.store.schema import api_tokens

DAY_MS = 24 * 3_600_000
TokenId = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{1,62}$", max_length=63)]
ActionNames = Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(max_length=500)]


class TokenIssueParams(Again, frozen=True, kw_only=True):
    """`id` is what people call it. `actions` empty: all that the account may, but for what makes accounts; or, in place
    of them, `scopes`: what another city system is for, bound to no venue, which needs an admin.
    `account` empty: the caller's own; another's needs an admin."""

    id: TokenId
    days: Annotated[int, Meta(ge=1, le=LONGEST_MS // DAY_MS)]
    account: AccountOrOwn = ""
    actions: ActionNames = []
    scopes: Annotated[list[Literal["entitlement", "citizen", "feed"]], Meta(max_length=3)] = []


class TokenListParams(Params, frozen=True):
    """Of one account; empty = of all for admins and auditors, of the caller's own for others."""

    account: AccountOrOwn = ""
    after: Annotated[str, Meta(max_length=64, pattern=r"^[^\u0000]*$")] = ""
    limit: Limit = 100


class TokenParams(Params, frozen=True):
    """Which."""

    id: TokenId


class TokenIssued(Result, frozen=True):
    """`token` is shown this once."""

    id: str
    account: str
    token: str
    until_ms: Instant


class TokenShown(msgspec.Struct, frozen=True):
    """`actions` empty: all that the account may; a scope stands among them as `scope:citizen`. `state`: active, over,
    revoked."""

    id: str
    account: str
    actions: list[str]
    state: str
    created_ms: int
    until_ms: int
    used_ms: int | None


class TokensListed(Result, frozen=True):
    """By name. `more`: ask on with `after`."""

    tokens: list[TokenShown]
    more: bool


class TokenRevoked(Result, frozen=True):
    """It lets nobody in any more."""

    id: str
    account: str


@action("token.issue", TokenIssueParams, writes=True)
async def token_issue(context: Context, params: TokenIssueParams) -> TokenIssued:
    """Let a system in as an account, for some actions, until a day."""
    account = whose(context, params.account)
    named = _named(context, params)
    await must_prove(context, params)
    secret, digest = new_secret()
    until_ms = context.now_ms + params.days * DAY_MS
    async with context.database.write() as connection:
        held = await must_be_there(connection, account)
        if not held.is_active:
            raise ActionFailed(f"{account} is disabled: no token of it would let anybody in")
        for name in params.actions:
            _require_possible(held.caller(""), name)
        if (await connection.execute(select(api_tokens.c.id).where(api_tokens.c.id == params.id))).first():
            raise ActionFailed(f"there is a token {params.id} already: names are not used twice")
        row = {
            **{"id": params.id, "hash": digest, "account": account, "actions": as_list(named)},
            **{"created_ms": context.now_ms, "until_ms": until_ms},
        }
        await connection.execute(insert(api_tokens).values(row))
    return TokenIssued(id=params.id, account=account, token=secret, until_ms=until_ms)


@action("token.list", TokenListParams, writes=False)
async def token_list(context: Context, params: TokenListParams) -> TokensListed:
    """Which systems may get in, and when they last did."""
    account = "" if not params.account and context.caller.sees_all else whose(context, params.account, reads=True)
    query = select(api_tokens).where(api_tokens.c.id > params.after).order_by(api_tokens.c.id).limit(params.limit + 1)
    if account:
        query = query.where(api_tokens.c.account == account)
    async with context.database.read() as connection:
        rows = (await connection.execute(query)).all()
    shown = [_shown(row, context.now_ms) for row in rows[: params.limit]]
    return TokensListed(tokens=shown, more=len(rows) > params.limit)


@action("token.revoke", TokenParams, writes=True)
async def token_revoke(context: Context, params: TokenParams) -> TokenRevoked:
    """From now on it lets nobody in."""
    async with context.database.write() as connection:
        query = select(api_tokens).where(api_tokens.c.id == params.id).with_for_update()
        row = (await connection.execute(query)).first()
        mine = row is not None and (
            context.caller.local or Role.ADMIN in context.caller.roles or row.account == context.caller.name
        )
        if row is None or not mine:
            raise ActionFailed(f"there is no token {params.id!r}: see `token list`")
        if row.revoked_ms is not None:
            raise ActionFailed(f"{params.id} is revoked already")
        await connection.execute(
            update(api_tokens).where(api_tokens.c.id == params.id).values(revoked_ms=context.now_ms)
        )
    return TokenRevoked(id=params.id, account=row.account)


def _named(context: Context, params: TokenIssueParams) -> set[str]:
    """What stands in its row."""
    if not params.scopes:
        return set(params.actions)
    if params.actions:
        raise ActionFailed("a token is for actions of its account, or for scopes: state one of the two")
    if not (context.caller.local or Role.ADMIN in context.caller.roles):
        raise ActionFailed("a token for a scope reaches the whole city: an admin issues it")
    return {SCOPE + scope for scope in params.scopes}


def _require_possible(caller: Any, name: str) -> None:
    found = ACTIONS.get(name)
    if found is None:
        raise ActionFailed(f"there is no action {name!r}")
    if name in NEVER:
        raise ActionFailed(f"no token may ask for {name}: it belongs to a person at a browser, or to this machine")
    if not may(caller, name, writes=found.writes):
        raise ActionFailed(f"{caller.name} itself may not ask for {name}")


def _shown(row: Any, now_ms: int) -> TokenShown:
    state = "revoked" if row.revoked_ms is not None else "over" if now_ms >= row.until_ms else "active"
    named = msgspec.json.decode(row.actions, type=list[str])
    return TokenShown(row.id, row.account, named, state, row.created_ms, row.until_ms, row.used_ms)
