"""Plays one scenario on real processes: taps, a revocation, a line that is cut and drains, an audit; then the city's
services, a library that lends by card, a webhook, a person who is erased.

`--once` checks what it sees and ends with 0 or 1; without it taps go on until Ctrl-C.
"""

import asyncio
import contextlib
import json
import random
import shutil
import signal
import sys
import time
import urllib.request
from importlib.util import find_spec
from pathlib import Path

from deploy.demo.cards_page import cards_page
from deploy.demo.library import toy_library
from deploy.demo.neighbours import Neighbours, settings_for
from deploy.demo.receiver import receiving
from deploy.demo.services import Services
from deploy.demo.stage import CARDS, Stage, console
from deploy.town import CommandFailed, Gate, Spot, Town

HERE = Path(__file__).parent
DIRECTORY = Path("build/demo")
SPOTS = (
    Spot("library-door", "central-library", "library", "door", "open-house", "圖書館入口", "Library door"),
    Spot("volunteer-kiosk", "volunteer-centre", "volunteers", "kiosk", "open-house", "志工簽到站", "Volunteer kiosk"),
    Spot("sports-turnstile", "sports-centre", "sports", "turnstile", "open-house", "運動中心閘門", "Sports turnstile"),
)
ACCOUNT = "demo"
LOST_CARD = "7186A61E"


