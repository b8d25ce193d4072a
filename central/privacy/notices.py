"""What a person is told before they agree: the six items of 個資法 §8, in the city's two languages."""

from typing import Annotated

import msgspec
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.store.schema import consent_notices

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]
ITEMS = ("collector", "purpose", "categories", "use", "rights", "refusal")
"""In the order of the law."""


class Told(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The six items in one language. `use`: period, area, recipients and manner; `rights`: those of §3 and how they are
    exercised; `refusal`: what happens to who does not give the data."""

    collector: Text
    purpose: Text
    categories: Text
    use: Text
    rights: Text
    refusal: Text


class Notice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A notice in both languages."""

    zh: Told
    en: Told


async def newest_versions(connection: AsyncConnection) -> dict[str, int]:
    """By purpose; one without a notice is left out."""
    c = consent_notices.c
    found: dict[str, int] = {}
    for purpose, version in await connection.execute(select(c.purpose, c.version).order_by(c.version)):
        found[purpose] = version
    return found


async def read_notice(connection: AsyncConnection, purpose: str, version: int) -> Notice | None:
    """None where there is no such version."""
    c = consent_notices.c
    query = select(c.body).where(c.purpose == purpose, c.version == version)
    body = (await connection.execute(query)).scalar()
    return None if body is None else msgspec.json.decode(body, type=Notice)


async def append_notice(connection: AsyncConnection, purpose: str, notice: Notice, who: str, now_ms: int) -> int:
    """Its version: the next one, or the newest where that says the same already."""
    newest = (await newest_versions(connection)).get(purpose, 0)
    if newest and await read_notice(connection, purpose, newest) == notice:
        return newest
    body = msgspec.json.encode(notice).decode()
    values = {"purpose": purpose, "version": newest + 1, "at_ms": now_ms, "who": who, "body": body}
    await connection.execute(insert(consent_notices).values(values))
    return newest + 1
