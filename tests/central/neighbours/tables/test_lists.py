"""A list that leaves comes in again by its import and changes nothing, whatever encoding it took."""

import secrets
from pathlib import Path
from typing import Any

import pytest

from central.actions.action import ActionFailed
from central.neighbours.tables.csv_text import CsvWriter, Encoding
from central.neighbours.tables.lists import LISTS
from central.store.schema import member_classes, member_flags, offers, registrations
from tests.central.neighbours.tables.conftest import Exporter
from tests.central.services.attendance.life import ms

OFFERS = """id,partner,title_zh,title_en,class,from,until
o-1,書店,'=八折,,citizen|senior,2026-01-01,
o-2,茶,買一送一,+1,,,
"""
SERVED = {"class_name": "volunteer-reading", "who": "chen"}


async def listed(exporter: Exporter, what: str, **values: str) -> tuple[Any, list[list[str]]]:
    id_ = secrets.token_hex(16)
    await exporter.perform("export.declare", id=id_, what=what, **values)
    done = await exporter.crew.admin.act("export.list", id=id_)
    return done, exporter.crew.admin.items


def written(tmp_path: Path, rows: list[list[str]], encoding: Encoding = "utf-8-sig") -> Path:
    header, *others = rows
    writer = CsvWriter(header, encoding)
    path = tmp_path / "again.csv"
    path.write_bytes(writer.head() + writer.lines(others))
    return path


async def seed(exporter: Exporter, tmp_path: Path) -> None:
    admin = exporter.crew.admin
    path = tmp_path / "seed.csv"

    async def put(name: str, text: str, **values: Any) -> None:
        path.write_text(text, encoding="utf-8")
        done = await admin.act(name, file=path, apply=True, **values)
        assert done.verdicts["refused"] == 0, admin.items

    await put(
        "member.classes", "member,action,class,from,until\nA-1,add,senior,2025-01-01,2030-12-31\n", domain="library"
    )
    flags = "member,flags,until\nA-1,hold-ready|overdue,2026-12-31\nA-2,hold-ready,\n"
    await put("card.flags", flags, domain="library")
    await put("offer.import", OFFERS)
    times = {"since": "2026-05-01T09:00", "until": "2026-05-01T12:00"}
    await admin.act("activity.put", id="walk", venue="main", rule="members", **times)
    await put("activity.register", "member\nA-1\nA-3\n", activity="walk")
    await put("volunteer.roster", "紀錄冊號,會員編號,加入日期\nV-1,A-1,098/09/01\nV-2,A-2,\n", team="desk", **SERVED)


IMPORTS: dict[str, tuple[dict[str, str], dict[str, Any], Any]] = {
    "classes": ({"domain": "library"}, {"domain": "library"}, member_classes),
    "flags": ({"domain": "library"}, {"domain": "library"}, member_flags),
    "offers": ({}, {"full": True}, offers),
    "registrations": ({"activity": "walk"}, {"activity": "walk"}, registrations),
    "volunteers": (
        {"domain": "library", "class_name": "volunteer-reading"},
        {"team": "desk", "class_name": "volunteer-reading"},
        member_classes,
    ),
}


async def test_every_list_comes_in_again_and_changes_nothing(exporter: Exporter, tmp_path: Path) -> None:
    await seed(exporter, tmp_path)
    assert IMPORTS.keys() == LISTS.keys()
    for encoding in ("utf-8-sig", "cp950"):
        for what, (by, values, table) in IMPORTS.items():
            done, rows = await listed(exporter, what, **by)
            assert (done.rows, done.left_out) == (len(rows) - 1, 0), what
            assert done.rows >= 2, what
            before = sorted(map(tuple, await exporter.crew.city.rows(table)))
            path = written(tmp_path, rows, encoding)
            again = await exporter.crew.admin.act(done.imported_by, file=path, apply=True, report=True, **values)
            assert again.verdicts["unchanged"] == done.rows, (what, exporter.crew.admin.items)
            assert sorted(map(tuple, await exporter.crew.city.rows(table))) == before, what


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_what_no_row_can_say_is_told_with_the_reason(exporter: Exporter, tmp_path: Path) -> None:
    admin = exporter.crew.admin
    await admin.act("card.flag", member="A-1", domain="library", set=["hold-ready"], until="2026-12-31")
    await admin.act("card.flag", member="A-1", domain="library", set=["overdue"])
    done, rows = await listed(exporter, "flags", domain="library")
    assert (rows, done.left_out) == ([["member", "flags", "until"]], 1)
    assert done.reasons == [("A-1", "its notices end on different days, and a row has one day")]
    short = {"name": "hour", "from_ms": ms("2026-03-01 09:00"), "until_ms": ms("2026-03-01 10:00")}
    member = next(row.member for row in await exporter.crew.city.rows(member_classes))
    await exporter.crew.city.add(member_classes, {"member": member, **short})
    done, rows = await listed(exporter, "classes", domain="library")
    assert (done.left_out, "hour lasts less than a day" in done.reasons[0][1]) == (1, True)
    with pytest.raises(ActionFailed, match="domain: the list of classes goes by it"):
        await listed(exporter, "classes")
    with pytest.raises(ActionFailed, match=r"there is no activity .*\(`activity put`\)"):
        await listed(exporter, "registrations", activity="moon")
