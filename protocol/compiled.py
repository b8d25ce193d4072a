"""A policy that was checked and is ready to decide by (SPEC §8.1). The plan of a day is a pure function of the day."""

import datetime as dt
from typing import NamedTuple

from protocol.conditions import AlreadyInside, Condition, Full, LimitReached, TooSoon
from protocol.errors import Failure, Refused
from protocol.history import FORGOTTEN_MS
from protocol.hours import MINUTE_MS, ONE_DAY, Hours, Spans, minute_of
from protocol.plan import Day, Row, Tariffs
from protocol.policy import MAX_CLASSES, Admit, Interval, Limit, Occupancy, Passback, Policy, Refuse, Rule
from protocol.reasons import Reason
from protocol.tariff import HOUR_MS, DayTariff, is_hopeless
from protocol.wire import LAST_MS

ANYBODY = 1
"""The class bit that every listed card has."""


class Windows(NamedTuple):
    """Where a local day, its week (from Monday) and its month begin."""

    date: dt.date
    day_ms: int
    week_ms: int
    month_ms: int


class CompiledPolicy:
    """Keeps the current day's plan at hand."""

    def __init__(self, policy: Policy) -> None:
        """Raises Refused `not-satisfiable` and names the rule that cannot work."""
        self.policy = policy
        self.repeat_window_ms = policy.repeat_window_s * 1_000
        self.apart_ms = policy.apart_s * 1_000
        self._hours = Hours(policy)
        check(policy)
        names = dict.fromkeys((*(name for rule in policy.rules for name in rule.classes), *policy.restricted))
        self.bits: dict[str, int] = {name: 2 << index for index, name in enumerate(names)}
        self.restricted_mask = sum(self.bits[name] for name in set(policy.restricted))
        self.counts_inside = any(isinstance(rule, Occupancy) for rule in policy.rules)
        self.looks_back = policy.session is not None or any(
            isinstance(rule, Limit | Interval | Passback) or (isinstance(rule, Admit) and rule.tariff is not None)
            for rule in policy.rules
        )
        """Whether any rule asks what was before: only then are marks kept."""
        self._day = Day(0, 0, (), 0, {})

    def day(self, at_ms: int) -> Day:
        """The plan of the local day that holds this instant."""
        day = self._day
        if not day.start_ms <= at_ms < day.end_ms:
            within_s = min(max(0, at_ms), LAST_MS) // 1_000
            day = self._day = self._plan(dt.datetime.fromtimestamp(within_s, self._hours.zone).date())
        return day

    def _plan(self, date: dt.date) -> Day:
        windows = self._windows(date)
        in_force = [rule for rule in self.policy.rules if _in_force(rule, date)]
        spans = {name: self._hours.spans(name, date) for name in self.policy.schedules}
        tariffs = self._tariffs(windows)
        rows = tuple(self._row(rule, spans, windows, tariffs) for rule in in_force)
        since_ms = self._since(windows, tariffs)
        return Day(windows.day_ms, self._hours.ms(date + ONE_DAY), rows, since_ms, tariffs)

    def _windows(self, date: dt.date) -> Windows:
        ms = self._hours.ms
        return Windows(date, ms(date), ms(date - dt.timedelta(days=date.weekday())), ms(date.replace(day=1)))

    def _row(self, rule: Rule, spans: dict[str, Spans], windows: Windows, tariffs: Tariffs) -> Row:
        mask = sum(self.bits[name] for name in set(rule.classes)) or ANYBODY
        hours = None if rule.schedule is None else _moved(spans[rule.schedule], rule)
        match rule:
            case Admit():
                return Row(mask, hours, True, Reason.OK.value, rule.id, tariff=tariffs.get(rule.id))
            case Refuse():
                return Row(mask, hours, False, rule.reason, rule.id)
        is_soft = isinstance(rule, Passback) and rule.mode == "soft"
        return Row(mask, hours, False, "", rule.id, self._condition(rule, windows), is_soft)

    def _condition(self, rule: Limit | Interval | Passback | Occupancy, windows: Windows) -> Condition:
        refuses = rule.when_unknown == "refuse"
        match rule:
            case Limit():
                return LimitReached(
                    rule.most, self._limited_since(rule, windows), frozenset(rule.of), rule.scope, refuses
                )
            case Interval():
                return TooSoon(rule.minutes, rule.scope, refuses)
            case Passback():
                forgive_ms = rule.forgive_minutes * MINUTE_MS or FORGOTTEN_MS
                return AlreadyInside(forgive_ms, self._resets(rule, windows.date), rule.scope, refuses)
            case Occupancy():
                return Full(rule.most, refuses)

    def _limited_since(self, rule: Limit, windows: Windows) -> int:
        """−1: since the last exit."""
        if rule.per == "period":
            assert rule.valid_from is not None
            return self._hours.ms(rule.valid_from)
        return {"day": windows.day_ms, "week": windows.week_ms, "month": windows.month_ms, "visit": -1}[rule.per]

    def _resets(self, rule: Passback, date: dt.date) -> tuple[int, ...]:
        if rule.resets_at is None:
            return ()
        return tuple(self._hours.ms(day, minute_of(rule.resets_at)) for day in (date - ONE_DAY, date))

    def _tariffs(self, windows: Windows) -> Tariffs:
        found: Tariffs = {}
        for name, tariff in self.policy.tariffs.items():
            ids = frozenset(r.id for r in self.policy.rules if isinstance(r, Admit) and r.tariff == name)
            since_ms = 0 if tariff.since is None else self._hours.ms(tariff.since)
            day = DayTariff(tariff, ids, since_ms, windows.day_ms, windows.month_ms)
            found.update(dict.fromkeys(ids, day))
        return found

    def _since(self, windows: Windows, tariffs: Tariffs) -> int:
        """The earliest moment that anything of the day or of a later one looks back to."""
        day_ms, moments = windows.day_ms, [windows.day_ms]
        if self.policy.session is not None:
            moments.append(day_ms - self.policy.session.longest_hours * HOUR_MS)
        for rule in self.policy.rules:
            if rule.valid_until is not None and rule.valid_until <= windows.date:
                continue
            if isinstance(rule, Interval):
                moments.append(day_ms - rule.minutes * MINUTE_MS)
            elif isinstance(rule, Passback) or (isinstance(rule, Limit) and rule.per == "visit"):
                moments.append(day_ms - FORGOTTEN_MS)
            elif isinstance(rule, Limit):
                moments.append(self._limited_since(rule, windows))
        for each in tariffs.values():
            if each.tariff.first_day_price is not None:
                moments.append(each.since_ms)
            if each.tariff.cap_month is not None:
                moments.append(windows.month_ms)
            if each.tariff.per == "started-hour":
                moments.append(day_ms - FORGOTTEN_MS)
        return max(0, min(moments))


