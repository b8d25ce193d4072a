"""Through when a volunteer's sessions are done with: they stand in locked months, and nothing counts on them any
more. Pure."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from central.facts import Fact
from central.services.attendance.hours import COUNTED
from central.services.attendance.local import end_of, month_of
from central.services.attendance.stated import MemberMonthLocked, Reassigned, Row, Served, SessionSettled, SignedByHand
from central.services.attendance.store import Basis

KEY_BYTES = 16
VOID = "void"


def settled_before(basis: Basis, rows: Sequence[Row], before_ms: int, certified_ms: int, zone: ZoneInfo) -> int:
    """The newest end of a local month, not after `before_ms`, before which every session is in a locked month or void
    and went into an honour card already, the last of which was for the hours through `certified_ms`; without what lies
    before it, the rest comes out the same. 0 = there is none."""
    bound_ms = min([before_ms, *(row.at_ms for row in rows if not _is_done(row, basis, certified_ms))])
    months = {month_of(row.at_ms, zone) for row in rows if row.at_ms < bound_ms}
    for end_ms in sorted((end_of(month, zone) for month in months), reverse=True):
        rest = without(basis, rows, end_ms) if end_ms <= bound_ms else None
        if rest is not None and rest.rows() == [row for row in rows if row.at_ms >= end_ms]:
            return end_ms
    return 0


def _is_done(row: Row, basis: Basis, certified_ms: int) -> bool:
    if row.state == VOID:
        return True
    if (row.team, row.month) not in basis.locks:
        return False
    return row.state != COUNTED or (row.out_ms or row.at_ms) <= certified_ms


def without(basis: Basis, rows: Sequence[Row], before_ms: int) -> Basis | None:
    """What is left without anything before a moment. None: a locked month would have to be taken apart."""
    gone = {fact.id for fact in facts_before(basis, rows, before_ms)}
    left = [fact for fact in basis.facts if fact.id not in gone]
    for fact in left:
        if isinstance(fact.body, MemberMonthLocked) and any(row.at_ms < before_ms for row in fact.body.rows):
            return None
    signings = [each for each in basis.signings if each.at_ms >= before_ms]
    return basis._replace(signings=signings, facts=left)


def facts_before(basis: Basis, rows: Sequence[Row], before_ms: int) -> list[Fact]:
    """What was stated of sessions before a moment, and the locked months that hold no others."""
    old = [row for row in rows if row.at_ms < before_ms]
    keys = {row.key for row in old} | {key for row in old for key in _keys(row.taps)}
    return [fact for fact in basis.facts if _is_before(fact, keys, before_ms)]


def _is_before(fact: Fact, keys: set[bytes], before_ms: int) -> bool:
    body = fact.body
    if isinstance(body, SignedByHand):
        return fact.at_ms < before_ms
    if isinstance(body, MemberMonthLocked):
        return all(row.at_ms < before_ms for row in body.rows)
    assert isinstance(body, SessionSettled | Reassigned | Served)
    return body.key in keys


def _keys(taps: bytes) -> list[bytes]:
    return [taps[at : at + KEY_BYTES] for at in range(0, len(taps), KEY_BYTES)]
