"""The page of library systems, and the counter on it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from central.actions.cards.member_index import LIBRARY_BARCODE, put_number
from central.keys import Keys
from central.store.database import Database
from central.store.schema import events, gates, library_patrons, subjects
from protocol.messages import Personal, encode
from tests.central.actors import NOW_MS
from tests.central.city import City, uid
from tests.central.console.person import Console, console_over
from tests.support.sip2_server import Patron, Sip2Server

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
async def library(city: City) -> AsyncIterator[Sip2Server]:
    """Member 0 is its patron P0."""
    (member,) = await city.add_members(1)
    async with city.database.write() as connection:
        await put_number(connection, city.keys, LIBRARY_BARCODE, "P0", member, NOW_MS)
    async with Sip2Server().serving() as server:
        server.patrons, server.titles = {"P0": Patron(holds="0001")}, {"B1": "紅樓夢"}
        yield server


@pytest.fixture
async def console(
    city: City, database: Database, keys: Keys, database_url: str, tmp_path: Path, library: Sip2Server
) -> AsyncIterator[Console]:
    there = {"id": "tc", "domain": "library", "host": "127.0.0.1", "port": library.port, "tls": "none"}
    settings = {"libraries": [there | {"answer_s": 0.2}]}
    async with console_over(database, keys, database_url, tmp_path / "data", **settings) as made:
        yield made


async def test_an_operator_asks_about_a_member_and_lends_a_book(
    console: Console, city: City, library: Sip2Server
) -> None:
    ana = await console.sign_in("admin")
    page = await ana.get("/console/libraries")
    assert "尚未查詢" in page.text
    asked = await ana.post("/console/libraries/tc/refresh", member=bytes(16).hex())
    assert "借閱資格正常" in asked.text
    assert [row.standing for row in await city.rows(library_patrons)] == ["good"]
    olga = await console.sign_in("operator", venues=("main",))
    page = await olga.get("/console/libraries")
    assert "連線正常" in page.text
    card = uid(0).raw.hex()
    lent = await olga.post("/console/libraries/checkout", library="tc", item="B1", uid=card, notation="hex", member="")
    assert "已借出，應還日 2026-12-20 23:59：紅樓夢" in lent.text
    assert lent.url.endswith("/console/libraries")  # loading it again lends nothing
    again = await olga.post("/console/libraries/checkout", library="tc", item="B1", uid=card, notation="hex", member="")
    assert "圖書館不允許：此館藏不可外借" in again.text
    library.plan.append("drop")
    lost = await olga.post("/console/libraries/return", library="tc", item="B1")
    assert "不要直接重試" in lost.text
    assert library.loans == {}


async def test_a_library_of_another_domain_is_not_shown(console: Console, city: City, library: Sip2Server) -> None:
    ana = await console.sign_in("admin")
    await ana.get("/console/libraries")
    await ana.post("/console/libraries/tc/refresh", member="")
    eve = await console.sign_in("operator", venues=("elsewhere",))
    page = await eve.get("/console/libraries")
    assert "library-tc" not in page.text
    refused = await eve.post("/console/libraries/return", library="tc", item="B1")
    assert refused.status == 403
    assert [text for text in library.heard if text.startswith("09")] == []


async def test_what_is_wrong_with_a_library_is_said_in_words(console: Console, library: Sip2Server) -> None:
    library.online = "N"
    ana = await console.sign_in("admin")
    await ana.get("/console/libraries")
    refused = await ana.post("/console/libraries/tc/check")
    assert refused.status == 422
    assert "off line" in refused.text
    library.online = "Y"
    assert "tc 連線正常，費時" in (await ana.post("/console/libraries/tc/check")).text


async def test_the_counter_waits_for_the_next_card(
    console: Console, city: City, library: Sip2Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("central.actions.neighbours.counter_tap.LOOK_EVERY_S", 0.01)
    await city.change(gates, gates.c.id == "door-1", kind="counter")
    olga = await console.sign_in("operator", venues=("main",))
    ana = await console.sign_in("admin")
    await ana.get("/console/libraries")
    await ana.post("/console/libraries/tc/refresh", member="")
    assert "等候下一張卡" in (await olga.get("/console/libraries")).text
    (subject,) = [row.subject for row in await city.rows(subjects)]
    tap = {"device": "door-1-device", "epoch": bytes(8), "sequence": 1, "at_ms": NOW_MS + 500, "gate": "door-1"}
    tap |= {"kind": "tap", "direction": "in", "decision": "granted", "reason": "ok", "rule": "members", "repeat_of": 0}
    personal = encode(Personal(bytes(16), subject=subject, card=1))
    await city.add(events, tap | {"outcome": "accepted", "personal": personal, "detail": None})
    found = await olga.post("/console/libraries/find", gate="door-1")
    reference = bytes(16).hex()
    assert f'name="member" type="text" value="{reference}"' in found.text
    lent = await olga.post("/console/libraries/checkout", library="tc", item="B1", uid="", member=reference)
    assert "已借出" in lent.text
    assert library.loans == {"B1": "P0"}
