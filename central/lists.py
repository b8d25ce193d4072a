"""Compile allowlists out of members, classes, flags, what libraries say, and cards (SPEC §5.11, §7.3): only rows that
change get a version.

A list is a pure function of those tables, of what members agreed to, and the domain's key. Work goes in blocks of
members, so three million cards need no more memory than a few thousand; what is computed leaves the event loop. While
a domain's tokens are made again with its next key (`central.rotating`), both lists follow.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.configs import renew_staff
from central.keys import Keys
from central.list_rows import ListRows, WantedTokens
from central.neighbours.library_word import NOTHING, word_between, word_of
from central.open_lists import OpenLists, hold, key_numbers
from central.privacy.consent import published_grants
from central.published_dates import is_nothing, published
from central.store.schema import cards, member_classes, member_flags, subjects
from central.store.steps import Statement, one, run_steps
from protocol.allowlist import CardState, Entry, Grant
from protocol.messages import encode
from protocol.token import token
from protocol.uid import CardUID

BLOCK_MEMBERS = 4_000
FEW_MEMBERS = 100
MAX_CLASSES = 16
MAX_FLAGS = 8
MAX_ENTRY_BYTES = 1_024

log = structlog.get_logger()

Progress = Callable[[str, int, int], Awaitable[None]]

CardRow = tuple[bytes, bytes, bytes, int, bytes, int, int, int]
"""card id, member, subject, number, sealed UID, state, from_ms, until_ms."""
Flags = Mapping[bytes, tuple[str, ...]]
"""Of one domain, by member."""


async def refresh_members(
    connection: AsyncConnection, keys: Keys, members: Sequence[bytes], now_ms: int, left: Collection[str] = ()
) -> set[str]:
    """Compile these members' cards again in every domain that they are in, and drop them from those in `left`.

    Few members are looked for in all other domains as well, so only a bulk has to say what was left.
    Returns the domains whose list is newer; their waiters wake when the transaction is durable.
    """
    members = list(dict.fromkeys(members))
    every = await key_numbers(connection)
    await hold(connection, members, left)
    looked = set(every) if len(members) <= FEW_MEMBERS else set(left)
    opened = OpenLists(connection, now_ms)
    for at in range(0, len(members), BLOCK_MEMBERS):
        block = members[at : at + BLOCK_MEMBERS]
        classes = await published_classes(connection, block)
        within = await _cards_by_domain(connection, block)
        flags = await _flags_by_domain(connection, within.keys(), block)
        words = await word_of(connection, block)
        for domain in sorted(looked | within.keys()):
            says = words.get(domain, NOTHING).beside(classes, flags.get(domain, {}))
            for number in every[domain]:
                key = keys.domain_key(domain, number)
                wanted = await asyncio.to_thread(_compile, keys, key, within.get(domain, []), *says)
                if wanted:
                    await (await opened.rows(domain, number)).put(connection, wanted)
                if domain in looked:
                    others = await _tokens_of(connection, keys, key, block) - wanted.keys()
                    await opened.drop(domain, number, others)
    return await opened.close()


async def drop_cards(connection: AsyncConnection, keys: Keys, uids: Sequence[CardUID], now_ms: int) -> None:
    """Take cards that are nobody's any more off every list. Their waiters wake when the transaction is durable."""
    opened = OpenLists(connection, now_ms)
    for domain, numbers in (await key_numbers(connection)).items():
        for number in numbers:
            key = keys.domain_key(domain, number)
            await opened.drop(domain, number, {token(key, uid) for uid in uids})
    await opened.close()


async def refresh_domain(
    connection: AsyncConnection,
    keys: Keys,
    domain: str,
    now_ms: int,
    anew: bool = False,
    progress: Progress | None = None,
) -> bool:
    """Compile a whole list again, after an import.

    `anew`: publish it as newer even if nothing changed, for after a restore, when gates may hold a list that this
    database never knew; no delta leads to it. Returns whether the list is newer.
    """
    numbers = (await key_numbers(connection))[domain]
    await renew_staff(connection, keys, now_ms, domain=domain)
    opened = OpenLists(connection, now_ms)
    for number in numbers:
        rows = await opened.rows(domain, number)
        if anew:
            rows.renew()
        await compile_whole(connection, keys, rows, progress)
    return bool(await opened.close())


