"""CSV in the encoding of whoever reads it: what it lacks is named, what could be computed is shown."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.neighbours.tables.csv_text import CsvWriter, Unencodable, cell, unguarded

COLUMNS = ("member", "name")


@pytest.mark.parametrize("character", "堃喆煊峯𠮷")
def test_what_cp950_lacks_is_refused_by_row_column_and_character(character: str) -> None:
    writer = CsvWriter(COLUMNS, "cp950")
    assert writer.head() == b"member,name\r\n"
    writer.lines([["A-1", "王小明"]])
    with pytest.raises(Unencodable, match=f"row 3, column name: CP950 has no {character}") as refused:
        writer.lines([["A-2", f"林{character}"]])
    assert (refused.value.row, refused.value.column, refused.value.character) == (3, "name", character)


def test_what_is_lacking_is_replaced_by_the_mark_that_was_chosen_and_told() -> None:
    writer = CsvWriter(COLUMNS, "cp950", "□")
    text = (writer.head() + writer.lines([["A-1", "林堃喆"], ["A-2", "王"]])).decode("cp950")
    assert text == "member,name\r\nA-1,林□□\r\nA-2,王\r\n"
    assert [(each.row, each.column, each.character) for each in writer.replaced] == [
        (2, "name", "堃"),
        (2, "name", "喆"),
    ]
    assert writer.count == 2
    for mark in ("堃", "=", "+"):
        with pytest.raises(ValueError, match="another mark"):
            CsvWriter(COLUMNS, "cp950", mark)


def test_utf8_comes_with_its_mark_or_without() -> None:
    assert CsvWriter(COLUMNS).head()[:3] == b"\xef\xbb\xbf"
    assert CsvWriter(COLUMNS, "utf-8").head() == b"member,name\r\n"
    assert CsvWriter(COLUMNS, "utf-8").lines([["a,b", 'c"d'], [1, None]]) == b'"a,b","c""d"\r\n1,\r\n'


@given(st.text(alphabet=st.sampled_from("'=+-@|%\t 1.aA\n\u200b＝"), max_size=6))
def test_a_guarded_text_comes_back_as_it_was(text: str) -> None:
    guarded = cell(text)
    assert unguarded(guarded) == text
    assert guarded[:1] not in ("=", "@", "|", "%", "＝")


def test_a_formula_is_guarded_wherever_it_stands_in_a_row() -> None:
    said = CsvWriter(COLUMNS, "utf-8").lines([["=1+1", "'=1+1"], ["-5", "O'Neil"]]).decode()
    assert list(csv.reader(io.StringIO(said))) == [["'=1+1", "''=1+1"], ["-5", "O'Neil"]]
