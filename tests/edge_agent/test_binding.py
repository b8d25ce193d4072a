"""A card that is tapped for an open session is sealed to central and frees nothing; every other tap is decided."""

from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from edge_agent.journal.store import JournalUnwritable
from edge_agent.readers import Answer, CardRead
from edge_agent.readers.answering import answer_to
from edge_agent.release import Signal
from edge_agent.screen.situation import Answer as Shown
from edge_agent.screen.situation import Surroundings
from edge_agent.screen.view import Mode, view
from protocol.binding import Bind, BindDetail, TappedCard
from protocol.envelope import new_sealing_key, open_card
from protocol.messages import Direction, Event, Kind, Outcome, PartName, decode
from tests.edge_agent.door_site import Site
from tests.edge_agent.test_lock import Relay
from tests.support.central_side import DEVICE, uid
from tests.support.edge_side import Edge

MINUTES_MS = 120_000
ATR = bytes.fromhex("3b8f8001804f0ca000000306030001000000006a")


class Counter:
    """Central's side of sessions at this gate."""

    def __init__(self, edge: Edge) -> None:
        self.edge, self.version = edge, 0
        self.private = b""

    def opens(self, **bent: Any) -> Bind:
        """Announced and taken up, or refused."""
        self.private, public = new_sealing_key()
        self.version += 1
        until_ms = self.edge.clock.wall_ms + MINUTES_MS
        session = Bind(DEVICE, self.version, self.version.to_bytes(16), until_ms, public)
        self.publishes(msgspec.structs.replace(session, **bent))
        return self.edge.central.session  # type: ignore[return-value]

    def publishes(self, session: Bind | None) -> None:
        self.edge.central.session = session
        self.edge.central.now_ms = self.edge.clock.wall_ms
        self.edge.central.publish()
        self.edge.poll()

    def took(self, event: Event) -> TappedCard:
        return open_card(decode(BindDetail, event.detail), DEVICE, self.private)


@pytest.fixture
def counter(stocked: Edge) -> Counter:
    return Counter(stocked)


def tap(edge: Edge, number: int = 1, **more: Any) -> Signal:
    return edge.gate.tap(CardRead("front", uid(number), ATR, 0x08, **more))


def last(edge: Edge) -> Event:
    return edge.events()[-1]


@pytest.mark.parametrize("number", [1, 99])
def test_the_next_card_is_sealed_to_central_and_not_decided(stocked: Edge, counter: Counter, number: int) -> None:
    session = counter.opens()
    assert stocked.gate.binding.waits_for_card()
    signal = tap(stocked, number)
    event = last(stocked)
    assert (signal.outcome, signal.reason, signal.direction, signal.frees) == (
        Outcome.GRANTED,
        "bind-taken",
        "",
        False,
    )
    assert (event.kind, event.decision, event.reason, event.direction) == (Kind.BIND, "granted", "bind-taken", "")
    assert event.personal_digest == b""
    assert decode(BindDetail, event.detail).session == session.session
    assert counter.took(event) == TappedCard(uid(number), 0x08, ATR)
    assert not stocked.gate.binding.waits_for_card()


def test_the_tap_after_it_is_decided_as_any(stocked: Edge, counter: Counter) -> None:
    counter.opens()
    tap(stocked, 99)
    assert [tap(stocked, number).reason for number in (99, 1)] == ["unknown-card", "ok"]
    assert [event.kind for event in stocked.events()].count(Kind.BIND) == 1


def test_what_a_reader_does_not_tell_stays_untold(stocked: Edge, counter: Counter) -> None:
    counter.opens()
    stocked.gate.tap(CardRead("front", uid(7), bytes(200), None))
    assert counter.took(last(stocked)) == TappedCard(uid(7))


def test_taking_a_card_leaves_no_history_and_nothing_to_undo(stocked: Edge, counter: Counter) -> None:
    counter.opens()
    signal = tap(stocked, 1)
    assert not stocked.gate.amends.undo(signal.sequence)
    assert not tap(stocked, 1).repeat


def test_a_session_that_was_used_stays_used_after_a_kill(stocked: Edge, counter: Counter) -> None:
    """Killed between the write and the answer: the door was told nothing, the card is in custody."""
    session = counter.opens()

    def die(signal: Signal) -> None:
        raise SystemExit

    stocked.ear.look = die
    with pytest.raises(SystemExit):
        tap(stocked, 99)
    stocked.crash()
    stocked.ear.look = lambda signal: None
    stocked.open()
    stocked.take_all()
    assert stocked.gate.holding.session == session
    assert stocked.gate.binding.waits_for_card()  # but for what the store knows
    assert tap(stocked, 99).reason == "unknown-card"
    assert [event.kind for event in stocked.events()].count(Kind.BIND) == 1


def test_a_session_survives_a_restart_but_waits_for_a_trusted_clock(stocked: Edge, counter: Counter) -> None:
    session = counter.opens()
    stocked.clock.reboot()
    stocked.reopen()
    assert stocked.gate.holding.session == session
    assert tap(stocked, 99).reason == "unknown-card"
    stocked.poll()
    stocked.take(stocked.central.fresh())
    assert tap(stocked, 99).reason == "bind-taken"


