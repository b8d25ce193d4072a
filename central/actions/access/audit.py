"""The audit log as people read it: what was asked and what became of it, in one line."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.access.audit import ASKED, LOOKED, REFUSED
from central.actions.access.whose import Instant
from central.actions.action import Context, Params, Result, action
from central.store.schema import audit
from central.store.steps import Statement, Steps, run_steps

Text = Annotated[str, Meta(max_length=128, pattern=r"^[^\u0000]*$")]
SIGNING = ("sign-in", "sign-out")
PHASES = {"changes": ASKED, "looks": LOOKED}


class AuditListParams(Params, frozen=True):
    """`account`: who did it. `kind`: changes, what was refused, looks at personal data, or getting in and out.
    `before`: the last number of the page before; 0 = from the newest."""

    account: Text = ""
    action: Text = ""
    target: Text = ""
    kind: Literal["", "changes", "refused", "looks", "signing"] = ""
    since_ms: Instant = 0
    until_ms: Instant = 0
    before: Annotated[int, Meta(ge=0, le=(1 << 63) - 1)] = 0
    limit: Annotated[int, Meta(ge=1, le=500)] = 50


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """`outcome`: done, failed, refused, looked, or unknown, where the server ended before it knew.
    `was` and `now`: what is different after it."""

    number: int
    at_ms: int
    account: str
    origin: str
    by_token: str
    action: str
    target: str
    outcome: str
    why: str
    params: dict[str, Any]
    was: Any = None
    now: Any = None
    answer: Any = None
    done_number: int = 0
    done_ms: int = 0


class AuditListed(Result, frozen=True):
    """The newest first. `more`: ask on with `before`, the last number."""

    entries: list[AuditEntry]
    more: bool


@action("audit.list", AuditListParams, writes=False)
async def audit_list(context: Context, params: AuditListParams) -> AuditListed:
    """Who asked for what, from where, and what it changed."""
    async with context.database.read() as connection:
        rows: list[Any] = []
        for wanted in _wanted(params):
            query = (await _within(connection, wanted, params)).order_by(audit.c.number.desc())
            rows += (await connection.execute(query.limit(params.limit + 1))).all()
        rows.sort(key=lambda row: -row.number)
        shown = rows[: params.limit]
        after = select(audit).where(audit.c.asked.in_([row.number for row in shown]))
        outcomes = {row.asked: row for row in (await connection.execute(after)).all()}
    entries = [_entry(row, outcomes.get(row.number)) for row in shown]
    return AuditListed(entries=entries, more=len(rows) > params.limit)


def _wanted(params: AuditListParams) -> list[Select[Any]]:
    """One query, or one for each action or way, since no index has the rows of two in their order."""
    query = select(audit).where(audit.c.asked + 0 == 0)  # not by its index: half of all rows ask
    if params.account:
        query = query.where(audit.c.who == params.account)
    if params.target:
        query = query.where(audit.c.target == params.target)
    if params.before:
        query = query.where(audit.c.number < params.before)
    if params.kind == "signing":
        return [query.where(audit.c.action == name) for name in SIGNING if params.action in ("", name)]
    if params.action:
        query = query.where(audit.c.action == params.action)
    if params.kind == "refused":  # at once, or after it was begun
        ends = audit.alias()
        late = select(ends.c.asked).where(ends.c.phase == REFUSED, ends.c.asked > 0)
        return [query.where(audit.c.phase == REFUSED), query.where(audit.c.number.in_(late))]
    return [query.where(audit.c.phase == PHASES[params.kind]) if params.kind else query]


async def _within(connection: AsyncConnection, query: Select[Any], params: AuditListParams) -> Select[Any]:
    """Times as numbers: rows are appended in the order of time, so no index of times is needed."""
    if params.since_ms:
        query = query.where(audit.c.number >= await run_steps(connection, _first_from(params.since_ms)))
    if params.until_ms:
        query = query.where(audit.c.number < await run_steps(connection, _first_from(params.until_ms)))
    return query


def _first_from(at_ms: int) -> Steps[int]:
    """The first number written at this time or later; one past the newest where there is none."""
    newest = yield Statement("SELECT number FROM audit ORDER BY number DESC LIMIT 1")
    low, high = 1, newest[0][0] + 1 if newest else 1
    while low < high:
        middle = (low + high) // 2
        found = yield Statement("SELECT at_ms FROM audit WHERE number = ?", (middle,))
        if found and found[0][0] >= at_ms:
            high = middle
        else:
            low = middle + 1
    return low


def _entry(row: Any, outcome: Any) -> AuditEntry:
    asked = _body(row)
    ended = _body(outcome) if outcome is not None else {}
    whole = asked | ended
    params = asked.get("params", {})
    return AuditEntry(
        number=row.number,
        at_ms=row.at_ms,
        account=row.who,
        origin=row.origin,
        by_token=str(asked.get("by_token", "")),
        action=row.action,
        target=row.target,
        outcome=outcome.phase if outcome is not None else "unknown" if row.phase == ASKED else row.phase,
        why=str(whole.get("why", "")),
        params=params if isinstance(params, dict) else {"": params},
        was=ended.get("was"),
        now=ended.get("now"),
        answer=ended.get("answer"),
        done_number=outcome.number if outcome is not None else 0,
        done_ms=outcome.at_ms if outcome is not None else 0,
    )


def _body(row: Any) -> dict[str, Any]:
    return msgspec.json.decode(row.body, type=dict[str, Any])
