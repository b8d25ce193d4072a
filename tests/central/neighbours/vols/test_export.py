"""A team's month as the ministry imports it: exact, as a spreadsheet reads it, and nothing is left out in silence."""

import csv
from pathlib import Path
from typing import Any

import msgspec
import pytest
import xlrd

from central.actions.action import ActionFailed
from central.neighbours.vols.layout import SHIPPED
from tests.central.neighbours.vols.conftest import IDENTITIES, coded, listed, month
from tests.central.services.attendance.crew import Crew
from tests.support import spreadsheet

ONE_ENGINE = pytest.mark.parametrize("engine", ["sqlite"])
GOLDEN = Path(__file__).with_name("march.csv")


def golden() -> list[list[str | float]]:
    """Number cells are written `#2`."""
    with GOLDEN.open(encoding="utf-8", newline="") as file:
        return [[float(text[1:]) if text[:1] == "#" else text for text in row] for row in csv.reader(file)]


def written(made: Any) -> list[list[str | float]]:
    sheet = xlrd.open_workbook(file_contents=made.file).sheet_by_index(0)
    return [[cell.value for cell in sheet.row(number)] for number in range(sheet.nrows)]


def reasons(made: Any) -> list[tuple[str, str, str, int]]:
    return [(each.member, each.day, each.reason, each.minutes) for each in made.left_out]


async def exported(crew: Crew, file: Path | None = None, **values: str) -> Any:
    return await crew.admin.act("volunteer.export", file=file, **{"team": "desk", "month": "2026-03", **values})


async def test_a_locked_month_is_the_golden_table(crew: Crew, tmp_path: Path) -> None:
    await month(crew)
    made = await exported(crew, listed(tmp_path, IDENTITIES))
    assert written(made) == golden()
    assert (made.name, made.rows, made.minutes) == ("vols-desk-2026-03.xls", 3, 125 + 210 + 60)
    assert reasons(made) == [
        ("A-1", "2026-03-09", "in-review", 0),
        ("A-3", "2026-03-05", "no-identity", 60),
        ("A-2", "2026-03-04", "not-counting", 60),
    ]


@pytest.mark.system
@ONE_ENGINE
async def test_a_real_spreadsheet_program_reads_the_golden_table_cell_by_cell(crew: Crew, tmp_path: Path) -> None:
    await month(crew)
    made = await exported(crew, listed(tmp_path, IDENTITIES))
    (tmp_path / "vols.xls").write_bytes(made.file)
    assert spreadsheet.cells(tmp_path / "vols.xls") == golden()


@ONE_ENGINE
async def test_without_a_list_the_number_of_the_stated_kind_stands_for_the_volunteer(crew: Crew) -> None:
    await month(crew)
    made = await exported(crew)
    assert [row[1] for row in written(made)[1:]] == ["V-001", "V-001", "V-002"]
    assert ("A-3", "2026-03-05", "no-number", 60) in reasons(made)
    assert (await exported(crew, identity="library-barcode")).rows == 0


@ONE_ENGINE
async def test_an_identity_with_a_wrong_digit_or_a_second_one_is_not_believed(crew: Crew, tmp_path: Path) -> None:
    await month(crew)
    path = listed(tmp_path, {"V-001": "A123456788", "V-002": "B123456780"})
    with path.open("a") as file:
        file.write("v002,A123456789\n")
    made = await exported(crew, path)
    assert (made.rows, {each[2] for each in reasons(made)}) == (0, {"in-review", "no-identity", "not-counting"})
    assert not any("A12345678" in each.why for each in made.left_out)


@ONE_ENGINE
async def test_a_month_that_is_not_approved_leaves_row_by_row_with_that_reason(crew: Crew) -> None:
    await month(crew, lock=False)
    made = await exported(crew)
    assert (made.rows, [each[2] for each in reasons(made)]) == (0, ["in-review", *["not-approved"] * 5])


async def test_a_span_nets_a_session_with_its_later_corrections(crew: Crew) -> None:
    await month(crew)
    sessions = {(each.member, each.minutes): each.session for each in await crew.sessions() if each.state == "counted"}
    crew.now("2026-04-10 09:00")
    for session, until in ((sessions["A-1", 125], "2026-03-02T11:00"), (sessions["A-2", 60], "2026-03-03T10:10")):
        await crew.act("settle", session=session, outcome="hours", until=until, why="seen", who="lin")
    crew.now("2026-05-02 09:00")
    await crew.act("approve", team="desk", month="2026-04", who="lin")
    alone = await exported(crew, month="2026-04")
    assert [row[6:8] for row in written(alone)[1:]] == [[0, 10]]
    assert reasons(alone) == [("A-1", "2026-03-02", "takes-back", -5)]
    span = await exported(crew, until="2026-04")
    assert [row[6:8] for row in written(span)[1:]] == [[2, 0], [3, 30], [1, 10]]
    assert "takes-back" not in {each[2] for each in reasons(span)}
    assert span.name == "vols-desk-2026-03-2026-04.xls"
    with pytest.raises(ActionFailed, match="before 2026-03"):
        await exported(crew, until="2026-02")
    with pytest.raises(ActionFailed, match="24 months"):
        await exported(crew, until="2029-01")


@ONE_ENGINE
async def test_a_citys_own_layout_has_codes_and_an_encoding(crew: Crew, tmp_path: Path) -> None:
    await coded(crew, item="文化服務", content="0017", area="B")
    await month(crew)
    made = await exported(crew)
    assert {each[2] for each in reasons(made)} == {"in-review", "no-code", "no-number", "not-counting"}
    own = SHIPPED.read_text().replace("[codes.item]\n", '[codes.item]\n"文化服務" = "0340"\n')
    (tmp_path / "own.toml").write_text(own.replace('encoding = ""', 'encoding = "cp950"'))
    crew.admin.config = msgspec.structs.replace(crew.admin.config, vols_layout=tmp_path / "own.toml")
    made = await exported(crew)
    assert [row[4] for row in written(made)[1:]] == ["0340", "0340"]
    assert [each.why for each in made.left_out if each.reason == "not-encodable"] == ["姓名: cp950 has no 𠮷 (U+20BB7)"]
    crew.admin.config = msgspec.structs.replace(crew.admin.config, vols_layout=tmp_path / "none.toml")
    with pytest.raises(ActionFailed, match="vols_layout"):
        await exported(crew)
