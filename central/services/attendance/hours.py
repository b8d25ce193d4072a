"""Pairs and what people stated become sessions; whatever is not certain counts for nothing. Pure."""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from central.facts import Fact
from central.services.attendance.pairing import Pair, Signing, once_each, pairs
from central.services.attendance.stated import Reassigned, Row, Served, SessionSettled, SignedByHand
from central.services.attendance.teams import SERVICE, Teams

MINUTE_MS = 60_000
COUNTED, NOT_COUNTING = "counted", "not-counting"
BOOKED = (COUNTED, NOT_COUNTING)


class Session(NamedTuple):
    """A row that is not booked yet, and when the newest of what it follows from became known."""

    row: Row
    known_ms: int


def sessions(
    signings: Iterable[Signing], facts: Sequence[Fact], teams: Teams, locked: Collection[bytes] = ()
) -> list[Session]:
    """Of one member, in order of time. `facts` in the order in which they were stated; `locked`: the sessions that
    stand in locked months, which come first where two overlap."""
    by_hand = [_by_hand(fact, teams) for fact in facts if isinstance(fact.body, SignedByHand)]
    every = once_each((*signings, *by_hand))
    by_name = {key: signing for signing in every for key in signing.keys}
    words: dict[bytes, list[Fact]] = {}
    for fact in facts:
        if isinstance(fact.body, Reassigned | Served | SessionSettled):
            words.setdefault(fact.body.key, []).append(fact)
    settled = {fact.body.key: fact for fact in facts if isinstance(fact.body, SessionSettled)}
    taken = {name for key, fact in settled.items() for name in (key, *fact.body.taps)}
    free = [signing for signing in every if not taken.intersection(signing.keys)]
    found = [_of_pair(pair, teams) for pair in pairs(free)]
    found += [_stated(fact, by_name, teams) for fact in settled.values()]
    found = [_as_corrected(session, words.get(session.row.key, ()), teams) for session in found]
    order = {fact.id: at for at, fact in enumerate(facts)}
    return _apart(found, order, locked)


def _by_hand(fact: Fact, teams: Teams) -> Signing:
    body = fact.body
    version = teams.newest(body.team)
    venue = version.body.venue if version is not None else ""
    return Signing(
        fact.id,
        fact.at_ms,
        body.way,
        body.team,
        activity=body.activity,
        venue=venue,
        is_by_hand=True,
        known_ms=fact.recorded_ms,
    )


def _of_pair(pair: Pair, teams: Teams) -> Session:
    named, first, last = pair.named, pair.first, pair.last
    signings = [each for each in (first, last) if each is not None]
    shift, shift_end_ms = named.shift, None
    if first is not None:
        shift, shift_end_ms = teams.shift_at(first.team, first.shift, first.at_ms)
    row = Row(
        key=named.key,
        team=named.team,
        at_ms=named.at_ms,
        in_ms=first.at_ms if first is not None else None,
        out_ms=last.at_ms if last is not None else None,
        state=COUNTED if pair.state == "whole" else pair.state,
        why=pair.why,
        shift=shift,
        activity=named.activity or SERVICE,
        venue=named.venue,
        ends_by_ms=pair.ends_by_ms,
        shift_end_ms=shift_end_ms,
        taps=b"".join(key for each in signings for key in each.keys),
        stated=next((each.key for each in signings if each.is_by_hand), b""),
    )
    return Session(_timed(row, teams), max(each.known_ms for each in signings))


def _stated(fact: Fact, by_name: Mapping[bytes, Signing], teams: Teams) -> Session:
    """As a person said that it was."""
    body = fact.body
    own = [by_name[name] for name in (body.key, *body.taps) if name in by_name]
    known_ms = max((signing.known_ms for signing in own), default=0)
    named = by_name.get(body.key)
    team = body.team or (named.team if named is not None else "")
    version = teams.newest(team)
    venue = named.venue if named is not None else version.body.venue if version is not None else ""
    names = dict.fromkeys((body.key, *body.taps, *(key for signing in own for key in signing.keys)))
    row = Row(
        key=body.key,
        team=team,
        at_ms=fact.at_ms,
        state="void",
        why=body.why,
        activity=body.activity or (named.activity if named is not None else "") or SERVICE,
        venue=venue,
        stated=fact.id,
        taps=b"".join(names),
    )
    if body.outcome == "hours":
        shift, shift_end_ms = teams.shift_at(team, named.shift if named is not None else "", body.from_ms)
        doubt = "no-team" if not team else "no-time" if body.until_ms <= body.from_ms else ""
        row = msgspec.structs.replace(
            row,
            at_ms=body.from_ms,
            in_ms=body.from_ms,
            out_ms=body.until_ms,
            state="review" if doubt else COUNTED,
            why=doubt or body.why,
            shift=shift,
            shift_end_ms=shift_end_ms,
        )
    return Session(_timed(row, teams), max(known_ms, fact.recorded_ms))


