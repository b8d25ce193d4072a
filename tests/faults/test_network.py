"""A line that loses, repeats, delays, reorders, cuts short and resets: everything arrives, once; lists keep coming."""

import random
import time
from pathlib import Path

import pytest

from edge_agent import identity as identity_file
from edge_agent.gate import Gate
from edge_agent.journal.store import Store
from edge_agent.moments import Moment, SystemMoments
from edge_agent.published.holding import Holding
from edge_agent.published.uptake import Uptake
from edge_agent.readers import CardRead
from edge_agent.release.dry import DryRelease
from tests.faults.programs import BLOCKED, STRANGER, UIDS, Programs
from tests.support.fault_proxy_plan import Fault, Plan, Request, script, seeded

pytestmark = pytest.mark.timeout(240)
DAY_MS = 24 * 3_600_000
UPLOADS, POLLS = "/v1/batches", "/v1/poll"
EACH = [
    Fault.DROP_REQUEST,
    Fault.DROP_ANSWER,
    Fault.DUPLICATE,
    Fault.TRUNCATE,
    Fault.DELAY,
    Fault.REORDER,
    Fault.LATE,
    Fault.RESET,
]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> object:
    """One pair of programs for every fault: what one leaves behind must not trouble the next."""
    with Programs(tmp_path_factory.mktemp("line")) as running:
        running.start_edge()
        yield running
        assert running.audit() == []


@pytest.mark.xdist_group("line")
@pytest.mark.parametrize("fault", EACH)
def test_every_tap_is_receipted_once_when_uploads_meet(programs: Programs, fault: Fault) -> None:
    programs.line.plan = script([fault] * 3, path=UPLOADS)
    struck, before = len(programs.line.struck), programs.lines()
    for number in range(60):
        programs.tap(UIDS[number % 20])
        time.sleep(0.01)
    programs.until(lambda: programs.lines() == before + 60, "all taps are decided")
    programs.until(programs.drained, "everything is receipted")
    assert [kind for _, kind in programs.line.struck[struck:]].count(fault) >= 1
    programs.line.plan = script([])


@pytest.mark.xdist_group("line")
@pytest.mark.parametrize("fault", [fault for fault in EACH if fault is not Fault.DUPLICATE])
def test_a_blocked_card_is_refused_in_spite_of_polls_that_meet(programs: Programs, fault: Fault) -> None:
    uid = UIDS[20 + EACH.index(fault)]
    assert programs.tapped(uid).reason == "ok"
    programs.line.plan = script([fault] * 2, path=POLLS)
    programs.operate("card", "block", uid, "--notation", "hex", "--state", "lost")
    programs.until(lambda: programs.tapped(uid).reason == "card-lost", "the gate has heard of it", 30)
    programs.line.plan = script([])


@pytest.mark.xdist_group("line")
def test_an_upload_that_never_gets_through_holds_up_no_revocation(programs: Programs) -> None:
    def plan(request: Request) -> Fault:
        return Fault.DROP_REQUEST if request.path.startswith(UPLOADS) else Fault.NONE

    uid = UIDS[19]
    programs.line.plan = plan
    assert programs.tapped(uid).reason == "ok"
    programs.operate("card", "block", uid, "--notation", "hex", "--state", "lost")
    programs.until(lambda: programs.tapped(uid).reason == "card-lost", "the gate has heard of it", 30)
    assert programs.status()["backlog"] > 0
    programs.line.plan = script([])
    programs.until(programs.drained, "everything is receipted")


@pytest.mark.xdist_group("line")
def test_a_slow_line_delivers_a_backlog_whole(programs: Programs) -> None:
    programs.line.cut()
    before = programs.lines()
    for number in range(300):
        programs.tap(UIDS[number % 18])
    programs.until(lambda: programs.lines() == before + 300, "taps need no line")
    programs.until(lambda: programs.status()["backlog"] >= 300, "they wait")
    programs.line.bytes_per_s = 30_000
    programs.line.restore()
    programs.until(programs.drained, "everything is receipted")
    programs.line.bytes_per_s = None


