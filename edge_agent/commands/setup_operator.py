"""The person who sets a gate up, or the flags in their place: what they are told and asked."""

from collections.abc import Iterable

import click

from edge_agent.checks import Said
from edge_agent.commands import setup_words as words
from edge_agent.commissioning.installation import Step

MARKS = {words.DONE: "✓", words.IN_PLACE: "=", words.WOULD: "→"}


class Operator:
    """`yes`: nobody is asked. `dry`: nothing is done. `changed` counts what was, or would be."""

    def __init__(self, lang: str, yes: bool, dry: bool) -> None:
        self.lang, self.yes, self.dry = lang, yes, dry
        self.changed = 0

    @property
    def is_asked(self) -> bool:
        return not self.yes and not self.dry

    def text(self, text: Said, **values: object) -> str:
        return (text.zh if self.lang == "zh-TW" else text.en).format(**values)

    def say(self, text: Said, **values: object) -> None:
        click.echo(self.text(text, **values))

    def tell(self, how: Said, what: Said, **values: object) -> None:
        """One thing, and how it stands."""
        colon = "：" if self.lang == "zh-TW" else ": "
        click.echo(f"{MARKS[how]} {self.text(how)}{colon}{self.text(what, **values)}")

    def confirm(self, text: Said, default: bool = True, **values: object) -> bool:
        return click.confirm(self.text(text, **values), default=default)

    def carry_out(self, steps: Iterable[Step]) -> None:
        """Each step that is not done already."""
        for step in steps:
            if step.is_done():
                self.tell(words.IN_PLACE, step.what)
                continue
            if not self.dry:
                step.do()
            self.changed += 1
            self.tell(words.WOULD if self.dry else words.DONE, step.what)
