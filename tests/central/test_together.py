"""Asks of one moment are one look."""

import asyncio
from collections.abc import Mapping

import pytest

from central.together import Together


class Looker:
    """Answers twice the question; remembers what it was asked in each call."""

    def __init__(self, most: int = 100) -> None:
        self.calls: list[dict[str, int]] = []
        self.fails = False
        self.together: Together[str, int, int] = Together(self.look, most)

    async def look(self, asked: dict[str, int]) -> Mapping[str, int]:
        self.calls.append(asked)
        await asyncio.sleep(0.001)
        if self.fails:
            raise LookupError("no")
        return {key: 2 * question for key, question in asked.items() if question >= 0}


async def test_asks_of_one_moment_are_one_look() -> None:
    looker = Looker()
    answers = await asyncio.gather(*(looker.together.ask(str(n), n) for n in range(20)))
    assert answers == [2 * n for n in range(20)]
    assert len(looker.calls) == 1


async def test_no_look_is_for_more_than_was_said() -> None:
    looker = Looker(most=8)
    await asyncio.gather(*(looker.together.ask(str(n), n) for n in range(20)))
    assert [len(call) for call in looker.calls] == [8, 8, 4]


async def test_who_asks_during_a_look_joins_the_next() -> None:
    looker = Looker()
    first = asyncio.create_task(looker.together.ask("a", 1))
    while not looker.calls:
        await asyncio.sleep(0)
    assert await asyncio.gather(first, looker.together.ask("b", 2), looker.together.ask("c", 3)) == [2, 4, 6]
    assert looker.calls == [{"a": 1}, {"b": 2, "c": 3}]


async def test_the_later_of_two_asks_answers_both() -> None:
    looker = Looker()
    assert await asyncio.gather(looker.together.ask("a", 1), looker.together.ask("a", 5)) == [10, 10]


async def test_what_is_not_found_is_none() -> None:
    assert await Looker().together.ask("a", -1) is None


async def test_a_failing_look_fails_those_that_asked_and_nobody_after() -> None:
    looker = Looker()
    looker.fails = True
    found = await asyncio.gather(*(looker.together.ask(str(n), n) for n in range(3)), return_exceptions=True)
    assert [type(each) for each in found] == [LookupError] * 3
    looker.fails = False
    assert await looker.together.ask("a", 1) == 2


async def test_who_gave_up_holds_nobody_up() -> None:
    looker = Looker()
    given_up = asyncio.create_task(looker.together.ask("a", 1))
    other = asyncio.create_task(looker.together.ask("b", 2))
    await asyncio.sleep(0)
    given_up.cancel()
    assert await other == 4
    with pytest.raises(asyncio.CancelledError):
        await given_up
