"""Which reference a member had when. The audit log goes by references and is never rewritten: a correction is a fact,
and what the log has of a member is looked for under each reference, for as long as it was this member's."""

from collections.abc import Iterable
from typing import Any, ClassVar, NamedTuple

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.facts import About, Fact, FactBody, append, read
from central.leaving import ever
from central.store.schema import audit, members


class ReferenceCorrected(FactBody, frozen=True):
    """The member was known by a wrong reference until the fact's `at_ms`. Stated of each of the member's subjects."""

    KIND: ClassVar[str] = "reference-corrected"
    before: str
    after: str
    why: str = ""


class Held(NamedTuple):
    """A reference, and from when (excluded; 0 = ever) until when (included; None = it still is) it was the member's."""

    reference: str
    from_ms: int
    until_ms: int | None

    def at(self, at_ms: int) -> bool:
        """Whether it was the member's then."""
        return at_ms > self.from_ms and (self.until_ms is None or at_ms <= self.until_ms)


async def references_held(connection: AsyncConnection, member: bytes, reference: str) -> tuple[Held, ...]:
    """The earliest first; the last one is `reference`, which the member has now."""
    query = select(ever.c.subject).where(ever.c.member == member)
    own = {bytes(subject) for subject in (await connection.execute(query)).scalars()}
    return held_by(own, await read(connection, [ReferenceCorrected]), reference)


def held_by(own: set[bytes], corrections: Iterable[Fact], reference: str) -> tuple[Held, ...]:
    """`corrections`: of everybody, since a reference that one member gave up may be another's from then on."""
    mine: dict[int, str] = {}
    given_up: list[tuple[str, int]] = []
    for fact in corrections:
        if fact.subject in own:
            mine[fact.at_ms] = fact.body.before
        else:
            given_up.append((fact.body.before, fact.at_ms))
    held, since_ms = list[Held](), 0
    for until_ms, name in (*sorted(mine.items()), (None, reference)):
        free_ms = [at_ms for each, at_ms in given_up if each == name and (until_ms is None or at_ms <= until_ms)]
        held.append(Held(name, max([since_ms, *free_ms]), until_ms))
        since_ms = until_ms or 0
    return tuple(held)


def targets(held: Iterable[Held]) -> ColumnElement[bool]:
    """Rows of the audit log whose target is one of these, while it was the member's."""
    return or_(*map(_while, held))


def _while(held: Held) -> Any:
    a, bounds = audit.c, [audit.c.target == held.reference]
    if held.from_ms:
        bounds.append(a.at_ms > held.from_ms)
    if held.until_ms is not None:
        bounds.append(a.at_ms <= held.until_ms)
    return and_(*bounds)


async def correct_reference(
    connection: AsyncConnection, member: bytes, corrected: ReferenceCorrected, who: str, now_ms: int
) -> None:
    """From now on. Whether the new one is free has been looked for."""
    s = ever.c
    for domain, subject in (await connection.execute(select(s.domain, s.subject).where(s.member == member))).all():
        await append(connection, About(who, now_ms, domain, bytes(subject)), corrected, now_ms)
    await connection.execute(update(members).where(members.c.id == member).values(reference=corrected.after))
