"""What the screen is told of its gate beside the answers: read from the agent's parts at every look, waits for none."""

from collections.abc import Sequence

from edge_agent import enrolment
from edge_agent.door.door_state import DoorState
from edge_agent.gate import Gate
from edge_agent.identity import Identity
from edge_agent.moments import Moment
from edge_agent.published.holding import Holding
from edge_agent.readers import ReaderState
from edge_agent.screen import closing
from edge_agent.screen.situation import Membership, Surroundings
from edge_agent.screen.wording import Words, said_of
from protocol.closure import closure_at
from protocol.decision import Staleness, staleness
from protocol.messages import Choice, Clock, Direction
from protocol.time_zones import CITY_ZONE


def look_around(
    gate: Gate,
    readers: Sequence[ReaderState],
    door: DoorState,
    identity: Identity,
    membership: Membership,
    is_online: bool | None,
) -> Surroundings:
    """`is_online`: whether central was reached last time; None = nobody tried yet."""
    holding, moment = gate.holding, gate.moments.now()
    known = holding.allowlist is not None and holding.policy is not None and holding.domain_key is not None
    age_ms = gate.age_ms(moment)
    is_behind = gate.clock(moment) >= Clock.BEHIND
    is_pending = membership is Membership.PENDING
    chosen, waiting = gate.chosen(moment.monotonic_ms), gate.consenting.waiting(moment.monotonic_ms)
    return Surroundings(
        config=holding.config,
        membership=membership,
        words=enrolment.words(identity) if is_pending and identity.secret else "",
        staleness=staleness(holding.ages, age_ms) if known and holding.ages else Staleness.MISSING,
        age_s=max(0, age_ms) // 1_000 if known else None,
        is_online=is_online,
        is_clock_wrong=is_behind and holding.policy is not None and holding.policy.policy.untrusted_clock == "deny",
        is_journal_writable=gate.store.is_writable and bool(gate.store.epoch.number) and not gate.damaged.is_set(),
        readers=tuple(readers),
        alarm=door.alarm,
        is_fire=door.fire,
        closed=_closed(gate, holding, moment, is_behind),
        is_closed_by_staff=gate.closing.by_staff_ms(moment) != 0,
        is_session=holding.policy is not None and holding.policy.policy.session is not None,
        closures_change_ms=_change_ms(gate, holding, moment),
        choices=_choices(holding, gate.now_ms(), is_behind),
        chosen=chosen[0] if chosen else "",
        chosen_until_ms=chosen[1] if chosen else 0,
        consents=gate.consenting.asks(),
        stating=said_of(waiting.detail, holding.notices) if waiting else None,
        stating_until_ms=waiting.until_ms if waiting else 0,
    )


def _closed(gate: Gate, holding: Holding, moment: Moment, is_clock_wrong: bool) -> Words | None:
    """Why nobody enters just now and until when, by the rule that a tap is judged by; None = it is open."""
    zone = holding.config.time_zone if holding.config else CITY_ZONE
    left_ms, held = gate.closing.by_staff_ms(moment), gate.closing.newest
    if held is not None and left_ms != 0:
        now_ms = gate.now_ms()
        when = closing.OPENED_BY_STAFF if left_ms is None else closing.until(now_ms + left_ms, now_ms, zone)
        return closing.joined(closing.why_of_staff(held.why), when)
    closure = None if is_clock_wrong else closure_at(holding.closures, moment.wall_ms, ())
    if closure is None:
        return None
    return closing.joined(closing.why_of(closure), closing.until(closure.until_ms, moment.wall_ms, zone))


def _change_ms(gate: Gate, holding: Holding, moment: Moment) -> int:
    """When the next closure begins or ends, monotonic; 0 = none will."""
    ends = [at for each in holding.closures for at in (each.from_ms, each.until_ms)]
    left = [at - moment.wall_ms for at in ends if at > moment.wall_ms]
    by_staff_ms = gate.closing.by_staff_ms(moment)
    soonest = min(left + ([by_staff_ms] if by_staff_ms else []), default=None)
    return 0 if soonest is None else moment.monotonic_ms + soonest


def _choices(holding: Holding, at_ms: int, is_clock_wrong: bool) -> tuple[Choice, ...]:
    """Those of the configuration whose rule would admit somebody just now."""
    config, policy = holding.config, holding.policy
    if config is None or policy is None or not config.screen.choices or holding.direction is not Direction.IN:
        return ()
    held = {
        row.rule
        for row in policy.day(at_ms).rows
        if row.grants and (row.spans is None or is_clock_wrong or any(a <= at_ms < b for a, b in row.spans))
    }
    return tuple(choice for choice in config.screen.choices if choice.rule in held)
