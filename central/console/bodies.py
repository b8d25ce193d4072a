"""What a form brings: fields within limits, and at most one file, written to disk as it comes."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError
from multidict import MultiDict

from central.console.page import Fields, File
from central.store.scratch import SCRATCH

MAX_FIELD_BYTES = 2 * 1024 * 1024
"""A policy of the largest size, as text. Encoded as in a URL it would be larger than any other form may be, so the
forms that bring one come in parts."""
MAX_FIELDS = 2_000
MAX_TEXT_BYTES = 4 * 1024 * 1024
"""Of all fields together, where a form comes in parts."""
SLOWEST_S = 600.0
SPOOLED = "uploaded-"


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
        try:
            async with asyncio.timeout(SLOWEST_S):
                fields, file = await _parts(request, directory, max_file_bytes, stack)
        except TimeoutError:
            raise web.HTTPRequestTimeout from None
        except (ValueError, UnicodeDecodeError, RuntimeError, AssertionError, HttpProcessingError):
            raise web.HTTPBadRequest(text="the form cannot be read") from None
        yield fields, file


async def _parts(
    request: web.Request, directory: Path, max_file_bytes: int, stack: contextlib.ExitStack
) -> tuple[Fields, File | None]:
    """Everything of a form in parts; whatever a part is, it counts. At most one file, which may be empty."""
    pairs, file = MultiDict[str](), None
    count, room = 0, max_file_bytes + MAX_TEXT_BYTES
    reader = await request.multipart()
    while (part := await reader.next()) is not None:
        count += 1
        if not isinstance(part, BodyPartReader) or count > MAX_FIELDS:
            raise web.HTTPBadRequest(text="the form cannot be read")
        if not part.filename:
            value = await _text(part, min(MAX_FIELD_BYTES, room))
            room -= len(value)
            pairs.add(part.name or "", value.decode())
            continue
        spool, size = None, 0
        if file is None:
            made = tempfile.NamedTemporaryFile(dir=directory, prefix=SPOOLED)  # noqa: SIM115 - the stack closes it
            spool = stack.enter_context(made)
        while data := await part.read_chunk(1 << 16):
            size += len(data)
            room -= len(data)
            if spool is None or size > max_file_bytes or room < 0:
                raise web.HTTPRequestEntityTooLarge(max_file_bytes, size)
            spool.write(data)
        if spool is not None:
            spool.flush()
            file = File(Path(spool.name), part.filename[:200], size)
    return Fields(pairs), file


async def _text(part: BodyPartReader, most: int) -> bytes:
    value = bytearray()
    while data := await part.read_chunk(1 << 16):
        value += data
        if len(value) > most:
            raise web.HTTPRequestEntityTooLarge(most, len(value))
    return bytes(value)


def forget_spooled(directory: Path) -> None:
    """At start: what was being sent, computed in a copy, or built when the process was killed is nobody's any more, and
    holds UIDs, names and lists."""
    for pattern in (f"{SPOOLED}*", "attached-*", "snapshots/*.new"):
        for path in directory.glob(pattern):
            path.unlink(missing_ok=True)
    for path in directory.glob(f"{SCRATCH}*"):
        shutil.rmtree(path, ignore_errors=True)
