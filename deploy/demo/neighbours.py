"""Those around Tapgate: a library that lends by card, a system that is told of taps; and a person who is forgotten."""

import asyncio
import json
import sqlite3
import time
import urllib.request
from asyncio.subprocess import PIPE
from contextlib import closing
from pathlib import Path
from typing import Any

from rich.markup import escape

from deploy.demo.library import TITLES, ToyLibrary
from deploy.demo.receiver import Receiver
from deploy.demo.stage import Stage, console
from deploy.town import BIN, CommandFailed, Gate, Spot, Town

COUNTER = Spot("library-desk", "central-library", "library", "counter", "open-house", "圖書館櫃檯", "Library desk")
LIBRARY = "toy"
WANG, WANG_NUMBER, WANG_BARCODE = "2A83155E", "A-1001", "L0001001"
WU, WU_NUMBER = "7186A61E", "A-1007"
BOOK = "T0002"
TAP = "tw.tapgate.tap.v1"
HOLD_READY = "您預約的資料已到館"
HAND_S, AGAIN_S = 1.0, 4.0
"""Before a card is held, and before it is held once more."""
LET_GO_S = 60.0
"""A gate polls every 20 s."""
SUBJECTS = "SELECT s.subject FROM subjects s JOIN members m ON m.id = s.member WHERE m.reference = ?"


def settings_for(library: ToyLibrary) -> str:
    """What central's settings say of it, and that webhooks may go to this machine."""
    return (
        'events.networks = ["127.0.0.1/32"]\n'
        f'\n[[libraries]]\nid = "{LIBRARY}"\ndomain = "{COUNTER.domain}"\nhost = "127.0.0.1"\nport = {library.port}\n'
        'tls = "none"\nper_minute = 600\n'
    )


