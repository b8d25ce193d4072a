"""A toy library of three books that speaks SIP2 on loopback, for want of a real one.

It knows what central asks (status, patron, lend, take back), takes everybody at their number, and forgets all at the
end. What it says is framed as real systems do: fields, sequence digit, checksum over bytes.
"""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

TITLES = {"T0001": "臺灣通史", "T0002": "臺中文學地圖", "T0003": "大肚山植物"}
LOAN_DAYS = 28
FINE = " " * 14
KNOWS = "NYYNNNNYNNNNNNNN"
"""Of the messages that there are: lending, taking back, and questions about patrons."""
HEADERS = {"99": 10, "63": 33, "11": 40, "09": 39}
"""Characters before the fields of a request."""


class ToyLibrary:
    """`holds`: numbers of patrons for whom something is ready. `loans`: who has what, by item."""

    def __init__(self) -> None:
        self.port = 0
        self.holds: set[str] = set()
        self.loans: dict[str, str] = {}

    async def line(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side is done with it."""
        with suppress(OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            while answer := self._answer((await reader.readuntil(b"\r"))[:-1].decode().strip("\n")):
                writer.write(answer)
                await writer.drain()
        writer.close()

    def _answer(self, request: str) -> bytes:
        """Nothing: it hangs up on what it does not understand."""
        code, sequence = request[:2], request[-7:-6]
        if code not in HEADERS or not sequence.isdigit():
            return b""
        fields = {piece[:2]: piece[2:] for piece in request[HEADERS[code] :].split("|")}
        patron, item = fields.get("AA", ""), fields.get("AB", "")
        now = dt.datetime.now()
        said = {
            "99": lambda: f"98YYYNNN300003{_written(now)}2.00AOTOY|AM三本書圖書館|BX{KNOWS}|",
            "63": lambda: self._patron(patron, now),
            "11": lambda: self._lend(patron, item, now),
            "09": lambda: self._take_back(item, now),
        }[code]()
        data = f"{said}AY{sequence}AZ".encode()
        return data + b"%04X\r" % (-sum(data) & 0xFFFF)

    def _patron(self, patron: str, now: dt.datetime) -> str:
        counts = f"{int(patron in self.holds):04}" + "0000" * 5
        return f"64{FINE}001{_written(now)}{counts}AOTOY|AA{patron}|AE{patron}|BLY|"

    def _lend(self, patron: str, item: str, now: dt.datetime) -> str:
        lends = item in TITLES and item not in self.loans
        if lends:
            self.loans[item] = patron
        due = _written(now.replace(hour=23, minute=59, second=0) + dt.timedelta(days=LOAN_DAYS)) if lends else ""
        why = "" if lends else "AF此館藏不可外借|"
        said = f"AA{patron}|AB{item}|AJ{TITLES.get(item, '')}|AH{due}|{why}"
        return f"12{int(lends)}NU{'Y' if lends else 'N'}{_written(now)}AOTOY|{said}"

    def _take_back(self, item: str, now: dt.datetime) -> str:
        was_lent = self.loans.pop(item, None) is not None
        return f"10{int(was_lent)}YNN{_written(now)}AOTOY|AB{item}|AQ書架|AJ{TITLES.get(item, '')}|"


def _written(moment: dt.datetime) -> str:
    """As SIP2 has it: local time, four blanks for the zone."""
    return f"{moment:%Y%m%d}    {moment:%H%M%S}"


@asynccontextmanager
async def toy_library() -> AsyncIterator[ToyLibrary]:
    """It listens while the block runs."""
    library, lines = ToyLibrary(), set[asyncio.Task[None]]()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(library.line(reader, writer))
        lines.add(task)
        task.add_done_callback(lines.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    library.port = server.sockets[0].getsockname()[1]
    try:
        yield library
    finally:
        server.close()
        for task in lines:
            task.cancel()
        await asyncio.gather(*lines, return_exceptions=True)
