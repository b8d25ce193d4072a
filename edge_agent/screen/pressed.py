"""What the page sends when somebody presses a button."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class Undo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Take back a granted tap."""

    sequence: Annotated[int, Meta(ge=0)]


class Choose(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """By which rule the next tap is to be judged; empty = by none in particular."""

    rule: Annotated[str, Meta(max_length=64)]


class Consent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the next card states, of the version that was shown; an empty purpose: nothing any more."""

    purpose: Annotated[str, Meta(max_length=64)]
    version: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    said: Literal["given", "withdrawn"] = "withdrawn"


class Admit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Let somebody in by hand."""

    staff: Annotated[str, Meta(min_length=1, max_length=64)]
    pin: Annotated[str, Meta(max_length=32)]
    why: Annotated[str, Meta(min_length=1, max_length=200)]
    sequence: Annotated[int, Meta(ge=-1)] = -1

    def __repr__(self) -> str:  # neither PIN nor what was typed for a name reaches a log
        return "<Admit>"


class Close(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Close the way in. `hours` 0: until the end of the local day."""

    staff: Annotated[str, Meta(min_length=1, max_length=64)]
    pin: Annotated[str, Meta(max_length=32)]
    why: Literal["typhoon", "early-closing", "other"]
    hours: Literal[0, 1, 2, 4]

    def __repr__(self) -> str:  # as Admit
        return "<Close>"


class Open(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Open what staff closed."""

    staff: Annotated[str, Meta(min_length=1, max_length=64)]
    pin: Annotated[str, Meta(max_length=32)]

    def __repr__(self) -> str:  # as Admit
        return "<Open>"