@pytest.mark.parametrize(("seed", "tls"), [(31, False), (32, True)])
def test_a_line_that_fails_at_random_delivers_everything_once(tmp_path: Path, seed: int, tls: bool) -> None:
    chance = random.Random(seed)
    in_bytes = [Fault.DROP_REQUEST, Fault.DROP_ANSWER, Fault.TRUNCATE, Fault.RESET, Fault.DELAY]
    plan: Plan = seeded(seed, 0.5, in_bytes if tls else EACH)
    with Programs(tmp_path, tls=tls) as programs:
        programs.start_edge()
        programs.line.plan = plan
        for _ in range(6):
            for _ in range(40):
                programs.tap(chance.choice([*UIDS, STRANGER]))
                time.sleep(chance.uniform(0, 0.02))
            programs.line.cut()
            time.sleep(chance.uniform(0, 0.3))
            programs.line.restore()
        programs.until(lambda: programs.lines() == 240, "all taps are decided")
        programs.line.plan = script([])
        programs.line.cut()  # what the line swallowed is not waited for
        programs.line.restore()
        programs.until(programs.drained, "everything is receipted")
        struck = {fault for _, fault in programs.line.struck} - {Fault.NONE}
        assert len(struck) >= 3, struck
        assert programs.audit() == [], f"seed {seed}"


class LaterMoments:
    """The machine's clocks, so many days ahead."""

    def __init__(self) -> None:
        self.days, self._real = 0.0, SystemMoments()

    def now(self) -> Moment:
        moment = self._real.now()
        ahead_ms = int(self.days * DAY_MS)
        return Moment(moment.wall_ms + ahead_ms, moment.monotonic_ms + ahead_ms, moment.boot_id)


def test_ten_days_apart_from_central_are_decided_by_age_and_arrive_whole(tmp_path: Path) -> None:
    """The agent's own store and gate with a clock that runs ahead; then the real programs deliver what they wrote."""
    with Programs(tmp_path) as programs:
        programs.start_edge()
        assert programs.tapped(UIDS[0]).reason == "ok"
        programs.edge.stop()
        moments, reasons = LaterMoments(), []
        identity = identity_file.load(programs.data)
        assert identity is not None
        for day in range(10):  # every day a new start, as after a power cut at night
            moments.days = day
            store = Store(programs.data)
            release = DryRelease(programs.released_file)
            gate = Gate(store, release, moments, Holding(identity.device, identity.gate))
            uptake = Uptake(programs.data, gate, identity)
            uptake.load()
            moment = moments.now()
            store.begin_epoch(
                identity.device, identity.gate, identity.signer(), moment, gate.clock(moment), f"day {day}"
            )
            for number in range(120):
                signal = gate.tap(CardRead("simulated", bytes.fromhex(UIDS[number % 20])))
            reasons.append(signal.reason)
            uptake.close()
            release.close()
            store.close()
        ages = gate.holding.ages
        assert ages is not None
        expected = [
            "list-too-old"
            if day * DAY_MS >= ages.close_ms
            else "list-stale"
            if day * DAY_MS >= ages.restrict_ms
            else "ok"
            for day in range(10)
        ]
        assert reasons == expected
        programs.start_edge()
        programs.until(programs.drained, "everything is receipted")
        assert len(programs.released()) == 1201
        assert programs.audit() == []


def test_several_starts_without_a_line_are_several_epochs_that_all_arrive(tmp_path: Path) -> None:
    """The agent is stopped and started offline, over and over: each life is an epoch, and all of them drain."""
    with Programs(tmp_path) as programs:
        programs.start_edge()
        assert programs.tapped(UIDS[0]).reason == "ok"
        programs.line.cut()
        for _ in range(3):
            assert programs.tapped(UIDS[1]).reason == "ok"
            assert programs.tapped(BLOCKED).reason == "card-blocked"
            programs.edge.stop()
            programs.start_edge()
        assert programs.tapped(STRANGER).reason == "unknown-card"
        programs.line.restore()
        programs.until(programs.drained, "everything is receipted")
        assert len({line.epoch for line in programs.released()}) == 4
        assert programs.audit() == []
