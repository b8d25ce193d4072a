"""Rows of an allowlist as they travel: in chunks, inside a delta or behind the head of a snapshot (SPEC §5.10)."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from protocol.errors import Failure, Refused
from protocol.messages import MAX_CHUNK_BYTES, MAX_CHUNK_ROWS, Row, encode

Rows = Annotated[list[Row], Meta(max_length=MAX_CHUNK_ROWS)]
_decoder: msgspec.msgpack.Decoder[list[tuple[bytes, bytes]]] = msgspec.msgpack.Decoder(Rows)


def chunks(rows: Sequence[tuple[bytes, bytes]]) -> tuple[bytes, ...]:
    """(token, entry) rows in as few chunks as may be."""
    return tuple(encode(rows[at : at + MAX_CHUNK_ROWS]) for at in range(0, len(rows), MAX_CHUNK_ROWS))


def rows_of(chunk: bytes) -> list[tuple[bytes, bytes]]:
    """The rows of one chunk. Raises Refused: oversized, malformed."""
    if len(chunk) > MAX_CHUNK_BYTES:
        raise Refused(Failure.OVERSIZED, f"a chunk of {len(chunk)} bytes, {MAX_CHUNK_BYTES} allowed")
    try:
        return _decoder.decode(chunk)
    except msgspec.MsgspecError as error:
        raise Refused(Failure.MALFORMED, f"chunk: {error}") from None
