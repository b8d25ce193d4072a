"""Why a tap was decided as it was, months later: out of what was signed, what lists and policies said then, and what is
known today. What was destroyed or was never written down is said, never guessed.
"""

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.entry_history import HeldEntry, entry_at, known_since
from central.generation import generation_of
from central.services.judging.account import Account, Who, explained
from central.services.judging.clock_facts import clocks_of
from central.services.judging.held_policies import HeldPolicies, PolicyVersion, held_policies
from central.services.judging.public_parts import PublicPart, public_parts
from central.services.judging.reading import mark_of
from central.services.marks import EventName, MarkFate
from central.store.schema import domains, events, gates, list_entries, marks, members, subjects, venues
from protocol.errors import Refused
from protocol.history import FORGOTTEN_MS, Mark
from protocol.messages import Kind, Personal, decode


async def account_of(connection: AsyncConnection, name: EventName) -> Account | None:
    """None: no such event is in custody."""
    e = events.c
    query = select(events, gates.c.venue, venues.c.domain).outerjoin(gates, gates.c.id == e.gate)
    query = query.outerjoin(venues, venues.c.id == gates.c.venue)
    same = (e.device == name[0], e.epoch == name[1], e.sequence == name[2])
    row = (await connection.execute(query.where(*same))).first()
    if row is None:
        return None
    part = (await public_parts(connection, [name])).get(name)
    domain = row.domain or ""
    clocks = await clocks_of(connection, domain)
    at_ms = clocks.corrected_ms(row.device, row.at_ms)
    who = await _who(connection, domain, row, part)
    policies = await held_policies(connection, [row.gate], [part.event.held.policy] if part else [])
    policy = policies.held(row.gate, part.event.held.policy) if part else None
    account = Account(
        *(row, part, row.venue or "", domain, who, clocks.stated(row.device, row.at_ms), at_ms),
        *await _entries(connection, domain, who, part, at_ms),
        *(policy, _in_force(policies, row.gate, policy, at_ms)),
        before=await _before(connection, domain, row, who, policy),
    )
    if row.kind == Kind.TAP and part is not None:
        account = explained(account, part)
    return account._replace(unknown=tuple(await _unknown(connection, account)))


# --- what stands in the tables ----------------------------------------------------------------------------------


async def _who(connection: AsyncConnection, domain: str, row: Any, part: PublicPart | None) -> Who:
    if row.personal is None:
        return Who("destroyed" if part is not None and part.event.personal_digest else "nobody")
    try:
        personal = decode(Personal, row.personal)
    except Refused:
        return Who("nobody")
    if not personal.subject:
        return Who("token", personal, listed=await _listed(connection, domain, personal))
    query = select(members.c.reference).join(subjects, subjects.c.member == members.c.id)
    query = query.where(subjects.c.domain == domain, subjects.c.subject == personal.subject)
    return Who("member", personal, (await connection.execute(query)).scalar() or "")


async def _listed(connection: AsyncConnection, domain: str, personal: Personal) -> HeldEntry | None:
    """A token says nothing under another key than the one that it was made with."""
    query = select(list_entries.c.version, list_entries.c.token, list_entries.c.entry)
    query = query.join(domains, domains.c.id == list_entries.c.domain).where(
        *(domains.c.id == domain, domains.c.key_number == personal.key_number),
        list_entries.c.key_number == personal.key_number,
        *(list_entries.c.token == personal.token, list_entries.c.dropped.is_(False)),
    )
    row = (await connection.execute(query)).first()
    return None if row is None else HeldEntry(*row)


async def _entries(
    connection: AsyncConnection, domain: str, who: Who, part: PublicPart | None, at_ms: int
) -> tuple[HeldEntry | None, HeldEntry | None]:
    """As the gate's list had it, and as central knew it at that instant."""
    if who.known != "member" or who.personal is None:
        return None, None
    card = domain, who.personal.subject, who.personal.card
    held = await entry_at(connection, *card, part.event.held.allowlist) if part else None
    return held, await entry_at(connection, *card, at_ms)


def _in_force(policies: HeldPolicies, gate: str, held: PolicyVersion | None, at_ms: int) -> PolicyVersion | None:
    return None if held is None else policies.in_force(gate, held.id, at_ms)


async def _before(
    connection: AsyncConnection, domain: str, row: Any, who: Who, policy: PolicyVersion | None
) -> tuple[Mark, ...]:
    if who.known != "member" or who.personal is None:
        return ()
    since_ms = row.at_ms - FORGOTTEN_MS
    if policy is not None:
        since_ms = min(since_ms, policy.compiled.day(row.at_ms).since_ms)
    m = marks.c
    query = select(marks).where(
        *(m.domain == domain, m.subject == who.personal.subject, m.at_ms >= since_ms, m.at_ms <= row.at_ms),
        m.fate == MarkFate.COUNTS,
    )
    found = [mark_of(each) for each in await connection.execute(query)]
    return tuple(sorted((m for m in found if _bears_on(m, row)), key=lambda mark: (mark.at_ms, mark.name)))


def _bears_on(mark: Mark, row: Any) -> bool:
    """It came before, and is not the tap whose answer this one repeats."""
    is_before = (mark.at_ms, mark.name) < (row.at_ms, (row.epoch, row.sequence))
    return is_before and mark.name != (row.epoch, row.repeat_of - 1)


# --- what cannot be said ----------------------------------------------------------------------------------------


async def _unknown(connection: AsyncConnection, account: Account) -> list[str]:
    row, said = account.row, list[str]()
    if account.part is None:
        said.append("The signed bytes of the event cannot be read here: `tapgate-central verify` says why.")
    if account.who.known == "destroyed":
        said.append("Its personal part was destroyed: who it was, which card and what was charged cannot be known.")
    if account.who.known == "token":
        said.append("The card was not on the gate's list: all that is known of it is its token under the key of then.")
    if account.who.known == "member" and account.entry_held is None and account.part is not None:
        since_ms = await known_since(connection)
        kept = " Such entries are kept since a later time." if account.part.event.held.allowlist < since_ms else ""
        said.append(f"What the gate's list said of the card is not known.{kept}")
    if account.part is not None and account.part.event.held.policy and account.policy is None:
        said.append("The policy version that the gate held is not in this database.")
    if not account.venue and row.gate:
        said.append("The gate is not known here, so neither its venue nor its domain.")
    if row.outcome != "accepted":
        said.append(f"The event is in custody as {row.outcome}: nothing is counted by it.")
    if row.at_ms < await generation_of(connection):
        said.append(
            "This server was restored from a backup since: what it published between that backup and the event, and"
            " devices did not send again, is not known."
        )
    if row.kind == Kind.TAP and account.then is not None and not account.assumed:
        said.append("No assumption about what the gate knew explains its answer by its own policy and list.")
    return said