def test_an_expired_session_takes_no_card(stocked: Edge, counter: Counter) -> None:
    counter.opens()
    stocked.clock.advance(MINUTES_MS - 1)
    assert stocked.gate.binding.waits_for_card()
    stocked.clock.advance(1)
    assert not stocked.gate.binding.waits_for_card()
    assert tap(stocked, 99).reason == "unknown-card"


def test_a_cancelled_session_takes_no_card(stocked: Edge, counter: Counter) -> None:
    counter.opens()
    counter.publishes(None)
    assert not stocked.gate.binding.waits_for_card()
    assert tap(stocked, 99).reason == "unknown-card"


@pytest.mark.parametrize("wrong_ms", [-200_000, 200_000])
def test_a_clock_that_cannot_be_trusted_takes_no_card(stocked: Edge, counter: Counter, wrong_ms: int) -> None:
    counter.opens()
    stocked.clock.wall_ms += wrong_ms
    assert tap(stocked, 99).reason != "bind-taken"


@pytest.mark.parametrize(
    ("raw", "sak", "reason"),
    [
        (bytes.fromhex("08112233"), 0x08, "uid-random"),
        (bytes.fromhex("01020304"), 0x08, "uid-placeholder"),
        (bytes.fromhex("88112233"), 0x04, "uid-incomplete"),
        (b"", None, "uid-unreadable"),
    ],
)
def test_a_uid_that_cannot_be_used_is_denied_and_the_session_waits_on(
    stocked: Edge, counter: Counter, raw: bytes, sak: int | None, reason: str
) -> None:
    counter.opens()
    assert stocked.gate.tap(CardRead("front", raw, b"", sak)).reason == reason
    assert tap(stocked, 99).reason == "bind-taken"


def test_nobody_who_leaves_is_held_up(stocked: Edge, counter: Counter) -> None:
    central = stocked.central
    central.config = msgspec.structs.replace(
        central.config, version=central.config.version + 1, direction=Direction.OUT
    )
    counter.opens()
    assert tap(stocked, 1).reason == "leaving"


def test_a_session_for_another_device_is_refused(stocked: Edge, counter: Counter) -> None:
    counter.opens(device="another")
    assert stocked.gate.holding.session is None
    assert "other-device" in stocked.uptake.troubles[PartName.BIND].why
    assert tap(stocked, 99).reason == "unknown-card"


def test_a_session_that_seals_nothing_is_refused(stocked: Edge, counter: Counter) -> None:
    counter.opens(seal_public=bytes(32))
    assert "malformed" in stocked.uptake.troubles[PartName.BIND].why
    assert tap(stocked, 99).reason == "unknown-card"


def test_an_older_session_is_not_taken_up_again(stocked: Edge, counter: Counter) -> None:
    old = counter.opens()
    tap(stocked, 99)
    counter.opens()
    tap(stocked, 99)
    counter.publishes(old)
    assert "not-newer" in stocked.uptake.troubles[PartName.BIND].why
    assert tap(stocked, 99).reason == "unknown-card"


def test_the_next_session_takes_the_next_card(stocked: Edge, counter: Counter) -> None:
    for number in (21, 22, 23):
        counter.opens()
        assert tap(stocked, number).reason == "bind-taken"
        assert counter.took(last(stocked)).uid == uid(number)


def test_a_card_that_cannot_be_written_down_is_not_taken(
    stocked: Edge, counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter.opens()
    with monkeypatch.context() as patch:
        patch.setattr(stocked.store, "_commit", _raising(JournalUnwritable("full")))
        assert tap(stocked, 99).reason == "journal-unwritable"
    assert tap(stocked, 99).reason == "bind-taken"


def _raising(error: Exception) -> Any:
    def fail(*_: object) -> None:
        raise error

    return fail


def test_neither_files_nor_log_hold_the_uid(stocked: Edge, counter: Counter) -> None:
    with capture_logs() as logged:
        counter.opens()
        tap(stocked, 99)
        stocked.reopen()
    assert uid(99).hex() not in repr(logged).lower()
    for path in stocked.directory.iterdir():
        data = path.read_bytes()
        assert uid(99) not in data
        assert uid(99).hex().encode() not in data.lower()


def test_no_relay_moves_and_no_passage_is_awaited(stocked: Edge, counter: Counter) -> None:
    """At a turnstile: the way stays locked for the card that is bound, and is freed for the next one."""
    relay = Relay(times_itself=True, longest_ms=60_000)
    site = Site(stocked, relay)
    try:
        site.use("turnstile")
        counter.opens()
        before = list(relay.asked)
        signal = tap(stocked, 99)
        assert (signal.reason, signal.awaited, signal.failed) == ("bind-taken", False, False)
        assert relay.asked == before
        assert tap(stocked, 1).awaited
        assert len(relay.asked) == len(before) + 1
    finally:
        site.door.close()
    assert [sequence for sequence, _ in site.passages()] == [signal.sequence + 1]


def test_the_screen_says_card_received_without_green_and_the_reader_lights_no_way_in(
    stocked: Edge, counter: Counter
) -> None:
    counter.opens()
    signal = tap(stocked, 99)
    shown = view(Surroundings(), Shown(1, 0, signal), 1)
    assert shown.mode is Mode.WAITING
    assert (shown.headline.zh, shown.next.zh, shown.headline.en) == ("已收到卡片", "請稍候", "Card received")
    assert answer_to(signal) is Answer.NOT_READY
