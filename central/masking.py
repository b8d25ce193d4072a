"""What a screen may show of a name, made when names are imported; the name itself goes no further. Pure.

The rule, in this order:
- Circles, asterisks and the like that a list was masked with before count as hidden letters (`王*明` is `王○明`).
- A name with Han characters, kana or Hangul is masked letter by letter; what stands in brackets and letters of other
  scripts (`王小明 David`) are left out. One letter: it and a circle (`王` is `王○`). Two: the first (`王明` is `王○`).
  More: the first and the last (`王小明` is `王○明`, `歐陽小明` is `歐○○明`). A dot between parts stays (`谷○○·○○卡`).
- Any other name: the first letter of the family name and three circles (`S○○○`), whatever its length. The family name
  is what stands before a comma, else the one word all in capitals, else the last word that is no `Jr.` or `III`.
"""

import re
import unicodedata

HIDDEN = "○"
MAX_CHARACTERS = 64
_MASKS = frozenset("○〇◯●*＊✱")
_DOT = "·"
_DOTS = frozenset("·‧•・．∙⋅")
_SYLLABIC = ("CJK UNIFIED", "CJK COMPATIBILITY", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO", "IDEOGRAPHIC")
_BRACKETED = re.compile(r"[(（\[【〔<《「].*?(?:[)）\]】〕>》」]|$)")
_SUFFIXES = frozenset({"jr", "sr", "ii", "iii", "iv"})


def masked(name: str) -> str:
    """At most 64 characters. Raises ValueError, which does not quote the name, for one too long or without a letter."""
    text = unicodedata.normalize("NFC", name).strip()
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"{len(text)} characters, {MAX_CHARACTERS} allowed")
    plain = _BRACKETED.sub(" ", text).strip() or text
    return _syllabic(plain) if any(map(_is_syllabic, plain)) else _spelt(plain)


def _syllabic(text: str) -> str:
    kept = [_DOT if c in _DOTS else c for c in text if _is_syllabic(c) or c in _MASKS or c in _DOTS]
    places = [place for place, c in enumerate(kept) if c != _DOT]
    shown = {places[0]} if len(places) < 3 else {places[0], places[-1]}
    text = "".join(c if c == _DOT or (place in shown and c not in _MASKS) else HIDDEN for place, c in enumerate(kept))
    if not any(map(_is_syllabic, text)):  # `*明`: what could be shown was hidden before
        raise ValueError("no letter to show")
    return text.strip(_DOT) + (HIDDEN if len(places) == 1 else "")


def _spelt(text: str) -> str:
    before, comma, _ = text.replace("，", ",").partition(",")
    words = before.split() if comma else [_family(text.split())]
    letter = next((c for word in [*words, text] for c in word if c.isalpha()), "")
    if not letter:
        raise ValueError("no letter to show")
    return letter.upper()[:1] + HIDDEN * 3


def _family(words: list[str]) -> str:
    named = [word for word in words if word.strip(".").lower() not in _SUFFIXES] or words
    capitals = [word for word in named if word.isupper() and sum(map(str.isalpha, word)) > 1]
    return capitals[0] if len(capitals) == 1 else named[-1] if named else ""


def _is_syllabic(character: str) -> bool:
    return character not in _MASKS and unicodedata.name(character, "").startswith(_SYLLABIC)
