"""What members are found by: one form of a name, its parts, and numbers without what people add to them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.people.search_keys import (
    beginning,
    is_found_by,
    is_same_name,
    name_parts,
    number_form,
    number_problem,
    rarest,
    whole,
    words,
)

NAMES = st.text(st.characters(codec="utf-8"), max_size=40)


@pytest.mark.parametrize("written", ["王小明", "王　小明", " 王 小 明 ", "王小明　", "王・小明"])
def test_a_chinese_name_is_one_word_however_it_is_spaced(written: str) -> None:
    assert words(written) == ["王小明"]
    assert name_parts(written) == ["=王小明", "^王小"]


@pytest.mark.parametrize("written", ["Mary-Jane O'Neil", "ＭＡＲＹ ｊａｎｅ o neil", "mary  jane\to’neil"])
def test_a_latin_name_is_compared_without_case_width_and_signs(written: str) -> None:
    assert words(written) == ["mary", "jane", "o", "neil"]
    assert name_parts(written) == ["=mary jane o neil", "^mar", "^jan", "^o", "^nei"]


def test_only_short_beginnings_stand_in_the_index() -> None:
    assert all(len(part) <= 4 for part in name_parts("Bartholomew Featherstonehaugh")[1:])
    assert all(len(part) <= 3 for part in name_parts("歐陽娜娜")[1:])


def test_a_text_without_a_letter_is_found_by_nothing() -> None:
    assert name_parts("--- ‘’") == []
    assert whole("·") == rarest("·") == ""
    assert not is_found_by("王小明", "…")


@pytest.mark.parametrize(
    ("sought", "is_found"),
    [
        *(("王小", True), ("王小明", True), ("王小華", False), ("小明", False)),
        *(("陳", False),),
    ],
)
def test_a_name_is_found_by_how_it_begins(sought: str, is_found: bool) -> None:
    assert is_found_by("王小明", sought) is is_found


def test_words_are_found_in_any_order_and_by_their_beginnings() -> None:
    assert is_found_by("Anna Maria Schmidt", "schmi ann")
    assert not is_found_by("Anna Maria Schmidt", "schmi bert")
    assert is_same_name("Anna  SCHMIDT", "anna schmidt")
    assert not is_same_name("Anna Schmidt", "schmidt anna")


def test_what_is_too_short_is_not_looked_for_by_its_beginning() -> None:
    assert rarest("王") == rarest("Li") == ""
    assert rarest("Li Schmidt") == "^sch"
    assert whole("Li") == "=li"


@given(NAMES, st.integers(0, 5), st.integers(1, 8))
def test_whatever_begins_a_word_leads_to_the_name(name: str, word: int, length: int) -> None:
    found = words(name)[:6]
    if not found:
        return
    sought = found[word % len(found)][:length]
    lead = rarest(sought)
    if lead and words(sought) == [sought]:
        assert lead in name_parts(name)
        assert is_found_by(name, sought)


@given(NAMES)
def test_the_form_of_a_name_is_its_own_form(name: str) -> None:
    assert words(" ".join(words(name))) == words(name)
    assert whole(name) == "" or whole(name) in name_parts(name)


@given(st.lists(NAMES, max_size=3))
def test_parts_are_few(names: list[str]) -> None:
    assert len(name_parts(" ".join(names))) <= 7


def test_a_number_is_compared_without_case_width_spaces_and_hyphens() -> None:
    assert number_form("Ａ 123-456 b") == number_form("a123456B") == "a123456b"
    assert number_form("0012") != number_form("12")


@pytest.mark.parametrize("text", ["", " - ", "\u3000", "1" * 65, "12\n3", "12\x003"])
def test_what_is_no_number_is_refused(text: str) -> None:
    assert number_problem(text)


def test_the_beginning_of_a_short_word_is_the_word() -> None:
    assert beginning("li") == "^li"
