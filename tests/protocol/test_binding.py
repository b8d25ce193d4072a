"""What is sealed for a session opens for it alone, whatever the card; and says nothing to anybody else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.binding import MAX_ATR_BYTES, Bind, BindDetail, TappedCard, takes, tapped
from protocol.envelope import new_sealing_key, open_card, seal_card
from protocol.errors import Failure, Refused
from protocol.messages import Clock, Direction, decode, encode

PRIVATE, PUBLIC = new_sealing_key()
SESSION = Bind("dev-1", 7, b"session no. 0001", 1_000, PUBLIC)
UIDS = st.sampled_from((4, 7, 10)).flatmap(lambda length: st.binary(min_size=length, max_size=length))
CARDS = st.builds(tapped, UIDS, st.none() | st.integers(0, 255), st.binary(max_size=MAX_ATR_BYTES))


@settings(max_examples=100, deadline=None)
@given(CARDS)
def test_any_card_comes_back_as_it_was_tapped_and_sealed_differently_each_time(card: TappedCard) -> None:
    one, other = seal_card(card, SESSION), seal_card(card, SESSION)
    assert one.sealed != other.sealed
    assert card.uid not in encode(one)
    assert open_card(decode(BindDetail, encode(one)), "dev-1", PRIVATE) == open_card(other, "dev-1", PRIVATE) == card
    assert decode(TappedCard, encode(card)) == card


@settings(max_examples=100, deadline=None)
@given(CARDS, st.integers(0, 400), st.integers(1, 255))
def test_any_flipped_bit_is_noticed(card: TappedCard, at: int, mask: int) -> None:
    good = bytearray(seal_card(card, SESSION).sealed)
    good[at % len(good)] ^= mask
    with pytest.raises(Refused) as refused:
        open_card(BindDetail(SESSION.session, bytes(good)), "dev-1", PRIVATE)
    assert refused.value.kind is Failure.BAD_SIGNATURE


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=512))
def test_whatever_is_said_to_be_sealed_opens_or_is_refused(sealed: bytes) -> None:
    with pytest.raises(Refused):
        open_card(BindDetail(SESSION.session, sealed), "dev-1", PRIVATE)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=120))
def test_random_bytes_are_a_card_or_refused(data: bytes) -> None:
    try:
        card = decode(TappedCard, data)
    except Refused:
        return
    assert len(card.uid) in (4, 7, 10)


def test_a_tapped_card_shows_its_length_only() -> None:
    card = tapped(bytes.fromhex("2A83155E"), 8, b"")
    for text in (repr(card), str(card), f"{card}"):
        assert "2a83155e" not in text.lower()


@given(st.integers(0, 2_000), st.sampled_from(Clock), st.sampled_from(Direction), st.booleans())
def test_a_card_is_taken_only_by_an_open_unused_session_on_the_way_in_by_a_trusted_clock(
    at_ms: int, clock: Clock, direction: Direction, used: bool
) -> None:
    wanted = at_ms < 1_000 and clock is Clock.TRUSTED and direction is Direction.IN and not used
    assert takes(SESSION, at_ms, clock, direction, SESSION.session if used else b"") is wanted
