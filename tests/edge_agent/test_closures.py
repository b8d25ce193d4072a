"""A closed venue: nobody enters but who is admitted nevertheless, everybody leaves, and the screen says why."""

import msgspec

from edge_agent.screen.situation import Surroundings
from edge_agent.screen.view import Mode, view
from edge_agent.screen.wording import NOTHING, Words
from edge_agent.tap_record import history_after
from protocol.compiled import CompiledPolicy
from protocol.decision import Decision, Staleness, Tap
from protocol.history import History, Mark
from protocol.messages import Clock, Closure, Direction, GateConfig, Outcome
from tests.edge_agent.looking_back import looking_back
from tests.edge_agent.screen.test_view import around
from tests.edge_agent.test_gate import turn
from tests.support.edge_side import Edge

HOUR_MS = 3_600_000


def close(edge: Edge, *closures: Closure) -> None:
    """Central publishes these closures of the gate."""
    config = edge.central.config
    edge.central.config = msgspec.structs.replace(config, version=config.version + 1, closures=closures)
    edge.central.publish()
    edge.take(edge.central.seal(edge.central.manifest), edge.central.seal(edge.central.config))


def test_a_closure_keeps_people_out_from_its_first_moment_until_its_end(stocked: Edge) -> None:
    now_ms = stocked.clock.now().wall_ms
    close(stocked, Closure(now_ms + 60_000, now_ms + 120_000, why_zh="颱風", why_en="Typhoon"))
    assert stocked.tap(1).reason == "ok"
    stocked.clock.advance(60_000)
    assert stocked.tap(1).reason == "closed"
    assert stocked.tap(2).reason == "closed"
    stocked.clock.advance(60_000)
    assert stocked.tap(2).reason == "ok"


def test_who_is_admitted_nevertheless_enters_and_everybody_leaves(stocked: Edge) -> None:
    now_ms = stocked.clock.now().wall_ms
    close(stocked, Closure(now_ms, now_ms + HOUR_MS, admits=("citizen",)), Closure(now_ms, now_ms + 1))
    stocked.clock.advance(1_000)
    assert stocked.tap(1).reason == "ok", "the one that admits nobody is over"
    close(stocked, Closure(now_ms, now_ms + HOUR_MS))
    turn(stocked, Direction.OUT)
    assert stocked.tap(2).reason == "leaving"


def test_the_screen_says_that_it_is_closed_and_why() -> None:
    closed = Words("颱風停班停課，至 18:00", "Typhoon, until 18:00")
    shown = view(around(closed=closed), None, 0)
    assert (shown.mode, shown.next, shown.notes) == (Mode.CLOSED, closed, NOTHING)
    assert shown.headline.zh == "目前不開放"
    kiosk = view(around(closed=closed, is_session=True), None, 0)
    assert kiosk.notes.zh == "簽退仍可感應"
    out: Surroundings = around(closed=closed, config=GateConfig(1, "g", "door", Direction.OUT))
    assert view(out, None, 0).mode is Mode.READY, "the way out is open"


def test_a_clock_that_cannot_be_trusted_forgets_nothing_that_rules_look_back_to() -> None:
    policy = CompiledPolicy(looking_back())
    day_ms = 24 * HOUR_MS
    told = History(told=(Mark(400 * day_ms, "v", "g", "in", "members", 0, 0, b"e" * 8, 1),))
    decision = Decision(Outcome.DENIED, "clock-untrusted")
    for clock, kept in ((Clock.AHEAD, 1), (Clock.TRUSTED, 0)):
        tap = Tap(800 * day_ms, b"b" * 8, 1, clock, Direction.IN, Staleness.FRESH)
        assert len(history_after(policy, told, tap, decision, (b"f" * 8, 2)).told) == kept
