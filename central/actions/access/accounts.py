"""Accounts: who may get in, as what, and where."""

from collections.abc import Collection, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.access import throttle
from central.access.accounts import (
    ACTIVE,
    Account,
    account_of,
    active_admins,
    as_list,
    change_account,
    is_id,
    read_account,
)
from central.access.caller import Role
from central.access.passwords import hashed, random_password
from central.access.sessions import IDLE_MS, LONGEST_MS, end_all
from central.access.tokens import revoke_all
from central.actions.access.again import Again, must_prove
from central.actions.access.whose import (
    AccountId,
    AccountOrOwn,
    Limit,
    Places,
    Title,
    must_be_there,
    whose,
)
from central.actions.action import ActionFailed, Context, Params, Result, action
from central.store.schema import accounts, attendance_teams, sign_ins, venues

Roles = Annotated[list[Role], Meta(min_length=1, max_length=4)]
State = Literal["active", "disabled"]


class AccountAddParams(Again, frozen=True, kw_only=True):
    """`venues` of an operator, `teams` of a coordinator. `loopback_only`: a demonstration's, let in on this machine
    alone, and its password stays as it is."""

    account: AccountId
    roles: Roles
    title: Title = ""
    venues: Places = []
    teams: Places = []
    loopback_only: bool = False


class AccountParams(Params, frozen=True):
    """Which."""

    account: AccountId


class AccountResetParams(Again, frozen=True, kw_only=True):
    """Whose."""

    account: AccountId


class AccountShowParams(Params, frozen=True):
    """Empty = the caller's own."""

    account: AccountOrOwn = ""


class AccountListParams(Params, frozen=True):
    """`after`: the last name of the page before."""

    after: Annotated[str, Meta(max_length=64, pattern=r"^[^\u0000]*$")] = ""
    limit: Limit = 100


class AccountSetParams(Again, frozen=True, kw_only=True):
    """What is not given stays. What an account may do is changed for its sessions, too: they end."""

    account: AccountId
    title: Title | None = None
    roles: Roles | None = None
    venues: Places | None = None
    teams: Places | None = None
    state: State | None = None


class AccountSecret(Result, frozen=True):
    """The password, shown this once: it has to be changed at the first sign-in."""

    account: str
    password: str


class AccountShown(msgspec.Struct, frozen=True):
    """`totp`: codes are asked for. `locked_until_ms`: for addresses that it never signed in from; 0 = not locked."""

    account: str
    title: str
    roles: list[Role]
    venues: list[str]
    teams: list[str]
    state: str
    totp: bool
    must_change: bool
    loopback_only: bool
    locked_until_ms: int
    sessions: int
    created_ms: int


class AccountIs(Result, frozen=True):
    """One account."""

    account: AccountShown


class AccountsListed(Result, frozen=True):
    """By name. `more`: ask on with `after`."""

    accounts: list[AccountShown]
    more: bool


class AccountChanged(Result, frozen=True):
    """How many sessions of it ended."""

    account: str
    sessions_ended: int


@action("account.add", AccountAddParams, writes=True)
async def account_add(context: Context, params: AccountAddParams) -> AccountSecret:
    """Let somebody in, with a random password that is shown once."""
    await must_prove(context, params)
    if not is_id(params.account):
        raise ActionFailed("the name of an account has 2 to 40 small letters, digits, and the signs . _ -")
    password = random_password()
    stored = await hashed(password)
    async with context.database.write() as connection:
        if await read_account(connection, params.account):
            raise ActionFailed(f"there is an account {params.account} already: names are not used twice")
        await _must_exist(connection, params.venues, params.teams)
        row = {
            **{"id": params.account, "title": params.title, "state": ACTIVE, "password": stored},
            **{"roles": as_list(set(params.roles)), "must_change": not params.loopback_only},
            **{"venues": as_list(set(params.venues)), "teams": as_list(set(params.teams))},
            **{"loopback_only": params.loopback_only, "created_ms": context.now_ms},
        }
        await connection.execute(insert(accounts).values(row))
    return AccountSecret(account=params.account, password=password)


