"""What counts as bad, good, or neither."""

from typing import Any

import pytest

from central.alerts.conditions import (
    DAY_MS,
    DeviceFacts,
    Disk,
    Facts,
    GateFacts,
    Kind,
    Level,
    LibraryFacts,
    Reading,
    ServerFacts,
    Taps,
    readings,
)
from central.alerts.limits import Limits
from tests.central.actors import NOW_MS

LIMITS = Limits()
HOUR_MS = 3_600_000
GATE = GateFacts("door-1", "main", HOUR_MS, 24 * HOUR_MS, 7 * DAY_MS)


def device(**changes: Any) -> DeviceFacts:
    return DeviceFacts("door-1-a", "door-1", NOW_MS - 10_000, wait_s=30)._replace(**changes)


def look(*devices: DeviceFacts, gate: GateFacts = GATE, servers: tuple[ServerFacts, ...] = ()) -> dict[Any, Reading]:
    found = readings(Facts(devices, (gate,), servers), LIMITS, NOW_MS)
    by_key = {(each.kind, each.place.target): each for each in found}
    assert len(by_key) == len(found)  # each thing is judged once
    return by_key


def level(kind: Kind, *devices: DeviceFacts, target: str = "door-1-a", gate: GateFacts = GATE) -> Level | None:
    reading = look(*devices, gate=gate).get((kind, target))
    return reading and reading.level


@pytest.mark.parametrize(
    ("ago_s", "found"),
    [(0, Level.GOOD), (30 + 150, Level.GOOD), (30 + 151, Level.BETWEEN), (30 + 299, Level.BETWEEN), (330, Level.BAD)],
)
def test_a_gate_is_silent_when_its_device_is_overdue(ago_s: int, found: Level) -> None:
    assert level(Kind.SILENT, device(heard_ms=NOW_MS - ago_s * 1_000), target="door-1") is found


def test_a_device_that_said_it_would_wait_long_is_not_silent_meanwhile() -> None:
    late = device(heard_ms=NOW_MS - 400_000)
    assert level(Kind.SILENT, late, target="door-1") is Level.BAD
    assert level(Kind.SILENT, late._replace(wait_s=300), target="door-1") is Level.GOOD


def test_one_dead_device_of_two_makes_one_silent_gate_that_names_it() -> None:
    dead = device(device="door-1-b", heard_ms=NOW_MS - HOUR_MS)
    reading = look(device(), dead)[Kind.SILENT, "door-1"]
    assert (reading.level, reading.facts["devices"], reading.place.device) == (Level.BAD, ["door-1-b"], "door-1-b")
    assert reading.facts["heard_ms"] == NOW_MS - HOUR_MS


def test_a_gate_that_is_closed_may_be_switched_off() -> None:
    dead = device(heard_ms=NOW_MS - HOUR_MS)
    assert level(Kind.SILENT, dead, target="door-1", gate=GATE._replace(is_closed=True)) is Level.BETWEEN
    assert level(Kind.SILENT, device(), target="door-1", gate=GATE._replace(is_closed=True)) is Level.GOOD


@pytest.mark.parametrize(
    ("skew_s", "found"),
    [(None, None), (0, Level.GOOD), (-30, Level.GOOD), (31, Level.BETWEEN), (60, Level.BAD), (-61, Level.BAD)],
)
def test_a_clock_that_is_off_either_way_is_bad(skew_s: int | None, found: Level | None) -> None:
    skew_ms = None if skew_s is None else skew_s * 1_000
    assert level(Kind.SKEW, device(skew_ms=skew_ms)) is found


def test_of_a_device_that_is_not_heard_of_clock_and_disk_stay_what_they_were() -> None:
    gone = device(heard_ms=NOW_MS - HOUR_MS, skew_ms=0, disk=Disk(99, 100))
    assert level(Kind.SKEW, gone) is Level.BETWEEN
    assert level(Kind.DISK, gone) is Level.BETWEEN


@pytest.mark.parametrize(
    ("free", "found"), [(0, Level.BAD), (10, Level.BAD), (11, Level.BETWEEN), (12, Level.BETWEEN), (13, Level.GOOD)]
)
def test_little_free_disk_is_bad_of_devices_and_servers(free: int, found: Level) -> None:
    assert level(Kind.DISK, device(disk=Disk(free, 100))) is found
    of_server = look(servers=(ServerFacts("central:8443", Disk(free, 100)),))[Kind.DISK, "central:8443"]
    assert (of_server.level, of_server.place.venue) == (found, "")


