"""Every version of the policies that gates went by, ready to decide by."""

from collections.abc import Collection
from functools import lru_cache
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.store.schema import gates, policies
from protocol.compiled import CompiledPolicy
from protocol.messages import decode
from protocol.policy import Policy


class PolicyVersion(NamedTuple):
    """One version of one policy. `keeps_marks`: it and every version before it look back."""

    id: str
    version: int
    at_ms: int
    compiled: CompiledPolicy
    keeps_marks: bool


class HeldPolicies:
    """By what a gate says that it holds: versions are unique but for a coincidence, which the gate's own policy
    decides."""

    def __init__(self, versions: Collection[PolicyVersion], of_gates: dict[str, str]) -> None:
        self._of_gates = of_gates
        self._by_version: dict[int, list[PolicyVersion]] = {}
        self._by_id: dict[str, list[PolicyVersion]] = {}
        for each in sorted(versions, key=lambda each: each.version):
            self._by_version.setdefault(each.version, []).append(each)
            self._by_id.setdefault(each.id, []).append(each)

    def held(self, gate: str, version: int) -> PolicyVersion | None:
        """The one of this version at this gate; None = central does not have it."""
        found = self._by_version.get(version, [])
        return next((each for each in found if each.id == self._of_gates.get(gate)), found[0] if found else None)

    def in_force(self, id_: str, at_ms: int) -> PolicyVersion | None:
        """What central had in force at an instant."""
        before = [each for each in self._by_id.get(id_, ()) if each.at_ms <= at_ms]
        return before[-1] if before else None


async def held_policies(
    connection: AsyncConnection, at_gates: Collection[str], versions: Collection[int]
) -> HeldPolicies:
    """Every version of the policies that these gates go by now, and of those that they say these versions of."""
    goes_by = select(gates.c.id, gates.c.policy).where(gates.c.id.in_(sorted(at_gates)))
    own = {row.id: row.policy for row in await connection.execute(goes_by)}
    named = select(policies.c.id).where(policies.c.version.in_(sorted(versions))).distinct()
    ids = {*own.values(), *(await connection.execute(named)).scalars()}
    query = select(policies).where(policies.c.id.in_(sorted(ids))).order_by(policies.c.id, policies.c.version)
    found, keeps = [], dict[str, bool]()
    for row in await connection.execute(query):
        compiled = _compiled(row.body)
        keeps[row.id] = keeps.get(row.id, True) and compiled.looks_back
        found.append(PolicyVersion(row.id, row.version, row.at_ms, compiled, keeps[row.id]))
    return HeldPolicies(found, own)


@lru_cache(maxsize=512)
def _compiled(body: bytes) -> CompiledPolicy:
    return CompiledPolicy(decode(Policy, body))