def check(policy: Policy) -> None:
    """Whether a policy can work. Raises Refused `not-satisfiable` and names the rule, tariff or schedule."""
    seen: set[str] = set()
    classes = set(policy.restricted)
    admitting = {rule.id: rule for rule in policy.rules if isinstance(rule, Admit)}
    for rule in policy.rules:
        classes.update(rule.classes)
        fault = _fault(policy, rule, admitting)
        if len(classes) > MAX_CLASSES:
            fault = f": more than {MAX_CLASSES} classes are named"
        elif rule.id in seen:
            fault = " stands twice"
        if fault:
            raise Refused(Failure.NOT_SATISFIABLE, f"rule {rule.id!r}{fault}")
        seen.add(rule.id)
    idle = policy.tariffs.keys() - {rule.tariff for rule in admitting.values()}
    if idle:
        raise Refused(Failure.NOT_SATISFIABLE, f"tariff {min(idle)!r}: no rule admits at it")
    hopeless = [name for name, tariff in policy.tariffs.items() if is_hopeless(tariff)]
    if hopeless:
        raise Refused(Failure.NOT_SATISFIABLE, f"tariff {min(hopeless)!r}: its caps are below its price, and it denies")


def _fault(policy: Policy, rule: Rule, admitting: dict[str, Admit]) -> str:
    """What is wrong with one rule; empty where nothing is."""
    if rule.schedule is not None and rule.schedule not in policy.schedules:
        return f": there is no schedule {rule.schedule!r}"
    if rule.schedule is None and (rule.opens_early_minutes or rule.last_entry_minutes):
        return ": minutes are moved, and there is no schedule"
    if rule.valid_from and rule.valid_until and rule.valid_from >= rule.valid_until:
        return " ends before it begins"
    if isinstance(rule, Admit) and rule.tariff is not None:
        if rule.tariff not in policy.tariffs:
            return f": there is no tariff {rule.tariff!r}"
        if policy.session is not None:
            return ": it has a tariff, and a session charges nothing"
    if isinstance(rule, Limit):
        if rule.per == "period" and rule.valid_from is None:
            return ": a period begins with its valid_from, and there is none"
        stranger = next((name for name in rule.of if name not in admitting), None)
        if stranger is not None:
            return f": it counts entries by {stranger!r}, and no such rule admits anybody"
    return ""


def _in_force(rule: Rule, date: dt.date) -> bool:
    begun = rule.valid_from is None or rule.valid_from <= date
    return begun and (rule.valid_until is None or date < rule.valid_until)


def _moved(spans: Spans, rule: Rule) -> Spans:
    """Hours as a rule moves their ends; one that so ends before it begins is none."""
    early_ms, last_ms = rule.opens_early_minutes * MINUTE_MS, rule.last_entry_minutes * MINUTE_MS
    moved = ((start_ms - early_ms, end_ms - last_ms) for start_ms, end_ms in spans)
    return tuple((start_ms, end_ms) for start_ms, end_ms in moved if start_ms < end_ms)
