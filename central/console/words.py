"""Words in both languages: English is what the code says, zh-TW is looked up."""

import tomllib
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "words"
LANGUAGES = ("zh-TW", "en")
"""The first is what people get whose browser asks for neither."""


@cache
def catalog(lang: str) -> dict[str, str]:
    """English text → text; empty for English. No two files say a word differently: a test sees to it."""
    found: dict[str, str] = {}
    for words in files(lang).values():
        found |= words
    return found


def files(lang: str) -> dict[str, dict[str, str]]:
    """The words of each file, by its name."""
    paths = sorted((FOLDER / lang).glob("*.toml"))
    return {path.name: tomllib.loads(path.read_text(encoding="utf-8")) for path in paths}


def say(lang: str, text: str) -> str:
    """The text in a language; the English one where there is no other."""
    return catalog(lang).get(text, text)


def chosen(cookie: str, accepted: str) -> str:
    """What somebody chose, or what their browser asks for first."""
    if cookie in LANGUAGES:
        return cookie
    for part in accepted.lower().split(","):
        tag = part.split(";", 1)[0].strip()
        if tag.startswith("zh"):
            return "zh-TW"
        if tag.startswith("en"):
            return "en"
    return LANGUAGES[0]