class Neighbours(Stage):
    """A counter of the library, and systems of others beside Tapgate."""

    def __init__(self, town: Town, failures: list[str], library: ToyLibrary, receiver: Receiver) -> None:
        super().__init__(town, failures)
        self.library, self.receiver = library, receiver

    async def set_up(self) -> None:
        """A barcode for one member, whom the library is asked about from now on; a counter; a subscription."""
        self.library.holds.add(WANG_BARCODE)
        await asyncio.gather(self.a_patron(), self.a_counter(), self.a_subscription())

    async def a_patron(self) -> None:
        await self.command("member", "number", "put", WANG_NUMBER, "library-barcode", WANG_BARCODE)
        await self.command("library", "refresh", LIBRARY, WANG_NUMBER)

    async def a_counter(self) -> None:
        titles = ("--title-zh", COUNTER.title_zh, "--title-en", COUNTER.title_en)
        where = ("--venue", COUNTER.venue, "--policy", COUNTER.policy, "--kind", COUNTER.kind)
        await self.command("gate", "add", COUNTER.gate, *where, *titles)
        gate = await self.town.join(COUNTER)
        gate.process.start()
        await gate.until(lambda status: status["allowlist_version"] > 0)

    async def a_subscription(self) -> None:
        """The URL may hold a secret, so it is in no argument."""
        file = self.town.directory / "webhook.txt"
        file.write_text(self.receiver.url + "\n")
        told = ("--type", "tap", "--venue", COUNTER.venue, "--webhook-file", str(file))
        self.receiver.secret = (await self.json("subscription", "add", "books", *told))["secret"]

    async def play(self) -> None:
        await self.a_book_is_borrowed()
        await self.a_book_is_waiting()
        await self.somebody_is_told()

    # --- the library ----------------------------------------------------------------------------------------

    async def a_book_is_borrowed(self) -> None:
        console.rule("[bold]library: a book is borrowed by card")
        console.print("[dim]its system is a toy of three books, asked by SIP2 as a real one would be[/]")
        lent = await self.lent_to_who_taps(BOOK, WANG)
        console.print(f"  {lent['item_title']}, due {lent['due']}")
        is_lent = lent["outcome"] == "done" and self.library.loans == {BOOK: WANG_BARCODE}
        self.check(is_lent and lent["item_title"] == TITLES[BOOK], "the library's system lent it to who tapped")

    async def lent_to_who_taps(self, item: str, uid: str) -> dict[str, Any]:
        """The command of whoever stands behind the counter; the card is held when it asks for it."""
        command = [BIN / "tapgate-central", "--config", self.town.config]
        command += ["library", "checkout", LIBRARY, item, "--tap", COUNTER.gate, "--json"]
        checkout = await asyncio.create_subprocess_exec(*map(str, command), stdout=PIPE, stderr=PIPE)
        assert checkout.stderr is not None
        try:
            await checkout.stderr.readline()  # "Tap the card"; a hand takes a moment, too
            await asyncio.sleep(HAND_S)
            done = asyncio.create_task(checkout.communicate())
            while not done.done():
                await self.tap(self.town.gates[COUNTER.gate], uid)
                await asyncio.wait({done}, timeout=AGAIN_S)
            said, failed = await done
        finally:
            if checkout.returncode is None:
                checkout.kill()
                await checkout.wait()
        if not said:
            raise CommandFailed(f"library checkout: {failed.decode().strip()}")
        return dict(json.loads(said))

    async def a_book_is_waiting(self) -> None:
        console.rule("[bold]library: something reserved is ready, says its system")
        door, told = self.town.gates["library-door"], ""
        for _ in range(5):
            await self.tap(door, WANG)
            if told := await self.noticed(door):
                break
            await asyncio.sleep(AGAIN_S)
        console.print(f"  on the screen: {told}")
        self.check(HOLD_READY in told, "the door tells whom it concerns, by the library's word")

    async def noticed(self, gate: Gate) -> str:
        """What its screen says beside the answer, within a second."""
        for _ in range(10):
            if notes := await asyncio.to_thread(notes_on, gate):
                return notes
            await asyncio.sleep(0.1)
        return ""

    # --- others ---------------------------------------------------------------------------------------------

    async def somebody_is_told(self) -> None:
        console.rule("[bold]a system of somebody else's is told by signed webhooks")
        try:
            async with asyncio.timeout(30):
                while len(self.receiver.events) < 2:  # noqa: ASYNC110 - they come when they come
                    await asyncio.sleep(0.1)
        except TimeoutError:
            pass  # the check says so
        told, uid = list(self.receiver.events.values()), WANG.lower()
        for event in told[-1:]:
            console.print(f"  [dim]{escape(json.dumps(event, ensure_ascii=False))}[/]")
        are_its_taps = {(event["type"], event["data"]["venue"]) for event in told} == {(TAP, COUNTER.venue)}
        self.check(are_its_taps and not self.receiver.refused, f"{len(told)} CloudEvents, each with a good signature")
        self.check(uid not in json.dumps(told).lower(), "no card stands in what it was told")

    # --- privacy --------------------------------------------------------------------------------------------

    async def a_person_is_erased(self) -> None:
        console.rule("[bold]privacy: a person is erased")
        traces = [WU_NUMBER.encode(), *await asyncio.to_thread(self.subjects_of, WU_NUMBER)]
        before = await asyncio.to_thread(self.files_with, traces)
        receipt = self.town.directory / f"{WU_NUMBER}.erased"
        done = await self.json("member", "erase", WU_NUMBER, "--apply", "--receipt", str(receipt))
        went = ", ".join(f"{count} of {table}" for table, count in done["rows"].items() if count)
        console.print(f"  {escape(went)}; the receipt: {receipt} ({receipt.stat().st_size} bytes)")
        after = await self.files_without(traces)
        left = ", ".join(str(path) for path in after) or "no file"
        console.print(f"  [dim]named in {len(before)} files before, of central and of the gates; now in {left}[/]")
        is_gone = any(map(self.is_centrals, before)) and not any(map(self.is_centrals, after))
        self.check(is_gone, "no file of central says who it was")
        gates = [self.town.gates[name] for name in ("library-door", "sports-turnstile")]
        reasons = {(await self.tap(gate, WU))[1] for gate in gates}
        self.check(reasons == {"unknown-card"}, "the gates know the card no more")
        whole = (await self.command("verify")).startswith("Whole")
        self.check(whole, "central: every signature, chain and receipt holds all the same")

    def subjects_of(self, reference: str) -> list[bytes]:
        """What stands for a member in each domain: random bytes that occur nowhere by chance."""
        path = self.town.directory / "central" / "central.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            return [bytes(subject) for (subject,) in database.execute(SUBJECTS, (reference,))]

    def files_with(self, needles: list[bytes]) -> list[Path]:
        """Of central and of the gates: database, logs, everything."""
        files = [path for path in self.town.directory.rglob("*") if path.is_file()]
        return [path for path in files if any(needle in bytes_of(path) for needle in needles)]

    def is_centrals(self, path: Path) -> bool:
        """A gate lets go as soon as it has heard and delivered, which may be a minute later: the receipt says so."""
        return path.is_relative_to(self.town.directory / "central")

    async def files_without(self, needles: list[bytes]) -> list[Path]:
        """The files that hold it still, as soon as none does. Central tells gates whom to forget, and forgets it itself
        when each has said at its next poll that it did."""
        end_s = time.monotonic() + LET_GO_S
        while found := await asyncio.to_thread(self.files_with, needles):
            if time.monotonic() > end_s:
                break
            await asyncio.sleep(2.0)
            if any(map(self.is_centrals, found)):
                await self.command("erasure", "compact")
        return found


def bytes_of(path: Path) -> bytes:
    """Nothing of a file that went meanwhile."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def notes_on(gate: Gate) -> str:
    """What its screen tells a person beside the answer, in Chinese; empty where nothing."""
    try:
        address = f"http://127.0.0.1:{gate.screen_port}/state"
        with urllib.request.urlopen(address, timeout=5) as answer:
            return str(json.load(answer)["notes"][0])
    except (OSError, ValueError, KeyError):
        return ""
