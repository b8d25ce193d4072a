"""What profiles write as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_profiles import AnswerPattern, HexBytes, NamePart, StatusWord, Version
from firmware_profiles.values import readable, version_in


def test_bytes_are_read_as_people_write_them() -> None:
    assert HexBytes("ff CA00").raw == b"\xff\xca\x00"
    assert HexBytes("FFCA00") == HexBytes("FFCA00")
    assert HexBytes("FFCA00") != AnswerPattern("FFCA00")


def test_an_x_in_a_status_word_stands_for_any_digit() -> None:
    assert StatusWord("6Cxx").fits(0x6C, 0x07)
    assert not StatusWord("6Cxx").fits(0x6D, 0x07)
    assert not StatusWord("6300").fits(0x63, 0x01)


@pytest.mark.parametrize(
    ("pattern", "answer", "fits"),
    [
        ("9000", "9000", True),
        ("9000", "9002", False),
        ("9000", "", False),
        ("9000", "90", False),
        ("9000", "019000", False),
        ("90 xx", "9002", True),  # the LEDs of an ACR122U
        ("90xx", "6300", False),
        ("e1 00 XX", "E10005", True),
        ("E1 00 *", "E100", True),
        ("E1 00 *", "E10001020304", True),
        ("E1 00 *", "E1", False),
        ("E1 00 *", "E20001", False),
    ],
)
def test_an_answer_fits_its_pattern_whole_or_from_its_beginning(pattern: str, answer: str, fits: bool) -> None:
    assert AnswerPattern(pattern).fits(bytes.fromhex(answer)) is fits


@given(st.binary(min_size=1, max_size=20))
def test_an_answer_fits_itself_and_nothing_longer(answer: bytes) -> None:
    assert AnswerPattern(answer.hex()).fits(answer)
    assert not AnswerPattern(answer.hex()).fits(answer + b"\x00")
    assert AnswerPattern(answer.hex() + "*").fits(answer + b"\x00")


@pytest.mark.parametrize("text", ["", "*", "9", "90x", "9000**", "* 9000", "90 0g", "90\u0660\u0660"])
def test_what_is_no_answer_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an answer"):
        AnswerPattern(text)


@pytest.mark.parametrize(
    ("part", "name", "found"),
    [
        ("ACR122U", "ACS ACR122U PICC Interface 00 00", True),
        ("acr122u", "ACS ACR122U 00 00", True),
        ("ACR122", "ACS ACR122U 00 00", False),
        ("ICC", "ACS ACR1281 1S Dual Reader [ACR1281 1S Dual Reader ICC] 00 00", True),
        ("ICC", "ACS ACR1281 1S Dual Reader [ACR1281 1S Dual Reader PICC] 00 01", False),
        ("Contact", "Feitian R502 [R502 Contactless Reader] 00 00", False),
        ("Contact", "Feitian R502 [R502 Contact Reader] 00 01", True),
        ("SAM", "Samsung Reader 00 00", False),
        ("a.b", "axb", False),  # no regular expression
        ("a.b", "x a.b y", True),
        ("[X Y]", "name [X Y] 00", True),
    ],
)
def test_a_part_of_a_name_is_found_whole(part: str, name: str, found: bool) -> None:
    assert NamePart(part).found_in(name) is found


@pytest.mark.parametrize(
    ("earlier", "later"), [("99.10", "202.2"), ("2", "2.1"), ("1.9", "1.10"), ("102", "200"), ("0", "0.0")]
)
def test_versions_are_compared_number_by_number(earlier: str, later: str) -> None:
    assert Version(earlier) < Version(later)
    assert Version(later) >= Version(earlier)


@pytest.mark.parametrize(
    ("text", "after", "version"),
    [
        ("ACR122U215", "ACR122U", "215"),
        ("ACR1252U_V202.2", "ACR1252U_V", "202.2"),
        ("ACR1281U_V503.1 beta", "ACR1281U_V", "503.1"),
        ("ACR1281U_V503.", "ACR1281U_V", "503"),
        ("ACR122U", "ACR122U", None),
        ("ACR122T201", "ACR122U", None),
        ("V1..2", "V", None),
        ("V99999999", "V", None),
        ("", "V", None),
    ],
)
def test_a_version_is_the_number_behind_its_mark(text: str, after: str, version: str | None) -> None:
    found = version_in(text, after)
    assert (found.text if found else None) == version


@given(st.text(max_size=40), st.text(min_size=1, max_size=5))
def test_no_text_of_a_reader_breaks_the_reading_of_its_version(text: str, after: str) -> None:
    found = version_in(text, after)
    assert found is None or f"{after}{found.text}" in text or f"{after}.{found.text}" in text.replace("..", ".")


def test_what_a_reader_says_of_itself_is_made_readable() -> None:
    assert readable(b"ACR1252U_V107\x00\x90\x00") == "ACR1252U_V107"
    assert readable(bytes(range(256))) == bytes(range(0x20, 0x7F)).decode().strip()
