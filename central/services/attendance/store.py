"""Attendance in the database: what a member's rows follow from is read, and the rows are written where they differ."""

from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Table, and_, bindparam, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central import facts
from central.policies import first_gates_of
from central.services.attendance.months import Lock, Locks, rows
from central.services.attendance.pairing import Signing
from central.services.attendance.rules import Rules
from central.services.attendance.stated import OF_MEMBER, MonthLocked, Row
from central.services.attendance.teams import Team, Teams, Version
from central.services.judging.clock_facts import clocks_of
from central.services.service import Touched
from central.store.put_rows import put_rows
from central.store.schema import (
    attendance_months,
    attendance_rules,
    attendance_sessions,
    attendance_teams,
    batches,
    gates,
    marks,
    policies,
    policy_stages,
    venues,
)
from central.store.schema import facts as fact_rows
from protocol.policy import Session
from protocol.reasons import Reason

SIGNINGS = (Reason.SIGNED_IN.value, Reason.SIGNED_OUT.value, Reason.RECORDED.value)
"""The reasons by which kiosks with a session grant."""
AT_ONCE = 500
"""Members in one query."""
DAY_MS = 86_400_000


class Attendance:
    """The service."""

    name = "attendance"
    tables: Sequence[Table] = (attendance_months, attendance_sessions)

    async def settle(self, connection: AsyncConnection, touched: Sequence[Touched]) -> set[tuple[str, bytes]]:
        """Compute these members' rows again. Returns those whose rows changed: what kiosks tell them follows."""
        changed: set[tuple[str, bytes]] = set()
        for domain in sorted({each.domain for each in touched}):
            teams = await read_teams(connection, domain)
            if not teams.every():
                continue
            await take_up_locks(connection, domain)
            subjects = sorted({each.subject for each in touched if each.domain == domain and each.subject})
            for some in _slices(subjects):
                differing = await _settle(connection, domain, some, teams)
                changed |= {(domain, subject) for subject in differing}
        return changed


class Basis(NamedTuple):
    """What one member's rows follow from."""

    signings: Sequence[Signing]
    facts: Sequence[facts.Fact]
    teams: Teams
    locks: Locks

    def rows(self) -> list[Row]:
        return rows(*self)


async def read_basis(
    connection: AsyncConnection, domain: str, subjects: list[bytes], teams: Teams
) -> dict[bytes, Basis]:
    """Of each of these members, also who has nothing."""
    signings = await _signings(connection, domain, subjects, teams)
    stated: dict[bytes, list[facts.Fact]] = {}
    for fact in await facts.read(connection, OF_MEMBER, domain=domain, subjects=subjects):
        stated.setdefault(fact.subject, []).append(fact)
    concerned = {each.team for some in signings.values() for each in some}
    concerned |= {getattr(fact.body, "team", "") for some in stated.values() for fact in some}
    locks = await read_locks(connection, domain, concerned)
    return {each: Basis(signings.get(each, ()), stated.get(each, ()), teams, locks) for each in subjects}


async def _settle(connection: AsyncConnection, domain: str, subjects: list[bytes], teams: Teams) -> set[bytes]:
    basis = await read_basis(connection, domain, subjects, teams)
    held = await read_rows(connection, attendance_sessions.c.domain == domain, subjects=subjects)
    differing = set()
    for subject in subjects:
        now = basis[subject].rows()
        if await _write(connection, domain, subject, held.get(subject, []), now):
            differing.add(subject)
    return differing


async def _write(connection: AsyncConnection, domain: str, subject: bytes, held: list[Row], now: list[Row]) -> bool:
    before, after = ({(row.key, row.team, row.month): row for row in some} for some in (held, now))
    gone = [
        {"b_domain": domain, "b_subject": subject, "b_key": key, "b_team": team, "b_month": month}
        for key, team, month in before.keys() - after.keys()
    ]
    if gone:
        await connection.execute(_DROP, gone)
    of_member = {"domain": domain, "subject": subject}
    changed = [of_member | msgspec.structs.asdict(row) for name, row in after.items() if before.get(name) != row]
    await put_rows(connection, attendance_sessions, changed)
    return bool(gone or changed)


