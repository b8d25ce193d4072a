"""What a planted fault is, and how it gets into a copy of the code."""

from pathlib import Path
from typing import NamedTuple


class DoesNotFit(Exception):
    """The code has changed: what the plant would replace does not stand there exactly once."""


class Edit(NamedTuple):
    """Text that stands in the file exactly once, and what takes its place."""

    find: str
    put: str


class Fault(NamedTuple):
    """A believable mistake."""

    name: str
    danger: str
    """Why it matters, in one sentence."""
    file: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]
    """Which of them ought to notice, by their paths."""

    def planted(self, root: Path) -> str:
        """The file as it is with the fault in it. Raises DoesNotFit."""
        path = root / self.file
        if not path.exists():
            raise DoesNotFit(f"{self.file} does not exist")
        text = path.read_text(encoding="utf-8")
        for find, put in self.edits:
            if (found := text.count(find)) != 1:
                raise DoesNotFit(f"{self.file} has {found} places, not one, that read: {find.strip()[:100]}")
            text = text.replace(find, put)
        try:
            compile(text, self.file, "exec")
        except SyntaxError as error:
            raise DoesNotFit(f"{self.file} with the fault in it is no Python: {error}") from None
        return text

    def plant(self, root: Path) -> None:
        """Into a copy of the code. Raises DoesNotFit."""
        (root / self.file).write_text(self.planted(root), encoding="utf-8")
