"""Card import: the file, the notation, the verdicts, what is written, and what absent rows mean."""

import datetime as dt
import re
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from central.actions.action import ActionFailed
from central.actions.cards import importing as card_import
from central.actions.cards.import_file import CardFile
from central.actions.cards.import_plan import Reader, Row, RowVerdict, Verdict
from central.actions.cards.import_repeats import RepeatFinder
from central.actions.cards.uid_column import UidColumn
from central.actions.dates import end_ms, parse_date, start_ms
from central.store.schema import cards, list_entries, lists, member_classes, members, subjects
from protocol.allowlist import CardState, Entry
from protocol.messages import decode
from protocol.uid import CardUID, Notation
from tests.central.admin import Admin, admin_of

HEADER = "uid,member,class,valid_from,valid_until"
TAIPEI = ZoneInfo("Asia/Taipei")


def write(path: Path, *rows: str, header: str = HEADER, encoding: str = "utf-8") -> Path:
    path.write_bytes("\r\n".join((header, *rows, "")).encode(encoding))
    return path


# --- dates ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31",
        "2026/1/31",
        "2026.01.31",
        "20260131",
        "115/01/31",
        "115-1-31",
        "115.01.31",
        "1150131",
        "民國115年1月31日",
    ],
)
def test_a_date_is_read_in_iso_and_in_roc_years(text: str) -> None:
    assert parse_date(text) == dt.date(2026, 1, 31)


@pytest.mark.parametrize("text", ["98/09/01", "980901", "01/02/2026", "31.1.26"])
def test_a_date_of_several_meanings_is_not_guessed(text: str) -> None:
    with pytest.raises(ValueError, match="could be several dates"):
        parse_date(text)


@pytest.mark.parametrize("text", ["2026-02-30", "115/13/01", "soon", "2026"])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_date(text)


def test_dates_are_local_and_include_the_last_day() -> None:
    assert end_ms("2026-01-31", TAIPEI) - start_ms("2026-01-31", TAIPEI) == 86_400_000
    assert start_ms("2026-01-31", TAIPEI) == int(dt.datetime(2026, 1, 30, 16, tzinfo=dt.UTC).timestamp()) * 1_000
    assert start_ms("", TAIPEI) == end_ms("", TAIPEI) == 0


# --- the file -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp950"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_encodings_and_delimiters_are_detected(tmp_path: Path, encoding: str, delimiter: str) -> None:
    text = f"{HEADER},name\n04AABBCCDDEEFF,A-1,citizen,,,王小明\n".replace(",", delimiter)
    (tmp_path / "c.csv").write_bytes(text.encode(encoding))
    file = CardFile(tmp_path / "c.csv")
    assert [row.name for row in file.rows()] == ["王小明"]
    assert (file.delimiter, file.encoding_name) == (delimiter, "CP950" if encoding == "cp950" else "UTF-8")


def test_an_undecodable_byte_names_its_row_and_place(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_bytes(f"{HEADER},name\n1,A-1,citizen,,,".encode() + "王".encode("cp950") + b"\xff\xfe\n")
    with pytest.raises(ActionFailed, match=r"UTF-8 \(byte a4 in row 2.*CP950 \(byte ff in row 2, at byte \d+"):
        CardFile(path)
    file = CardFile(path, encoding="cp950")
    (row,) = file.rows()
    assert file.character_problem(row.name) == "character 2 is the byte ff, which is not CP950"


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("uid,membr,class,valid_from,valid_until", "column 2: there is no column 'membr'; did you mean 'member'"),
        ("uid,uid,member,class,valid_from,valid_until", "column 2: 'uid' stands twice"),
        ("uid,member,valid_from,valid_until", "column 'class' is missing"),
        ("04AABBCC,A-1,citizen,,", "is the header missing"),
    ],
)
def test_a_wrong_header_is_named(tmp_path: Path, header: str, says: str) -> None:
    with pytest.raises(ActionFailed, match=says) as caught:
        CardFile(write(tmp_path / "c.csv", header=header))
    assert "04AABBCC" not in str(caught.value)


@pytest.mark.parametrize(("start", "says"), [(b"\xff\xfeu\0", "UTF-16"), (b"PK\x03\x04", "spreadsheet")])
def test_other_kinds_of_file_are_recognised(tmp_path: Path, start: bytes, says: str) -> None:
    (tmp_path / "c.csv").write_bytes(start)
    with pytest.raises(ActionFailed, match=says):
        CardFile(tmp_path / "c.csv")


