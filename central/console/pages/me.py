"""The own account: password, one-time codes, sessions, and how the console looks."""

from typing import Any

from markupsafe import Markup

from central.access.totp import qr_svg
from central.actions.action import ActionFailed
from central.console.page import _N, SIGNED_IN, Answer, Asking, Page, See, form, page
from central.console.pages.accounts import ROLES
from central.console.words import say


@page("/me", needs=SIGNED_IN)
async def me(ask: Asking) -> Page:
    """What the account is, and where it is signed in."""
    row = (await ask("account.show")).account
    sessions = (await ask("session.list")).sessions if ask.may("session.list") else []
    return Page("me.html", row=row, sessions=sessions, roles=ROLES)


@page("/me/password", needs=SIGNED_IN)
async def password(_ask: Asking) -> Page:
    """Also where somebody lands whose password another person chose."""
    return Page("me_password.html")


@form("/me/password", needs="account.password", again=password)
async def change(ask: Asking) -> See:
    """Every session of the account ends, this one, too; its API tokens are revoked."""
    new = ask.form.get("new", "")
    if new != ask.form.get("again", ""):
        raise ActionFailed(say(ask.lang, "The two new passwords differ."))
    done = await ask("account.password", old=ask.form.get("old", ""), new=new)
    if done.tokens_revoked:
        revoked = {"revoked": done.tokens_revoked}
        return See(
            "/sign-in",
            _N("Your password is changed, and %(revoked)s API tokens are revoked. Sign in with the new one."),
            revoked,
        )
    return See("/sign-in", _N("Your password is changed. Sign in with the new one."))


@page("/me/phone", needs="account.totp.begin")
async def phone(ask: Asking) -> Page:
    """Codes of a phone: asked for, waiting to be confirmed, or not there yet."""
    return await _phone(ask, waits="code" in ask.form)


@form("/me/phone", needs="account.totp.begin", again=phone)
async def begin(ask: Asking) -> Page:
    """The QR code is shown on the page that answers, and on no other."""
    begun = await ask("account.totp.begin", own_password=ask.form.get("password", ""))
    return await _phone(ask, waits=True, qr=Markup(qr_svg(begun.uri)), secret=begun.secret)  # noqa: S704 - ours


@form("/me/phone/confirm", needs="account.totp.confirm", again=phone)
async def confirm(ask: Asking) -> See:
    """From now on each sign-in needs a code."""
    await ask("account.totp.confirm", code=ask.form.get("code", ""))
    return See("/me", _N("From now on each sign-in needs a code of your phone."))


@form("/me/phone/remove", needs="account.totp.remove", again=phone)
async def remove(ask: Asking) -> See:
    """With the password once more."""
    await ask("account.totp.remove", own_password=ask.form.get("password", ""))
    return See("/me", _N("No code is asked for any more."))


@form("/me/sessions", needs="session.end", again=me)
async def end(ask: Asking) -> Answer:
    """One of them, or all: then this one, too."""
    session, everywhere = ask.form.get("session", ""), ask.form.get("everywhere", "")
    if not session and not everywhere:
        raise ActionFailed(say(ask.lang, "Choose which session shall end."))
    await ask("session.end", session=session)
    here = everywhere or (ask.session is not None and session == ask.session.id)
    return See("/sign-in" if here else "/me", _N("Signed out there."))


async def _phone(ask: Asking, *, waits: bool, qr: Markup = Markup(), secret: str = "") -> Page:
    row: Any = (await ask("account.show")).account
    return Page("me_phone.html", row=row, waits=waits and not row.totp, qr=qr, secret=secret)
