"""The download loops: polls held open, troubles that delay nobody, snapshots beside them."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from edge_agent import subscription
from edge_agent.snapshots import Snapshots
from edge_agent.subscription import Subscription
from edge_agent.uplink import NetworkFailure
from protocol.allowlist import CardState
from protocol.envelope import unwrap
from protocol.errors import Refused
from protocol.messages import Fetch, Fresh, PartName, Poll, Profiles, decode
from protocol.policy import Admit, Policy
from tests.support.central_side import DEVICE, CentralSide
from tests.support.edge_side import Edge
from tests.support.line import Line


class Listener:
    """Both download loops over a line."""

    def __init__(self, edge: Edge) -> None:
        self.edge, self.line = edge, Line(edge.central)
        signer = edge.central.device_signer
        self.snapshots = Snapshots(edge.uptake, signer, self.line, edge.clock)  # type: ignore[arg-type]
        self.subscription = Subscription(edge.uptake, signer, self.line, edge.clock, self.snapshots, 1)  # type: ignore[arg-type]

    def polls(self) -> list[Poll]:
        return [decode(Poll, unwrap(body).payload) for path, body in self.line.sent if path == "/v1/poll"]

    def fetches(self) -> list[Fetch]:
        return [decode(Fetch, unwrap(body).payload) for path, body in self.line.sent if path == "/v1/snapshot"]

    def run(self) -> list["asyncio.Task[None]"]:
        return [asyncio.create_task(self.subscription.run(0.02)), asyncio.create_task(self.snapshots.run(0.02))]


@pytest.fixture
def listener(edge: Edge) -> Listener:
    return Listener(edge)


async def until(holds: Callable[[], object], within_s: float = 10) -> None:
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.005)


async def stop(tasks: list["asyncio.Task[None]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def hold(path: str, found: list[bytes]) -> list[bytes]:
    """As central does when it has nothing newer: it waits, a little."""
    await asyncio.sleep(0.05)
    return found


async def test_a_new_device_gets_everything_and_then_waits(listener: Listener) -> None:
    listener.line.bend = hold
    tasks = listener.run()
    await until(lambda: listener.edge.tap(1).outcome == "granted")
    await stop(tasks)
    assert len(listener.fetches()) == 1


async def test_a_poll_says_what_is_held_and_what_is_in_trouble(stocked: Edge) -> None:
    listener = Listener(stocked)
    central = stocked.central
    central.policy = Policy(2, (Admit("a"), Admit("a")))
    central.publish()
    await listener.subscription.step()
    await listener.subscription.step()
    poll = listener.polls()[-1]
    assert poll.manifest == central.number
    assert [(trouble.part, trouble.version) for trouble in poll.troubles] == [("policy", 2)]
    assert {part.name: part.version for part in poll.parts} == {
        "allowlist": 1,
        "policy": 1,
        "config": 1,
        "domain-key": 1,
    }
    assert all(part in central.parts() or part.name == "policy" for part in poll.parts)


async def test_a_part_in_trouble_delays_neither_a_blocked_card_nor_a_policy(stocked: Edge) -> None:
    listener = Listener(stocked)
    central = stocked.central
    central.policy = Policy(2, (Admit("a"), Admit("a")))
    central.publish()
    listener.line.bend = hold
    tasks = listener.run()
    await until(lambda: stocked.uptake.troubles)
    for number in range(3):
        central.put_card(number, CardState.BLOCKED)
        central.publish()
        await until(lambda number=number: stocked.tap(number).reason == "card-blocked", within_s=0.5)  # type: ignore[misc]
    await stop(tasks)


async def test_a_central_that_answers_at_once_with_nothing_to_take_up_is_not_stormed(
    stocked: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = Listener(stocked)
    waits = []

    async def fake_sleep(seconds: float) -> None:
        waits.append(seconds)

    with monkeypatch.context() as patched:
        patched.setattr(subscription.asyncio, "sleep", fake_sleep)
        for _ in range(12):
            await listener.subscription.step()
    assert sum(waits) > 20
    assert max(waits) <= 5


async def test_an_answer_that_no_key_of_ours_signed_is_a_failure(stocked: Edge, central: CentralSide) -> None:
    listener = Listener(stocked)

    async def forge(path: str, found: list[bytes]) -> list[bytes]:
        return [central.device_signer.seal(Fresh(DEVICE, 1, central.now_ms + 10**9, 1))]

    listener.line.bend = forge
    with pytest.raises(Refused):
        await listener.subscription.step()


async def test_failures_are_waited_out(listener: Listener) -> None:
    failures = iter([True] * 5)

    def refuse(path: str, body: bytes) -> None:
        if next(failures, False):
            raise NetworkFailure("no route")

    listener.line.refuse = refuse
    listener.line.bend = hold
    tasks = listener.run()
    await until(lambda: listener.edge.tap(1).outcome == "granted")
    assert listener.subscription.reachable
    await stop(tasks)


async def test_before_confirmation_the_agent_asks_on_and_starts_when_confirmed(
    listener: Listener, central: CentralSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription, "PENDING_S", 0.01)
    central.state = "pending"
    tasks = listener.run()
    await until(lambda: listener.subscription.pending)
    central.state = "active"
    await until(lambda: listener.edge.tap(1).outcome == "granted")
    assert not listener.subscription.pending
    await stop(tasks)


async def test_revocation_ends_the_loop(stocked: Edge) -> None:
    listener = Listener(stocked)
    stocked.central.state = "revoked"
    await listener.subscription.run(0.01)
    assert listener.subscription.revoked.is_set()


async def test_another_generation_asks_for_reconciliation_until_it_is_done(stocked: Edge) -> None:
    listener, asked = Listener(stocked), []
    stocked.uptake.set_generation(1)
    listener.subscription.on_restored = lambda: asked.append(1)
    await listener.subscription.step()
    assert not asked
    stocked.central.generation = 2
    stocked.central.publish()
    for _ in range(2):
        await listener.subscription.step()
    assert len(asked) == 2
    stocked.uptake.set_generation(2)
    await listener.subscription.step()
    assert len(asked) == 2
    stocked.reopen()
    assert stocked.uptake.generation == 2


# --- snapshots ------------------------------------------------------------------------------------------------


async def test_a_download_that_breaks_off_goes_on_from_the_last_good_chunk(listener: Listener) -> None:
    await listener.subscription.step()
    listener.line.cut_after = [1, 0, 1]
    await listener.snapshots.step()
    assert listener.edge.tap(4).outcome == "granted"
    assert [fetch.first_chunk for fetch in listener.fetches()] == [0, 1, 1, 2]


async def test_a_download_that_never_holds_is_begun_anew(listener: Listener) -> None:
    await listener.subscription.step()
    listener.line.cut_after = [1, 0, 0, 0, 0, 0]
    with pytest.raises(NetworkFailure):
        await listener.snapshots.step()
    assert not list(listener.edge.directory.glob("list-*.db"))
    listener.line.cut_after = []
    await listener.snapshots.step()
    assert listener.edge.tap(4).outcome == "granted"


def flipped(frame: bytes) -> bytes:
    return frame[:-1] + bytes([frame[-1] ^ 1])


BROKEN = {
    "a flipped bit": lambda frames: [frames[0], flipped(frames[1]), *frames[2:]],
    "chunks in another order": lambda frames: [frames[0], frames[2], frames[1], *frames[3:]],
    "a chunk too many": lambda frames: [*frames, frames[-1]],
    "another head": lambda frames: [flipped(frames[0]), *frames[1:]],
    "no head": lambda frames: frames[1:],
}


@pytest.mark.parametrize("case", BROKEN)
async def test_a_snapshot_that_is_not_as_signed_is_refused_said_and_leaves_nothing(
    stocked: Edge, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    listener, central = Listener(stocked), stocked.central
    central.deltas = False
    central.put_card(1, CardState.BLOCKED)
    central.publish()
    await listener.subscription.step()

    async def broken(body: bytes):  # type: ignore[no-untyped-def]
        head, chunks = central.snapshot()
        for frame in BROKEN[case]([head, *chunks]):
            yield frame

    with monkeypatch.context() as patched:
        patched.setattr(listener.line, "snapshot", broken)
        with pytest.raises(Refused):
            await listener.snapshots.step()
    await listener.subscription.step()
    assert [trouble.part for trouble in listener.polls()[-1].troubles] == [PartName.ALLOWLIST]
    assert stocked.tap(1).outcome == "granted"
    assert len(list(stocked.directory.glob("list-*.db"))) == 1
    await listener.snapshots.step()
    assert stocked.tap(1).reason == "card-blocked"


async def test_a_slow_download_holds_up_neither_policy_nor_revocation(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener, central = Listener(edge), edge.central
    forever = asyncio.Event()

    async def slow(body: bytes):  # type: ignore[no-untyped-def]
        yield central.snapshot()[0]
        await forever.wait()

    monkeypatch.setattr(listener.line, "snapshot", slow)
    listener.line.bend = hold
    tasks = listener.run()
    await until(lambda: listener.snapshots._writer is not None)
    central.policy = msgspec.structs.replace(central.policy, version=2)
    central.publish()
    await until(lambda: edge.gate.holding.is_current(PartName.POLICY), within_s=1)
    central.state = "revoked"
    await until(listener.subscription.revoked.is_set, within_s=1)
    await stop(tasks)


async def test_the_held_poll_is_asked_anew_when_a_trailing_snapshot_has_arrived(edge: Edge) -> None:
    """Its delta must not wait until the poll that did not know of it comes back."""
    listener, central = Listener(edge), edge.central
    listener.subscription.wait_s = 300
    central.put_card(1, CardState.BLOCKED)
    central.publish()
    head = central.snapshot(1)

    async def trailing(body: bytes):  # type: ignore[no-untyped-def]
        yield head[0]
        for chunk in head[1]:
            yield chunk

    async def held(path: str, found: list[bytes]) -> list[bytes]:
        if len(found) == 1 and listener.polls()[-1].wait_s:  # nothing newer
            await asyncio.sleep(300)
        return found

    listener.line.snapshot = trailing  # type: ignore[method-assign, assignment]
    listener.line.bend = held
    tasks = listener.run()
    await until(lambda: edge.tap(1).reason == "card-blocked")
    assert not edge.uptake.wants_snapshot
    await stop(tasks)


async def test_a_loop_that_is_stopped_while_it_is_hurried_stops(stocked: Edge) -> None:
    listener = Listener(stocked)

    async def held(path: str, found: list[bytes]) -> list[bytes]:
        await asyncio.sleep(300)
        return found

    listener.line.bend = held
    task = asyncio.create_task(listener.subscription.run(0.01))
    await until(lambda: listener.polls())
    listener.subscription.hurry()
    task.cancel()
    await asyncio.wait([task], timeout=5)
    assert task.done()


async def test_a_damaged_list_is_fetched_again_without_a_restart(stocked: Edge) -> None:
    listener = Listener(stocked)
    listed = stocked.gate.holding.allowlist
    assert listed is not None
    listed._writer.execute("UPDATE entries SET entry = x'c1'")
    stocked.tap(1)
    tasks = listener.run()
    await until(lambda: stocked.tap(1).outcome == "granted")
    await stop(tasks)


def holding_polls(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> Listener:
    """With a central that has nothing newer and holds each poll for ever."""
    listener = Listener(edge)

    async def held(path: str, found: list[bytes]) -> list[bytes]:
        if len(found) == 1 and listener.polls()[-1].wait_s:
            await asyncio.sleep(300)
        return found

    monkeypatch.setattr(subscription, "LOOK_S", 0.05)
    listener.subscription.wait_s, listener.line.bend = 300, held
    return listener


async def test_a_list_that_is_found_damaged_does_not_wait_for_the_held_poll(
    stocked: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = holding_polls(stocked, monkeypatch)
    tasks = listener.run()
    await until(lambda: listener.polls())
    listed = stocked.gate.holding.allowlist
    assert listed is not None
    listed._writer.execute("UPDATE entries SET entry = x'c1'")
    assert stocked.tap(1).reason == "unknown-card"
    await until(lambda: stocked.tap(1).outcome == "granted")
    await stop(tasks)


async def test_what_is_given_up_is_said_although_a_poll_is_held(stocked: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    central, listener = stocked.central, holding_polls(stocked, monkeypatch)
    central.profiles = Profiles(1, {})
    central.publish()
    tasks = listener.run()
    await until(lambda: stocked.uptake.published[1] == 1)
    await asyncio.to_thread(stocked.uptake.give_up_profiles, 1, "front: not ready within 15 s")
    await until(lambda: listener.polls()[-1].troubles)
    assert listener.polls()[-1].troubles[0].part == "profiles"
    asked = len(listener.polls())
    await asyncio.sleep(10 * subscription.LOOK_S)
    assert len(listener.polls()) == asked, "once"
    await stop(tasks)


async def test_a_fetch_says_the_floor_so_that_what_comes_is_no_step_back(stocked: Edge) -> None:
    listener, central = Listener(stocked), stocked.central
    central.put_card(1, CardState.BLOCKED)
    central.publish()
    await listener.subscription.step()
    listed = stocked.gate.holding.allowlist
    assert listed is not None
    listed._writer.execute("UPDATE entries SET entry = x'c1'")
    stocked.gate.list_damaged.set()
    await listener.subscription.step()
    await listener.snapshots.step()
    assert listener.fetches()[-1].version == 2
