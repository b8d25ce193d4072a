"""The notices of consent as gates with a screen get them (SPEC §5.19): of every purpose that asks, the newest."""

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.privacy.notices import newest_versions, read_notice
from central.privacy.purposes import purposes
from central.store.schema import consent_sets
from central.wakeups import CONSENTS_TOPIC, note
from protocol.consent import ConsentNotice, Consents, SixItems
from protocol.envelope import digest
from protocol.messages import Part, PartName, decode, encode


async def consents_part(connection: AsyncConnection) -> Part | None:
    """What a manifest says of them; None where none was ever published."""
    query = select(consent_sets.c.version, consent_sets.c.digest).order_by(consent_sets.c.version.desc()).limit(1)
    row = (await connection.execute(query)).first()
    return None if row is None else Part(PartName.CONSENTS, row.version, row.digest)


async def read_consents(connection: AsyncConnection) -> Consents:
    """The set in force; version 0 where none was ever published."""
    query = select(consent_sets.c.body).order_by(consent_sets.c.version.desc()).limit(1)
    body = (await connection.execute(query)).scalar()
    return Consents(0, ()) if body is None else decode(Consents, body)


async def put_consents(connection: AsyncConnection, now_ms: int, anew: bool = False) -> None:
    """Publish the newest notices where they are not what is published. `anew`: as newer even then, after a restore."""
    held, now = await read_consents(connection), await compose_consents(connection)
    if held.notices == now and not (anew and held.version):
        return
    version = max(held.version + 1, now_ms)
    body = encode(Consents(version, now))
    values = {"version": version, "at_ms": now_ms, "digest": digest(body), "body": body}
    await connection.execute(insert(consent_sets).values(values))
    await note(connection, [CONSENTS_TOPIC])


async def compose_consents(connection: AsyncConnection) -> tuple[ConsentNotice, ...]:
    """In the order of the purposes; of those that have a notice."""
    versions, found = await newest_versions(connection), []
    for purpose in purposes().values():
        version = versions.get(purpose.id, 0)
        notice = await read_notice(connection, purpose.id, version) if purpose.consent != "never" else None
        if notice is not None:
            told = (
                SixItems(each.collector, each.purpose, each.categories, each.use, each.rights, each.refusal)
                for each in (notice.zh, notice.en)
            )
            named = (purpose.id, version, not purpose.written, purpose.title_zh, purpose.title_en)
            found.append(ConsentNotice(*named, *told))
    return tuple(found)