async def compile_whole(
    connection: AsyncConnection, keys: Keys, rows: ListRows, progress: Progress | None = None
) -> None:
    """Make the list of a domain under a key what the tables say of every member."""
    key, wanted_rows = keys.domain_key(rows.domain, rows.key_number), 0
    async for block in compiled_blocks(connection, keys, key, rows.domain):
        await rows.put(connection, block)
        wanted_rows += len(block)
        if progress is not None:
            await progress(f"compiling the list of {rows.domain}", wanted_rows, 0)
    if wanted_rows == rows.count:
        return
    async with WantedTokens(connection) as wanted:  # some row is no longer wanted: find which by a second pass
        async for block in compiled_blocks(connection, keys, key, rows.domain):
            await wanted.add(block)
        async for gone in rows.missing(connection):
            await rows.drop(connection, gone)


_UPPER = "SELECT member FROM subjects WHERE domain = ? AND member > ? ORDER BY member LIMIT 1 OFFSET ?"
_WITHIN = "FROM subjects s JOIN {} x ON x.member = s.member WHERE s.domain = ? AND s.member > ? AND s.member <= ?"
_CARDS = "SELECT x.id, x.member, s.subject, x.number, x.uid_sealed, x.state, x.from_ms, x.until_ms " + _WITHIN.format(
    "cards"
)
_CLASSES = (
    "SELECT x.member, x.name, x.from_ms, x.until_ms "
    + _WITHIN.format("member_classes")
    + " ORDER BY x.member, x.name, x.from_ms"
)
_FLAGS = "SELECT member, flag FROM member_flags WHERE domain = ? AND member > ? AND member <= ? ORDER BY member, flag"


async def compiled_blocks(
    connection: AsyncConnection, keys: Keys, key: bytes, domain: str
) -> AsyncIterator[dict[bytes, bytes]]:
    """The whole list that a domain should have, block by block; plain SQL, for millions of rows."""
    last: bytes | None = b""
    while last is not None:
        block, last = await compiled_block(connection, keys, key, domain, last)
        yield block


async def compiled_block(
    connection: AsyncConnection, keys: Keys, key: bytes, domain: str, after: bytes
) -> tuple[dict[bytes, bytes], bytes | None]:
    """Tokens and entries of the next members after one, and the last of these; None: there are no more."""
    upper = await run_steps(connection, one(Statement(_UPPER, (domain, after, BLOCK_MEMBERS - 1))))
    last = bytes(upper[0][0]) if upper else None
    bounds = (domain, after, last or b"\xff" * 17)
    held = _grants(await run_steps(connection, one(Statement(_CLASSES, bounds))))
    grants = await published_grants(connection, held)
    flags = _flags(await run_steps(connection, one(Statement(_FLAGS, bounds))))
    rows = await run_steps(connection, one(Statement(_CARDS, bounds)))
    says = (await word_between(connection, *bounds)).beside(grants, flags)
    return await asyncio.to_thread(_compile, keys, key, rows, *says), last


async def published_classes(connection: AsyncConnection, members: Sequence[bytes]) -> dict[bytes, tuple[Grant, ...]]:
    """What others than libraries say of them, without the sensitive classes that nobody may learn of."""
    c = member_classes.c
    query = select(c.member, c.name, c.from_ms, c.until_ms).where(c.member.in_(members))
    held = _grants((await connection.execute(query.order_by(c.member, c.name, c.from_ms))).all())
    return await published_grants(connection, held)


