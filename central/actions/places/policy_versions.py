"""Policies as they are and were: the list, the history of one, and the difference of two of its texts."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central import toml_text
from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.list_keys import After, key_of, parts_of
from central.actions.places.policies import checked_policy
from central.difference import Line, counts, difference
from central.policies import body_of_version, first_gates_of, read_policy, versions_everywhere
from central.rollouts.store import UNDER_WAY, Rollout, in_states
from central.store.schema import gates, policies, policy_stages, rollouts
from protocol.errors import Refused
from protocol.policy import Policy
from protocol.wire import Count

Limit = Annotated[int, Meta(ge=1, le=200)]


class ListParams(Params, frozen=True):
    """A page of the list, by name. `after`: `next` of the page before."""

    after: After = ""
    limit: Limit = 100


class HistoryParams(Params, frozen=True):
    """Whose history; a page of it, the newest first."""

    id: str
    after: After = ""
    limit: Limit = 20


class DiffParams(Params, frozen=True):
    """From a version (0: the one in force everywhere) to `body`, as `policy.put` takes it, or to the version `to`."""

    id: str
    version: Count = 0
    to: Count = 0
    body: dict[str, object] | None = None


class PolicyLine(msgspec.Struct, frozen=True):
    """One policy. `first_gates` go by `first_version` already; `rollout`: the one that is under way."""

    id: str
    version: int
    at_ms: int
    rules: int
    gates: int
    first_version: int
    first_gates: list[str]
    rollout: str
    rollout_state: str


class PolicyList(Result, frozen=True):
    """By name. `next` empty: there are no more."""

    policies: list[PolicyLine]
    next: str


class VersionLine(msgspec.Struct, frozen=True):
    """One version. `everywhere_ms` 0: it was in force at its first gates alone. `added`, `removed`: lines of its text,
    against the version that was in force everywhere before."""

    version: int
    at_ms: int
    first_gates: list[str]
    everywhere_ms: int
    is_in_force: bool
    added: int
    removed: int
    rollout: str


class PolicyHistory(Result, frozen=True):
    """The newest first. `next` empty: there are no more."""

    id: str
    versions: list[VersionLine]
    next: str


class PolicyDiff(Result, frozen=True):
    """Lines of the text as people edit it; none where nothing differs."""

    id: str
    lines: list[Line]
    added: int
    removed: int


@action("policy.list", ListParams, writes=False)
async def policy_list(context: Context, params: ListParams) -> PolicyList:
    """Every policy with what is in force of it."""
    after = parts_of(params.after, tuple[str])[0] if params.after else ""
    p = policies.c
    query = select(p.id).where(p.id > after).distinct().order_by(p.id).limit(params.limit + 1)
    async with context.database.read() as connection:
        ids = list((await connection.execute(query)).scalars())
        shown = ids[: params.limit]
        lines = await _lines(connection, shown)
    return PolicyList(policies=lines, next=key_of(shown[-1]) if len(ids) > params.limit else "")


async def _lines(connection: AsyncConnection, ids: Sequence[str]) -> list[PolicyLine]:
    p, s, everywhere = policies.c, policy_stages.c, await versions_everywhere(connection, ids)
    held = select(policies).where(p.id.in_(ids), p.version.in_(sorted(everywhere.values())))
    rows = {(row.id, row.version): row for row in await connection.execute(held)}
    first = select(policy_stages).where(s.id.in_(ids), s.all_ms.is_(None)).order_by(s.version)
    staged = {row.id: row for row in await connection.execute(first) if row.version > everywhere[row.id]}
    number = select(gates.c.policy, func.count().label("gates")).where(gates.c.policy.in_(ids)).group_by(gates.c.policy)
    gates_of = {row.policy: int(row.gates) for row in await connection.execute(number)}
    going = {each.policy: each for each in await in_states(connection, UNDER_WAY) if each.policy and not each.back_ms}
    return [
        _line(id_, rows.get((id_, everywhere[id_])), staged.get(id_), gates_of.get(id_, 0), going.get(id_))
        for id_ in ids
    ]


def _line(id_: str, row: Any, staged: Any, gates_of: int, rollout: Rollout | None) -> PolicyLine:
    return PolicyLine(
        id=id_,
        version=row.version if row else 0,
        at_ms=row.at_ms if row else 0,
        rules=len(msgspec.msgpack.decode(row.body)["rules"]) if row else 0,
        gates=gates_of,
        first_version=staged.version if staged else 0,
        first_gates=sorted(first_gates_of(staged.first_gates)) if staged else [],
        rollout=rollout.id if rollout else "",
        rollout_state=rollout.state.value if rollout else "",
    )


@action("policy.history", HistoryParams, writes=False)
async def policy_history(context: Context, params: HistoryParams) -> PolicyHistory:
    """Every version that was ever put in force."""
    p, s = policies.c, policy_stages.c
    query = select(p.version, p.at_ms, p.body, s.first_gates, s.all_ms).where(p.id == params.id)
    query = query.outerjoin(policy_stages, (s.id == p.id) & (s.version == p.version)).order_by(p.version.desc())
    if params.after:
        query = query.where(p.version < parts_of(params.after, tuple[int])[0])
    r = rollouts.c
    by = select(r.version, r.id).where(r.policy == params.id, r.version > 0)
    async with context.database.read() as connection:
        rows = (await connection.execute(query.limit(params.limit + 1))).all()
        if not rows and not params.after:
            raise ActionFailed(f"there is no policy {params.id!r}: put one first")
        in_force = (await versions_everywhere(connection, [params.id]))[params.id]
        made_by = dict((await connection.execute(by)).all())
    lines = [_version(row, rows[at + 1 :], in_force, made_by) for at, row in enumerate(rows[: params.limit])]
    return PolicyHistory(
        id=params.id, versions=lines, next=key_of(rows[-2].version) if len(rows) > params.limit else ""
    )


def _version(row: Any, older: Any, in_force: int, made_by: Mapping[int, str]) -> VersionLine:
    before = next((each for each in older if each.first_gates is None or each.all_ms is not None), None)
    added, removed = counts(difference(_text_in(before.body) if before else "", _text_in(row.body)))
    is_staged = row.first_gates is not None
    return VersionLine(
        version=row.version,
        at_ms=row.at_ms,
        first_gates=sorted(first_gates_of(row.first_gates)) if is_staged else [],
        everywhere_ms=(row.all_ms or 0) if is_staged else row.at_ms,
        is_in_force=row.version == in_force or (is_staged and row.all_ms is None and row.version > in_force),
        added=added,
        removed=removed,
        rollout=made_by.get(row.version, ""),
    )


@action("policy.diff", DiffParams, writes=False)
async def policy_diff(context: Context, params: DiffParams) -> PolicyDiff:
    """What differs, as lines. A body has to be one that could be put."""
    if params.body is None and not params.to:
        raise ActionFailed("to: say what to compare with, a body or a version")
    async with context.database.read() as connection:
        version = params.version or (await versions_everywhere(connection, [params.id]))[params.id]
        old = await _text_of(connection, params.id, version) if version else ""
        new = await _text_of(connection, params.id, params.to) if params.body is None else ""
    if params.body is not None:
        new = text_of(checked_policy(params.body, 1))
    lines = difference(old, new)
    added, removed = counts(lines)
    return PolicyDiff(id=params.id, lines=lines, added=added, removed=removed)


async def _text_of(connection: AsyncConnection, id_: str, version: int) -> str:
    body = await body_of_version(connection, id_, version)
    if body is None:
        raise ActionFailed(f"policy {id_!r} never had a version {version}: see `policy history`")
    return _text_in(body)


def _text_in(body: bytes) -> str:
    try:
        return text_of(read_policy(body))
    except Refused:  # an earlier version let it be put
        return toml_text.write(msgspec.msgpack.decode(body))


def text_of(policy: Policy) -> str:
    """As people edit it: without its number, and without what is as it is by default."""
    body = toml_text.spare(policy)
    body.pop("version", None)
    return toml_text.write(body)
