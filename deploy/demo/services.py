"""The city's services at work: parks that share a pass, a pool that takes points, volunteers, closing."""

import asyncio
import datetime as dt
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.markup import escape

from deploy.demo.stage import Stage, console
from deploy.town import Gate, Spot

POLICIES = Path(__file__).parent / "policies"
CARDS_FILE = Path(__file__).parent / "cards.csv"
HOULI = Spot("expo-houli", "houli-park", "expo", "door", "expo", "花博后里園區", "Expo, Houli park")
FENGYUAN = Spot("expo-fengyuan", "fengyuan-park", "expo", "door", "expo", "花博豐原園區", "Expo, Fengyuan park")
POOL = Spot("pool-entry", "pool", "sports", "turnstile", "pool", "游泳池入口", "Pool, way in")
POOL_EXIT = Spot("pool-exit", "pool", "sports", "turnstile", "pool", "游泳池出口", "Pool, way out")
DESK = Spot("volunteer-desk", "volunteer-centre", "volunteers", "kiosk", "shifts", "志工櫃檯", "Volunteer desk")
SPOTS = (HOULI, FENGYUAN, POOL, POOL_EXIT, DESK)
WANG, LEE, CHANG, CHEN = "2A83155E", "04A1B2C3D4E5F6", "9B3C7D21", "045566778899AA"
AGREED_S = 2.0
"""Connected gates know of each other's taps within so long."""


