"""Who may be inside: the rule over events, and what the command makes of what is in custody."""

from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.actions.action import ActionFailed
from central.custody import Custodian
from central.device_keys import DeviceKeys
from central.inside import CERTAIN, How, Inside, Seen, who_may_be_inside
from central.store.schema import devices, events, members, names, subjects
from protocol.messages import (
    AdmitDetail,
    GateConfig,
    Kind,
    PassageDetail,
    Personal,
    ReleaseConfig,
    UndoDetail,
    encode,
)
from protocol.presence import counted_from_ms
from tests.central.actors import NOW_MS, Device, Journal
from tests.central.admin import Admin, admin_of
from tests.central.city import City

EPOCH = b"epoch 01"
PEOPLE = [bytes([n]) * 16 for n in range(1, 4)]
DOOR = {"door"}


class Story:
    """Events of one device at one gate, in order."""

    def __init__(self, gate: str = "door", device: str = "d") -> None:
        self.gate, self.device = gate, device
        self.events: list[Seen] = []

    def add(self, kind: str, direction: str = "", decision: str = "", subject: bytes = b"", detail: Any = None) -> int:
        n = len(self.events)
        self.events.append(
            Seen(self.device, EPOCH, n, 1_000 * n, self.gate, kind, direction, decision, subject, detail)
        )
        return n

    def tap(self, person: int, passage: str = "", direction: str = "in", decision: str = "granted") -> int:
        n = self.add("tap", direction, decision, PEOPLE[person])
        if passage:
            self.add("passage", detail=PassageDetail(n, passage))
        return n

    def inside(self, watched: Any = DOOR) -> dict[int, str]:
        """By the number of the person, how."""
        return {PEOPLE.index(one.subject): one.how.value for one in who_may_be_inside(self.events, watched)}


def test_who_went_in_and_did_not_leave_is_inside() -> None:
    story = Story()
    story.tap(0, "taken")
    story.tap(1, "taken")
    story.tap(0, "taken", direction="out")
    assert story.inside() == {1: "taken"}


@pytest.mark.parametrize(
    ("passage", "watched", "found"),
    [
        ("taken", DOOR, {0: "taken"}),
        ("not-taken", DOOR, {}),
        ("unknown", DOOR, {0: "unknown"}),
        ("", DOOR, {0: "pending"}),
        ("", set(), {0: "not-seen"}),
        ("not-taken", set(), {}),
        ("forced", DOOR, {0: "pending"}),
        ("a kind of passage that is not known", DOOR, {0: "pending"}),
    ],
)
def test_a_granted_tap_counts_by_its_passage(passage: str, watched: set[str], found: dict[int, str]) -> None:
    story = Story()
    story.tap(0, passage)
    assert story.inside(watched) == found


@pytest.mark.parametrize(
    ("passage", "found"),
    [("taken", {}), ("not-taken", {0: "taken"}), ("unknown", {0: "unknown"}), ("", {0: "unknown"})],
)
def test_who_may_not_have_left_may_be_inside(passage: str, found: dict[int, str]) -> None:
    story = Story()
    story.tap(0, "taken")
    story.tap(0, passage, direction="out")
    assert story.inside() == found


def test_a_denied_tap_moves_nobody_and_an_undone_one_neither() -> None:
    story = Story()
    story.tap(0, decision="denied")
    tapped = story.tap(1, "taken")
    story.add("undo", detail=UndoDetail(tapped))
    assert story.inside() == {}


def test_a_passage_that_a_later_epoch_tells_of_counts() -> None:
    story = Story()
    tapped = story.tap(0)
    later = Seen("d", b"epoch 02", 1, 9_000, "door", "passage", "", "", b"", PassageDetail(tapped, "unknown", EPOCH))
    story.events.append(later)
    assert story.inside() == {0: "unknown"}


def test_a_second_tap_in_doubt_does_not_unsettle_who_is_inside() -> None:
    story = Story()
    story.tap(0, "taken")
    story.tap(0, "not-taken")
    story.tap(0, "unknown")
    (one,) = who_may_be_inside(story.events, DOOR)
    assert (one.how, one.since_ms) == (How.TAKEN, 0)