@action("account.set", AccountSetParams, writes=True)
async def account_set(context: Context, params: AccountSetParams) -> AccountChanged:
    """Change what an account is called, what it may do and where, or shut it (`state`)."""
    await must_prove(context, params)
    values: dict[str, Any] = {
        **({} if params.title is None else {"title": params.title}),
        **({} if params.state is None else {"state": params.state}),
        **({} if params.roles is None else {"roles": as_list(set(params.roles))}),
        **({} if params.venues is None else {"venues": as_list(set(params.venues))}),
        **({} if params.teams is None else {"teams": as_list(set(params.teams))}),
    }
    if not values:
        raise ActionFailed("nothing is stated that would change")
    async with context.database.write() as connection:
        admins = await active_admins(connection)
        held = await must_be_there(connection, params.account, lock=True)
        await _must_exist(connection, params.venues or (), params.teams or ())
        _require_an_admin_left(held, params, admins)
        await change_account(connection, params.account, **values)
        ended = await end_all(connection, params.account) if values.keys() - {"title"} else 0
    return AccountChanged(account=params.account, sessions_ended=ended)


@action("account.reset", AccountResetParams, writes=True)
async def account_reset(context: Context, params: AccountResetParams) -> AccountSecret:
    """Give an account a new random password, shown once; sessions end, tokens are revoked, its lock is lifted."""
    await must_prove(context, params)
    password = random_password()
    stored = await hashed(password)
    async with context.database.write() as connection:
        held = await must_be_there(connection, params.account, lock=True)
        await change_account(connection, params.account, password=stored, must_change=not held.loopback_only)
        await end_all(connection, params.account)
        await revoke_all(connection, params.account, context.now_ms)
        await throttle.unlock(connection, params.account)
    return AccountSecret(account=params.account, password=password)


@action("account.unlock", AccountParams, writes=True)
async def account_unlock(context: Context, params: AccountParams) -> AccountIs:
    """Forget failed sign-ins of an account, so that it may try again at once."""
    async with context.database.write() as connection:
        held = await must_be_there(connection, params.account)
        await throttle.unlock(connection, params.account)
        (shown,) = await _shown(connection, [held], context.now_ms)
    return AccountIs(account=shown)


@action("account.show", AccountShowParams, writes=False)
async def account_show(context: Context, params: AccountShowParams) -> AccountIs:
    """One account: the own one, or any for admins and auditors."""
    account = whose(context, params.account, reads=True)
    async with context.database.read() as connection:
        (shown,) = await _shown(connection, [await must_be_there(connection, account)], context.now_ms)
    return AccountIs(account=shown)


@action("account.list", AccountListParams, writes=False)
async def account_list(context: Context, params: AccountListParams) -> AccountsListed:
    """Who may get in."""
    query = select(accounts).where(accounts.c.id > params.after).order_by(accounts.c.id).limit(params.limit + 1)
    async with context.database.read() as connection:
        found = [account_of(row) for row in await connection.execute(query)]
        shown = await _shown(connection, found[: params.limit], context.now_ms)
    return AccountsListed(accounts=shown, more=len(found) > params.limit)


def _require_an_admin_left(held: Account, params: AccountSetParams, admins: Sequence[str]) -> None:
    roles = held.roles if params.roles is None else params.roles
    stays = Role.ADMIN in roles and (params.state or held.state) == ACTIVE
    if not stays and list(admins) == [held.id]:
        raise ActionFailed(f"{held.id} is the last admin: make somebody else one first, or nobody could let people in")


async def _must_exist(connection: AsyncConnection, places: Collection[str], teams: Collection[str]) -> None:
    for wanted, column, what in ((places, venues.c.id, "venue"), (teams, attendance_teams.c.id, "team")):
        found = (await connection.execute(select(column).where(column.in_(sorted(set(wanted)))))).scalars().all()
        missing = sorted(set(wanted) - set(found))
        if missing:
            raise ActionFailed(f"there is no {what} {missing[0]!r}")


async def _shown(connection: AsyncConnection, found: Sequence[Account], now_ms: int) -> list[AccountShown]:
    names = [account.id for account in found]
    live = (sign_ins.c.seen_ms > now_ms - IDLE_MS) & (sign_ins.c.created_ms > now_ms - LONGEST_MS)
    counts = select(sign_ins.c.account, func.count()).where(sign_ins.c.account.in_(names), live)
    rows = (await connection.execute(counts.group_by(sign_ins.c.account))).all()
    sessions = {account: int(number) for account, number in rows}
    locked = await throttle.locks(connection, names, now_ms)
    return [
        AccountShown(
            account=account.id,
            title=account.title,
            roles=sorted(account.roles),
            venues=sorted(account.venues),
            teams=sorted(account.teams),
            state=account.state,
            totp=account.has_totp,
            must_change=account.must_change,
            loopback_only=account.loopback_only,
            locked_until_ms=locked.get(account.id, 0),
            sessions=sessions.get(account.id, 0),
            created_ms=account.created_ms,
        )
        for account in found
    ]
