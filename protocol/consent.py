"""Consent that a person states at a gate's own screen (SPEC §5.19, §7.14): the notices that are shown there, and what
the statement says. Whether a card may speak for its holder is `decision.recognised`. Pure."""

from enum import StrEnum
from typing import Annotated, ClassVar

from msgspec import Meta

from protocol.wire import Count, Message, Name, Record, Text

MAX_CONSENTS_BYTES = 1024 * 1024
MAX_PURPOSES = 8
"""Twelve texts each, of four bytes a character at the most: they have room."""
STATE_MS = 30_000
"""For so long a statement waits for its card."""
AGAIN_MS = 5_000
"""For so long the same card means the same statement again."""

Item = Annotated[str, Meta(min_length=1, max_length=2_000)]
Version = Annotated[int, Meta(ge=1, le=1_000_000)]


class Said(StrEnum):
    """What is stated of a purpose."""

    GIVEN = "given"
    WITHDRAWN = "withdrawn"
    """Refused, or taken back."""


class SixItems(Record, frozen=True):
    """What a person is told before they agree (個資法 §8), in one language."""

    collector: Item
    purpose: Item
    categories: Item
    use: Item
    rights: Item
    refusal: Item


class ConsentNotice(Record, frozen=True):
    """The newest notice of a purpose."""

    purpose: Name
    version: Version
    gives: bool
    """Whether a tap is enough to agree. Refusing, and taking back, always is."""
    title_zh: Text
    title_en: Text
    zh: SixItems
    en: SixItems


class Consents(Message, frozen=True):
    """The notices that gates may show; which of them one does stands in its configuration."""

    TYPE = "tapgate.consents.v1"
    MAX_BYTES: ClassVar[int] = MAX_CONSENTS_BYTES
    version: Count
    notices: Annotated[tuple[ConsentNotice, ...], Meta(max_length=MAX_PURPOSES)]

    def __post_init__(self) -> None:
        if len({notice.purpose for notice in self.notices}) != len(self.notices):
            raise ValueError("notices: one purpose stands twice")


class ConsentDetail(Record, frozen=True):
    """What was stated, of the notice that was shown."""

    purpose: Name
    notice: Version
    said: Said
