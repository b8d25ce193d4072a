"""What a member is found by: parts of a name, and numbers of other systems, in the one form in which they are compared.
Pure.

Names and numbers rest sealed; what stands beside them are keyed hashes of what these functions give. Without the key
nothing can be read out of them. Who has the table alone sees which members share a whole name or the beginning of a
word of it (two characters of a Han, kana or Hangul word, three of any other), and how many do. So only as much stands
in the index as leads to few enough names: each is opened then and compared in full.
"""

import unicodedata

MOST_WORDS = 6
"""Of one name; what comes after them is compared, but not found by."""
LONGEST_NUMBER = 64
_SHORT, _LONG = 2, 3
_SYLLABIC = (
    ("\u3040", "\u30ff"),
    ("\u3400", "\u9fff"),
    ("\uac00", "\ud7af"),
    ("\uf900", "\ufaff"),
    ("\U00020000", "\U0003ffff"),
)


def words(name: str) -> list[str]:
    """The words of a name in the form that is compared: without case, width and signs. Han characters that somebody
    spaced out, as 王　小明, are one word."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    found = "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in folded).split()
    return ["".join(found)] if found and all(map(_is_syllabic, found)) else found


def name_parts(name: str) -> list[str]:
    """What a name is found by: the whole of it, and the beginning of each word."""
    found = words(name)
    if not found:
        return []
    return list(dict.fromkeys([_whole(found), *(beginning(word) for word in found[:MOST_WORDS])]))


def whole(sought: str) -> str:
    """The part by which a name of exactly these words is found; empty where the text has no letter."""
    found = words(sought)
    return _whole(found) if found else ""


def beginning(word: str) -> str:
    """The part by which a name with a word that begins like this one is found. A word that is shorter than what the
    index holds finds only words that are the same."""
    return "^" + word[: _length(word)]


def rarest(sought: str) -> str:
    """The beginning to look up for what was typed: of its longest word. Empty where no word is long enough."""
    long_enough = [word for word in words(sought) if len(word) >= _length(word)]
    return beginning(max(long_enough, key=len)) if long_enough else ""


def is_found_by(name: str, sought: str) -> bool:
    """Whether each word that was typed begins a word of the name, in any order."""
    held = words(name)
    typed = words(sought)
    return bool(typed) and all(any(word.startswith(part) for word in held) for part in typed)


def is_same_name(name: str, sought: str) -> bool:
    """Whether both are of the same words in the same order."""
    return words(name) == words(sought)


def is_readable(text: str) -> bool:
    """Whether it is of letters, signs and spaces only: nothing that hides, turns around or breaks what is shown."""
    return not any((category := unicodedata.category(c))[0] == "C" or category in ("Zl", "Zp") for c in text)


def number_form(text: str) -> str:
    """A number as it is compared: without width, case, spaces and hyphens. Empty where nothing is left."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c for c in folded if not c.isspace() and c not in "-\u2010\u2011\u2012\u2013\u2212")


def number_problem(text: str) -> str:
    """Why a text cannot be the number of a member; empty where it can."""
    form = number_form(text)
    if not form:
        return "empty"
    if len(text) > LONGEST_NUMBER or len(form) > LONGEST_NUMBER:
        return f"{max(len(text), len(form))} characters, {LONGEST_NUMBER} allowed"
    if not is_readable(text):
        return "it has characters that are no letters or signs"
    return ""


def _whole(found: list[str]) -> str:
    return "=" + " ".join(found)


def _length(word: str) -> int:
    return _SHORT if _is_syllabic(word[:1]) else _LONG


def _is_syllabic(word: str) -> bool:
    return any(first <= word[:1] <= last for first, last in _SYLLABIC)
