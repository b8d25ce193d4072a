"""`doctor` on the agent itself: what it says, what lies on its disk, and a real server at the other end of its line."""

import asyncio
import os
import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge_agent import identity as identity_file
from edge_agent.checks import Result
from edge_agent.doctor import examine
from edge_agent.files import checked
from protocol.envelope import Signer
from protocol.messages import Key, Role
from tests.edge_agent.gate_machine import DATA, GateMachine
from tests.faults.test_disk_full import fill, small_disk
from tests.support.central_side import DAY_MS, CentralSide, serving
from tests.support.certificates import server_context
from tests.support.edge_side import Edge

OK, WARN, FAIL = Result.OK, Result.WARN, Result.FAIL
NOT_APPLICABLE, NOT_KNOWN = Result.NOT_APPLICABLE, Result.NOT_KNOWN


# --- the agent's own word -----------------------------------------------------------------------------------------

RUNNING = {
    "device": "d",
    "allowlist_version": 3,
    "allowlist_rows": 5,
    "allowlist_age_s": 10,
    "clock": "trusted",
    "central_reachable": True,
    "poll_age_s": 3,
    "receipt_age_s": None,
    "backlog": 0,
    "journal_writable": True,
    "journal_reserve_spent": False,
    "troubles": [],
    "readers": [{"name": "front", "kind": "pcsc", "state": "ready", "why": ""}],
}


@pytest.mark.parametrize(
    ("id_", "change", "result"),
    [
        ("agent-running", {}, OK),
        ("clock", {}, OK),
        ("clock", {"clock": "unconfirmed"}, WARN),
        ("clock", {"clock": "ahead"}, FAIL),
        ("clock", {"clock": "behind"}, FAIL),
        ("journal-writable", {}, OK),
        ("journal-writable", {"journal_writable": False}, FAIL),
        ("journal-writable", {"journal_reserve_spent": True}, WARN),
        ("published-parts", {}, OK),
        ("published-parts", {"troubles": ["policy 3: malformed"]}, WARN),
        ("reader", {}, OK),
        ("reader", {"readers": [{"name": "front", "kind": "pcsc", "state": "absent", "why": "unplugged"}]}, FAIL),
        ("reader", {"readers": [{"name": "front", "kind": "pcsc", "state": "wedged", "why": ""}]}, FAIL),
        ("reader", {"readers": [{"name": "front", "kind": "pcsc", "state": "recovering", "why": ""}]}, WARN),
    ],
)
def test_what_the_running_agent_says_of_itself_is_judged(
    gate: GateMachine, id_: str, change: dict[str, object], result: Result
) -> None:
    gate.status = RUNNING | change
    assert gate.result(id_) is result, gate.look(id_)


# --- on its disk --------------------------------------------------------------------------------------------------


def lived(gate: GateMachine, central: CentralSide, taps: int = 3) -> None:
    """The agent has run here: it holds a list and a journal, and was stopped."""
    central.publish()
    with Edge(gate.at(DATA), central) as edge:
        edge.take_all()
        for number in range(taps):
            edge.tap(number)


def journal(gate: GateMachine, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(gate.at(f"{DATA}/agent.db"))) as db, db:
        db.execute(statement, values)


def test_an_agent_that_lived_well_is_found_well(gate: GateMachine, central: CentralSide) -> None:
    lived(gate, central)
    for id_ in ("enrolled", "list-age", "journal-whole", "journal-set-aside", "key-file", "data-directory"):
        assert gate.result(id_) is OK, gate.look(id_)


@pytest.mark.parametrize(("days", "result"), [(0, OK), (2, WARN), (8, FAIL), (31, FAIL)])
def test_a_list_is_judged_by_the_three_ages(gate: GateMachine, central: CentralSide, days: int, result: Result) -> None:
    lived(gate, central)
    confirmed_ms = central.now_ms - days * DAY_MS
    journal(
        gate,
        "UPDATE facts SET value = ? WHERE name = 'confirmed_ms'",
        checked(b"confirmed_ms", confirmed_ms.to_bytes(8)),
    )
    (verdict,) = gate.look("list-age")
    assert verdict.result is result
    assert verdict.mend or result is OK


