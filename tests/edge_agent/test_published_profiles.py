"""Published reader profiles: all of a version or none of it, and back to those before when a reader does not work."""

from collections.abc import Callable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from edge_agent.journal.verify import verify
from edge_agent.published.uptake import Uptake
from firmware_profiles import Profile
from protocol.errors import Failure
from protocol.messages import ConfigDetail, Kind, PartName, Poll, Profiles, decode
from tests.support.central_side import DEVICE, CentralSide
from tests.support.edge_side import Edge

GENERIC = resources.files("firmware_profiles").joinpath("generic-pcsc.toml").read_text("utf-8")


class Readers:
    """What the readers are told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, list[str]]] = []

    def wire(self, uptake: Uptake) -> None:
        self.told = []
        uptake.on_profiles = self.use

    def use(self, profiles: Mapping[str, Profile], version: int) -> None:
        self.told.append((version, sorted(profiles)))


@pytest.fixture
def readers() -> Readers:
    return Readers()


@pytest.fixture
def edge(tmp_path: Path, central: CentralSide, readers: Readers) -> Iterator[Edge]:
    """Published profiles 1 are in use."""
    central.profiles = Profiles(1, {"generic-pcsc": GENERIC})
    central.publish()
    with Edge(tmp_path / "edge", central, wire=readers.wire) as made:
        made.take_all()
        made.prove()
        assert not made.uptake.troubles
        yield made


def publish(edge: Edge, version: int, profiles: dict[str, str]) -> None:
    edge.central.profiles = Profiles(version, profiles)
    edge.central.publish()
    poll(edge)


def poll(edge: Edge) -> list[bytes]:
    holding, uptake = edge.gate.holding, edge.uptake
    number = holding.manifest.number if holding.manifest else 0
    troubles = tuple(uptake.troubles.values())
    said = edge.central.answer(Poll(DEVICE, bytes(16), 0, number, 1, holding.parts(), troubles, 0, 0, "t", ()))
    edge.take(*said)
    return said


def kill(edge: Edge) -> None:
    edge.crash()
    edge.open()


def told(edge: Edge) -> list[tuple[str, int, str]]:
    details = [decode(ConfigDetail, event.detail) for event in edge.events() if event.kind == Kind.CONFIG]
    return [(detail.what, detail.version, detail.why) for detail in details if detail.part == "profiles"]


def test_readers_are_told_of_published_profiles_at_once_and_at_each_start(edge: Edge, readers: Readers) -> None:
    assert readers.told == [(1, ["generic-pcsc"])]
    assert edge.uptake.published[1] == 1
    assert edge.gate.holding.is_current(PartName.PROFILES)
    kill(edge)
    assert readers.told == [(1, ["generic-pcsc"])]
    publish(edge, 2, {})
    assert readers.told[-1] == (2, [])
    edge.prove()
    assert told(edge) == [("in-use", 1, ""), ("in-use", 2, "")]
    assert verify(edge.directory) == []


BAD: dict[str, dict[str, str]] = {
    "no TOML": {"generic-pcsc": "name = "},
    "another name in it": {"acr122u": GENERIC},
    "a key that does not exist": {"generic-pcsc": GENERIC + "\ncolour = 'red'\n"},
    "one bad among good": {"generic-pcsc": GENERIC, "x": "name = 'x'"},
    "no text at all": {"generic-pcsc": ""},
}


@pytest.mark.parametrize("case", BAD)
def test_one_bad_profile_refuses_all_and_the_last_good_version_stays(edge: Edge, readers: Readers, case: str) -> None:
    publish(edge, 2, BAD[case])
    assert str(Failure.MALFORMED) in edge.uptake.troubles["profiles"].why
    assert ".toml" in edge.uptake.troubles["profiles"].why
    assert readers.told == [(1, ["generic-pcsc"])]
    assert edge.uptake.published[1] == 1
    assert poll(edge) == [edge.central.fresh()]
    kill(edge)
    assert readers.told == [(1, ["generic-pcsc"])]
    publish(edge, 3, {"generic-pcsc": GENERIC})
    assert readers.told[-1][0] == 3
    assert not edge.uptake.troubles


WRONG: dict[str, tuple[Failure, Callable[[CentralSide], Any]]] = {
    "other bytes": (Failure.WRONG_DIGEST, lambda c: Profiles(2, {"generic-pcsc": GENERIC + "\n"})),
    "another version": (Failure.WRONG_BASE, lambda c: Profiles(3, {})),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_the_manifest_does_not_name_is_refused(edge: Edge, readers: Readers, case: str) -> None:
    kind, make = WRONG[case]
    central = edge.central
    central.profiles = Profiles(2, {})
    central.publish()
    edge.take(central.seal(central.manifest), central.seal(make(central)))
    assert str(kind) in edge.uptake.troubles["profiles"].why
    assert len(readers.told) == 1


def test_profiles_never_go_back(edge: Edge) -> None:
    publish(edge, 5, {})
    publish(edge, 4, {"generic-pcsc": GENERIC})
    assert "not-newer" in edge.uptake.troubles["profiles"].why
    assert edge.uptake.published[1] == 5


def test_profiles_that_a_reader_does_not_work_with_are_given_up_for_those_before(edge: Edge, readers: Readers) -> None:
    publish(edge, 2, {})
    edge.prove()
    edge.uptake.give_up_profiles(2, "front: not ready within 15 s")
    assert readers.told[-1] == (1, ["generic-pcsc"])
    assert edge.uptake.troubles["profiles"].version == 2
    assert "front: not ready" in edge.uptake.troubles["profiles"].why
    assert poll(edge) == [edge.central.fresh()], "what was given up is not sent again"
    edge.uptake.give_up_profiles(2, "again")
    edge.prove()
    assert told(edge)[2:] == [("went-back", 2, "front: not ready within 15 s")]
    for _ in range(3):
        kill(edge)
        assert readers.told == [(1, ["generic-pcsc"])]
        assert edge.uptake.troubles["profiles"].version == 2
    edge.prove()
    assert len(told(edge)) == 3
    publish(edge, 3, {})
    assert readers.told[-1] == (3, [])
    edge.uptake.give_up_profiles(3, "front: not ready within 15 s")
    assert readers.told[-1] == (1, ["generic-pcsc"]), "those that were given up are nothing to go back to"
    assert verify(edge.directory) == []


def test_without_any_before_them_the_shipped_ones_hold(edge: Edge, readers: Readers) -> None:
    edge.uptake.give_up_profiles(1, "front: not ready within 15 s")
    assert readers.told[-1] == (0, [])
    assert edge.gate.holding.part(PartName.PROFILES) is None
    assert poll(edge) == [edge.central.fresh()]
    kill(edge)
    assert readers.told == []
    assert edge.uptake.published == ({}, 0)


def test_nobody_gives_up_profiles_that_are_in_use_no_more(edge: Edge, readers: Readers) -> None:
    publish(edge, 2, {})
    edge.uptake.give_up_profiles(1, "said too late")
    assert edge.uptake.published[1] == 2
    assert not edge.uptake.troubles


def test_starts_prove_nothing_against_profiles(edge: Edge, readers: Readers) -> None:
    publish(edge, 2, {})
    for _ in range(4):
        kill(edge)
        assert readers.told == [(2, [])]


def test_profiles_that_a_newer_agent_cannot_read_any_more_are_left_out(
    edge: Edge, readers: Readers, monkeypatch: pytest.MonkeyPatch
) -> None:
    from firmware_profiles import ProfileError

    def stricter(texts: Mapping[str, str]) -> dict[str, Profile]:
        raise ProfileError("generic-pcsc.toml: there is a key missing now")

    monkeypatch.setattr("edge_agent.published.settings_uptake.parse_published", stricter)
    kill(edge)
    assert readers.told == []
    assert "missing now" in edge.uptake.troubles["profiles"].why
    assert edge.tap(1).outcome == "granted"
