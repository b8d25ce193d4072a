"""What a person states at the screen is taken from their card, written before it is said, and lets nobody in."""

from typing import Any

import msgspec
import pytest

from edge_agent.journal.store import JournalUnwritable
from edge_agent.readers import Answer, CardRead
from edge_agent.readers.answering import answer_to
from edge_agent.release import Signal
from protocol.allowlist import CardState
from protocol.binding import Bind
from protocol.consent import ConsentDetail, Consents, Said
from protocol.envelope import new_sealing_key
from protocol.messages import Closure, Direction, Event, Kind, Outcome, PartName, Personal, decode
from protocol.policy import Policy, Refuse
from tests.edge_agent.door_site import Site
from tests.edge_agent.screen.kiosk import notice
from tests.edge_agent.test_lock import Relay
from tests.support.central_side import DEVICE, subject, uid
from tests.support.edge_side import Edge

SECONDS = 1_000
MEMBER, OTHER, STRANGER = 1, 2, 99
GIVES, TAKES_BACK = ConsentDetail("notices", 1, Said.GIVEN), ConsentDetail("notices", 1, Said.WITHDRAWN)


@pytest.fixture
def asking(stocked: Edge) -> Edge:
    """A gate whose screen asks for two purposes; one needs more than a tap."""
    publishes(stocked, notice("notices"), notice("caring", gives=False), notice("screen-names"))
    configures(stocked, consents=("caring", "notices"))
    return stocked


def publishes(edge: Edge, *notices: Any) -> None:
    held = edge.central.consents
    edge.central.consents = Consents(held.version + 1 if held else 1, notices)
    said(edge)


def configures(edge: Edge, direction: Direction = Direction.IN, **screen: Any) -> None:
    config = edge.central.config
    shown = msgspec.structs.replace(config.screen, **screen)
    edge.central.config = msgspec.structs.replace(config, version=config.version + 1, screen=shown, direction=direction)
    said(edge)


def said(edge: Edge) -> None:
    edge.central.now_ms = edge.clock.wall_ms
    edge.central.publish()
    edge.poll()


def last(edge: Edge) -> Event:
    return edge.events()[-1]


def personal(edge: Edge) -> Personal:
    query = "SELECT personal FROM events WHERE personal IS NOT NULL ORDER BY id DESC LIMIT 1"
    return decode(Personal, edge.store.connection.execute(query).fetchone()[0])


def kinds(edge: Edge) -> list[str]:
    return [event.kind for event in edge.events() if event.kind in (Kind.TAP, Kind.CONSENT)]


def test_what_was_pressed_is_stated_by_the_next_card_and_lets_nobody_in(asking: Edge) -> None:
    assert asking.gate.consenting.state("notices", 1, Said.GIVEN)
    signal = asking.tap(MEMBER)
    event = last(asking)
    assert (signal.outcome, signal.reason, signal.direction, signal.frees, signal.stated) == (
        *(Outcome.GRANTED, "consent-taken", "", False),
        GIVES,
    )
    assert (event.kind, event.decision, event.reason, event.direction) == (Kind.CONSENT, "granted", "consent-taken", "")
    assert decode(ConsentDetail, event.detail) == GIVES
    assert (personal(asking).subject, personal(asking).card, personal(asking).token) == (subject(MEMBER), 1, b"")
    assert answer_to(signal) is not Answer.GRANTED
    asking.clock.advance(5 * SECONDS)
    assert asking.tap(MEMBER).reason == "ok", "the tap after it is decided as any, and is no repeat"
    assert not last(asking).repeat_of


def test_it_is_on_disk_before_anybody_is_told(asking: Edge) -> None:
    seen: list[str] = []
    asking.ear.look = lambda signal: seen.append(last(asking).kind)
    asking.gate.consenting.state("notices", 1, Said.WITHDRAWN)
    asking.tap(MEMBER)
    assert seen == [Kind.CONSENT]


