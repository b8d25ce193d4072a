"""What an action says when it fails, in the words of a page: known by its shape, since the English one is the contract.

The phrases of a language lie in `words/<language>/failures/*.toml`, those of our own code by subject and those of
libraries in `libraries.toml`; `terms.toml` holds words that stand in places. A test reads the source and names what is
missing. A text that is no such phrase is shown as it is.
"""

import tomllib
from functools import cache

from central.console.phrases import Phrasebook, phrase
from central.console.words import FOLDER
from protocol.reasons import HEADLINES

TERMS = "terms.toml"


def in_words(lang: str, message: str) -> str:
    """The message in a language, as far as it is known there."""
    return book(lang).say(message)


@cache
def book(lang: str) -> Phrasebook:
    """Of a language; empty for English."""
    held = files(lang)
    terms = held.pop(TERMS, {})
    phrases = [phrase(*each) for words in held.values() for each in words.items()]
    return Phrasebook(phrases, terms, {code: zh for code, (zh, _) in HEADLINES.items()} if held else {})


def files(lang: str) -> dict[str, dict[str, str]]:
    """The phrases of each file, by its name."""
    paths = sorted((FOLDER / lang / "failures").glob("*.toml"))
    return {path.name: tomllib.loads(path.read_text(encoding="utf-8")) for path in paths}
