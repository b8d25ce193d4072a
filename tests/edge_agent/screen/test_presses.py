"""What people press on the page, by touch and by keyboard, and what they hear."""

from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, Route, expect

from protocol.messages import AdmitDetail, ClosureDetail, Kind, decode
from tests.edge_agent.screen.conftest import NewPage, mode
from tests.edge_agent.screen.kiosk import GARDEN, KITCHEN, PIN, STAFF, STRANGER, Kiosk, volunteers
from tests.edge_agent.screen.test_looks import AXE, SIZES, faults_of, measured, picture, sized

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("screen-presses"), pytest.mark.asyncio(loop_scope="module")]

LISTEN = """() => {
  window.heard = [];
  window.contexts = 0;
  const Real = window.AudioContext;
  window.AudioContext = class extends Real {
    constructor() { super(); window.contexts += 1; }
    createOscillator() {
      const tone = super.createOscillator();
      const start = tone.start.bind(tone);
      tone.start = (at) => { window.heard.push(Math.round(tone.frequency.value)); start(at); };
      return tone;
    }
  };
}"""


async def admissions(gate: Kiosk) -> list[AdmitDetail]:
    return [decode(AdmitDetail, event.detail) for event in gate.edge.events() if event.kind == Kind.ADMIT]


async def undone(gate: Kiosk) -> int:
    return sum(event.kind == Kind.UNDO for event in gate.edge.events())


async def at(page: Page, gate: Kiosk) -> None:
    await page.goto(gate.url)
    await mode(page, "ready")


# --- chosen before the tap ----------------------------------------------------------------------------------------


async def test_a_person_chooses_a_team_by_touch_and_taps(gate: Kiosk, new_page: NewPage) -> None:
    volunteers(gate, KITCHEN, GARDEN)
    page = await new_page(has_touch=True)
    await at(page, gate)
    buttons = page.locator("#choices button")
    await expect(buttons).to_have_text(["廚房組Kitchen", "園藝組Garden"])
    await page.tap("#choices button[value=garden]")
    await expect(buttons.nth(1)).to_have_attribute("aria-pressed", "true")
    await page.tap("#choices button[value=garden]")
    await expect(buttons.nth(1)).to_have_attribute("aria-pressed", "false")
    await page.tap("#choices button[value=garden]")
    await expect(buttons.nth(1)).to_have_attribute("aria-pressed", "true")
    gate.tap()
    await mode(page, "granted")
    assert gate.edge.events()[-1].rule == "garden"
    await expect(page.locator("#choices")).to_be_hidden()
    gate.wait(4_000)
    await mode(page, "ready")
    await expect(buttons.nth(1)).to_have_attribute("aria-pressed", "false")


async def test_a_person_chooses_by_keyboard_and_keeps_the_focus(gate: Kiosk, new_page: NewPage) -> None:
    volunteers(gate, KITCHEN, GARDEN)
    page = await new_page()
    await at(page, gate)
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    button = page.locator("#choices button[value=garden]")
    await expect(button).to_have_attribute("aria-pressed", "true")
    await expect(button).to_be_focused()
    gate.wait(30_000)
    await expect(button).to_have_attribute("aria-pressed", "false")


async def test_where_nothing_is_listed_nothing_is_offered(gate: Kiosk, new_page: NewPage) -> None:
    page = await new_page()
    await at(page, gate)
    await expect(page.locator("#choices")).to_be_hidden()


# --- not me -----------------------------------------------------------------------------------------------------


async def test_a_person_takes_a_tap_back_by_touch(gate: Kiosk, new_page: NewPage) -> None:
    page = await new_page(has_touch=True)
    await at(page, gate)
    await expect(page.locator("#undo")).to_be_hidden()
    gate.tap()
    box = await page.locator("#undo").bounding_box()
    assert box is not None
    assert box["height"] >= 76
    assert await page.inner_text("#undo") == "不是我，取消 Not me, undo (10)"
    await page.tap("#undo")
    await mode(page, "undone")
    assert await undone(gate) == 1
    await expect(page.locator("#undo")).to_be_hidden()
    gate.wait(4_000)
    await mode(page, "ready")
    assert gate.tap().repeat is False


async def test_a_person_takes_a_tap_back_by_keyboard_after_the_answer_has_gone(gate: Kiosk, new_page: NewPage) -> None:
    page = await new_page()
    await at(page, gate)
    gate.tap()
    await mode(page, "granted")
    gate.wait(6_000)
    await mode(page, "ready")
    await page.keyboard.press("Tab")
    await expect(page.locator("#undo")).to_be_focused()
    await page.keyboard.press("Enter")
    await mode(page, "undone")
    assert await undone(gate) == 1


