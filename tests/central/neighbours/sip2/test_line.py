"""A line to a library that misbehaves: the right answer, or a closed line; never somebody else's answer."""

import asyncio
import unicodedata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from central.neighbours.settings import Library
from central.neighbours.sip2.frames import Message, Unsendable
from central.neighbours.sip2.line import FaultKind, Line, LineFault, opened, tls_context
from central.neighbours.sip2.meaning import Standing, patron_of
from central.neighbours.sip2.requests import Request, checkout, patron_information, patron_status
from tests.support.certificates import authority_context
from tests.support.sip2_server import Patron, Sip2Server

NOW = datetime(2026, 11, 29, 12, 0, 0)
TODAY = date(2026, 11, 29)


def library(server: Sip2Server, **values: Any) -> Library:
    common = {"id": "tc", "domain": "library", "host": "127.0.0.1", "port": server.port, "tls": "none", "user": "tap"}
    return Library(**common | {"answer_s": 0.3, "password_file": Path("-"), "encoding": server.encoding} | values)


@asynccontextmanager
async def lined(server: Sip2Server, **values: Any) -> AsyncIterator[Line]:
    async with server.serving(), opened(library(server, **values), "geheim", tls_context) as line:
        yield line


def about(patron: str) -> Request:
    return patron_information("TC", patron, NOW)


def good(answer: Message) -> str:
    """Whom an answer admits."""
    assert patron_of(answer, TODAY).standing is Standing.GOOD
    return answer.one("AA") or ""


@pytest.fixture
def server() -> Sip2Server:
    server = Sip2Server()
    server.patrons = {"P1": Patron(), "P2": Patron("Y" + " " * 13), "P3": Patron()}
    return server


async def test_signs_in_asks_and_counts_its_sequence(server: Sip2Server) -> None:
    async with lined(server) as line:
        for _ in range(12):
            assert good(await line.ask(about("P1"))) == "P1"
            assert patron_of(await line.ask(about("P2")), TODAY).standing is Standing.BLOCKED
        assert (await line.ask(patron_status("TC", "P1", NOW))).code == "24"
    assert [text[-7] for text in server.heard] == [str(n % 10) for n in range(len(server.heard))]
    assert server.lines == 1


@pytest.mark.parametrize("word", ["late", "split", "junk-glued", "junk-lines", "junk-behind", "resend", "lower"])
async def test_what_can_be_borne_is_borne(server: Sip2Server, word: str) -> None:
    async with lined(server) as line:
        server.plan.extend([word, word])
        assert good(await line.ask(about("P1"))) == "P1"
        assert good(await line.ask(about("P3"))) == "P3"


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("drop", FaultKind.TIMEOUT),
        ("late-for-good", FaultKind.TIMEOUT),
        ("no-end", FaultKind.OVERSIZED),
        ("hang-up", FaultKind.CLOSED),
        ("half", FaultKind.CLOSED),
        ("checksum", FaultKind.CHECKSUM),
        ("flipped", FaultKind.CHECKSUM),
        ("no-trailer", FaultKind.MALFORMED),
        ("sequence", FaultKind.SEQUENCE),
        ("stale", FaultKind.SEQUENCE),
        ("stale-before", FaultKind.SEQUENCE),
        ("stale-glued", FaultKind.CHECKSUM),
        ("kind", FaultKind.KIND),
        ("another", FaultKind.ANOTHER),
        ("junk-for-ever", FaultKind.JUNK),
    ],
)
async def test_line_is_closed_for_good_at_the_first_doubt(server: Sip2Server, word: str, kind: FaultKind) -> None:
    server.late_s = 0.4
    async with lined(server) as line:
        assert good(await line.ask(about("P1"))) == "P1"
        server.plan.append(word)
        with pytest.raises(LineFault) as fault:
            await line.ask(about("P2"))
        assert (fault.value.kind, fault.value.sent) == (kind, True)
        with pytest.raises(LineFault) as after:
            await line.ask(about("P2"))
        assert after.value.kind is FaultKind.CLOSED
        assert not after.value.sent


async def test_late_answer_is_never_another_patrons(server: Sip2Server) -> None:
    """The trap that let in the wrong person: P1's late answer, while P2 is being asked about."""
    server.late_s = 0.4
    async with server.serving():
        async with opened(library(server), "geheim", tls_context) as line:
            server.plan.append("late-for-good")
            with pytest.raises(LineFault):
                await line.ask(about("P1"))
            await asyncio.sleep(0.15)
            with pytest.raises(LineFault):
                await line.ask(about("P2"))
        async with opened(library(server), "geheim", tls_context) as line:
            assert patron_of(await line.ask(about("P2")), TODAY).standing is Standing.BLOCKED


