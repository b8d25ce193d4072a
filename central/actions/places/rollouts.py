"""Rollouts: a policy or a change of configurations at chosen gates first, then at all; by date; halted, gone back."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, action
from central.actions.places.gate_configs import changed_config, concerned_gates
from central.actions.places.keeping_back import Despite, require_alone, require_thawed
from central.actions.places.places import must_exist
from central.actions.places.policies import require_fit, written_policy
from central.actions.places.rollout_views import RolloutShown, shown
from central.configs import read_configs
from central.policies import gates_by, versions_everywhere
from central.rollouts.conducting import halt, spread, start, take_back
from central.rollouts.course import State
from central.rollouts.stages import CannotPublish
from central.rollouts.store import (
    CONFIG,
    POLICY,
    Rollout,
    change,
    insert_rollout,
    new_id,
    publishing,
    read_rollout,
    targets,
    under_way,
)
from central.rollouts.watching import holders
from central.store.schema import policies
from protocol.wire import Millis

Gates = Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(max_length=1_000)]
Why = Annotated[str, Meta(max_length=500)]


class RolloutParams(Params, frozen=True):
    """Of a policy (`policy`, `body` as `policy.put` takes it), or of configurations (`gates` or `venue`, `body` as
    `gate.config.put` takes it).

    `first`: these gates get it first, the others once it is sure: none named, all get it at once. `not_before_ms`: 0 is
    now. `soak_minutes`: so long all first gates hold it before it goes on; with `by_hand` a person says when.
    `halt_points`: it halts by itself where so many more of a hundred taps are denied than before, judged from
    `halt_taps` taps on; 0 = never; `goes_back`: the old content is then in force again. `draft`: it is only written.
    """

    body: dict[str, object]
    policy: Annotated[str, Meta(max_length=64)] = ""
    gates: Gates = []
    venue: Annotated[str, Meta(max_length=64)] = ""
    choices: bool = False
    first: Gates = []
    title: Annotated[str, Meta(max_length=200)] = ""
    not_before_ms: Millis = 0
    soak_minutes: Annotated[int, Meta(ge=0, le=20_160)] = 60
    by_hand: bool = False
    halt_points: Annotated[int, Meta(ge=0, le=100)] = 10
    halt_taps: Annotated[int, Meta(ge=1, le=100_000)] = 30
    goes_back: bool = True
    draft: bool = False
    despite_freeze: Despite = ""
    who: str = ""


class GoOnParams(Params, frozen=True):
    """Which one, and an admin's reason where a freeze would keep it back."""

    id: str
    why: Why = ""
    despite_freeze: Despite = ""
    who: str = ""


class HaltParams(Params, frozen=True):
    """Which one, why, and whether the old content shall be in force again."""

    id: str
    why: Why = ""
    back: bool = True
    who: str = ""


class EndParams(Params, frozen=True):
    """Which one, and why."""

    id: str
    why: Why = ""
    who: str = ""


@action("rollout.start", RolloutParams, writes=True)
async def rollout_start(context: Context, params: RolloutParams) -> RolloutShown:
    """Publish by stages: now, at a date, or once somebody says so."""
    if bool(params.policy) == bool(params.gates or params.venue):
        raise ActionFailed("name the policy, or the gates whose configuration it is: one of the two")
    async with context.database.write() as connection:
        await publishing(connection)
        rollout = await _written(context, connection, params)
        await insert_rollout(connection, rollout)
        if not params.draft and params.not_before_ms <= context.now_ms:
            await require_thawed(context, connection, await _next_gates(connection, rollout), params.despite_freeze)
            rollout = await _said(start(connection, context.keys, rollout, context.now_ms, params.who))
        return await shown(connection, rollout, context)


async def _written(context: Context, connection: AsyncConnection, params: RolloutParams) -> Rollout:
    """Raises ActionFailed where it could not be published as things are."""
    concerned = await (_policy if params.policy else _configs)(context, connection, params)
    strangers = sorted(set(params.first) - set(concerned))
    if strangers:
        raise ActionFailed(f"first: {', '.join(strangers)} is none of the gates that it is for")
    if params.despite_freeze:
        await require_thawed(context, connection, concerned, params.despite_freeze)
    is_later = params.draft or params.not_before_ms > context.now_ms
    based_on = (await versions_everywhere(connection, [params.policy]))[params.policy] if params.policy else 0
    rollout = Rollout(
        id=new_id(context.now_ms),
        kind=POLICY if params.policy else CONFIG,
        policy=params.policy,
        gates=[] if params.policy else concerned,
        first_gates=sorted(set(params.first)),
        body=msgspec.to_builtins(params.body),
        choices=params.choices,
        title=params.title,
        state=State.DRAFT if params.draft or not is_later else State.SCHEDULED,
        why="",
        not_before_ms=params.not_before_ms,
        soak_ms=params.soak_minutes * 60_000,
        by_hand=params.by_hand,
        halt_points=params.halt_points,
        halt_taps=params.halt_taps,
        goes_back=params.goes_back,
        despite_freeze=params.despite_freeze,
        based_on=based_on,
        version=0,
        who=params.who,
        created_ms=context.now_ms,
    )
    await _must_be_served(connection, rollout)
    return rollout


