"""National identity numbers (身分證字號), those of residence permits too: their look and their check digit. Pure.

Tapgate holds none. They pass through an export on their way from the city's list into the ministry's file, and are kept
out of everything that is stored.
"""

import re
import unicodedata

_FORM = re.compile(r"[A-Z][A-D1289][0-9]{8}")
_LETTERS = "ABCDEFGHJKLMNPQRSTUVXYWZIO"
"""In the order of their values, from 10 on."""
_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 1, 1)


def identity_form(text: str) -> str:
    """As it is written: upper case, without width and spaces."""
    return "".join(unicodedata.normalize("NFKC", text).upper().split())


def looks_like_identity(text: str) -> bool:
    """Whether it could be one: such a text is stored nowhere."""
    return _FORM.fullmatch(identity_form(text)) is not None


def is_identity(text: str) -> bool:
    """Whether it is one, with the right check digit."""
    form = identity_form(text)
    if _FORM.fullmatch(form) is None:
        return False
    tens, units = divmod(_LETTERS.index(form[0]) + 10, 10)
    second = (_LETTERS.index(form[1]) + 10) % 10 if form[1].isalpha() else int(form[1])
    digits = (second, *map(int, form[2:]))
    total = tens + 9 * units + sum(weight * digit for weight, digit in zip(_WEIGHTS, digits, strict=True))
    return total % 10 == 0