class Services(Stage):
    """Five more gates, whose rules look back: at what was before, and at what happened elsewhere."""

    async def set_up(self) -> None:
        policies = {name: str(POLICIES / f"{name}.toml") for name in ("expo", "pool", "shifts")}
        put = (self.command("policy", "put", name, file) for name, file in policies.items())
        await asyncio.gather(self.command("domain", "add", "expo"), *put)
        await asyncio.gather(
            self.command("card", "import", str(CARDS_FILE), "--domain", "expo", "--notation", "hex", "--apply"),
            self.command("volunteer", "team", "put", "desk", str(POLICIES / "team.toml"), "--who", "lin"),
            *(self.add_venue(spot) for spot in (HOULI, FENGYUAN, POOL)),
        )
        await asyncio.gather(*map(self.join, SPOTS))
        seniors = str(POLICIES / "seniors.toml")
        await self.command("points", "plan", "put", "seniors", seniors)  # the gates are there: some of it is theirs
        for spot in SPOTS:
            await self.gate(spot).until(lambda status: status["state_version"] > 0 and status["apart"] is False)

    async def add_venue(self, spot: Spot) -> None:
        await self.command("venue", "add", spot.venue, "--domain", spot.domain, "--title-zh", spot.title_zh)

    async def join(self, spot: Spot) -> None:
        titles = ("--title-zh", spot.title_zh, "--title-en", spot.title_en)
        where = ("--venue", spot.venue, "--policy", spot.policy, "--kind", spot.kind)
        way = ("--direction", "out" if spot is POOL_EXIT else "in")
        await self.command("gate", "add", spot.gate, *where, *titles, *way)
        (await self.town.join(spot)).process.start()

    def gate(self, spot: Spot) -> Gate:
        return self.town.gates[spot.gate]

    async def play(self) -> None:
        await self.one_pass_for_the_parks()
        await self.points_before_cash()
        await self.hours_of_volunteers()
        await self.a_month_for_the_ministry()
        await self.a_park_closes()

    async def one_pass_for_the_parks(self) -> None:
        console.rule("[bold]expo: the first day free in every park, later entries at half price")
        await self.tap(self.gate(HOULI), WANG)
        first = await self.settled("visits", HOULI.venue, until=bool)
        await asyncio.sleep(AGREED_S)
        answer = await self.tap(self.gate(FENGYUAN), WANG)
        tomorrow = await self.would_be(self.gate(FENGYUAN), WANG, days=1)
        console.print(f"  tomorrow: NT${tomorrow['due']} at {FENGYUAN.title_en}")
        for tried in tomorrow["tried"]:
            console.print(f"  [dim]{tried['rule']}: {tried['outcome']}, {tried['why']}[/]")
        free_twice = bool(first) and answer[1] == "ok"
        self.check(free_twice and tomorrow["due"] == 175, "two parks on one free day; tomorrow half price in either")

    async def points_before_cash(self) -> None:
        console.rule("[bold]pool: points before cash, nobody twice, two at once")
        await self.until(lambda: self.would_be(self.gate(POOL), CHANG), lambda found: found["points"] == 60)
        reasons = [(await self.tap(self.gate(POOL), uid))[1] for uid in (CHANG, WANG, CHEN)]
        self.check(reasons == ["ok", "ok", "full"], "two are inside, the third waits")
        await self.settled("occupancy", POOL.venue, until=lambda found: found["inside"] == 2)
        await asyncio.sleep(AGREED_S)
        again = (await self.tap(self.gate(POOL), CHANG))[1]
        await self.tap(self.gate(POOL_EXIT), CHANG)
        await self.settled("occupancy", POOL.venue, until=lambda found: found["inside"] == 1)
        await asyncio.sleep(AGREED_S)
        admitted = (await self.tap(self.gate(POOL), CHEN))[1]
        self.check((again, admitted) == ("already-inside", "ok"), "a card lent over the fence opens nothing")
        balance = await self.settled(
            *("points", "balance", "A-1003", "--domain", "sports"), until=lambda found: found["points"] == 940
        )
        self.check(balance["points"] == 940, "1,000 points of the month, 60 of them for the pool")

    async def hours_of_volunteers(self) -> None:
        console.rule("[bold]volunteers: in, a double tap, out")
        reasons = [(await self.tap(self.gate(DESK), LEE))[1] for _ in range(2)]
        await asyncio.sleep(2.2)
        reasons.append((await self.tap(self.gate(DESK), LEE))[1])
        self.check(reasons == ["signed-in", "signed-in", "signed-out"], "a double tap is never a sign-out")
        found = await self.settled(
            *("volunteer", "sessions", "--member", "A-1002"),
            until=lambda found: any(session["state"] == "counted" for session in found),
        )
        self.check([session["team"] for session in found] == ["desk"], "one session, of the team of that desk")

    async def a_month_for_the_ministry(self) -> None:
        console.rule("[bold]volunteers: last month goes to the ministry's system")
        last = dt.datetime.now(dt.UTC).date().replace(day=1) - dt.timedelta(days=1)
        by_lin, month = ("--who", "lin"), f"{last:%Y-%m}"
        times = ("--in", f"{last}T09:00", "--out", f"{last}T11:05", "--why", "the kiosk was away")
        await asyncio.gather(
            self.command("volunteer", "sign", "A-1002", "--team", "desk", *times, *by_lin),
            self.command("member", "number", "put", "A-1002", "volunteer-number", "V-1002"),
        )
        await self.command("volunteer", "approve", "desk", month, *by_lin)
        file = self.town.directory / f"vols-desk-{month}.xls"
        made = await self.json("volunteer", "export", "desk", month, str(file))
        console.print(f"  {file}: {made['rows']} session, {made['minutes']} minutes")
        self.check((made["rows"], made["left_out"]) == (1, []), "the ministry's table holds it, exact to the minute")

    async def a_park_closes(self) -> None:
        console.rule("[bold]a typhoon: one action closes a park")
        today = dt.datetime.now(dt.UTC).date()
        dates = ("--from", str(today - dt.timedelta(days=1)), "--until", str(today + dt.timedelta(days=1)))
        why = ("--why-zh", "颱風停班停課", "--why-en", "Typhoon")
        said = await self.json("closure", "add", "--venue", HOULI.venue, *dates, *why)
        console.print(f"  [dim]{json.dumps(said, ensure_ascii=False)[:200]}[/]")
        gate = self.gate(HOULI)
        await self.until(lambda: self.would_be(gate, WANG), lambda found: found["reason"] == "closed")
        closed, other = await self.tap(gate, WANG), await self.tap(self.gate(FENGYUAN), WANG)
        self.check((closed[1], other[1]) == ("closed", "ok"), "that park is closed, and no other")

    async def what_central_makes_of_it(self) -> None:
        console.rule("[bold]central: judged again, explained, rebuilt, and what if")
        for gate in self.town.gates.values():
            await self.delivered(gate)
        log = [json.loads(line) for line in (await self.command("log", "--gate", POOL.gate, "--json")).splitlines()]
        full = next(event for event in log if event["reason"] == "full")
        name = f"{full['device']}/{full['epoch']}/{full['sequence']}"
        console.print(await self.command("explain", name))
        conflicts = await self.settled("conflict", "list", "--open", until=lambda found: not _apart_from_late(found))
        for conflict in conflicts:
            console.print(f"  [dim]{escape(json.dumps(conflict, ensure_ascii=False))}[/]")
        self.check(_apart_from_late(conflicts) == [], "gates and central agree on every tap")
        await self.command("rebuild")
        self.check(True, "everything counted again from the events comes to the same")
        wider = POLICIES / "expo.toml"
        since = str(dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1))
        replayed = await self.json("policy", "replay", str(wider), "--policy", "pool", "--since", since)
        console.print(f"  [dim]the pool under the expo's rules: {json.dumps(replayed, ensure_ascii=False)[:300]}[/]")

    # --- asking until it is so ------------------------------------------------------------------------------

    async def would_be(self, gate: Gate, uid: str, days: int = 0) -> Any:
        """What a gate would answer, and why."""
        when = (dt.datetime.now(dt.UTC) + dt.timedelta(days=days)).isoformat()
        asked = ("decide", uid, "--at", when, "--explain", "--json")
        return json.loads(await asyncio.to_thread(gate.command, *asked))

    async def settled(self, *command: str, until: Callable[[Any], Any]) -> Any:
        return await self.until(lambda: self.json(*command), until)

    async def until(self, ask: Callable[[], Any], holds: Callable[[Any], Any], within_s: float = 20) -> Any:
        """The first answer that holds, or the last one there was time for: the check that follows says so."""
        end_s = time.monotonic() + within_s
        while True:
            found = await ask()
            if holds(found) or time.monotonic() >= end_s:
                return found
            await asyncio.sleep(0.1)


def _apart_from_late(conflicts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lost card is tapped again and again until the last gate has heard of it: that it opened before is known."""
    return [conflict for conflict in conflicts if conflict["kind"] != "admitted-after-revocation"]
