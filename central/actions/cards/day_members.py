"""Day cards: each is a member's of its own, who is nobody in particular and in one class until the venue closes.

A card that comes back is given to the next day's member: nothing joins the two, neither history nor limits.
"""

import datetime as dt
import secrets
from zoneinfo import ZoneInfo

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.cards.class_store import Stated
from central.actions.cards.import_store import new_id
from central.actions.cards.issuing import Issue, issue
from central.actions.cards.named import Card
from central.actions.cards.statements import Change, apply, now_of
from central.keys import Keys
from central.people.bindings import Bound, Statement
from central.store.schema import member_classes, members, subjects
from protocol.allowlist import CardState
from protocol.uid import CardUID

PREFIX = "day/"
"""How the references of day members begin; no other member's may."""
DAY_CLASS = "day"


def is_day_member(reference: str) -> bool:
    """Whether a reference is that of a day card's member."""
    return reference.startswith(PREFIX)


async def add_day_member(
    connection: AsyncConnection, domain: str, class_name: str, zone: ZoneInfo, now_ms: int, until_ms: int
) -> tuple[bytes, str]:
    """The id and the reference of a new one."""
    day = dt.datetime.fromtimestamp(now_ms / 1_000, zone).date()
    member, reference = new_id(), f"{PREFIX}{day.isoformat()}/{secrets.token_hex(4)}"
    await connection.execute(insert(members).values(id=member, reference=reference, created_ms=now_ms))
    span = {"member": member, "name": class_name, "from_ms": now_ms, "until_ms": until_ms}
    await connection.execute(insert(member_classes).values(span))
    within = {"domain": domain, "member": member, "subject": secrets.token_bytes(16)}
    await connection.execute(insert(subjects).values(within))
    return member, reference


async def day_end(connection: AsyncConnection, member: bytes) -> int:
    """When the day of a day member is over; 0 for other members, whose classes are not looked at."""
    c = member_classes.c
    query = select(members.c.reference, func.max(c.until_ms)).join(members, members.c.id == c.member)
    row = (await connection.execute(query.where(c.member == member).group_by(members.c.reference))).first()
    return int(row[1]) if row is not None and is_day_member(row[0]) else 0


async def issue_day_card(
    connection: AsyncConnection, keys: Keys, uid: CardUID, member: bytes, until_ms: int, stated: Stated
) -> None:
    """A card that was nobody's."""
    await issue(connection, keys, [Issue(uid, member, 1, (), until_ms)], 0, stated)


async def hand_over(connection: AsyncConnection, card: Card, member: bytes, until_ms: int, stated: Stated) -> None:
    """A day card that came back is another day member's from now on. Whoever calls publishes both."""
    bound = Bound(member, 1, CardState.ACTIVE)
    said = (Statement(bound, stated.known_ms, 0, stated.known_ms, "", card.until_ms),)
    await apply(connection, [Change(now_of(card), bound, said, until_ms)], stated)
