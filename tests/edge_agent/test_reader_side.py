"""The readers of an agent with its real gate, journal and uptake; the readers themselves do as they are told."""

import os
from collections.abc import Iterator, Mapping
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from edge_agent import reader_side
from edge_agent.config import load
from edge_agent.published.uptake import Uptake
from edge_agent.reader_side import ReaderSide
from edge_agent.readers import Answer, ReaderFacts, supervisor
from edge_agent.readers.recovery import PowerSwitch
from firmware_profiles import ProfileBook, load_folder
from protocol.messages import ConfigDetail, Kind, PartName, Profiles, ReaderDetail, decode
from tests.support.central_side import CentralSide, uid
from tests.support.edge_side import Edge
from tests.support.reader_bench import QUICK
from tests.support.reader_double import ReaderDouble, until

ACR122U = resources.files("firmware_profiles").joinpath("acr122u.toml").read_text("utf-8")
SETTINGS = """
data_dir = "edge"
profiles_dir = "profiles"
[[readers]]
name = "front"
kind = "pcsc"
power = "reader-power"
power_off_s = 0.5
[[readers]]
name = "back"
kind = "nfc"
profile = "no-such-profile"
[outputs.reader-power]
kind = "dry"
"""


class Doubles:
    """In the place of the readers that the settings name."""

    def __init__(self) -> None:
        self.made: dict[str, ReaderDouble] = {}

    def make(self, settings: Any, book: ProfileBook) -> ReaderDouble:
        made = ReaderDouble(settings.name)
        made.books.append(book)
        made.known = facts_under(book)
        made.on_profiles = lambda book: setattr(made, "known", facts_under(book))
        self.made[settings.name] = made
        return made


def facts_under(book: ProfileBook) -> ReaderFacts:
    matched = book.match("ACS ACR122U PICC Interface 00 00", "072F:2200")
    return ReaderFacts("ACS ACR122U PICC Interface 00 00", matched.label, matched.why, "ACR122U215")


class Power:
    """An output that a reader hangs on."""

    def __init__(self) -> None:
        self.cycles: list[float] = []

    def cycle(self, off_s: float) -> None:
        self.cycles.append(off_s)


class Side:
    """A gate whose readers can be begun."""

    def __init__(self, folder: Path, central: CentralSide) -> None:
        self.folder, self.doubles, self.power = folder, Doubles(), Power()
        (folder / "edge.toml").write_text(SETTINGS)
        (folder / "profiles").mkdir()
        self.edge = Edge(folder / "edge", central, wire=self.wire)

    def wire(self, uptake: Uptake) -> None:
        self.uptake = uptake

    def begin(self) -> ReaderSide:
        switches: Mapping[str, PowerSwitch] = {"reader-power": self.power}
        self.readers = ReaderSide(load(self.folder / "edge.toml"), self.edge.gate, switches)
        self.uptake.on_profiles = self.readers.use_published
        self.readers.on_profiles_refused = self.uptake.give_up_profiles
        self.readers.start()
        for name in ("front", "back"):
            self.doubles.made[name].say("ready")
            self.until_state(name, "ready")
        return self.readers

    def until_state(self, name: str, state: str) -> None:
        until(lambda: [row["state"] for row in self.readers.status() if row["name"] == name] == [state])

    def details(self, kind: Kind, detail: type[Any]) -> list[Any]:
        return [decode(detail, event.detail) for event in self.edge.events() if event.kind == kind]

    def local(self, name: str, text: str) -> None:
        (self.folder / "profiles" / name).write_text(text)


@pytest.fixture
def side(tmp_path: Path, central: CentralSide, monkeypatch: pytest.MonkeyPatch) -> Iterator[Side]:
    made = Side(tmp_path, central)
    monkeypatch.setattr(supervisor, "TICK_S", 0.01)
    monkeypatch.setattr(supervisor, "Patience", lambda: QUICK)
    monkeypatch.setattr(reader_side, "make_reader", made.doubles.make)
    monkeypatch.setattr(reader_side, "load_folder", partial(load_folder, owner_uid=os.geteuid()))
    yield made
    made.readers.stop(2)
    made.edge.close()


def test_a_tap_is_on_disk_before_the_reader_shows_anything(side: Side) -> None:
    side.edge.take_all()
    side.begin()
    front = side.doubles.made["front"]
    front.tap(uid(1))
    front.tap(uid(99))
    until(lambda: len(front.answers) == 2)
    assert front.answers == [Answer.GRANTED, Answer.DENIED]
    taps = [event for event in side.edge.events() if event.kind == Kind.TAP]
    assert [tap.decision for tap in taps] == ["granted", "denied"]


