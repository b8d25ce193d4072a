"""What is wrong, of which gate, device, server or rollout: read out of facts that were gathered together. Pure.

A reading is bad, good, or between: between changes nothing, so that a value at the line makes no incident come and go.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum, StrEnum
from typing import Any, NamedTuple

from central.alerts.limits import Limits

DAY_MS = 86_400_000


class Kind(StrEnum):
    """What an alert is about."""

    SILENT = "silent"
    SKEW = "skew"
    DISK = "disk"
    CERTIFICATE = "certificate"
    DENIALS = "denials"
    STALE = "stale"
    HALTED = "halted"
    UNTOLD = "untold"
    LIBRARY = "library"
    INCIDENT = "incident"
    OVERDUE = "overdue"


class Level(IntEnum):
    """How a thing stands."""

    GOOD = 0
    BETWEEN = 1
    BAD = 2


class Place(NamedTuple):
    """What a reading is of. `target` names it among those of its kind; a server has no venue."""

    target: str
    venue: str = ""
    gate: str = ""
    device: str = ""


class Reading(NamedTuple):
    """One thing, looked at once. `facts`: what a person is told, in JSON's types."""

    kind: Kind
    place: Place
    level: Level
    facts: dict[str, Any]


class Disk(NamedTuple):
    """Of the file system that the data lies on."""

    free_bytes: int
    total_bytes: int


class Taps(NamedTuple):
    """Decided taps of a gate, and how many of them were denied."""

    number: int
    denied: int

    @property
    def share(self) -> float:
        return self.denied / self.number if self.number else 0.0


class DeviceFacts(NamedTuple):
    """An active device. `heard_ms`: of its newest poll, or its confirmation; `skew_ms` None: it never said.

    `list_held`, `list_newest`: versions, which are Unix milliseconds; 0 = none.
    """

    device: str
    gate: str
    heard_ms: int
    wait_s: int = 0
    skew_ms: int | None = None
    list_held: int = 0
    list_newest: int = 0
    disk: Disk | None = None
    certificate_until_ms: int = 0


class GateFacts(NamedTuple):
    """A gate with its ages. `is_closed`: by a closure or its staff, so nobody need be there to switch it on.

    `before`: its taps before the quarter of an hour of `lately`; None: nothing calls for a comparison.
    """

    gate: str
    venue: str
    warn_ms: int
    restrict_ms: int
    close_ms: int
    is_closed: bool = False
    lately: Taps = Taps(0, 0)
    before: Taps | None = None


class ServerFacts(NamedTuple):
    """A process of central. `certificate_until_ms` 0: it has none. `is_named`: devices trust its certificate."""

    server: str
    disk: Disk | None = None
    certificate_until_ms: int = 0
    is_named: bool = True


class HaltedFacts(NamedTuple):
    """A rollout that halted, at one of its venues. `what`: its policy, or what it is called; `why`: it halted; `gates`
    there that have it; `is_back`: it put the old content in force again by itself."""

    rollout: str
    venue: str
    what: str
    why: str
    gates: int
    is_back: bool


class SubscriptionFacts(NamedTuple):
    """A system that is told of events. `failing_ms`: since when it takes nothing; 0: it takes what it is sent."""

    subscription: str
    is_dead: bool = False
    failing_ms: int = 0
    why: str = ""


class LibraryFacts(NamedTuple):
    """A library system that is asked about members. `failing_ms`: since when it does not answer; 0: it does."""

    library: str
    failing_ms: int = 0
    answered_ms: int = 0
    failure: str = ""


class IncidentFacts(NamedTuple):
    """An open incident with personal data of which somebody was not told yet. `untold`: who."""

    incident: str
    tell_by_ms: int
    untold: tuple[str, ...]


class Facts(NamedTuple):
    """All that is looked at in one look."""

    devices: tuple[DeviceFacts, ...] = ()
    gates: tuple[GateFacts, ...] = ()
    servers: tuple[ServerFacts, ...] = ()
    halted: tuple[HaltedFacts, ...] = ()
    subscriptions: tuple[SubscriptionFacts, ...] = ()
    libraries: tuple[LibraryFacts, ...] = ()
    incidents: tuple[IncidentFacts, ...] = ()


