"""Lists by a page: stated in the audit log, whole or not at all."""

import json

import pytest

from central.keys import Keys
from central.store.database import Database
from central.store.schema import members
from tests.central.admin import admin_of
from tests.central.city import City
from tests.central.console.person import Console

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
CLASSES = {"what": "classes", "domain": "library", "encoding": "cp950", "purpose": "for the census office"}


async def test_an_admin_takes_a_list_away_in_the_encoding_that_was_chosen(
    city: City, console: Console, database: Database, keys: Keys, database_url: str
) -> None:
    (member,) = await city.add_members(1)
    await city.change(members, members.c.id == member, reference="林堃")
    person = await console.sign_in("admin", name="ada")
    assert "CP950" in (await person.get("/console/exports")).text
    refused = await person.post("/console/exports", **CLASSES)
    assert (refused.status, "第 2 列「member」欄：CP950 沒有「堃」" in refused.text) == (422, True)
    async with person._http.post(
        f"{console.address}/console/exports", data={"csrf": person.csrf, **CLASSES, "mark": "□"}
    ) as answer:
        assert (await answer.read()).decode("cp950") == "member,action,class,from,until\r\n林□,add,citizen,,\r\n"
        assert answer.headers["Content-Disposition"] == 'attachment; filename="classes.csv"'
    assert (await person.post("/console/exports", what="classes")).status == 422
    assert (await person.post("/console/exports", **{**CLASSES, "encoding": "ebcdic"})).status == 422
    log = (await admin_of(database, keys, database_url, console.config.data_dir).act("audit.list")).entries
    declared = [entry for entry in log if entry.action == "export.declare" and entry.outcome == "done"]
    assert ("ada", "for the census office") in {(entry.account, entry.params["purpose"]) for entry in declared}
    assert {"export.list"} <= {entry.action for entry in log if entry.outcome == "looked"}
    assert "林堃" not in json.dumps([entry.params for entry in log])