def test_staff_let_in_somebody_known_by_the_denied_tap_or_nobody_knows_whom() -> None:
    story = Story()
    denied = story.tap(0, decision="denied")
    admitted = story.add("admit", "in", "granted", detail=AdmitDetail("lin", "forgot the card", denied))
    story.add("passage", detail=PassageDetail(admitted, "taken"))
    story.add("admit", "in", "granted", detail=AdmitDetail("lin", "a visitor"))
    known, unknown = who_may_be_inside(story.events, DOOR)
    assert known == Inside(PEOPLE[0], "door", 1_000, How.TAKEN, "lin")
    assert (unknown.subject, unknown.how, unknown.by) == (b"", How.PENDING, "lin")
    story.tap(0, "taken", direction="out")
    assert [one.subject for one in who_may_be_inside(story.events, DOOR)] == [b""]


class Step(NamedTuple):
    """One tap and what became of it."""

    person: int
    direction: str
    decision: str
    passage: str
    undone: bool
    gate: str


STEPS = st.lists(
    st.builds(
        Step,
        st.integers(0, 2),
        st.sampled_from(["in", "out"]),
        st.sampled_from(["granted", "granted", "denied"]),
        st.sampled_from(["taken", "not-taken", "unknown", ""]),
        st.booleans(),
        st.sampled_from(["door", "kiosk"]),
    ),
    max_size=12,
)


def events_of(steps: list[Step]) -> list[Seen]:
    found: list[Seen] = []
    for step in steps:
        story = Story(step.gate)
        story.events = found
        n = story.tap(step.person, step.passage, step.direction, step.decision)
        if step.undone:
            story.add("undo", detail=UndoDetail(n))
    return found


@given(STEPS)
def test_undone_denied_and_not_taken_taps_count_as_never_made(steps: list[Step]) -> None:
    counting = [s for s in steps if s.decision == "granted" and s.passage != "not-taken" and not s.undone]
    assert people(steps) == people(counting)


def people(steps: list[Step]) -> dict[bytes, How]:
    return {one.subject: one.how for one in who_may_be_inside(events_of(steps), DOOR)}


@given(STEPS, st.randoms(use_true_random=False))
def test_the_order_in_which_events_come_does_not_matter(steps: list[Step], chance: Any) -> None:
    events = events_of(steps)
    mixed = list(events)
    chance.shuffle(mixed)
    assert who_may_be_inside(mixed, DOOR) == who_may_be_inside(events, DOOR)


@given(STEPS, st.integers(0, 2))
def test_people_do_not_depend_on_each_other(steps: list[Step], person: int) -> None:
    alone = people([step for step in steps if step.person == person])
    assert alone.get(PEOPLE[person]) == people(steps).get(PEOPLE[person])
    assert set(alone) <= {PEOPLE[person]}


@given(STEPS, st.integers(0, 2))
def test_a_certain_exit_takes_one_person_out_and_nobody_else(steps: list[Step], person: int) -> None:
    before = people(steps)
    after = people([*steps, Step(person, "out", "granted", "taken", False, "door")])
    assert after == {one: how for one, how in before.items() if one != PEOPLE[person]}


@given(STEPS, st.integers(0, 2))
def test_a_certain_entry_makes_certain_and_a_doubtful_one_never_less(steps: list[Step], person: int) -> None:
    certain = people([*steps, Step(person, "in", "granted", "taken", False, "door")])
    assert certain[PEOPLE[person]] is How.TAKEN
    before = people(steps)
    doubtful = people([*steps, Step(person, "in", "granted", "unknown", False, "door")])
    if before.get(PEOPLE[person]) in CERTAIN:
        assert doubtful == before
    else:
        assert doubtful[PEOPLE[person]] is How.UNKNOWN


# --- out of what is in custody ------------------------------------------------------------------------------------


@pytest.fixture
def admin(database: Any, keys: Any, database_url: str, tmp_path: Path) -> Admin:
    return admin_of(database, keys, database_url, tmp_path)


def personal(subject: bytes) -> bytes:
    return encode(Personal(bytes(16), subject=subject, card=1))