def test_an_open_quotation_mark_names_the_row(tmp_path: Path) -> None:
    path = write(tmp_path / "c.csv", '1,"A-1,citizen,,', *("2,A-2,citizen,," for _ in range(12_000)))
    with pytest.raises(ActionFailed, match="row 2: field larger"):
        list(CardFile(path).rows())


def read_rows(tmp_path: Path, *rows: str, notation: Notation | None = Notation.HEX, header: str = HEADER) -> Any:
    file = CardFile(write(tmp_path / "c.csv", *rows, header=header))
    reader = Reader(file, notation, "not known", TAIPEI)
    return [reader.read(row) for row in file.rows()]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("04AABBCCDDEEF,A-1", "2 cells where the header has 7"),
        ("04AG,A-1,citizen,,,,", "uid: character 4, 'G', is no hexadecimal digit"),
        ("123456,A-1,citizen,,,,", "Wiegand-26"),
        (",A-1,citizen,,,,", "uid: empty"),
        ("08112233,A-1,citizen,,,,", "uid-random"),
        ("01020304,A-1,citizen,,,,", "uid-placeholder"),
        ("AABBCCDD,,citizen,,,,", "member: empty"),
        ("AABBCCDD,A-1, | ,,,,", "class: empty"),
        ("AABBCCDD,A-1,citizen,98/1/1,,,", "valid_from: '98/1/1' could be several dates"),
        ("AABBCCDD,A-1,citizen,2026-02-01,2026-01-01,,", "is before valid_from"),
        ("AABBCCDD,A-1,citizen,,,,gone", "state: 'gone' is not one of active, blocked"),
        ("AABBCCDD,A-1,citizen,,,王\ue001,", "name: character 2 .U.E001. is of private use"),
        ("AABBCCDD,A\x07,citizen,,,,", "member: character 2 .U.0007."),
    ],
)
def test_a_refused_row_says_why_and_where(tmp_path: Path, row: str, says: str) -> None:
    (verdict,) = read_rows(tmp_path, row, header=HEADER + ",name,state")
    assert isinstance(verdict, RowVerdict)
    assert verdict.verdict is Verdict.REFUSED
    assert re.search(says, verdict.why), verdict.why


def test_a_full_row(tmp_path: Path) -> None:
    text = "1A:AB:BC:CD,A-1,senior | citizen,115/01/31,2026-01-31,王 小明,LOST"
    (row,) = read_rows(tmp_path, text, header=HEADER + ",name,state")
    assert isinstance(row, Row)
    assert row.uid == CardUID.from_hex("1aabbccd")
    assert row.classes == ("citizen", "senior")
    assert row.until_ms - row.from_ms == 86_400_000
    assert (row.name, row.state) == ("王 小明", CardState.LOST)


# --- the notation of a column ----------------------------------------------------------------------------------


def decide(*texts: str, known: dict[Notation, int] | None = None) -> Notation | None:
    column = UidColumn()
    for number, text in enumerate(texts, 2):
        column.add(number, text)
    return column.decide(known or {})[0]


def test_two_nxp_uids_in_one_order_tell_the_order() -> None:
    assert decide("04AABBCCDDEEFF", "04112233445566") is Notation.HEX
    assert decide("FFEEDDCCBBAA04", "66554433221104") is Notation.HEX_REVERSED


def test_one_nxp_uid_may_be_chance() -> None:
    assert decide("04AABBCCDDEEFF") is None


def test_nxp_in_both_orders_tells_nothing() -> None:
    assert decide("04AABBCCDDEE04", "0411223344AA04") is None


def test_a_known_card_tells_the_notation() -> None:
    assert decide("0713233758", "1578468138") is None
    assert decide("0713233758", "1578468138", known={Notation.DECIMAL: 2}) is Notation.DECIMAL
    assert decide("0713233758", known={Notation.DECIMAL: 1, Notation.DECIMAL_REVERSED: 1}) is None


def test_one_row_in_another_notation_leaves_the_column_undecided() -> None:
    column = UidColumn()
    for number, text in enumerate(("AABBCCDD", "4000000000", "A1B2C3D4"), 2):
        column.add(number, text)
    notation, why = column.decide({})
    assert notation is None
    assert "rows 2 and 3" in why


def test_a_typing_error_does_not_hide_the_notation() -> None:
    assert decide("04AABBCCDDEEFF", "oops", "04112233445566") is Notation.HEX


