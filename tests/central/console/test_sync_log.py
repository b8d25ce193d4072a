"""The sync log's pages: what people find, what they may not see, and a proof that holds elsewhere."""

import ast
import inspect
import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from central.actions.custody import event_shown
from central.console.charts import Text
from central.console.sync_words import SENTENCES, STEPS
from central.console.timeline_chart import Row, Span, timeline
from central.console.words import catalog
from central.custody import Custodian
from central.device_keys import DeviceKeys
from central.keys import Keys
from central.store.database import Database
from protocol import proof_check
from protocol.proof import Step
from protocol.proof_check import check_file
from tests.central.actors import NOW_MS, Device, Journal
from tests.central.city import City
from tests.central.console.person import Console, Person
from tests.central.sync_log.conftest import name_of, pool
from tests.central.sync_log.test_batches import eventful

__all__ = ["pool"]


@pytest.fixture
def custodian(database: Database, keys: Keys) -> Custodian:
    return Custodian(database, keys, DeviceKeys(database))


@pytest.fixture
async def journal(city: City, custodian: Custodian) -> Journal:
    return await eventful(custodian, city.device)


async def fetched(person: Person, path: str) -> tuple[bytes, str]:
    """A file as a browser would save it, and its name."""
    async with person._http.get(person.address + path) as response:
        assert response.status == 200, await response.text()
        assert response.headers["Content-Type"] == "application/octet-stream"
        return await response.read(), response.headers["Content-Disposition"]


def links(text: str, path: str) -> list[str]:
    return [link.replace("&amp;", "&") for link in re.findall(rf'href="(/console{path}\?[^"]+)"', text)]


async def test_from_a_batch_to_an_event_to_a_proof_that_holds_elsewhere(
    console: Console, journal: Journal, keys: Keys
) -> None:
    admin = await console.sign_in("admin")
    listed = (await admin.get("/console/sync-log")).text
    assert len(re.findall(r"<tr class=", listed)) >= 6
    batch = (await admin.get(links(listed, "/sync-log/batch")[-1])).text
    assert journal.heads[0].hex()[:16] in batch
    event = (await admin.get(links(batch, "/sync-log/event")[1])).text
    assert journal.publics[1].hex() in event
    assert event.count('<li class="good">') == 11
    assert journal.personals[1].hex() not in event
    address = next(link for link in links(event, "/sync-log/proof") if "personal" not in link)
    data, name = await fetched(admin, address)
    assert name.endswith(f'-{journal.epoch.hex()}-1.proof"')
    assert check_file(data, keys.root_public).holds
    with_person, _ = await fetched(admin, address + "&personal=1")
    found = check_file(with_person, keys.root_public)
    assert found.holds
    assert found.proof is not None
    assert found.proof.personal == journal.personals[1]


async def test_the_signed_bytes_come_as_they_were_signed(console: Console, journal: Journal) -> None:
    admin = await console.sign_in("admin")
    batch = f"device={journal.device.id}&epoch={journal.epoch.hex()}&first=3"
    data, _ = await fetched(admin, f"/console/sync-log/raw?{batch}")
    assert journal.device.signer.seal(journal.batch(3, 5)) == data


async def test_why_it_was_decided_so_is_shown_on_demand(console: Console, journal: Journal) -> None:
    admin = await console.sign_in("admin")
    address = f"/console/sync-log/event?event={quote(name_of(journal, 1))}"
    plain = (await admin.get(address)).text
    assert 'id="why"' not in plain
    assert "why=1" in plain
    assert 'id="why"' in (await admin.get(address + "&why=1")).text


async def test_filters_and_the_search_box_find_and_say_what_is_wrong(console: Console, journal: Journal) -> None:
    admin = await console.sign_in("admin")
    await admin.post("/console/look", lang="en", next="/console/")
    odd = (await admin.get("/console/sync-log?outcome=forked")).text
    assert len(links(odd, "/sync-log/batch")) == 1
    none = await admin.get("/console/sync-log?outcome=untrusted")
    assert "Nothing that came fits these filters." in none.text
    wrong = await admin.get("/console/sync-log?text=nonsense")
    assert wrong.status == 422
    assert "nothing is called" in wrong.text
    assert 'value="nonsense"' in wrong.text, "what was typed stays there"
    assert "is not a time" in (await admin.get("/console/sync-log/events?since=yesterday")).text
    for place in ("/console/sync-log", "/console/sync-log/events"):
        found = await admin.get(f"{place}?text={quote(name_of(journal, 4))}")
        assert "/sync-log/event?" in found.url
    admitted = (await admin.get("/console/sync-log/events?kind=tap&decision=granted&gate=door-1")).text
    assert len(links(admitted, "/sync-log/event")) == 7


async def test_pages_are_turned_by_key(console: Console, city: City, custodian: Custodian) -> None:
    journal = Journal(city.device)
    journal.tap(120)
    await custodian.take(journal.upload(), NOW_MS)
    admin = await console.sign_in("admin")
    page, seen = "/console/sync-log/events", list[str]()
    for _ in range(5):
        text = (await admin.get(page)).text
        seen += links(text, "/sync-log/event")
        more = re.search(r'href="([^"]+)" rel="next"', text)
        if more is None:
            break
        page = more[1].replace("&amp;", "&")
    assert len(seen) == len(set(seen)) == 121


