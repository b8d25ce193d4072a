"""What must hold of an agent's disk after anything, given what the outside world had seen by then."""

from pathlib import Path

from edge_agent import identity as identity_file
from edge_agent.gate import Gate
from edge_agent.journal.store import Store
from edge_agent.moments import SystemMoments
from edge_agent.published import lists
from edge_agent.published.holding import Holding
from edge_agent.published.uptake import Uptake
from edge_agent.release.dry import DryRelease
from protocol.allowlist import CardState
from protocol.messages import PartName
from protocol.token import token
from protocol.uid import CardUID
from tests.faults import city
from tests.faults.agent_life import LIMITS
from tests.support.auditor import Name, audit_released, read_journal, released


def seen_lines(seen: bytes) -> list[list[str]]:
    """The words of each whole line: the last one may have been cut short by a kill."""
    return [line.split() for line in seen[: seen.rfind(b"\n") + 1].decode().splitlines()]


def examine(directory: Path, seen: bytes, released_lines: bytes) -> list[str]:
    """Findings; empty is good. Opens the store as a restarted agent would, and leaves it closed."""
    lines = seen_lines(seen)
    held: dict[Name, bytes] = {(line[1], int(line[2])): bytes.fromhex(line[3]) for line in lines if line[0] == "held"}
    receipted: dict[str, int] = {}
    for line in lines:
        if line[0] == "receipted":
            receipted[line[1]] = max(int(line[2]), receipted.get(line[1], -1))
    taken = max((int(line[1]) for line in lines if line[0] == "taken"), default=0)
    findings = _opened(directory, taken)
    journal = read_journal(directory, city.DEVICE)
    findings += journal.findings
    findings += audit_released(released(released_lines), journal.publics, held)
    for epoch, through in receipted.items():
        if epoch not in journal.delivered:  # pruned to the end: nothing of it may be left, and central has it all
            findings += [f"{name} belongs to no epoch" for name in journal.publics if name[0] == epoch]
        elif journal.delivered[epoch] < through:
            findings.append(f"{epoch} was receipted through {through}, the agent says {journal.delivered[epoch]}")
    for epoch, through in journal.delivered.items():
        missing = [sequence for sequence in range(through + 1) if (epoch, sequence) not in held]
        findings += [f"{epoch} {sequence} counts as delivered, central never had it" for sequence in missing[:3]]
    for name, public in journal.publics.items():
        if held.get(name, public) != public:
            findings.append(f"{name} was delivered as something else than it is")
    return findings


def _opened(directory: Path, taken: int) -> list[str]:
    identity = identity_file.load(directory)
    if identity is None:
        return ["the identity is gone"]
    store = Store(directory, LIMITS)
    findings = []
    try:
        gate = Gate(store, DryRelease(), SystemMoments(), Holding(city.DEVICE, city.GATE))
        uptake = Uptake(directory, gate, identity)
        uptake.load()
        if store.lost_tail is not None:
            findings.append(f"a tail is said to be lost: {store.lost_tail}")
        held = gate.holding
        manifest = held.manifest.number if held.manifest else 0
        if manifest < taken or store.manifest_floor < taken:
            findings.append(f"version {taken} was in use, the manifest is {manifest}, floor {store.manifest_floor}")
        version = held.allowlist.header.version if held.allowlist else 0
        if version < taken:
            findings.append(f"version {taken} was in use, the list is {version}")
        if version > manifest:
            findings.append(f"the list is {version}, ahead of manifest {manifest}")
        no_config = held.config is None and "config" not in uptake.troubles  # killed again and again, it is given up
        if taken and (held.policy is None or no_config or held.domain_key is None):
            findings.append("policy, configuration or domain key is gone")
        if held.allowlist is not None:
            findings += lists.verify(held.allowlist.path)
            findings += wrong_entries(held.allowlist, version)
            held.allowlist.close()
        for name in (PartName.POLICY, PartName.CONFIG):
            row = store.connection.execute("SELECT version FROM parts WHERE name = ?", (name.value,)).fetchone()
            if taken and (row is None or not taken <= row[0] <= manifest):
                findings.append(f"version {taken} was in use, {name} is {row}")
    finally:
        store.close()
    return findings


def wrong_entries(listed: lists.ListFile, version: int) -> list[str]:
    """Cards that the list knows otherwise than as they were published at `version`."""
    found = []
    for number in range(city.CARDS):
        entry = listed.lookup(token(city.DOMAIN_KEY, CardUID(city.uid(number))))
        expected = city.is_blocked(number, version)
        if entry is None or (entry.state is CardState.BLOCKED) is not expected:
            found.append(f"card {number} is {entry and entry.state} at version {version}")
    return found
