"""What named people state: appended, never changed. Each kind has a struct; corrections are further facts."""

import secrets
from collections.abc import Collection, Sequence
from typing import Any, ClassVar, NamedTuple, TypeVar

import msgspec
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.store.put_rows import put_new_row
from central.store.schema import facts


class FactBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a fact says. A map, since people read it; fields are only ever added, with defaults."""

    KIND: ClassVar[str]


class About(NamedTuple):
    """Who stated it and what it is about. `at_ms`: of what it is about; `domain` empty: the whole city."""

    who: str
    at_ms: int
    domain: str = ""
    subject: bytes = b""
    venue: str = ""


class Fact(NamedTuple):
    """One fact as it is held."""

    domain: str
    id: bytes
    recorded_ms: int
    at_ms: int
    who: str
    kind: str
    subject: bytes
    venue: str
    body: Any


F = TypeVar("F", bound=FactBody)


async def append(connection: AsyncConnection, about: About, body: FactBody, now_ms: int) -> bytes:
    """Write a fact down; returns its id. Facts of one moment lie in the order in which they were appended."""
    newest = select(facts.c.id).where(facts.c.domain == about.domain).order_by(facts.c.id.desc()).limit(1)
    last = (await connection.execute(newest)).scalar()
    id_ = now_ms.to_bytes(6) + secrets.token_bytes(10)
    if last is not None and last >= id_:
        id_ = (int.from_bytes(last) + 1).to_bytes(16)
    while not await put_new_row(connection, facts, _row(id_, about, body, now_ms)):
        id_ = (int.from_bytes(id_) + 1).to_bytes(16)  # somebody else stated something in this very moment
    return id_


async def append_all(
    connection: AsyncConnection, domain: str, said: Sequence[tuple[About, FactBody]], now_ms: int
) -> None:
    """Many facts about one domain, in this order, for what follows from a bulk."""
    newest = select(facts.c.id).where(facts.c.domain == domain).order_by(facts.c.id.desc()).limit(1)
    last = (await connection.execute(newest)).scalar()
    id_ = int.from_bytes(now_ms.to_bytes(6) + secrets.token_bytes(8) + bytes(2))
    if last is not None:
        id_ = max(id_, int.from_bytes(last) + 1)
    rows = [_row((id_ + n).to_bytes(16), about, body, now_ms) for n, (about, body) in enumerate(said)]
    if rows:
        await connection.execute(insert(facts), rows)


def _row(id_: bytes, about: About, body: FactBody, now_ms: int) -> dict[str, Any]:
    return {
        "domain": about.domain,
        "id": id_,
        "recorded_ms": now_ms,
        "at_ms": about.at_ms,
        "who": about.who,
        "kind": body.KIND,
        "subject": about.subject,
        "venue": about.venue,
        "body": msgspec.msgpack.encode(body),
    }


async def read(
    connection: AsyncConnection,
    kinds: Collection[type[FactBody]],
    *,
    domain: str | None = None,
    subjects: Collection[bytes] | None = None,
    venue: str | None = None,
) -> list[Fact]:
    """The facts of these kinds in the order in which they were stated."""
    types = {kind.KIND: kind for kind in kinds}
    query = select(facts).where(facts.c.kind.in_(sorted(types)))
    if domain is not None:
        query = query.where(facts.c.domain == domain)
    if subjects is not None:
        query = query.where(facts.c.subject.in_(sorted(subjects)))
    if venue is not None:
        query = query.where(facts.c.venue == venue)
    rows = await connection.execute(query.order_by(facts.c.domain, facts.c.id))
    return [_fact(row, types) for row in rows]


def _fact(row: Any, types: dict[str, type[FactBody]]) -> Fact:
    domain, id_, recorded_ms, at_ms, who, kind, subject, venue, body = row
    said = msgspec.msgpack.decode(body, type=types[kind])
    return Fact(domain, id_, recorded_ms, at_ms, who, kind, subject, venue, said)
