"""Where a list goes on: the key of the last row that was read, as one word for addresses and command lines. Pure."""

import base64
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from central.actions.action import ActionFailed

After = Annotated[str, Meta(max_length=1_000)]
"""`next` of the page before; empty: from the beginning."""


def key_of(*parts: Any) -> str:
    """The columns that the list is in order of."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(parts)).decode().rstrip("=")


def parts_of(key: str, types: Any) -> Any:
    """The same again, as a tuple of these types. Raises ActionFailed for what is no key of such a list."""
    try:
        data = base64.urlsafe_b64decode(key + "=" * (-len(key) % 4))
        return msgspec.msgpack.decode(data, type=types)
    except (ValueError, msgspec.MsgspecError):
        raise ActionFailed(f"after: {key[:80]!r} is no place in this list: begin again without it") from None