@pytest.mark.skipif(os.geteuid() != 0, reason="root becomes somebody else here")
def test_what_only_root_may_look_at_is_not_known_to_others(gate: GateMachine, central: CentralSide) -> None:
    lived(gate, central)
    gate.root.chmod(0o755)
    os.seteuid(65534)
    try:
        found = {finding.check.id: finding.verdict for finding in examine(gate.subject())}
    finally:
        os.seteuid(0)
    hidden = "data-directory key-file enrolled list-age central certificate key-statement contact disk journal-whole"
    for id_ in (*hidden.split(), "journal-set-aside"):
        assert found[id_].result is NOT_KNOWN, id_
        assert found[id_].mend == ("sudo tapgate-edge doctor",), id_
    assert found["settings-file"].result is OK


def test_a_device_without_a_list_is_found(gate: GateMachine, central: CentralSide) -> None:
    with Edge(gate.at(DATA), central):
        pass
    assert gate.result("list-age") is FAIL


def test_a_device_that_waits_to_be_confirmed_is_found(gate: GateMachine, central: CentralSide) -> None:
    lived(gate, central)
    gate.status = RUNNING | {"troubles": ["waiting for an operator to confirm this device"]}
    (verdict,) = gate.look("enrolled")
    assert verdict.result is FAIL
    assert "tapgate-central device confirm device-1 --words WORDS" in verdict.mend
    assert gate.result("published-parts") is OK


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE events SET public = x'00' WHERE id = (SELECT max(id) FROM events)",
        "DELETE FROM events WHERE id = (SELECT max(id) - 1 FROM events)",
        "DELETE FROM events WHERE id = (SELECT max(id) FROM events)",
    ],
    ids=["flipped", "hole", "tail"],
)
def test_a_journal_that_is_not_whole_is_found(gate: GateMachine, central: CentralSide, damage: str) -> None:
    lived(gate, central)
    journal(gate, damage)
    (verdict,) = gate.look("journal-whole")
    assert verdict.result is FAIL
    assert "sudo tapgate-edge journal verify" in verdict.mend[0]


