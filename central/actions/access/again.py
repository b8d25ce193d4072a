"""The password once more: what outlives a session, or takes a lock off, is not for whoever finds a browser open."""

from typing import Annotated

from msgspec import Meta

from central.access.sign_in import NEEDS_CODE, WRONG, SignInRefused, check_own
from central.actions.access.whose import Password
from central.actions.action import ActionFailed, Context, Params

Code = Annotated[str, Meta(max_length=16)]


class Again(Params, frozen=True):
    """From a browser: the caller's own password and, where sign-in asks for a phone's codes, a code. An API token and
    this machine's operator state neither."""

    own_password: Password = ""
    own_code: Code = ""


async def must_prove(context: Context, asked: Again) -> None:
    """Raises ActionFailed unless a person at a browser is the one whose account it is. A token was issued by one."""
    if not context.caller.local and not context.caller.token:
        await must_know(context, asked.own_password, asked.own_code)


async def must_know(context: Context, password: str, code: str | None = None) -> None:
    """Raises ActionFailed unless it is the caller's password; guesses lock the account as failed sign-ins do.

    `code` None: none is asked for.
    """
    if not password:
        raise ActionFailed("state the account's password, too")
    caller = context.caller
    try:
        await check_own(context.database, context.keys, caller.name, password, code, caller.origin, context.now_ms)
    except SignInRefused as refused:
        raise ActionFailed(_why(refused, context.now_ms)) from None


def _why(refused: SignInRefused, now_ms: int) -> str:
    if refused.kind == WRONG:
        return "this is not the account's password"
    if refused.kind == NEEDS_CODE:
        return "state the code that your phone shows now, too: one that was used already does not count"
    minutes = max(-(-(refused.until_ms - now_ms) // 60_000), 1)
    return f"too many wrong passwords: try again in {minutes} min"
