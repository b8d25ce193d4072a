"""Whose a card is, with both times: later statements hold, earlier ones are still there, a batch can be taken back."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from central.people.bindings import (
    FOR_EVER,
    Bound,
    Statement,
    aliases,
    bound_at,
    owned_since,
    rebound,
    taken_back,
    timeline,
    was_said_since,
)
from protocol.allowlist import CardState

ANN, BEN = b"ann-------------", b"ben-------------"
MOMENTS = range(12)

bounds = st.builds(Bound, st.sampled_from([ANN, BEN, b""]), st.integers(1, 3), st.sampled_from(list(CardState)))


@st.composite
def statements(draw: st.DrawFn, least: int = 1) -> list[Statement]:
    """In the order in which they were stated, the first about all of time as at a card's first binding."""
    made = [Statement(draw(bounds.filter(lambda bound: bound.member)), 0, 0, 1)]
    for known_ms in range(2, 2 + draw(st.integers(least - 1, 5))):
        since = draw(st.integers(0, 9))
        until = draw(st.sampled_from([0, *range(since + 1, 11)]))
        made.append(Statement(draw(bounds), since, until, known_ms, draw(st.sampled_from(["", "may", "june"]))))
    return made


@given(statements(), st.sampled_from(MOMENTS), st.integers(0, 8))
def test_the_newest_statement_known_then_holds(stated: list[Statement], at_ms: int, known_ms: int) -> None:
    found = [each for each in stated if each.known_ms <= known_ms and each.covers(at_ms)]
    assert bound_at(stated, at_ms, known_ms) == (found[-1].bound if found else None)


@given(statements(), st.integers(1, 8))
def test_the_time_line_says_of_each_moment_what_is_known_of_it(stated: list[Statement], known_ms: int) -> None:
    spans = timeline(stated, known_ms)
    assert all(before.until_ms and before.until_ms <= after.from_ms for before, after in pairwise(spans))
    for at_ms in MOMENTS:
        inside = [span.bound for span in spans if span.from_ms <= at_ms < (span.until_ms or FOR_EVER)]
        assert inside == [bound_at(stated, at_ms, known_ms)]


@given(statements(), st.integers(0, 9))
def test_a_card_bound_again_is_the_others_since_then_in_every_state_it_had(stated: list[Statement], since: int) -> None:
    again = [*stated, *rebound(stated, BEN, 7, since, 90, "b")]
    for at_ms in MOMENTS:
        before = bound_at(stated, at_ms)
        assert before is not None
        expected = Bound(BEN, 7, before.state) if at_ms >= since else before
        assert bound_at(again, at_ms) == expected
        assert bound_at(again, at_ms, known_ms=89) == before  # what was believed until then is not forgotten


@given(statements(), st.integers(0, 9))
def test_a_batch_taken_back_leaves_what_was_known_without_it(stated: list[Statement], since: int) -> None:
    done = [*stated, *rebound(stated, BEN, 7, since, 90, "again")]
    undone = [*done, *taken_back(done, "again", 91)]
    for at_ms in MOMENTS:
        assert bound_at(undone, at_ms) == bound_at(stated, at_ms)
        assert bound_at(undone, at_ms, known_ms=90) == bound_at(done, at_ms)


def test_a_card_that_a_batch_brought_is_nobodys_without_it() -> None:
    issued = [Statement(Bound(ANN, 2, CardState.ACTIVE), 5, 0, 5, "reissue")]
    back = taken_back(issued, "reissue", 6)
    assert back == [Statement(Bound(b"", 0, CardState.ACTIVE), 5, 0, 6)]
    assert bound_at([*issued, *back], 9) == Bound(b"", 0, CardState.ACTIVE)
    assert bound_at(issued, 4) is None


def test_what_was_stated_after_a_batch_is_seen() -> None:
    batch = Statement(Bound(ANN, 1, CardState.REPLACED), 5, 0, 5, "may")
    blocked = Statement(Bound(ANN, 1, CardState.BLOCKED), 6, 0, 6)
    assert not was_said_since([batch], "may")
    assert was_said_since([batch, blocked], "may")


def test_a_card_is_owned_since_it_came_to_its_member_whatever_its_states() -> None:
    first = Statement(Bound(ANN, 1, CardState.ACTIVE), 0, 0, 1)
    given_away = Statement(Bound(BEN, 2, CardState.ACTIVE), 4, 0, 4)
    lost = Statement(Bound(BEN, 2, CardState.LOST), 6, 0, 6)
    assert owned_since([first]) == 0
    assert owned_since([first, given_away, lost]) == 4
    assert aliases([first, given_away, lost]) == [(ANN, 1), (BEN, 2)]
