"""Finding members by whatever somebody has of them: a card's UID in any notation, a reference, a number, a name."""

from collections.abc import Collection, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.cards.member_index import KINDS
from central.actions.cards.named import cards_by_index
from central.actions.cards.within import domains_of, is_in
from central.people.search_keys import is_found_by, is_readable, is_same_name, number_form, rarest, whole
from central.store.schema import member_classes, member_name_keys, member_numbers, members, subjects
from protocol.uid import CardUID, candidates

MOST_OPENED = 4_000
"""Names that one call opens: the beginning of a word may be that of many, and who asks goes on with `after`."""
OPENED_AT_ONCE = 500
SAME, BEGINS = "same", "begins"
"""How names are looked for: those that are the same as what was typed, then those that begin so."""

Kind = Literal["any", "uid", "member", "library-barcode", "volunteer-number", "name"]


class FindParams(Params, frozen=True):
    """`sought`: what is known of the member, as typed. `kind`: what it is; not said, all that it could be is tried.
    `after`: the `after` of the answer before."""

    sought: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    kind: Kind = "any"
    after: Annotated[str, msgspec.Meta(max_length=64)] = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 25


class MemberHit(msgspec.Struct, frozen=True):
    """A member, and what of them was found. `notations`: how the text reads as the UID of `card`, one of the member's
    cards by its number (0: not by a card)."""

    id: str
    member: str
    name: str
    by: str
    notations: list[str]
    card: int
    card_state: str
    classes: list[str]
    domains: list[str]


class MembersFound(Result, frozen=True):
    """Exact ones first, then by name. `after` not empty: there may be more."""

    members: list[MemberHit]
    after: str
    too_short: bool
    """As a name it is too short to be looked for: two characters of Chinese, three letters of others."""


class _Hit(NamedTuple):
    member: bytes
    by: str
    notations: tuple[str, ...] = ()
    card: int = 0
    card_state: str = ""


@action("member.find", FindParams, writes=False)
async def member_find(context: Context, params: FindParams) -> MembersFound:
    """What was typed is looked up as each thing that it could be."""
    if not is_readable(params.sought):
        raise ActionFailed("sought: it has characters that are no letters or signs")
    kinds: set[str] = {params.kind} if params.kind != "any" else {"uid", "member", "name", *KINDS}
    async with context.database.read() as connection:
        domains = await domains_of(connection, context.scope)
        hits = [] if params.after else await _exact(context, connection, params.sought, kinds, domains)
        after, too_short = "", False
        if "name" in kinds:
            names = _Names(context, connection, params.sought, domains, params.limit - len(hits))
            after, too_short = await names.look(params.after), not rarest(params.sought)
            known = {hit.member for hit in hits}
            hits += [hit for hit in names.hits if hit.member not in known]
        found = await _described(context, connection, hits, domains)
    return MembersFound(members=found, after=after, too_short=too_short and not found)


# --- exact ------------------------------------------------------------------------------------------------------


async def _exact(
    context: Context, connection: AsyncConnection, sought: str, kinds: set[str], domains: frozenset[str] | None
) -> list[_Hit]:
    hits: list[_Hit] = []
    if "uid" in kinds:
        hits += await _by_uid(context, connection, sought)
    if "member" in kinds:
        query = select(members.c.id).where(members.c.reference == sought.strip())
        hits += [_Hit(member, "member") for member in (await connection.execute(query)).scalars()]
    form = number_form(sought)
    for kind in KINDS if form else ():
        if kind in kinds:
            c = member_numbers.c
            query = select(c.member).where(c.kind == kind, c.key == context.keys.number_key(kind, form))
            hits += [_Hit(member, kind) for member in (await connection.execute(query)).scalars()]
    if domains is None or not hits:
        return hits
    s = subjects.c
    query = select(s.member).where(s.member.in_({hit.member for hit in hits}), s.domain.in_(sorted(domains)))
    theirs = set((await connection.execute(query)).scalars())
    return [hit for hit in hits if hit.member in theirs]


async def _by_uid(context: Context, connection: AsyncConnection, sought: str) -> list[_Hit]:
    """Every reading that is a known card's: naming one of them does not say that it is the one that was meant."""
    read: dict[CardUID, list[str]] = {}
    for notation, uid in candidates(sought).items():
        read.setdefault(uid, []).append(notation.value)
    indexes = {context.keys.uid_index(uid): tuple(notations) for uid, notations in read.items()}
    held = await cards_by_index(connection, indexes)
    return [
        _Hit(card.member, "uid", indexes[index], card.number, card.state.name.lower()) for index, card in held.items()
    ]


