"""A citizen reads at the kiosk what they are asked, says yes or no, and holds their card: in a real browser."""

from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from edge_agent.door.door_state import DoorState
from edge_agent.screen.view import Mode
from protocol.consent import ConsentDetail, Said
from protocol.messages import Direction, Kind, decode
from tests.edge_agent.screen.conftest import NewPage, mode
from tests.edge_agent.screen.kiosk import MEMBER, STRANGER, TITLES, Kiosk, asks, notice
from tests.edge_agent.screen.test_looks import AXE, faults_of, measured, picture, sized
from tests.edge_agent.test_consenting import raising

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("screen-consent"), pytest.mark.asyncio(loop_scope="module")]

KIOSKS = ((360, 640), (768, 1366), (1024, 768), (1920, 1080))
NOTICES, NAMES, CARING = notice("notices"), notice("screen-names"), notice("caring", gives=False)


def stated(gate: Kiosk) -> list[tuple[str, ConsentDetail]]:
    events = [event for event in gate.edge.events() if event.kind == Kind.CONSENT]
    return [(event.decision, decode(ConsentDetail, event.detail)) for event in events]


async def at(page: Page, gate: Kiosk) -> None:
    await page.goto(gate.url)
    await mode(page, "ready")


async def test_a_citizen_agrees_and_takes_it_back_by_touch_and_card(gate: Kiosk, new_page: NewPage) -> None:
    asks(gate, NOTICES, CARING)
    page = await new_page(has_touch=True)
    await at(page, gate)
    await page.tap("#consents")
    purposes = page.locator("#purposes button")
    await expect(purposes).to_have_count(2)
    await expect(purposes.first).to_have_text(" ".join(TITLES["notices"]))
    await page.tap("#purposes button:first-child")
    told = await page.locator("#notice").inner_text()
    assert told.index("○○市政府") < told.index("The City Government"), "zh-TW comes first"
    for item in (*NOTICES.zh.__struct_fields__,):
        assert getattr(NOTICES.zh, item) in told
        assert getattr(NOTICES.en, item) in told
    await page.tap("#agree")
    await mode(page, "stating")
    await expect(page.locator("#consent")).to_be_hidden()
    await expect(page.locator("#notes .zh")).to_have_text("由市府訊息平台傳送通知：同意")
    assert gate.tap(MEMBER).reason == "consent-taken"
    await mode(page, "stated")
    await expect(page.locator("#headline .zh")).to_have_text("已記下您的表示")
    await expect(page.locator("#notes .en")).to_have_text("Notices through the city's messaging platform: I agree")
    gate.wait(5_000)
    await mode(page, "ready")
    await page.tap("#consents")
    await page.tap("#purposes button:nth-child(2)")
    await expect(page.locator("#agree")).to_be_hidden()
    await expect(page.locator("#notice")).to_contain_text("依法須以書面同意")
    await page.tap("#back")
    await page.tap("#purposes button:first-child")
    await page.tap("#refuse")
    await mode(page, "stating")
    gate.tap(MEMBER)
    await mode(page, "stated")
    await expect(page.locator("#notes .zh")).to_contain_text("不同意或撤回")
    details = [ConsentDetail("notices", 1, said) for said in (Said.GIVEN, Said.WITHDRAWN)]
    assert stated(gate) == [("granted", detail) for detail in details]


async def test_what_is_waited_for_can_be_cancelled_and_ends_by_itself(gate: Kiosk, new_page: NewPage) -> None:
    asks(gate, NOTICES)
    page = await new_page(has_touch=True)
    await at(page, gate)
    await page.tap("#consents")
    await expect(page.locator("#notice")).to_be_visible()
    await expect(page.locator("#back")).to_be_hidden()
    await page.tap("#agree")
    await mode(page, "stating")
    await expect(page.locator("#unsay")).to_contain_text("(")
    await page.tap("#unsay")
    await mode(page, "ready")
    await page.tap("#consents")
    await page.tap("#agree")
    await mode(page, "stating")
    gate.wait(30_000)
    await mode(page, "ready")
    assert gate.tap(MEMBER).reason == "ok"
    assert stated(gate) == []


HURRY = "(() => { const real = setTimeout; window.setTimeout = (f, ms) => real(f, ms === 45000 ? 1500 : ms); })()"
"""The panel's patience, and no other, in a second and a half."""


async def test_a_panel_that_nobody_touches_closes_itself(gate: Kiosk, new_page: NewPage) -> None:
    asks(gate, NOTICES)
    page = await new_page()
    await page.add_init_script(HURRY)
    await at(page, gate)
    await page.click("#consents")
    await page.wait_for_timeout(1_000)
    await page.locator("#notice").dispatch_event("wheel")
    await page.wait_for_timeout(1_000)
    await expect(page.locator("#consent")).to_be_visible()
    await expect(page.locator("#consent")).to_be_hidden(timeout=3_000)