def test_an_undecided_column_makes_rows_ambiguous_unless_all_readings_agree(tmp_path: Path) -> None:
    mirror, other = read_rows(tmp_path, "AABBBBAA,A-1,citizen,,", "AABBCCDD,A-2,citizen,,", notation=None)
    assert isinstance(mirror, Row)
    assert isinstance(other, RowVerdict)
    assert other.verdict is Verdict.AMBIGUOUS


UIDS = st.sampled_from((4, 7, 10)).flatmap(lambda n: st.binary(min_size=n, max_size=n)).map(CardUID)


def eaten(uid: CardUID, notation: Notation) -> str:
    return uid.in_notation(notation).lstrip("0") or "0"


def begins_with_three_zeros(uid: CardUID, notation: Notation) -> bool:
    """Written without them, such a number is the number of a shorter UID: nobody can tell the two apart."""
    raw = uid.raw[::-1] if notation.endswith("reversed") else uid.raw
    return len(raw) > 4 and not any(raw[:3])


@settings(max_examples=400, deadline=None)
@given(UIDS, st.sampled_from(Notation), st.booleans(), st.booleans())
def test_no_uid_comes_back_as_another(
    tmp_path_factory: Any, uid: CardUID, notation: Notation, zeros_eaten: bool, stated: bool
) -> None:
    if zeros_eaten and begins_with_three_zeros(uid, notation):
        return
    text = eaten(uid, notation) if zeros_eaten else uid.in_notation(notation)
    column = UidColumn()
    column.add(2, text)
    found = notation if stated else column.decide({})[0]
    directory = tmp_path_factory.getbasetemp()
    (read,) = read_rows(directory, f"{text},A-1,citizen,,", notation=found)
    if isinstance(read, Row):
        assert read.uid == uid
    else:
        assert read.verdict in (Verdict.AMBIGUOUS, Verdict.REFUSED)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(min_size=6, max_size=6), min_size=2, max_size=8), st.sampled_from(Notation))
def test_a_decided_column_is_decided_right(tails: list[bytes], notation: Notation) -> None:
    """Cards as they are: 7 bytes by the usual maker. Whatever is decided about the column is what it was."""
    uids = [CardUID(b"\x04" + tail) for tail in tails]
    readable = [uid for uid in uids if not begins_with_three_zeros(uid, notation)]
    column = UidColumn()
    readings = [column.add(row, eaten(uid, notation)) for row, uid in enumerate(readable, 2)]
    found, _ = column.decide({})
    if found is not None:
        assert all(reading.get(found, uid) == uid for reading, uid in zip(readings, readable, strict=True))


# --- repeated rows --------------------------------------------------------------------------------------------


def repeats(*rows: Row) -> Any:
    finder = RepeatFinder()
    for row in rows:
        finder.note(row)
    finder.seal()
    for row in rows:
        finder.compare(row)
    return finder.found()


def row(number: int, uid: str, member: str, classes: tuple[str, ...] = ("citizen",), until_ms: int = 0) -> Row:
    return Row(number, CardUID.from_hex(uid), member, classes, 0, until_ms, "", None)


def test_rows_that_contradict_each_other_are_both_named() -> None:
    found = repeats(row(2, "aabbccdd", "A-1"), row(3, "11223344", "A-2"), row(4, "aabbccdd", "A-3"))
    assert set(found.collisions) == {2, 4}
    assert "row 4" in found.collisions[2]
    assert "row 2" in found.collisions[4]


def test_the_same_row_twice_is_a_copy_and_other_dates_a_contradiction() -> None:
    assert repeats(row(2, "aabbccdd", "A-1"), row(3, "aabbccdd", "A-1")) == ({}, {3: 2})
    assert set(repeats(row(2, "aabbccdd", "A-1"), row(3, "aabbccdd", "A-1", until_ms=5)).collisions) == {2, 3}


def test_a_member_with_two_cards_has_one_set_of_classes() -> None:
    assert repeats(row(2, "aabbccdd", "A-1"), row(3, "11223344", "A-1")) == ({}, {})
    assert set(repeats(row(2, "aabbccdd", "A-1"), row(3, "11223344", "A-1", ("staff",))).collisions) == {2, 3}


# --- planned and written --------------------------------------------------------------------------------------


@pytest.fixture
async def admin(city: Any, database: Any, keys: Any, database_url: str, tmp_path: Path) -> Admin:
    return admin_of(database, keys, database_url, tmp_path)


