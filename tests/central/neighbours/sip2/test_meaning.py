"""What an answer means: good only where everything that says so is there."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.neighbours.sip2.frames import Message
from central.neighbours.sip2.meaning import Patron, Standing, loan_of, patron_of, service_of

TODAY = date(2026, 11, 29)
DATE = "20261129    120000"
FINE = " " * 14


def information(status: str = FINE, holds: str = "0000", overdue: str = "0000", **fields: str | None) -> Message:
    said = {"AA": "P1", "BL": "Y"} | fields
    present = tuple((name, value) for name, value in said.items() if value is not None)
    return Message("64", status + "001" + DATE + holds + overdue + "0" * 16, present, 1)


def flagged(*places: int) -> str:
    return "".join("Y" if at in places else " " for at in range(14))


def standing(answer: Message, expiry_field: str = "") -> Standing:
    return patron_of(answer, TODAY, expiry_field).standing


def test_a_patron_in_good_standing() -> None:
    assert patron_of(information(), TODAY) == Patron(Standing.GOOD)


def test_lost_card_says_it_is_valid_and_only_the_status_tells() -> None:
    assert standing(information(flagged(4), BL="Y")) is Standing.BLOCKED


def test_who_may_not_borrow_is_blocked() -> None:
    assert standing(information(flagged(0, 10))) is Standing.BLOCKED


@pytest.mark.parametrize("at", [1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13])
def test_what_the_library_counts_beside_is_its_own_affair(at: int) -> None:
    assert standing(information(flagged(at))) is Standing.GOOD


@pytest.mark.parametrize("value", [None, "", "y", "YES", " Y", "1", "U"])
def test_missing_or_odd_bl_is_unknown(value: str | None) -> None:
    assert standing(information(BL=value)) is Standing.UNKNOWN


def test_bl_said_both_ways_is_unknown() -> None:
    said = information()
    assert standing(said._replace(fields=(*said.fields, ("BL", "N")))) is Standing.UNKNOWN


def test_no_patron_of_this_library() -> None:
    assert patron_of(information(BL="N", holds="0003"), TODAY) == Patron(Standing.NO_PATRON)


def test_missing_number_is_unknown() -> None:
    assert standing(information(AA=None)) is Standing.UNKNOWN


@pytest.mark.parametrize("odd", ["N", "y", "0", "\ufffd", "?"])
def test_odd_status_is_unknown(odd: str) -> None:
    assert standing(information(odd + FINE[1:])) is Standing.UNKNOWN
    assert standing(information(FINE[1:] + odd)) is Standing.UNKNOWN


def test_answer_of_another_kind_is_unknown() -> None:
    assert standing(information()._replace(code="12")) is Standing.UNKNOWN


def test_status_alone_knows_no_notices() -> None:
    answer = Message("24", FINE + "001" + DATE, (("AA", "1"), ("BL", "Y")), 0)
    assert patron_of(answer, TODAY) == Patron(Standing.GOOD)
    assert patron_of(answer._replace(header=flagged(6) + "001" + DATE), TODAY) == Patron(Standing.GOOD, False, True)


def test_holds_and_overdue_items_are_counted() -> None:
    assert patron_of(information(holds="0002"), TODAY) == Patron(Standing.GOOD, hold_ready=True)
    assert patron_of(information(overdue="0001"), TODAY) == Patron(Standing.GOOD, overdue=True)
    assert patron_of(information(flagged(0), "0001", "0012"), TODAY) == Patron(Standing.BLOCKED, True, True)


@pytest.mark.parametrize("count", ["    ", "-001", "1   ", "٠٠٠١", "abcd"])
def test_a_count_that_is_none_tells_nothing(count: str) -> None:
    assert patron_of(information(holds=count, overdue=count), TODAY) == Patron(Standing.GOOD)


def test_expiry_counts_to_the_last_day_where_the_library_says_it() -> None:
    assert standing(information(PA="20261129"), "PA") is Standing.GOOD
    assert standing(information(PA="20261128    235959"), "PA") is Standing.EXPIRED
    assert standing(information(PA="20261128"), "") is Standing.GOOD
    assert standing(information(flagged(0), PA="20261128"), "PA") is Standing.BLOCKED


@pytest.mark.parametrize("value", [None, "", "soon", "20261301"])
def test_missing_or_odd_expiry_is_unknown_where_it_is_wanted(value: str | None) -> None:
    found = patron_of(information(PA=value), TODAY, "PA")
    assert (found.standing, found.why) == (Standing.UNKNOWN, "PA missing or odd")


@given(
    st.text(" YN\u3000x", min_size=0, max_size=16),
    st.lists(st.tuples(st.sampled_from(["AA", "BL", "PA", "ZZ"]), st.sampled_from(["", "Y", "N", "P1", "20270101"]))),
)
def test_good_has_every_reason(status: str, fields: list[tuple[str, str]]) -> None:
    answer = Message("64", status + "001" + DATE + "0" * 24, tuple(fields), 1)
    if standing(answer, "PA") is Standing.GOOD:
        assert {value for name, value in fields if name == "BL"} == {"Y"}
        assert {value for name, value in fields if name == "PA"} == {"20270101"}
        assert any(name == "AA" and value for name, value in fields)
        assert answer.header[0] == answer.header[4] == " "


def test_service_says_what_it_knows() -> None:
    answer = Message("98", "YYYYNN300003" + DATE + "2.00", (("BX", "YYYYYYYYNNNNNNNN"),), 0)
    assert service_of(answer) == (True, True, True, True, True)
    assert service_of(answer._replace(fields=())) == (True, False, False, False, False)
    assert not service_of(answer._replace(header="N" + answer.header[1:])).online


def test_loan_says_until_when() -> None:
    fields = (("AB", "B1"), ("AJ", "紅樓夢"), ("AH", "2026-12-20"), ("AF", "OK"), ("AF", "bye"))
    found = loan_of(Message("12", "1NUY" + DATE, fields, 0), "b1 ")
    assert found == (True, "2026-12-20", "紅樓夢", "OK bye", False)
    assert loan_of(Message("12", "0NUY" + DATE, fields, 0), "B1") == (False, "", "紅樓夢", "OK bye", False)


@pytest.mark.parametrize(("header", "item"), [("?", "B1"), (" ", "B1"), ("1", "B2")])
def test_loan_of_an_odd_answer_or_another_item_is_unknown(header: str, item: str) -> None:
    answer = Message("12", header + "NUY" + DATE, (("AB", item), ("AH", "2026-12-20")), 0)
    assert loan_of(answer, "B1").done is None
    assert loan_of(answer, "B1").due == ""


def test_return_can_call_for_attention() -> None:
    assert loan_of(Message("10", "1YNY" + DATE, (("AB", "B1"),), 0), "B1") == (True, "", "", "", True)
