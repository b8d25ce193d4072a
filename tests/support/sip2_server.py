"""A library system on loopback that does to its answers what real ones and bad lines were seen to do."""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

DATE = "20261129    120000"
KNOWS_ALL = "YYYYYYYYYYYYYYYY"


@dataclass
class Patron:
    """What is answered about one. `fields` replaces or adds; None leaves a field out."""

    status: str = " " * 14
    holds: str = "0000"
    overdue: str = "0000"
    name: str = "Wang"
    fields: dict[str, str | None] = field(default_factory=dict)


def closed(text: str, sequence: str, encoding: str = "utf-8") -> bytes:
    """A line with its trailer, counted here once more."""
    data = text.encode(encoding) + f"AY{sequence}AZ".encode()
    return data + b"%04X" % (0x10000 - sum(data) % 0x10000 & 0xFFFF) + b"\r"


class Sip2Server:
    """`plan`: what becomes of the next answers about patrons and loans, one word each; empty: they are as they ought to
    be."""

    def __init__(self, encoding: str = "utf-8") -> None:
        self.patrons: dict[str, Patron] = {}
        self.loans: dict[str, str] = {}
        self.titles: dict[str, str] = {}
        self.plan: deque[str] = deque()
        self.heard: list[str] = []
        self.asked: list[str] = []
        self.encoding, self.knows, self.online, self.port = encoding, KNOWS_ALL, "Y", 0
        self.password = "geheim"
        self.lines = 0
        self.aliases: dict[str, str] = {}
        self.late_s = 0.15
        self._last = b""
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def serving(self, tls: ssl.SSLContext | None = None) -> AsyncIterator["Sip2Server"]:
        server = await asyncio.start_server(self._line, "127.0.0.1", self.port, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _line(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.lines += 1
        try:
            while data := await reader.readuntil(b"\r"):
                if not await self._answer(data[:-1], writer):
                    break
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._tasks.discard(task)
            with suppress(OSError):
                writer.close()

    async def _answer(self, data: bytes, writer: asyncio.StreamWriter) -> bool:
        text = data.decode(self.encoding)
        self.heard.append(text)
        said = self._said(text)
        if said is None:
            return False  # hangs up on what it does not know
        answer = closed(said, text[-7], self.encoding)
        code = text[:2]
        word = self.plan.popleft() if self.plan and code in ("63", "23", "11", "09") else ""
        goes_on = await self._send(word, answer, text, writer)
        self._last = answer
        return goes_on

    async def _send(self, word: str, answer: bytes, asked: str, writer: asyncio.StreamWriter) -> bool:
        before, after, digit = b"", b"", asked[-7]
        match word:
            case "":
                pass
            case "late":
                await asyncio.sleep(self.late_s)
            case "late-for-good":
                task = asyncio.create_task(self._later(answer, writer))
                self._tasks.add(task)
                return True
            case "split":
                for at in range(0, len(answer), 7):
                    writer.write(answer[at : at + 7])
                    await asyncio.sleep(0)
                return True
            case "junk-glued":
                before = b"WARN: cache miss 63 64 "
            case "junk-lines":
                before = b"\n\r\nconnection reset\r\0\r"
            case "junk-behind":
                after = b"\n# served in 3 ms\n"
            case "junk-for-ever":
                before = b"x" * 500 + b"\r" + b"y" * 700 + b"\r"
            case "no-end":
                writer.write(b"64" + b"z" * 20_000)
                return True
            case "stale":
                answer = self._last or answer
            case "stale-before":
                before = self._last
            case "stale-glued":
                before = self._last.rstrip(b"\r")
            case "twice":
                after = answer
            case "checksum":
                answer = answer[:-5] + (b"0000\r" if answer[-5:-1] != b"0000" else b"1111\r")
            case "flipped":
                answer = answer.replace(b"BLY", b"BLN") if b"BLY" in answer else answer.replace(b"1", b"0", 1)
            case "lower":
                answer = answer[:-5] + answer[-5:].lower()
            case "no-trailer":
                answer = answer[: answer.rindex(b"AY")] + b"\r"
            case "sequence":
                answer = closed(answer[: answer.rindex(b"AY")].decode(self.encoding), str((int(digit) + 1) % 10))
            case "kind":
                answer = closed(f"36Y{DATE}AO|AAx|", digit)
            case "resend":
                answer = b"96AZ" + b"%04X" % (-sum(b"96AZ") & 0xFFFF) + b"\r"
            case "drop":
                return True
            case "hang-up":
                return False
            case "half":
                writer.write(answer[: len(answer) // 2])
                return False
            case "another":
                answer = closed(self._patron(self.asked[0], asked[:2]), digit, self.encoding)
            case _:
                raise AssertionError(word)
        writer.write(before + answer + after)
        await writer.drain()
        return True

    async def _later(self, answer: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(self.late_s)
        with suppress(OSError):
            writer.write(answer)
            await writer.drain()

    def _said(self, text: str) -> str | None:
        code = text[:2]
        fields = {piece[:2]: piece[2:] for piece in text[_HEADERS.get(code, 2) :].split("|")}
        if code == "93":
            return f"94{int(fields.get('CO') == self.password)}"
        if code == "99":
            return f"98{self.online}YYYNN300003{DATE}2.00AOTC|AMTaichung|BX{self.knows}|"
        if code in ("23", "63"):
            self.asked.append(fields["AA"])
            return self._patron(fields["AA"], code)
        if code == "11":
            return self._lend(fields["AA"], fields["AB"])
        if code == "09":
            item = fields["AB"]
            back = self.loans.pop(item, None)
            return f"10{int(back is not None)}YNN{DATE}AOTC|AB{item}|AQmain|AJ{self.titles.get(item, '')}|AFOK|"
        return None

    def _patron(self, asked: str, code: str) -> str:
        patron = self.patrons.get(asked)
        known = Patron(status="Y" + " " * 13, fields={"BL": "N"}) if patron is None else patron
        said = {"AO": "TC", "AA": self.aliases.get(asked, asked), "AE": known.name, "BL": "Y"} | known.fields
        body = "".join(f"{name}{value}|" for name, value in said.items() if value is not None)
        if code == "23":
            return f"24{known.status}001{DATE}{body}"
        return f"64{known.status}001{DATE}{known.holds}{known.overdue}0001000000000000{body}"

    def _lend(self, patron: str, item: str) -> str:
        held = self.loans.get(item)
        ok = item in self.titles and held is None and patron in self.patrons
        if ok:
            self.loans[item] = patron
        why = "" if ok else "AF此館藏不可外借|"
        due = "AH2026-12-20 23:59|" if ok else "AH|"
        return f"12{int(ok)}NUY{DATE}AOTC|AA{patron}|AB{item}|AJ{self.titles.get(item, '')}|{due}{why}"


_HEADERS = {"93": 4, "99": 10, "23": 23, "63": 33, "11": 40, "09": 39}
