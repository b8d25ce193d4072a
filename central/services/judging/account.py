"""All that can be said of one tap, and the way to its answer: by what its gate may have known, and by what is known
today. Pure.

An event does not tell what a gate had been told of others, how many it thought inside, nor how old its list was: the
first assumption under which its own policy and list give its answer is shown with it.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from central.entry_history import HeldEntry
from central.services.judging.clocks import Offset
from central.services.judging.held_policies import PolicyVersion
from central.services.judging.possible import PLENTY
from central.services.judging.public_parts import PublicPart
from protocol.allowlist import Entry
from protocol.compiled import CompiledPolicy
from protocol.decision import Staleness, Tap
from protocol.explain import Explanation, explain
from protocol.history import History, Mark
from protocol.messages import Clock, Direction, Outcome, Personal
from protocol.policy import Occupancy
from protocol.reasons import Reason


class Who(NamedTuple):
    """Whom an event is about. `known`: `member`, `token` (a card that no list knew), `destroyed`, or `nobody`."""

    known: str
    personal: Personal | None = None
    member: str = ""
    """The city's own number of the person, where the member is in the domain still."""
    listed: HeldEntry | None = None
    """Of a token: what the list says of it now."""


class Account(NamedTuple):
    """All that can be said of one event."""

    row: Any
    part: PublicPart | None
    venue: str
    domain: str
    who: Who
    offset: Offset | None
    at_ms: int
    """When it was, as far as is known."""
    entry_held: HeldEntry | None
    entry_known: HeldEntry | None
    policy: PolicyVersion | None
    in_force: PolicyVersion | None
    before: tuple[Mark, ...] = ()
    """What counts of the member's taps before it, by the gates' clocks; the newest last."""
    then: Explanation | None = None
    """How the gate came to its answer."""
    assumed: str = ""
    """What it must have known for it; empty where no assumption explains it."""
    today: Explanation | None = None
    """What this server says with all that it knows."""
    unknown: tuple[str, ...] = ()


def explained(account: Account, part: PublicPart) -> Account:
    """With the way to the gate's answer, and with what this server says today."""
    row = account.row
    compiled = account.policy.compiled if account.policy else None
    entry = account.entry_held.entry if account.entry_held else None
    account = account._replace(today=_today(account, part))
    if account.who.known == "destroyed" or (account.entry_held is None and account.who.known == "member"):
        return account  # without the person or the entry there is no way to be shown
    for assumed, marks_known, tap in _assumptions(account, part):
        way = explain(compiled, entry, _knowing(marks_known), tap)
        if _is_its_answer(way, row):
            return account._replace(then=way, assumed=assumed)
    every = explain(compiled, entry, _knowing(account.before), _tap(account, part.event.clock, row.at_ms))
    return account._replace(then=every)


def _is_its_answer(way: Explanation, row: Any) -> bool:
    """A repeat has the reason and the rule of the tap that it repeats, whatever they would be by themselves."""
    decision = way.decision
    if row.repeat_of and decision.outcome is Outcome.GRANTED:
        return bool(row.decision == decision.outcome)
    return (decision.outcome, decision.reason, decision.rule) == (row.decision, row.reason, row.rule)


def _assumptions(account: Account, part: PublicPart) -> Iterator[tuple[str, Sequence[Mark], Tap]]:
    """What the gate may have known, from all to little; each with what it tells of the circumstances by its reason."""
    row, clock = account.row, part.event.clock
    own = tuple(mark for mark in account.before if mark.gate == row.gate)
    exits = tuple(mark for mark in account.before if mark.gate == row.gate or mark.direction == "out")
    known = (
        ("every earlier tap that is known here", account.before),
        ("its own earlier taps alone", own),
        ("its own earlier taps, and exits elsewhere", exits),
        ("no earlier tap", ()),
    )
    for said, marks_known in known:
        for choice in dict.fromkeys(("", row.rule)):
            tap = _tap(account, clock, row.at_ms, choice)
            chosen = f"; that {choice} was chosen on its screen" if choice else ""
            yield f"that it knew {said}{chosen}", marks_known, tap
            yield f"that it knew {said} and was cut off{chosen}", marks_known, _with(tap, is_apart=True, inside=None)


def _with(tap: Tap, **changes: Any) -> Tap:
    fields = {name: getattr(tap, name) for name in Tap.__struct_fields__}
    return Tap(**fields | changes)


_STALENESS = {
    Reason.LIST_STALE.value: Staleness.RESTRICT,
    Reason.LIST_TOO_OLD.value: Staleness.CLOSE,
    Reason.LIST_MISSING.value: Staleness.MISSING,
}


def _tap(account: Account, clock: Clock, at_ms: int, choice: str = "") -> Tap:
    """As the gate's answer says that it was: an event does not tell the age of the list nor how many were inside."""
    row = account.row
    is_out = row.reason == Reason.LEAVING or (row.decision == "denied" and row.direction == "out")
    return Tap(
        *(at_ms, b"", 0, clock, Direction.OUT if is_out else Direction.IN),
        _STALENESS.get(row.reason, Staleness.FRESH),
        venue=account.venue,
        gate=row.gate,
        inside=_full_at(account) if row.reason == Reason.FULL else 0,
        choice=choice,
        is_closed=row.reason == Reason.CLOSED and not row.rule,
    )


def _full_at(account: Account) -> int:
    """So many are enough for the policy that the gate held to call its venue full."""
    rules = account.policy.compiled.policy.rules if account.policy else ()
    return max((rule.most for rule in rules if isinstance(rule, Occupancy)), default=0)


def _knowing(known: Sequence[Mark]) -> History:
    return History(told=tuple(known), reserved=PLENTY, lapse_ms=PLENTY * 1_000)


def _today(account: Account, part: PublicPart) -> Explanation | None:
    """With the entry and the policy that central had in force at that instant, every tap that counts, and a clock that
    is right where somebody said by how much it was off."""
    if account.who.known == "destroyed" or account.in_force is None:
        return None
    if account.who.known == "member" and account.entry_known is None:
        return None
    clock = Clock.TRUSTED if account.offset is not None else part.event.clock
    tap = _with(_tap(account, clock, account.at_ms), staleness=Staleness.FRESH)
    entry: Entry | None = account.entry_known.entry if account.entry_known else None
    policy: CompiledPolicy = account.in_force.compiled
    choice = account.row.rule if policy.policy.session is not None else ""
    return explain(policy, entry, _knowing(account.before), _with(tap, choice=choice))
