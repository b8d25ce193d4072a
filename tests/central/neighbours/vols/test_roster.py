"""The ministry's list of volunteers: its rows give members a class, from a file that anybody may have made."""

import datetime as dt
from pathlib import Path

import pytest
import xlwt
from sqlalchemy import select

from central.actions.action import ActionFailed
from central.neighbours.vols.identity import is_identity, looks_like_identity
from central.neighbours.vols.roc import compact, month_slashed, slashed
from central.store.schema import member_classes, member_numbers, members
from tests.central.services.attendance.crew import Crew
from tests.central.services.attendance.life import ms
from tests.support import spreadsheet

ONE_ENGINE = pytest.mark.parametrize("engine", ["sqlite"])
HEAD = "志工名冊,,,\n單位：圖書館,,,\n製表日期,115/04/01,,\n"
LIST = HEAD + (
    "序號,姓名,身分證字號／紀錄冊號,加入日期,退出日期,會員編號\n"
    "1,王小明,V-001,098/09/01,,\n"
    "2,𠮷田堃,v002,110/01/02,115/06/30,\n"
    "3,Lin,V-003,,,A-3\n"
    "4,陳,V-404,,,\n"
    "5,李,A123456789,,,\n"
    "6,張,V-001,98/9/1,,\n"
    "7,吳,V-002,,,A-1\n"
)
DESK = {"team": "desk", "class_name": "volunteer-reading", "who": "chen", "report": True}


def written(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    path = tmp_path / "roster.csv"
    path.write_text(text, encoding=encoding)
    return path


async def classes(crew: Crew) -> list[tuple[str, int, int]]:
    c = member_classes.c
    query = select(members.c.reference, c.from_ms, c.until_ms).join(members, members.c.id == c.member)
    async with crew.city.database.read() as connection:
        rows = await connection.execute(query.where(c.name == "volunteer-reading").order_by(members.c.reference))
        return [tuple(row) for row in rows]


async def test_a_list_is_planned_row_by_row_and_then_written(crew: Crew, tmp_path: Path) -> None:
    path = written(tmp_path, LIST)
    planned = await crew.admin.act("volunteer.roster", file=path, **DESK)
    assert planned.verdicts == {"added": 3, "changed": 0, "unchanged": 0, "refused": 4}
    assert await classes(crew) == []
    done = await crew.admin.act("volunteer.roster", file=path, **DESK, apply=True)
    assert (done.verdicts, done.rows) == (planned.verdicts, 7)
    assert crew.admin.verdicts()[5] == "added"
    assert "nobody here has it" in crew.admin.why(8)
    assert "none is kept here" in crew.admin.why(9)
    assert "could be several dates" in crew.admin.why(10)
    assert "another member's" in crew.admin.why(11)
    assert not any("A123456789" in item.why for item in crew.admin.items), "it stands in no report"
    since, until = ms("2009-09-01 00:00"), ms("2026-07-01 00:00")
    assert await classes(crew) == [("A-1", since, 0), ("A-2", ms("2021-01-02 00:00"), until), ("A-3", 0, 0)]
    assert len(await crew.city.rows(member_numbers)) == 3, "the number of A-3 is kept from now on"
    again = await crew.admin.act("volunteer.roster", file=path, **DESK, apply=True)
    assert again.verdicts == {"added": 0, "changed": 0, "unchanged": 3, "refused": 4}


@ONE_ENGINE
async def test_who_left_is_in_the_class_no_longer_and_who_is_not_named_stays(crew: Crew, tmp_path: Path) -> None:
    await crew.admin.act("volunteer.roster", file=written(tmp_path, LIST), **DESK, apply=True)
    gone = "紀錄冊號;退出日期\nV-001;115/03/31\n"
    done = await crew.admin.act("volunteer.roster", file=written(tmp_path, gone, "cp950"), **DESK, apply=True)
    assert (done.verdicts["changed"], done.encoding) == (1, "CP950")
    assert (await classes(crew))[0] == ("A-1", ms("2009-09-01 00:00"), ms("2026-04-01 00:00"))
    assert [who for who, *_ in await classes(crew)] == ["A-1", "A-2", "A-3"]
    back = written(tmp_path, "紀錄冊號\nV-001\n")
    crew.now("2026-04-20 10:00")
    assert (await crew.admin.act("volunteer.roster", file=back, **DESK, apply=True)).verdicts["changed"] == 1
    assert (await classes(crew))[1] == ("A-1", ms("2026-04-20 10:00"), 0), "not over the gap"


@pytest.mark.system
@ONE_ENGINE
async def test_a_workbook_of_a_real_spreadsheet_program_says_the_same(crew: Crew, tmp_path: Path) -> None:
    book = spreadsheet.converted(written(tmp_path, LIST), "xls")
    planned = await crew.admin.act("volunteer.roster", file=book, **DESK)
    assert planned.verdicts == {"added": 3, "changed": 0, "unchanged": 0, "refused": 4}


@ONE_ENGINE
async def test_date_and_number_cells_are_read_as_what_they_show(crew: Crew, tmp_path: Path) -> None:
    book = xlwt.Workbook()
    sheet = book.add_sheet("名冊")
    day = xlwt.easyxf(num_format_str="YYYY/MM/DD")
    for place, text in enumerate(("紀錄冊號", "加入日期", "會員編號")):
        sheet.write(3, place, text)
    sheet.write(4, 0, 1234567)
    sheet.write(4, 1, 45352, day)
    sheet.write(4, 2, "A-3")
    book.save(str(tmp_path / "roster.xls"))
    done = await crew.admin.act("volunteer.roster", file=tmp_path / "roster.xls", **DESK, apply=True)
    assert done.verdicts["added"] == 1
    assert await classes(crew) == [("A-3", ms("2024-03-01 00:00"), 0)]


@ONE_ENGINE
async def test_a_file_that_is_no_list_is_refused_with_what_it_lacks(crew: Crew, tmp_path: Path) -> None:
    with pytest.raises(ActionFailed, match="is no header: it names none of 身分證字號"):
        await crew.admin.act("volunteer.roster", file=written(tmp_path, "uid,member\n1,2\n"), **DESK)
    damaged = tmp_path / "damaged.xls"
    damaged.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    with pytest.raises(ActionFailed, match=r"no \.xls that can be read"):
        await crew.admin.act("volunteer.roster", file=damaged, **DESK)
    bad = written(
        tmp_path, "紀錄冊號,姓名\n\udcffV,王\n".encode("utf-8", "surrogateescape").decode("latin-1"), "latin-1"
    )
    refused = await crew.admin.act("volunteer.roster", file=bad, **DESK, encoding="utf-8")
    assert refused.verdicts["refused"] == 1
    assert "which is not UTF-8" in crew.admin.why(2)


def test_days_are_counted_as_the_republic_counts_them() -> None:
    day = dt.date(2018, 7, 1)
    assert (compact(day), slashed(day), month_slashed("2009-09")) == ("1070701", "107/07/01", "098/09")
    with pytest.raises(ValueError, match="first year"):
        compact(dt.date(1911, 12, 31))


def test_identity_numbers_are_told_by_form_and_by_check_digit() -> None:
    assert all(map(is_identity, ("A123456789", "ａ１２３４５６７８９", "A800000014", "AA00000009")))
    assert not any(map(is_identity, ("A123456788", "A323456789", "V-001", "")))
    assert looks_like_identity("a123456788")
    assert not looks_like_identity("V000123")
