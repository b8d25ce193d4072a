"""Every state of the page in a real browser: at three sizes, light and dark, in both languages. The pictures are kept
in `build/screens`, to be looked at; what can be measured of them is measured here."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from axe_playwright_python.async_playwright import Axe
from msgspec.structs import replace
from playwright.async_api import Page

from edge_agent.door.door_state import DoorState
from edge_agent.door.passage import Alarm
from edge_agent.readers import ReaderState
from edge_agent.release import Signal
from edge_agent.screen.situation import Membership
from protocol.messages import Closure, Direction, Outcome, Wording
from protocol.reasons import Reason
from tests.edge_agent.screen.conftest import NewPage, mode
from tests.edge_agent.screen.kiosk import GARDEN, KITCHEN, MEMBER, NAME, STAFF, STRANGER, Kiosk, volunteers
from tests.support.central_side import subject

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("screen-looks"), pytest.mark.asyncio(loop_scope="module")]

SIZES = ((360, 640), (1024, 768), (1920, 1080))
DAY_MS = 24 * 3_600_000
AXE = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]},
    "rules": {"color-contrast-enhanced": {"enabled": True}, "target-size": {"enabled": True}},
}


class Scene(NamedTuple):
    """What happens, and the mode that it leads to."""

    happens: Callable[[Kiosk], Any]
    mode: str


def _undone(gate: Kiosk) -> None:
    gate.screen.undo(gate.tap().sequence)


def _repeated(gate: Kiosk) -> None:
    gate.tap()
    gate.tap()


def _outward(gate: Kiosk) -> None:
    gate.turn(Direction.OUT)
    gate.tap()


def _restricted(gate: Kiosk) -> None:
    gate.is_online = False
    gate.wait(8 * DAY_MS)


def _offline(gate: Kiosk) -> None:
    gate.is_online = False
    gate.wait(3 * 3_600_000)


def _too_old(gate: Kiosk) -> None:
    gate.is_online = False
    gate.wait(31 * DAY_MS)


def _closes(gate: Kiosk) -> None:
    """Central, for an hour."""
    now_ms = gate.clock.now().wall_ms
    gate.configure(closures=(Closure(now_ms, now_ms + 3_600_000, why_zh="颱風停班停課", why_en="Typhoon"),))


def _denied_while_closed(gate: Kiosk) -> None:
    _closes(gate)
    gate.tap(MEMBER)


def _closed_by_staff(gate: Kiosk) -> None:
    gate.gate.closing.close_entry(STAFF, "early-closing", 2 * 3_600_000)
    gate.screen.changed()


SCENES = {
    "ready": Scene(lambda gate: None, "ready"),
    "granted": Scene(lambda gate: gate.tap(MEMBER), "granted"),
    "granted-out": Scene(_outward, "granted"),
    "repeated": Scene(_repeated, "granted"),
    "denied": Scene(lambda gate: gate.tap(STRANGER), "denied"),
    "again": Scene(lambda gate: gate.badly_read(), "again"),
    "undone": Scene(_undone, "undone"),
    "offline": Scene(_offline, "ready"),
    "restricted": Scene(_restricted, "ready"),
    "too-old": Scene(_too_old, "closed"),
    "no-reader": Scene(lambda gate: gate.set(readers=(ReaderState.ABSENT,)), "closed"),
    "starting": Scene(lambda gate: gate.set(readers=(ReaderState.STARTING,)), "waiting"),
    "pending": Scene(lambda gate: gate.set(membership=Membership.PENDING), "waiting"),
    "revoked": Scene(lambda gate: gate.set(membership=Membership.REVOKED), "closed"),
    "closed": Scene(_closes, "closed"),
    "closed-by-staff": Scene(_closed_by_staff, "closed"),
    "denied-while-closed": Scene(_denied_while_closed, "denied"),
    "door": Scene(lambda gate: gate.set(door=DoorState(alarm=Alarm.HELD)), "door"),
    "fire": Scene(lambda gate: gate.set(door=DoorState(fire=True)), "fire"),
}

EXAMINED = ("ready", "granted", "denied", "again", "undone", "restricted", "too-old", "pending", "door", "fire")
"""One scene of each colour and each kind of text: axe takes its time."""

MEASURE = """() => {
  const found = [];
  const [width, height] = [innerWidth, innerHeight];
  for (const element of document.querySelectorAll("body *:not(.heard, .heard *, svg *)")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    const box = element.getBoundingClientRect();
    if (!own || box.width === 0 || !element.checkVisibility()) continue;
    if (element.closest("dialog:not([open])")) continue;
    found.push({
      text: element.textContent, size: parseFloat(getComputedStyle(element).fontSize), id: element.closest("[id]").id,
      lang: element.closest("[lang]").lang,
      inside: box.left >= -1 && box.top >= -1 && box.right <= width + 1 && box.bottom <= height + 1,
    });
  }
  const buttons = [...document.querySelectorAll("button, input")].filter((each) => each.checkVisibility())
    .map((each) => Math.min(each.getBoundingClientRect().width, each.getBoundingClientRect().height));
  const main = document.getElementById("main");
  const root = document.scrollingElement;
  const scrolls = root.scrollWidth > width || root.scrollHeight > height || main.scrollHeight > main.clientHeight + 1;
  return { found, scrolls, smallest: Math.min(...buttons, 99), least: Math.min(width, height) };
}"""


async def sized(page: Page, width: int, height: int) -> None:
    """The page has this size, and has settled in it."""
    await page.set_viewport_size({"width": width, "height": height})
    await page.wait_for_function("([w, h]) => innerWidth === w && innerHeight === h", arg=[width, height])
    await page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


async def measured(page: Page) -> dict[str, Any]:
    return await page.evaluate(MEASURE)  # type: ignore[no-any-return]


async def picture(page: Page, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=path)


def faults_of(told: dict[str, Any]) -> list[str]:
    """Nothing is cut off, and what matters is large enough: at 1080 lines on 15 inches, two metres away, zh-TW is at
    least 12 mm high and English 7 mm."""
    found = [f"cut off: {each}" for each in told["found"] if not each["inside"]]
    found += ["it scrolls"] if told["scrolls"] else []
    found += [f"a button of {told['smallest']}"] if told["smallest"] < 44 else []
    for each in told["found"]:
        percent = 100 * each["size"] / told["least"]
        least = 6.2 if each["lang"] == "zh-Hant-TW" else 3.6
        if each["size"] < 15 or (each["id"] in ("headline", "next", "name") and percent < least):
            found.append(f"small: {each}")
    return found


def calm(gate: Kiosk) -> None:
    """As before the scene, and the next one is no repeat of it."""
    gate.clock.advance(DAY_MS)
    gate.gate.confirmed_ms = gate.gate.now_ms()
    if gate.gate.holding.direction is Direction.OUT:
        gate.turn(Direction.IN)
    gate.set(readers=(ReaderState.READY,), door=DoorState(), membership=Membership.ACTIVE, is_online=True)


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_every_state_can_be_read(gate: Kiosk, new_page: NewPage, shots: Path, theme: str) -> None:
    page = await new_page(color_scheme=theme, reduced_motion="reduce")
    await page.goto(gate.url)
    faults = []
    for name, scene in SCENES.items():
        calm(gate)
        await mode(page, "ready")
        scene.happens(gate)
        await mode(page, scene.mode)
        for width, height in SIZES:
            await sized(page, width, height)
            await picture(page, shots / theme / f"{name}-{width}.png")
            faults += [f"{name} {width}: {fault}" for fault in faults_of(await measured(page))]
        if name in EXAMINED:
            found = await Axe().run(page, options=AXE)
            faults += [f"{name}: {each['id']} {each['nodes']}" for each in found.response["violations"]]
    assert "\n".join(faults) == ""


CHARGED = (("points-used", 10), ("due", 15))
HOURS = (("minutes-month", 754), ("may-sign-out", 1))
TOLD = {
    "charged": ("ok", "in", CHARGED),
    "signed-in": ("signed-in", "in", HOURS),
    "signed-out": ("signed-out", "out", HOURS),
    "recorded": ("recorded", "", ()),
}
"""Reason, direction and notes of an answer."""


@pytest.mark.parametrize("languages", [("zh-TW", "en"), ("en", "zh-TW"), ("en",)], ids="+".join)
async def test_what_a_person_is_told_and_may_choose_can_be_read(
    gate: Kiosk, new_page: NewPage, shots: Path, languages: tuple[str, ...]
) -> None:
    page = await new_page(reduced_motion="reduce")
    volunteers(gate, KITCHEN, GARDEN)
    gate.configure({"languages": languages})
    await page.goto(gate.url)
    faults = []

    async def look(name: str) -> None:
        for width, height in SIZES:
            await sized(page, width, height)
            await picture(page, shots / "told" / "+".join(languages) / f"{name}-{width}.png")
            told = await measured(page)
            cut_off = [each for each in told["found"] if not each["inside"]] + ["it scrolls"] * told["scrolls"]
            found = faults_of(told) if languages[0] == "zh-TW" else cut_off  # it says how large zh-TW is at least
            faults.extend(f"{name} {width}: {fault}" for fault in found)
        found = await Axe().run(page, options=AXE)
        faults.extend(f"{name}: {each['id']} {each['nodes']}" for each in found.response["violations"])

    await mode(page, "ready")
    gate.screen.choose("garden")
    await page.wait_for_selector("#choices button[aria-pressed=true]")
    await look("choices")
    for name, (reason, direction, notes) in TOLD.items():
        gate.screen.signal(Signal(b"epoch 01", 7, Outcome.GRANTED, reason, direction, notes=notes))
        await mode(page, "granted")
        await look(name)
        gate.wait(4_000)
        await mode(page, "ready")
    _closes(gate)
    await mode(page, "closed")
    await look("closed")
    gate.tap(MEMBER)
    await mode(page, "denied")
    await look("denied-while-closed")
    gate.gate.closing.close_entry(STAFF, "typhoon", 26 * 3_600_000)
    gate.wait(4_000)
    await mode(page, "closed")
    await look("closed-by-staff")
    assert "\n".join(faults) == ""


async def test_the_word_for_signing_in_is_the_largest_on_the_page(gate: Kiosk, new_page: NewPage) -> None:
    page = await new_page(reduced_motion="reduce")
    await page.goto(gate.url)
    gate.screen.signal(Signal(b"epoch 01", 7, Outcome.GRANTED, "signed-in", "in", notes=HOURS))
    await mode(page, "granted")
    told = await measured(page)
    largest = max(told["found"], key=lambda each: float(each["size"]))
    assert (largest["text"], largest["size"] > 0.2 * told["least"]) == ("簽到", True)
    assert not await page.locator("#headline").is_visible(), "it would say the same"
    assert "已簽到" in (await page.text_content("#said") or "")
    assert "本月服務 12 小時 34 分" in (await page.text_content("#said") or "")


LANGUAGES = (("zh-TW",), ("en",), ("en", "zh-TW"))
TAGS = {"zh-TW": "zh-Hant-TW", "en": "en"}


@pytest.mark.parametrize("languages", LANGUAGES, ids="+".join)
async def test_it_speaks_the_languages_that_are_configured_the_first_one_largest(
    gate: Kiosk, new_page: NewPage, shots: Path, languages: tuple[str, ...]
) -> None:
    page = await new_page(reduced_motion="reduce")
    gate.configure({"languages": languages})
    await page.goto(gate.url)
    for name in ("ready", "granted", "denied", "pending", "offline"):
        SCENES[name].happens(gate)
        await mode(page, SCENES[name].mode)
        for width, height in SIZES[:2]:
            await sized(page, width, height)
            told = await measured(page)
            headlines = [each for each in told["found"] if each["id"] == "headline"]
            by_size = sorted(headlines, key=lambda each: -float(each["size"]))
            assert [each["lang"] for each in by_size] == [TAGS[language] for language in languages], name
            assert [each for each in told["found"] if not each["inside"]] == []
            await picture(page, shots / "+".join(languages) / f"{name}-{width}.png")
        calm(gate)
        await mode(page, "ready")
    assert await page.get_attribute("html", "lang") == TAGS[languages[0]]
    found = await Axe().run(page, options=AXE)
    assert found.violations_count == 0, found.generate_report()


async def test_a_theme_that_is_configured_goes_before_the_machines_own(gate: Kiosk, new_page: NewPage) -> None:
    page = await new_page(color_scheme="light")
    await page.goto(gate.url)
    await mode(page, "ready")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = await page.evaluate(ground)
    gate.configure({"theme": "dark"})
    await page.wait_for_selector("html[data-theme=dark]")
    await page.wait_for_function(f"(light) => {ground} !== light", arg=light)


async def test_without_colours_of_its_own_each_state_still_has_its_shape(
    gate: Kiosk, new_page: NewPage, shots: Path
) -> None:
    page = await new_page(forced_colors="active")
    await page.goto(gate.url)
    shapes = []
    for name in ("ready", "granted", "denied"):
        SCENES[name].happens(gate)
        await mode(page, SCENES[name].mode)
        visible = "[...document.querySelectorAll('#mark svg')].filter((each) => each.checkVisibility())"
        shapes += await page.evaluate(f"{visible}.map((each) => each.getAttribute('class'))")
        await picture(page, shots / "forced-colours" / f"{name}.png")
    assert shapes == ["ready", "granted", "denied"]


async def test_nothing_moves_for_who_asked_for_that(gate: Kiosk, new_page: NewPage) -> None:
    moving, still = await new_page(), await new_page(reduced_motion="reduce")
    for page, seconds in ((moving, "0.15s"), (still, "0s")):
        await page.goto(gate.url)
        await mode(page, "ready")
        assert await page.evaluate("getComputedStyle(document.body).transitionDuration") == seconds


# --- texts that come from people ----------------------------------------------------------------------------------


HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=1</script>&lt;b&gt;{{7*7}}'


async def test_markup_in_titles_texts_and_names_is_shown_as_text(gate: Kiosk, new_page: NewPage) -> None:
    own = {Reason.OK: Wording(HOSTILE, HOSTILE, HOSTILE, HOSTILE)}
    staff = (replace(gate.central.config.staff[0], id="<i>É"),)
    gate.configure(title_zh=HOSTILE, title_en=HOSTILE + "2", texts=own, staff=staff)
    gate.gate.holding = replace(gate.gate.holding, names={subject(MEMBER): HOSTILE[:64]})
    page = await new_page()
    await page.goto(gate.url)
    gate.tap(MEMBER)
    await mode(page, "granted")
    for selector in ("#title .zh", "#headline .zh", "#headline .en", "#next .zh", "#said span"):
        assert HOSTILE in (await page.text_content(selector) or "")
    assert await page.text_content("#name") == HOSTILE[:64]
    await page.click("#staff")
    await page.click("button[value=group]")
    for letter in "<>é":
        await page.click(f"#letters button[value='{letter}']")
    assert await page.input_value("#who") == "<>é"
    assert await page.evaluate("[document.querySelectorAll('img, i, b').length, document.title]") == [0, "Tapgate"]


async def test_the_longest_texts_that_central_lets_through_are_on_the_screen(
    gate: Kiosk, new_page: NewPage, shots: Path
) -> None:
    """500 characters are no message for a screen; they are shown nevertheless, and nothing else is pushed off it."""
    zh, en = "請至一樓服務台辦理換卡手續並攜帶身分證件" * 10, "Please bring your identity card to the desk. " * 4
    gate.configure(texts={Reason.UNKNOWN_CARD: Wording(zh, en, zh, en)}, title_zh="總" * 500, title_en="M" * 500)
    page = await new_page()
    await page.goto(gate.url)
    gate.tap(STRANGER)
    await mode(page, "denied")
    for width, height in SIZES:
        await sized(page, width, height)
        await picture(page, shots / "long" / f"denied-{width}.png")
        boxes = "['mark', 'next', 'staff'].map((id) => document.getElementById(id).getBoundingClientRect())"
        for box in await page.evaluate(f"{boxes}.map(({{left, right}}) => [left, right])"):
            assert 0 <= box[0] < box[1] <= width
        staff = await page.locator("#staff").bounding_box()
        assert staff is not None
        assert staff["y"] + staff["height"] <= height
    own = Wording("請到服務台換發新的市民卡並帶身分證", "Please have your new citizen card made at the desk")
    gate.configure(texts={Reason.UNKNOWN_CARD: own}, title_zh="總館", title_en="Library")
    await page.wait_for_function("() => document.getElementById('title').textContent.includes('總館')")
    for width, height in SIZES:
        await sized(page, width, height)
        await picture(page, shots / "long" / f"own-{width}.png")
        told = await measured(page)
        assert [each for each in told["found"] if not each["inside"]] == []
        assert told["scrolls"] is False


async def test_what_is_said_aloud_is_said_once_and_in_its_language(gate: Kiosk, new_page: NewPage) -> None:
    page = await new_page()
    await page.goto(gate.url)
    await mode(page, "ready")
    await page.evaluate("""() => {
        window.said = [];
        const region = document.getElementById("said");
        const options = { childList: true, subtree: true, characterData: true };
        new MutationObserver(() => said.push(region.innerText)).observe(region, options);
    }""")
    gate.tap(MEMBER)
    await mode(page, "granted")
    gate.set(is_online=False)  # the strip is no news
    await page.wait_for_function("() => document.getElementById('strip').textContent.includes('離線')")
    assert await page.evaluate("said.length") == 1
    region = page.locator("#said")
    assert await region.get_attribute("aria-live") == "assertive"
    assert await region.locator("[lang=en]").text_content() == "Please go in"
    assert await region.locator("[lang=zh-Hant-TW]").text_content() == "請進"
    assert NAME not in str(await page.evaluate("said"))
