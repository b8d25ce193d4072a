"""Policies: putting one in force, and showing the one that is."""

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.places.keeping_back import Despite, take_turn
from central.actions.places.places import Id
from central.policies import gates_by, put_policy, unable_gates, versions_everywhere
from central.store.schema import gates, policies
from protocol.compiled import CompiledPolicy
from protocol.errors import Refused
from protocol.policy import Policy, kinds_of
from protocol.policy_overlap import shadowed
from protocol.wire import Count

CHOOSING = ("kiosk", "counter")
"""Kinds of gate with a screen on which a person may choose a rule."""


class PolicyParams(Params, frozen=True):
    """A policy's body: a map as in the policy file, without `version`. `choices`: people choose one of its admitting
    rules on a screen; at a kiosk or counter that is so anyway."""

    id: Id
    body: dict[str, object]
    choices: bool = False
    despite_freeze: Despite = ""


class ShowParams(Params, frozen=True):
    """Which policy, and which version of it; 0: the one in force everywhere."""

    id: str = ""
    version: Count = 0


class CheckParams(Params, frozen=True):
    """As `policy.put` takes it; `id` empty: it is no gate's yet."""

    body: dict[str, object]
    id: str = ""
    choices: bool = False


class PolicyChecked(Result, frozen=True):
    """What a gate must be able to evaluate, and the gates that would go by it."""

    rules: int
    kinds: list[str]
    gates: list[str]


class PolicyPut(Result, frozen=True):
    """The version now in force, and the gates that go by it."""

    id: str
    version: int
    gates: list[str]


class PolicyShown(Result, frozen=True):
    """A version, as a map like the file it came from."""

    id: str
    version: int
    at_ms: int
    body: dict[str, object]


@action("policy.put", PolicyParams, writes=True)
async def policy_put(context: Context, params: PolicyParams) -> PolicyPut:
    """Put a policy in force at every gate that goes by it. Refused where a gate's agent cannot evaluate it, within a
    freeze, and while a rollout of it is under way."""
    policy = written_policy(params.body)
    async with context.database.write() as connection:
        concerned = list(await gates_by(connection, params.id))
        await take_turn(context, connection, concerned, params.despite_freeze, policy=params.id)
        await require_fit(connection, params.id, policy, params.choices)
        version = await put_policy(connection, params.id, policy, context.now_ms)
    return PolicyPut(id=params.id, version=version, gates=concerned)


def written_policy(body: dict[str, object]) -> Policy:
    """A policy as people write it. Raises ActionFailed with the path of what is wrong."""
    if "version" in body:
        raise ActionFailed("version: the server numbers policies, leave it out")
    return checked_policy(body, 1)


async def require_fit(connection: AsyncConnection, id_: str, policy: Policy, choices: bool) -> None:
    """Raises ActionFailed where a gate that goes by it could not, or a rule could never decide."""
    await _all_can_evaluate(connection, id_, policy)
    await _all_can_decide(connection, id_, policy, choices)


@action("policy.check", CheckParams, writes=False)
async def policy_check(context: Context, params: CheckParams) -> PolicyChecked:
    """Whether a policy could be put as it is; raises ActionFailed as `policy.put` would."""
    policy = checked_policy(params.body, 1)
    async with context.database.read() as connection:
        await require_fit(connection, params.id, policy, params.choices)
        concerned = list(await gates_by(connection, params.id))
    return PolicyChecked(rules=len(policy.rules), kinds=sorted(kinds_of(policy)), gates=concerned)


async def _all_can_decide(connection: AsyncConnection, id_: str, policy: Policy, choices: bool) -> None:
    """A rule that another one always goes before is a mistake: it would look as if it did something."""
    choosing = select(gates.c.id).where(gates.c.policy == id_, gates.c.kind.in_(CHOOSING)).limit(1)
    choices = choices or (await connection.execute(choosing)).first() is not None
    found = shadowed(policy, choices)
    if found:
        said = "; ".join(f"rule {each.rule!r} can never decide, {each.by!r} always does before it" for each in found)
        hint = "" if choices or policy.session else " (state that people choose on a screen, if they do)"
        raise ActionFailed(f"policy: {said}{hint}")


async def _all_can_evaluate(connection: AsyncConnection, id_: str, policy: Policy) -> None:
    """Never publish what a gate could not evaluate (agents report the kinds of rule that they know)."""
    unable = await unable_gates(connection, id_, policy)
    if unable:
        missing = frozenset().union(*unable.values())
        raise ActionFailed(
            f"policy: {', '.join(sorted(unable))} cannot evaluate rules of kind {', '.join(map(str, sorted(missing)))}:"
            " update these gates' agents first"
        )


def checked_policy(body: dict[str, object], version: int) -> Policy:
    """Raises ActionFailed with the path of what is wrong."""
    try:
        policy = msgspec.convert({**body, "version": version}, Policy)
        CompiledPolicy(policy)
    except msgspec.ValidationError as error:
        raise ActionFailed(f"policy: {error}") from None
    except Refused as refused:
        raise ActionFailed(f"policy: {refused.detail}") from None
    return policy


@action("policy.show", ShowParams, writes=False)
async def policy_show(context: Context, params: ShowParams) -> PolicyShown:
    """The version in force, or an older one. One that is at some gates first is shown by its number."""
    async with context.database.read() as connection:
        version = params.version or (await versions_everywhere(connection, [params.id]))[params.id]
        query = select(policies).where(policies.c.id == params.id, policies.c.version == version)
        row = (await connection.execute(query)).first()
    if row is None and params.version:
        raise ActionFailed(f"policy {params.id!r} never had a version {params.version}: see `policy history`")
    if row is None:
        raise ActionFailed(f"there is no policy {params.id!r}: put one first")
    body = msgspec.msgpack.decode(row.body)
    body.pop("version", None)
    return PolicyShown(id=row.id, version=row.version, at_ms=row.at_ms, body=body)