class Demo(Stage):
    """Taps at three gates, a card that is lost, a line that is cut."""

    async def set_up(self) -> None:
        """The city's side by commands, then three agents that enrol."""
        town = self.town
        console.rule("[bold]central and three gates")
        await asyncio.to_thread(town.command, "init")
        await town.start_central()
        console.print(f"central serves devices on https://127.0.0.1:{town.port}")
        await self.open_the_console()
        policy = asyncio.to_thread(town.command, "policy", "put", "open-house", str(HERE / "policy.toml"))
        await asyncio.gather(policy, *(asyncio.to_thread(self.add_venue, spot) for spot in SPOTS))
        await asyncio.gather(*(asyncio.to_thread(self.add_gate, spot) for spot in SPOTS))
        await asyncio.to_thread(self.configure_screens)
        reader = card_reader()
        if reader:
            console.print(f"card reader found and used at the library door: {reader}")
        for s in SPOTS:
            gate = await town.join(s, has_card_reader=bool(reader) and s is SPOTS[0], has_screen=True)
            gate.process.start()
            console.print(f"{s.gate}: enrolled, the words compared, confirmed; screen on {screen_of(gate)}")
        for gate in town.gates.values():
            status = await gate.until(lambda status: status["allowlist_version"] > 0)
            console.print(f"{gate.spot.gate}: holds a list of {status['allowlist_rows']} cards")

    async def open_the_console(self) -> None:
        """An account for whoever looks at this; it is let in on this machine alone."""
        made = await self.json("account", "add", ACCOUNT, "--role", "admin", "--loopback-only")
        console.print(f"the console: [bold]{self.town.console_url}[/]")
        console.print(f"account [bold]{ACCOUNT}[/], password [bold]{made['password']}[/] (this machine alone)")

    def add_venue(self, s: Spot) -> None:
        self.town.command("domain", "add", s.domain)
        titles = ["--title-zh", s.title_zh, "--title-en", s.title_en]
        self.town.command("venue", "add", s.venue, "--domain", s.domain, *titles)

    def add_gate(self, s: Spot) -> None:
        titles = ["--title-zh", s.title_zh, "--title-en", s.title_en]
        self.town.command("gate", "add", s.gate, "--venue", s.venue, "--kind", s.kind, "--policy", s.policy, *titles)
        imported = ["--domain", s.domain, "--notation", "hex", "--apply"]
        self.town.command("card", "import", str(HERE / "cards.csv"), *imported)

    def configure_screens(self) -> None:
        """What people see at the gates; masked names at the kiosk, of those who agreed."""
        self.town.command("gate", "config", "put", *(s.gate for s in SPOTS), str(HERE / "screen.toml"))
        self.town.command("card", "names", str(HERE / "names.csv"), "--domain", SPOTS[1].domain, "--apply")

    # --- the scenario -----------------------------------------------------------------------------------

    async def play(self) -> None:
        """Everything that the summary speaks of."""
        await self.all_online()
        await self.a_card_is_lost()
        await self.a_line_is_cut()
        await self.audit()

    async def all_online(self) -> None:
        console.rule("[bold]taps, decided at the gates")
        expected = {
            "2A83155E": "ok",
            "9B3C7D21": "ok",
            "5A6B7C8D": "class-not-admitted",
            "C0FFEE11": "expired",
            "DEADBEEF": "unknown-card",
            "08112233": "uid-random",
        }
        answers = {}
        for gate in self.town.gates.values():
            for uid, reason in expected.items():
                answers[gate.spot.gate, uid] = (await self.tap(gate, uid))[1] == reason
        for gate in self.town.gates.values():
            await self.delivered(gate)
        await self.show_receipts()
        self.check(all(answers.values()), "every card got the answer that its entry and the policy call for")

    async def a_card_is_lost(self) -> None:
        console.rule("[bold]a card is reported lost while the gates are online")
        gates = list(self.town.gates.values())
        first = await self.tap(gates[0], LOST_CARD)
        start = time.perf_counter()
        await asyncio.to_thread(self.town.command, "card", "block", LOST_CARD, "--notation", "hex", "--state", "lost")
        reasons: list[str] = []
        for gate in gates:
            async with asyncio.timeout(10):
                while (answer := await self.tap(gate, LOST_CARD))[1] == "ok":  # noqa: ASYNC110 - a tap is the question
                    await asyncio.sleep(0.1)
            reasons.append(answer[1])
        console.print(f"[dim]{time.perf_counter() - start:.1f} s from the command to the last gate's refusal[/]")
        self.check(first[0] == "granted" and set(reasons) == {"card-lost"}, "the lost card is refused at every gate")

    async def a_line_is_cut(self) -> None:
        gate = self.town.gates["sports-turnstile"]
        console.rule(f"[bold]{gate.spot.gate}: the line is cut, taps go on")
        gate.line.cut()
        uids = ["2A83155E", "045566778899AA", "04A1B2C3D4E5F6", "9B3C7D21", "DEADBEEF"]
        for uid in uids * 4:
            await self.tap(gate, uid)
        waiting = await gate.until(lambda status: status["backlog"] >= len(uids) * 4)
        await self.show_receipts()
        self.check(waiting["backlog"] >= len(uids) * 4, f"{waiting['backlog']} events wait at the gate, none lost")
        console.rule(f"[bold]{gate.spot.gate}: the line is back")
        start = time.perf_counter()
        gate.line.restore()
        await self.delivered(gate)
        await self.show_receipts()
        self.check(True, f"the backlog drained {time.perf_counter() - start:.1f} s after the line came back")

    async def audit(self) -> None:
        console.rule("[bold]audit")
        for gate in self.town.gates.values():
            told = await asyncio.to_thread(screen_says, gate)
            self.check(told == gate.spot.title_zh, f"{gate.spot.gate}: its screen is served, titled {told}")
        log = (await asyncio.to_thread(self.town.command, "log", "--json")).splitlines()
        events = [json.loads(line) for line in log]
        held = {(event["gate"], event["epoch"], event["sequence"]) for event in events}
        self.check(len(held) == len(events), f"{len(events)} events at central, each counted once")
        for gate in self.town.gates.values():
            signals = gate.signals()
            lost = [s for s in signals if (gate.spot.gate, s[0], int(s[1])) not in held]
            self.check(not lost, f"{gate.spot.gate}: all {len(signals)} answers that people saw are in custody")
            self.check(await succeeds(gate.command, "journal", "verify"), f"{gate.spot.gate}: its journal is whole")

    async def go_on(self, stop: asyncio.Event) -> None:
        """Random taps until somebody stops it."""
        console.rule("[bold]taps go on; Ctrl-C stops")
        for gate in self.town.gates.values():
            console.print(f"what people see at {gate.spot.gate}: {screen_of(gate)}")
        chooser = random.Random()  # noqa: S311 - which card is tapped next is no secret
        taps = 0
        while not stop.is_set():
            gate = chooser.choice(list(self.town.gates.values()))
            tap = asyncio.create_task(self.tap(gate, chooser.choice(list(CARDS))))
            stopped = asyncio.create_task(stop.wait())  # Ctrl-C reaches the gates too: then nobody answers any more
            await asyncio.wait({tap, stopped}, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            if not tap.done():
                tap.cancel()
                return
            await tap
            taps += 1
            if taps % 10 == 0:
                await self.show_receipts()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), chooser.uniform(0.3, 1.5))