async def test_a_card_that_speaks_for_nobody_and_a_full_disk_are_told(
    gate: Kiosk, new_page: NewPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks(gate, NOTICES)
    page = await new_page()
    await at(page, gate)
    gate.screen.consent("notices", 1, "given")
    gate.tap(STRANGER)
    await mode(page, "denied")
    await expect(page.locator("#headline .zh")).to_have_text("這張卡尚未登記")
    await expect(page.locator("#notes .zh")).to_have_text("沒有記下任何表示")
    assert gate.screen.look().denied == -1, "staff would let in nobody by it"
    gate.screen.consent("notices", 1, "given")
    with monkeypatch.context() as patch:
        patch.setattr(gate.edge.store, "_commit", raising)
        gate.tap(MEMBER)
    await mode(page, "closed")
    await expect(page.locator("#notes .en")).to_have_text("Nothing was recorded")


async def test_a_notice_that_is_renewed_while_it_is_read_has_to_be_read_again(gate: Kiosk, new_page: NewPage) -> None:
    asks(gate, NOTICES)
    page = await new_page()
    await at(page, gate)
    await page.click("#consents")
    asks(gate, notice("notices", version=2))
    await page.click("#agree")
    await expect(page.locator("#consent-said .zh")).to_have_text("告知事項已更新，請重新閱讀")
    assert gate.screen.look().mode is Mode.READY
    await page.click("#agree")
    await mode(page, "stating")
    gate.tap(MEMBER)
    assert stated(gate) == [("granted", ConsentDetail("notices", 2, Said.GIVEN))]


async def test_nothing_is_asked_in_a_fire_at_a_closed_gate_on_the_way_out_or_where_it_is_not_configured(
    gate: Kiosk, new_page: NewPage
) -> None:
    asks(gate, NOTICES)
    page = await new_page()
    await at(page, gate)
    await page.click("#consents")
    gate.set(door=DoorState(fire=True))
    await mode(page, "fire")
    await expect(page.locator("#consent")).to_be_hidden()
    await expect(page.locator("#consents")).to_be_hidden()
    assert not gate.screen.consent("notices", 1, "given")
    gate.set(door=DoorState())
    await mode(page, "ready")
    assert gate.screen.consent("notices", 1, "given")
    gate.set(door=DoorState(fire=True))
    await mode(page, "fire")
    gate.set(door=DoorState())
    await mode(page, "stating")
    assert gate.screen.consent("", 0, "withdrawn")
    gate.gate.closing.close_entry("Lin.07", "typhoon", 3_600_000)
    gate.screen.changed()
    await mode(page, "closed")
    assert (gate.screen.notices(), gate.screen.consent("notices", 1, "given")) == ((), False)
    gate.gate.closing.open_entry("Lin.07")
    gate.turn(Direction.OUT)
    await expect(page.locator("#consents")).to_be_hidden()
    gate.turn(Direction.IN)
    await expect(page.locator("#consents")).to_be_visible()
    gate.configure({"consents": ()})
    await expect(page.locator("#consents")).to_be_hidden()
    assert not gate.screen.consent("notices", 1, "given")


@pytest.mark.parametrize(
    ("theme", "languages"),
    [("light", ("zh-TW", "en")), ("dark", ("zh-TW", "en")), ("light", ("en", "zh-TW")), ("light", ("en",))],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else value,
)
async def test_it_can_be_read_and_reached_by_everybody(
    gate: Kiosk, new_page: NewPage, shots: Path, theme: str, languages: tuple[str, ...]
) -> None:
    asks(gate, NOTICES, NAMES, CARING, purposes=("notices", "screen-names", "caring"))
    gate.configure({"languages": languages})
    page = await new_page(color_scheme=theme, reduced_motion="reduce")
    await at(page, gate)
    faults: list[str] = []

    async def look(name: str) -> None:
        for width, height in KIOSKS:
            await sized(page, width, height)
            await picture(page, shots / "consent" / f"{theme}-{'+'.join(languages)}" / f"{name}-{width}.png")
            told = await measured(page)
            behind = ("headline", "next", "title", "strip") if await page.locator("#consent").is_visible() else ()
            told["found"] = [each for each in told["found"] if each["id"] not in ("notice", *behind)]
            cut_off = [each for each in told["found"] if not each["inside"]] + ["it scrolls"] * told["scrolls"]
            found = faults_of(told) if languages[0] == "zh-TW" else cut_off
            faults.extend(f"{name} {width}: {fault}" for fault in found)
            if await page.locator("#notice").is_visible():
                room = await page.locator("#notice").evaluate("(e) => e.clientHeight / innerHeight")
                faults.extend([f"{name} {width}: the notice has {room:.0%}"] if room < 0.3 else [])
        found = await Axe().run(page, options=AXE)
        faults.extend(f"{name}: {each['id']} {each['nodes']}" for each in found.response["violations"])

    await look("ready")
    await page.click("#consents")
    await look("purposes")
    await page.click("#purposes button:first-child")
    await look("notice")
    await page.click("#back")
    await page.click("#purposes button:nth-child(3)")
    await look("by-form")
    await page.click("#refuse")
    await mode(page, "stating")
    await look("stating")
    gate.tap(MEMBER)
    await mode(page, "stated")
    await look("stated")
    gate.wait(5_000)
    gate.screen.consent("notices", 1, "given")
    gate.tap(STRANGER)
    await mode(page, "denied")
    await look("not-stated")
    assert "\n".join(faults) == ""