async def test_after_ten_seconds_it_is_not_offered_any_more(gate: Kiosk, new_page: NewPage) -> None:
    page = await new_page()
    await at(page, gate)
    gate.tap()
    await expect(page.locator("#undo")).to_be_visible()
    gate.wait(10_000)
    await expect(page.locator("#undo")).to_be_hidden()
    gate.tap(STRANGER)
    await mode(page, "denied")
    await expect(page.locator("#undo")).to_be_hidden()


# --- staff ------------------------------------------------------------------------------------------------------


async def test_staff_admit_by_touch_alone(gate: Kiosk, new_page: NewPage) -> None:
    page = await new_page(has_touch=True, viewport={"width": 360, "height": 640})
    gate.is_online = False
    await at(page, gate)
    denied = gate.tap(STRANGER).sequence
    await mode(page, "denied")
    await page.tap("#staff")
    await page.tap("button[value=forgot-card]")
    for letter in "linx":
        await page.tap(f"#letters button[value='{letter}']")
    await page.tap("#letters button[value='⌫']")
    for letter in ".07":
        await page.tap(f"#letters button[value='{letter}']")
    assert await page.input_value("#who") == "lin.07"
    await page.tap("#next-step")
    for digit in PIN:
        await page.tap(f"#digits button[value='{digit}']")
    await page.tap("#let")
    await mode(page, "granted")
    await expect(page.locator("#admit")).to_be_hidden()
    assert await page.inner_text("#headline .zh") == "工作人員放行"
    assert await admissions(gate) == [AdmitDetail(STAFF, "forgot-card", denied)]
    assert await page.input_value("#pin") == ""


