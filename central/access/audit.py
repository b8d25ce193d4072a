"""The audit log: every change that was asked for and what became of it, appended, each row chained to the one before.

A change has two rows: `asked` before it is tried, so a crash cannot hide it, then `done`, `failed` or `refused`. One
row stands alone for what was refused before it was tried, for a look at a person's data, and for signing in and out.

What a row is about (target and body) is chained by a salted digest. So it can be struck when a person is erased: who
did what kind of thing when stays, and stays provable.
"""

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from central.access.caller import Caller
from central.access.redaction import redacted
from central.store.database import Database
from central.store.schema import audit

ASKED, DONE, FAILED, REFUSED, LOOKED = "asked", "done", "failed", "refused", "looked"
HEAD_TAG = b"tapgate-audit-v2\0"
FIRST_HEAD = bytes(32)
LOCK = 0x7461_7067_6174_6501
"""One process at a time appends, on PostgreSQL: a number that nothing else locks."""
LONGEST_TARGET = 128
BODY_BYTES = 64 * 1024


@dataclass(frozen=True)
class Entry:
    """What one row says. `body`: parameters, before, after, why; redacted before it is written."""

    action: str
    phase: str
    target: str = ""
    body: dict[str, Any] = field(default_factory=dict)
    asked: int = 0


STRUCK: dict[str, Any] = {"target": "", "body": "{}", "salt": b""}
"""What is left of what a row was about once it was struck. The database lets nothing else be written over it."""


def head_of(previous: bytes, row: tuple[Any, ...]) -> bytes:
    """SHA-256 over the tag, the previous head and the row: number, time, who, origin, action, phase, asked, and the
    digest of what it is about, as a MessagePack array."""
    return hashlib.sha256(HEAD_TAG + previous + msgspec.msgpack.encode(row)).digest()


def about_digest(salt: bytes, target: str, body: str) -> bytes:
    """Salted, so that nobody finds out by trying what a struck row was about."""
    return hashlib.sha256(salt + msgspec.msgpack.encode((target, body))).digest()


def chained(row: Any) -> tuple[Any, ...]:
    """The part of a stored row that its head is over."""
    return row.number, row.at_ms, row.who, row.origin, row.action, row.phase, row.asked, row.about


def is_about(row: Any) -> bool:
    """Whether target and body are those that were written, or were struck as a whole."""
    if not row.salt:
        return (row.target, row.body) == (STRUCK["target"], STRUCK["body"])
    return bool(about_digest(row.salt, row.target, row.body) == row.about)


async def append(database: Database, caller: Caller, entry: Entry, now_ms: int) -> int:
    """The number of the row, which is durable."""
    async with database.write() as connection:
        return await append_within(connection, caller, entry, now_ms)


async def append_within(connection: AsyncConnection, caller: Caller, entry: Entry, now_ms: int) -> int:
    """The same, in a transaction that does more."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    return await append_alone(connection, caller, entry, now_ms)


async def append_alone(connection: AsyncConnection, caller: Caller, entry: Entry, now_ms: int) -> int:
    """The same, where nobody else can append until the transaction ends."""
    newest = select(audit.c.number, audit.c.head).order_by(audit.c.number.desc()).limit(1)
    last = (await connection.execute(newest)).first()
    number, previous = (last.number + 1, last.head) if last is not None else (1, FIRST_HEAD)
    body = _body(entry.body | ({"token": caller.token} if caller.token else {}))
    salt, target = secrets.token_bytes(16), entry.target[:LONGEST_TARGET]
    row = (
        *(number, now_ms, caller.name[:64], caller.origin[:64]),
        *(entry.action[:64], entry.phase, entry.asked, about_digest(salt, target, body)),
    )
    columns = ("number", "at_ms", "who", "origin", "action", "phase", "asked", "about")
    values = dict(zip(columns, row, strict=True)) | {"target": target, "body": body, "salt": salt}
    await connection.execute(insert(audit), values | {"head": head_of(previous, row)})
    return number


def _body(content: dict[str, Any]) -> str:
    """JSON; what is too long is left out and said so, rather than cut to something that no longer reads."""
    token = content.pop("token", None)
    kept = redacted(content) | ({"by_token": token} if token else {})
    encoded = msgspec.json.encode(kept)
    if len(encoded) > BODY_BYTES:
        encoded = msgspec.json.encode(dict.fromkeys(kept, "too long to be kept here"))
    return encoded.decode()
