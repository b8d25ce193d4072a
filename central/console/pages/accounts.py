"""Accounts: who may get in, as what, and where; and what systems get in with."""

from typing import Any

from central.access.caller import Role
from central.actions.action import ActionFailed
from central.console.page import _N, Asking, Page, See, form, page
from central.console.rendering import url
from central.console.titles import venues_of
from central.console.words import say

AT_ONCE = 100
DAYS = 90
"""How long a token is good unless somebody says otherwise."""
ROLES = {
    Role.OPERATOR: (_N("Venue operator"), _N("Gates, devices, staff and cards of own venues.")),
    Role.COORDINATOR: (_N("Volunteer coordinator"), _N("Sessions, sheets and honour cards of own teams.")),
    Role.ADMIN: (_N("Admin"), _N("Everything, everywhere.")),
    Role.AUDITOR: (_N("Auditor"), _N("Reads everything, changes nothing.")),
}
STATES = {"active": ("good", _N("active")), "disabled": ("off", _N("disabled"))}
TOKEN_STATES = {"active": ("good", _N("active")), "over": ("off", _N("run out")), "revoked": ("bad", _N("revoked"))}


@page("/accounts", needs="account.list", nav=(_N("Accounts"), 80))
async def accounts(ask: Asking) -> Page:
    """Everybody, and the form for somebody new."""
    after = ask.query.get("after", "")
    listed = await ask("account.list", after=after, limit=AT_ONCE)
    more = url("/accounts", after=listed.accounts[-1].account) if listed.more else ""
    return Page(
        "accounts.html",
        rows=listed.accounts,
        more=more,
        first=url("/accounts") if after else "",
        roles=ROLES,
        states=STATES,
        **await _places(ask),
    )


@form("/accounts", needs="account.add", again=accounts)
async def add(ask: Asking) -> Page:
    """The password is shown on the page that answers, and on no other."""
    made = await ask(
        "account.add",
        account=ask.form.get("account", "").strip().lower(),
        title=ask.form.get("title", "").strip(),
        roles=_roles(ask),
        venues=ask.form.all("venues"),
        teams=ask.form.all("teams"),
        **proof_of(ask),
    )
    return Page("account_password.html", account=made.account, password=made.password, new=True)


@page("/accounts/{account}", needs="account.list")
async def account(ask: Asking) -> Page:
    """One account, its sessions, its tokens, and what it did last."""
    name = ask.path["account"]
    shown = (await ask("account.show", account=name)).account
    sessions = (await ask("session.list", account=name)).sessions
    tokens = await ask("token.list", account=name, limit=AT_ONCE)
    return Page(
        "account.html",
        row=shown,
        sessions=sessions,
        tokens=tokens.tokens,
        roles=ROLES,
        states=STATES,
        token_states=TOKEN_STATES,
        is_sent=bool(ask.form),
        **await _places(ask),
    )


@form("/accounts/{account}", needs="account.set", again=account)
async def change(ask: Asking) -> See:
    """All that can be changed stands in one form."""
    await ask(
        "account.set",
        account=ask.path["account"],
        title=ask.form.get("title", "").strip(),
        roles=_roles(ask),
        venues=ask.form.all("venues"),
        teams=ask.form.all("teams"),
        state=ask.form.get("state", "active"),
        **proof_of(ask),
    )
    return See(f"/accounts/{ask.path['account']}", _N("The account is changed, and its sessions ended."))


@form("/accounts/{account}/reset", needs="account.reset", again=account)
async def reset(ask: Asking) -> Page:
    """A new password, shown once."""
    made = await ask("account.reset", account=ask.path["account"], **proof_of(ask))
    return Page("account_password.html", account=made.account, password=made.password, new=False)


@form("/accounts/{account}/unlock", needs="account.unlock", again=account)
async def unlock(ask: Asking) -> See:
    """Failed sign-ins are forgotten."""
    await ask("account.unlock", account=ask.path["account"])
    return See(f"/accounts/{ask.path['account']}", _N("The account may try again at once."))


@form("/accounts/{account}/no-codes", needs="account.set", again=account)
async def no_codes(ask: Asking) -> See:
    """Its phone was lost."""
    await ask("account.totp.remove", account=ask.path["account"], **proof_of(ask))
    return See(f"/accounts/{ask.path['account']}", _N("No code is asked for any more."))


@form("/accounts/{account}/sessions", needs="account.set", again=account)
async def end(ask: Asking) -> See:
    """Signed out everywhere."""
    await ask("account.show", account=ask.path["account"])
    await ask("session.end", account=ask.path["account"])
    return See(f"/accounts/{ask.path['account']}", _N("Its sessions ended."))


# --- tokens -----------------------------------------------------------------------------------------------------


SCOPES = (
    ("", _N("For actions of its account")),
    ("entitlement", _N("Another city system: is a card good for a class")),
    ("citizen", _N("Another city system: what citizens who are signed in there see of themselves")),
    ("feed", _N("Another city system: pulls a feed of events")),
)


@page("/tokens", needs="token.list", nav=(_N("API tokens"), 81))
async def tokens(ask: Asking) -> Page:
    """The own ones; for admins and auditors all."""
    after = ask.query.get("after", "")
    listed = await ask("token.list", after=after, limit=AT_ONCE)
    return Page(
        "tokens.html",
        rows=listed.tokens,
        more=url("/tokens", after=listed.tokens[-1].id) if listed.more else "",
        first=url("/tokens") if after else "",
        token_states=TOKEN_STATES,
        days=DAYS,
        for_others=ask.may("account.list") and ask.may("account.set"),
        scope_choices=[(scope, say(ask.lang, text)) for scope, text in SCOPES],
    )


@form("/tokens", needs="token.issue", again=tokens)
async def issue(ask: Asking) -> Page:
    """The token is shown on the page that answers, and on no other."""
    names = ask.form.get("actions", "").replace(",", " ").split()
    made = await ask(
        "token.issue",
        id=ask.form.get("id", "").strip().lower(),
        days=ask.form.number("days", 0),
        account=ask.form.get("account", "").strip().lower(),
        actions=names,
        scopes=[scope for scope in (ask.form.get("scope", ""),) if scope],
        **proof_of(ask),
    )
    return Page("token.html", made=made)


@form("/tokens/{id}/revoke", needs="token.revoke", again=tokens)
async def revoke(ask: Asking) -> See:
    """At once and for good."""
    await ask("token.revoke", id=ask.path["id"])
    return See("/tokens", _N("The token lets nobody in any more."))


def proof_of(ask: Asking) -> dict[str, str]:
    """What the person proves once more to be the one who signed in."""
    return {"own_password": ask.form.get("password", ""), "own_code": ask.form.get("code", "")}


def _roles(ask: Asking) -> list[str]:
    chosen = ask.form.all("roles")
    if not chosen:
        raise ActionFailed(say(ask.lang, "Choose at least one role."))
    return chosen


async def _places(ask: Asking) -> dict[str, Any]:
    teams = (await ask("volunteer.team.list")).teams if ask.may("volunteer.team.list") else []
    named = {team.id: (team.title_en if ask.lang == "en" and team.title_en else team.title_zh) for team in teams}
    return {"venues": await venues_of(ask), "teams": named}
