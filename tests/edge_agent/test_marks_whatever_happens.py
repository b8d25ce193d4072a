"""Taps, passages, undos, central's word and restarts in any order: what counts at a gate is what its events come to,
each once, whoever of the two has told it last.

A run can be repeated by its seed: `TAPGATE_SEED=… pytest tests/edge_agent/test_marks_whatever_happens.py`.
"""

import contextlib
import os
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from edge_agent.journal.store import JournalUnwritable
from edge_agent.published import state_feed
from edge_agent.release import Signal
from protocol.messages import Direction, Outcome, Passage
from tests.edge_agent.looking_back import RESERVED, held, looking_back, marks, standing, states, through, written
from tests.edge_agent.test_gate import turn
from tests.support.central_side import VENUE, CentralSide, subject
from tests.support.edge_side import Edge, HandClock

SEED = int(os.environ.get("TAPGATE_SEED", random.SystemRandom().randrange(2**32)))
NOON_MS = 1_790_000_000_000 // 86_400_000 * 86_400_000 + 4 * 3_600_000
PEOPLE = 2


class Marks(RuleBasedStateMachine):
    """One gate that looks back and sees who passes, and a central that counts its events now and then."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tapgate-marks-"))
        self.central = CentralSide(NOON_MS)
        self.central.policy = looking_back()
        self.central.publish()
        self.edge = Edge(self.folder / "disk", self.central, HandClock(NOON_MS))
        self.edge.take_all()
        self.edge.gate.amends.awaits_passage = True
        self.signals: list[Signal] = []
        self.counted = 0
        """So many of the journal's events central counts."""
        self._tell()
        self.edge.poll()

    # --- people -------------------------------------------------------------------------------------------------

    @rule(number=st.integers(0, PEOPLE - 1), pause_ms=st.sampled_from([0, 900, 4_000, 11_000]))
    def tap(self, number: int, pause_ms: int) -> None:
        late_ms = max(0, self.central.now_ms - self.edge.clock.wall_ms)  # each word of central is a little newer
        self.edge.clock.advance(pause_ms + late_ms)
        signal = self.edge.tap(number)
        assert signal.outcome is Outcome.GRANTED, signal.reason
        self.signals.append(signal)

    @rule(number=st.integers(0, PEOPLE - 1), seen=st.sampled_from(["first", "again", "neither"]))
    def tap_twice(self, number: int, seen: str) -> None:
        """As somebody does whose first tap seems to do nothing; of one of them something becomes known at once."""
        self.tap(number, 11_000)
        self.tap(number, 500)
        first, again = self.signals[-2:]
        assert again.repeat
        if seen != "neither":
            self.edge.gate.amends.passage(
                first if seen == "first" else again, Passage.NOT_TAKEN if seen == "first" else Passage.TAKEN
            )

    @rule(back=st.integers(1, 4), passage=st.sampled_from([Passage.TAKEN, Passage.NOT_TAKEN, Passage.UNKNOWN]))
    def passage(self, back: int, passage: Passage) -> None:
        if len(self.signals) >= back:
            assert self.edge.gate.amends.passage(self.signals[-back], passage)

    @rule(back=st.integers(1, 4))
    def undo(self, back: int) -> None:
        if len(self.signals) >= back and self.signals[-back].epoch == self.edge.store.epoch.epoch:
            self.edge.gate.amends.undo(self.signals[-back].sequence)

    @rule(direction=st.sampled_from(Direction))
    def turn(self, direction: Direction) -> None:
        turn(self.edge, direction)

    # --- central ------------------------------------------------------------------------------------------------

    def _tell(self) -> None:
        journal = written(self.edge)[: self.counted]
        found = {state.subject: state for state in states(journal)}
        gone = [key for key in self.central.states if key not in found]
        nothing = [self.central.states[key][1].__class__(key, (), RESERVED, 2**43) for key in gone]
        self.central.tell(*found.values(), *nothing, counted=through(journal), library_1=standing(journal).inside + 50)

    @rule(more=st.sampled_from([1, 1, 2, 3, 6, 100]))
    def count(self, more: int) -> None:
        """Some more of the events that wait."""
        self.counted = min(len(written(self.edge)), self.counted + more)
        self._tell()

    @rule()
    def poll(self) -> None:
        self.edge.poll()

    @rule(kept=st.floats(0, 1))
    def restore(self, kept: float) -> None:
        """From a backup: it counts fewer, and begins anew."""
        self.counted = int(self.counted * kept)
        self.central.restore_states()
        self.central.inside = {}
        self._tell()
        self.central.publish()

    # --- the machine --------------------------------------------------------------------------------------------

    @rule(after=st.integers(0, 3))
    def plug(self, after: int) -> None:
        """Pulled while a word is being taken up, or before."""
        commit, left = self.edge.store.commit, [after]

        def failing(work: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise JournalUnwritable("the plug")
            return commit(work)

        self.edge.store.commit = failing  # type: ignore[method-assign]
        with contextlib.suppress(JournalUnwritable):
            self.edge.poll()
        self.edge.crash()
        self._start()

    @rule()
    def restart(self) -> None:
        self.edge.close()
        self._start()

    def _start(self) -> None:
        self.edge.open()
        self.edge.gate.amends.awaits_passage = True
        assert self.edge.gate.amends.end_what_was_left()

    # --- what always holds --------------------------------------------------------------------------------------

    @invariant()
    def each_counts_once(self) -> None:
        expected = standing(written(self.edge)).marks
        for number in range(PEOPLE):
            found = expected.get(subject(number), ())
            assert marks(self.edge, number) == sorted(mark.name for mark in found)
            history = held(self.edge, number)
            if history is not None and history.lapse_ms:
                assert history.points_left(self.edge.clock.wall_ms) == RESERVED - sum(mark.points for mark in found)

    @invariant()
    def the_count_of_who_is_inside_is_whole(self) -> None:
        found = self.edge.gate.others.inside(VENUE)
        assert found in (None, standing(written(self.edge)).inside + 50)

    def teardown(self) -> None:
        self.edge.close()
        shutil.rmtree(self.folder)


def test_each_tap_counts_once_whatever_happens(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_feed, "ROWS", 1)
    monkeypatch.setattr(state_feed, "PAUSE_S", 0.0)
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    with capsys.disabled():
        print(f" [TAPGATE_SEED={SEED}]", end=" ", flush=True)
    chosen = settings(
        max_examples=int(os.environ.get("TAPGATE_EXAMPLES", "60")),
        stateful_step_count=40,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(seed(SEED)(Marks), settings=chosen)
    finally:
        structlog.reset_defaults()
