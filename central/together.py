"""What many ask for in the same moment is looked up once for all of them: a query for a hundred costs little more than
a query for one."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, TypeVar

K = TypeVar("K")
Q = TypeVar("Q")
V = TypeVar("V")


class Together(Generic[K, Q, V]):
    """Asks are answered by `look`, at most `most` in one call; of two asks of one key in a call the later is looked
    at, and answers both. One call runs at a time: whoever asks meanwhile joins the next."""

    def __init__(self, look: Callable[[dict[K, Q]], Awaitable[Mapping[K, V]]], most: int) -> None:
        self._look, self._most = look, most
        self._asked: list[tuple[K, Q, asyncio.Future[V | None]]] = []
        self._looking: asyncio.Task[None] | None = None

    async def ask(self, key: K, question: Q) -> V | None:
        """None where nothing was found. Raises whatever the look raised."""
        future: asyncio.Future[V | None] = asyncio.get_running_loop().create_future()
        self._asked.append((key, question, future))
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_for_all())
        return await future

    async def close(self) -> None:
        """When what was asked for is answered."""
        if self._looking is not None:
            await asyncio.gather(self._looking, return_exceptions=True)

    async def _look_for_all(self) -> None:
        while self._asked:
            await asyncio.sleep(0)  # those that woke in the same moment join in
            taken, self._asked = self._asked[: self._most], self._asked[self._most :]
            try:
                found = await self._look({key: question for key, question, _ in taken})
            except Exception as error:
                for _, _, future in taken:
                    if not future.done():
                        future.set_exception(error)
                continue
            for key, _, future in taken:
                if not future.done():
                    future.set_result(found.get(key))
