"""What the audit log must never hold: secrets, and what says which card is whose."""

from typing import Any

SECRET = frozenset(
    (
        "password",
        "own_password",
        "own_code",
        "old",
        "new",
        "code",
        "pin",
        "secret",
        "token",
        "uri",
        "webhook",
        "uid",
        "new_uid",
        "sought",
        "person",
        "receipt_base64",
        "identifier",
        "name",
        "shown",
        "item",
        "item_title",
        "library_said",
        "body_base64",
        "text_base64",
    )
)
"""Fields left out wherever they stand. `name` of a batch is no secret, yet names of people go by the same word."""
HIDDEN = "…"
LONGEST_TEXT = 2_000
DEEPEST = 12


def redacted(value: Any, depth: int = 0) -> Any:
    """The value without its secrets, and without texts longer than anybody would read in a log."""
    if depth > DEEPEST:
        return HIDDEN
    if isinstance(value, dict):
        return {
            str(key): HIDDEN if key in SECRET and held not in ("", None) else redacted(held, depth + 1)
            for key, held in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [redacted(held, depth + 1) for held in value]
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        return value[:LONGEST_TEXT] + HIDDEN
    return value


def difference(before: Any, after: Any) -> tuple[Any, Any]:
    """The two without what they have in common: maps by their keys, all else as a whole."""
    if isinstance(before, dict) and isinstance(after, dict):
        was, now = {}, {}
        for key in [*before, *(key for key in after if key not in before)]:
            if before.get(key) != after.get(key):
                old, new = difference(before.get(key), after.get(key))
                if key in before:
                    was[key] = old
                if key in after:
                    now[key] = new
        return was, now
    return before, after
