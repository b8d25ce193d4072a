"""Policies as they are sent: what is in force at each gate, in the bytes whose digest a manifest names.

The newest version of a policy is in force everywhere, but for one that was put at some gates first (`policy_stages`):
until it is everywhere, the other gates go by the newest of those that are.
"""

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

import msgspec
from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.store.schema import devices, gates, policies, policy_stages
from central.wakeups import note, policy_topic
from protocol.compiled import CompiledPolicy
from protocol.envelope import digest
from protocol.errors import Refused
from protocol.messages import Poll, decode, encode
from protocol.policy import Admit, Policy, kinds_of


class PolicyPayload(NamedTuple):
    """A policy, and what a manifest and a target gate have to know of it."""

    body: bytes
    """The payload, sent as it is stored: a later version of this code would write it otherwise."""
    version: int
    digest: bytes
    kinds: frozenset[str]
    """Of its rules, as a poll's `understands` names them; a gate that lacks one of them gets none of it."""


class Staged(NamedTuple):
    """A version that is not in force everywhere, and where it is."""

    version: int
    gates: frozenset[str]


async def read_policies(connection: AsyncConnection, goes_by: Mapping[str, str]) -> dict[str, PolicyPayload]:
    """By gate, what is in force there; `goes_by`: the name of each gate's policy. Those without any are left out."""
    ids = set(goes_by.values())
    everywhere = await versions_everywhere(connection, ids)
    staged = {id_: each for id_, each in (await _staged(connection, ids)).items() if each.version > everywhere[id_]}
    wanted = {(id_, version) for id_, version in everywhere.items() if version}
    wanted |= {(id_, each.version) for id_, each in staged.items()}
    bodies = await _bodies(connection, wanted)
    found = {}
    for gate, id_ in goes_by.items():
        is_first = id_ in staged and gate in staged[id_].gates
        body = bodies.get((id_, staged[id_].version if is_first else everywhere[id_]))
        if body is not None:
            found[gate] = _payload(body)
    return found


async def versions_everywhere(connection: AsyncConnection, ids: Collection[str]) -> dict[str, int]:
    """By policy, the newest version that is in force at every gate but those that hold a newer one first; 0 = none."""
    p, s = policies.c, policy_stages.c
    is_staged = select(s.id).where(s.id == p.id, s.version == p.version, s.all_ms.is_(None)).exists()
    newest = select(p.id, func.max(p.version)).where(p.id.in_(sorted(ids)), ~is_staged).group_by(p.id)
    return dict.fromkeys(ids, 0) | dict((await connection.execute(newest)).all())


async def body_of_version(connection: AsyncConnection, id_: str, version: int) -> bytes | None:
    """None: there is no such version."""
    return (await _bodies(connection, {(id_, version)})).get((id_, version))


async def _staged(connection: AsyncConnection, ids: Collection[str]) -> dict[str, Staged]:
    """Of each policy, the newest version that is not everywhere, be it older than what is."""
    query = select(policy_stages).where(policy_stages.c.all_ms.is_(None), policy_stages.c.id.in_(sorted(ids)))
    rows = await connection.execute(query.order_by(policy_stages.c.id, policy_stages.c.version))
    return {row.id: Staged(row.version, first_gates_of(row.first_gates)) for row in rows}


async def _bodies(connection: AsyncConnection, wanted: Collection[tuple[str, int]]) -> dict[tuple[str, int], bytes]:
    p = policies.c
    query = select(p.id, p.version, p.body).where(p.id.in_(sorted({id_ for id_, _ in wanted})))
    rows = await connection.execute(query.where(p.version.in_(sorted({version for _, version in wanted}))))
    return {(row.id, row.version): row.body for row in rows}


@lru_cache(maxsize=1_024)
def first_gates_of(column: str) -> frozenset[str]:
    """The gates that a stage names."""
    return frozenset(msgspec.json.decode(column, type=list[str]))


# --- putting ----------------------------------------------------------------------------------------------------


async def put_policy(
    connection: AsyncConnection, id_: str, content: Policy, now_ms: int, first: Iterable[str] = ()
) -> int:
    """Put a content in force as newer than any before, everywhere or at some gates first. Their waiters wake. Returns
    its version; that of `content` does not matter."""
    newest = select(func.max(policies.c.version)).where(policies.c.id == id_)
    version = max(((await connection.execute(newest)).scalar() or 0) + 1, now_ms)
    body = encode(msgspec.structs.replace(content, version=version))
    await connection.execute(insert(policies).values(id=id_, version=version, at_ms=now_ms, body=body))
    if named := sorted(set(first)):
        stage = {"id": id_, "version": version, "first_gates": msgspec.json.encode(named).decode()}
        await connection.execute(insert(policy_stages).values(stage))
    await note(connection, [policy_topic(id_)])
    return version


async def put_everywhere(connection: AsyncConnection, id_: str, version: int, now_ms: int) -> None:
    """What was in force at some gates is so at all that go by the policy. Their waiters wake."""
    s = policy_stages
    mine = (s.c.id == id_, s.c.version == version, s.c.all_ms.is_(None))
    await connection.execute(update(s).where(*mine).values(all_ms=now_ms))
    await note(connection, [policy_topic(id_)])


async def unable_gates(connection: AsyncConnection, id_: str, policy: Policy) -> dict[str, frozenset[str]]:
    """By gate that goes by a policy, the kinds of its rules that an agent there said that it cannot evaluate."""
    kinds = kinds_of(policy)
    query = select(gates.c.id, devices.c.report).join(devices, devices.c.gate == gates.c.id)
    query = query.where(gates.c.policy == id_, devices.c.state == "active", devices.c.report.is_not(None))
    unable: dict[str, frozenset[str]] = {}
    for gate, report in await connection.execute(query):
        missing = kinds - frozenset(decode(Poll, report).understands)
        if missing:
            unable[gate] = unable.get(gate, frozenset()) | missing
    return unable


async def gates_by(connection: AsyncConnection, id_: str) -> dict[str, str]:
    """The gates that go by a policy, in the order of their names, and the venue of each."""
    query = select(gates.c.id, gates.c.venue).where(gates.c.policy == id_).order_by(gates.c.id)
    return dict((await connection.execute(query)).all())


# --- reading them -----------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _payload(body: bytes) -> PolicyPayload:
    policy = decode(Policy, body)
    return PolicyPayload(body, policy.version, digest(body), kinds_of(policy))


def read_policy(body: bytes) -> Policy:
    """What a stored body says."""
    return decode(Policy, body)


@lru_cache(maxsize=64)
def compiled(body: bytes) -> CompiledPolicy | None:
    """A policy as it decides; None where this version refuses one that an earlier version let be put."""
    try:
        return CompiledPolicy(decode(Policy, body))
    except Refused:
        return None


@lru_cache(maxsize=64)
def admitting_rules(body: bytes) -> frozenset[str]:
    """The rules of a policy by which somebody may enter."""
    return frozenset(rule.id for rule in decode(Policy, body).rules if isinstance(rule, Admit))
