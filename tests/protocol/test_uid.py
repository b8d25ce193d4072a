"""UIDs survive every notation that venues keep them in, and nothing is guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import Failure, Refused
from protocol.token import TOKEN_BYTES, fingerprint, token
from protocol.uid import LENGTHS, CardUID, Notation, Problem, candidates, is_shared_range, judge, parse
from tests.vectors import reference as ref

RAW = st.sampled_from(LENGTHS).flatmap(lambda length: st.binary(min_size=length, max_size=length))
ZEROS_FIRST = st.builds(
    lambda zeros, raw: (bytes(zeros) + raw)[:4], st.integers(1, 4), st.binary(min_size=4, max_size=4)
)
NOTATIONS = st.sampled_from(Notation)


@given(RAW | ZEROS_FIRST, NOTATIONS)
def test_uid_comes_back_from_the_text_it_was_written_as(raw: bytes, notation: Notation) -> None:
    card = CardUID(raw)
    assert parse(card.in_notation(notation), notation) == card
    assert candidates(card.in_notation(notation))[notation] == card


@given(RAW, NOTATIONS, st.lists(st.tuples(st.integers(0, 30), st.sampled_from(" :-\u00a0")), max_size=6))
def test_separators_change_nothing(raw: bytes, notation: Notation, separators: list[tuple[int, str]]) -> None:
    text = CardUID(raw).in_notation(notation)
    for place, separator in separators:
        text = text[:place] + separator + text[place:]
    assert parse(text, notation).raw == raw


@given(RAW)
def test_hex_is_read_in_any_case_and_with_0x(raw: bytes) -> None:
    for text in (raw.hex(), raw.hex().upper(), f"0x{raw.hex()}", f"0X{raw.hex()}"):
        assert parse(text, Notation.HEX).raw == raw


@given(RAW | ZEROS_FIRST, st.sampled_from((Notation.HEX, Notation.HEX_REVERSED)))
def test_one_zero_lost_from_hex_is_restored_and_more_is_refused(raw: bytes, notation: Notation) -> None:
    text = CardUID(raw).in_notation(notation)
    eaten = text.lstrip("0")
    if len(text) - len(eaten) == 1:
        assert parse(eaten, notation).raw == raw
    elif len(text) - len(eaten) > 1:
        with pytest.raises(Refused) as refused:
            parse(eaten, notation)
        assert refused.value.kind in (Failure.WRONG_LENGTH, Failure.NOT_A_NUMBER)


@given(ZEROS_FIRST, st.sampled_from((Notation.DECIMAL, Notation.DECIMAL_REVERSED)))
def test_all_zeros_lost_from_the_decimal_of_four_bytes_are_restored(raw: bytes, notation: Notation) -> None:
    eaten = CardUID(raw).in_notation(notation).lstrip("0") or "0"
    assert parse(eaten, notation).raw == raw


@given(RAW, NOTATIONS)
def test_number_of_another_length_is_never_taken_for_a_shorter_uid(raw: bytes, notation: Notation) -> None:
    text = CardUID(raw).in_notation(notation)
    assert len(parse(text, notation).raw) == len(raw)


@given(st.text(max_size=40), NOTATIONS)
def test_any_text_is_a_uid_or_refused_as_the_other_implementation_says(text: str, notation: Notation) -> None:
    text = text.strip().replace("\u00a0", "")
    assert read_here(text, notation) == read_there(text, notation)


def read_here(text: str, notation: Notation) -> bytes | str:
    try:
        return parse(text, notation).raw
    except Refused as refused:
        return refused.kind.value


def read_there(text: str, notation: Notation) -> bytes | str:
    try:
        return ref.parse_uid(text, notation)
    except ref.No as no:
        return str(no)


@given(st.text("0123456789abcdefABCDEF", max_size=27), NOTATIONS)
def test_any_digits_are_read_as_the_other_implementation_reads_them(text: str, notation: Notation) -> None:
    assert read_here(text, notation) == read_there(text, notation)


@given(st.binary(max_size=12), st.none() | st.integers(0, 255))
def test_bytes_are_judged_as_the_other_implementation_judges_them(raw: bytes, sak: int | None) -> None:
    assert judge(raw, sak) == ref.judge_uid(raw, sak)


@given(st.binary(min_size=3, max_size=3))
def test_first_byte_08_is_random_in_four_bytes_only(rest: bytes) -> None:
    assert judge(b"\x08" + rest) is Problem.RANDOM
    assert judge(b"\x08" + rest + rest) is None


@given(RAW)
def test_shared_range_is_of_four_bytes_only(raw: bytes) -> None:
    assert is_shared_range(CardUID(raw)) == (len(raw) == 4 and raw.hex()[1] == "f")


@given(RAW)
def test_printing_a_uid_shows_none_of_it(raw: bytes) -> None:
    card = CardUID(raw)
    for shown in (str(card), repr(card), f"{card}", repr([card])):
        assert raw.hex() not in shown.lower()
        assert shown.strip("[]") == f"<CardUID of {len(raw)} bytes>"


@given(st.binary(max_size=12).filter(lambda raw: len(raw) not in LENGTHS))
def test_no_other_length_makes_a_uid(raw: bytes) -> None:
    with pytest.raises(Refused) as refused:
        CardUID.from_hex(raw.hex())
    assert refused.value.kind is Failure.WRONG_LENGTH


def test_text_that_is_no_hex_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        CardUID.from_hex("not hex!")
    assert refused.value.kind is Failure.NOT_A_NUMBER


@given(RAW, RAW, st.binary(min_size=32, max_size=32))
def test_tokens_tell_uids_apart_and_say_nothing_of_them(one: bytes, other: bytes, key: bytes) -> None:
    made = token(key, CardUID(one))
    assert len(made) == TOKEN_BYTES
    assert (made == token(key, CardUID(other))) == (one == other)
    assert made == ref.token(key, one)


@given(st.binary(min_size=16, max_size=16), st.none() | st.integers(0, 254), st.binary(max_size=33))
def test_fingerprint_changes_with_the_chip(made: bytes, sak: int | None, atr: bytes) -> None:
    print_ = fingerprint(made, sak, atr)
    assert print_ == ref.fingerprint(made, sak, atr)
    assert print_ != fingerprint(made, sak, atr + b"\x00")
