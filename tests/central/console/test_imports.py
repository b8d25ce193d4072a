"""Importing by pages: a table is planned, looked at, written, and its report taken home."""

import asyncio
import csv
import re

import msgspec
import pytest

from central.console.pages.imports import KINDS
from central.privacy.notices import ITEMS
from central.store.schema import attendance_teams, cards, members
from tests.central.city import City, uid
from tests.central.console.person import Answered, Console, Person
from tests.central.services.attendance.life import DESK

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
"""What differs between databases is tested where the actions are."""

HEADER = "uid,member,class,valid_from,valid_until,name\r\n"
ROWS = [f"{uid(n).raw.hex()},I-{n},citizen,,,王小明\r\n" for n in range(5)]
TABLE = (HEADER + "".join(ROWS) + "=cmd|x,=1+1,citizen,,,\r\n").encode()
FIELDS = {"kind": "cards", "domain": "library", "notation": "hex"}


async def sent(person: Person, file: bytes = TABLE, name: str = "cards.csv", **fields: str) -> Answered:
    await person.get("/console/imports")
    return await person.upload("/console/imports", file, name, **(FIELDS | fields))


async def done(person: Person, page: Answered) -> Answered:
    """The page once it says what became of the rows."""
    assert "/console/imports/" in page.url, page.text
    for _ in range(100):
        page = await person.get(page.url.removeprefix(person.address))
        if "<progress" not in page.text:
            return page
        await asyncio.sleep(0.1)
    raise AssertionError("it goes on and on")


async def test_a_table_is_planned_written_and_reported(city: City, console: Console) -> None:
    person = await console.sign_in("admin")
    plan = await done(person, await sent(person))
    assert await city.rows(cards) == []
    assert re.search(r'<span class="value">5</span><span class="label"><span class="badge good">', plan.text)
    assert uid(1).raw.hex() not in plan.text
    written = await done(person, await person.post(plan.url.removeprefix(console.address) + "/apply"))
    assert len(await city.rows(cards)) == 5
    assert "/apply" not in written.text
    report = await person.get(written.url.removeprefix(console.address) + "/report.csv")
    assert report.headers["Content-Type"].startswith("text/csv")
    assert "attachment" in report.headers["Content-Disposition"]
    assert len(report.text.splitlines()) == 7
    rows = list(csv.reader(report.text.lstrip("\ufeff").splitlines()))
    assert (rows[0][:3], rows[1][:2]) == (["row", "verdict", "why"], ["2", "added"])
    assert all(cell[:1] not in ("=", "+", "@", "|") for row in rows for cell in row)
    assert "cards.csv" in (await person.get("/console/imports")).text


async def test_a_name_of_a_file_is_only_text(console: Console) -> None:
    person = await console.sign_in("admin")
    page = await done(person, await sent(person, name="<script>alert(1)</script>.csv"))
    assert "<script>alert" not in page.text


async def test_what_cannot_be_read_says_so(city: City, console: Console) -> None:
    person = await console.sign_in("admin")
    assert (await sent(person, file=b"")).status == 422
    assert (await sent(person, kind="nothing")).status == 422
    assert "試算表" in (await done(person, await sent(person, file=b"PK\x03\x04"))).text
    assert (await done(person, await sent(person, domain="nowhere"))).status == 200
    assert (await done(person, await sent(person, notation="runes"))).status == 200
    assert await city.rows(members) == []


async def test_a_file_of_somebody_else_is_not_there(console: Console) -> None:
    person, auditor = await console.sign_in("admin"), await console.sign_in("auditor")
    page = (await done(person, await sent(person))).url.removeprefix(console.address)
    assert (await auditor.get(page)).status == 403
    assert (await person.get("/console/imports/0123456789abcdef")).status == 422
    for role in ("operator", "coordinator"):
        assert (await (await console.sign_in(role)).get("/console/imports")).status == 403


async def test_too_large_a_file_is_not_taken(console: Console) -> None:
    person = await console.sign_in("admin")
    answered = await sent(person, file=TABLE + b"x" * (console.config.max_upload_bytes + 1))
    assert answered.status == 413


async def test_every_kind_of_table_can_be_planned(city: City, console: Console) -> None:
    await city.add_members(2)
    person = await console.sign_in("admin")
    first = (bytes(16)).hex()
    tables = {
        "cards": HEADER + ROWS[4],
        "classes": f"member,action,class\n{first},add,senior\n",
        "flags": f"member,flags\n{first},overdue\n",
        "names": f"member,name,agreed\n{first},王小明,yes\n",
        "issue": f"uid,member\n{uid(70).raw.hex()},{first}\n",
        "rebind": f"uid,member\n{uid(1).raw.hex()},{first}\n",
        "consents": f"member,answer,date\n{first},yes,2026-01-02\n",
        "roster": f"紀錄冊號,會員編號,加入日期\nV-1,{first},098/09/01\n",
    }
    desk = {"domain": "library", "id": "desk", "version": 1, "at_ms": 0, "from_ms": 0, "venue": "main", "who": "chen"}
    await city.add(attendance_teams, desk | {"body": msgspec.msgpack.encode(DESK)})
    texts = {f"{lang}_{item}": "…" for lang in ("zh", "en") for item in ITEMS}
    await person.post("/console/privacy/notices/caring", **texts)
    assert (await sent(person, tables["consents"].encode(), kind="consents")).status == 422  # of which purpose?
    assert tables.keys() == KINDS.keys()
    assert (await sent(person, tables["issue"].encode(), kind="issue")).status == 422  # a batch has a name
    more = {"issue": {"batch": "b-1", "after_days": "3"}, "rebind": {"batch": "b-2"}}
    more["roster"] = {"team": "desk", "class_name": "volunteer-desk"}
    more["consents"] = {"purpose": "caring", "notice": "1"}
    for kind, table in tables.items():
        page = await done(person, await sent(person, table.encode(), kind=kind, **more.get(kind, {})))
        assert "badge bad" not in page.text, (kind, page.text)
        assert '/apply"' in page.text, kind
