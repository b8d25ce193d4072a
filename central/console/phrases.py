"""Phrases with places: which of many a text is, what stands in its places, and the same said in other words. Pure.

A phrase is written as people read it, `no card {card} of {member}`. What a place is called says what is done with it:

| place | what is put in |
|---|---|
| `{why}`, `{why2}` | a phrase itself, said in other words, too; where it is none, the text is not this phrase |
| `{term}` | one of the terms; where it is none, the text is not this phrase |
| `{field}` | said in other words where it is a term, else as it stands |
| `{denial}` | why a gate denied, as its screen says it |
| any other | as it stands |

A text is taken apart by looking for the words between the places from left to right, which finds a way where there is
one and takes no longer than reading it: what people typed stands in these texts, and may be long.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

DEEPEST = 5
"""Phrases within phrases; what lies deeper stays as it is."""
LONGEST = 20_000
"""Characters of a text that is looked at; a longer one stays as it is."""
BEGINNING = 2
"""Characters by which phrases are looked up."""
JOINT, SAID_JOINT = "; ", "；"
"""Between phrases that stand side by side."""
_PLACE = re.compile(r"\{(\w*)\}")


class Phrase(NamedTuple):
    """`words` lie before, between and after the `places`; `said` likewise, with its places by their names."""

    text: str
    words: tuple[str, ...]
    places: tuple[str, ...]
    said_words: tuple[str, ...]
    said_places: tuple[str, ...]

    @property
    def weight(self) -> int:
        """How many of its characters are its own."""
        return sum(map(len, self.words))

    @property
    def leads(self) -> bool:
        """It says something more of another phrase that it begins with, or only what another phrase is about."""
        begins_with = "" if self.words[0] else self.places[0]
        return begins_with.startswith("why") or (begins_with.startswith("term") and self.words[1:] == (": ", ""))

    def apart(self, text: str) -> list[str] | None:
        """What stands in its places; None where the text is not this phrase."""
        first, *between = self.words
        if not text.startswith(first):
            return None
        if not between:
            return [] if text == first else None
        last, at, found = between.pop(), len(first), list[str]()
        end = len(text) - len(last)
        if end < at or not text.endswith(last):
            return None
        for words in between:
            start = text.find(words, at, end)
            if start < 0:
                return None
            found.append(text[at:start])
            at = start + len(words)
        return [*found, text[at:end]]


def phrase(text: str, said: str) -> Phrase:
    """Of a text with places, and the same in other words."""
    words, places = _split(text)
    return Phrase(text, words, places, *_split(said))


def shape(text: str) -> str:
    """The text without the names of its places."""
    return _PLACE.sub("{}", text)


def _split(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    parts = _PLACE.split(text)
    return tuple(parts[::2]), tuple(parts[1::2])


class Phrasebook:
    """Every phrase of one language. Those that lead to another one are tried first, since a place at an end of it would
    take in what stands before or after it; then the one with the most words of its own."""

    def __init__(
        self, phrases: Iterable[Phrase], terms: Mapping[str, str], denials: Mapping[str, str] | None = None
    ) -> None:
        self.phrases = sorted(phrases, key=lambda each: (not each.leads, -each.weight, each.text))
        self.terms, self.denials = terms, denials or {}
        self._open = [each for each in self.phrases if len(each.words[0]) < BEGINNING]
        self._by_beginning: dict[str, list[Phrase]] = {}
        for beginning in {each.words[0][:BEGINNING] for each in self.phrases if len(each.words[0]) >= BEGINNING}:
            self._by_beginning[beginning] = [
                each for each in self.phrases if each.words[0][:BEGINNING] in (beginning, beginning[:1], "")
            ]

    def say(self, text: str) -> str:
        """The text in this language; itself where it is no phrase of this book."""
        return text if len(text) > LONGEST else _Saying(self).say(text, DEEPEST) or text

    def phrase_of(self, text: str) -> Phrase | None:
        """Which one a text is; None where it is none of this book."""
        saying = _Saying(self)
        return next((each for each in self.like(text) if saying.said(each, text, DEEPEST) is not None), None)

    def like(self, text: str) -> list[Phrase]:
        """Those that it could be, by how it begins."""
        return self._by_beginning.get(text[:BEGINNING], self._open)


class _Saying:
    """One text on its way. What was found of a part is remembered: it may be met in several ways."""

    def __init__(self, book: Phrasebook) -> None:
        self._book = book
        self._known: dict[str, str | None] = {}

    def say(self, text: str, depth: int) -> str | None:
        """None: it is no phrase."""
        if not depth or not text:
            return None
        if text not in self._known:
            self._known[text] = self._found(text, depth)
        return self._known[text]

    def _found(self, text: str, depth: int) -> str | None:
        said = self._side_by_side(text, depth) if JOINT in text else None
        if said is not None:
            return said
        for each in self._book.like(text):
            said = self.said(each, text, depth)
            if said is not None:
                return said
        return None

    def _side_by_side(self, text: str, depth: int) -> str | None:
        found = []
        for part in text.split(JOINT):
            said = self.say(part, depth - 1)
            if said is None:
                return None
            found.append(said)
        return SAID_JOINT.join(found)

    def said(self, each: Phrase, text: str, depth: int) -> str | None:
        """The text as this phrase; None where it is another."""
        parts = each.apart(text)
        if parts is None:
            return None
        values: dict[str, str] = {}
        for place, part in zip(each.places, parts, strict=True):
            said = self._in_place(place, part, depth)
            if said is None:
                return None
            values[place] = said
        filled = [values[place] + words for place, words in zip(each.said_places, each.said_words[1:], strict=True)]
        return each.said_words[0] + "".join(filled)

    def _in_place(self, place: str, part: str, depth: int) -> str | None:
        """None: it may not stand there."""
        if place.startswith("why"):
            return self.say(part, depth - 1)
        if place.startswith("term"):
            return self._book.terms.get(part)
        if place == "denial":
            return self._book.denials.get(part, part)
        return self._book.terms.get(part, part) if place.startswith("field") else part
