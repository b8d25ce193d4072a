"""What a verification has found so far."""

from collections import Counter
from dataclasses import dataclass

import msgspec

from central.actions.action import Context


class Problem(msgspec.Struct, frozen=True):
    """One thing that is not whole: where it stands and what is wrong with it."""

    where: str
    what: str


@dataclass
class Findings:
    """Counts what was checked and hands problems out as they are found."""

    context: Context
    checked: Counter[str]
    problems: int = 0

    async def problem(self, where: str, what: str) -> None:
        self.problems += 1
        await self.context.emit([Problem(where, what)])

    def count(self, what: str, number: int = 1) -> None:
        self.checked[what] += number
