"""New cards for members, and what becomes of the cards that they replace."""

import secrets
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.cards.class_store import Stated
from central.actions.cards.named import Card
from central.actions.cards.statements import Change, apply, now_of, state
from central.keys import Keys
from central.people.bindings import Bound, Statement
from central.published_dates import midnight_after
from central.store.schema import cards
from protocol.allowlist import CardState
from protocol.uid import CardUID

MAX_DAYS = 3_650


class Issue(NamedTuple):
    """A new card, and those that it replaces. `number`: which of the member's cards it is. `until_ms`: its own end, of
    one that replaces none; 0 = open."""

    uid: CardUID
    member: bytes
    number: int
    replaces: tuple[Card, ...]
    until_ms: int = 0


async def issue(
    connection: AsyncConnection, keys: Keys, issues: Sequence[Issue], after_days: int, stated: Stated
) -> None:
    """Bind the new cards. Each ends when the latest of those that it replaces would have ended; those stop at once, or
    after so many days, so that a person can use the old card until the new one is there."""
    rows: list[dict[str, Any]] = []
    said: dict[bytes, Sequence[Statement]] = {}
    for one in issues:
        index = keys.uid_index(one.uid)
        rows.append(_row(keys, one, index, stated))
        bound = Bound(one.member, one.number, CardState.ACTIVE)
        said[index] = (Statement(bound, stated.known_ms, 0, stated.known_ms),)
    if rows:
        await connection.execute(insert(cards), rows)
    await state(connection, said, (), stated)
    old = {card.id: card for one in issues for card in one.replaces}
    await apply(connection, [_replaced(card, after_days, stated) for _, card in sorted(old.items())], stated)


def _row(keys: Keys, one: Issue, index: bytes, stated: Stated) -> dict[str, Any]:
    card = stated.known_ms.to_bytes(6) + secrets.token_bytes(10)
    ends = [old.until_ms for old in one.replaces]
    return {
        "id": card,
        "member": one.member,
        "number": one.number,
        "uid_index": index,
        "uid_sealed": keys.seal_uid(one.uid, card),
        "state": int(CardState.ACTIVE),
        "from_ms": 0,
        "until_ms": (max(ends) if all(ends) else 0) if ends else one.until_ms,
        "bound_ms": stated.known_ms,
        "why": stated.why,
    }


def _replaced(card: Card, after_days: int, stated: Stated) -> Change:
    now = now_of(card)
    replaced = now.bound._replace(state=CardState.REPLACED)
    if not after_days or card.state is not CardState.ACTIVE:
        return Change(now, replaced, (Statement(replaced, stated.known_ms, 0, stated.known_ms),))
    then_ms = midnight_after(stated.known_ms, after_days)
    if card.until_ms and card.until_ms <= then_ms:  # it ends by itself before
        return Change(now, now.bound, (Statement(replaced, card.until_ms, 0, stated.known_ms),))
    return Change(now, now.bound, (Statement(replaced, then_ms, 0, stated.known_ms, ended_ms=card.until_ms),), then_ms)