async def do_import(admin: Admin, path: Path, **values: Any) -> Any:
    values = {"domain": "library", "notation": "hex", "report": True} | values
    return await admin.act("card.import", file=path, **values)


async def everything(admin: Admin) -> list[Any]:
    async with admin.database.read() as connection:
        tables = (cards, member_classes, members, subjects, lists, list_entries)
        return [sorted(map(repr, await connection.execute(select(table)))) for table in tables]


async def test_a_dry_run_says_what_applying_does_and_changes_nothing(admin: Admin, tmp_path: Path) -> None:
    path = write(tmp_path / "c.csv", "AABBCCDD,A-1,citizen,,", "11223344,A-1,citizen,,", "0F223344,A-2,staff|citizen,,")
    before = await everything(admin)
    dry = await do_import(admin, path)
    assert await everything(admin) == before
    assert dry.verdicts["added"] == 3
    assert dry.notes == {"uid: a 4-byte NUID, which is not unique in the world": 1}
    assert (await do_import(admin, path, apply=True)).verdicts == dry.verdicts
    after = await everything(admin)
    again = await do_import(admin, path, apply=True)
    assert again.verdicts["unchanged"] == 3
    assert await everything(admin) == after


async def test_what_is_written_is_on_the_list(admin: Admin, tmp_path: Path) -> None:
    path = write(
        tmp_path / "c.csv", "AABBCCDD,A-1,senior|citizen,2026-01-01,2026-12-31", "11223344,A-1,citizen|senior,,"
    )
    await do_import(admin, path, apply=True)
    async with admin.database.read() as connection:
        entries = [decode(Entry, row.entry) for row in await connection.execute(select(list_entries))]
    assert sorted(entry.card for entry in entries) == [1, 2]
    assert {grant.name for entry in entries for grant in entry.classes} == {"citizen", "senior"}
    assert {entry.until_ms - entry.from_ms for entry in entries} == {0, 365 * 86_400_000}
    assert (await admin.act("verify")).problems == 0


async def test_a_changed_row_is_updated_and_says_what(admin: Admin, tmp_path: Path) -> None:
    header = HEADER + ",name,state"
    path = tmp_path / "c.csv"
    await do_import(admin, write(path, "AABBCCDD,A-1,citizen|student,,,王,", header=header), apply=True)
    await do_import(admin, write(path, "AABBCCDD,A-1,citizen|staff,,2026-12-31,李,lost", header=header), apply=True)
    assert admin.why(2) == "dates, state, classes, name"
    found = (await admin.act("card.find", member="A-1")).cards[0]
    assert (found.classes, found.state) == (["citizen", "staff"], "lost")
    await do_import(
        admin, write(path, "AABBCCDD,A-1,volunteer,,2026-12-31,,", header=header), apply=True, classes="add"
    )
    found = (await admin.act("card.find", member="A-1")).cards[0]
    assert (found.classes, found.state) == (["citizen", "staff", "volunteer"], "lost")
    assert (await admin.act("verify")).problems == 0


async def test_an_import_does_not_unblock(admin: Admin, tmp_path: Path) -> None:
    path = write(tmp_path / "c.csv", "AABBCCDD,A-1,citizen,,")
    await do_import(admin, path, apply=True)
    await admin.act("card.block", uid="AABBCCDD", notation="hex")
    assert (await do_import(admin, path, apply=True)).verdicts["unchanged"] == 1
    assert (await admin.act("card.find", member="A-1")).cards[0].state == "blocked"