def test_profile_and_firmware_stand_in_the_event_and_in_the_status(side: Side) -> None:
    side.begin()

    def told() -> list[tuple[str, str, str]]:
        details = side.details(Kind.READER, ReaderDetail)
        return [(each.state, each.profile, each.firmware) for each in details if each.reader == "front"]

    until(lambda: len(told()) == 2)
    assert told() == [("starting", "acr122u", "ACR122U215"), ("ready", "acr122u", "ACR122U215")]
    row = side.readers.status()[0]
    assert (row["profile"], row["matched_by"], row["firmware"]) == ("acr122u", "usb 072F:2200", "ACR122U215")


def test_a_local_profile_is_used_said_and_recorded(side: Side) -> None:
    side.local("acr122u.toml", ACR122U)
    side.begin()
    until(lambda: side.details(Kind.READER, ReaderDetail)[-1].profile == "acr122u (local)")
    assert side.readers.status()[0]["profile"] == "acr122u (local)"


def test_a_local_file_that_cannot_be_used_is_left_out_and_said(side: Side) -> None:
    side.local("acr122u.toml", ACR122U)
    side.local("acr1252u.toml", "pools = 3")
    side.begin()
    assert [line for line in side.readers.troubles() if "acr1252u.toml" in line]
    assert side.readers.status()[0]["profile"] == "acr122u (local)"


def test_a_profile_that_the_settings_name_and_nobody_has_is_said(side: Side) -> None:
    side.begin()
    said = "reader back: there is no profile 'no-such-profile'; the one that fits is used"
    assert side.readers.troubles() == [said]


def test_an_output_that_the_settings_name_cycles_the_power_of_its_reader(side: Side) -> None:
    side.begin()
    side.doubles.made["front"].say("wedged", "it hangs")
    until(side.readers.alarms)
    assert side.power.cycles[0] == 0.5
    assert any(
        "reader front: reopen, re-establish, power-cycle did not help" in line for line in side.readers.troubles()
    )
    until(lambda: side.details(Kind.READER, ReaderDetail)[-1].why.startswith("alarm: "))


def published(side: Side, version: int) -> Profiles:
    return Profiles(version, {"acr122u": ACR122U + f"\n# version {version}\n"})


def publish(side: Side, version: int) -> None:
    side.edge.central.profiles = published(side, version)
    side.edge.central.publish()
    side.edge.take()


def test_published_profiles_reach_every_reader(side: Side) -> None:
    side.begin()
    side.edge.take_all()
    publish(side, 1)
    until(lambda: side.readers.status()[0]["profile"] == "acr122u (published 1)")
    until(lambda: side.details(Kind.READER, ReaderDetail)[-1].profile == "acr122u (published 1)")


def test_published_profiles_that_a_reader_does_not_work_with_are_given_up(side: Side) -> None:
    side.begin()
    side.edge.take_all()
    publish(side, 1)
    until(lambda: side.readers._supervisor._fittings["front"].stage.name == "FITTING")
    front, back = side.doubles.made["front"], side.doubles.made["back"]

    def start_up(book: ProfileBook) -> None:
        front.known = facts_under(book)
        front.say(*(("wedged", "silence: 6300") if "published 2" in front.known.profile else ("ready",)))

    front.on_profiles = start_up
    publish(side, 2)
    until(lambda: PartName.PROFILES in side.uptake.troubles)
    side.until_state("front", "ready")
    side.edge.prove()
    assert "reader front: acr122u (published 2): the reader does not start" in side.uptake.troubles["profiles"].why
    went_back = [each for each in side.details(Kind.CONFIG, ConfigDetail) if each.what == "went-back"]
    assert [(each.part, each.version) for each in went_back] == [("profiles", 2)]
    assert front.known.profile == back.known.profile == "acr122u (published 1)"


def test_a_local_profile_that_a_reader_never_worked_with_is_given_up(side: Side) -> None:
    side.local("acr122u.toml", ACR122U)
    side.begin()
    front = side.doubles.made["front"]
    fitting = side.readers._supervisor._fittings["front"]
    until(lambda: fitting.stage.name == "FITTING")
    fitting.stage = type(fitting.stage).UNPROVEN  # as after a start at which the reader was never ready
    front.on_profiles = lambda book: (setattr(front, "known", facts_under(book)), front.say("ready"))
    front.say("wedged", "it hangs")
    until(lambda: front.known.profile == "acr122u")
    side.until_state("front", "ready")
    until(lambda: [line for line in side.readers.troubles() if "reader front: acr122u (local): " in line])
    (event,) = until(lambda: side.details(Kind.CONFIG, ConfigDetail))
    assert (event.part, event.what, event.version) == ("profiles", "went-back", 0)
