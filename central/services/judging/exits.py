"""Who left and had not come in, as far as is known. Pure."""

import datetime as dt
from collections.abc import Sequence
from zoneinfo import ZoneInfo

from central.services.judging.kinds import Detail, said
from central.services.judging.seen import Seen
from protocol.compiled import CompiledPolicy
from protocol.history import FORGOTTEN_MS
from protocol.policy import Passback, Policy
from protocol.reasons import Reason

AGAIN_MS = 300_000
"""An exit so soon after one at the same gate is that one again: the way was slow."""


def left_without_entry(one: Seen, policy: CompiledPolicy, before: Sequence[Seen]) -> tuple[Detail, bool] | None:
    """What came before, and whether it is only a note: where anti-passback is soft, a missed entry keeps nobody out and
    costs nothing. None where an entry came before, or none is counted on."""
    expected = _expected(policy.policy, one.at_ms) if one.reason == Reason.LEAVING else None
    if expected is None:
        return None
    is_of_domain, is_soft = expected
    last = next((each for each in reversed(before) if _tells(each, one, is_of_domain)), None)
    if last is None or one.at_ms - last.at_ms >= FORGOTTEN_MS:
        return {"last": None}, is_soft
    if last.mark.direction == "in":
        return None
    if last.mark.gate == one.mark.gate and one.at_ms - last.at_ms < AGAIN_MS:
        return None
    return {"last": said(last)}, is_soft


def _tells(each: Seen, one: Seen, is_of_domain: bool) -> bool:
    return bool(each.mark.direction) and (is_of_domain or each.mark.venue == one.mark.venue)


def _expected(policy: Policy, at_ms: int) -> tuple[bool, bool] | None:
    """Whether entries anywhere in the domain count, and whether it is only a note; None: no exit needs an entry. An
    anti-passback of one gate says nothing about others."""
    date = dt.datetime.fromtimestamp(at_ms / 1_000, ZoneInfo(policy.time_zone)).date()
    rules = [rule for rule in policy.rules if isinstance(rule, Passback) and rule.scope != "gate"]
    rules = [rule for rule in rules if (rule.valid_from or date) <= date < (rule.valid_until or dt.date.max)]
    hard = [rule for rule in rules if rule.mode == "hard"]
    is_hourly = any(tariff.per == "started-hour" for tariff in policy.tariffs.values())
    if not rules and not is_hourly:
        return None
    return any(rule.scope == "domain" for rule in hard or rules), not hard and not is_hourly