def test_only_what_is_asked_here_and_shown_just_now_can_be_stated(asking: Edge) -> None:
    assert [each.purpose for each in asking.gate.consenting.asks()] == ["caring", "notices"]
    gate = asking.gate
    assert not gate.consenting.state("screen-names", 1, Said.GIVEN), "this gate does not ask for it"
    assert not gate.consenting.state("notices", 2, Said.GIVEN), "no such version is here"
    assert not gate.consenting.state("caring", 1, Said.GIVEN), "the law asks for more than a tap"
    assert asking.tap(MEMBER).reason == "ok"
    assert gate.consenting.state("caring", 1, Said.WITHDRAWN)
    publishes(asking, notice("notices", version=2))
    assert not gate.consenting.state("notices", 1, Said.GIVEN), "a newer one is shown now"


def test_a_notice_that_is_renewed_meanwhile_counts_in_the_version_that_was_shown(asking: Edge) -> None:
    asking.gate.consenting.state("notices", 1, Said.GIVEN)
    publishes(asking, notice("notices", version=2))
    assert asking.tap(MEMBER).stated == GIVES


def test_nothing_is_stated_after_thirty_seconds_or_once_it_was_cancelled(asking: Edge) -> None:
    asking.gate.consenting.state("notices", 1, Said.GIVEN)
    asking.clock.advance(30 * SECONDS)
    assert asking.tap(MEMBER).reason == "ok"
    asking.gate.consenting.state("notices", 1, Said.GIVEN)
    asking.gate.consenting.state_nothing()
    assert asking.tap(OTHER).reason == "ok"
    asking.gate.consenting.state("notices", 1, Said.GIVEN)
    asking.clock.advance(30 * SECONDS - 1)
    assert asking.tap(STRANGER).reason == "unknown-card"
    assert last(asking).kind == Kind.CONSENT


def test_a_card_that_is_held_twice_states_it_once(asking: Edge) -> None:
    asking.gate.consenting.state("notices", 1, Said.GIVEN)
    first = asking.tap(MEMBER)
    asking.clock.advance(4 * SECONDS)
    again = asking.tap(MEMBER)
    assert (again.reason, again.repeat, again.frees, again.stated) == ("consent-taken", True, False, GIVES)
    assert last(asking).repeat_of == 1 + first.sequence
    assert asking.tap(OTHER).reason == "ok", "another person's card is a tap as any"
    asking.clock.advance(1 * SECONDS)
    assert asking.tap(MEMBER).reason == "ok", "and it does not lengthen the time"
    assert kinds(asking) == ["consent", "consent", "tap", "tap"]


def test_who_changes_their_mind_states_it_again(asking: Edge) -> None:
    for detail in (GIVES, TAKES_BACK):
        asking.gate.consenting.state(detail.purpose, detail.notice, detail.said)
        assert asking.tap(MEMBER).stated == detail
    assert [event.repeat_of for event in asking.events() if event.kind == Kind.CONSENT] == [0, 0]


@pytest.mark.parametrize(
    ("number", "state", "reason"),
    [
        (STRANGER, None, "unknown-card"),
        (7, CardState.BLOCKED, "card-blocked"),
        (7, CardState.LOST, "card-lost"),
        (7, CardState.REPLACED, "card-replaced"),
    ],
)
def test_a_card_that_speaks_for_nobody_states_nothing(
    asking: Edge, number: int, state: CardState | None, reason: str
) -> None:
    if state is not None:
        asking.central.put_card(number, state)
        said(asking)
    asking.gate.consenting.state("notices", 1, Said.GIVEN)
    signal = asking.tap(number)
    assert (signal.outcome, signal.reason, signal.stated) == (Outcome.DENIED, reason, GIVES)
    event = last(asking)
    assert (event.kind, event.decision, event.reason) == (Kind.CONSENT, "denied", reason)
    assert asking.tap(MEMBER).reason == "ok", "one card was waited for"


def test_a_badly_read_card_leaves_it_waiting(asking: Edge) -> None:
    asking.gate.consenting.state("notices", 1, Said.GIVEN)
    assert asking.gate.tap(CardRead("front", b"", b"", None)).reason == "uid-unreadable"
    assert asking.tap(MEMBER).reason == "consent-taken"


