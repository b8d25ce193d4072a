"""What is going on now: venues, gates, and what needs a person."""

from collections import Counter
from collections.abc import Callable, Iterable

import msgspec

from central.actions.action import Context, Params, Result, action
from central.reporting.city import RATE_MS, City, Gate, Unreceipted, city_now
from central.reporting.gate_state import State, gate_state_of

MINUTE_MS = 60_000


class OverviewParams(Params, frozen=True):
    """Nothing: whoever asks sees what is theirs."""


class GateNow(msgspec.Struct, frozen=True):
    """`state`: online, behind, silent, alarm, waiting, off; `reasons`: codes, the weightiest first. `backlog`: events
    that wait at its devices; `seen_ms`: when any of them was heard of, 0 = never."""

    gate: str
    venue: str
    kind: str
    title_zh: str
    title_en: str
    state: str
    reasons: list[str]
    devices: int
    seen_ms: int
    backlog: int
    taps_per_minute: float


class VenueNow(msgspec.Struct, frozen=True):
    """`state`: that of its worst gate. `taps`, `denied`: of its local day until now, as far as is settled."""

    venue: str
    domain: str
    title_zh: str
    title_en: str
    state: str
    inside: int
    taps: int
    denied: int
    taps_per_minute: float
    gates: int
    gates_by_state: dict[str, int]


class Waiting(msgspec.Struct, frozen=True):
    """Events that wait at a device. None of them is older than `after_ms`, the newest event that is held of it; 0 =
    unknown."""

    device: str
    gate: str
    venue: str
    backlog: int
    after_ms: int
    seen_ms: int


class Need(msgspec.Struct, frozen=True):
    """Something that a person has to look at. `what`: gates-in-alarm, gates-silent, devices-to-confirm, alerts,
    conflicts, reviews, rollouts-halted."""

    what: str
    number: int


class Overview(Result, frozen=True):
    """As of `at_ms`. Taps per minute are those of the last five minutes, by what has come in. The worst gates first."""

    at_ms: int
    inside: int
    taps: int
    denied: int
    taps_per_minute: float
    gates_by_state: dict[str, int]
    oldest_waiting: Waiting | None
    waiting: int
    needs: list[Need]
    venues: list[VenueNow]
    gates: list[GateNow]


@action("overview.show", OverviewParams, writes=False)
async def overview_show(context: Context, _params: OverviewParams) -> Overview:
    """Read for the whole city at most once a second, and shown as far as it is the caller's."""
    city = await city_now(context.database, context.now_ms)
    venues, teams = context.scope.venues, context.scope.teams

    def mine(venue: str) -> bool:
        return venues is None or venue in venues

    gates = sorted((_gate(gate) for gate in city.gates if mine(gate.venue)), key=_worst_first)
    waiting = [each for each in city.unreceipted if mine(each.device.venue)]
    found = [_venue(city, venue.id, gates) for venue in city.venues if mine(venue.id)]
    return Overview(
        at_ms=city.at_ms,
        inside=sum(venue.inside for venue in found),
        taps=sum(venue.taps for venue in found),
        denied=sum(venue.denied for venue in found),
        taps_per_minute=_rate(gate.taps_lately for gate in city.gates if mine(gate.venue)),
        gates_by_state=_by_state(gates),
        oldest_waiting=_waiting(waiting[0]) if waiting else None,
        waiting=sum(each.device.facts.backlog for each in waiting),
        needs=_needs(city, gates, mine, teams),
        venues=sorted(found, key=lambda venue: (_ORDER.index(venue.state), venue.venue)),
        gates=gates,
    )


_ORDER = [
    *(State.ALARM.value, State.SILENT.value, State.BEHIND.value, State.WAITING.value, State.ONLINE.value),
    State.OFF.value,
]


def _worst_first(gate: GateNow) -> tuple[int, str]:
    return _ORDER.index(gate.state), gate.gate


def _rate(lately: Iterable[int]) -> float:
    return round(sum(lately) / (RATE_MS / MINUTE_MS), 1)


def _by_state(gates: Iterable[GateNow]) -> dict[str, int]:
    number = Counter(gate.state for gate in gates)
    return {state.value: number[state.value] for state in State if number[state.value]}


def _gate(gate: Gate) -> GateNow:
    state = gate_state_of([each.state for each in gate.devices])
    return GateNow(
        *(gate.id, gate.venue, gate.kind, gate.title_zh, gate.title_en, state.state.value, list(state.reasons)),
        devices=len(gate.devices),
        seen_ms=max((each.facts.seen_ms for each in gate.devices), default=0),
        backlog=sum(each.facts.backlog for each in gate.devices),
        taps_per_minute=_rate([gate.taps_lately]),
    )


def _venue(city: City, id_: str, gates: Iterable[GateNow]) -> VenueNow:
    venue = next(each for each in city.venues if each.id == id_)
    own = [gate for gate in gates if gate.venue == id_]
    return VenueNow(
        *(venue.id, venue.domain, venue.title_zh, venue.title_en),
        state=own[0].state if own else State.OFF.value,
        inside=venue.inside,
        taps=venue.taps,
        denied=venue.denied,
        taps_per_minute=_rate(gate.taps_lately for gate in city.gates if gate.venue == id_),
        gates=len(own),
        gates_by_state=_by_state(own),
    )


def _waiting(each: Unreceipted) -> Waiting:
    device = each.device
    return Waiting(device.id, device.gate, device.venue, device.facts.backlog, each.after_ms, device.facts.seen_ms)


def _needs(
    city: City, gates: Iterable[GateNow], mine: Callable[[str], bool], teams: frozenset[str] | None
) -> list[Need]:
    """The most pressing first."""
    states = Counter(gate.state for gate in gates)
    gate_ids = {gate.gate for gate in gates}
    pending = [each for gate in city.gates for each in gate.devices if each.state.state is State.WAITING]
    of_venues = {
        "alerts": sum(number for venue, number in city.alerts.items() if mine(venue)),
        "gates-in-alarm": states[State.ALARM.value],
        "rollouts-halted": sum(mine("") or bool(set(_ids(of)) & gate_ids) for _, _, of in city.halted),
        "devices-to-confirm": sum(mine(each.venue) for each in pending),
        "gates-silent": states[State.SILENT.value],
        "conflicts": sum(number for venue, number in city.conflicts.items() if mine(venue)),
        "reviews": sum(number for team, number in city.reviews.items() if teams is None or team in teams),
    }
    return [Need(what, number) for what, number in of_venues.items() if number]


def _ids(gates: str) -> list[str]:
    return msgspec.json.decode(gates, type=list[str])
