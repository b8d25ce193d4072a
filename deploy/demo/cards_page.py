"""A page of cards to hold to gates, with a switch in each gate's line: hardware is not needed to see how they answer.

    GET  /        the page
    GET  /state   gates with their answers, and whether their lines are cut
    POST /tap     {"gate": …, "uid": …}
    POST /line    {"gate": …, "cut": true}

It listens on loopback, takes commands from its own page alone, and knows no more than this demonstration's cards.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from deploy.demo.stage import CARDS
from deploy.town import Gate, Town
from protocol.reasons import TEXTS, Reason

PAGE = Path(__file__).parent / "page"
FILES = {"cards.css": "text/css", "cards.js": "text/javascript"}
SHOWN = 6
"""Answers of each gate."""
ANSWER_S = 10.0
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-ancestors 'none'"


@asynccontextmanager
async def cards_page(town: Town, console_url: str) -> AsyncIterator[str]:
    """Gives the page's address while the block runs."""
    app = web.Application(middlewares=[_from_its_own_page])
    page = _CardsPage(town, console_url)
    app.router.add_get("/", page.show)
    app.router.add_get("/state", page.state)
    app.router.add_get("/{name}", page.file)
    app.router.add_post("/tap", page.tap)
    app.router.add_post("/line", page.line)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


@web.middleware
async def _from_its_own_page(request: web.Request, handler: Any) -> web.StreamResponse:
    """Another site that is open in the same browser taps no cards here."""
    if request.method == "POST" and request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        raise web.HTTPForbidden
    if request.host.rpartition(":")[0] not in ("127.0.0.1", "localhost"):
        raise web.HTTPForbidden
    response: web.StreamResponse = await handler(request)
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Cache-Control"] = "no-store"
    return response


class _CardsPage:
    def __init__(self, town: Town, console_url: str) -> None:
        self._town, self._console_url = town, console_url

    async def show(self, _request: web.Request) -> web.StreamResponse:
        return web.FileResponse(PAGE / "cards.html")

    async def file(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name not in FILES:
            raise web.HTTPNotFound
        return web.FileResponse(PAGE / name, headers={"Content-Type": FILES[name]})

    async def state(self, _request: web.Request) -> web.Response:
        gates = await asyncio.gather(*(self._state_of(gate) for gate in self._town.gates.values()))
        cards = [{"uid": uid, "text": text} for uid, text in CARDS.items()]
        return web.json_response({"gates": gates, "cards": cards, "console": self._console_url})

    async def tap(self, request: web.Request) -> web.Response:
        """Holds a card to a gate and gives what the gate said."""
        asked = await request.json()
        gate = self._gate(asked)
        if asked.get("uid") not in CARDS:
            raise web.HTTPNotFound
        before = len(gate.signals())
        gate.tap(asked["uid"])
        try:
            async with asyncio.timeout(ANSWER_S):
                while len(gate.signals()) == before:  # noqa: ASYNC110 - the answer comes by a file
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise web.HTTPGatewayTimeout from None
        return web.json_response(_answer(gate.signals()[before]))

    async def line(self, request: web.Request) -> web.Response:
        """Cuts a gate off from central, or joins it again."""
        asked = await request.json()
        gate = self._gate(asked)
        if asked.get("cut"):
            gate.line.cut()
        else:
            gate.line.restore()
        return web.json_response({"cut": gate.line.is_cut})

    def _gate(self, asked: Any) -> Gate:
        gate = self._town.gates.get(str(asked.get("gate"))) if isinstance(asked, dict) else None
        if gate is None:
            raise web.HTTPNotFound
        return gate

    async def _state_of(self, gate: Gate) -> dict[str, Any]:
        status = await gate.status() or {}
        return {
            "gate": gate.spot.gate,
            "zh": gate.spot.title_zh,
            "en": gate.spot.title_en,
            "cut": gate.line.is_cut,
            "waiting": status.get("backlog"),
            "events": status.get("sequence", -1) + 1,
            "screen": f"http://127.0.0.1:{gate.screen_port}/" if gate.screen_port else "",
            "answers": [_answer(signal) for signal in gate.signals()[-SHOWN:]][::-1],
        }


def _answer(signal: list[str]) -> dict[str, str]:
    _epoch, sequence, outcome, reason = signal[:4]
    zh, en = TEXTS[Reason(reason)]
    return {"sequence": sequence, "outcome": outcome, "reason": reason, "zh": zh, "en": en}
