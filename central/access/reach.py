"""Where in the city a thing lies that an action names: its venues or its volunteer teams, and whether that is the
caller's.

What is not found, and what is not the caller's, is answered alike: names tell nobody what else there is.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.access.caller import Caller
from central.access.rules import Rule
from central.actions.cards.named import cards_by_index, members_by_reference, readings_of
from central.closures import Closed
from central.facts import read as read_facts
from central.keys import Keys
from central.rollouts.store import read_rollout, targets
from central.store.schema import (
    activities,
    alerts,
    attendance_sessions,
    attendance_teams,
    bind_sessions,
    bundles,
    cards,
    conflicts,
    devices,
    events,
    freezes,
    gates,
    libraries,
    subjects,
    venues,
)

NOWHERE: frozenset[str] = frozenset()


class Forbidden(Exception):
    """The caller may not do this, or not there. The text is one line for a person."""


@dataclass(frozen=True)
class Asked:
    """What is looked up with: the parameters as they were decoded, and the keys that indexes are made with."""

    connection: AsyncConnection
    keys: Keys
    params: Any


Find = Callable[[Asked, Any], Awaitable[frozenset[str] | None]]
"""The venues or teams of what the value names; None: there is no such thing yet, and making it harms nobody."""


@dataclass(frozen=True)
class Kind:
    """`of`: venues or teams. `every`: all of them must be the caller's; otherwise one will do."""

    of: str
    every: bool
    find: Find


async def require(caller: Caller, rule: Rule, asked: Asked) -> None:
    """Raises Forbidden unless what the parameters name lies in the caller's venues or teams."""
    if caller.sees_all or rule.open:
        return
    named = False
    for kind_name, field in rule.own:
        value = getattr(asked.params, field, None)
        if not value:
            continue
        named, kind = True, KINDS[kind_name]
        theirs = caller.venues if kind.of == "venues" else caller.teams
        found = await kind.find(asked, value)
        if found is None:
            continue
        if not found or not (found <= theirs if kind.every else found & theirs):
            told = "" if kind_name == "uid" else f": {str(value)[:80]}"  # a UID stands in no log and in no answer
            raise Forbidden(f"there is no such {kind_name.replace('_', ' ')} among yours{told}")
    if not named and not rule.filtered:
        raise Forbidden("say where: this is done for a place of yours, not for the whole city")


# --- kinds ------------------------------------------------------------------------------------------------------


async def _itself(_asked: Asked, value: Any) -> frozenset[str]:
    return frozenset([value])


async def _all(asked: Asked, query: Select[Any]) -> frozenset[str]:
    return frozenset((await asked.connection.execute(query)).scalars())


async def _domain(asked: Asked, value: Any) -> frozenset[str]:
    return await _all(asked, select(venues.c.id).where(venues.c.domain == value))


async def _gate(asked: Asked, value: Any) -> frozenset[str]:
    return await _all(asked, select(gates.c.venue).where(gates.c.id == value))


async def _gates(asked: Asked, values: Any) -> frozenset[str]:
    wanted = sorted(set(values))
    rows = (await asked.connection.execute(select(gates.c.id, gates.c.venue).where(gates.c.id.in_(wanted)))).all()
    return frozenset(venue for _, venue in rows) if len(rows) == len(wanted) else NOWHERE


async def _device(asked: Asked, value: Any) -> frozenset[str]:
    query = select(gates.c.venue).join(devices, devices.c.gate == gates.c.id).where(devices.c.id == value)
    return await _all(asked, query)


async def _bundle(asked: Asked, value: Any) -> frozenset[str]:
    """Its device's venue."""
    first, _ = _span(value)
    if first is None:
        return NOWHERE
    query = select(gates.c.venue).join(devices, devices.c.gate == gates.c.id)
    return await _all(asked, query.join(bundles, bundles.c.device == devices.c.id).where(bundles.c.id == first))


async def _event(asked: Asked, value: Any) -> frozenset[str]:
    """DEVICE/EPOCH/SEQUENCE: the venue where it happened; of what is in no custody, its device's."""
    device, _, rest = str(value).partition("/")
    epoch, _, sequence = rest.partition("/")
    try:
        name = bytes.fromhex(epoch), int(sequence)
    except ValueError:
        return NOWHERE
    e = events.c
    there = select(gates.c.venue).join(events, e.gate == gates.c.id)
    there = there.where(e.device == device, e.epoch == name[0], e.sequence == name[1])
    return await _all(asked, there) or await _device(asked, device)


async def _conflict(asked: Asked, value: Any) -> frozenset[str]:
    first, past = _span(value)
    if first is None:
        return NOWHERE
    c = conflicts.c
    e = events.c
    of_event = (e.device == c.device) & (e.epoch == c.epoch) & (e.sequence == c.sequence)
    query = select(gates.c.venue).join(events, e.gate == gates.c.id).join(conflicts, of_event)
    return await _all(asked, query.where(c.id.between(first, past)))


async def _conflict_ids(asked: Asked, values: Any) -> frozenset[str]:
    found: frozenset[str] = NOWHERE
    for value in values:
        places = await _conflict(asked, value)
        if not places:
            return NOWHERE
        found |= places
    return found


async def _library(asked: Asked, value: Any) -> frozenset[str]:
    """The venues of the domain whose members it is asked about."""
    query = select(venues.c.id).join(libraries, libraries.c.domain == venues.c.domain)
    return await _all(asked, query.where(libraries.c.id == value))


async def _closure(asked: Asked, value: Any) -> frozenset[str]:
    first, _ = _span(value)
    if first is None:
        return NOWHERE
    found = [fact for fact in await read_facts(asked.connection, [Closed]) if fact.id.hex().startswith(value)]
    return frozenset(fact.venue for fact in found)  # one for the city is of the venue "", which is nobody's


