"""The last entries of this process's log, in memory: for a support bundle, so that nothing is written for it."""

from collections import deque
from collections.abc import MutableMapping
from typing import Any

MOST = 400
LONGEST = 2_000
"""Characters of one value; of a longer one (a traceback) the end is kept, which says what went wrong."""

_entries: deque[dict[str, Any]] = deque(maxlen=MOST)


def remember(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: looks at an entry and hands it on."""
    _entries.append({key: _short(value) for key, value in entry.items()})
    return entry


def entries() -> list[dict[str, Any]]:
    """The oldest first."""
    return list(_entries)


def _short(value: Any) -> Any:
    return value if isinstance(value, bool | int | float) else str(value)[-LONGEST:]