async def test_answer_that_came_twice_ends_the_line_before_the_next_question(server: Sip2Server) -> None:
    async with lined(server) as line:
        server.plan.append("twice")
        assert good(await line.ask(about("P1"))) == "P1"
        await asyncio.sleep(0.02)
        with pytest.raises(LineFault) as fault:
            await line.ask(about("P2"))
        assert (fault.value.kind, fault.value.sent) == (FaultKind.STALE, False)


async def test_answer_by_the_librarys_own_number_is_the_one_asked_for(server: Sip2Server) -> None:
    server.aliases["P1"] = "29999000001"
    async with lined(server) as line:
        assert good(await line.ask(about("P1"))) == "29999000001"


async def test_resend_is_asked_for_a_few_times_only(server: Sip2Server) -> None:
    async with lined(server) as line:
        server.plan.extend(["resend"] * 9)
        with pytest.raises(LineFault) as fault:
            await line.ask(about("P1"))
        assert fault.value.kind is FaultKind.RESEND
    assert len([text for text in server.heard if text.startswith("63")]) == 3
    assert len({text for text in server.heard if text.startswith("63")}) == 1


async def test_two_questions_at_once_are_not_asked(server: Sip2Server) -> None:
    async with lined(server) as line:
        server.plan.append("late")
        first = asyncio.create_task(line.ask(about("P1")))
        await asyncio.sleep(0.02)
        with pytest.raises(LineFault):
            await line.ask(about("P2"))
        assert good(await first) == "P1"


async def test_who_gives_up_waiting_takes_the_line_along(server: Sip2Server) -> None:
    async with lined(server) as line:
        server.plan.append("late")
        asking = asyncio.create_task(line.ask(about("P1")))
        await asyncio.sleep(0.02)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        with pytest.raises(LineFault):
            await line.ask(about("P2"))


async def test_unknown_command_hangs_up_and_is_a_fault(server: Sip2Server) -> None:
    async with lined(server) as line:
        with pytest.raises(LineFault) as fault:
            await line.ask(Request("17", "18", "", ()))
        assert fault.value.kind is FaultKind.CLOSED


async def test_wrong_password_and_offline_library(server: Sip2Server) -> None:
    async with server.serving():
        with pytest.raises(LineFault) as fault:
            async with opened(library(server), "wrong", tls_context):
                pass
        assert fault.value.kind is FaultKind.LOGIN
        assert "wrong" not in str(fault.value)
        server.online = "N"
        with pytest.raises(LineFault) as fault:
            async with opened(library(server), "geheim", tls_context):
                pass
        assert fault.value.kind is FaultKind.OFFLINE
    with pytest.raises(LineFault) as fault:
        async with opened(library(server), "geheim", tls_context):
            pass
    assert fault.value.kind is FaultKind.CONNECT


async def test_unsendable_value_leaves_the_line_as_it_was(server: Sip2Server) -> None:
    async with lined(server) as line:
        with pytest.raises(Unsendable):
            await line.ask(about("P1|BLY"))
        with pytest.raises(Unsendable):
            await line.ask(checkout("TC", "P1", "B\r1", NOW))
        assert good(await line.ask(about("P1"))) == "P1"
    assert not any(text[:2] == "11" for text in server.heard)


@pytest.mark.parametrize(
    ("encoding", "name"),
    # one decomposed, one of characters whose second byte is a sign of ASCII
    [("utf-8", "Jose\u0301 王小明"), ("cp950", "許功蓋"), ("latin-1", "Müller")],
)
async def test_encodings_of_servers(encoding: str, name: str) -> None:
    server = Sip2Server(encoding)
    server.patrons = {"P1": Patron(name=name)}
    async with lined(server) as line:
        answer = await line.ask(about("P1"))
    assert answer.one("AE") == unicodedata.normalize("NFC", name)


async def test_tls_is_checked_and_never_given_up_for_plain(server: Sip2Server, tmp_path: Path) -> None:
    context, authority, _ = authority_context(tmp_path)
    async with server.serving(context):
        trusted = library(server, tls="tls", authorities=authority, server_name="localhost")
        async with opened(trusted, "geheim", tls_context) as line:
            assert good(await line.ask(about("P1"))) == "P1"
        with pytest.raises(LineFault) as fault:
            async with opened(library(server, tls="tls"), "geheim", tls_context):
                pass
        assert fault.value.kind is FaultKind.TLS
        server.heard.clear()
    plain = Sip2Server()
    async with plain.serving():
        with pytest.raises(LineFault):
            async with opened(library(plain, tls="tls", connect_s=0.3), "geheim", tls_context):
                pass
        assert plain.heard == []
