"""How a device joins and leaves (SPEC §10): hello's nonce, enrol's answer, and what an operator does about it.

A join token is stored as a hash, counts ten minutes to its first use and belongs to one gate. The nonce is
made of the time and a MAC, so that any process can check what another one gave out.
"""

import hashlib
import hmac
import secrets
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.claim import Evidence
from central.custody import keep_evidence
from central.failures import Declined
from central.keys import Keys
from central.store.schema import devices, gates, join_tokens, venues
from central.store.steps import run_steps
from central.wakeups import device_topic, note
from protocol.envelope import Keyring, comparison_words, digest, key_id, open_as, seal_domain_key, unwrap
from protocol.errors import Failure, Refused
from protocol.joining import to_text
from protocol.messages import Enrol, Enrolled, Hello, JoinToken, decode, encode

FIRST_USE_MS = 10 * 60_000
SAME_ANSWER_MS = 24 * 3_600_000
NONCE_MS = 10 * 60_000

# --- hello ----------------------------------------------------------------------------------------------------


def hello(keys: Keys, now_ms: int) -> bytes:
    """The bare answer to a device that knows no key yet."""
    return encode(Hello(keys.statement_envelope, _nonce(keys, now_ms // 1_000, secrets.token_bytes(2))))


def _nonce(keys: Keys, at_s: int, random: bytes) -> bytes:
    stated = at_s.to_bytes(4) + random
    key = hashlib.sha256(b"tapgate-nonce-key-v1\0" + keys.receipt.private_bytes()).digest()
    return stated + hmac.digest(key, stated, hashlib.sha256)[:10]


def _check_nonce(keys: Keys, nonce: bytes, now_ms: int) -> None:
    at_s = int.from_bytes(nonce[:4])
    if not hmac.compare_digest(nonce, _nonce(keys, at_s, nonce[4:6])):
        raise Declined(403, Failure.BAD_SIGNATURE, "the nonce is not one of ours")
    if not -NONCE_MS <= now_ms - at_s * 1_000 <= NONCE_MS:
        raise Declined(403, Failure.EXPIRED, "the nonce is too old: ask for hello again")


# --- enrol ----------------------------------------------------------------------------------------------------


async def enrol(connection: AsyncConnection, keys: Keys, body: bytes, now_ms: int) -> bytes | Declined:
    """The envelope of `enrolled`, or why not. What is returned is to be committed first, also a refusal: it may
    have raised an alarm. Raises Refused for what needs no record."""
    asked = decode(Enrol, unwrap(body).payload)
    try:
        ring = Keyring.of(asked.signing_public)
    except ValueError:
        raise Refused(Failure.MALFORMED, "enrol: the signing key is no Ed25519 point") from None
    open_as(Enrol, body, ring)
    seal_domain_key(bytes(32), "probe", "probe", 0, asked.sealing_public)  # refuses a key that seals nothing
    _check_nonce(keys, asked.nonce, now_ms)
    query = select(join_tokens).where(join_tokens.c.hash == digest(asked.secret)).with_for_update()
    token = (await connection.execute(query)).one_or_none()
    if token is None:
        raise Refused(Failure.UNKNOWN_KEY, "there is no such join token")
    if token.used_ms is not None:
        return await _again(connection, token, asked, now_ms)
    if now_ms - token.created_ms > FIRST_USE_MS:
        return Declined(410, Failure.EXPIRED, "the join token was not used in its ten minutes: ask for another")
    return await _admit(connection, keys, token, asked, now_ms)


async def _again(connection: AsyncConnection, token: Any, asked: Enrol, now_ms: int) -> bytes | Declined:
    """The lost answer once more to the same keys; an alarm for any others."""
    d = devices.c
    query = select(d.signing_public, d.sealing_public, d.banned_ms).where(d.id == token.device)
    first = (await connection.execute(query)).one()
    brought = asked.signing_public + asked.sealing_public
    if first.banned_ms is not None:
        return await _banned(connection, token.device, token.gate, asked, now_ms)
    if first.signing_public + first.sealing_public != brought:
        detail = f"the join token of gate {token.gate}, used by {token.device}, came again with other keys"
        alarm = Evidence("alarm", digest(brought), detail, brought)
        await run_steps(connection, keep_evidence(token.device, [alarm], now_ms))
        return Declined(409, Failure.UNKNOWN_KEY, "the join token belongs to another key")
    if now_ms - token.used_ms > SAME_ANSWER_MS:
        return Declined(409, Failure.EXPIRED, "the join token is spent")
    return bytes(token.enrolled)


async def _admit(connection: AsyncConnection, keys: Keys, token: Any, asked: Enrol, now_ms: int) -> bytes | Declined:
    d = devices.c
    same = (d.signing_public == asked.signing_public) | (d.sealing_public == asked.sealing_public)
    banned = select(d.id).where(same, d.banned_ms.is_not(None)).limit(1)
    who = (await connection.execute(banned)).scalar()
    if who is not None:
        return await _banned(connection, who, token.gate, asked, now_ms)
    taken = await connection.execute(select(d.id).where(d.signing_public == asked.signing_public))
    if taken.first() is not None:
        return Declined(409, Failure.UNKNOWN_KEY, "this key is enrolled already: make a new one for a new token")
    query = select(gates.c.id, gates.c.venue, venues.c.domain).join(venues, venues.c.id == gates.c.venue)
    place = (await connection.execute(query.where(gates.c.id == token.gate))).one()
    device = f"{place.id[:47]}-{key_id(asked.signing_public).hex()}"
    enrolled = Enrolled(device, place.id, place.venue, place.domain, asked.signing_public, now_ms)
    answer = keys.publish.seal(enrolled)
    publics = (asked.signing_public, asked.sealing_public)
    await connection.execute(
        insert(devices).values(
            id=device,
            gate=place.id,
            state="pending",
            signing_public=asked.signing_public,
            sealing_public=asked.sealing_public,
            words=comparison_words(keys.root_public, publics, asked.secret),
            enrolled_ms=now_ms,
        )
    )
    used = {"used_ms": now_ms, "device": device, "enrolled": answer}
    await connection.execute(update(join_tokens).where(join_tokens.c.hash == token.hash).values(used))
    return answer


async def _banned(connection: AsyncConnection, device: str, gate: str, asked: Enrol, now_ms: int) -> Declined:
    """A key that is never taken again came with a good token: somebody has both."""
    detail = f"a key of {device}, which is banned, came with a join token of gate {gate}"
    alarm = Evidence("alarm", digest(asked.secret + asked.signing_public), detail, asked.signing_public)
    await run_steps(connection, keep_evidence(device, [alarm], now_ms))
    return Declined(403, Failure.UNKNOWN_KEY, "this key is banned")


# --- what an operator does ------------------------------------------------------------------------------------


async def invite(
    connection: AsyncConnection, gate: str, now_ms: int, url: str, keys: Keys, pinned: bool, replaces: str | None = None
) -> str:
    """A join token's text for one gate. It is shown once; only its hash is stored. `replaces`: the device of that gate
    which is revoked when the one that brings this token is confirmed. Raises Refused: no such gate."""
    if (await connection.execute(select(gates.c.id).where(gates.c.id == gate))).first() is None:
        raise Refused(Failure.NOT_SATISFIABLE, f"there is no gate {gate!r}")
    secret = secrets.token_bytes(16)
    values = {"hash": digest(secret), "gate": gate, "created_ms": now_ms, "replaces": replaces}
    await connection.execute(insert(join_tokens).values(values))
    return to_text(JoinToken(url, secret, keys.root_public, pinned))


async def confirm(connection: AsyncConnection, device: str, words: str, now_ms: int) -> str:
    """Let data flow. `words` are those that the device shows. Returns the device that it replaces, which is revoked in
    the same transaction; empty = none. Raises Refused when the words differ, for a device that is not there, and for a
    revoked one."""
    row = await _device(connection, device)
    if row.state == "revoked":
        raise Refused(Failure.NOT_SATISFIABLE, f"device {device} is revoked, which is final: enrol it anew")
    if not hmac.compare_digest(_spoken(words), _spoken(row.words)):
        raise Refused(
            Failure.WRONG_DIGEST,
            f"these are not the words of device {device}: compare its own screen, another device may have joined",
        )
    if row.state != "pending":
        return ""
    await connection.execute(update(devices).where(devices.c.id == device).values(state="active", confirmed_ms=now_ms))
    await note(connection, (device_topic(device),))
    return await _replace(connection, device, now_ms)


async def _replace(connection: AsyncConnection, device: str, now_ms: int) -> str:
    """Revoke what a device takes the place of, if that still serves the same gate."""
    old = devices.alias("old").c
    query = (
        select(old.id)
        .join(join_tokens, join_tokens.c.replaces == old.id)
        .join(devices, devices.c.id == join_tokens.c.device)
        .where(devices.c.id == device, old.gate == devices.c.gate, old.state != "revoked", old.id != device)
    )
    replaced = (await connection.execute(query.limit(1))).scalar()
    if replaced is not None:
        await revoke(connection, replaced, f"replaced by {device}", now_ms)
    return replaced or ""


async def revoke(connection: AsyncConnection, device: str, why: str, now_ms: int) -> None:
    """Final; what is held at this moment stays trusted, what comes later does not (SPEC §6.6). A second time changes
    nothing. Raises Refused for a device that is not there."""
    row = await _device(connection, device)
    if row.state != "revoked":
        revoked = {"state": "revoked", "revoked_ms": now_ms, "revoked_why": why}
        await connection.execute(update(devices).where(devices.c.id == device).values(revoked))
        await note(connection, (device_topic(device),))


async def ban(connection: AsyncConnection, device: str, why: str, now_ms: int) -> None:
    """Revoke it, keep nothing more of what it sends, and enrol neither of its keys again. Raises Refused for a device
    that is not there."""
    await revoke(connection, device, why, now_ms)
    banned = update(devices).where(devices.c.id == device, devices.c.banned_ms.is_(None))
    await connection.execute(banned.values(banned_ms=now_ms))


async def _device(connection: AsyncConnection, device: str) -> Any:
    """Locked, so that no upload is judged while the state changes."""
    query = select(devices.c.state, devices.c.words).where(devices.c.id == device).with_for_update(key_share=True)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise Refused(Failure.NOT_SATISFIABLE, f"there is no device {device!r}")
    return row


def _spoken(words: str) -> bytes:
    """However a person writes three words down."""
    return "-".join(words.lower().replace("-", " ").split()).encode()
