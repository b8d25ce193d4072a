"""What a form brings: fields within limits, and at most one file, written to disk as it comes."""

import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError
from multidict import MultiDict

from central.console.page import Fields, File

MAX_FIELD_BYTES = 2 * 1024 * 1024
"""A policy of the largest size, as text."""
MAX_FIELDS = 2_000


@contextlib.asynccontextmanager
async def read_form(
    request: web.Request, directory: Path, max_file_bytes: int
) -> AsyncIterator[tuple[Fields, File | None]]:
    """Fields and file, the file for as long as the block runs.

    Raises HTTPRequestEntityTooLarge, HTTPBadRequest.
    """
    with contextlib.ExitStack() as stack:
        if request.content_type != "multipart/form-data":
            try:
                posted = await request.post()
            except (ValueError, UnicodeDecodeError):
                raise web.HTTPBadRequest(text="the form cannot be read") from None
            pairs = MultiDict((name, value) for name, value in posted.items() if isinstance(value, str))
            if len(pairs) > MAX_FIELDS:
                raise web.HTTPRequestEntityTooLarge(MAX_FIELDS, len(pairs))
            yield Fields(pairs), None
            return
        pairs, file = MultiDict[str](), None
        try:
            reader = await request.multipart()
            while (part := await reader.next()) is not None:
                if not isinstance(part, BodyPartReader) or len(pairs) > MAX_FIELDS:
                    raise web.HTTPBadRequest(text="the form cannot be read")
                if part.filename:
                    spool = stack.enter_context(tempfile.NamedTemporaryFile(dir=directory, prefix="uploaded-"))
                    size = 0
                    while data := await part.read_chunk(1 << 16):
                        size += len(data)
                        if size > max_file_bytes:
                            raise web.HTTPRequestEntityTooLarge(max_file_bytes, size)
                        spool.write(data)
                    spool.flush()
                    file = File(Path(spool.name), part.filename[:200], size) if size else file
                elif part.name:
                    pairs.add(part.name, await _text(part))
        except (ValueError, UnicodeDecodeError, RuntimeError, AssertionError, HttpProcessingError):
            raise web.HTTPBadRequest(text="the form cannot be read") from None
        yield Fields(pairs), file


async def _text(part: BodyPartReader) -> str:
    value = bytearray()
    while data := await part.read_chunk(1 << 16):
        value += data
        if len(value) > MAX_FIELD_BYTES:
            raise web.HTTPRequestEntityTooLarge(MAX_FIELD_BYTES, len(value))
    return value.decode()
