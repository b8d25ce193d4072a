"""The port that a program is told of is its own, whatever else goes on here."""

import asyncio
import socket
from contextlib import ExitStack

import pytest

from deploy.ports import Port


async def serve(port: int) -> bytes:
    """One program that listens, says a word and ends."""
    server = await asyncio.start_server(lambda _, writer: (writer.write(b"here"), writer.close()), "127.0.0.1", port)
    async with server:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        said = await reader.read()
        writer.close()
    return said


async def test_a_program_may_listen_at_its_port_again_and_again() -> None:
    port = Port.free()
    assert [await serve(port) for _ in range(3)] == [b"here"] * 3


def test_a_port_that_is_held_is_given_to_nobody_else() -> None:
    port = Port.free()
    with ExitStack() as others:
        for _ in range(500):
            other = others.enter_context(socket.socket())
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("127.0.0.1", 0))
            assert other.getsockname()[1] != port
    with socket.socket() as stranger, pytest.raises(OSError, match="already in use"):
        stranger.bind(("127.0.0.1", port))


def test_a_port_is_let_go_with_its_object() -> None:
    port = Port.free()
    number = int(port)
    del port
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", number))