async def _policy(context: Context, connection: AsyncConnection, params: RolloutParams) -> list[str]:
    await must_exist(connection, policies, params.policy, "policy")
    if not params.draft:
        require_alone(await under_way(connection, policy=params.policy))
    await require_fit(connection, params.policy, written_policy(params.body), params.choices)
    return list(await gates_by(connection, params.policy))


async def _configs(context: Context, connection: AsyncConnection, params: RolloutParams) -> list[str]:
    concerned = await concerned_gates(connection, params.gates, params.venue)
    if not params.draft:
        require_alone(await under_way(connection, at_gates=concerned))
    for held in (await read_configs(connection, concerned)).values():
        changed_config(held, params.body)
    return concerned


async def _must_be_served(connection: AsyncConnection, rollout: Rollout) -> None:
    """A gate that nobody serves would never hold it, so it would wait there for ever."""
    served = {each.gate for each in await holders(connection, rollout, rollout.first_gates)}
    missing = [gate for gate in rollout.first_gates if gate not in served]
    if missing:
        raise ActionFailed(f"first: {', '.join(missing)} has no active device, so it can try nothing out")


@action("rollout.go-on", GoOnParams, writes=True)
async def rollout_go_on(context: Context, params: GoOnParams) -> RolloutShown:
    """The next stage at once: a draft or a scheduled one begins; from the first gates, and from a halt, it goes to all.
    Who goes on from a halt has seen why: it does not halt by itself again."""

    async def step(connection: AsyncConnection, rollout: Rollout) -> Rollout:
        await require_thawed(context, connection, await _next_gates(connection, rollout), params.despite_freeze)
        if rollout.state in (State.DRAFT, State.SCHEDULED):
            return await start(connection, context.keys, rollout, context.now_ms, params.who)
        return await spread(connection, context.keys, rollout, context.now_ms, params.who, params.why)

    states = (State.DRAFT, State.SCHEDULED, State.FIRST, State.HALTED)
    return await _step(context, params.id, "go on", states, step)


@action("rollout.halt", HaltParams, writes=True)
async def rollout_halt(context: Context, params: HaltParams) -> RolloutShown:
    """It goes no further. With `back` (the default) gates go back to the old content, freeze or no freeze."""

    async def step(connection: AsyncConnection, rollout: Rollout) -> Rollout:
        why = params.why or f"halted by {params.who or 'an operator'}"
        return await halt(connection, context.keys, rollout, context.now_ms, why, back=params.back, who=params.who)

    return await _step(context, params.id, "halt", (State.FIRST, State.ALL), step)


@action("rollout.back", EndParams, writes=True)
async def rollout_back(context: Context, params: EndParams) -> RolloutShown:
    """Put the content of before in force again, as newer, wherever it was put. It is over then. No freeze delays it."""

    async def step(connection: AsyncConnection, rollout: Rollout) -> Rollout:
        return await take_back(connection, context.keys, rollout, context.now_ms, params.who, params.why)

    return await _step(context, params.id, "go back", (State.FIRST, State.ALL, State.HALTED, State.DONE), step)


@action("rollout.withdraw", EndParams, writes=True)
async def rollout_withdraw(context: Context, params: EndParams) -> RolloutShown:
    """Give up one that was not published anywhere yet."""

    async def step(connection: AsyncConnection, rollout: Rollout) -> Rollout:
        now_ms = context.now_ms
        return await change(
            connection, rollout, now_ms, state=State.WITHDRAWN, who=params.who, why=params.why, ended_ms=now_ms
        )

    return await _step(context, params.id, "be withdrawn", (State.DRAFT, State.SCHEDULED), step)


async def _step(
    context: Context,
    id_: str,
    what: str,
    states: tuple[State, ...],
    step: Callable[[AsyncConnection, Rollout], Coroutine[Any, Any, Rollout]],
) -> RolloutShown:
    async with context.database.write() as connection:
        await publishing(connection)
        rollout = await read_rollout(connection, id_)
        if rollout is None:
            raise ActionFailed(f"there is no rollout {id_!r}: see `rollout list`")
        if rollout.state not in states or rollout.back_ms:
            so = "it went back" if rollout.back_ms else f"it is {rollout.state}"
            hint = ": go back from it instead" if what == "be withdrawn" and rollout.is_published else ""
            raise ActionFailed(f"rollout {id_} cannot {what}, {so}{hint}")
        return await shown(connection, await _said(step(connection, rollout)), context)


async def _next_gates(connection: AsyncConnection, rollout: Rollout) -> list[str]:
    """Those that get it by the next step."""
    is_first = rollout.state in (State.DRAFT, State.SCHEDULED) and rollout.first_gates
    return rollout.first_gates if is_first else list(await targets(connection, rollout))


async def _said(step: Coroutine[Any, Any, Rollout]) -> Rollout:
    try:
        return await step
    except CannotPublish as problem:
        raise ActionFailed(str(problem)) from None
