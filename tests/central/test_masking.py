"""What a screen may show of a name."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from central.masking import HIDDEN, masked

HAN = st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF)
HAN_NAMES = st.text(HAN, min_size=1, max_size=20)
ANY_NAMES = st.text(max_size=70)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("王小明", "王○明"),
        ("王明", "王○"),
        ("王", "王○"),
        ("歐陽小明", "歐○○明"),
        (" 王 小 明 ", "王○明"),
        ("谷辣斯·尤達卡", "谷○○·○○卡"),
        ("瓦歷斯‧諾幹", "瓦○○·○幹"),
        ("𠮷野家", "𠮷○家"),
        ("葛\U000e0100飾區", "葛○區"),
        ("王小明(David)", "王○明"),
        ("王小明 David", "王○明"),
        ("（王小明）", "王○明"),
        ("王*明", "王○明"),
        ("王〇〇", "王○○"),
        ("○小明", "○○明"),
        ("佐藤 さくら", "佐○○○ら"),
        ("김민수", "김○수"),
        ("John Smith", "S○○○"),
        ("Smith, John", "S○○○"),
        ("WANG Xiao-Ming", "W○○○"),
        ("Martin Luther King Jr.", "K○○○"),
        ("de la Cruz, Juan", "D○○○"),
        ("Nguyễn Văn Ân", "Â○○○"),
        ("O'Brien", "O○○○"),
        ("Madonna", "M○○○"),
        ("S○○○", "S○○○"),
        ("Иван Петров", "П○○○"),
    ],
)
def test_names_are_masked_by_the_written_rule(name: str, shown: str) -> None:
    assert masked(name) == shown


@pytest.mark.parametrize("name", ["", "  ", "○○", "***", "*明", "12345", "·", ",", "()", "王" * 65])
def test_what_is_no_name_is_refused_without_being_quoted(name: str) -> None:
    with pytest.raises(ValueError, match="no letter to show|65 characters, 64 allowed") as caught:
        masked(name)
    assert not name.strip() or name not in str(caught.value)


@given(HAN_NAMES)
def test_of_a_han_name_the_first_and_the_last_letter_are_shown_and_no_other(name: str) -> None:
    shown = masked(name)
    letters = unicodedata.normalize("NFC", name)
    assert shown[0] == letters[0]
    assert len(shown) == max(2, len(letters))
    assert shown[1:-1] == HIDDEN * (len(shown) - 2)
    assert shown[-1] == (letters[-1] if len(letters) > 2 else HIDDEN)


@given(ANY_NAMES)
@example("ß")
@example("*明")
@example("ŉ a")
def test_every_name_is_refused_or_masked_and_masking_again_changes_nothing(name: str) -> None:
    try:
        shown = masked(name)
    except ValueError:
        return
    assert HIDDEN in shown
    assert 2 <= len(shown) <= 64
    assert sum(character not in (HIDDEN, "·") for character in shown) <= 2
    assert masked(shown) == shown


@given(
    st.lists(st.sampled_from(["Anna", "BERTA", "Carl-Otto", "dora", "jr.", "III", "王", "小"]), min_size=1, max_size=5)
)
def test_no_two_letters_that_stand_together_are_shown(words: list[str]) -> None:
    name = " ".join(words)
    try:
        shown = masked(name)
    except ValueError:
        return
    plain = name.replace(" ", "")
    pairs = {plain[at : at + 2] for at in range(len(plain) - 1)}
    assert not any(pair in shown for pair in pairs)
