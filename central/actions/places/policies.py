"""Policies: putting one in force, and showing the one that is."""

import msgspec
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.places.places import Id, NamedParams
from central.store.schema import devices, gates, policies
from central.wakeups import note, policy_topic
from protocol.compiled import CompiledPolicy
from protocol.errors import Refused
from protocol.messages import Poll, decode, encode
from protocol.policy import Policy, kinds_of
from protocol.policy_overlap import shadowed

CHOOSING = ("kiosk", "counter")
"""Kinds of gate with a screen on which a person may choose a rule."""


class PolicyParams(Params, frozen=True):
    """A policy's body: a map as in the policy file, without `version`. `choices`: people choose one of its admitting
    rules on a screen; at a kiosk or counter that is so anyway."""

    id: Id
    body: dict[str, object]
    choices: bool = False


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
    """The version in force, as a map like the file it came from."""

    id: str
    version: int
    at_ms: int
    body: dict[str, object]


@action("policy.put", PolicyParams, writes=True)
async def policy_put(context: Context, params: PolicyParams) -> PolicyPut:
    """Put a policy in force at every gate that goes by it. Refused where a gate's agent cannot evaluate it."""
    if "version" in params.body:
        raise ActionFailed("version: the server numbers policies, leave it out")
    async with context.database.write() as connection:
        newest = select(func.max(policies.c.version)).where(policies.c.id == params.id)
        version = max(((await connection.execute(newest)).scalar() or 0) + 1, context.now_ms)
        policy = checked_policy(params.body, version)
        await _all_can_evaluate(connection, params.id, policy)
        await _all_can_decide(connection, params.id, policy, params.choices)
        body = encode(policy)
        values = {"id": params.id, "version": version, "at_ms": context.now_ms, "body": body}
        await connection.execute(insert(policies).values(values))
        concerned = await _gates_of(connection, params.id)
        await note(connection, [policy_topic(params.id)])
    return PolicyPut(id=params.id, version=version, gates=concerned)


@action("policy.check", CheckParams, writes=False)
async def policy_check(context: Context, params: CheckParams) -> PolicyChecked:
    """Whether a policy could be put as it is; raises ActionFailed as `policy.put` would."""
    policy = checked_policy(params.body, 1)
    async with context.database.read() as connection:
        await _all_can_evaluate(connection, params.id, policy)
        await _all_can_decide(connection, params.id, policy, params.choices)
        concerned = await _gates_of(connection, params.id)
    return PolicyChecked(rules=len(policy.rules), kinds=sorted(kinds_of(policy)), gates=concerned)


async def _gates_of(connection: AsyncConnection, id_: str) -> list[str]:
    query = select(gates.c.id).where(gates.c.policy == id_).order_by(gates.c.id)
    return list((await connection.execute(query)).scalars())


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
    kinds = kinds_of(policy)
    query = select(gates.c.id, devices.c.report).join(devices, devices.c.gate == gates.c.id)
    query = query.where(gates.c.policy == id_, devices.c.state == "active", devices.c.report.is_not(None))
    unable = {}
    for gate, report in await connection.execute(query):
        missing = kinds - frozenset(decode(Poll, report).understands)
        if missing:
            unable[gate] = missing
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


@action("policy.show", NamedParams, writes=False)
async def policy_show(context: Context, params: NamedParams) -> PolicyShown:
    """The version in force."""
    query = select(policies).where(policies.c.id == params.id).order_by(policies.c.version.desc()).limit(1)
    async with context.database.read() as connection:
        row = (await connection.execute(query)).first()
    if row is None:
        raise ActionFailed(f"there is no policy {params.id!r}: put one first")
    body = msgspec.msgpack.decode(row.body)
    body.pop("version", None)
    return PolicyShown(id=row.id, version=row.version, at_ms=row.at_ms, body=body)
