"""The vocabulary that every message is written in (SPEC §1): names, numbers, limits, and the one strict way to
encode and decode.
"""

from typing import Annotated, Any, ClassVar, TypeVar

import msgspec
from msgspec import Meta

from protocol.errors import Failure, Refused

MAX_BATCH_EVENTS = 1_000
MAX_BATCH_BYTES = 256 * 1024
"""The envelope of a batch; small enough for one retry on a weak mobile line."""
MAX_PERSONAL_BYTES = 256 * 1024
MAX_UPLOAD_BYTES = MAX_BATCH_BYTES + MAX_PERSONAL_BYTES + 4 * 1024
"""The body of an upload: both, and the framing of 1,000 parts."""
MAX_EVENT_BYTES = 4 * 1024
MAX_DELTA_ROWS = 50_000
"""Above it a snapshot is cheaper for both sides than a delta."""
MAX_CHUNK_ROWS = 4_096
"""Decoding one holds up a tap beside it for about a millisecond."""
MAX_CHUNK_BYTES = 5 * 1024 * 1024
"""More than 4,096 rows of the largest size, so that rows alone decide where a chunk ends."""
MAX_DELTA_CHUNKS = -(-MAX_DELTA_ROWS // MAX_CHUNK_ROWS)
MAX_MESSAGE_BYTES = 8 * 1024 * 1024
"""Any one message that is not a batch."""

Name = Annotated[str, Meta(min_length=1, max_length=64)]
Text = Annotated[str, Meta(max_length=500)]
Identifier = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"\A[^\x00-\x1f\x7f]+\Z")]
"""A device's or a domain's name: it stands in hashed and sealed input between zero bytes, so it has none itself."""
LAST_MS = 253_370_764_799_999
"""The end of the year 9998: the local day after any time on the wire can still be told."""
Millis = Annotated[int, Meta(ge=0, le=LAST_MS)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Through = Annotated[int, Meta(ge=-1, le=2**53)]
"""A last sequence, or −1 for none."""
Digest = Annotated[bytes, Meta(min_length=32, max_length=32)]
Id16 = Annotated[bytes, Meta(min_length=16, max_length=16)]
Id8 = Annotated[bytes, Meta(min_length=8, max_length=8)]


class Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A payload that travels in an envelope under its own type string."""

    TYPE: ClassVar[str] = ""
    MAX_BYTES: ClassVar[int] = MAX_MESSAGE_BYTES


class Record(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A part of a message; never signed alone."""


T = TypeVar("T")

_encoder = msgspec.msgpack.Encoder()
encode = _encoder.encode
_decoders: dict[type, msgspec.msgpack.Decoder[Any]] = {}


def decode(kind: type[T], data: bytes) -> T:
    """The typed message in `data`.

    Raises Refused: `oversized` past the type's limit, `malformed` for wrong types, unknown fields,
    truncation or trailing bytes, with the path of the offence.
    """
    limit = getattr(kind, "MAX_BYTES", MAX_MESSAGE_BYTES)
    if len(data) > limit:
        raise Refused(Failure.OVERSIZED, f"{kind.__name__} of {len(data)} bytes, {limit} allowed")
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.msgpack.Decoder(kind)
    try:
        return decoder.decode(data)  # type: ignore[no-any-return]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(Failure.MALFORMED, f"{kind.__name__}: {error}") from None