async def test_a_uid_is_never_taken_from_another_member(admin: Admin, tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    await do_import(admin, write(path, "AABBCCDD,A-1,citizen,,"), apply=True)
    rows = ("AABBCCDD,A-2,citizen,,", "11223344,A-3,citizen,,", "11223344,A-4,citizen,,", "11223344,A-3,citizen,,")
    result = await do_import(admin, write(path, *rows), apply=True)
    assert admin.verdicts() == dict.fromkeys((2, 3, 4, 5), "collision")
    assert "'A-1'" in admin.why(2)
    assert result.verdicts["added"] == 0
    assert (await admin.act("card.find", uid="AABBCCDD", notation="hex")).cards[0].member == "A-1"


async def test_bound_cards_are_evidence_of_the_notation(admin: Admin, tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    await do_import(admin, write(path, "2A83155E,A-1,citizen,,"), apply=True)
    undecided = await do_import(admin, write(path, "0713233750,A-9,citizen,,"), notation="detect")
    assert undecided.verdicts["ambiguous"] == 1
    decided = await do_import(
        admin, write(path, "0713233758,A-1,citizen,,", "0713233750,A-9,citizen,,"), notation="detect"
    )
    assert decided.notation == "decimal"
    assert (decided.verdicts["unchanged"], decided.verdicts["added"]) == (1, 1)


async def test_blocks_of_any_size_come_to_the_same(
    admin: Admin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [f"AABB{n:04X},A-{n % 20},citizen,," for n in range(50)]
    path = write(tmp_path / "c.csv", *rows, rows[3], "AABB0004,B-1,citizen,,")
    monkeypatch.setattr(card_import, "BLOCK_ROWS", 7)
    monkeypatch.setattr(card_import, "FEW_MEMBERS", 5)
    dry = await do_import(admin, path)
    done = await do_import(admin, path, apply=True)
    assert dry.verdicts == done.verdicts
    assert (done.verdicts["added"], done.verdicts["unchanged"], done.verdicts["collision"]) == (49, 1, 2)
    numbers = sorted(card.number for card in (await admin.act("card.find", member="A-3")).cards)
    assert numbers == [1, 2, 3]
    assert (await admin.act("verify")).problems == 0


async def test_an_import_that_was_cut_short_is_made_good(
    admin: Admin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "c.csv", *(f"AABB{n:04X},A-{n},citizen,," for n in range(20)))

    async def fail(*_: Any) -> None:
        raise OSError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(card_import._Import, "publish", fail)
        with pytest.raises(OSError):
            await do_import(admin, path, apply=True)
    assert (await admin.act("verify")).problems > 0
    assert (await do_import(admin, path, apply=True)).verdicts["unchanged"] == 20
    assert (await admin.act("verify")).problems == 0


# --- absent rows ----------------------------------------------------------------------------------------------


async def hundred(admin: Admin, path: Path) -> list[str]:
    rows = [f"AABB{n:04X},A-{n // 2},citizen,," for n in range(100)]
    await do_import(admin, write(path, *rows), apply=True)
    return rows


async def test_absent_cards_are_blocked_and_only_a_few_unless_forced(admin: Admin, tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    rows = await hundred(admin, path)
    write(path, *rows[:-3])
    with pytest.raises(ActionFailed, match="3 of 100 cards"):
        await do_import(admin, path, apply=True, full=True, absent="block")
    result = await do_import(admin, path, apply=True, full=True, absent="block", force=True)
    assert result.absent == 3
    assert {card.state for card in (await admin.act("card.find", member="A-49")).cards} == {"blocked"}
    assert sorted(card.state for card in (await admin.act("card.find", member="A-48")).cards) == ["active", "blocked"]
    assert (await admin.act("verify")).problems == 0


async def test_absent_members_leave_the_domain(admin: Admin, tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    rows = await hundred(admin, path)
    write(path, *rows[:-3])
    await do_import(admin, path, apply=True, full=True, absent="remove", max_removed=0.05)
    assert {tuple(card.domains) for card in (await admin.act("card.find", member="A-49")).cards} == {()}
    assert sorted(card.state for card in (await admin.act("card.find", member="A-48")).cards) == ["active", "replaced"]
    async with admin.database.read() as connection:
        assert [tuple(row) for row in await connection.execute(select(lists.c["count"]))] == [(98,)]
    assert (await admin.act("verify")).problems == 0


async def test_a_row_that_cannot_be_read_makes_absence_unknown(admin: Admin, tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    rows = await hundred(admin, path)
    write(path, *rows[:-1], "AABB0G63,A-49,citizen,,")
    with pytest.raises(ActionFailed, match="1 rows name no readable card"):
        await do_import(admin, path, apply=True, full=True, absent="block")


async def test_a_row_refused_for_its_dates_is_not_absent(admin: Admin, tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    rows = await hundred(admin, path)
    write(path, *rows[:-1], "AABB0063,A-49,citizen,tomorrow,")
    assert (await do_import(admin, path, apply=True, full=True, absent="block")).absent == 0


async def test_keep_only_counts(admin: Admin, tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    rows = await hundred(admin, path)
    result = await do_import(admin, write(path, *rows[:10]), apply=True, full=True)
    assert result.absent == 90
    assert (await admin.act("card.find", member="A-49")).cards[0].state == "active"