def _timed(row: Row, teams: Teams) -> Row:
    """The minutes that passed, and whether they count."""
    if row.in_ms is None or row.out_ms is None:
        return row
    minutes = (row.out_ms - row.in_ms) // MINUTE_MS
    if row.state in BOOKED:
        state = COUNTED if teams.counts(row.team, row.activity, row.in_ms) else NOT_COUNTING
        return msgspec.structs.replace(row, minutes=minutes, state=state)
    return msgspec.structs.replace(row, minutes=0)


def _as_corrected(session: Session, facts: Sequence[Fact], teams: Teams) -> Session:
    """With what was stated about the session, the newest word last."""
    row, known_ms = session
    for fact in facts:
        body = fact.body
        known_ms = max(known_ms, fact.recorded_ms)
        changes: dict[str, Any] = {}
        if isinstance(body, Reassigned):
            changes = {"team": body.team}
            if body.team != row.team and row.in_ms is not None:
                changes["shift"], changes["shift_end_ms"] = teams.shift_at(body.team, "", row.in_ms)
            if body.activity:
                changes["activity"] = body.activity
            if row.state == "review" and row.why in ("no-team", "two-teams"):
                changes["state"] = COUNTED  # which team it was is all that was in doubt
            if row.state == COUNTED or "state" in changes:
                changes |= {"stated": fact.id, "why": body.why}
        elif isinstance(body, SessionSettled):
            changes = {"team": body.team or row.team}
        else:
            names = ("people", "transport", "meal", "people_abroad", "people_home", "remark")
            changes = {name: value for name in names if (value := getattr(body, name)) is not None}
        row = msgspec.structs.replace(row, **changes)
    return Session(_timed(row, teams), known_ms)


def _apart(found: list[Session], order: dict[bytes, int], locked: Collection[bytes]) -> list[Session]:
    """Nobody is in two places: of two sessions that overlap, one goes to review. What a locked month holds comes before
    what a person stated, the earlier word before the later, and both before what taps say alone."""

    def rank(session: Session) -> tuple[bool, int, int, bytes]:
        row = session.row
        return row.key not in locked, order.get(row.stated, len(order)), row.at_ms, row.key

    kept: list[Session] = []
    taken: list[tuple[int, int]] = []
    for session in sorted(found, key=rank):
        row = session.row
        if row.state not in BOOKED or row.in_ms is None or row.out_ms is None:
            kept.append(session)
            continue
        at = bisect_left(taken, (row.in_ms, row.out_ms))
        beside = taken[max(at - 1, 0) : at + 1]
        if any(row.in_ms < until_ms and from_ms < row.out_ms for from_ms, until_ms in beside):
            kept.append(session._replace(row=msgspec.structs.replace(row, state="review", why="overlap", minutes=0)))
        else:
            kept.append(session)
            taken.insert(at, (row.in_ms, row.out_ms))
    return sorted(kept, key=lambda session: (session.row.at_ms, session.row.key))


# --- totals -----------------------------------------------------------------------------------------------------


def counted_minutes(rows: Iterable[Row]) -> int:
    """Of service that is booked, adjustments included."""
    return sum(row.minutes for row in rows if row.state == COUNTED)


def rounded(total: int, unit_minutes: int) -> int:
    """A total as the dated rule shows it: cut off to whole units. Only ever of a total, never of what it is made of."""
    cut = abs(total) // unit_minutes * unit_minutes
    return cut if total >= 0 else -cut
