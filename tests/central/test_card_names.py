"""Names for screens out of a table: masked at once, planned before they are written, never kept as they came."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from central.actions.action import ActionFailed
from central.lists import refresh_domain
from central.publish import manifest_for
from central.store.schema import members, metadata, name_lists, names, subjects
from protocol.messages import GateConfig, MaskedName, Names, ScreenConfig, decode
from tests.central.actors import NOW_MS
from tests.central.admin import Admin, admin_of
from tests.central.city import City

HEADER = "member,name,agreed\n"


@pytest.fixture
async def admin(city: City, database: Any, keys: Any, database_url: str, tmp_path: Path) -> Admin:
    """Members M-0 to M-4, and somebody who is not in the domain."""
    for n, id_ in enumerate(await city.add_members(5)):
        await city.change(members, members.c.id == id_, reference=f"M-{n}")
    await city.add(members, {"id": b"elsewhere" + bytes(7), "reference": "E-1", "created_ms": NOW_MS})
    await city.configure(GateConfig(0, "door-1", "door", screen=ScreenConfig(names=True)))
    async with database.write() as connection:
        await refresh_domain(connection, keys, "library", NOW_MS)
        await manifest_for(connection, keys, city.device.id, NOW_MS)
    return admin_of(database, keys, database_url, tmp_path)


async def put(admin: Admin, tmp_path: Path, rows: str | bytes, apply: bool = True, **more: Any) -> Any:
    file = tmp_path / "names.csv"
    file.write_bytes(rows if isinstance(rows, bytes) else (HEADER + rows).encode())
    return await admin.act("card.names", file=file, domain="library", apply=apply, report=True, **more)


async def shown(city: City) -> dict[str, str]:
    """What is published, by the city's own number of the member."""
    (row,) = await city.rows(name_lists)
    published = decode(Names, row.body)
    assert (published.domain, published.version) == ("library", row.version)
    references = {row.id: row.reference for row in await city.rows(members)}
    who = {row.subject: references[row.member] for row in await city.rows(subjects)}
    table = {references[row.member]: row.name for row in await city.rows(names)}
    found = {who[each.subject]: each.name for each in published.names}
    assert found == table
    return found


async def test_names_of_those_who_agreed_are_published_masked(admin: Admin, city: City, tmp_path: Path) -> None:
    rows = "M-0,王小明,yes\nM-1,John Smith,是\nM-2,李四,no\n"
    planned = await put(admin, tmp_path, rows, apply=False)
    assert await city.rows(names) == await city.rows(name_lists) == []
    done = await put(admin, tmp_path, rows)
    assert planned.verdicts == done.verdicts == {"added": 2, "changed": 0, "unchanged": 1, "removed": 0, "refused": 0}
    assert (planned.applied, done.applied, done.names, done.gates) == (False, True, 2, ["door-1"])
    assert await shown(city) == {"M-0": "王○明", "M-1": "S○○○"}
    assert [(item.row, item.shown) for item in admin.items] == [(2, "王○明"), (3, "S○○○"), (4, "")]
    assert (await admin.act("verify")).problems == 0


async def test_the_name_itself_is_stored_nowhere(admin: Admin, city: City, tmp_path: Path) -> None:
    await put(admin, tmp_path, "M-0,王小明,yes\nM-1,Theodora Papadopoulos,yes\n")
    for table in metadata.sorted_tables:
        cells = [value for row in await city.rows(table) for value in row]
        held = b"".join(value if isinstance(value, bytes) else str(value).encode() for value in cells)
        assert not any(secret.encode() in held for secret in ("小明", "王小", "Papad", "heodora")), table.name


