"""Rollouts go on by themselves: a task of each server, one short transaction a step.

Many servers on one database look at the same rollouts; whoever has the turn takes the step, the others find it taken.
"""

import asyncio
import time
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from central.keys import Keys
from central.rollouts.course import OPEN, Next, State, Step, next_step
from central.rollouts.stages import CannotPublish, begin, go_back, go_on
from central.rollouts.store import Rollout, change, in_states, publishing, read_rollout, under_way
from central.rollouts.watching import known_of
from central.store.database import Database

LOOK_EVERY_S = 8.0

log = structlog.get_logger()


async def rollouts_for_ever(database: Database, keys: Keys) -> None:
    """Until cancelled. An idle look is one small query."""
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        try:
            await conduct(database, keys, time.time_ns() // 1_000_000)
        except Exception as error:  # the next look finds the same ones; never its text, which may quote a row
            log.error("rollouts-not-looked-at", error=type(error).__name__)


async def conduct(database: Database, keys: Keys, now_ms: int) -> int:
    """Every step that is due now. One that fails holds up no other. Returns how many were taken."""
    async with database.read() as connection:
        due = []
        for rollout in await in_states(connection, OPEN):
            found = next_step(rollout.plan, await known_of(connection, rollout, now_ms), now_ms)
            if found.step is not Step.WAIT:
                due.append(rollout.id)
    taken = 0
    for id_ in due:
        try:
            taken += await _step(database, keys, id_, now_ms)
        except Exception as error:
            log.error("rollout-step-failed", rollout=id_, error=type(error).__name__)
    return taken


async def _step(database: Database, keys: Keys, id_: str, now_ms: int) -> bool:
    """The same once more where nobody else can act, then the step itself."""
    try:
        async with database.write() as connection:
            await publishing(connection)
            rollout = await read_rollout(connection, id_)
            if rollout is None or rollout.state not in OPEN:
                return False
            found = next_step(rollout.plan, await known_of(connection, rollout, now_ms), now_ms)
            if found.step is Step.WAIT:
                return False
            await _take(connection, keys, rollout, found, now_ms)
    except CannotPublish as problem:
        async with database.write() as connection:
            await publishing(connection)
            rollout = await read_rollout(connection, id_)
            if rollout is not None and rollout.state in OPEN:
                await stop(connection, rollout, now_ms, str(problem))
    log.info("rollout-step", rollout=id_)
    return True


async def _take(connection: AsyncConnection, keys: Keys, rollout: Rollout, found: Next, now_ms: int) -> None:
    if found.step is Step.BEGIN:
        await start(connection, keys, rollout, now_ms)
    elif found.step is Step.HELD:
        await change(connection, rollout, now_ms, what="held", held_ms=now_ms)
    elif found.step is Step.GO_ON:
        await spread(connection, keys, rollout, now_ms)
    elif found.step is Step.HALT:
        await halt(connection, keys, rollout, now_ms, found.why, back=rollout.goes_back)
    elif found.step is Step.DONE:
        await change(connection, rollout, now_ms, state=State.DONE, why=found.why, ended_ms=now_ms)


# --- the steps, for people too ------------------------------------------------------------------------------------


async def start(connection: AsyncConnection, keys: Keys, rollout: Rollout, now_ms: int, who: str = "") -> Rollout:
    """From a draft or a schedule: at the first gates, or at all at once. Raises CannotPublish."""
    at_gates = () if rollout.is_policy else rollout.gates
    other = await under_way(connection, policy=rollout.policy, at_gates=at_gates, but=rollout.id)
    if other is not None:
        raise CannotPublish(f"rollout {other.id} is under way ({other.state})")
    version = await begin(connection, keys, rollout, now_ms)
    if rollout.first_gates:
        return await change(connection, rollout, now_ms, state=State.FIRST, who=who, version=version, first_ms=now_ms)
    return await change(connection, rollout, now_ms, state=State.ALL, who=who, version=version, all_ms=now_ms)


async def spread(
    connection: AsyncConnection, keys: Keys, rollout: Rollout, now_ms: int, who: str = "", why: str = ""
) -> Rollout:
    """From the first gates to all. Raises CannotPublish."""
    if not rollout.all_ms:
        await go_on(connection, keys, rollout, now_ms)
    values: dict[str, Any] = {"all_ms": rollout.all_ms or now_ms}
    if rollout.state is State.HALTED:  # who goes on from there has seen it: it does not halt by itself again
        values["halt_points"] = 0
    return await change(connection, rollout, now_ms, state=State.ALL, who=who, why=why, **values)


async def halt(
    connection: AsyncConnection, keys: Keys, rollout: Rollout, now_ms: int, why: str, *, back: bool, who: str = ""
) -> Rollout:
    """It does not go on; with `back` the old content is in force again. Where that cannot be, it says so and halts."""
    if back:
        try:
            async with connection.begin_nested():  # all of it or nothing
                await go_back(connection, keys, rollout, now_ms)
        except CannotPublish as problem:
            why, back = f"{why}; it could not go back: {problem}", False
    halted = await change(connection, rollout, now_ms, state=State.HALTED, who=who, why=why)
    if back:
        halted = await change(connection, halted, now_ms, what="back", who=who, back_ms=now_ms, ended_ms=now_ms)
    return halted


async def end_all(connection: AsyncConnection, keys: Keys, now_ms: int, why: str) -> None:
    """None goes on by itself: those that wait are drafts again, those at some gates alone go back."""
    for rollout in await in_states(connection, (State.SCHEDULED, State.FIRST, State.HALTED)):
        if rollout.state is State.SCHEDULED:
            await stop(connection, rollout, now_ms, why)
        elif not rollout.back_ms:
            await halt(connection, keys, rollout, now_ms, why, back=True)


async def stop(connection: AsyncConnection, rollout: Rollout, now_ms: int, why: str) -> Rollout:
    """It could not be published: a draft again, or halted where some gates have it."""
    state = State.HALTED if rollout.is_published else State.DRAFT
    return await change(connection, rollout, now_ms, state=state, why=why)


async def take_back(
    connection: AsyncConnection, keys: Keys, rollout: Rollout, now_ms: int, who: str = "", why: str = ""
) -> Rollout:
    """The old content is in force again, and the rollout is over. Raises CannotPublish."""
    await go_back(connection, keys, rollout, now_ms)
    taken = await change(connection, rollout, now_ms, what="back", who=who, why=why, back_ms=now_ms, ended_ms=now_ms)
    return await change(connection, taken, now_ms, state=State.WITHDRAWN, who=who, why=why)