async def test_staff_admit_by_keyboard_alone_with_a_reason_of_their_own(gate: Kiosk, new_page: NewPage) -> None:
    page = await new_page()
    await at(page, gate)
    await page.keyboard.press("Tab")
    await expect(page.locator("#staff")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#reasons button").first).to_be_focused()
    for _ in range(5):
        await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator("#other")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#refused")).to_contain_text("Please type it in")
    await page.keyboard.type("輪椅 <wheelchair>")
    await page.keyboard.press("Enter")
    await expect(page.locator("#who")).to_be_focused()
    await page.keyboard.type(STAFF.upper())
    await page.keyboard.press("Enter")
    await page.keyboard.type("12345")
    await page.keyboard.press("Enter")
    await expect(page.locator("#refused")).to_contain_text("6 to 12 digits")
    await page.locator("#pin").fill("")
    await page.keyboard.type(PIN)
    await page.keyboard.press("Enter")
    await mode(page, "granted")
    assert await admissions(gate) == [AdmitDetail(STAFF, "other: 輪椅 <wheelchair>", -1)]
    await expect(page.locator("#staff")).to_be_focused()  # where the keyboard was before


async def type_in(page: Page, staff: str, pin: str) -> None:
    await page.click("#staff")
    await page.click("button[value=group]")
    await page.fill("#who", staff)
    await page.click("#next-step")
    await page.fill("#pin", pin)
    await page.click("#let")


async def test_a_wrong_pin_is_said_and_the_sixth_one_has_to_wait(gate: Kiosk, new_page: NewPage) -> None:
    page = await new_page()
    await at(page, gate)
    await type_in(page, STAFF, "111111")
    refused = page.locator("#refused")
    for _ in range(3):
        await expect(refused).to_contain_text("代號或密碼不對")
        assert await page.input_value("#pin") == ""
        await expect(page.locator("#pin")).to_be_focused()
        await page.fill("#pin", "222222")
        await expect(refused).not_to_contain_text("代號或密碼不對")
        await page.click("#let")
    await expect(refused).to_contain_text("Wrong id or PIN")
    await page.fill("#pin", "333333")
    await page.click("#let")
    await expect(refused).to_contain_text("請等 30 秒再試")
    await page.fill("#pin", PIN)
    gate.clock.advance(20_000)
    await page.click("#let")
    await expect(refused).to_contain_text("Wait 10 seconds")
    assert await admissions(gate) == []
    gate.clock.advance(10_000)
    await page.fill("#pin", PIN)
    await page.click("#let")
    await expect(page.locator("#admit")).to_be_hidden()
    assert len(await admissions(gate)) == 1


async def test_a_journal_that_cannot_be_written_is_said_to_staff_too(gate: Kiosk, new_page: NewPage) -> None:
    page = await new_page()
    await at(page, gate)
    gate.edge.store.connection.close()
    await type_in(page, STAFF, PIN)
    await expect(page.locator("#refused")).to_contain_text("The gate cannot keep records: nothing was done")


async def test_what_happens_at_the_reader_is_seen_behind_the_dialog_too(gate: Kiosk, new_page: NewPage) -> None:
    page = await new_page()
    await at(page, gate)
    first = gate.tap(STRANGER).sequence
    await mode(page, "denied")
    await page.click("#staff")
    gate.wait(4_000)
    await mode(page, "ready")
    gate.tap()
    await expect(page.locator("#meanwhile")).to_have_text("請進 Please go in")
    await page.click("button[value=carer]")
    await page.fill("#who", STAFF)
    await page.click("#next-step")
    await page.fill("#pin", PIN)
    await page.click("#let")
    await expect(page.locator("#admit")).to_be_hidden()
    assert (await admissions(gate))[0].sequence == first  # who was denied when the dialog was opened


async def sooner(route: Route) -> None:
    """The same script, with less patience."""
    answer = await route.fetch()
    text = await answer.text()
    assert "IDLE_MS = 60000" in text
    await route.fulfill(response=answer, body=text.replace("IDLE_MS = 60000", "IDLE_MS = 2000"))


@pytest.mark.parametrize("leave", ["Escape", "cancel", "idle", "not offered any more"])
async def test_a_dialog_that_is_left_keeps_nothing(gate: Kiosk, new_page: NewPage, leave: str) -> None:
    page = await new_page()
    if leave == "idle":
        await page.route("**/staff.js", sooner)
    await at(page, gate)
    await page.click("#staff")
    await page.click("button[value=group]")
    await page.fill("#who", STAFF)
    await page.click("#next-step")
    await page.fill("#pin", PIN)
    if leave == "Escape":
        await page.keyboard.press("Escape")
    elif leave == "cancel":
        await page.click("#cancel")
    elif leave != "idle":
        gate.configure({"staff_admit": False})
    await expect(page.locator("#admit")).to_be_hidden()
    await expect(page.locator("#pin")).to_have_value("")
    await expect(page.locator("#who")).to_have_value("")
    assert await admissions(gate) == []


def closings(gate: Kiosk) -> list[tuple[str, str, int]]:
    """Who, why and for how long; 0 = opened."""
    found = [decode(ClosureDetail, each.detail) for each in gate.edge.events() if each.kind == Kind.CLOSURE]
    return [(each.staff, each.why, each.until_ms - each.from_ms) for each in found]


async def test_staff_close_the_way_in_and_open_it_again_by_touch(gate: Kiosk, new_page: NewPage) -> None:
    gate.configure({"staff_close": True})
    page = await new_page(has_touch=True, viewport={"width": 360, "height": 640})
    gate.is_online = False
    await at(page, gate)
    await page.tap("#staff")
    await page.tap("#to-close")
    await expect(page.locator("#to-open")).to_be_hidden()
    await page.tap("#closing button[value=typhoon]")
    await page.tap("#hours button[value='2']")
    await expect(page.locator("#admit-title")).to_have_text("關閉入口 Close the way in")
    await page.fill("#who", STAFF)
    await page.tap("#next-step")
    await page.fill("#pin", PIN)
    await page.tap("#let")
    await mode(page, "closed")
    await expect(page.locator("#admit")).to_be_hidden()
    await expect(page.locator("#next .zh")).to_contain_text("颱風停止開放，至 ")
    assert gate.tap().reason == "closed"
    await mode(page, "denied")
    await expect(page.locator("#next .en")).to_contain_text("Closed for the typhoon, until ")
    await page.tap("#staff")
    await page.tap("#to-close")
    await page.tap("#to-open")
    await page.fill("#who", STAFF)
    await page.tap("#next-step")
    await page.fill("#pin", PIN)
    await page.tap("#let")
    await expect(page.locator("#admit")).to_be_hidden()
    gate.wait(4_000)
    await mode(page, "ready")
    assert closings(gate) == [(STAFF, "typhoon", 2 * 3_600_000), (STAFF, "", 0)]
    assert await admissions(gate) == []


async def test_where_staff_may_only_close_they_are_asked_why_at_once(gate: Kiosk, new_page: NewPage) -> None:
    gate.configure({"staff_close": True, "staff_admit": False})
    page = await new_page()
    await at(page, gate)
    await page.click("#staff")
    await expect(page.locator("#step-closing")).to_be_visible()
    await page.click("#closing button[value=other]")
    await page.click("#hours button[value='0']")
    await page.fill("#who", STAFF)
    await page.click("#next-step")
    await page.fill("#pin", "000000")
    await page.click("#let")
    await expect(page.locator("#refused")).to_contain_text("Wrong id or PIN")
    await page.fill("#pin", PIN)
    await page.click("#let")
    await mode(page, "closed")
    await expect(page.locator("#next .zh")).to_have_text("臨時停止開放，至今日結束")
    ((_, why, for_ms),) = closings(gate)
    assert (why, 0 < for_ms <= 24 * 3_600_000) == ("other", True)


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_the_dialog_can_be_used_by_everybody(gate: Kiosk, new_page: NewPage, shots: Path, theme: str) -> None:
    page = await new_page(color_scheme=theme, reduced_motion="reduce")
    await at(page, gate)
    await page.click("#staff")
    faults: list[str] = []

    async def look(name: str) -> None:
        for width, height in SIZES:
            await sized(page, width, height)
            await picture(page, shots / theme / f"staff-{name}-{width}.png")
            told = await measured(page)
            told["found"] = [each for each in told["found"] if each["id"] not in ("headline", "next", "title", "strip")]
            faults.extend(f"{name} {width}: {fault}" for fault in faults_of(told))
        found = await Axe().run(page, options=AXE)
        faults.extend(f"{name}: {each['id']} {each['nodes']}" for each in found.response["violations"])

    await look("why")
    await page.click("button[value=other]")
    await look("other")
    await page.fill("#other", "x")
    await page.click("#next-step")
    await page.fill("#who", STAFF)
    await page.click("#next-step")
    await page.fill("#pin", "111111")
    await page.click("#let")
    await expect(page.locator("#refused")).to_contain_text("PIN")
    await look("pin")
    await page.click("#cancel")
    gate.configure({"staff_close": True})
    gate.gate.closing.close_entry(STAFF, "other", 3_600_000)
    gate.screen.changed()
    await mode(page, "closed")
    await page.click("#staff")
    await look("why-or-close")
    await page.click("#to-close")
    await look("closing")
    await page.click("#closing button[value=typhoon]")
    await look("hours")
    assert "\n".join(faults) == ""


async def test_staff_are_not_offered_where_they_may_not(gate: Kiosk, new_page: NewPage) -> None:
    page = await new_page()
    gate.configure({"staff_admit": False})
    await at(page, gate)
    await expect(page.locator("#staff")).to_be_hidden()


# --- sound ------------------------------------------------------------------------------------------------------


async def heard(page: Page) -> Any:
    return await page.evaluate("heard.splice(0)")


async def test_each_kind_of_answer_has_its_own_tones_from_one_audio_context(gate: Kiosk, new_page: NewPage) -> None:
    page = await new_page()
    await page.add_init_script(f"({LISTEN})()")
    await at(page, gate)
    assert await heard(page) == []
    tunes = []
    for happens, wanted in ((gate.tap, "granted"), (lambda: gate.tap(STRANGER), "denied"), (gate.badly_read, "again")):
        happens()  # type: ignore[operator]
        await mode(page, wanted)
        tunes.append(tuple(await heard(page)))
    assert len(set(tunes)) == 3
    assert all(len(tune) >= 2 for tune in tunes)
    for _ in range(2):  # the same answer again is heard again
        number = gate.screen.look().answer
        gate.tap(STRANGER)
        await page.wait_for_function("() => heard.length > 0")
        assert tuple(await heard(page)) == tunes[1]
        assert gate.screen.look().answer == number + 1
    gate.wait(5_000)
    await mode(page, "ready")
    gate.set(is_online=False)
    await page.wait_for_function("() => document.getElementById('strip').textContent.includes('離線')")
    assert await heard(page) == []
    assert await page.evaluate("contexts") == 1


async def test_a_gate_that_is_to_be_silent_is(gate: Kiosk, new_page: NewPage) -> None:
    page = await new_page()
    await page.add_init_script(f"({LISTEN})()")
    gate.configure({"sound": False})
    await at(page, gate)
    gate.tap(STRANGER)
    await mode(page, "denied")
    assert (await heard(page), await page.evaluate("contexts")) == ([], 0)


async def test_a_browser_that_may_make_no_sound_shows_everything_nevertheless(gate: Kiosk, new_page: NewPage) -> None:
    page = await new_page()
    await page.add_init_script("delete window.AudioContext; delete navigator.wakeLock;")
    await at(page, gate)
    gate.tap()
    await mode(page, "granted")
