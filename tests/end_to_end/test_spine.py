"""The main job on real parts: a card on a reader, decided offline, written down, delivered, receipted; and back."""

import asyncio
import json
import ssl
import time
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from deploy.town import Gate
from edge_agent import identity as identity_file
from edge_agent.journal import outbox
from edge_agent.journal.store import Store
from protocol.messages import Upload, encode
from tests.edge_agent.readers.conftest import Desk
from tests.end_to_end.quick_town import (
    ALICE,
    CHEN,
    DESK,
    DOOR,
    SEVEN,
    STRANGER,
    Places,
    QuickTown,
    answers,
    delivered,
    found,
    tap,
    until,
    until_reason,
)
from tests.support.emulated_tag import EmulatedTag, free_udp_port


def decisions(town: QuickTown, gate: Gate) -> list[tuple[str, str]]:
    """Of the taps in custody, in their order."""
    events = [event for event in town.log() if event["gate"] == gate.spot.gate and event["kind"] == "tap"]
    return [(event["decision"], event["reason"]) for event in sorted(events, key=lambda event: event["sequence"])]


def traces(directory: Path, uid: str) -> list[str]:
    """Files that hold a UID in clear, as bytes or as hexadecimal digits of either case."""
    forms = (bytes.fromhex(uid), uid.upper().encode(), uid.lower().encode())
    files = [path for path in directory.rglob("*") if path.is_file() and not path.is_symlink()]
    return [path.name for path in files if any(form in path.read_bytes() for form in forms)]


@pytest.mark.system
@pytest.mark.xdist_group("spine-pcsc")
async def test_a_card_on_a_real_reader_is_decided_offline_delivered_receipted_and_refused_once_blocked(
    town: QuickTown, desk: Desk
) -> None:
    gate = await town.join(DOOR, has_card_reader=True)
    gate.process.start()
    await gate.until(lambda status: status["allowlist_version"] > 0)
    await gate.until(lambda status: {"ready"} == {reader["state"] for reader in status["readers"]})
    await delivered(gate)

    gate.line.cut()
    for number, uid in enumerate((CHEN, STRANGER, SEVEN), start=1):
        card = desk.put(bytes.fromhex(uid))
        told = await answers(gate, number)
        await asyncio.to_thread(card.pull)
    assert [answer.reason for answer in told] == ["ok", "unknown-card", "ok"]
    waiting = await gate.until(lambda status: status["central_reachable"] is False)
    assert waiting["backlog"] >= 3
    assert waiting["receipted_through"] < told[0].sequence

    gate.line.restore()
    await delivered(gate)
    assert decisions(town, gate) == [("granted", "ok"), ("denied", "unknown-card"), ("granted", "ok")]

    before = (await gate.until(lambda _: True))["allowlist_version"]
    await town.do("card", "block", CHEN, "--notation", "hex")
    await gate.until(lambda status: status["allowlist_version"] > before)
    gate.line.cut()  # what was published rests at the gate
    desk.put(bytes.fromhex(CHEN))
    assert (await answers(gate, 4))[3].reason == "card-blocked"
    gate.line.restore()
    await delivered(gate)

    assert json.loads(await asyncio.to_thread(gate.command, "journal", "verify", "--json"))["whole"]
    assert gate.stop() == 0
    assert town.audit(gate) == []
    await town.do("verify")
    for uid in (CHEN, STRANGER, SEVEN):
        assert traces(gate.directory, uid) == []
        assert traces(town.data, uid) == []


@pytest.mark.xdist_group("spine-nfc")
async def test_a_card_on_a_real_nfcpy_reader_goes_the_same_way(town: QuickTown) -> None:
    port = free_udp_port()
    gate = await town.join(DOOR)
    gate.config.write_text(
        gate.config.read_text() + f'\n[[readers]]\nname = "nfc"\nkind = "nfc"\npath = "udp:127.0.0.1:{port}"\n'
    )
    gate.process.start()
    await gate.until(lambda status: status["allowlist_version"] > 0)
    gate.line.cut()
    with EmulatedTag(port, bytes.fromhex(ALICE)):
        assert (await answers(gate, 1))[0].reason == "ok"
    with EmulatedTag(port, bytes.fromhex(SEVEN), sak=0x20):
        assert (await answers(gate, 2))[1].reason == "ok"
    gate.line.restore()
    await delivered(gate)
    assert decisions(town, gate) == [("granted", "ok")] * 2

    await town.do("card", "block", ALICE, "--notation", "hex", "--state", "lost")
    await until_reason(gate, ALICE, "card-lost")
    with EmulatedTag(port, bytes.fromhex(ALICE)):
        await until(lambda: [signal[3] for signal in gate.signals()].count("card-lost") >= 2, "the card is refused")
    await delivered(gate)
    assert gate.stop() == 0
    assert town.audit(gate) == []


async def database_at(server: str) -> str:
    name = f"spine_{time.time_ns()}"
    connection = await asyncpg.connect(f"{server}/postgres")
    try:
        await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()
    return f"{server}/{name}"


@pytest.mark.system
@pytest.mark.xdist_group("spine-postgres")
async def test_two_central_processes_on_one_postgresql_serve_as_one(postgres_server: str, places: Places) -> None:
    url = await database_at(postgres_server)
    directory = places.directory()
    await asyncio.to_thread(found, directory, url)
    one = places.look_after(QuickTown(directory, url))
    two = places.look_after(QuickTown(places.directory(), url, f'keys_dir = "{directory / "central" / "keys"}"\n'))
    await asyncio.gather(one.start_central(), two.start_central())
    door, desk = await one.open_gate(DOOR), await two.open_gate(DESK)

    for gate in (door, desk):
        assert (await tap(gate, CHEN)).reason == "ok"
    start_s = time.monotonic()
    await one.do("card", "block", CHEN, "--notation", "hex")
    committed_s = time.monotonic()
    await asyncio.gather(*(until_reason(gate, CHEN, "card-blocked") for gate in (door, desk)))
    assert time.monotonic() - committed_s < 2, f"the command itself took {committed_s - start_s:.1f} s"

    await asyncio.gather(delivered(door), delivered(desk))
    door.line.cut()
    for _ in range(20):
        await tap(door, ALICE)
    await asyncio.to_thread(door.stop)
    receipts = await deliver_to_all(door, one.port, two.port)
    assert len(set(receipts)) == 1, "both gave the same receipt"

    door.line.restore()
    door.process.start()
    await delivered(door)
    held = one.held()
    assert len(held) == len(set(held))
    assert {signal[0] + signal[1] for signal in door.signals()} <= {epoch + str(number) for _, epoch, number in held}
    assert two.held() == held
    assert one.command("verify").startswith("Whole")


async def deliver_to_all(gate: Gate, *ports: int) -> list[bytes]:
    """The next batch of an agent that does not run, sent to several servers at the same time."""
    data = gate.directory / "data"
    identity = identity_file.load(data)
    assert identity is not None
    store = Store(data)
    run = outbox.next_run(store)
    store.close()
    assert run is not None
    body = encode(Upload(identity.signer().seal(run.batch(identity.device)), tuple(run.personals)))
    trust = ssl.create_default_context(cafile=gate.directory.parent / "central" / "keys" / "tls.crt")

    async def send(port: int) -> bytes:
        async with session.post(f"https://127.0.0.1:{port}/v1/batches", data=body, ssl=trust) as response:
            assert response.status == 200
            return await response.read()

    async with aiohttp.ClientSession() as session:
        return list(await asyncio.gather(*(send(port) for port in ports for _ in range(3))))
