"""What is published: lists against the tables and their own sums, manifests, policies and configurations
against the signatures that name them, devices against the answer that they were enrolled with."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.custody import verify_history
from central.actions.custody.findings import Findings
from central.keys import Keys
from central.lists import compiled_blocks
from central.store.schema import (
    consent_sets,
    device_moves,
    devices,
    domains,
    gate_configs,
    join_tokens,
    list_entries,
    lists,
    manifests,
    name_lists,
    policies,
    profiles,
    under_own_key,
)
from protocol.allowlist import Entry, entry_digest, list_digest
from protocol.compiled import CompiledPolicy
from protocol.envelope import Keyring, digest, domain_key_digest, open_as
from protocol.errors import Refused
from protocol.messages import Enrolled, Manifest, Part, PartName, Role, decode, encode
from protocol.policy import Policy

ROWS_AT_ONCE = 2_000
KEPT = (PartName.POLICY, PartName.CONFIG, PartName.PROFILES, PartName.CONSENTS)
"""Parts of which every version is kept."""


async def check(findings: Findings, connection: AsyncConnection) -> None:
    """Lists, policies, devices, manifests."""
    for domain in (await connection.execute(select(domains).order_by(domains.c.id))).all():
        await _list(findings, connection, domain)
    await _policies(findings, connection)
    await _devices(findings, connection)
    await _manifests(findings, connection)


# --- lists --------------------------------------------------------------------------------------------------


async def _list(findings: Findings, connection: AsyncConnection, domain: Any) -> None:
    where = f"list {domain.id}"
    every = (await connection.execute(select(lists).where(lists.c.domain == domain.id))).all()
    counts = {head.key_number: await _sum(findings, connection, head) for head in every}
    head = next((head for head in every if head.key_number == domain.key_number), None)
    findings.count("lists")
    if head is None:
        await findings.problem(where, f"was never compiled under key {domain.key_number}")
        return
    await verify_history.check(findings, connection, domain.id, counts[head.key_number])
    try:
        key = findings.context.keys.domain_key(domain.id, domain.key_number)
    except OSError:
        await findings.problem(where, f"key {domain.key_number} is not in {findings.context.keys.directory}")
        return
    try:
        await _against_tables(findings, connection, domain.id, key, head)
    except Refused as refused:
        await findings.problem(where, f"cannot be compiled: {refused}")


async def _sum(findings: Findings, connection: AsyncConnection, head: Any) -> int:
    """How many rows are on a list, the published one or one that is made ahead: each is decoded, and they have to sum
    to what the list says of them."""
    c, domain = list_entries.c, head.domain
    count = total = 0
    query = select(list_entries).where(c.domain == domain, c.key_number == head.key_number)
    result = await connection.stream(query.execution_options(yield_per=ROWS_AT_ONCE))
    async for rows in result.partitions(ROWS_AT_ONCE):
        for row in rows:
            where = f"list {domain}, row {row.token.hex()}"
            if row.version > head.version:
                await findings.problem(where, f"changed at {row.version}, the list is at {head.version}")
            if row.dropped:
                continue
            count, total = count + 1, total + entry_digest(row.token, row.entry)
            try:
                decode(Entry, row.entry)
            except Refused as refused:
                await findings.problem(where, str(refused))
        findings.count("list rows", len(rows))
        await findings.context.progress(f"list {domain}", count, head.count)
    if (count, (total % (1 << 256)).to_bytes(32)) != (head.count, head.sum):
        await findings.problem(f"list {domain}", f"its {count} rows do not sum to what it says of {head.count}")
    return count


async def _against_tables(findings: Findings, connection: AsyncConnection, domain: str, key: bytes, head: Any) -> None:
    """A list is a pure function of members, classes and cards: compile it again and compare."""
    wanted = 0
    async for block in compiled_blocks(connection, findings.context.keys, key, domain):
        wanted += len(block)
        held = await _held(connection, head, list(block))
        for token, entry in block.items():
            if held.get(token) != entry:
                what = "is not what members and cards say" if token in held else "is missing"
                await findings.problem(f"list {domain}, row {token.hex()}", what)
        await findings.context.progress(f"compiling {domain}", wanted, head.count)
    if wanted != head.count:
        await findings.problem(f"list {domain}", f"has {head.count} rows, members and cards make {wanted}")


async def _held(connection: AsyncConnection, head: Any, tokens: Sequence[bytes]) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for at in range(0, len(tokens), 10_000):
        query = select(list_entries.c.token, list_entries.c.entry).where(
            list_entries.c.domain == head.domain,
            list_entries.c.key_number == head.key_number,
            list_entries.c.token.in_(tokens[at : at + 10_000]),
            list_entries.c.dropped.is_(False),
        )
        found.update({row.token: row.entry for row in await connection.execute(query)})
    return found


# --- policies and devices -------------------------------------------------------------------------------------


async def _policies(findings: Findings, connection: AsyncConnection) -> None:
    for row in await connection.execute(select(policies)):
        findings.count("policies")
        where = f"policy {row.id} {row.version}"
        try:
            policy = decode(Policy, row.body)
            CompiledPolicy(policy)
            if policy.version != row.version:
                await findings.problem(where, f"its body is of version {policy.version}")
        except Refused as refused:
            await findings.problem(where, str(refused))


async def _devices(findings: Findings, connection: AsyncConnection) -> None:
    """The signed answer to its enrolment says what key a device has, and which gate it had before it was moved."""
    moved = {
        row.device: row.to_gate for row in await connection.execute(select(device_moves).order_by(device_moves.c.at_ms))
    }
    query = select(
        join_tokens.c.device, join_tokens.c.gate, join_tokens.c.enrolled, devices.c.gate, devices.c.signing_public
    )
    ring = _ours(findings)
    for device, gate, answer, device_gate, public in await connection.execute(
        query.join(devices, devices.c.id == join_tokens.c.device).where(join_tokens.c.enrolled.is_not(None))
    ):
        findings.count("devices")
        where = f"device {device}"
        try:
            said = open_as(Enrolled, answer, ring, Role.PUBLISH)
        except Refused as refused:
            await findings.problem(where, f"its enrolment: {refused}")
            continue
        known = (device, moved.get(device, said.gate), public)
        if (said.device, device_gate, said.signing_public) != known or gate != said.gate:
            await findings.problem(where, "name, gate or key is not what it was enrolled with")


def _ours(findings: Findings) -> Keyring:
    return Keyring.stated(findings.context.keys.statement, findings.context.now_ms)


# --- manifests ------------------------------------------------------------------------------------------------


async def _manifests(findings: Findings, connection: AsyncConnection) -> None:
    ring, stated = _ours(findings), await _stated(connection, findings.context.keys)
    newest: dict[tuple[str, str], int] = {}
    for name, owner, version in stated:
        if name != PartName.POLICY:  # a gate may change to another policy, with a lower version
            newest[name, owner] = max(version, newest.get((name, owner), 0))
    ages = {(row.gate, row.version): (row.warn_ms, row.restrict_ms, row.close_ms) for row in await _configs(connection)}
    query = select(manifests).order_by(manifests.c.device, manifests.c.number)
    async for row in await connection.stream(query.execution_options(yield_per=100)):
        findings.count("manifests")
        where = f"manifest {row.device} {row.number}"
        try:
            manifest = open_as(Manifest, row.envelope, ring, Role.PUBLISH)
        except Refused as refused:
            await findings.problem(where, str(refused))
            continue
        if (manifest.device, manifest.number, manifest.at_ms) != (row.device, row.number, row.at_ms):
            await findings.problem(where, "its columns are not what its envelope says")
        content = msgspec.structs.replace(manifest, number=0, at_ms=0, expires_ms=0)
        if digest(encode(content)) != row.content:
            await findings.problem(where, "its content digest is not that of its envelope")
        for part in manifest.parts:
            stated_ages = ages.get((manifest.gate, part.version)) if part.name == PartName.CONFIG else None
            if stated_ages is not None and stated_ages != msgspec.structs.astuple(manifest.ages):
                await findings.problem(where, f"its ages are not those of configuration {part.version}")
            now = newest.get((part.name, _owner(manifest, part)))
            if now is not None and part.version > now:
                await findings.problem(where, f"{part.name} {part.version} was signed, only {now} is held")
            held = stated.get((part.name, _owner(manifest, part), part.version))
            if held is None and part.name in KEPT:
                await findings.problem(where, f"{part.name} {part.version} was signed and is not held")
            if held is not None and part.digest not in held:
                await findings.problem(where, f"{part.name} {part.version} is not what was signed")


def _owner(manifest: Manifest, part: Part) -> str:
    of_all = {PartName.POLICY.value: "", PartName.PROFILES.value: "", PartName.CONSENTS.value: ""}
    return {PartName.CONFIG.value: manifest.gate, **of_all}.get(part.name, manifest.domain)


async def _configs(connection: AsyncConnection) -> Sequence[Any]:
    return (await connection.execute(select(gate_configs))).all()


async def _stated(connection: AsyncConnection, keys: Keys) -> dict[tuple[str, str, int], set[bytes]]:
    """By part, owner and version: the digests that the tables lead to. What they moved on from is not there."""
    found: dict[tuple[str, str, int], set[bytes]] = {}
    for row in await connection.execute(select(policies.c.version, policies.c.body)):
        found.setdefault((PartName.POLICY, "", row.version), set()).add(digest(row.body))
    for domain, version, number, count, sum_ in await connection.execute(
        select(lists.c.domain, lists.c.version, lists.c.key_number, lists.c.count, lists.c.sum).where(
            under_own_key(lists)
        )
    ):
        found[PartName.ALLOWLIST, domain, version] = {list_digest(domain, number, count, int.from_bytes(sum_))}
    for row in await connection.execute(select(domains)):
        try:
            said = domain_key_digest(row.key_number, keys.domain_key(row.id, row.key_number))
        except OSError:
            continue  # the list's own check says so
        found[PartName.DOMAIN_KEY, row.id, row.key_number] = {said}
    for row in await _configs(connection):
        found[PartName.CONFIG, row.gate, row.version] = {digest(row.body)}
    for row in await connection.execute(select(profiles.c.version, profiles.c.body)):
        found[PartName.PROFILES, "", row.version] = {digest(row.body)}
    for row in await connection.execute(select(consent_sets.c.version, consent_sets.c.body)):
        found[PartName.CONSENTS, "", row.version] = {digest(row.body)}
    for row in await connection.execute(select(name_lists)):
        found[PartName.NAMES, row.domain, row.version] = {digest(row.body)}
    return found