_DROP = delete(attendance_sessions).where(
    and_(*(attendance_sessions.c[name] == bindparam(f"b_{name}") for name in ("domain", "subject", "key", "team"))),
    attendance_sessions.c.month == bindparam("b_month"),
)


# --- reading rows -------------------------------------------------------------------------------------------------


async def read_rows(
    connection: AsyncConnection, *conditions: Any, subjects: Collection[bytes] | None = None
) -> dict[bytes, list[Row]]:
    """Rows that meet the conditions, by subject."""
    query = select(attendance_sessions).where(*conditions)
    if subjects is not None:
        query = query.where(attendance_sessions.c.subject.in_(list(subjects)))
    found: dict[bytes, list[Row]] = {}
    for _, subject, *values in await connection.execute(query.order_by(*attendance_sessions.primary_key.columns)):
        found.setdefault(subject, []).append(Row(**dict(zip(_FIELDS, values, strict=True))))
    return found


_FIELDS = [column.name for column in attendance_sessions.columns][2:]


# --- what they follow from ----------------------------------------------------------------------------------------


async def _signings(
    connection: AsyncConnection, domain: str, subjects: list[bytes], teams: Teams
) -> dict[bytes, list[Signing]]:
    m, b = marks.c, batches.c
    received = (
        select(b.received_ms)
        .where(b.device == m.device, b.epoch == m.epoch, b.first <= m.sequence)
        .where(b.taken_first <= m.sequence, b.through >= m.sequence, b.outcome == "accepted")
        .order_by(b.first.desc())
        .limit(1)
        .correlate(marks)
        .scalar_subquery()
    )
    columns = (m.subject, m.device, m.epoch, m.sequence, m.at_ms, m.direction, m.rule, m.venue, m.gate, received)
    query = select(*columns).where(m.domain == domain, m.subject.in_(subjects))
    query = query.where(m.fate == "counts", m.reason.in_(SIGNINGS))
    found: dict[bytes, list[Signing]] = {}
    every = (await connection.execute(query)).all()
    kiosks = await _read_kiosks(connection, {row.gate for row in every})
    clocks = await clocks_of(connection, domain)
    for subject, device, epoch, sequence, said_ms, way, rule, venue, gate, received_ms in every:
        offset = clocks.stated(device, said_ms)
        at_ms = clocks.corrected_ms(device, said_ms)
        meant = teams.meant_by(rule, venue, at_ms)
        session = kiosks[gate].session_at(at_ms) if gate in kiosks else Session()
        signing = Signing(
            epoch + sequence.to_bytes(8),
            at_ms,
            way,
            *(meant.team, meant.shift, meant.activity, venue),
            double_tap_ms=session.double_tap_s * 1_000,
            longest_ms=session.longest_hours * 3_600_000,
            known_ms=max(received_ms if received_ms is not None else said_ms, offset.known_ms if offset else 0),
        )
        found.setdefault(subject, []).append(signing)
    return found


class _Kiosk:
    """How long a session and a double tap may be at a gate, by the policy that was in force."""

    def __init__(self, versions: Sequence[tuple[int, Session]]) -> None:
        self._from_ms = [at_ms for at_ms, _ in versions]
        self._sessions = [session for _, session in versions]

    def session_at(self, at_ms: int) -> Session:
        at = bisect_right(self._from_ms, at_ms)
        return self._sessions[max(at - 1, 0)]


class _SessionOf(msgspec.Struct, frozen=True):
    """What matters here of a policy."""

    session: Session | None = None


