"""A person erased: every row that says something of them goes, and what proves what happened stays without them.

One transaction. What has to be gone from files as well is the affair of `erasure.files`; what gates still hold, that of
`erasure.late`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.access.audit import STRUCK
from central.keys import Keys
from central.lists import drop_cards
from central.privacy.destroying import destroy
from central.privacy.erasure.places import step_back
from central.privacy.erasure.through import look_again
from central.privacy.found import EventName, Person, audit_of, evidence_of, holds
from central.privacy.kept import keep_hours, keep_points
from central.privacy.tables import BY_MEMBER, BY_SUBJECT
from central.services.projector import Member, settle_services, tell
from central.services.service import Touched
from central.services.turns import one_at_a_time
from central.shared_parts import put_names
from central.store.schema import (
    audit,
    card_bindings,
    consents,
    erased_subjects,
    erasures,
    erasures_pending,
    evidence,
    facts,
    lists,
    marks,
    members,
    under_own_key,
)
from central.store.slices import slices
from protocol.errors import Refused
from protocol.messages import Upload, decode, encode

NOBODY = b""


class Ordered(NamedTuple):
    """An erasure: its number, by whom and when."""

    id: bytes
    who: str
    at_ms: int


async def erase(
    connection: AsyncConnection, keys: Keys, person: Person, names: Sequence[EventName], ordered: Ordered
) -> dict[str, int]:
    """How many rows of what went. `names`: what `found.events_of` found after `ordered.at_ms`; events that came since
    then are found as late ones."""
    await one_at_a_time(connection)
    await look_again(connection, ordered.at_ms)
    counts: Counter[str] = Counter()
    for domain, subject in sorted(person.subjects.items()):
        await keep_hours(connection, domain, subject)
        counts["points in closed months"] += await keep_points(connection, domain, subject)
    destroyed = await destroy(connection, names, ordered.at_ms)
    counts["events"] += destroyed.events
    counts["evidence"] += await strip_evidence(connection, person.needles)
    said = await _what_was_said(connection, person)
    forgotten, changed = await forget_subjects(connection, person.subjects)
    await tell(connection, changed | set(person.subjects.items()), ordered.at_ms)  # gates forget the history, too
    counts += forgotten
    version = await _off_the_lists(connection, keys, person, ordered)
    await step_back(connection, person)  # walks that make lists are waited for by now
    counts += await _of_member(connection, person)
    for domain in sorted(person.subjects):
        await put_names(connection, domain, ordered.at_ms)
    counts["audit log"] += await _strike(connection, person)
    await _note(connection, keys, person, ordered, (counts, said, version))
    return {name: number for name, number in sorted(counts.items()) if number}


async def rows_held(connection: AsyncConnection, person: Person) -> dict[str, int]:
    """How many rows of what would go; events beside."""
    counts: Counter[str] = Counter()
    for table in BY_MEMBER:
        counts[str(table.name)] += await _number(connection, table, table.c.member == person.id)
    for table in BY_SUBJECT:
        counts[str(table.name)] += await _number(connection, table, _is_of(connection, table, person.subjects))
    counts["card_bindings"] += await _number(connection, card_bindings, card_bindings.c.member == person.id)
    counts["audit log"] += len(await audit_of(connection, person))
    counts["evidence"] += len(await evidence_of(connection, person.needles))
    return {name: number for name, number in sorted(counts.items()) if number}


async def _number(connection: AsyncConnection, table: Any, condition: Any) -> int:
    query = select(func.count()).select_from(table).where(condition)
    return int((await connection.execute(query)).scalar_one())


def _is_of(connection: AsyncConnection, table: Any, who: Mapping[str, bytes]) -> ColumnElement[bool]:
    """Rows of these subjects; facts about others that name one of them as well (a card was bound to the wrong one)."""
    subjects = list(who.values())
    own: ColumnElement[bool] = table.c.subject.in_(subjects)
    if table is facts:
        return or_(own, *(holds(connection, facts.c.body, subject) for subject in subjects))
    return own


async def forget_subjects(connection: AsyncConnection, who: Mapping[str, bytes]) -> tuple[Counter[str], set[Member]]:
    """How many rows of these subjects (by domain) went, and of whom the state feed has something else to tell. Facts
    first, so that what is computed again comes out empty, and days whose visits went are counted again."""
    counts: Counter[str] = Counter()
    changed: set[Member] = set()
    if not who:
        return counts, changed
    for table in BY_SUBJECT[:2]:
        gone = await connection.execute(delete(table).where(_is_of(connection, table, who)))
        counts[str(table.name)] += gone.rowcount
    await connection.execute(delete(marks).where(marks.c.subject.in_(list(who.values()))))
    changed = await settle_services(connection, [Touched(*member, 0) for member in sorted(who.items())])
    for table in BY_SUBJECT[2:]:
        gone = await connection.execute(delete(table).where(_is_of(connection, table, who)))
        counts[str(table.name)] += gone.rowcount
    return counts, changed


async def _off_the_lists(connection: AsyncConnection, keys: Keys, person: Person, ordered: Ordered) -> dict[str, int]:
    """By domain: the version of the list that has dropped the member's cards."""
    await drop_cards(connection, keys, list(person.cards.values()), ordered.at_ms)
    entry_history = next(table for table in BY_SUBJECT if table.name == "entry_history")
    await connection.execute(delete(entry_history).where(_is_of(connection, entry_history, person.subjects)))
    own = lists.c.domain.in_(sorted(person.subjects)) & under_own_key(lists)
    query = select(lists.c.domain, lists.c.version).where(own)
    return {row.domain: row.version for row in await connection.execute(query)}


