"""What gates are configured with: configurations and their staff, reader profiles, notices, masked names. Each body
against its columns, and the newest against the tables that it was made of."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.custody.findings import Findings
from central.configs import ConfigPayload, payload_of, staff_of
from central.privacy.at_screens import compose_consents
from central.shared_parts import compose_names
from central.store.schema import consent_sets, domains, gate_configs, gates, name_lists, names, profiles, staff
from protocol.envelope import digest
from protocol.errors import Refused
from protocol.messages import Consents, Names, Profiles, decode


async def check(findings: Findings, connection: AsyncConnection) -> None:
    """Every row of each."""
    await _staff(findings, connection)
    await _configs(findings, connection)
    await _profiles(findings, connection)
    await _consents(findings, connection)
    await _names(findings, connection)


async def _staff(findings: Findings, connection: AsyncConnection) -> None:
    for row in await connection.execute(select(staff)):
        findings.count("staff")
        try:
            findings.context.keys.open_pin(row.slow_sealed, row.venue, row.id, row.salt)
        except Refused:
            await findings.problem(f"staff {row.venue} {row.id}", "the sealed half of the PIN was altered")


async def _configs(findings: Findings, connection: AsyncConnection) -> None:
    kinds = {row.id: row.kind for row in await connection.execute(select(gates.c.id, gates.c.kind))}
    newest: dict[str, ConfigPayload] = {}
    query = select(gate_configs).order_by(gate_configs.c.gate, gate_configs.c.version)
    for row in (await connection.execute(query)).all():
        findings.count("configurations")
        found = await _config(findings, row, kinds.get(row.gate, ""))
        if found is not None:
            newest[row.gate] = found
    for gate in sorted(kinds.keys() - newest.keys()):
        await findings.problem(f"gate {gate}", "has no configuration")
    for gate, held in newest.items():
        try:
            people = await staff_of(connection, findings.context.keys, held.config)
        except (Refused, OSError):
            continue  # the check of staff, or of the list, says so
        if people != held.config.staff:
            await findings.problem(
                f"configuration {gate} {held.version}", "its staff are not those that the tables and the key lead to"
            )


async def _config(findings: Findings, row: Any, kind: str) -> ConfigPayload | None:
    where = f"configuration {row.gate} {row.version}"
    try:
        found = payload_of(row)
    except Refused as refused:
        await findings.problem(where, str(refused))
        return None
    config, ages = found.config, found.ages
    if (config.gate, config.version, config.kind) != (row.gate, row.version, kind):
        await findings.problem(where, f"its body is of {config.kind} {config.gate} {config.version}")
    if not 0 < ages.warn_ms <= ages.restrict_ms <= ages.close_ms:
        await findings.problem(where, "its three ages do not rise")
    return found


async def _profiles(findings: Findings, connection: AsyncConnection) -> None:
    for row in (await connection.execute(select(profiles))).all():
        findings.count("profile sets")
        await _body(findings, f"profiles {row.version}", row, Profiles)


async def _consents(findings: Findings, connection: AsyncConnection) -> None:
    newest = Consents(0, ())
    for row in (await connection.execute(select(consent_sets).order_by(consent_sets.c.version))).all():
        findings.count("notice sets")
        newest = await _body(findings, f"notices of consent {row.version}", row, Consents)
    told = {each.purpose: each.version for each in newest.notices} if newest is not None else {}
    if newest is None or (newest.version and told.items() != (await _newest_notices(connection)).items()):
        await findings.problem("notices of consent", "what is published is not what the table says")


async def _newest_notices(connection: AsyncConnection) -> dict[str, int]:
    """Of purposes that ask. Their titles are this version's own, and may be others at the next publication."""
    return {each.purpose: each.version for each in await compose_consents(connection)}


async def _names(findings: Findings, connection: AsyncConnection) -> None:
    published = {row.domain: row for row in await connection.execute(select(name_lists))}
    for domain in (await connection.execute(select(domains.c.id))).scalars().all():
        made = await compose_names(connection, domain)
        row, where = published.get(domain), f"names of {domain}"
        findings.count("masked names", len(made))
        said = await _body(findings, where, row, Names) if row is not None else None
        if row is None and made:
            await findings.problem(where, "were never published")
        elif said is not None and (said.domain, said.names) != (domain, made):
            await findings.problem(where, "what is published is not what the table says")
    query = select(names.c.domain, names.c.member)
    composed = findings.checked["masked names"]
    if len((await connection.execute(query)).all()) != composed:
        await findings.problem("names", "some are of members who are not in their domain")


async def _body(findings: Findings, where: str, row: Any, kind: type[Any]) -> Any:
    if digest(row.body) != row.digest:
        await findings.problem(where, "its digest is not that of its body")
    try:
        said = decode(kind, row.body)
    except Refused as refused:
        await findings.problem(where, str(refused))
        return None
    if said.version != row.version:
        await findings.problem(where, f"its body is of version {said.version}")
    return said