async def grants_of(connection: AsyncConnection, member: bytes) -> tuple[Grant, ...]:
    """Every class that some list has for a member's cards: no other system learns more than gates do."""
    within = select(subjects.c.domain).where(subjects.c.member == member).order_by(subjects.c.domain)
    words = await word_of(connection, [member])
    given = [words.get(domain, NOTHING).grants for domain in (await connection.execute(within)).scalars()]
    published = await published_classes(connection, [member])
    return tuple(grant for some in (published, *given) for grant in some.get(member, ()))


def _grants(rows: Iterable[Sequence[Any]]) -> dict[bytes, tuple[Grant, ...]]:
    found: dict[bytes, tuple[Grant, ...]] = {}
    for member, name, from_ms, until_ms in rows:
        found[member] = (*found.get(member, ()), Grant(name, from_ms, until_ms))
    return found


async def _flags_by_domain(
    connection: AsyncConnection, within: Iterable[str], members: Sequence[bytes]
) -> dict[str, Flags]:
    found = {}
    for domain in within:
        query = select(member_flags.c.member, member_flags.c.flag)
        query = query.where(member_flags.c.domain == domain, member_flags.c.member.in_(members))
        ordered = query.order_by(member_flags.c.member, member_flags.c.flag)
        found[domain] = _flags((await connection.execute(ordered)).all())
    return found


def _flags(rows: Iterable[Sequence[Any]]) -> Flags:
    found: dict[bytes, tuple[str, ...]] = {}
    for member, flag in rows:
        found[member] = (*found.get(member, ()), flag)
    return found


async def _cards_by_domain(connection: AsyncConnection, members: Sequence[bytes]) -> dict[str, list[CardRow]]:
    query = select(
        subjects.c.domain,
        cards.c.id,
        cards.c.member,
        subjects.c.subject,
        cards.c.number,
        cards.c.uid_sealed,
        cards.c.state,
        cards.c.from_ms,
        cards.c.until_ms,
    ).where(cards.c.member == subjects.c.member, cards.c.member.in_(members))
    found: dict[str, list[CardRow]] = {}
    for within, *card in await connection.execute(query):
        found.setdefault(within, []).append(tuple(card))
    return found


async def _tokens_of(connection: AsyncConnection, keys: Keys, key: bytes, members: Sequence[bytes]) -> set[bytes]:
    """The tokens that these members' cards have under a key, whether they are listed or not."""
    query = select(cards.c.id, cards.c.uid_sealed).where(cards.c.member.in_(members))
    return {token(key, keys.open_uid(sealed, card)) for card, sealed in await connection.execute(query)}


def _compile(
    keys: Keys, key: bytes, rows: Sequence[CardRow], classes: Mapping[bytes, tuple[Grant, ...]], flags: Flags
) -> dict[bytes, bytes]:
    """Token and entry of each card. Blocked, lost and replaced cards stay, so that the gate can say why."""
    return {
        token(key, keys.open_uid(sealed, card)): _entry(
            Entry(
                *(subject, number, CardState(state), _published(classes.get(member, ()))),
                *(published(from_ms), published(until_ms)),
                flags.get(member, ())[:MAX_FLAGS],
            )
        )
        for card, member, subject, number, sealed, state, from_ms, until_ms in rows
    }


def _published(grants: Sequence[Grant]) -> tuple[Grant, ...]:
    dated = (Grant(grant.name, published(grant.from_ms), published(grant.until_ms)) for grant in grants)
    return tuple(grant for grant in dated if not is_nothing(grant.from_ms, grant.until_ms))


def _entry(entry: Entry) -> bytes:
    """Inside the limits of SPEC §1.3; a class that does not fit is left out, which never admits anybody."""
    kept = entry.classes[:MAX_CLASSES]
    while True:
        data = encode(Entry(entry.subject, entry.card, entry.state, kept, entry.from_ms, entry.until_ms, entry.flags))
        if len(data) <= MAX_ENTRY_BYTES:
            break
        kept = kept[:-1]
    if len(kept) < len(entry.classes):
        log.warning("classes-left-out", classes=len(entry.classes), kept=len(kept))
    return data