async def test_a_gap_is_seen_in_the_drawing_and_in_the_table(console: Console, journal: Journal) -> None:
    admin = await console.sign_in("admin")
    address = f"/console/sync-log/device?device={journal.device.id}&until=2026-09-22T12:00"
    text = (await admin.get(address)).text
    assert text.count('class="gap-box"') == 2, "in the legend, and where it is"
    assert "! 2</text>" in text
    assert re.search(r'<tr class="bad">.*?6–7', text, re.S)


async def test_an_operator_sees_the_own_venue_alone(
    console: Console, pool: Device, journal: Journal, custodian: Custodian
) -> None:
    theirs = await eventful(custodian, pool)
    operator = await console.sign_in("operator", venues=("pool",))
    for page in ("/console/sync-log", "/console/sync-log/events"):
        text = (await operator.get(page)).text
        assert pool.id in text
        assert journal.device.id not in text
    event, where = quote(name_of(journal, 1)), f"device={journal.device.id}&epoch={journal.epoch.hex()}&first=0"
    for path in (
        *(f"/sync-log/event?event={event}", f"/sync-log/proof?event={event}", f"/sync-log/batch?{where}"),
        *(f"/sync-log/raw?{where}", f"/sync-log/device?device={journal.device.id}"),
    ):
        answered = await operator.get("/console" + path)
        assert answered.status in (403, 422), path
        assert journal.heads[1].hex() not in answered.text
    mine = f"/console/sync-log/proof?event={quote(name_of(theirs, 1))}"
    assert await fetched(operator, mine)
    assert (await operator.get(mine + "&personal=1")).status == 422
    coordinator = await console.sign_in("coordinator", teams=("guides",))
    assert (await coordinator.get("/console/sync-log")).status == 403


async def test_words_of_devices_are_shown_as_text(console: Console, city: City, custodian: Custodian) -> None:
    journal = Journal(city.device)
    evil = "<script>alert(1)</script>"
    journal.add(evil[:64], gate="door-1", reason=evil, rule=evil, decision="x<b>y")
    await custodian.take(journal.upload(), NOW_MS)
    admin = await console.sign_in("admin")
    where = f"device={journal.device.id}&epoch={journal.epoch.hex()}&first=0"
    for path in (
        "/sync-log/events",
        f"/sync-log/event?event={quote(name_of(journal, 1))}",
        f"/sync-log/batch?{where}",
        f"/sync-log?text={quote(evil)}",
    ):
        text = (await admin.get("/console" + path)).text
        assert "<script>alert" not in text, path
        assert "<b>y" not in text, path


async def test_nothing_that_an_address_says_breaks_a_page(console: Console, journal: Journal) -> None:
    admin = await console.sign_in("admin")
    event = quote(name_of(journal, 1))
    for path in (
        *("/sync-log?after=x", "/sync-log?outcome=x", "/sync-log?device=%00", "/sync-log/events?after=9/9/9/9"),
        *("/sync-log/event", "/sync-log/event?event=x", f"/sync-log/event?event={event}&batch=zz"),
        *("/sync-log/batch", "/sync-log/batch?device=a&epoch=b&first=c", "/sync-log/batch?device=a&epoch=&first=1"),
        *("/sync-log/device", "/sync-log/device?device=x", f"/sync-log/device?device={journal.device.id}&until=never"),
        *("/sync-log/proof", "/sync-log/raw?device=x&epoch=0000000000000000&first=1"),
    ):
        answered = await admin.get("/console" + path)
        assert answered.status in (403, 422), (path, answered.status)


# --- words ------------------------------------------------------------------------------------------------------


def said_by_checks() -> Iterator[str]:
    """Every sentence that stands in the check, with what `_opened` and `_by_central` put before theirs."""
    tree = ast.parse(inspect.getsource(proof_check))
    texts = {
        node.args[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("_said", "_Fails") and node.args
    }
    subjects = [
        part.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", getattr(node.func, "attr", "")) in ("_opened", "_by_central")
        for part in node.args
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    ]
    for text in texts:
        if isinstance(text, ast.Constant):
            yield str(text.value)
        elif isinstance(text, ast.BinOp) and isinstance(text.right, ast.Constant):
            yield from (subject + str(text.right.value) for subject in subjects)


def test_every_sentence_of_a_check_is_said_in_both_languages() -> None:
    assert {text for text in said_by_checks() if text not in SENTENCES} <= {
        "The batch cannot be read ({why}).",
        "The batch is of another device, {device}.",
        "The key statement cannot be read ({why}).",
        "The key statement is of another device, {device}.",
    }
    places = re.compile(r"\{(\w+)\}")
    chinese = catalog("zh-TW")
    assert [text for text in SENTENCES if set(places.findall(text)) != set(places.findall(chinese[text]))] == []
    assert [step for step in Step if step.value not in STEPS] == []
    altered = re.findall(r'"(The row that is searched [^"]+)"', inspect.getsource(event_shown))
    assert len(altered) == 2
    assert set(altered) <= set(SENTENCES)


def test_a_drawing_says_what_it_is_and_takes_no_markup() -> None:
    words = dict.fromkeys(("live", "queued", "untrusted", "forked", "missing", "resent", "evidence"), "<b>")
    drawn = timeline(Text("t", "<i>", "<u>"), [Row("<s>", (), [(5, "<em>")])], Span(0, 10, [(5, "<q>")]), words)
    assert not re.search(r"<(b|i|u|s|em|q)>", drawn)
    assert 'role="img"' in drawn
    assert "style=" not in drawn
