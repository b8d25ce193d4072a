"""The pages of events to others: added, tried, paused, sent again, removed; the secret is shown once."""

import re

import pytest

from central.neighbours.events.cloud_events import Outgoing
from central.neighbours.events.letters import put
from central.neighbours.events.store import change
from tests.central.actors import NOW_MS
from tests.central.city import City
from tests.central.console.person import PASSWORD, Console

SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]+")
TAP = "tw.tapgate.tap.v1"
ADDED = {"id": "books", "types": TAP, "webhook": "https://hooks.example/"}


async def test_a_system_is_added_tried_paused_and_removed(console: Console, city: City) -> None:
    chief = await console.sign_in("admin", name="chief")
    assert "目前沒有外部系統接收事件" in (await chief.get("/console/subscriptions")).text
    asked = await chief.post("/console/subscriptions", **ADDED)
    assert (asked.status, "請一併輸入" in asked.text, SECRET.findall(asked.text)) == (422, True, [])
    made = await chief.post(
        "/console/subscriptions", **ADDED | {"webhook": "https://hooks.example/secret-path"}, password=PASSWORD
    )
    (secret,) = set(SECRET.findall(made.text))
    listed = await chief.get("/console/subscriptions")
    assert "https://hooks.example" in listed.text
    assert "secret-path" not in listed.text
    shown = await chief.get("/console/subscriptions/books")
    assert secret not in shown.text
    assert "傳送中" in shown.text
    paused = await chief.post("/console/subscriptions/books/pause")
    assert "已暫停" in paused.text
    await chief.post("/console/subscriptions/books/resume")
    asked = await chief.post("/console/subscriptions/books/rotate")
    assert (asked.status, SECRET.findall(asked.text)) == (422, [])
    rotated = await chief.post("/console/subscriptions/books/rotate", password=PASSWORD)
    (newer,) = set(SECRET.findall(rotated.text))
    assert newer != secret
    assert "舊密鑰同時簽章至" in rotated.text
    removed = await chief.post("/console/subscriptions/books/remove")
    assert "不再傳送給這個系統" in removed.text


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_dead_letters_are_listed_and_sent_again(console: Console, city: City) -> None:
    chief = await console.sign_in("admin", name="chief")
    await chief.post("/console/subscriptions", **ADDED, password=PASSWORD)
    event = Outgoing("door-1-device", bytes(8), 7, "x", TAP, b"{}")
    async with console.services.database.write() as connection:
        await put(connection, "books", event, 12, "the receiver answered 500 <b>", NOW_MS)
        await change(connection, "books", state="dead", why="nothing was taken", problem="x", problem_ms=NOW_MS)
    shown = await chief.get("/console/subscriptions/books")
    assert "door-1-device/0000000000000000/7" in shown.text
    assert "接收方回應 500 &lt;b&gt;" in shown.text
    assert "nothing was taken" in shown.text
    again = await chief.post("/console/subscriptions/books/replay", dead="true")
    assert "將再次傳送" in again.text
    wrong = await chief.post("/console/subscriptions/books/replay", since="tomorrow")
    assert "請填寫日期與時間" in wrong.text
    right = await chief.post("/console/subscriptions/books/replay", since="2026-09-01T08:00")
    assert "將以相同的事件編號再次傳送" in right.text


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_the_test_says_what_became_of_it(console: Console, city: City) -> None:
    chief = await console.sign_in("admin", name="chief")
    refused = await chief.post("/console/subscriptions", **ADDED | {"webhook": "http://127.0.0.1:1/"})
    assert "events.networks" in refused.text
    await chief.post("/console/subscriptions", **ADDED | {"webhook": "https://hooks.invalid/"}, password=PASSWORD)
    tested = await chief.post("/console/subscriptions/books/test")
    assert "無法連線到接收方" in tested.text


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_a_token_for_another_city_system_is_issued_on_the_page(console: Console, city: City) -> None:
    chief = await console.sign_in("admin", name="chief")
    told = {"id": "pool", "days": "30", "account": "chief", "scope": "entitlement"}
    made = await chief.post("/console/tokens", **told, password=PASSWORD)
    (secret,) = set(re.findall(r"tapgate_[A-Za-z0-9_-]{43}", made.text))
    asked = {"uid": "04000000000001", "notation": "hex", "class_name": "citizen"}
    assert (await console.ask_api(secret, "entitlement", asked)).status == 200
    assert (await console.ask_api(secret, "venue.list", {})).status == 403
    assert "scope:entitlement" in (await chief.get("/console/tokens")).text
