"""The client against a SIP2 server that others wrote (`pysip2`), as a process on loopback."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime
from pathlib import Path

import pytest

from central.neighbours.settings import Library
from central.neighbours.sip2.line import FaultKind, Line, LineFault, opened, tls_context
from central.neighbours.sip2.meaning import Loan, Patron, Standing, loan_of, patron_of
from central.neighbours.sip2.requests import Request, checkin, checkout, patron_information, patron_status

pytestmark = pytest.mark.system
ROOT = Path(__file__).resolve().parents[4]
INTERPRETER = ROOT / ".venv-sip2" / "bin" / "python"
"""`make test` makes it: see the Makefile."""
NOW = datetime(2026, 11, 29, 12, 0, 0)
TODAY = date(2026, 11, 29)


@asynccontextmanager
async def library(encoding: str) -> AsyncIterator[Library]:
    """A process of the other server."""
    process = await asyncio.create_subprocess_exec(
        *(str(INTERPRETER), str(ROOT / "tests/support/sip2_peer.py"), encoding),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=sys.stderr,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        port = int(await asyncio.wait_for(process.stdout.readline(), 20))
        yield Library(
            id="tc",
            domain="library",
            host="127.0.0.1",
            port=port,
            tls="none",
            user="tapgate",
            password_file=Path("-"),
            encoding=encoding,
            institution="TC",
            place="main",
            answer_s=1.0,
        )
    finally:
        process.stdin.close()
        await process.wait()


@pytest.fixture(params=["utf-8", "cp950"])
async def line(request: pytest.FixtureRequest) -> AsyncIterator[Line]:
    async with library(request.param) as there, opened(there, "geheim", tls_context) as line:
        yield line


async def about(line: Line, patron: str) -> Patron:
    return patron_of(await line.ask(patron_information("TC", patron, NOW)), TODAY)


async def test_a_day_at_the_library(line: Line) -> None:
    assert line.service == (True, True, True, True, True)
    assert await about(line, "P1") == Patron(Standing.GOOD, hold_ready=True)
    assert await about(line, "P2") == Patron(Standing.BLOCKED, overdue=True)
    assert (await about(line, "P3")).standing is Standing.UNKNOWN
    assert (await about(line, "P4")).standing is Standing.NO_PATRON
    by_status = await line.ask(patron_status("TC", "P2", NOW))
    assert patron_of(by_status, TODAY) == Patron(Standing.BLOCKED)
    assert by_status.one("AE") in ("José", "X")
    lent = loan_of(await line.ask(checkout("TC", "P1", "B1", NOW)), "B1")
    assert lent == Loan(True, "2026-12-20", "紅樓夢", "")
    again = loan_of(await line.ask(checkout("TC", "P2", "B1", NOW)), "B1")
    assert again == Loan(False, "", "紅樓夢", "not for loan")
    back = await line.ask(checkin("TC", "main", "B1", NOW))
    assert loan_of(back, "B1") == Loan(True, "", "紅樓夢", "")


async def test_many_questions_on_one_line(line: Line) -> None:
    for _ in range(50):
        assert (await about(line, "P1")).hold_ready
        assert (await about(line, "P2")).standing is Standing.BLOCKED


async def test_what_it_does_not_know_ends_the_line(line: Line) -> None:
    with pytest.raises(LineFault):
        await line.ask(Request("77", "78", "", ()))
    with pytest.raises(LineFault) as after:
        await line.ask(patron_information("TC", "P1", NOW))
    assert after.value.kind is FaultKind.CLOSED


async def test_a_wrong_password_opens_no_line() -> None:
    async with library("utf-8") as there:
        with pytest.raises(LineFault) as fault:
            async with opened(there, "wrong", tls_context):
                pass
    assert fault.value.kind is FaultKind.LOGIN
