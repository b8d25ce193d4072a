"""Whom central erased: nothing of them stays in a gate's files, and what is delivered already is what was signed."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from edge_agent.journal.outbox import next_run, next_run_after
from edge_agent.journal.verify import verify
from edge_agent.published import forgetting, lists
from edge_agent.published.forgetting import FACT
from edge_agent.sync import UNDERSTANDS
from protocol.envelope import Signer
from protocol.erasure import Forget
from protocol.messages import Part, PartName
from protocol.token import token
from protocol.uid import CardUID
from tests.edge_agent.looking_back import looking_back
from tests.edge_agent.test_outbox import deliver_all
from tests.support.central_side import DEVICE, subject, uid
from tests.support.edge_side import Edge

VERSION = 1_795_399_200_000


def told(edge: Edge, *numbers: int, version: int = VERSION, **changes: Any) -> bytes:
    fields = {"device": DEVICE, "at_ms": version, **changes}
    word = Forget(fields["device"], version, fields["at_ms"], tuple(subject(number) for number in numbers))
    return edge.central.seal(word)


def files_that_hold(directory: Path, needle: bytes) -> list[str]:
    return sorted(path.name for path in directory.rglob("*") if path.is_file() and needle in path.read_bytes())


def without(edge: Edge, number: int) -> None:
    """Central takes a card off the list, and the gate takes up the delta."""
    gone = token(edge.central.domain_key(), CardUID(uid(number)))
    edge.central.set_list({made: row for made, row in edge.central.rows.items() if made != gone})
    edge.central.publish()
    edge.poll()


def parts_left(edge: Edge) -> int:
    query = "SELECT count(*) FROM events WHERE personal IS NOT NULL"
    return int(edge.store.connection.execute(query).fetchone()[0])


@pytest.fixture(autouse=True)
def no_tap_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that nobody has to wait for it."""
    monkeypatch.setattr(forgetting, "TAP_S", 0.0)


@pytest.fixture
def lived(edge: Edge) -> Edge:
    """Two members came and went, and the gate looks back."""
    edge.central.policy = looking_back()
    edge.central.publish()
    edge.take_all()
    for number in (1, 2, 1):
        edge.tap(number)
        edge.clock.advance(60_000)
    return edge


def test_it_says_that_it_understands() -> None:
    assert Forget.TYPE in UNDERSTANDS


def test_nothing_of_who_was_erased_stays_in_any_file(lived: Edge) -> None:
    deliver_all(lived)
    assert files_that_hold(lived.directory, subject(1)), "or the search finds nothing because it cannot"
    without(lived, 1)
    lived.take(lived.central.fresh(), told(lived, 1))
    assert files_that_hold(lived.directory, subject(1)) == []
    assert files_that_hold(lived.directory, subject(2)), "of others nothing is lost"
    assert parts_left(lived) == 1
    assert verify(lived.directory) == []
    allowlist = lived.gate.holding.allowlist
    assert allowlist is not None
    assert lists.verify(allowlist.path) == []
    assert lived.tap(1).reason == "unknown-card"
    assert lived.tap(2).outcome in ("granted", "denied")


def test_what_somebody_reads_meanwhile_is_written_over_once_they_are_done(lived: Edge) -> None:
    deliver_all(lived)
    without(lived, 1)
    with closing(sqlite3.connect(lived.store.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM events").fetchone()
        lived.take(lived.central.fresh(), told(lived, 1))
        assert files_that_hold(lived.directory, subject(1)), "or nobody reads anything"
    lived.uptake.forget_erased()
    assert files_that_hold(lived.directory, subject(1)) == []


def test_what_is_not_delivered_yet_is_delivered_whole_and_destroyed_then(lived: Edge) -> None:
    without(lived, 1)
    lived.take(lived.central.fresh(), told(lived, 1))
    assert parts_left(lived) == 3
    lived.reopen()
    run = next_run(lived.store)
    assert run is not None
    assert sum(subject(1) in part for part in run.personals) == 2
    deliver_all(lived)
    lived.uptake.forget_erased()
    assert parts_left(lived) == 1
    assert files_that_hold(lived.directory, subject(1)) == []
    writes = lived.store.connection.total_changes
    lived.uptake.forget_erased()
    assert lived.store.connection.total_changes == writes, "an idle agent writes nothing"


def test_what_is_sent_again_is_the_same_batch_without_the_personal_parts(lived: Edge) -> None:
    before = next_run(lived.store)
    deliver_all(lived)
    lived.take(lived.central.fresh(), told(lived, 1))
    again = next_run_after(lived.store, None, everything=True)
    assert before is not None
    assert again is not None
    assert again.publics[: len(before.publics)] == before.publics
    assert again.head == before.head
    assert sum(1 for part in again.personals if part) == 1


def test_the_poll_names_it_and_it_is_known_after_a_restart(lived: Edge) -> None:
    lived.take(lived.central.fresh(), told(lived, 1))
    part = Part(PartName.FORGET, VERSION, bytes(32))
    assert part in lived.uptake.held_parts()
    lived.reopen()
    assert part in lived.uptake.held_parts()


BAD = ("another device's", "an older one", "the same again", "signed by nobody we know", "signed by the receipt key")


@pytest.mark.parametrize("bad", BAD)
def test_what_is_refused_destroys_nothing_and_is_said(lived: Edge, bad: str) -> None:
    deliver_all(lived)
    lived.take(lived.central.fresh(), told(lived, 4))
    before = parts_left(lived)
    word = Forget(DEVICE, VERSION + 1, 1, (subject(1),))
    envelope = {
        "another device's": lambda: told(lived, 1, version=VERSION + 1, device="device-2"),
        "an older one": lambda: told(lived, 1, version=VERSION - 1),
        "the same again": lambda: told(lived, 1),
        "signed by nobody we know": lambda: Signer.generate().seal(word),
        "signed by the receipt key": lambda: lived.central.receipts.seal(word),
    }[bad]()
    lived.take(lived.central.fresh(), envelope)
    assert parts_left(lived) == before
    assert PartName.FORGET in lived.uptake.troubles
    assert lived.store.fact(FACT) is not None


def test_a_tap_that_was_looked_up_before_is_found_by_the_second_look(
    lived: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was on its way when the gate was told, and is written down after that."""
    deliver_all(lived)
    monkeypatch.setattr(forgetting, "TAP_S", 3_600.0)
    lived.take(lived.central.fresh(), told(lived, 1))
    assert lived.tap(1).outcome == "granted", "as if the list of before had been asked"
    deliver_all(lived)
    without(lived, 1)
    lived.uptake.forget_erased()
    assert files_that_hold(lived.directory, subject(1)), "it is still to be looked for"
    monkeypatch.setattr(forgetting, "TAP_S", 0.0)
    lived.uptake.forget_erased()
    assert files_that_hold(lived.directory, subject(1)) == []