# --- by name ----------------------------------------------------------------------------------------------------


class _Names:
    """One look through names that the index leads to, opened and compared: how many are still wanted, and how many may
    still be opened."""

    def __init__(
        self, context: Context, connection: AsyncConnection, sought: str, domains: frozenset[str] | None, room: int
    ) -> None:
        self._context, self._connection, self._sought, self._domains = context, connection, sought, domains
        self._room, self._budget = room, MOST_OPENED
        self.hits: list[_Hit] = []

    async def look(self, after: str) -> str:
        """Gather hits; where to go on, empty where all were looked at."""
        phase, last = _cursor(after)
        while True:
            part = whole(self._sought) if phase == SAME else rarest(self._sought)
            stopped = await self._open(phase, part, last) if part else None
            if stopped is not None:
                return f"{phase}/{stopped.hex()}"
            if phase == BEGINS:
                return ""
            phase, last = BEGINS, b""

    async def _open(self, phase: str, part: str, last: bytes) -> bytes | None:
        """The last one that was looked at; None: there are no more."""
        k = member_name_keys.c
        query = select(members.c.id, members.c.name_sealed).join(members, members.c.id == k.member)
        query = query.where(k.key == self._context.keys.name_key(part), members.c.name_sealed.is_not(None))
        within = is_in(self._domains, k.member)
        query = (query if within is None else query.where(within)).order_by(k.member).limit(OPENED_AT_ONCE)
        while self._room > 0 and self._budget > 0:
            rows = (await self._connection.execute(query.where(k.member > last) if last else query)).all()
            for row in rows:
                last = row.id
                self._budget -= 1
                if _is_meant(self._context.keys.open_name(row.name_sealed, row.id), self._sought, phase):
                    self.hits.append(_Hit(row.id, "name"))
                    self._room -= 1
                if self._room <= 0:
                    break
            if len(rows) < OPENED_AT_ONCE and (not rows or last == rows[-1].id):
                return None
        return last


def _is_meant(name: str, sought: str, phase: str) -> bool:
    same = is_same_name(name, sought)
    return same if phase == SAME else not same and is_found_by(name, sought)


def _cursor(after: str) -> tuple[str, bytes]:
    if not after:
        return SAME, b""
    phase, _, last = after.partition("/")
    try:
        if phase not in (SAME, BEGINS):
            raise ValueError
        return phase, bytes.fromhex(last)
    except ValueError:
        raise ActionFailed("after: not what an answer of `member find` said") from None


# --- what is shown ----------------------------------------------------------------------------------------------


async def _described(
    context: Context, connection: AsyncConnection, hits: Sequence[_Hit], domains: frozenset[str] | None
) -> list[MemberHit]:
    ids = sorted({hit.member for hit in hits})
    query = select(members.c.id, members.c.reference, members.c.name_sealed).where(members.c.id.in_(ids))
    rows = {row.id: row for row in await connection.execute(query)}
    m, s = member_classes.c, subjects.c
    classes = await _grouped(connection, select(m.member, m.name).where(m.member.in_(ids)).distinct())
    within = await _grouped(connection, select(s.member, s.domain).where(s.member.in_(ids)))
    return [_hit(context, rows[hit.member], hit, classes, within, domains) for hit in hits]


async def _grouped(connection: AsyncConnection, query: Any) -> dict[bytes, list[str]]:
    found: dict[bytes, list[str]] = {}
    for member, name in await connection.execute(query):
        found.setdefault(member, []).append(name)
    return {member: sorted(names) for member, names in found.items()}


def _hit(
    context: Context,
    row: Any,
    hit: _Hit,
    classes: dict[bytes, list[str]],
    within: dict[bytes, list[str]],
    domains: Collection[str] | None,
) -> MemberHit:
    name = context.keys.open_name(row.name_sealed, row.id) if row.name_sealed else ""
    theirs = [domain for domain in within.get(row.id, []) if domains is None or domain in domains]
    told = (list(hit.notations), hit.card, hit.card_state)
    return MemberHit(row.id.hex(), row.reference, name, hit.by, *told, classes.get(row.id, []), theirs)