def screen_of(gate: Gate) -> str:
    """Where its kiosk page is."""
    return f"http://127.0.0.1:{gate.screen_port}/"


def screen_says(gate: Gate) -> str:
    """The title that a browser would show; empty where nothing answers."""
    try:
        with urllib.request.urlopen(f"{screen_of(gate)}state", timeout=5) as answer:  # noqa: S310 - our own loopback
            return str(json.load(answer)["title"][0])
    except (OSError, ValueError, KeyError):
        return ""


async def succeeds(command: object, *arguments: str) -> bool:
    """True when a command ends with 0; what it said otherwise is shown."""
    try:
        await asyncio.to_thread(command, *arguments)  # type: ignore[arg-type]
    except CommandFailed as failure:
        console.print(f"    {failure}")
        return False
    return True


def card_reader() -> str:
    """The first PC/SC reader of this machine, or nothing; never a reason to fail."""
    if find_spec("smartcard") is None:
        return ""
    try:
        from smartcard.System import readers

        found = readers()
    except Exception:
        return ""
    return str(found[0]) if found else ""


async def play_the_city(services: Services, neighbours: Neighbours) -> None:
    """What looks back and around: more gates, other systems, and what is left of a person who is erased."""
    console.rule("[bold]the city's services and neighbours: six gates more")
    await asyncio.gather(services.set_up(), neighbours.set_up())
    console.print("each of them knows what the others of its domain know")
    await services.play()
    await neighbours.play()
    await services.what_central_makes_of_it()
    await neighbours.a_person_is_erased()


async def main(once: bool) -> int:
    """Exit code 0: everything was as it must be."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    scenario = asyncio.current_task()
    assert scenario is not None
    going_on = False

    def interrupted() -> None:
        stop.set()
        if not going_on:
            scenario.cancel()

    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, interrupted)
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    start = time.perf_counter()
    try:
        async with contextlib.AsyncExitStack() as stack:
            library = await stack.enter_async_context(toy_library())
            receiver = await stack.enter_async_context(receiving())
            town = await stack.enter_async_context(Town(DIRECTORY.resolve(), settings=settings_for(library)))
            failures: list[str] = []
            demo = Demo(town, failures)
            await demo.set_up()
            cards = await stack.enter_async_context(cards_page(town, town.console_url))
            console.print(f"cards to tap, and a switch in each gate's line: [bold]{cards}[/]")
            await demo.play()
            await play_the_city(Services(town, failures), Neighbours(town, failures, library, receiver))
            if not once:
                going_on = True
                console.print(f"the console: {town.console_url}  cards to tap: {cards}")
                await demo.go_on(stop)
            console.rule("[bold]stopping")
    except (CommandFailed, TimeoutError) as failure:
        console.print(f"[bold red]{type(failure).__name__}: {failure}[/] (logs are under {DIRECTORY})")
        return 1
    except asyncio.CancelledError:
        console.print("stopped")
        return 130
    if failures:
        console.print(f"[bold red]{len(failures)} of the checks failed:[/] {'; '.join(failures)}")
        return 1
    console.print(f"[bold green]All checks hold[/] ({time.perf_counter() - start:.0f} s).")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main("--once" in sys.argv[1:])))
