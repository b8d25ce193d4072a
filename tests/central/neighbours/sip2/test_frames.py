"""SIP2 on the wire: bytes are counted, characters are split, and what is odd is refused."""

import unicodedata
from contextlib import suppress
from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.neighbours.sip2 import frames
from central.neighbours.sip2.dates import day_of, readable, written
from central.neighbours.sip2.frames import BadFrame, Unsendable
from central.neighbours.sip2.requests import checkin, checkout, login, patron_information, patron_status, status

NOW = datetime(2026, 11, 29, 12, 0, 0)
DATE = "20261129    120000"
NAME_WITH_BAR = b"\xa4|".decode("cp950")
"""A character whose second byte is the delimiter of fields."""
sendable = st.text(st.characters(exclude_categories=("C", "Zl", "Zp"), exclude_characters="|"), max_size=40)


def trailed(text: str, encoding: str = "utf-8", sequence: int = 3) -> bytes:
    data = text.encode(encoding) + b"AY%dAZ" % sequence
    return data + frames.checksum(data).encode()


def test_checksum_as_everybody_has_it() -> None:
    assert frames.write("99", "00302.00", (), 1, "ascii") == b"9900302.00AY1AZFCA5\r"


def test_requests_have_the_headers_of_the_specification() -> None:
    lengths = {"93": 4, "99": 10, "23": 23, "63": 33, "11": 40, "09": 39}
    asked = [login("u", "p", ""), status(), patron_status("", "1", NOW), patron_information("", "1", NOW)]
    for request in [*asked, checkout("", "1", "2", NOW), checkin("", "", "2", NOW)]:
        assert len(request.code + request.header) == lengths[request.code], request.code


@given(st.dictionaries(st.text("ABCDXYZ", min_size=2, max_size=2), sendable, max_size=8), st.integers(0, 30))
def test_what_is_written_is_read_back(fields: dict[str, str], sequence: int) -> None:
    wire = frames.write("10", "1YNN" + DATE, fields.items(), sequence, "utf-8")
    said = frames.read(wire[:-1], "utf-8")
    assert (said.code, said.header, said.sequence) == ("10", "1YNN" + DATE, sequence % 10)
    assert dict(said.fields) == {name: unicodedata.normalize("NFC", value) for name, value in fields.items()}


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    for line in (data, trailed("24").replace(b"24", data, 1)):
        with suppress(BadFrame):
            frames.find(line, "24", "cp950")


@given(st.integers(0, 60), st.integers(1, 255))
def test_one_changed_byte_is_noticed(at: int, by: int) -> None:
    line = bytearray(trailed("24" + " " * 14 + "001" + DATE + "AA1|BLY|"))
    line[at % len(line)] = (line[at % len(line)] + by) % 256
    if bytes(line[-4:]).upper() != trailed("24" + " " * 14 + "001" + DATE + "AA1|BLY|")[-4:]:
        with pytest.raises(BadFrame):
            frames.read(bytes(line), "latin-1")
    else:
        assert at % len(line) >= len(line) - 9 or _fails(bytes(line))


def _fails(line: bytes) -> bool:
    with pytest.raises(BadFrame):
        frames.read(line, "latin-1")
    return True


def test_a_cp950_character_whose_second_byte_is_the_delimiter_splits_nothing() -> None:
    line = trailed("24" + " " * 14 + "001" + DATE + f"AE{NAME_WITH_BAR}BLN|AA1|BLY|", "cp950")
    said = frames.read(line, "cp950")
    assert said.one("AE") == f"{NAME_WITH_BAR}BLN"
    assert said.one("BL") == "Y"


def test_such_a_character_is_never_sent() -> None:
    with pytest.raises(Unsendable, match="CN"):
        frames.write("93", "00", (("CN", NAME_WITH_BAR),), 0, "cp950")


@pytest.mark.parametrize("value", ["a|b", "a\rb", "a\nb", "a\0b", "a\x7fb", "a\u2028b", "a\u202eb", "x" * 256, "堃"])
def test_what_could_be_read_otherwise_is_never_sent(value: str) -> None:
    with pytest.raises(Unsendable) as refused:
        frames.write("63", "", (("AA", value),), 0, "cp950")
    assert "AA" in str(refused.value)
    assert value not in str(refused.value)


def test_names_come_out_composed() -> None:
    line = trailed("24" + " " * 14 + "001" + DATE + "AEJose\u0301|BLY|")
    assert frames.read(line, "utf-8").one("AE") == "José"


def test_header_is_counted_in_characters() -> None:
    with pytest.raises(BadFrame, match="short header"):
        frames.read(trailed("24" + " " * 14 + "001" + DATE[:-1]), "utf-8")


def test_a_field_said_twice_and_differently_is_no_value() -> None:
    said = frames.read(trailed("24" + " " * 14 + "001" + DATE + "BLY|BLN|AA1|AA1|"), "utf-8")
    assert said.one("BL") is None
    assert said.one("AA") == "1"
    assert said.all("BL") == ["Y", "N"]


def test_an_answer_is_found_behind_junk_but_not_behind_another_answer() -> None:
    answer = "24" + " " * 14 + "001" + DATE + "AA1|BLY|"
    assert frames.find(b"boo 24 " + trailed(answer), "24", "utf-8").one("AA") == "1"
    with pytest.raises(BadFrame):
        frames.find(trailed(answer, sequence=2) + trailed(answer), "24", "utf-8")
    with pytest.raises(BadFrame):
        frames.find(b"x" * frames.MAX_JUNK_BYTES + trailed(answer), "24", "utf-8")


def test_a_log_holds_no_value() -> None:
    wire = frames.write("63", "019" + DATE, (("AA", "21234567"), ("AD", "geheim"), ("AE", "王小明")), 1, "utf-8")
    said = frames.in_log(wire)
    assert said.startswith("63 ")
    for secret in ("21234567", "geheim", "王小明"):
        assert secret not in said


@given(st.dates(date(1900, 1, 1)))
def test_days_are_read_as_they_are_written(day: date) -> None:
    moment = datetime(day.year, day.month, day.day, 23, 59, 59)
    assert len(written(moment)) == 18
    assert day_of(written(moment)) == day == day_of(f"{day:%Y%m%d}")


@pytest.mark.parametrize("text", ["", "2026", "20261301", "20260230", "2026-11-29", "20261129 1200", "２０２６1129"])
def test_what_is_no_day_is_none(text: str) -> None:
    assert day_of(text) is None


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("20261220    000000", "2026-12-20"),
        ("20261220    213000", "2026-12-20 21:30"),
        ("20261220", "2026-12-20"),
        (" 2026-12-20 23:59 ", "2026-12-20 23:59"),
        ("民國115年12月20日", "民國115年12月20日"),
        ("", ""),
    ],
)
def test_due_dates_are_readable(said: str, read: str) -> None:
    assert readable(said) == read
