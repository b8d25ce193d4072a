"""Put together what is needed to judge members' taps again: each with what was signed and what lists and policies
said."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from central import facts
from central.entry_history import NEVER_LISTED, CardHistory, HeldEntry, Histories, histories
from central.key_history import KeyHistory, key_history
from central.people.attribution import Person
from central.services.attributions import attribution_of
from central.services.judging.chips import compared
from central.services.judging.clocks import Clocks
from central.services.judging.held_policies import HeldPolicies, PolicyVersion, held_policies
from central.services.judging.public_parts import PublicPart, public_parts, received
from central.services.judging.reading import (
    TapRow,
    Windows,
    denials_within,
    fingerprints,
    mark_of,
    marks_within,
    profiles,
)
from central.services.judging.rejudge import Travel
from central.services.judging.seen import DENIED, LATE_MS, Circumstances, Lately, Seen
from central.services.judging.stated import TravelTime
from central.services.judging.turned_away import AGAIN_MS, BY_HISTORY
from central.services.marks import EventName, MarkFate
from protocol.allowlist import Entry
from protocol.history import FORGOTTEN_MS
from protocol.messages import Kind
from protocol.wire import LAST_MS

AFTER_ALL = LAST_MS + 1


class Known(NamedTuple):
    """What the circumstances of taps follow from."""

    parts: Mapping[EventName, PublicPart]
    cards: Histories
    policies: HeldPolicies


async def load(connection: AsyncConnection, domain: str, windows: Windows, clocks: Clocks) -> dict[bytes, list[Seen]]:
    """By member: the taps to judge, with their circumstances, and those before that bear on them. Denied ones are
    judged from somewhat earlier on, since an answer that was given again counts once."""
    rows = await marks_within(connection, domain, ((subject, since, AFTER_ALL) for subject, since in windows.items()))
    rows += await _denials(connection, domain, windows, clocks)
    known = await _known(connection, domain, rows)
    rows += await marks_within(connection, domain, _past(windows, rows, known, clocks))
    found: dict[bytes, list[Seen]] = {}
    for row in rows:
        found.setdefault(row.subject, []).append(_seen(row, clocks, known))
    await _add_received(connection, found)
    await _add_chips(connection, domain, found, known.cards)
    return found


async def travel_of(connection: AsyncConnection, domain: str) -> Travel:
    """As it was stated."""
    stated: dict[frozenset[str], list[tuple[int, int]]] = {}
    for fact in await facts.read(connection, [TravelTime], domain=domain):
        pair = frozenset((fact.body.venue, fact.body.other))
        stated.setdefault(pair, []).append((fact.recorded_ms, fact.body.minutes))

    def minutes(venue: str, other: str, at_ms: int) -> int:
        said = reversed(stated.get(frozenset((venue, other)), []))
        return next((number for since_ms, number in said if since_ms <= at_ms), 0)

    return minutes


# --- rows -------------------------------------------------------------------------------------------------------


async def _denials(connection: AsyncConnection, domain: str, windows: Windows, clocks: Clocks) -> list[TapRow]:
    """Without those of cards that turned out to be another's: who was denied is not who was meant."""
    early_ms = AGAIN_MS + 2 * clocks.widest_ms
    spans = ((subject, since - early_ms, AFTER_ALL) for subject, since in windows.items())
    rows = await denials_within(connection, domain, spans)
    whose = await attribution_of(connection, domain, {row.subject for row in rows}) if rows else None
    return [row for row in rows if whose is None or whose(told := Person(row.subject, row.card), row.at_ms) == told]


async def _known(connection: AsyncConnection, domain: str, judged: Sequence[TapRow]) -> Known:
    parts = await public_parts(connection, (row.name for row in judged))
    versions = {part.event.held.policy for part in parts.values()}
    policies = await held_policies(connection, {row.gate for row in judged}, versions)
    return Known(parts, await histories(connection, domain, {row.subject for row in judged}), policies)


def _past(windows: Windows, judged: Iterable[TapRow], known: Known, clocks: Clocks) -> Iterable[tuple[bytes, int, int]]:
    """Of each member, what is before the window and after the moment before which nothing bears on what is judged."""
    horizons: dict[bytes, int] = {}
    for row in judged:
        horizon_ms = row.at_ms - FORGOTTEN_MS
        part = known.parts.get(row.name)
        for policy in _policies(row, part, known, row.at_ms - LATE_MS, row.at_ms) if part else ():
            horizon_ms = min(horizon_ms, policy.compiled.day(row.at_ms).since_ms)
        horizons[row.subject] = min(horizon_ms, horizons.get(row.subject, horizon_ms))
    return ((subject, ms - 2 * clocks.widest_ms, windows[subject]) for subject, ms in horizons.items())


def _policies(row: TapRow, part: PublicPart, known: Known, from_ms: int, until_ms: int) -> list[PolicyVersion]:
    """What the gate held, the last of them, and, of a denied tap, what central had in force."""
    held = known.policies.held(row.gate, part.event.held.policy)
    if held is None:
        return []
    said = known.policies.lately(row.gate, held.id, from_ms, until_ms) if row.fate == DENIED else ()
    return [*said, held]


# --- one tap ----------------------------------------------------------------------------------------------------


