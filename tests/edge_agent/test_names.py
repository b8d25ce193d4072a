"""Masked names are held by a gate whose screen shows them, by no other, and for no longer."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from edge_agent import sync
from edge_agent.journal.verify import verify
from edge_agent.published import masked_names
from edge_agent.published.masked_names import MaskedNames
from protocol.envelope import Signer
from protocol.errors import Failure
from protocol.messages import GateConfig, MaskedName, Names, PartName, Poll, ScreenConfig, encode
from tests.support.central_side import DEVICE, DOMAIN, GATE, CentralSide, subject
from tests.support.edge_side import Edge

NAMES = Names(DOMAIN, 1, tuple(MaskedName(subject(number), f"王○{number}") for number in range(5)))
SHOWS = GateConfig(2, GATE, "door", screen=ScreenConfig(names=True))


@pytest.fixture
def showing(stocked: Edge) -> Edge:
    """Its screen shows names, and it has them."""
    stocked.central.config, stocked.central.names = SHOWS, NAMES
    stocked.central.publish()
    poll(stocked)
    stocked.prove()
    assert not stocked.uptake.troubles
    return stocked


def poll(edge: Edge) -> list[bytes]:
    holding, uptake = edge.gate.holding, edge.uptake
    number = holding.manifest.number if holding.manifest else 0
    troubles = tuple(uptake.troubles.values())
    said = edge.central.answer(Poll(DEVICE, bytes(16), 0, number, 1, holding.parts(), troubles, 0, 0, "t", ()))
    edge.take(*said)
    return said


def shown(edge: Edge, number: int) -> str | None:
    return edge.gate.holding.names.get(subject(number))


def files(edge: Edge) -> list[str]:
    return sorted(path.name for path in edge.directory.glob("names-*"))


def test_names_come_with_the_configuration_that_shows_them_and_stay_over_a_restart(showing: Edge) -> None:
    assert shown(showing, 3) == "王○3"
    assert shown(showing, 77) is None
    assert showing.gate.holding.is_current(PartName.NAMES)
    showing.reopen()
    assert shown(showing, 3) == "王○3"
    assert poll(showing) == [showing.central.fresh()]
    assert (showing.directory / "names-1").stat().st_mode & 0o077 == 0
    assert verify(showing.directory) == []


def test_who_agrees_no_more_is_gone_with_the_next_version(showing: Edge) -> None:
    showing.central.names = Names(DOMAIN, 2, NAMES.names[:2])
    showing.central.publish()
    poll(showing)
    assert (shown(showing, 1), shown(showing, 3)) == ("王○1", None)
    assert files(showing) == ["names-2"]
    assert nowhere(showing, "王○3")


def nowhere(edge: Edge, name: str) -> bool:
    """On no file of the agent's."""
    return all(name.encode() not in path.read_bytes() for path in edge.directory.rglob("*") if path.is_file())


