"""What is known of a rollout: who has taken it up, who cannot, and how many taps were denied before and since."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from sqlalchemy import case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.configs import read_configs
from central.policies import versions_everywhere
from central.rollouts.course import Known, Plan, State, Uptake
from central.rollouts.frozen import frozen_now
from central.rollouts.halting import Tally, Window, before, expected, since
from central.rollouts.store import Rollout, targets
from central.store.schema import devices, events, rollout_gates
from protocol.messages import Kind, Outcome, PartName, Poll, decode


class Holder(NamedTuple):
    """An active device of a gate, and what it said in its newest poll. `wanted`: the version that it should hold; 0 =
    none of this rollout. `held` 0: it holds none, or was not heard of."""

    device: str
    gate: str
    seen_ms: int
    held: int
    wanted: int
    trouble: str

    @property
    def holds(self) -> bool:
        return bool(self.wanted) and self.held >= self.wanted


async def holders(connection: AsyncConnection, rollout: Rollout, at_gates: Collection[str]) -> list[Holder]:
    """By gate and device."""
    wanted = await _wanted(connection, rollout, at_gates)
    part = PartName.POLICY if rollout.is_policy else PartName.CONFIG
    d = devices.c
    query = select(d.id, d.gate, d.seen_ms, d.report).where(d.state == "active", d.gate.in_(sorted(at_gates)))
    rows = await connection.execute(query.order_by(d.gate, d.id))
    return [_holder(row, part, wanted.get(row.gate, 0)) for row in rows]


def _holder(row: Any, part: str, wanted: int) -> Holder:
    poll = decode(Poll, row.report) if row.report else None
    held = next((each.version for each in poll.parts if each.name == part), 0) if poll else 0
    said = [each.why for each in poll.troubles if each.part == part and each.version >= wanted] if poll else []
    return Holder(row.id, row.gate, row.seen_ms or 0, held, wanted, said[0] if wanted and said else "")


async def _wanted(connection: AsyncConnection, rollout: Rollout, at_gates: Collection[str]) -> dict[str, int]:
    """By gate where it is in force, its version there; where it was gone back from, the version that came after it."""
    if rollout.back_ms:
        return await _returned(connection, rollout, at_gates)
    if not rollout.is_policy:
        c = rollout_gates.c
        query = select(c.gate, c.version).where(c.rollout == rollout.id)
        return dict((await connection.execute(query)).all())
    where = at_gates if rollout.all_ms else rollout.first_gates if rollout.first_ms else ()
    return dict.fromkeys(where, rollout.version)


async def _returned(connection: AsyncConnection, rollout: Rollout, at_gates: Collection[str]) -> dict[str, int]:
    if not rollout.is_policy:
        query = select(rollout_gates.c.gate).where(rollout_gates.c.rollout == rollout.id)
        had = list((await connection.execute(query)).scalars())
        return {gate: held.version for gate, held in (await read_configs(connection, had)).items()}
    version = (await versions_everywhere(connection, [rollout.policy]))[rollout.policy]
    return dict.fromkeys(at_gates if rollout.all_ms else rollout.first_gates, version)


def uptake(found: Collection[Holder]) -> Uptake:
    """Of the devices that should hold it."""
    asked = [each for each in found if each.wanted]
    refused = tuple(f"{each.gate} could not take it up: {each.trouble}" for each in asked if each.trouble)
    return Uptake(len(asked), sum(each.holds for each in asked), refused)


# --- taps -------------------------------------------------------------------------------------------------------


async def tally(connection: AsyncConnection, at_gates: Collection[str], window: Window) -> Tally:
    """Taps in a time by the gates' clocks, without repeats; those in custody as untrusted or refused do not count."""
    e = events.c
    denied = func.sum(case((e.decision == Outcome.DENIED.value, 1), else_=0))
    query = select(func.count(), denied).where(
        *(e.gate.in_(sorted(at_gates)), e.at_ms >= window.from_ms, e.at_ms < window.until_ms),
        *(e.kind == Kind.TAP.value, e.repeat_of == 0, e.outcome == "accepted"),
    )
    taps, no = (await connection.execute(query)).one()
    return Tally(taps, no or 0)


async def compared(
    connection: AsyncConnection, plan: Plan, at_gates: Collection[str], now_ms: int
) -> tuple[Tally, Tally]:
    """Before the publication and since."""
    window = since(plan.published_ms, now_ms, len(at_gates))
    now = await tally(connection, at_gates, window)
    were: list[Tally] = []
    for each in before(plan.published_ms, window, len(at_gates)):
        were.append(await tally(connection, at_gates, each))
        if were[-1].taps >= plan.rule.taps:
            break
    return expected(were, plan.rule), now


# --- together ---------------------------------------------------------------------------------------------------


def watched(rollout: Rollout, every: Mapping[str, str]) -> list[str]:
    """The gates where it is in force, of all that it is for."""
    if rollout.state is State.ALL or rollout.all_ms:
        return list(every)
    return [gate for gate in rollout.first_gates if gate in every]


async def known_of(
    connection: AsyncConnection, rollout: Rollout, now_ms: int, of_all: Collection[Holder] | None = None
) -> Known:
    """Everything that the next step follows from. `of_all`: the holders of every gate, where they were read already."""
    every = await targets(connection, rollout)
    at_gates = watched(rollout, every)
    found = uptake(await holders(connection, rollout, at_gates) if of_all is None else of_all)
    was, now = Tally(), Tally()
    if rollout.is_published:
        was, now = await compared(connection, rollout.plan, at_gates, now_ms)
    held_back = None
    if not rollout.despite_freeze:
        concerned = rollout.first_gates if rollout.state is State.SCHEDULED and rollout.first_gates else every
        held_back = await frozen_now(connection, concerned, now_ms)
    return Known(
        *(found, was, now),
        *((held_back.told, held_back.until_ms) if held_back else ("", 0)),
        is_superseded=await is_superseded(connection, rollout),
    )


async def is_superseded(connection: AsyncConnection, rollout: Rollout) -> bool:
    """A newer version of its policy is in force everywhere."""
    if not rollout.is_policy or not rollout.version:
        return False
    return (await versions_everywhere(connection, [rollout.policy]))[rollout.policy] > rollout.version
