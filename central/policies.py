"""Policies as they are sent: the newest version of each, in the bytes whose digest a manifest names."""

from collections.abc import Collection
from functools import lru_cache
from typing import NamedTuple

from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.store.schema import policies
from protocol.compiled import CompiledPolicy
from protocol.envelope import digest
from protocol.errors import Refused
from protocol.messages import decode
from protocol.policy import Admit, Policy, kinds_of


class PolicyPayload(NamedTuple):
    """A policy, and what a manifest and a target gate have to know of it."""

    body: bytes
    """The payload, sent as it is stored: a later version of this code would write it otherwise."""
    version: int
    digest: bytes
    kinds: frozenset[str]
    """Of its rules, as a poll's `understands` names them; a gate that lacks one of them gets none of it."""


async def read_policies(connection: AsyncConnection, ids: Collection[str]) -> dict[str, PolicyPayload]:
    """The newest version of each policy that exists."""
    newest = (
        select(policies.c.id, func.max(policies.c.version).label("version"))
        .where(policies.c.id.in_(sorted(ids)))
        .group_by(policies.c.id)
        .subquery()
    )
    query = select(policies.c.id, policies.c.body).join(
        newest, and_(policies.c.id == newest.c.id, policies.c.version == newest.c.version)
    )
    return {row.id: _payload(row.body) for row in await connection.execute(query)}


@lru_cache(maxsize=64)
def _payload(body: bytes) -> PolicyPayload:
    policy = decode(Policy, body)
    return PolicyPayload(body, policy.version, digest(body), kinds_of(policy))


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