async def test_the_command_tells_members_names_gates_and_what_it_cannot_know(
    admin: Admin, city: City, database: Any, keys: Any
) -> None:
    ids = await city.add_members(3)
    await city.add(names, {"domain": "library", "member": ids[0], "name": "王○明"})
    who = {row.member: row.subject for row in await city.rows(subjects)}
    references = {row.id: row.reference for row in await city.rows(members)}
    await city.add_gate("kiosk-1")
    silent = await city.add_device(Device("kiosk-1-device", "kiosk-1"))
    await city.configure(GateConfig(0, "door-1", "door", release=ReleaseConfig(passage="door")))
    report = encode(city.device.poll_message())
    await city.change(devices, devices.c.id == city.device.id, seen_ms=NOW_MS, report=report)
    yesterday = NOW_MS - 24 * 3_600_000
    granted = {"direction": "in", "decision": "granted", "reason": "ok"}
    journal = Journal(city.device)
    journal.add(Kind.TAP, personal(who[ids[0]]), **granted)
    journal.add(Kind.PASSAGE, detail=encode(PassageDetail(1, "taken")))
    journal.add(Kind.TAP, personal(who[ids[1]]), **granted)
    journal.add(Kind.TAP, personal(who[ids[2]]), **granted, at_ms=yesterday)
    journal.add(Kind.ADMIT, detail=encode(AdmitDetail("lin", "a visitor")), **granted)
    other = Journal(silent)
    other.add(Kind.TAP, personal(who[ids[2]]), **granted)
    custodian = Custodian(database, keys, DeviceKeys(database))
    for body in (journal.upload(), other.upload()):
        await custodian.take(body, NOW_MS)
    found = await admin.act("inside", venue="main")
    told = {(one.member, one.name, one.gate, one.how, one.by) for one in found.people}
    assert told == {
        (references[ids[0]], "王○明", "door-1", "taken", ""),
        (references[ids[1]], "", "door-1", "pending", ""),
        (references[ids[2]], "", "kiosk-1", "not-seen", ""),
        ("", "", "door-1", "pending", "lin"),
    }
    assert (found.certain, found.doubtful, found.behind) == (2, 2, ["kiosk-1"])
    assert found.from_ms == counted_from_ms(NOW_MS, ZoneInfo("Asia/Taipei")) < NOW_MS
    admin.now_ms = NOW_MS + 24 * 3_600_000
    assert (await admin.act("inside", venue="main")).people == []


async def test_what_is_not_believed_or_was_destroyed_counts_nowhere(
    admin: Admin, city: City, database: Any, keys: Any
) -> None:
    (member,) = await city.add_members(1)
    subject = next(row.subject for row in await city.rows(subjects) if row.member == member)
    granted = {"direction": "in", "decision": "granted", "reason": "ok"}
    journal = Journal(city.device)
    journal.add(Kind.TAP, personal(subject), **granted)
    journal.add(Kind.UNDO, detail=b"\xc1")
    journal.add(Kind.PASSAGE, detail=b"\x93\x01")
    journal.add(Kind.ADMIT, detail=b"", **granted)
    await Custodian(database, keys, DeviceKeys(database)).take(journal.upload(), NOW_MS)
    found = await admin.act("inside", venue="main")
    assert {(one.how, bool(one.member)) for one in found.people} == {("not-seen", True), ("not-seen", False)}
    await city.change(events, events.c.kind == "tap", personal=None)
    assert [one.member for one in (await admin.act("inside", venue="main")).people] == [""]
    await city.change(events, events.c.kind == "admit", outcome="untrusted")
    assert (await admin.act("inside", venue="main")).people == []


async def test_a_venue_that_is_not_there_is_said_so(admin: Admin, city: City) -> None:
    with pytest.raises(ActionFailed, match="there is no venue 'nowhere'"):
        await admin.act("inside", venue="nowhere")
    assert msgspec.to_builtins(await admin.act("inside", venue="main"))["people"] == []


@pytest.mark.parametrize(
    ("zone", "at_ms", "from_ms"),
    [
        ("Asia/Taipei", 1_790_000_000_000, 1_789_920_000_000),
        ("UTC", 10 * 86_400_000 + 3_600_000, 10 * 86_400_000 - 5 * 3_600_000),  # an hour past midnight
        ("America/New_York", 1_772_989_200_000, 1_772_946_000_000),  # noon of the day on which summer time began
    ],
)
def test_the_venues_own_day_is_counted_and_never_less_than_six_hours(zone: str, at_ms: int, from_ms: int) -> None:
    assert counted_from_ms(at_ms, ZoneInfo(zone)) == from_ms
