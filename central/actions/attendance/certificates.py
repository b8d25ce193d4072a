"""Honour cards (榮譽卡): who has the hours for one, and that one was made out."""

import datetime as dt
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central import facts
from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.attendance.access import coordinates, references
from central.services.attendance.hours import COUNTED
from central.services.attendance.local import date_of
from central.services.attendance.rules import Reached, Rules, reached, valid_until
from central.services.attendance.stated import CertificateIssued, Row
from central.services.attendance.store import read_rows, read_rules, read_teams
from central.services.attendance.teams import Teams
from central.store.schema import attendance_sessions, members, subjects


class CertificatesParams(Params, frozen=True):
    """Empty: everybody who has the hours, or had a certificate."""

    member: str = ""


class CertifyParams(Params, frozen=True):
    """Whose was made out, good from which local date, and its number."""

    member: str
    who: str
    valid_from: str
    number: str = ""


class Certified(msgspec.Struct, frozen=True, kw_only=True):
    """`minutes`: since the last certificate. `reached_on`: the day on which they were enough for another one.
    `state`: valid (also with the hours for the next one), due, lapsed, or none."""

    member: str
    state: str
    minutes: int
    reached_on: str
    valid_from: str
    valid_until: str
    number: str


class Certificates(Result, frozen=True):
    """By member."""

    certificates: list[Certified]


class _Own(NamedTuple):
    """What is known of one member, in all domains."""

    reached: Reached
    issued: facts.Fact | None
    domain: str
    subject: bytes
    zone: ZoneInfo
    teams: list[Teams]


@action("volunteer.certificates", CertificatesParams, writes=False)
async def certificates(context: Context, params: CertificatesParams) -> Certificates:
    """Who reached the hours of an honour card, and until when cards that were made out are good."""
    async with context.database.read() as connection:
        rules = await read_rules(connection)
        who = [params.member] if params.member else await _candidates(connection, rules, context.scope.teams)
        found = []
        for member in who:
            own = await _own(connection, member, rules)
            if own is not None:
                found.append(_certified(member, own, context.now_ms))
    return Certificates(certificates=sorted(found, key=lambda one: one.member))


@action("volunteer.certify", CertifyParams, writes=True)
async def certify(context: Context, params: CertifyParams) -> Certificates:
    """State that an honour card was made out. Its hours do not count for the next one."""
    try:
        day = dt.date.fromisoformat(params.valid_from)
    except ValueError:
        raise ActionFailed(f"{params.valid_from!r} is no date: write 2026-01-31") from None
    async with context.database.write() as connection:
        rules = await read_rules(connection)
        own = await _own(connection, params.member, rules)
        if own is None or own.reached.at_ms is None:
            raise ActionFailed(f"{params.member} has not the {rules.certificate.hours} hours since the last one")
        if not (coordinates(context.caller, "") or any(teams.may_act(params.who, "") for teams in own.teams)):
            raise ActionFailed(f"{params.who!r} is an admin of no team where {params.member} served")
        until = valid_until(day, rules.certificate)
        body = CertificateIssued(
            valid_from=day.isoformat(),
            valid_until=until.isoformat(),
            minutes=own.reached.minutes,
            number=params.number,
        )
        about = facts.About(params.who, own.reached.at_ms, own.domain, own.subject)
        await facts.append(connection, about, body, context.now_ms)
        after = await _own(connection, params.member, rules)
    assert after is not None
    return Certificates(certificates=[_certified(params.member, after, context.now_ms)])


async def _candidates(connection: AsyncConnection, rules: Rules, own: frozenset[str] | None) -> list[str]:
    """Members who ever had the hours: whoever has a certificate, had them. `own`: only who served in these teams."""
    c = attendance_sessions.c
    total = func.sum(c.minutes)
    query = select(members.c.reference).join(subjects, subjects.c.member == members.c.id)
    query = query.join(attendance_sessions, (c.domain == subjects.c.domain) & (c.subject == subjects.c.subject))
    query = query.where(c.state == COUNTED).group_by(members.c.reference)
    enough = query.having(total >= rules.certificate.hours * 60)
    found = set((await connection.execute(enough)).scalars())
    for fact in await facts.read(connection, [CertificateIssued]):
        found |= set((await references(connection, fact.domain, [fact.subject])).values())
    if own is not None:
        served = query.with_only_columns(members.c.reference).where(c.team.in_(sorted(own)))
        found &= set((await connection.execute(served)).scalars())
    return sorted(found)


async def _own(connection: AsyncConnection, member: str, rules: Rules) -> _Own | None:
    query = select(subjects.c.domain, subjects.c.subject).join(members, members.c.id == subjects.c.member)
    query = query.where(members.c.reference == member).order_by(subjects.c.domain)
    rows: list[tuple[Row, str, bytes]] = []
    issued: list[facts.Fact] = []
    teams: dict[str, Teams] = {}
    for domain, subject in (await connection.execute(query)).all():
        held = await read_rows(connection, attendance_sessions.c.domain == domain, subjects=[subject])
        if subject in held:
            teams[domain] = await read_teams(connection, domain)
        rows += [(row, domain, subject) for row in held.get(subject, [])]
        issued += await facts.read(connection, [CertificateIssued], domain=domain, subjects=[subject])
    last = max(issued, key=lambda fact: fact.recorded_ms, default=None)
    if rows:
        newest, domain, subject = max(rows, key=lambda each: (each[0].at_ms, each[0].key))
    elif last is not None:  # its sessions are kept as counts alone
        newest, domain, subject = None, last.domain, last.subject
        teams[domain] = await read_teams(connection, domain)
    else:
        return None
    found = reached((row for row, _, _ in rows), last.at_ms if last is not None else 0, rules.certificate)
    team = teams[domain].newest(newest.team) if newest is not None else next(iter(teams[domain].every()), None)
    zone = team.zone if team is not None else ZoneInfo("UTC")
    return _Own(found, last, domain, subject, zone, list(teams.values()))


def _certified(member: str, own: _Own, now_ms: int) -> Certified:
    body = own.issued.body if own.issued is not None else None
    is_valid = body is not None and date_of(now_ms, own.zone).isoformat() < body.valid_until
    state = "valid" if is_valid else "due" if own.reached.at_ms is not None else "lapsed" if body else "none"
    return Certified(
        member=member,
        state=state,
        minutes=own.reached.minutes,
        reached_on=date_of(own.reached.at_ms, own.zone).isoformat() if own.reached.at_ms is not None else "",
        valid_from=body.valid_from if body else "",
        valid_until=body.valid_until if body else "",
        number=body.number if body else "",
    )
