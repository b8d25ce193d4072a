"""How a device does, by what is known of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.reporting.gate_state import (
    EVIDENCE,
    LIMITS,
    SHAPES,
    TEXTS,
    DeviceFacts,
    GateState,
    State,
    facts_of,
    gate_state_of,
    state_of,
)
from protocol.messages import Poll, Trouble

NOW_MS = 1_789_997_600_000
MINUTE_MS, DAY_MS = 60_000, 86_400_000
WELL = DeviceFacts("active", NOW_MS - 1_000, NOW_MS - DAY_MS)


def poll(**changes: object) -> Poll:
    fields: dict[str, object] = {"device": "d", "nonce": bytes(16), "at_ms": NOW_MS, "manifest": 1, "keys_number": 1}
    fields |= {"parts": (), "troubles": (), "backlog": 0, "wait_s": 30, "version": "1", "understands": ()}
    return Poll(**(fields | changes))  # type: ignore[arg-type]


def of(**changes: object) -> tuple[str, tuple[str, ...]]:
    found = state_of(WELL._replace(**changes), NOW_MS)  # type: ignore[arg-type]
    return found.state.value, found.reasons


def test_a_device_that_was_just_heard_of_is_online_without_a_reason() -> None:
    assert of() == ("online", ())


def test_a_poll_that_is_still_held_is_a_word() -> None:
    assert of(wait_s=300, seen_ms=NOW_MS - 329_000) == ("online", ())
    assert of(wait_s=300, seen_ms=NOW_MS - 330_000) == ("behind", ("late",))
    assert of(wait_s=300, seen_ms=NOW_MS - 600_000) == ("silent", ("not-seen",))


def test_from_late_to_silent_there_is_no_moment_without_a_word_for_it() -> None:
    for silence_s in range(400):
        state, reasons = of(seen_ms=NOW_MS - silence_s * 1_000)
        expected = ("online", ()) if silence_s < 60 else ("behind", ("late",))
        assert (state, reasons) == (expected if silence_s < 330 else ("silent", ("not-seen",)))


def test_a_device_that_was_confirmed_has_some_minutes_to_speak() -> None:
    assert of(seen_ms=0, confirmed_ms=NOW_MS - 10_000) == ("online", ())
    assert of(seen_ms=0, confirmed_ms=NOW_MS - MINUTE_MS) == ("behind", ("late",))
    assert of(seen_ms=0, confirmed_ms=NOW_MS - 5 * MINUTE_MS) == ("silent", ("never-seen",))


def test_taps_that_wait_and_a_list_that_is_old_are_behind() -> None:
    assert of(backlog=99) == ("online", ())
    assert of(backlog=100) == ("behind", ("backlog",))
    assert of(lacks_since_ms=NOW_MS - MINUTE_MS) == ("online", ())
    assert of(lacks_since_ms=NOW_MS - 2 * MINUTE_MS) == ("behind", ("old-list",))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"troubles": 1}, "trouble"),
        ({"tamper": True}, "tamper"),
        ({"fire": True}, "fire-alarm"),
        ({"readers_failed": True}, "reader-failed"),
        ({"clock_trusted": False}, "clock-untrusted"),
        ({"skew_ms": 120_001}, "clock-skew"),
        ({"skew_ms": -120_001}, "clock-skew"),
        ({"free_disk": 0.04}, "disk-full"),
        ({"evidence": (("fork", NOW_MS - MINUTE_MS),)}, "fork"),
        ({"evidence": (("alarm", NOW_MS - MINUTE_MS),)}, "key-misused"),
        ({"seen_ms": NOW_MS - 10 * DAY_MS, "close_ms": 7 * DAY_MS}, "closed-by-age"),
    ],
)
def test_each_of_these_is_an_alarm(changes: dict[str, object], code: str) -> None:
    state, reasons = of(**changes)
    assert (state, reasons[0]) == ("alarm", code)


def test_evidence_of_days_ago_and_gaps_that_were_filled_are_no_alarm() -> None:
    assert of(evidence=(("fork", NOW_MS - DAY_MS), ("gap", NOW_MS))) == ("online", ())


def test_an_alarm_does_not_hide_that_it_is_silent_and_behind() -> None:
    found = of(troubles=2, seen_ms=NOW_MS - DAY_MS, restrict_ms=DAY_MS, backlog=500)
    assert found == ("alarm", ("trouble", "not-seen", "restricted-by-age", "backlog"))


def test_a_device_that_does_not_serve_is_judged_by_nothing_else() -> None:
    assert of(state="revoked", troubles=3) == ("off", ("revoked",))
    assert of(state="pending", seen_ms=0) == ("waiting", ("unconfirmed",))


def test_a_report_says_backlog_troubles_and_how_wrong_the_clock_is() -> None:
    said = poll(at_ms=NOW_MS + 5_000, backlog=7, wait_s=120, troubles=(Trouble("policy", 3, "no"),))
    facts = facts_of("active", NOW_MS, said, NOW_MS - DAY_MS)
    assert facts == DeviceFacts("active", NOW_MS, NOW_MS - DAY_MS, 120, 7, 1, 5_000)
    assert facts_of("active", None, None) == DeviceFacts("active")


def test_a_gate_does_as_badly_as_the_worst_device_that_serves_it() -> None:
    online, waiting, off = GateState(State.ONLINE), GateState(State.WAITING, ("unconfirmed",)), GateState(State.OFF)
    silent = GateState(State.SILENT, ("not-seen",))
    assert gate_state_of([online, silent, waiting]) == silent
    assert gate_state_of([online, waiting, off]) == online
    assert gate_state_of([waiting, off]) == waiting
    assert gate_state_of([off]) == gate_state_of([]) == GateState(State.OFF, ("no-device",))


facts = st.builds(
    DeviceFacts,
    state=st.sampled_from(["pending", "active", "revoked"]),
    seen_ms=st.integers(0, NOW_MS + DAY_MS),
    confirmed_ms=st.integers(0, NOW_MS),
    wait_s=st.integers(0, 300),
    backlog=st.integers(0, 10_000),
    troubles=st.integers(0, 16),
    skew_ms=st.integers(-DAY_MS, DAY_MS),
    lacks_since_ms=st.integers(0, NOW_MS),
    evidence=st.lists(st.tuples(st.sampled_from([*EVIDENCE, "gap"]), st.integers(0, NOW_MS))).map(tuple),
    restrict_ms=st.integers(0, DAY_MS),
    close_ms=st.integers(0, DAY_MS),
)


@given(facts)
def test_whatever_is_known_there_is_one_state_with_reasons_that_have_texts(known: DeviceFacts) -> None:
    found = state_of(known, NOW_MS)
    assert (found.state is State.ONLINE) == (found.reasons == ())
    assert found.text
    assert found.shape == SHAPES[found.state]
    assert len(found.reason_texts) == len(set(found.reasons))


@given(facts, st.integers(0, 10 * DAY_MS))
def test_silence_never_makes_a_device_better(known: DeviceFacts, later_ms: int) -> None:
    """But that evidence grows old."""
    order = list(State)
    known = known._replace(evidence=())
    assert order.index(state_of(known, NOW_MS).state) <= order.index(state_of(known, NOW_MS + later_ms).state)


def test_every_state_has_a_text_and_a_shape_of_its_own() -> None:
    assert len({SHAPES[state] for state in State}) == len(State)
    assert len({TEXTS[state.value] for state in State}) == len(State)
    assert LIMITS.late_ms < LIMITS.silent_ms
