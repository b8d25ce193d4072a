"""Through when a member's points are done with: nothing before that moment bears on what the member has. Pure."""

from collections.abc import Iterable, Sequence
from zoneinfo import ZoneInfo

from central.services.points.accounts import Member
from central.services.points.books import balance
from central.services.points.ledger import Given, Taken
from central.services.points.plans import month_of, month_span


def settled_before(account: Member, taps_ms: Iterable[int], before_ms: int, zone: ZoneInfo) -> int:
    """The newest beginning of a local month, not after `before_ms`, before which every point that was given was spent
    or has expired, and all of it stands in closed months; without what lies before it, the rest of the ledger is the
    same. 0 = there is none. `taps_ms`: of taps that go with it, also of those that only say what is to be paid."""
    open_lines = account.open_lines(account.through_ms)
    entries = account.entries
    bounds = [before_ms, *(line.at_ms for line in open_lines), *((account.closed_ms,) if entries else ())]
    bound_ms = min([*bounds, *(each.at_ms for each in entries if is_of_hours(each))])
    for month_ms in month_ends([*(each.at_ms for each in entries), *taps_ms], bound_ms, zone):
        if account.kept(month_ms - 1).balance:
            continue
        rest = without(account, month_ms)
        if rest.open_lines(rest.through_ms) == open_lines and balance(rest.booked) == balance(account.booked):
            return month_ms
    return 0


def is_of_hours(entry: Given | Taken) -> bool:
    """Points for volunteers' hours: one month's follow from the minutes that those before left over."""
    return entry.what == "earned" and entry.cause.startswith("fact ")


def without(account: Member, before_ms: int) -> Member:
    """The account as it is without anything that lies before a moment."""
    return Member(
        [each for each in account.given if each.at_ms >= before_ms],
        [each for each in account.taken if each.at_ms >= before_ms],
        [line for line in account.booked if line.at_ms >= before_ms],
        account.closed_ms,
    )


def month_ends(moments: Iterable[int], bound_ms: int, zone: ZoneInfo) -> Sequence[int]:
    """Of the months in which they lie, the newest first, none of them after the bound."""
    months = {month_of(each, zone) for each in moments if each < bound_ms}
    return sorted((end for month in months if (end := month_span(month, zone)[1]) <= bound_ms), reverse=True)
