"""Every version of the policies that gates went by, ready to decide by."""

from collections.abc import Collection
from functools import lru_cache
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from central.policies import first_gates_of
from central.store.wanted import rows_wanted
from protocol.compiled import CompiledPolicy
from protocol.messages import decode
from protocol.policy import Policy


class PolicyVersion(NamedTuple):
    """One version of one policy. `at_ms`: since when it was in force, at the gate that was asked about. `keeps_marks`:
    it and every version before it look back."""

    id: str
    version: int
    at_ms: int
    compiled: CompiledPolicy
    keeps_marks: bool
    first_gates: frozenset[str] = frozenset()
    """Where it was put first; none = everywhere at once."""
    all_ms: int | None = None
    """Of one that was put somewhere first: since when it was everywhere; None = never."""

    def at(self, gate: str) -> "PolicyVersion | None":
        """As it was at a gate; None where it was never in force."""
        if not self.first_gates or gate in self.first_gates:
            return self
        return None if self.all_ms is None else self._replace(at_ms=self.all_ms)


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
        held = next((each for each in found if each.id == self._of_gates.get(gate)), found[0] if found else None)
        return None if held is None else held.at(gate) or held  # the device may have held it at another gate

    def lately(self, gate: str, id_: str, from_ms: int, until_ms: int) -> list[PolicyVersion]:
        """All that central had in force at a gate from one instant through another."""
        first = self.in_force(gate, id_, from_ms)
        later = [each for each in self._at(gate, id_) if from_ms < each.at_ms <= until_ms]
        return later if first is None else [first, *later]

    def in_force(self, gate: str, id_: str, at_ms: int) -> PolicyVersion | None:
        """What central had in force at a gate at an instant."""
        before = [each for each in self._at(gate, id_) if each.at_ms <= at_ms]
        return before[-1] if before else None

    def _at(self, gate: str, id_: str) -> list[PolicyVersion]:
        return [each for version in self._by_id.get(id_, ()) if (each := version.at(gate)) is not None]


async def held_policies(
    connection: AsyncConnection, at_gates: Collection[str], versions: Collection[int]
) -> HeldPolicies:
    """Every version of the policies that these gates go by now, and of those that they say these versions of."""
    goes_by = await rows_wanted(connection, {"id": "text"}, [(gate,) for gate in at_gates], _GOES_BY)
    own = {str(row[0]): str(row[1]) for row in goes_by}
    named = await rows_wanted(connection, {"version": "bigint"}, [(version,) for version in versions], _NAMED)
    ids = {*own.values(), *(id_ for (id_,) in named)}
    found, keeps = [], dict[str, bool]()
    rows = await rows_wanted(connection, {"id": "text"}, [(id_,) for id_ in ids], _VERSIONS)
    for id_, version, at_ms, body, first, all_ms in rows:
        compiled = _compiled(body)
        keeps[id_] = keeps.get(id_, True) and compiled.looks_back
        first_gates = first_gates_of(first) if first is not None else frozenset[str]()
        found.append(PolicyVersion(id_, version, at_ms, compiled, keeps[id_], first_gates, all_ms))
    return HeldPolicies(found, own)


_GOES_BY = "SELECT g.id, g.policy FROM wanted w CROSS JOIN gates g WHERE g.id = w.id"
_NAMED = "SELECT DISTINCT p.id FROM wanted w CROSS JOIN policies p WHERE p.version = w.version"
_VERSIONS = (
    "SELECT p.id, p.version, p.at_ms, p.body, s.first_gates, s.all_ms FROM wanted w CROSS JOIN policies p"
    " LEFT JOIN policy_stages s ON s.id = p.id AND s.version = p.version WHERE p.id = w.id"
    " ORDER BY p.id, p.version"
)


@lru_cache(maxsize=512)
def _compiled(body: bytes) -> CompiledPolicy:
    return CompiledPolicy(decode(Policy, body))
