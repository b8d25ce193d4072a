"""What a planted fault is, and how it gets into a copy of the code."""

from pathlib import Path
from typing import NamedTuple


class DoesNotFit(Exception):
    """The code has changed: what the plant would replace does not stand there exactly once."""


class Edit(NamedTuple):
    """Text that stands in the file exactly once, and what takes its place."""

    find: str
    put: str
    file: str = ""
    """Empty: the fault's own."""


class Fault(NamedTuple):
    """A believable mistake."""

    name: str
    danger: str
    """Why it matters, in one sentence."""
    file: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]
    """Which of them ought to notice, by their paths."""

    def planted(self, root: Path) -> dict[str, str]:
        """The files that it touches as they are with the fault in them. Raises DoesNotFit."""
        texts: dict[str, str] = {}
        for find, put, other in self.edits:
            file = other or self.file
            if not (root / file).exists():
                raise DoesNotFit(f"{file} does not exist")
            text = texts.get(file) or (root / file).read_text(encoding="utf-8")
            if (found := text.count(find)) != 1:
                raise DoesNotFit(f"{file} has {found} places, not one, that read: {find.strip()[:100]}")
            texts[file] = text.replace(find, put)
        for file, text in texts.items():
            try:
                compile(text, file, "exec")
            except SyntaxError as error:
                raise DoesNotFit(f"{file} with the fault in it is no Python: {error}") from None
        return texts

    def plant(self, root: Path) -> None:
        """Into a copy of the code. Raises DoesNotFit."""
        for file, text in self.planted(root).items():
            (root / file).write_text(text, encoding="utf-8")