def test_a_gate_without_a_screen_does_not_even_decode_them(stocked: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    central = stocked.central
    central.names = NAMES
    central.publish()
    real, decoded = sync.decode, []
    monkeypatch.setattr(sync, "decode", lambda kind, data: (decoded.append(kind), real(kind, data))[1])
    poll(stocked)
    assert Names not in decoded
    assert not stocked.gate.holding.names
    assert "shows no names" in stocked.uptake.troubles["names"].why
    assert stocked.uptake.troubles["names"].version == 1
    assert poll(stocked) == [central.fresh()], "central does not send them again"
    assert files(stocked) == []


def hide(central: CentralSide) -> None:
    central.config = msgspec.structs.replace(SHOWS, version=3, screen=ScreenConfig())


def withdraw(central: CentralSide) -> None:
    central.names = None


@pytest.mark.parametrize("change", [hide, withdraw])
def test_names_go_when_they_are_shown_no_more(showing: Edge, change: Callable[[CentralSide], None]) -> None:
    change(showing.central)
    showing.central.publish()
    poll(showing)
    assert len(showing.gate.holding.names) == 0
    assert files(showing) == []
    assert nowhere(showing, "王○3")
    showing.reopen()
    assert len(showing.gate.holding.names) == 0


def test_names_come_back_when_they_are_shown_again(showing: Edge) -> None:
    hide(showing.central)
    showing.central.publish()
    poll(showing)
    poll(showing)
    showing.central.config = msgspec.structs.replace(SHOWS, version=4)
    showing.central.publish()
    poll(showing)
    poll(showing)  # the first one still said that they are of no use
    assert shown(showing, 3) == "王○3"
    assert not showing.uptake.troubles


def test_revocation_destroys_names(showing: Edge) -> None:
    showing.uptake.destroy()
    assert len(showing.gate.holding.names) == 0
    assert files(showing) == []
    assert nowhere(showing, "王○3")
    showing.take(showing.central.seal(showing.central.manifest), showing.central.seal(NAMES))
    assert files(showing) == []


REFUSED: dict[str, tuple[Failure, Callable[[CentralSide], bytes]]] = {
    "of another domain": (Failure.OTHER_DOMAIN, lambda c: c.seal(msgspec.structs.replace(c.names, domain="pools"))),
    "with other rows": (Failure.WRONG_DIGEST, lambda c: c.seal(Names(DOMAIN, 2, NAMES.names[1:]))),
    "of another version": (Failure.WRONG_BASE, lambda c: c.seal(msgspec.structs.replace(c.names, version=9))),
    "by a stranger": (Failure.UNKNOWN_KEY, lambda c: Signer.generate().seal(c.names)),
    "by the receipt key": (Failure.WRONG_ROLE, lambda c: c.receipts.seal(c.names)),
    "cut short": (Failure.MALFORMED, lambda c: c.publisher.seal_payload(Names.TYPE, encode(c.names)[:-1])),
}


@pytest.mark.parametrize("case", REFUSED)
def test_names_that_must_be_refused_leave_those_that_are_shown(showing: Edge, case: str) -> None:
    kind, make = REFUSED[case]
    central = showing.central
    central.names = Names(DOMAIN, 2, NAMES.names[:1])
    central.publish()
    showing.take(central.seal(central.manifest), make(central))
    assert str(kind) in showing.uptake.troubles["names"].why
    assert shown(showing, 3) == "王○3"
    assert files(showing) == ["names-1"]


def test_names_never_go_back(showing: Edge) -> None:
    showing.central.names = Names(DOMAIN, 0, ())
    showing.central.publish()
    poll(showing)
    assert "not-newer" in showing.uptake.troubles["names"].why
    assert shown(showing, 3) == "王○3"


def test_a_file_from_before_is_not_put_to_use_in_place_of_a_newer_one(showing: Edge) -> None:
    older = (showing.directory / "names-1").read_bytes()
    showing.central.names = Names(DOMAIN, 2, ())
    showing.central.publish()
    poll(showing)
    showing.close()
    (showing.directory / "names-2").write_bytes(older)
    assert any("names-2: it is not version 2" in line for line in verify(showing.directory))
    showing.open()
    assert len(showing.gate.holding.names) == 0
    assert len(poll(showing)) == 2, "they are fetched again"
    assert verify(showing.directory) == []


@pytest.mark.parametrize("harm", [lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:-9])])
def test_a_lost_or_damaged_file_is_fetched_again(showing: Edge, harm: Callable[[Path], None]) -> None:
    showing.close()
    harm(showing.directory / "names-1")
    showing.open()
    assert len(showing.gate.holding.names) == 0
    assert showing.tap(1).outcome == "granted"
    poll(showing)
    assert shown(showing, 3) == "王○3"
    assert verify(showing.directory) == []


@pytest.mark.parametrize("left", ["names-1.new", "names-7", "names-7.new"])
def test_what_a_kill_left_half_written_goes_at_the_next_start(showing: Edge, left: str) -> None:
    showing.crash()
    (showing.directory / left).write_bytes("王○77".encode())
    showing.open()
    assert files(showing) == ["names-1"]
    assert shown(showing, 3) == "王○3"


def test_a_disk_without_room_for_names_keeps_the_gate_open(showing: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(masked_names, "replace_file", full)
    showing.central.names = Names(DOMAIN, 2, ())
    showing.central.publish()
    poll(showing)
    assert "cannot be stored" in showing.uptake.troubles["names"].why
    assert shown(showing, 3) == "王○3"
    assert showing.tap(1).outcome == "granted"


# --- in memory ------------------------------------------------------------------------------------------------


def test_names_are_found_by_subject_whatever_their_order() -> None:
    rows = tuple(MaskedName(subject(number), f"{'林' * (number % 7 + 1)}○{number}") for number in range(300))
    names = MaskedNames(Names(DOMAIN, 1, rows))
    assert dict(names) == {row.subject: row.name for row in rows}
    assert len(names) == 300
    for missing in (subject(301), bytes(16), b"\xff" * 16, b"", subject(3)[:15]):
        assert missing not in names
    assert len(MaskedNames(Names(DOMAIN, 1, ()))) == 0
    assert MaskedNames(Names(DOMAIN, 1, ())).get(bytes(16)) is None


def test_names_do_not_stand_in_a_log() -> None:
    assert "王" not in repr(MaskedNames(NAMES))


def test_a_hundred_thousand_names_are_small() -> None:
    names = Names(DOMAIN, 1, tuple(MaskedName(subject(number), "歐陽○○") for number in range(100_000)))
    tracemalloc.start()
    try:
        held = MaskedNames(names)
        size, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(held) == 100_000
    assert size < 8 * 1024**2
    assert peak < 32 * 1024**2