def test_a_device_that_says_nothing_of_its_disk_is_not_judged_by_it() -> None:
    assert level(Kind.DISK, device()) is None
    assert level(Kind.DISK, device(disk=Disk(0, 0))) is Level.GOOD


@pytest.mark.parametrize(
    ("days", "found"),
    [(-1, Level.BAD), (30, Level.BAD), (30.5, Level.BETWEEN), (31, Level.BETWEEN), (31.1, Level.GOOD)],
)
def test_a_certificate_that_ends_soon_is_bad(days: float, found: Level) -> None:
    server = ServerFacts("central:8443", certificate_until_ms=NOW_MS + int(days * DAY_MS))
    assert look(servers=(server,))[Kind.CERTIFICATE, "central:8443"].level is found
    assert level(Kind.CERTIFICATE, device(certificate_until_ms=NOW_MS + int(days * DAY_MS))) is found


def test_a_certificate_that_no_device_trusts_is_bad_however_long_it_lasts() -> None:
    server = ServerFacts("central:8443", certificate_until_ms=NOW_MS + 999 * DAY_MS, is_named=False)
    assert look(servers=(server,))[Kind.CERTIFICATE, "central:8443"].level is Level.BAD


@pytest.mark.parametrize(
    ("ago_ms", "held_ago_ms", "found"),
    [
        (0, 0, Level.GOOD),
        (HOUR_MS - 1, 0, Level.GOOD),
        (HOUR_MS, 0, Level.BAD),
        (0, 599_999, Level.GOOD),
        (0, 600_000, Level.BAD),
    ],
)
def test_a_list_is_old_by_its_gates_ages_or_when_another_is_in_force(
    ago_ms: int, held_ago_ms: int, found: Level
) -> None:
    newest = NOW_MS - 5 * DAY_MS
    held = device(heard_ms=NOW_MS - ago_ms, list_held=newest - held_ago_ms, list_newest=newest)
    assert level(Kind.STALE, held) is found


def test_where_there_is_no_list_none_is_old() -> None:
    assert level(Kind.STALE, device(list_held=0, list_newest=0)) is Level.GOOD


@pytest.mark.parametrize(
    ("lately", "before", "found"),
    [
        (Taps(100, 50), Taps(2_000, 20), Level.BAD),  # 1 % before, half of them now
        (Taps(100, 50), Taps(2_000, 800), Level.GOOD),  # it always denies 40 %
        (Taps(100, 75), Taps(2_000, 800), Level.BAD),  # even there, three in four are too many
        (Taps(12, 9), Taps(2_000, 20), Level.BETWEEN),  # too few to call for anybody
        (Taps(100, 20), Taps(2_000, 20), Level.BETWEEN),  # many more than before, but not so many
        (Taps(100, 10), Taps(2_000, 20), Level.GOOD),
        (Taps(0, 0), Taps(2_000, 20), Level.GOOD),  # nobody comes any more
        (Taps(20, 20), Taps(0, 0), Level.BAD),  # a new gate that denies everybody
        (Taps(40, 11), Taps(0, 0), Level.BETWEEN),
    ],
)
def test_denials_are_compared_with_the_gates_own_past(lately: Taps, before: Taps, found: Level) -> None:
    assert level(Kind.DENIALS, target="door-1", gate=GATE._replace(lately=lately, before=before)) is found


def test_a_gate_that_nobody_compared_is_not_judged_by_its_denials() -> None:
    assert level(Kind.DENIALS, target="door-1", gate=GATE._replace(lately=Taps(100, 100))) is None


def test_a_gate_without_a_device_is_not_silent() -> None:
    assert look() == {}


def test_a_device_of_a_gate_that_is_gone_harms_nothing() -> None:
    assert look(device(gate="door-9")) == {}


@pytest.mark.parametrize(
    ("failing_ms", "found"),
    [
        (0, Level.GOOD),
        (NOW_MS - 1, Level.BETWEEN),
        (NOW_MS - HOUR_MS + 1, Level.BETWEEN),
        (NOW_MS - HOUR_MS, Level.BAD),
    ],
)
def test_a_library_calls_for_a_person_when_it_does_not_answer_for_an_hour(failing_ms: int, found: Level) -> None:
    down = LibraryFacts("taichung", failing_ms, NOW_MS - DAY_MS, "timeout" if failing_ms else "")
    (reading,) = readings(Facts(libraries=(down,)), LIMITS, NOW_MS)
    assert (reading.kind, reading.place.target, reading.level) == (Kind.LIBRARY, "taichung", found)