async def test_a_name_changes_and_goes_when_it_is_said(admin: Admin, city: City, tmp_path: Path) -> None:
    await put(admin, tmp_path, "M-0,王小明,yes\nM-1,李四,yes\nM-2,陳大文,yes\n")
    (before,) = await city.rows(name_lists)
    done = await put(admin, tmp_path, "M-0,王大明,yes\nM-1,,no\nM-2,陳小文,yes\nM-3,歐陽小明,yes\nM-4,,否\n")
    # 王小明 and 王大明 look the same when they are masked
    assert done.verdicts == {"added": 1, "changed": 0, "unchanged": 3, "removed": 1, "refused": 0}
    assert await shown(city) == {"M-0": "王○明", "M-2": "陳○文", "M-3": "歐○○明"}
    (after,) = await city.rows(name_lists)
    assert after.version == before.version + 1
    await put(admin, tmp_path, "M-0,王小明,yes\n")
    assert (await city.rows(name_lists))[0].version == after.version
    await put(admin, tmp_path, "M-0,林小明,yes\n")
    assert (await shown(city))["M-0"] == "林○明"


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (",王小明,yes", "member: 0 characters"),
        ("x" * 129 + ",王小明,yes", "member: 129 characters"),
        ("M-0,王小明,maybe", "agreed: neither yes nor no"),
        ("M-0,王小明,", "agreed: neither yes nor no"),
        ("M-0,,yes", "name: no letter to show"),
        ("M-0,12345,yes", "name: no letter to show"),
        ("M-0," + "王" * 65 + ",yes", "name: 65 characters"),
        ("M-0,王\x07明,yes", r"name: character 2 \(U\+0007\)"),
        ("M-0,王\ue000明,yes", r"name: character 2 \(U\+E000\) is of private use"),
        ("M-0,王小明", "2 cells where the header has 3"),
        ("M-0,王小明,yes,no", "4 cells where the header has 3"),
        ("E-1,王小明,yes", "member: not in this domain"),
        ("nobody,王小明,yes", "member: not in this domain"),
        ("nobody,,no", "member: not in this domain"),
    ],
)
@pytest.mark.parametrize("engine", ["sqlite"])
async def test_a_bad_row_is_refused_with_its_place_and_the_others_are_written(
    admin: Admin, city: City, tmp_path: Path, row: str, says: str
) -> None:
    done = await put(admin, tmp_path, f"M-1,李四,yes\n{row}\n")
    assert (done.verdicts["added"], done.verdicts["refused"]) == (1, 1)
    assert admin.verdicts()[3] == "refused"
    with pytest.raises(AssertionError, match=says):
        raise AssertionError(admin.why(3))
    assert "王小明" not in admin.why(3)
    assert await shown(city) == {"M-1": "李○"}


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_rows_that_contradict_each_other_are_all_refused(admin: Admin, city: City, tmp_path: Path) -> None:
    rows = "M-0,王小明,yes\nM-1,李四,yes\nM-0,,no\nM-1,李五,yes\nM-0,王小明,yes\nM-2,陳大文,yes\n"
    done = await put(admin, tmp_path, rows)
    assert admin.verdicts() == {
        **dict.fromkeys((2, 4, 6), "refused"),
        **{3: "added", 5: "unchanged", 7: "added"},
    }
    assert "row 4 contradicts it" in admin.why(2)
    assert done.rows == 6
    assert await shown(city) == {"M-1": "李○", "M-2": "陳○文"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp950"])
@pytest.mark.parametrize("engine", ["sqlite"])
async def test_the_encodings_that_agencies_send(admin: Admin, city: City, tmp_path: Path, encoding: str) -> None:
    done = await put(admin, tmp_path, (HEADER + "M-0,許功蓋,是\n").encode(encoding))
    assert done.encoding == ("CP950" if encoding == "cp950" else "UTF-8")
    assert await shown(city) == {"M-0": "許○蓋"}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "column 'member' is missing"),
        (b"member,name\n", "column 'agreed' is missing"),
        (b"member,name,agree\n", "there is no column 'agree'; did you mean 'agreed'"),
        (b"member;name;agreed;agreed\n", "'agreed' stands twice"),
        (HEADER.encode() + b'M-0,"x' + b"x,yes\n" * 30_000, "a quotation mark left open"),
        (HEADER.encode("utf-16"), "^the file is UTF-16"),
        (b"PK\x03\x04", "is a spreadsheet"),
        (HEADER.encode() + b"M-0,\xff\xff,yes\n", "neither UTF-8 .*byte ff in row 2"),
    ],
)
@pytest.mark.parametrize("engine", ["sqlite"])
async def test_what_is_no_table_of_names_is_refused_whole(admin: Admin, tmp_path: Path, data: bytes, says: str) -> None:
    with pytest.raises(ActionFailed, match=says):
        await put(admin, tmp_path, data)


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_a_stated_encoding_that_does_not_fit_names_row_and_character(
    admin: Admin, city: City, tmp_path: Path
) -> None:
    await put(admin, tmp_path, HEADER.encode() + b"M-0,\xe7\x8e,yes\nM-1,Li,yes\n", encoding="utf-8")
    assert "name: character 1 is the byte e7, which is not UTF-8" in admin.why(2)
    assert await shown(city) == {"M-1": "L○○○"}


async def test_who_leaves_the_domain_leaves_the_names(admin: Admin, city: City, tmp_path: Path) -> None:
    await put(admin, tmp_path, "M-0,王小明,yes\nM-1,李四,yes\n")
    (tmp_path / "cards.csv").write_text("uid,member,class,valid_from,valid_until\n04000000000001,M-1,citizen,,\n")
    full = {"notation": "hex", "full": True, "absent": "remove", "force": True, "apply": True}
    done = await admin.act("card.import", file=tmp_path / "cards.csv", domain="library", **full)
    assert done.absent > 0
    assert await shown(city) == {"M-1": "李○"}
    assert (await admin.act("verify")).problems == 0


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_more_than_are_published_is_refused_before_anything_is_written(
    admin: Admin, city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("central.actions.cards.names.MAX_NAMES", 2)
    for apply in (False, True):
        with pytest.raises(ActionFailed, match="library would have 3 names, 2 are published"):
            await put(admin, tmp_path, "M-0,王小明,yes\nM-1,李四,yes\nM-2,陳大文,yes\n", apply=apply)
    assert await city.rows(names) == []
    monkeypatch.setattr("central.actions.cards.names.MAX_ROWS", 2)
    with pytest.raises(ActionFailed, match="has more than 2 rows"):
        await put(admin, tmp_path, "M-0,王小明,yes\nM-1,李四,yes\nM-2,陳大文,no\n")
    (tmp_path / "names.csv").write_text(HEADER)
    with pytest.raises(ActionFailed, match="there is no domain 'x'"):
        await admin.act("card.names", file=tmp_path / "names.csv", domain="x")


async def test_ten_thousand_names_are_one_list(admin: Admin, city: City, tmp_path: Path) -> None:
    numbers = range(10_000, 20_010)
    ids = [n.to_bytes(4) + bytes(12) for n in numbers]
    people = zip(numbers, ids, strict=True)
    await city.add(members, *({"id": id_, "reference": f"N-{n}", "created_ms": 1} for n, id_ in people))
    await city.add(subjects, *({"domain": "library", "member": id_, "subject": id_[::-1]} for id_ in ids))
    done = await put(admin, tmp_path, "".join(f"N-{n},王小明,yes\n" for n in numbers))
    assert done.names == 10_010
    async with city.database.read() as connection:
        body = (await connection.execute(select(name_lists.c.body))).scalar_one()
    published = decode(Names, body).names
    assert published[0] == MaskedName(min(id_[::-1] for id_ in ids), "王○明")
    assert len(published) == 10_010