def readings(facts: Facts, limits: Limits, now_ms: int) -> list[Reading]:
    """How everything stands, each thing once."""
    gates = {each.gate: each for each in facts.gates}
    of_gate: dict[str, list[DeviceFacts]] = defaultdict(list)
    for device in facts.devices:
        if device.gate in gates:
            of_gate[device.gate].append(device)
    found: list[Reading] = []
    for gate, devices in of_gate.items():
        found.append(_silent(gates[gate], devices, limits, now_ms))
        for device in devices:
            found += _of_device(gates[gate], device, limits, now_ms)
    found += (_denials(gate, limits) for gate in facts.gates if gate.before is not None)
    found += _of_servers(facts.servers, limits, now_ms)
    found += map(_halted, facts.halted)
    found += (_untold(each, limits, now_ms) for each in facts.subscriptions)
    found += (_library(each, limits, now_ms) for each in facts.libraries)
    found += (reading for each in facts.incidents for reading in _incident(each, now_ms))
    return found


def silence_ms(device: DeviceFacts, now_ms: int) -> int:
    """For how long it was not heard of, beyond the time that it said it would wait for an answer."""
    return max(0, now_ms - device.heard_ms - device.wait_s * 1_000)


def _silent(gate: GateFacts, devices: Iterable[DeviceFacts], limits: Limits, now_ms: int) -> Reading:
    """A gate is silent when any of its devices is: a spare one is of no use when it is dead as well."""
    of = sorted(devices, key=lambda each: (each.heard_ms, each.device))
    silences = {each.device: silence_ms(each, now_ms) for each in of}
    line_ms = limits.silent_s * 1_000
    level = _at_least(max(silences.values()), line_ms, line_ms // 2)
    if gate.is_closed and level is Level.BAD:
        level = Level.BETWEEN
    silent = [device for device, silence in silences.items() if silence >= line_ms]
    return Reading(
        Kind.SILENT,
        Place(gate.gate, gate.venue, gate.gate, silent[0] if silent else ""),
        level,
        {"devices": silent[:16], "heard_ms": of[0].heard_ms},
    )


def _of_device(gate: GateFacts, device: DeviceFacts, limits: Limits, now_ms: int) -> Iterator[Reading]:
    place = Place(device.device, gate.venue, gate.gate, device.device)
    is_heard = silence_ms(device, now_ms) < limits.silent_s * 1_000
    if device.skew_ms is not None:
        off_ms, line_ms = abs(device.skew_ms), limits.skew_s * 1_000
        level = _at_least(off_ms, line_ms, line_ms // 2) if is_heard else Level.BETWEEN
        yield Reading(Kind.SKEW, place, level, {"skew_ms": device.skew_ms})
    if device.disk is not None:
        level = _disk(device.disk, limits) if is_heard else Level.BETWEEN
        yield Reading(Kind.DISK, place, level, device.disk._asdict())
    if device.certificate_until_ms:
        level = _certificate(device.certificate_until_ms, limits, now_ms)
        yield Reading(Kind.CERTIFICATE, place, level, {"until_ms": device.certificate_until_ms, "is_named": True})
    yield _stale(gate, device, place, limits, now_ms)


def _stale(gate: GateFacts, device: DeviceFacts, place: Place, limits: Limits, now_ms: int) -> Reading:
    """Its last word is so old that the gate warns, or it holds another list than the one that is in force."""
    age_ms = max(0, now_ms - device.heard_ms)
    behind_ms = max(0, device.list_newest - device.list_held) if device.list_newest else 0
    is_behind = behind_ms >= limits.behind_s * 1_000
    level = Level.BAD if age_ms >= gate.warn_ms or is_behind else Level.GOOD
    ages = {"warn_ms": gate.warn_ms, "restrict_ms": gate.restrict_ms, "close_ms": gate.close_ms}
    held = {"list_held": device.list_held, "list_newest": device.list_newest}
    return Reading(Kind.STALE, place, level, {"heard_ms": device.heard_ms} | ages | held)


def is_notable(lately: Taps, limits: Limits) -> bool:
    """Whether so many were denied that the gate's own past is worth looking at."""
    return lately.denied >= limits.denials_least and lately.share * 100 >= limits.denials_percent


def _denials(gate: GateFacts, limits: Limits) -> Reading:
    """More than the gate's own share: by so many times, or halfway from it to all. One whose past is short is taken to
    have denied one tap in ten."""
    lately, before = gate.lately, gate.before or Taps(0, 0)
    usual = (before.denied + 2) / (before.number + 20)
    line = min(limits.denials_times * usual, (1 + usual) / 2)
    level = Level.BETWEEN
    if is_notable(lately, limits) and lately.share >= line:
        level = Level.BAD
    elif lately.share * 200 < limits.denials_percent or lately.share < (usual + line) / 2:
        level = Level.GOOD
    facts = {"taps": lately.number, "denied": lately.denied}
    facts |= {"taps_before": before.number, "denied_before": before.denied}
    return Reading(Kind.DENIALS, Place(gate.gate, gate.venue, gate.gate), level, facts)


def _of_servers(servers: Iterable[ServerFacts], limits: Limits, now_ms: int) -> Iterator[Reading]:
    for each in servers:
        place = Place(each.server)
        if each.disk is not None:
            yield Reading(Kind.DISK, place, _disk(each.disk, limits), each.disk._asdict())
        if each.certificate_until_ms:
            level = _certificate(each.certificate_until_ms, limits, now_ms) if each.is_named else Level.BAD
            facts = {"until_ms": each.certificate_until_ms, "is_named": each.is_named}
            yield Reading(Kind.CERTIFICATE, place, level, facts)


def _halted(each: HaltedFacts) -> Reading:
    """Until a person goes on, goes back or ends the alert; what went back by itself is only to be seen."""
    return Reading(Kind.HALTED, Place(f"{each.rollout}/{each.venue}", each.venue), Level.BAD, each._asdict())


def _untold(of: SubscriptionFacts, limits: Limits, now_ms: int) -> Reading:
    level = _at_least(now_ms - of.failing_ms, limits.untold_s * 1_000, 0) if of.failing_ms else Level.GOOD
    facts = {"is_dead": of.is_dead, "failing_ms": of.failing_ms, "why": of.why}
    return Reading(Kind.UNTOLD, Place(of.subscription), Level.BAD if of.is_dead else level, facts)


def _library(of: LibraryFacts, limits: Limits, now_ms: int) -> Reading:
    level = _at_least(now_ms - of.failing_ms, limits.library_s * 1_000, 0) if of.failing_ms else Level.GOOD
    facts = {"failing_ms": of.failing_ms, "answered_ms": of.answered_ms, "failure": of.failure}
    return Reading(Kind.LIBRARY, Place(of.library), level, facts)


def _incident(of: IncidentFacts, now_ms: int) -> Iterator[Reading]:
    """Told when a day is left, and once more when none is: what the law says is no setting."""
    facts = {"tell_by_ms": of.tell_by_ms, "untold": list(of.untold)}
    for kind, line_ms in ((Kind.INCIDENT, DAY_MS), (Kind.OVERDUE, 0)):
        level = Level.BAD if of.tell_by_ms - now_ms < line_ms else Level.GOOD
        yield Reading(kind, Place(of.incident), level, facts)


def _disk(disk: Disk, limits: Limits) -> Level:
    percent = 100 * disk.free_bytes / disk.total_bytes if disk.total_bytes else 100.0
    if percent <= limits.disk_percent:
        return Level.BAD
    return Level.BETWEEN if percent <= limits.disk_percent * 1.25 else Level.GOOD


def _certificate(until_ms: int, limits: Limits, now_ms: int) -> Level:
    left_ms = until_ms - now_ms
    if left_ms <= limits.certificate_days * DAY_MS:
        return Level.BAD
    return Level.BETWEEN if left_ms <= (limits.certificate_days + 1) * DAY_MS else Level.GOOD


def _at_least(value: int, line: int, over: int) -> Level:
    if value >= line:
        return Level.BAD
    return Level.BETWEEN if value > over else Level.GOOD


def by_place(found: Iterable[Reading]) -> Mapping[tuple[str, str], Reading]:
    """Readings by kind and target."""
    return {(each.kind.value, each.place.target): each for each in found}
