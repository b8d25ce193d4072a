"""The agent as a process with its screen in a real browser: it comes and goes, and runs for ever without growing."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from playwright.async_api import CDPSession, Page, Route, expect

from deploy.ports import Port
from edge_agent import enrolment
from edge_agent import identity as identity_file
from protocol.messages import ScreenConfig
from tests.edge_agent.screen.conftest import NewPage, mode
from tests.edge_agent.test_agent import Program
from tests.support.central_side import CentralSide, serving, uid
from tests.support.edge_side import Edge, identity_for

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("screen-agent"), pytest.mark.asyncio(loop_scope="module")]

TAPS, FIRST = 10_000, 1_000
COUNT = """() => {
  window.views = 0;
  const Real = window.EventSource;
  window.EventSource = class extends Real {
    addEventListener(kind, call) {
      super.addEventListener(kind, kind !== "message" ? call : (event) => { window.views += 1; call(event); });
    }
  };
}"""


class Screened(Program):
    """With a screen on a port of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port = Port.free()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.settings.write_text(f"{self.settings.read_text()}[screen]\nport = {self.port}\n")

    def memory_mib(self) -> float:
        assert self.process is not None
        words = Path(f"/proc/{self.process.pid}/status").read_text().split()
        return int(words[words.index("VmRSS:") + 1]) / 1024

    def pour(self, lines: list[str]) -> None:
        """All of them, as fast as the agent takes them."""
        with self.taps.open("w") as fifo:
            fifo.write("".join(f"{line} sak=20\n" for line in lines))


@pytest_asyncio.fixture(loop_scope="module")
async def bare(tmp_path: Path) -> AsyncIterator[Screened]:
    """It holds nothing, and is not started."""
    made = Screened(tmp_path)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.send_signal(signal.SIGCONT)
        made.process.kill()
        made.process.wait()
    made.log.close()


@pytest_asyncio.fixture(loop_scope="module")
async def program(bare: Screened) -> Screened:
    """Started, and stocked by an earlier contact; central is not there now."""
    central = CentralSide()
    central.config = msgspec.structs.replace(central.config, screen=ScreenConfig(undo=True))
    central.publish()
    with Edge(bare.data, central) as edge:
        edge.take_all()
        edge.prove()
    await asyncio.to_thread(bare.start)
    return bare


async def impatient(route: Route) -> None:
    """The same script, which waits less long for an agent that says nothing."""
    answer = await route.fetch()
    text = await answer.text()
    assert "LOST_MS = 7000" in text
    await route.fulfill(response=answer, body=text.replace("LOST_MS = 7000", "LOST_MS = 3500"))


async def said(page: Page) -> str:
    return await page.inner_text("#headline")


async def test_the_page_says_when_the_agent_is_gone_and_comes_back_with_it(
    program: Screened, new_page: NewPage
) -> None:
    page = await new_page()
    await page.route("**/screen.js", impatient)
    await page.goto(program.url)
    await mode(page, "ready")
    assert "離線中" in await page.inner_text("#strip")
    assert program.process is not None

    await asyncio.to_thread(program.stop, signal.SIGKILL)
    await mode(page, "closed")
    assert "畫面與閘門失去連線" in await said(page)
    assert "The screen has lost its gate" in await said(page)
    assert await page.inner_text("#strip") == ""
    await asyncio.to_thread(program.start)
    await mode(page, "ready")

    program.process.send_signal(signal.SIGSTOP)  # it hangs: its connections stand, and say nothing
    await mode(page, "closed")
    program.process.send_signal(signal.SIGCONT)
    await mode(page, "ready")
    assert "granted" in await asyncio.to_thread(program.tap, 1)
    await mode(page, "granted")

    assert await asyncio.to_thread(program.stop) == 0
    await mode(page, "closed")
    await asyncio.to_thread(program.start)
    await mode(page, "ready")
    assert "denied" in await asyncio.to_thread(program.tap, 99)
    await mode(page, "denied")


async def test_a_device_that_waits_shows_its_words_and_a_revoked_one_says_so_to_the_end(
    bare: Screened, new_page: NewPage
) -> None:
    central = CentralSide()
    central.publish()
    central.state = "pending"
    async with serving(central.app()) as url:
        identity = msgspec.structs.replace(identity_for(central, bare.data, url), secret=central.secret)
        identity_file.save(bare.data, identity)
        await asyncio.to_thread(bare.start)
        page = await new_page()
        await page.goto(bare.url)
        await expect(page.locator("#words")).to_have_text(enrolment.words(identity))
        central.state = "active"
        await mode(page, "ready")
        assert await page.inner_text("#words") == ""
        central.state = "revoked"
        await mode(page, "closed")
        assert "閘門已停用" in await said(page)
        assert "not-enrolled" in await asyncio.to_thread(bare.tap, 1)
        await page.wait_for_function("() => document.getElementById('headline').innerText.includes('閘門尚未啟用')")
        assert await asyncio.to_thread(bare.stop) == 0
    await page.wait_for_timeout(2_500)  # longer than a broken connection is given
    await mode(page, "closed")


async def metrics(session: CDPSession) -> dict[str, Any]:
    for _ in range(3):
        await session.send("HeapProfiler.collectGarbage")
    found = await session.send("Performance.getMetrics")
    return {each["name"]: each["value"] for each in found["metrics"]}


async def test_ten_thousand_taps_leave_nothing_behind(program: Screened, new_page: NewPage) -> None:
    """A week at 60 taps an hour, or three hours at 60 a minute; the browser shows as many of them as it can."""
    page = await new_page()
    await page.add_init_script(f"({COUNT})()")
    await page.goto(program.url)
    await mode(page, "ready")
    session = await page.context.new_cdp_session(page)
    await session.send("Performance.enable")
    cards = [uid(number).hex() for number in (0, 1, 2, 3, 4, 99)]

    async def pour(count: int) -> None:
        before = len(program.lines())
        taps = [cards[number % len(cards)] for number in range(count)]
        await asyncio.to_thread(program.pour, taps)
        async with asyncio.timeout(120):
            while len(program.lines()) < before + count:
                await asyncio.sleep(0.05)
        await asyncio.to_thread(program.tap, 99)
        await mode(page, "denied")

    await pour(FIRST)
    first, mib = await metrics(session), program.memory_mib()
    views = await page.evaluate("views")
    await pour(TAPS)
    last = await metrics(session)
    assert last["Nodes"] <= first["Nodes"] + 20
    assert last["JSEventListeners"] <= first["JSEventListeners"] + 2
    assert last["Documents"] == first["Documents"]
    assert last["JSHeapUsedSize"] <= first["JSHeapUsedSize"] + 200_000
    assert await page.evaluate("views") - views >= TAPS / 10
    assert program.memory_mib() <= mib + 30  # SQLite's cache fills to its ceiling; of the screen alone: test_server
