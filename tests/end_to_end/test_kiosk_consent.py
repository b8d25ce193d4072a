"""A citizen takes a consent back at a kiosk's own screen: real programs, and another gate knows within two seconds."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import aiohttp

from deploy.town import Gate
from tests.end_to_end.quick_town import ALICE, BORIS, DESK, DOOR, QuickTown, delivered, tap, until, until_reason

CARING = Path(__file__).parents[2] / "deploy/privacy/caring.toml"
POLICY = 'repeat_window_s = 0\n[[rules]]\nkind = "admit"\nid = "carers"\nclasses = ["caring"]\n'
SCREEN = 'screen = {consents = ["caring"]}\n'


class Page:
    """What the page of a kiosk asks of its gate."""

    def __init__(self, gate: Gate, http: aiohttp.ClientSession) -> None:
        self.url, self.http = f"http://127.0.0.1:{gate.screen_port}", http

    async def read(self, path: str) -> Any:
        async with self.http.get(self.url + path) as answer:
            return await answer.json()

    async def press(self, path: str, **body: Any) -> Any:
        async with self.http.get(f"{self.url}/events") as stream:
            while not (line := await stream.content.readline()).startswith(b"data: "):
                pass
            token = json.loads(line.removeprefix(b"data: "))["token"]
            async with self.http.post(self.url + path, json=body, headers={"X-Tapgate-Token": token}) as answer:
                return await answer.json()


async def test_who_takes_it_back_at_a_kiosk_is_off_the_lists_of_other_gates_at_once(
    town: QuickTown, tmp_path: Path
) -> None:
    for name, text in (("carers.toml", POLICY), ("screen.toml", SCREEN)):
        (tmp_path / name).write_text(text)
    await town.do("policy", "put", DOOR.policy, tmp_path / "carers.toml")
    for member in ("M-0", "M-1"):
        await town.do("member", "put", member, "--domain", "library", "--class", "caring", "--who", "chen")
    await town.do("notice", "put", "caring", CARING)
    await town.do("gate", "config", "put", DESK.gate, tmp_path / "screen.toml")
    kiosk = await town.join(DESK, has_screen=True)
    kiosk.process.start()
    door = await town.open_gate(DOOR)
    await until_reason(door, ALICE, "ok")
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as http:
        page = Page(kiosk, http)
        await kiosk.until(lambda status: status["allowlist_version"] > 0)
        async with asyncio.timeout(30):
            while not (notices := await page.read("/consents")):
                await asyncio.sleep(0.1)
        (notice,) = notices
        assert (notice["purpose"], notice["version"], notice["gives"]) == ("caring", 1, False)
        assert notice["zh"][0].startswith("○○市政府")
        asked = {"purpose": "caring", "version": 1, "said": "withdrawn"}
        await page.press("/consent", **asked)
        started_s = time.monotonic()
        assert (await tap(kiosk, BORIS)).reason == "consent-taken"
        await until_reason(door, BORIS, "class-not-admitted")
        assert time.monotonic() - started_s < 2, "from the tap at one gate to the tap at another"
        kiosk.line.cut()
        assert await page.press("/consent", **asked) == {"stating": True}
        assert (await tap(kiosk, ALICE)).reason == "consent-taken", "apart, too"
        shown = await page.read("/state")
        assert (shown["mode"], shown["notes"][0]) == ("stated", "身心障礙與其他關懷資格於閘門使用：不同意或撤回")
    assert (await tap(door, ALICE)).reason == "ok", "the kiosk was apart"
    kiosk.line.restore()
    said = (
        "SELECT c.state, c.how, c.notice, c.who FROM consents c JOIN members m ON m.id = c.member WHERE m.reference = ?"
    )
    rows = await until(lambda: town.look_up(said, "M-0"), "what was stated is at central")
    await until_reason(door, ALICE, "class-not-admitted")
    assert rows == [("withdrawn", "kiosk", 1, f"{DESK.gate}/{town.device_of(kiosk)}"[:64])]
    await asyncio.gather(delivered(kiosk), delivered(door))
    await town.do("verify")
    assert town.audit(kiosk) == []