def _seen(row: TapRow, clocks: Clocks, known: Known) -> Seen:
    at_ms, part = clocks.corrected_ms(row.device, row.at_ms), known.parts.get(row.name)
    told = None if part is None else _circumstances(row, at_ms, part, known)
    received_ms = part.received_ms if part is not None else 0
    return Seen(
        *(row.device, mark_of(row), at_ms, row.kind, row.reason, row.card, row.fate, row.repeats >= 0),
        told=told,
        received_ms=received_ms,
    )


def _circumstances(row: TapRow, at_ms: int, part: PublicPart, known: Known) -> Circumstances:
    """What central said after it had the event is of no account, whatever the gate's clock
    was: it would be another thing each time it is asked."""
    held, known_ms = part.event.held, min(at_ms, part.received_ms)
    history = known.cards.get((row.subject, row.card), NEVER_LISTED)
    entry_held, policy = history.at(held.allowlist), known.policies.held(row.gate, held.policy)
    return Circumstances(
        *(part.event.clock, held, part.received_ms, entry_held, history.at(known_ms)),
        policy=policy.compiled if policy else None,
        keeps_marks=policy.keeps_marks if policy else False,
        lately=_lately(row, part, known_ms, history, known) if row.fate == DENIED else None,
    )


def _lately(row: TapRow, part: PublicPart, known_ms: int, history: CardHistory, known: Known) -> Lately | None:
    from_ms, held = known_ms - LATE_MS, part.event.held
    versions = _policies(row, part, known, from_ms, known_ms)
    if not versions:
        return None
    *lately, own = versions
    if own.at_ms > known_ms or not lately:
        lately.append(own)  # its clock is behind
    first = history.at(from_ms)
    said = [*history.between(from_ms, known_ms), *(history.between(known_ms, max(known_ms, held.allowlist)))]
    entries: list[Entry | None] = [first.entry if first else None, *(each.entry for each in said)]
    newest: HeldEntry | None = said[-1] if said else first
    version = newest.version if newest else 0
    return Lately(tuple(entries), tuple(each.compiled for each in lately), version, lately[-1].version)


# --- what is looked up for a few --------------------------------------------------------------------------------


async def _add_received(connection: AsyncConnection, found: dict[bytes, list[Seen]]) -> None:
    """Of members who were denied for what was before: when central had each of the taps before."""
    names = [
        (tap.device, *tap.mark.name)
        for taps in found.values()
        if any(tap.fate == DENIED and tap.reason in BY_HISTORY for tap in taps)
        for tap in taps
        if tap.fate != DENIED and not tap.received_ms
    ]
    had = await received(connection, names) if names else {}
    if had:
        for subject, taps in found.items():
            found[subject] = [
                tap._replace(received_ms=had.get((tap.device, *tap.mark.name), tap.received_ms)) for tap in taps
            ]


async def _add_chips(
    connection: AsyncConnection, domain: str, found: dict[bytes, list[Seen]], cards: Histories
) -> None:
    """The fingerprints of what is judged and of the newest tap before it at each device; where two differ, the token
    of each and how it was read are needed, too: a new key or another reader changes them."""
    names = {name for taps in found.values() for name in _with_chips(taps)}
    prints = await fingerprints(connection, names)
    suspects: dict[EventName, Seen] = {}
    for subject, taps in found.items():
        read = [tap._replace(fingerprint=prints.get((tap.device, *tap.mark.name), b"")) for tap in taps]
        found[subject] = read
        suspects.update({(each.device, *each.mark.name): each for each in _differing(read)})
    if not suspects:
        return
    parts, by = await public_parts(connection, suspects), await profiles(connection, suspects.keys())
    keys = await key_history(connection, domain)
    for subject, taps in found.items():
        found[subject] = [
            _looked_up(subject, tap, parts, by, cards, keys) if (tap.device, *tap.mark.name) in suspects else tap
            for tap in taps
        ]


def _with_chips(taps: Sequence[Seen]) -> Iterable[EventName]:
    newest: dict[tuple[str, int], Seen] = {}
    for tap in taps:
        if tap.kind != Kind.TAP or tap.fate == DENIED:
            continue
        if tap.told is not None:
            yield tap.device, *tap.mark.name
        elif tap.fate == MarkFate.COUNTS:
            other = newest.get((tap.device, tap.card), tap)
            newest[tap.device, tap.card] = max(tap, other, key=lambda each: each.order)
    yield from ((tap.device, *tap.mark.name) for tap in newest.values())


def _differing(taps: Iterable[Seen]) -> Iterable[Seen]:
    """What is compared, where chips differ."""
    before: list[Seen] = []
    for one in sorted(taps, key=lambda tap: tap.order):
        if one.told is not None and one.fate not in (DENIED, MarkFate.REPEAT):
            others = list(compared(one, before))
            if any(each.fingerprint != one.fingerprint for each in others):
                yield from (one, *others)
        if one.fate == MarkFate.COUNTS:
            before.append(one)


def _looked_up(
    subject: bytes,
    tap: Seen,
    parts: Mapping[EventName, PublicPart],
    by: Mapping[EventName, str],
    cards: Histories,
    keys: KeyHistory,
) -> Seen:
    name = tap.device, *tap.mark.name
    version = parts[name].event.held.allowlist if name in parts else 0
    held = cards.get((subject, tap.card), NEVER_LISTED).at(version)
    token = held.token if held is not None and name in parts else b""
    return tap._replace(token=token, key_number=keys.at(version), reader=by.get(name, ""))