def test_only_the_newest_events_are_looked_at(
    gate: GateMachine, central: CentralSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    lived(gate, central, taps=9)
    journal(gate, "UPDATE events SET public = x'00' WHERE id = (SELECT max(id) - 5 FROM events)")
    assert gate.result("journal-whole") is FAIL
    monkeypatch.setattr("edge_agent.checks.journal.RECENT", 3)
    assert gate.result("journal-whole") is OK


def test_a_garbage_database_is_found(gate: GateMachine, central: CentralSide) -> None:
    lived(gate, central)
    gate.at(f"{DATA}/agent.db").write_bytes(b"x" * 9_000)
    assert gate.result("journal-whole") is FAIL
    assert gate.result("list-age") is NOT_KNOWN


def test_a_store_that_waits_to_be_read_out_is_found(gate: GateMachine, central: CentralSide) -> None:
    lived(gate, central)
    gate.write(f"{DATA}/damaged-20310101T000000/why.txt", "torn")
    (verdict,) = gate.look("journal-set-aside")
    assert verdict.result is WARN
    assert "damaged-20310101T000000" in verdict.seen.en


@pytest.mark.system
def test_a_real_disk_that_fills_is_told_before_and_when_it_is_full(gate: GateMachine) -> None:
    limits = "[journal]\nmax_mib = 16\nprune_above_mib = 8\nreserve_mib = 1\n"
    gate.configure(limits, data="/small/data")
    with small_disk(gate.at("/small"), 24) as disk:
        (disk / "data").mkdir(mode=0o700)
        assert gate.result("disk") is OK, gate.look("disk")
        (disk / "log").write_bytes(bytes(10 << 20))
        assert gate.result("disk") is WARN
        fill(disk)
        (verdict,) = gate.look("disk")
        assert verdict.result is FAIL
        assert "0 MiB free" in verdict.seen.en
        assert verdict.mend


# --- a real server ------------------------------------------------------------------------------------------------


def point(gate: GateMachine, url: str, **changes: Any) -> None:
    """Its central is there."""
    held = identity_file.load(gate.at(DATA))
    assert held is not None
    identity_file.save(gate.at(DATA), msgspec.structs.replace(held, url=url, **changes))


async def results(gate: GateMachine) -> tuple[Result, Result]:
    return tuple([await asyncio.to_thread(gate.result, id_) for id_ in ("central", "certificate")])  # type: ignore[return-value]


async def test_a_server_with_a_stated_certificate_is_found_well(
    gate: GateMachine, central: CentralSide, tmp_path: Path
) -> None:
    context, digest = server_context(tmp_path, days=(-800, -400))
    central.served = [Key(digest, (Role.SERVE,))]
    lived(gate, central)
    async with serving(central.app(), context) as url:
        point(gate, url)
        assert await results(gate) == (OK, OK)
        assert await asyncio.to_thread(gate.result, "key-statement") is OK


async def test_a_certificate_that_was_never_stated_is_found(
    gate: GateMachine, central: CentralSide, tmp_path: Path
) -> None:
    _, stated = server_context(tmp_path)
    other, _ = server_context(tmp_path, "other")
    central.served = [Key(stated, (Role.SERVE,))]
    lived(gate, central)
    async with serving(central.app(), other) as url:
        point(gate, url)
        assert await results(gate) == (OK, FAIL)
        (verdict,) = await asyncio.to_thread(gate.look, "certificate")
    assert verdict.mend[0].startswith("openssl s_client -connect 127.0.0.1:")


async def test_a_pin_that_has_ended_is_found(gate: GateMachine, central: CentralSide, tmp_path: Path) -> None:
    context, digest = server_context(tmp_path)
    central.served = [Key(digest, (Role.SERVE,), 0, central.now_ms - DAY_MS)]
    lived(gate, central)
    async with serving(central.app(), context) as url:
        point(gate, url)
        assert await results(gate) == (OK, FAIL)
    (verdict,) = await asyncio.to_thread(gate.look, "key-statement")
    assert verdict.result is FAIL
    assert "serve" in verdict.means.en


async def test_a_certificate_that_no_authority_vouches_for_is_found(
    gate: GateMachine, central: CentralSide, tmp_path: Path
) -> None:
    context, _ = server_context(tmp_path)
    lived(gate, central)
    async with serving(central.app(), context) as url:
        point(gate, url, pinned=False)
        assert await results(gate) == (FAIL, FAIL)


async def test_another_central_at_the_address_is_found(gate: GateMachine, central: CentralSide, tmp_path: Path) -> None:
    context, digest = server_context(tmp_path)
    lived(gate, central)
    other = CentralSide()
    other.root, other.served = Signer.generate(), [Key(digest, (Role.SERVE,))]
    async with serving(other.app(), context) as url:
        point(gate, url)
        assert await results(gate) == (FAIL, FAIL)


async def test_a_server_that_is_gone_is_found_and_its_certificate_not_known(
    gate: GateMachine, central: CentralSide
) -> None:
    lived(gate, central)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        point(gate, f"https://127.0.0.1:{taken.getsockname()[1]}")
        assert await results(gate) == (FAIL, NOT_KNOWN)
        point(gate, f"http://127.0.0.1:{taken.getsockname()[1]}")
        assert await results(gate) == (FAIL, NOT_APPLICABLE)


async def test_a_server_that_keeps_silent_does_not_hold_the_doctor_up(
    gate: GateMachine, central: CentralSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.checks.central.HELLO_S", 0.3)
    lived(gate, central)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        point(gate, f"https://127.0.0.1:{silent.getsockname()[1]}")
        assert await results(gate) == (FAIL, NOT_KNOWN)


def test_keys_that_end_soon_are_told_before(gate: GateMachine, central: CentralSide) -> None:
    central.served = [Key(bytes(32), (Role.SERVE,), 0, central.now_ms + 10 * DAY_MS)]
    lived(gate, central)
    assert gate.result("key-statement") is WARN


def test_before_enrolment_nothing_is_asked_of_central(gate: GateMachine) -> None:
    for id_ in ("central", "certificate", "key-statement", "contact"):
        assert gate.result(id_) is NOT_APPLICABLE


@pytest.mark.parametrize(
    ("status", "result"), [(None, NOT_KNOWN), ({}, OK), ({"central_reachable": False, "backlog": 7}, FAIL)]
)
def test_the_agents_contact_with_central_is_its_own_word(
    gate: GateMachine, central: CentralSide, status: dict[str, Any] | None, result: Result
) -> None:
    lived(gate, central)
    gate.status = None if status is None else RUNNING | status
    assert gate.result("contact") is result