async def _read_kiosks(connection: AsyncConnection, ids: Collection[str]) -> dict[str, _Kiosk]:
    found: dict[str, _Kiosk] = {}
    if not ids:
        return found
    of_gate = dict((await connection.execute(select(gates.c.id, gates.c.policy).where(gates.c.id.in_(ids)))).all())
    p, s = policies.c, policy_stages.c
    query = select(p.id, p.at_ms, p.body, s.first_gates, s.all_ms).where(p.id.in_(set(of_gate.values())))
    query = query.outerjoin(policy_stages, (s.id == p.id) & (s.version == p.version)).order_by(p.id, p.version)
    of_policy: dict[str, list[_Version]] = {}
    for policy, at_ms, body, first, all_ms in await connection.execute(query):
        session = _session_in(body)
        if session is not None:
            first_gates = first_gates_of(first) if first is not None else None
            of_policy.setdefault(policy, []).append(_Version(at_ms, session, first_gates, all_ms))
    return {gate: kiosk for gate, policy in of_gate.items() if (kiosk := _kiosk(gate, of_policy.get(policy, [])))}


class _Version(NamedTuple):
    """Of a policy. `first_gates`: where it was put first, before it was everywhere; None = everywhere at once."""

    at_ms: int
    session: Session
    first_gates: frozenset[str] | None
    all_ms: int | None


def _kiosk(gate: str, versions: Sequence[_Version]) -> _Kiosk | None:
    at_gate = []
    for each in versions:
        is_first = each.first_gates is None or gate in each.first_gates
        since_ms = each.at_ms if is_first else each.all_ms
        if since_ms is not None:
            at_gate.append((since_ms, each.session))
    return _Kiosk(at_gate) if at_gate else None


@lru_cache(maxsize=1_024)
def _session_in(body: bytes) -> Session | None:
    return msgspec.msgpack.decode(body, type=_SessionOf).session


# --- teams, rules, locks ------------------------------------------------------------------------------------------


async def read_teams(connection: AsyncConnection, domain: str) -> Teams:
    """The teams of a domain, in all their versions."""
    t = attendance_teams.c
    query = select(t.id, t.version, t.from_ms, t.body, venues.c.time_zone)
    query = query.join(venues, venues.c.id == t.venue).where(t.domain == domain)
    return Teams(
        Version(id_, version, from_ms, _team_in(body), ZoneInfo(zone))
        for id_, version, from_ms, body, zone in await connection.execute(query)
    )


@lru_cache(maxsize=4_096)
def _team_in(body: bytes) -> Team:
    return msgspec.msgpack.decode(body, type=Team)


async def read_rules(connection: AsyncConnection) -> Rules:
    """The rules in force."""
    query = select(attendance_rules.c.body).order_by(attendance_rules.c.version.desc()).limit(1)
    body = (await connection.execute(query)).scalar()
    return Rules() if body is None else msgspec.msgpack.decode(body, type=Rules)


async def read_locks(connection: AsyncConnection, domain: str, teams: Collection[str]) -> Locks:
    """The locked months of these teams."""
    c = attendance_months.c
    query = select(c.team, c.month, c.locked_ms, c.unit_minutes).where(c.domain == domain, c.team.in_(sorted(teams)))
    return {(team, month): Lock(at_ms, unit) for team, month, at_ms, unit in await connection.execute(query)}


async def take_up_locks(connection: AsyncConnection, domain: str) -> None:
    """The newest facts that lock months, into the table; those of a day are looked at again, since one may have been
    committed late."""
    f, c = fact_rows.c, attendance_months.c
    newest = (await connection.execute(select(func.max(c.locked_ms)).where(c.domain == domain))).scalar() or 0
    query = select(f.id, f.recorded_ms, f.who, f.body)
    query = query.where(f.kind == MonthLocked.KIND, f.domain == domain, f.recorded_ms >= newest - DAY_MS)
    found = []
    for id_, recorded_ms, who, body in (await connection.execute(query.order_by(f.id.desc()))).all():
        said = msgspec.msgpack.decode(body, type=MonthLocked)
        values = {"domain": domain, "team": said.team, "month": said.month, "fact": id_, "who": who}
        found.append(values | {"locked_ms": recorded_ms, "unit_minutes": said.unit_minutes})
    await put_rows(connection, attendance_months, found)  # of two that lock one month, the first counts


def _slices(items: list[bytes]) -> Iterator[list[bytes]]:
    return (items[at : at + AT_ONCE] for at in range(0, len(items), AT_ONCE))
