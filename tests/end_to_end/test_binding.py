"""Cards bound by tapping them at a counter, real programs on both sides: one command a card, and it opens doors."""

import asyncio
import json
import time
from statistics import median

import pytest

from deploy.town import Gate
from tests.end_to_end.quick_town import (
    ALICE,
    DESK,
    DOOR,
    STRANGER,
    QuickTown,
    delivered,
    tap,
    until,
    until_reason,
)

CARDS = 12
"""Sixty in an hour leave a minute for each: this many show what the programs take of it."""


async def open_counter(town: QuickTown) -> Gate:
    """The desk, once central has written down what its agent understands."""
    desk = await town.open_gate(DESK)
    of_desk = "SELECT 1 FROM devices WHERE gate = ? AND report IS NOT NULL"
    await until(lambda: town.look_up(of_desk, DESK.gate), "central knows what the agent understands")
    return desk


async def open_session(town: QuickTown, gate: Gate, member: str, *more: str) -> dict[str, object]:
    opened = json.loads(
        await town.do(
            *("card", "bind-session", "open", "--gate", gate.spot.gate, "--member", member, "--by", "chen"),
            *("--json", *more),
        )
    )
    await gate.until(lambda status: status["waits_for_card"])
    return dict(opened)


async def ended(town: QuickTown, session: dict[str, object]) -> dict[str, object]:
    async with asyncio.timeout(20):
        while True:
            shown = json.loads(await town.do("card", "bind-session", "show", str(session["session"]), "--json"))
            if shown["state"] not in ("open", "late"):
                return dict(shown)
            await asyncio.sleep(0.02)


def uid(number: int) -> str:
    return f"04{number:012X}"


def traces(town: QuickTown, uids: list[str]) -> list[str]:
    """Files of both sides that hold a UID in the clear; the pipe of the simulated reader is none."""
    forms = [form for each in uids for form in (bytes.fromhex(each), each.encode(), each.lower().encode())]
    files = [path for path in town.directory.rglob("*") if path.is_file()]
    return [str(path) for path in files if any(form in path.read_bytes() for form in forms)]


async def test_many_cards_in_a_row_at_one_counter_each_opens_the_door_next(
    town: QuickTown, capsys: pytest.CaptureFixture[str]
) -> None:
    desk, door = await open_counter(town), await town.open_gate(DOOR)
    took_s, cards = [], [uid(number + 1) for number in range(CARDS)]
    for number, card in enumerate(cards):
        start_s = time.monotonic()
        session = await open_session(town, desk, f"M-{number % 4}")
        answer = await tap(desk, card)
        assert (answer.outcome, answer.reason) == ("granted", "bind-taken")
        done = await ended(town, session)
        took_s.append(time.monotonic() - start_s)
        assert (done["state"], done["number"]) == ("bound", 2 + number // 4)
    await until_reason(door, cards[-1], "ok")
    assert (await tap(door, cards[0])).reason == "ok"
    await asyncio.gather(delivered(desk), delivered(door))
    await town.do("verify")
    assert town.audit(desk) == []
    with capsys.disabled():
        print(f"\n{CARDS} cards bound by tap: median {median(took_s):.2f} s, slowest {max(took_s):.2f} s a card")
    await asyncio.to_thread(desk.stop)
    await asyncio.to_thread(door.stop)
    assert traces(town, cards) == []


async def test_a_card_tapped_while_the_line_is_cut_is_bound_when_it_is_back(town: QuickTown) -> None:
    desk = await open_counter(town)
    session = await open_session(town, desk, "M-1")
    desk.line.cut()
    assert (await tap(desk, STRANGER)).reason == "bind-taken"
    assert (await tap(desk, STRANGER)).reason == "unknown-card"
    desk.line.restore()
    assert (await ended(town, session))["state"] == "bound"
    await until_reason(desk, STRANGER, "ok")


async def test_an_agent_that_is_killed_after_it_took_a_card_takes_no_second_one(town: QuickTown) -> None:
    desk = await open_counter(town)
    session = await open_session(town, desk, "M-1")
    desk.line.cut()
    assert (await tap(desk, STRANGER)).reason == "bind-taken"
    assert desk.process._process is not None
    desk.process._process.kill()
    await asyncio.to_thread(desk.process._process.wait)
    desk.line.restore()
    desk.process.start()
    assert (await ended(town, session))["state"] == "bound"
    await until_reason(desk, STRANGER, "ok")
    kinds = [event["kind"] for event in town.log()]
    assert kinds.count("bind") == 1


async def test_the_command_waits_and_tells_whose_the_card_is(town: QuickTown) -> None:
    desk = await open_counter(town)
    waiting = asyncio.create_task(
        asyncio.to_thread(
            town.fails,
            *("card", "bind-session", "open", "--gate", "library-desk", "--member", "M-1", "--by", "chen", "--wait"),
        )
    )
    await desk.until(lambda status: status["waits_for_card"])
    assert (await tap(desk, ALICE)).reason == "bind-taken"
    result = await waiting
    assert result.exit_code == 1
    assert "the card is M-0's already (card 1)" in result.stderr
