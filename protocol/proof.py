"""A proof of one event: one file that anybody can check without central (SPEC §11). Pure.

Every part in it is the bytes as they were signed and kept. Nothing is encoded anew to be checked.
"""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal, NamedTuple

from msgspec import Meta

from protocol.envelope import ENVELOPE_OVERHEAD_BYTES
from protocol.messages import Batch, Count, Digest, Event, Receipt, Record
from protocol.wire import MAX_BATCH_BYTES, MAX_EVENT_BYTES

MAX_PROOF_BYTES = 2 * 1024 * 1024
"""Above what its parts add up to at most: a batch, and a receipt with a reason for each of its events."""

_Statement = Annotated[bytes, Meta(max_length=16_384)]
_Part = Annotated[bytes, Meta(max_length=MAX_EVENT_BYTES)]


class Proof(Record, frozen=True):
    """What stands in the file. Bare: all that it claims is signed by somebody inside it."""

    TYPE: ClassVar[str] = "tapgate.proof.v1"
    MAX_BYTES: ClassVar[int] = MAX_PROOF_BYTES
    type: Literal["tapgate.proof.v1"]
    sequence: Count
    public: _Part
    """The event's public part, as it stands in the batch."""
    personal: _Part
    """Empty: the event has none, or it was left out or destroyed; its digest stands in the public part."""
    batch: Annotated[bytes, Meta(max_length=MAX_BATCH_BYTES + ENVELOPE_OVERHEAD_BYTES)]
    receipt: Annotated[bytes, Meta(max_length=MAX_PROOF_BYTES // 2)]
    """Empty: central signed none, since the device was revoked."""
    enrolled: _Statement
    """Central's word of which key is the device's."""
    revoked: _Statement
    """Central's word that the device was revoked, where there is no receipt for that reason; else empty."""
    keys: _Statement
    root_public: Digest


class Step(StrEnum):
    """What is checked, in this order."""

    FORM = "form"
    ROOT = "root"
    KEYS = "keys"
    DEVICE = "device"
    BATCH = "batch"
    CHAIN = "chain"
    EVENT = "event"
    PERSONAL = "personal"
    RECEIPT = "receipt"
    CUSTODY = "custody"


class Finding(StrEnum):
    """What a check found."""

    HOLDS = "holds"
    FAILS = "fails"
    NOT_CHECKED = "not-checked"
    """It needs what another check did not find."""


class Check(NamedTuple):
    """One step. `text` is a sentence with places for `values`, so that it can be translated."""

    step: Step
    finding: Finding
    text: str
    values: dict[str, str]

    def said(self) -> str:
        """The sentence in English."""
        return self.text.format(**self.values)


class Checked(NamedTuple):
    """What all steps found, and what could be read on the way."""

    checks: tuple[Check, ...]
    proof: Proof | None = None
    batch: Batch | None = None
    event: Event | None = None
    receipt: Receipt | None = None

    @property
    def holds(self) -> bool:
        """The event is what its device wrote, and is in central's custody as good."""
        return all(check.finding is Finding.HOLDS for check in self.checks)