async def _alert(asked: Asked, value: Any) -> frozenset[str]:
    first, _ = _span(value)  # one of a server is of the venue "", which is nobody's
    return NOWHERE if first is None else await _all(asked, select(alerts.c.venue).where(alerts.c.id == first))


async def _activity(asked: Asked, value: Any) -> frozenset[str] | None:
    return await _all(asked, select(activities.c.venue).where(activities.c.id == value)) or None


async def _bind_session(asked: Asked, value: Any) -> frozenset[str]:
    first, past = _span(value)
    if first is None:
        return NOWHERE
    b = bind_sessions.c
    query = select(gates.c.venue).join(bind_sessions, b.gate == gates.c.id).where(b.id.between(first, past))
    return await _all(asked, query)


async def _of_members(asked: Asked, ids: Collection[bytes]) -> frozenset[str]:
    """The venues in whose domains any of them is."""
    query = select(venues.c.id).join(subjects, subjects.c.domain == venues.c.domain)
    return await _all(asked, query.where(subjects.c.member.in_(sorted(ids)))) if ids else NOWHERE


async def _member(asked: Asked, value: Any) -> frozenset[str]:
    return await _of_members(asked, (await members_by_reference(asked.connection, [value])).values())


async def _card(asked: Asked, value: Any) -> frozenset[str]:
    first, _ = _span(value)
    if first is None:
        return NOWHERE
    return await _of_members(asked, await _ids(asked, select(cards.c.member).where(cards.c.id == first)))


async def _uid(asked: Asked, value: Any) -> frozenset[str]:
    try:
        readings = readings_of(value, getattr(asked.params, "notation", "detect"))
    except ValueError:
        return NOWHERE
    held = await cards_by_index(asked.connection, [asked.keys.uid_index(uid) for uid in readings])
    return await _of_members(asked, {card.member for card in held.values()})


async def _policy(_asked: Asked, _value: Any) -> frozenset[str]:
    """Nobody's: one policy is for gates of many venues."""
    return frozenset([""])


async def _rollout_seen(asked: Asked, value: Any) -> frozenset[str]:
    """The venues of the gates that it is for."""
    found = await read_rollout(asked.connection, str(value))
    return NOWHERE if found is None else frozenset((await targets(asked.connection, found)).values())


async def _rollout(asked: Asked, value: Any) -> frozenset[str]:
    found = await read_rollout(asked.connection, str(value))
    if found is not None and found.is_policy:
        return await _policy(asked, found.policy)
    return await _rollout_seen(asked, value)


async def _freeze(asked: Asked, value: Any) -> frozenset[str]:
    """One for the city is of the venue "", which is nobody's."""
    return await _all(asked, select(freezes.c.venue).where(freezes.c.id == value))


async def _team(_asked: Asked, value: Any) -> frozenset[str]:
    return frozenset([value])


async def _attendance(asked: Asked, value: Any) -> frozenset[str]:
    first, _ = _span(value)
    if first is None:
        return NOWHERE
    s = attendance_sessions.c
    found = await _all(asked, select(s.team).where(s.key == first))
    return found - {""} or found


async def _team_member(asked: Asked, value: Any) -> frozenset[str]:
    """The teams in whose domain the member is."""
    ids = list((await members_by_reference(asked.connection, [value])).values())
    t = attendance_teams.c
    query = select(t.id).join(subjects, subjects.c.domain == t.domain).where(subjects.c.member.in_(ids))
    return await _all(asked, query) if ids else NOWHERE


async def _team_domain(asked: Asked, value: Any) -> frozenset[str]:
    """The teams of a domain."""
    return await _all(asked, select(attendance_teams.c.id).where(attendance_teams.c.domain == value))


async def _ids(asked: Asked, query: Select[Any]) -> Sequence[bytes]:
    return list((await asked.connection.execute(query)).scalars())


def _span(value: Any) -> tuple[bytes | None, bytes]:
    """The ids that begin with these hex digits, first and last of 16 bytes; None where they are no hex digits."""
    text = str(value)
    try:
        return bytes.fromhex(text.ljust(32, "0")), bytes.fromhex(text.ljust(32, "f"))
    except ValueError:
        return None, b""


KINDS: dict[str, Kind] = {
    "venue": Kind("venues", True, _itself),
    "domain": Kind("venues", False, _domain),
    "gate": Kind("venues", True, _gate),
    "gates": Kind("venues", True, _gates),
    "device": Kind("venues", True, _device),
    "bundle": Kind("venues", True, _bundle),
    "event": Kind("venues", True, _event),
    "conflict": Kind("venues", True, _conflict),
    "conflicts": Kind("venues", True, _conflict_ids),
    "library": Kind("venues", False, _library),
    "closure": Kind("venues", True, _closure),
    "alert": Kind("venues", True, _alert),
    "activity": Kind("venues", True, _activity),
    "bind_session": Kind("venues", True, _bind_session),
    "policy": Kind("venues", True, _policy),
    "rollout": Kind("venues", True, _rollout),
    "rollout_seen": Kind("venues", False, _rollout_seen),
    "freeze": Kind("venues", True, _freeze),
    "member": Kind("venues", False, _member),
    "card": Kind("venues", False, _card),
    "uid": Kind("venues", False, _uid),
    "team": Kind("teams", True, _team),
    "attendance": Kind("teams", True, _attendance),
    "team_member": Kind("teams", False, _team_member),
    "team_domain": Kind("teams", False, _team_domain),
}
"""What a rule may name, by the word that it uses."""
