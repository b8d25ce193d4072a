"""Whose account an action is about, and the types that parameters about accounts have."""

from typing import Annotated

from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from central.access.accounts import ID_PATTERN, Account, read_account
from central.access.caller import Role
from central.access.reach import Forbidden
from central.actions.action import ActionFailed, Context

AccountId = Annotated[str, Meta(pattern=ID_PATTERN, max_length=40)]
AccountOrOwn = Annotated[str, Meta(pattern=f"^({ID_PATTERN.strip('^$')})?$", max_length=40)]
"""Empty: the caller's own."""
Title = Annotated[str, Meta(pattern=r"^[^\u0000-\u001f\u007f]*$", max_length=100)]
Place = Annotated[str, Meta(pattern=r"^[^\u0000-\u001f\u007f]+$", max_length=64)]
Places = Annotated[list[Place], Meta(max_length=500)]
Instant = Annotated[int, Meta(ge=0, le=253_402_300_799_999)]
"""UTC milliseconds up to the year 9999."""
Limit = Annotated[int, Meta(ge=1, le=500)]
Password = Annotated[str, Meta(max_length=256)]


def whose(context: Context, account: str, *, reads: bool = False) -> str:
    """The account that is meant: the caller's own, or any where an admin asks, or reads as an auditor.

    Raises Forbidden; whether there is such an account is not told.
    """
    caller = context.caller
    own = not account or account == caller.name
    if own or caller.local or Role.ADMIN in caller.roles or (reads and Role.AUDITOR in caller.roles):
        return account or caller.name
    raise Forbidden(f"{caller.name} may do this for the own account only")


def is_own(context: Context, account: str) -> bool:
    """Whether the caller is this account, at a browser: not this machine, whose operator needs no password."""
    return not context.caller.local and account == context.caller.name


async def must_be_there(connection: AsyncConnection, account: str, *, lock: bool = False) -> Account:
    """Raises ActionFailed."""
    found = await read_account(connection, account, lock=lock)
    if found is None:
        raise ActionFailed(f"there is no account {account!r}: see `account list`")
    return found
