"""Rollouts as they stand in the database."""

import secrets
from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.rollouts.course import Plan, State
from central.rollouts.halting import HaltRule
from central.store.schema import gates, rollout_steps, rollouts

_TURN = 0x7461_7072  # of PostgreSQL's advisory lock: "tapr"
_r = rollouts.c

POLICY, CONFIG = "policy", "config"
UNDER_WAY = (State.SCHEDULED, State.FIRST, State.HALTED)
"""What is put beside a rollout in these states would be lost, or would be half of both; one that went back is over. A
change of configurations takes nothing away before it begins."""


class Rollout(msgspec.Struct, frozen=True):
    """A row of `rollouts`, its lists and its body read."""

    id: str
    kind: str
    policy: str
    gates: list[str]
    first_gates: list[str]
    body: dict[str, Any]
    choices: bool
    title: str
    state: State
    why: str
    not_before_ms: int
    soak_ms: int
    by_hand: bool
    halt_points: int
    halt_taps: int
    goes_back: bool
    despite_freeze: str
    based_on: int
    version: int
    who: str
    created_ms: int
    first_ms: int = 0
    held_ms: int = 0
    all_ms: int = 0
    ended_ms: int = 0
    back_ms: int = 0

    @property
    def is_policy(self) -> bool:
        return self.kind == POLICY

    @property
    def is_published(self) -> bool:
        """At some gates at least."""
        return bool(self.first_ms or self.all_ms)

    @property
    def plan(self) -> Plan:
        """As the rules of its course take it."""
        return Plan(
            *(self.state, self.not_before_ms, self.soak_ms, self.by_hand, HaltRule(self.halt_points, self.halt_taps)),
            *(self.first_ms, self.held_ms, self.all_ms),
        )


def new_id(now_ms: int) -> str:
    """Begins with the time, so that rows lie in order."""
    return f"{now_ms:012x}{secrets.token_hex(5)}"


async def publishing(connection: AsyncConnection) -> None:
    """Until the transaction ends nobody else puts a policy or a configuration in force. The first lock of a
    transaction. SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text(f"SELECT pg_advisory_xact_lock({_TURN})"))


async def read_rollout(connection: AsyncConnection, id_: str) -> Rollout | None:
    """None: there is no such one."""
    row = (await connection.execute(select(rollouts).where(_r.id == id_))).mappings().first()
    return None if row is None else rollout_of(row)


async def in_states(connection: AsyncConnection, states: Collection[State]) -> list[Rollout]:
    """The oldest first."""
    query = select(rollouts).where(_r.state.in_([state.value for state in states])).order_by(_r.id)
    return [rollout_of(row) for row in (await connection.execute(query)).mappings()]


async def under_way(
    connection: AsyncConnection, *, policy: str = "", at_gates: Collection[str] = (), but: str = ""
) -> Rollout | None:
    """One of this policy, or of the configuration of any of these gates, beside which nothing else is put."""
    for each in await in_states(connection, UNDER_WAY):
        if each.id == but or each.back_ms:
            continue
        is_begun = each.state is not State.SCHEDULED
        if each.policy == policy if each.is_policy else is_begun and set(each.gates) & set(at_gates):
            return each
    return None


def rollout_of(row: Any) -> Rollout:
    """A row's mapping."""
    values = dict(row)
    for name in ("gates", "first_gates"):
        values[name] = msgspec.json.decode(values[name], type=list[str])
    values["body"] = msgspec.msgpack.decode(values["body"])
    values["state"] = State(values["state"])
    return Rollout(**values)


async def insert_rollout(connection: AsyncConnection, rollout: Rollout) -> None:
    """A new one, with its first step."""
    values = msgspec.structs.asdict(rollout)
    values["gates"] = msgspec.json.encode(rollout.gates).decode()
    values["first_gates"] = msgspec.json.encode(rollout.first_gates).decode()
    values["body"] = msgspec.msgpack.encode(rollout.body)
    values["state"] = rollout.state.value
    await connection.execute(insert(rollouts).values(values))
    await note_step(connection, rollout.id, rollout.state.value, rollout.created_ms, rollout.who)


async def change(
    connection: AsyncConnection,
    rollout: Rollout,
    now_ms: int,
    *,
    state: State | None = None,
    what: str = "",
    who: str = "",
    why: str = "",
    **values: Any,
) -> Rollout:
    """Another state, or something that is known of it now, with the step that says so. Returns it as it is then."""
    if state is not None:
        values |= {"state": state.value, "why": why}
    await connection.execute(update(rollouts).where(_r.id == rollout.id).values(values))
    await note_step(connection, rollout.id, what or (state.value if state else ""), now_ms, who, why)
    changed = await read_rollout(connection, rollout.id)
    assert changed is not None
    return changed


async def note_step(
    connection: AsyncConnection, id_: str, what: str, now_ms: int, who: str = "", why: str = ""
) -> None:
    """Append to what became of it."""
    newest = select(func.max(rollout_steps.c.place)).where(rollout_steps.c.rollout == id_)
    place = ((await connection.execute(newest)).scalar() or 0) + 1
    values = {"rollout": id_, "place": place, "at_ms": now_ms, "what": what, "who": who, "why": why}
    await connection.execute(insert(rollout_steps).values(values))


async def steps_of(connection: AsyncConnection, id_: str) -> Sequence[Any]:
    """In their order."""
    query = select(rollout_steps).where(rollout_steps.c.rollout == id_).order_by(rollout_steps.c.place)
    return (await connection.execute(query)).all()


async def targets(connection: AsyncConnection, rollout: Rollout) -> dict[str, str]:
    """By gate, in the order of their names, the venue: every gate that it is for."""
    query = select(gates.c.id, gates.c.venue).order_by(gates.c.id)
    query = query.where(gates.c.policy == rollout.policy if rollout.is_policy else gates.c.id.in_(rollout.gates))
    return {row.id: row.venue for row in await connection.execute(query)}
