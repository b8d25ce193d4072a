"""Putting what a rollout holds in force: at its first gates, at all, and the old content again. Within a transaction
that has the turn of `store.publishing`.
"""

import msgspec
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed
from central.actions.places.gate_configs import body_of, changed_config
from central.configs import ConfigPayload, payload_of, put_config, read_configs
from central.keys import Keys
from central.policies import (
    body_of_version,
    gates_by,
    put_everywhere,
    put_policy,
    read_policy,
    unable_gates,
    versions_everywhere,
)
from central.rollouts.store import Rollout, targets
from central.store.schema import gate_configs, policies, policy_stages, rollout_gates
from protocol.errors import Refused
from protocol.messages import Ages, GateConfig
from protocol.policy import Policy


class CannotPublish(Exception):
    """Nothing was put in force. The text says why, for a person."""


async def begin(connection: AsyncConnection, keys: Keys, rollout: Rollout, now_ms: int) -> int:
    """At the first gates, or where there are none, at all. Returns the policy's version; 0 of a configuration.

    Raises CannotPublish.
    """
    if not rollout.is_policy:
        wanted = rollout.first_gates or list(await targets(connection, rollout))
        if not await _configure(connection, keys, rollout, wanted, now_ms):
            raise CannotPublish(f"{', '.join(wanted[:5])}: the configuration is so already, nothing would change")
        return 0
    if not await _is_as_it_was(connection, rollout):
        raise CannotPublish("the policy was changed since this was written: look at the difference and start another")
    policy = await _evaluable(connection, rollout)
    missing = sorted(set(rollout.first_gates) - set(await gates_by(connection, rollout.policy)))
    if missing:
        raise CannotPublish(f"{', '.join(missing)} no longer goes by {rollout.policy}")
    return await put_policy(connection, rollout.policy, policy, now_ms, rollout.first_gates)


async def go_on(connection: AsyncConnection, keys: Keys, rollout: Rollout, now_ms: int) -> None:
    """Everywhere, after the first gates. Raises CannotPublish."""
    if rollout.is_policy:
        await _evaluable(connection, rollout)
        await put_everywhere(connection, rollout.policy, rollout.version, now_ms)
        return
    rest = [gate for gate in await targets(connection, rollout) if gate not in rollout.first_gates]
    await _configure(connection, keys, rollout, rest, now_ms)


async def go_back(connection: AsyncConnection, keys: Keys, rollout: Rollout, now_ms: int) -> None:
    """The content of before, as newer, wherever it was put in force. Raises CannotPublish."""
    if rollout.is_policy:
        await _policy_back(connection, rollout, now_ms)
        return
    c = rollout_gates.c
    rows = (await connection.execute(select(rollout_gates).where(c.rollout == rollout.id).order_by(c.gate))).all()
    held = await read_configs(connection, [row.gate for row in rows])
    for row in rows:
        put = await _version(connection, row.gate, row.version)
        if body_of(held[row.gate]) != body_of(put):
            raise CannotPublish(f"the configuration of {row.gate} was changed since: put the old one there by hand")
    for row in rows:
        old = await _version(connection, row.gate, row.before)
        await _put(connection, keys, old.config, old.ages, now_ms)


# --- policies ---------------------------------------------------------------------------------------------------


async def _is_as_it_was(connection: AsyncConnection, rollout: Rollout) -> bool:
    """Whether what is in force says what it said when the rollout was written, be it under another number."""
    in_force = (await versions_everywhere(connection, [rollout.policy]))[rollout.policy]
    said = [await body_of_version(connection, rollout.policy, each) for each in (in_force, rollout.based_on)]
    now, then = (msgspec.structs.replace(read_policy(body), version=0) if body else None for body in said)
    return now == then


async def _evaluable(connection: AsyncConnection, rollout: Rollout) -> Policy:
    """What no gate could evaluate is never published, and agents may have changed since it was written."""
    policy = msgspec.convert({**rollout.body, "version": 1}, Policy)
    unable = await unable_gates(connection, rollout.policy, policy)
    if unable:
        raise CannotPublish(f"{', '.join(sorted(unable))} cannot evaluate it: update these gates' agents first")
    return policy


async def _policy_back(connection: AsyncConnection, rollout: Rollout, now_ms: int) -> None:
    p, s = policies.c, policy_stages.c
    newest = select(p.version).where(p.id == rollout.policy).order_by(p.version.desc()).limit(1)
    if (await connection.execute(newest)).scalar() != rollout.version:
        raise CannotPublish(f"something newer than {rollout.version} is in force: there is nothing to go back from")
    never = select(s.version).where(s.id == rollout.policy, s.all_ms.is_(None))
    query = select(p.version).where(p.id == rollout.policy, p.version < rollout.version, p.version.not_in(never))
    before = (await connection.execute(query.order_by(p.version.desc()).limit(1))).scalar()
    body = None if before is None else await body_of_version(connection, rollout.policy, before)
    if body is None:
        raise CannotPublish("it is the first version of its policy: there is nothing to go back to")
    await put_policy(connection, rollout.policy, read_policy(body), now_ms)


# --- configurations ---------------------------------------------------------------------------------------------


async def _configure(connection: AsyncConnection, keys: Keys, rollout: Rollout, wanted: list[str], now_ms: int) -> int:
    """All of these gates or none; one that is so already stays as it is. Returns how many became newer."""
    held, renewed = await read_configs(connection, wanted), 0
    try:
        changes = {gate: changed_config(held[gate], rollout.body) for gate in wanted}
    except ActionFailed as failure:
        raise CannotPublish(str(failure)) from None
    for gate, (config, ages) in changes.items():
        before = held[gate]
        if body_of(before) == body_of(before._replace(config=config, ages=ages)):
            continue
        put = await _put(connection, keys, config, ages, now_ms)
        row = {"rollout": rollout.id, "gate": gate, "before": before.version, "version": put.version}
        await connection.execute(insert(rollout_gates).values(row))
        renewed += 1
    return renewed


async def _put(connection: AsyncConnection, keys: Keys, config: GateConfig, ages: Ages, now_ms: int) -> ConfigPayload:
    try:
        return await put_config(connection, keys, config, ages, now_ms)
    except Refused as refused:
        raise CannotPublish(refused.detail) from None


async def _version(connection: AsyncConnection, gate: str, version: int) -> ConfigPayload:
    query = select(gate_configs).where(gate_configs.c.gate == gate, gate_configs.c.version == version)
    return payload_of((await connection.execute(query)).one())