@pytest.mark.parametrize("wrong_ms", [-200_000, 200_000])
def test_by_a_wrong_clock_nothing_is_stated(asking: Edge, wrong_ms: int) -> None:
    asking.gate.consenting.state("notices", 1, Said.WITHDRAWN)
    asking.clock.wall_ms += wrong_ms
    assert asking.tap(MEMBER).reason == "clock-untrusted"
    assert (last(asking).kind, last(asking).decision) == (Kind.CONSENT, "denied")


def test_a_gate_that_is_closed_to_the_member_or_was_restarted_while_apart_takes_a_statement(asking: Edge) -> None:
    central, now_ms = asking.central, asking.clock.wall_ms
    central.policy = Policy(central.policy.version + 1, (Refuse("shut", reason="closed"),))
    config = central.config
    closed = (Closure(now_ms, now_ms + 3_600_000),)
    central.config = msgspec.structs.replace(config, version=config.version + 1, closures=closed)
    said(asking)
    asking.clock.reboot()
    asking.reopen()
    assert not asking.gate.consenting.waiting(asking.clock.monotonic_ms), "a restart forgets what was pressed"
    assert asking.gate.consenting.state("notices", 1, Said.WITHDRAWN)
    assert asking.tap(MEMBER).reason == "consent-taken"
    assert last(asking).clock == 1


def test_nobody_who_leaves_is_held_up(asking: Edge) -> None:
    asking.gate.consenting.state("notices", 1, Said.GIVEN)
    configures(asking, Direction.OUT)
    assert asking.tap(MEMBER).reason == "leaving"
    assert asking.gate.consenting.asks() == ()


def test_a_session_to_bind_a_card_goes_before_and_ends_the_waiting(asking: Edge) -> None:
    asking.central.session = Bind(DEVICE, 1, bytes(16), asking.clock.wall_ms + 60_000, new_sealing_key()[1])
    said(asking)
    asking.gate.consenting.state("notices", 1, Said.GIVEN)
    assert [asking.tap(number).reason for number in (STRANGER, MEMBER)] == ["bind-taken", "ok"]


def test_what_cannot_be_written_down_is_not_stated_and_said_so(asking: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    asking.gate.consenting.state("notices", 1, Said.GIVEN)
    with monkeypatch.context() as patch:
        patch.setattr(asking.store, "_commit", raising)
        signal = asking.tap(MEMBER)
    assert (signal.outcome, signal.reason, signal.stated) == (Outcome.DENIED, "journal-unwritable", GIVES)
    assert kinds(asking) == []
    assert asking.tap(MEMBER).reason == "ok", "nothing waits any more, and nothing is repeated"


def raising(*_: object) -> None:
    raise JournalUnwritable("full")


def test_no_relay_moves_no_history_changes_and_nothing_can_be_undone(asking: Edge) -> None:
    relay = Relay(times_itself=True, longest_ms=60_000)
    site = Site(asking, relay)
    try:
        site.use("turnstile")
        before = list(relay.asked)
        signal = states(asking)
        assert (signal.reason, signal.awaited, signal.failed) == ("consent-taken", False, False)
        assert relay.asked == before
        assert not asking.gate.amends.undo(signal.sequence)
        asking.clock.advance(5 * SECONDS)
        assert not asking.tap(MEMBER).repeat
    finally:
        site.door.close()


def states(edge: Edge) -> Signal:
    assert edge.gate.consenting.state("notices", 1, Said.GIVEN)
    return edge.tap(MEMBER)


def test_notices_stay_after_a_restart_and_an_older_set_is_refused(asking: Edge) -> None:
    held = asking.central.consents
    publishes(asking, notice("notices", version=2))
    asking.reopen()
    assert [each.version for each in asking.gate.holding.notices] == [2]
    asking.central.consents = held
    said(asking)
    assert "not-newer" in asking.uptake.troubles[PartName.CONSENTS].why
    assert [each.version for each in asking.gate.holding.notices] == [2]


def test_what_was_stated_says_nothing_of_whose_it_was_outside_its_personal_part(asking: Edge) -> None:
    signal = states(asking)
    (public,) = asking.store.connection.execute("SELECT public FROM events ORDER BY id DESC LIMIT 1").fetchone()
    assert subject(MEMBER) not in public
    assert uid(MEMBER) not in public
    assert repr(signal).count("notices") == 0