async def _of_member(connection: AsyncConnection, person: Person) -> Counter[str]:
    counts: Counter[str] = Counter()
    counts["card_bindings"] += await _bindings(connection, person)
    for table in BY_MEMBER:
        counts[str(table.name)] += (await connection.execute(delete(table).where(table.c.member == person.id))).rowcount
    counts["members"] += (await connection.execute(delete(members).where(members.c.id == person.id))).rowcount
    return counts


async def _bindings(connection: AsyncConnection, person: Person) -> int:
    """What was ever stated of a card that is nobody else's; of others only what is stated of this member."""
    b = card_bindings.c
    stated = select(b.uid_index).where(b.member == person.id)
    indexes = {*(await connection.execute(stated)).scalars(), *person.uid_indexes}
    shared = select(b.uid_index).where(b.uid_index.in_(indexes), b.member.not_in([person.id, NOBODY]))
    others = set((await connection.execute(shared)).scalars())
    gone = (await connection.execute(delete(card_bindings).where(b.uid_index.in_(indexes - others)))).rowcount
    emptied = {"member": NOBODY, "number": 0, "who": "", "why": "", "batch": ""}
    theirs = update(card_bindings).where(b.member == person.id)
    return int(gone + (await connection.execute(theirs.values(emptied))).rowcount)


async def strip_evidence(connection: AsyncConnection, needles: Sequence[bytes]) -> int:
    """Forked and refused uploads keep their batch, which is signed; the personal parts beside it that are this person's
    go."""
    rows = await evidence_of(connection, needles)
    for row in rows:
        try:
            upload = decode(Upload, row.body)
            parts = tuple(b"" if any(each in part for each in needles) else part for part in upload.personal)
            body = encode(Upload(upload.batch, parts))
        except Refused:
            body = b""  # it cannot be read, yet it names the person
        e = evidence.c
        this = (e.device == row.device) & (e.digest == row.digest) & (e.kind == row.kind)
        await connection.execute(update(evidence).where(this).values(body=body))
    return len(rows)


async def _strike(connection: AsyncConnection, person: Person) -> int:
    numbers = await audit_of(connection, person)
    for some in slices(numbers):
        await connection.execute(update(audit).where(audit.c.number.in_(some)).values(STRUCK))
    return len(numbers)


async def _what_was_said(connection: AsyncConnection, person: Person) -> list[list[Any]]:
    """Consents without the person, for whoever brings the reference and doubts that there ever was one."""
    c = consents.c
    query = select(c.purpose, c.state, c.notice, c.at_ms).where(c.member == person.id).order_by(c.purpose, c.place)
    return [list(row) for row in await connection.execute(query)]


async def _note(
    connection: AsyncConnection,
    keys: Keys,
    person: Person,
    ordered: Ordered,
    told: tuple[Counter[str], list[list[Any]], dict[str, int]],
) -> None:
    counts, said, versions = told
    row = {
        "id": ordered.id,
        "at_ms": ordered.at_ms,
        "who": ordered.who,
        "member": keys.erased_hash("member", person.id),
        "reference": keys.erased_hash("reference", person.reference.encode()),
        "counts": msgspec.json.encode(dict(counts)).decode(),
        "consents": msgspec.json.encode(said).decode(),
        "heard_ms": 0 if versions else ordered.at_ms,
    }
    await connection.execute(insert(erasures).values(row))
    for domain, subject in sorted(person.subjects.items()):
        late = {"subject": keys.erased_hash("subject", subject), "erasure": ordered.id}
        await connection.execute(insert(erased_subjects).values(late))
        if domain in versions:
            pending = {"erasure": ordered.id, "domain": domain, "subject": subject, "version": versions[domain]}
            await connection.execute(insert(erasures_pending).values(pending))
