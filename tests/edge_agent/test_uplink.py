"""Real HTTP over real TLS: what is trusted before anything is sent, and what counts as no answer."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from edge_agent.identity import Identity
from edge_agent.uplink import NetworkFailure, UnknownCertificate, Uplink
from protocol.envelope import Keyring, Signer, open_as, unwrap
from protocol.errors import Failure, Refused
from protocol.messages import MAX_MESSAGE_BYTES, Fetch, Key, KeyStatement, Poll, Role, encode
from tests.support.central_side import DAY_MS, DEVICE, CentralSide, serving
from tests.support.certificates import server_context

LONG_AGO = (-800, -400)


def identity(central: CentralSide, url: str, pinned: bool = True) -> Identity:
    return Identity(url, central.root.public, pinned, b"", bytes(32), bytes(32), bytes(32), DEVICE)


def statement(central: CentralSide) -> KeyStatement:
    return open_as(KeyStatement, central.statement(), Keyring.of(central.root.public))


def serve_key(digest: bytes, until_ms: int = 0) -> Key:
    return Key(digest, (Role.SERVE,), 0, until_ms)


def poll(central: CentralSide) -> bytes:
    return central.device_signer.seal(Poll(DEVICE, bytes(16), 0, central.number, 1, (), (), 0, 0, "t", ()))


class Counting:
    """An application that notes every request which reaches it."""

    def __init__(self, central: CentralSide) -> None:
        self.app, self.paths = central.app(), []

        @web.middleware
        async def count(request: web.Request, handler):  # type: ignore[no-untyped-def]
            self.paths.append(request.path)
            return await handler(request)

        self.app.middlewares.append(count)


@pytest.mark.parametrize("days", [(-1, 30), LONG_AGO, (400, 800)])
async def test_a_pinned_certificate_is_accepted_whatever_its_dates_and_name(
    central: CentralSide, tmp_path: Path, days: tuple[int, int]
) -> None:
    context, digest = server_context(tmp_path, days=days)
    central.served = [serve_key(digest)]
    async with serving(central.app(), context) as url, Uplink(identity(central, url), statement(central)) as uplink:
        assert await uplink.send("/v1/poll", poll(central))


async def test_a_certificate_that_is_not_pinned_is_refused_before_anything_is_sent(
    central: CentralSide, tmp_path: Path
) -> None:
    good, digest = server_context(tmp_path)
    other, _ = server_context(tmp_path, "other")
    central.served = [serve_key(digest)]
    server = Counting(central)
    async with serving(server.app, other) as url, Uplink(identity(central, url), statement(central)) as uplink:
        with pytest.raises(Refused) as caught:
            await uplink.send("/v1/poll", poll(central))
        with pytest.raises(UnknownCertificate):
            async for _ in uplink.snapshot(b""):
                pass
    assert caught.value.kind is Failure.UNKNOWN_KEY
    assert server.paths == ["/v1/hello"], "the only thing asked is who speaks there"


async def test_the_first_contact_of_a_pinned_device_checks_the_certificate_by_the_root(
    central: CentralSide, tmp_path: Path
) -> None:
    context, digest = server_context(tmp_path)
    server = Counting(central)
    async with serving(server.app, context) as url:
        async with Uplink(identity(central, url), None) as uplink:
            with pytest.raises(Refused):
                await uplink.send("/v1/poll", poll(central))
        assert server.paths == ["/v1/hello"]
        central.served = [serve_key(digest)]
        async with Uplink(identity(central, url), None) as uplink:
            assert await uplink.send("/v1/poll", poll(central))


async def test_a_hello_that_the_root_did_not_sign_is_refused(central: CentralSide, tmp_path: Path) -> None:
    context, digest = server_context(tmp_path)
    honest = identity(central, "")
    central.served, central.root = [serve_key(digest)], Signer.generate()
    async with serving(central.app(), context) as url:
        device = Identity(url, honest.root_public, True, b"", bytes(32), bytes(32), bytes(32))
        async with Uplink(device, None) as uplink:
            with pytest.raises(Refused):
                await uplink.hello()


async def test_a_device_that_was_away_while_the_certificate_changed_comes_back(
    central: CentralSide, tmp_path: Path
) -> None:
    _, old = server_context(tmp_path, "old")
    context, new = server_context(tmp_path, "new")
    central.served = [serve_key(old)]
    held = statement(central)
    central.keys_number, central.served = 2, [serve_key(new)]
    async with serving(central.app(), context) as url, Uplink(identity(central, url), held) as uplink:
        assert await uplink.send("/v1/poll", poll(central))


async def test_an_older_key_statement_brings_no_old_certificate_back(central: CentralSide, tmp_path: Path) -> None:
    context, stolen = server_context(tmp_path, "stolen")
    _, new = server_context(tmp_path, "new")
    central.keys_number, central.served = 2, [serve_key(new)]
    held = statement(central)
    central.keys_number, central.served = 1, [serve_key(stolen)]
    async with serving(central.app(), context) as url, Uplink(identity(central, url), held) as uplink:
        with pytest.raises(Refused) as caught:
            await uplink.send("/v1/poll", poll(central))
        assert caught.value.kind is Failure.NOT_NEWER


async def test_a_certificate_that_has_ended_by_signed_time_is_refused_one_to_come_is_not(
    central: CentralSide, tmp_path: Path
) -> None:
    context, digest = server_context(tmp_path)
    central.served = [serve_key(digest, until_ms=central.now_ms)]
    async with serving(central.app(), context) as url, Uplink(identity(central, url), None) as uplink:
        uplink.pin(statement(central), central.now_ms + DAY_MS)
        with pytest.raises(Refused):
            await uplink.send("/v1/poll", poll(central))
    central.served = [Key(digest, (Role.SERVE,), central.now_ms + DAY_MS, 0)]
    async with serving(central.app(), context) as url, Uplink(identity(central, url), statement(central)) as uplink:
        assert await uplink.send("/v1/poll", poll(central))


async def test_without_pinning_a_self_signed_certificate_is_refused(central: CentralSide, tmp_path: Path) -> None:
    context, _ = server_context(tmp_path)
    server = Counting(central)
    async with serving(server.app, context) as url, Uplink(identity(central, url, pinned=False), None) as uplink:
        with pytest.raises(NetworkFailure):
            await uplink.send("/v1/poll", poll(central))
    assert server.paths == []


@pytest.mark.parametrize("url", ["http://192.0.2.1:80", "http://central.example", "ftp://127.0.0.1", "central"])
def test_plain_http_is_for_loopback_only(central: CentralSide, url: str) -> None:
    with pytest.raises(Refused) as caught:
        Uplink(identity(central, url), None)
    assert caught.value.kind is Failure.NOT_SATISFIABLE


async def test_plain_http_on_loopback_serves_to_try_things_out(central: CentralSide) -> None:
    async with serving(central.app()) as url, Uplink(identity(central, url), None) as uplink:
        assert await uplink.send("/v1/poll", poll(central))


async def test_connections_are_used_again_until_the_pins_change(central: CentralSide, tmp_path: Path) -> None:
    context, digest = server_context(tmp_path)
    central.served = [serve_key(digest)]
    ports = set()
    app = central.app()

    @web.middleware
    async def note(request: web.Request, handler):  # type: ignore[no-untyped-def]
        assert request.transport is not None
        ports.add(request.transport.get_extra_info("peername")[1])
        return await handler(request)

    app.middlewares.append(note)
    async with serving(app, context) as url, Uplink(identity(central, url), statement(central)) as uplink:
        for _ in range(3):
            await uplink.send("/v1/poll", poll(central))
            uplink.pin(statement(central))
    assert len(ports) == 1


# --- what is no answer ----------------------------------------------------------------------------------------


async def _answering(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> web.Application:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, status=status, headers=headers)

    app = web.Application()
    app.add_routes([web.post("/v1/poll", answer), web.post("/v1/snapshot", answer), web.get("/v1/hello", answer)])
    return app


@pytest.mark.parametrize("status", [204, 301, 400, 403, 404, 413, 429, 500, 503])
async def test_any_other_status_is_a_failure_that_tells_the_status(central: CentralSide, status: int) -> None:
    app = await _answering(b'{"failure": "x"}' if status != 204 else b"", status, {"Location": "https://192.0.2.1/"})
    async with serving(app) as url, Uplink(identity(central, url), None) as uplink:
        with pytest.raises(NetworkFailure) as caught:
            await uplink.send("/v1/poll", b"")
    assert caught.value.status == status


@pytest.mark.parametrize("body", [b"", b"junk", b"\xc0", encode([1, 2]), encode([b"x"]) + b"\0", encode({"a": 1})])
async def test_a_body_that_is_no_list_of_envelopes_is_refused(central: CentralSide, body: bytes) -> None:
    async with serving(await _answering(body)) as url, Uplink(identity(central, url), None) as uplink:
        with pytest.raises(Refused) as caught:
            await uplink.send("/v1/poll", b"")
    assert caught.value.kind is Failure.MALFORMED


async def test_an_endless_body_is_cut(central: CentralSide) -> None:
    app = await _answering(bytes(2 * MAX_MESSAGE_BYTES + 1))
    async with serving(app) as url, Uplink(identity(central, url), None) as uplink:
        with pytest.raises(Refused) as caught:
            await uplink.send("/v1/poll", b"")
    assert caught.value.kind is Failure.OVERSIZED


async def test_nobody_there_is_a_failure(central: CentralSide) -> None:
    async with serving(await _answering(b"")) as url:
        pass
    async with Uplink(identity(central, url), None) as uplink:
        with pytest.raises(NetworkFailure) as caught:
            await uplink.send("/v1/poll", b"")
    assert caught.value.status == 0


async def test_a_server_that_says_nothing_is_a_failure_in_time(central: CentralSide) -> None:
    async def silent(_: web.Request) -> web.Response:
        await asyncio.sleep(60)
        raise AssertionError

    app = web.Application()
    app.add_routes([web.post("/v1/poll", silent)])
    async with serving(app) as url, Uplink(identity(central, url), None) as uplink:
        with pytest.raises(NetworkFailure):
            await uplink.send("/v1/poll", b"", timeout_s=0.1)


async def test_an_answer_that_breaks_off_is_a_failure(central: CentralSide) -> None:
    async def breaking(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        writer.close()

    server = await asyncio.start_server(breaking, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with Uplink(identity(central, url), None) as uplink:
        with pytest.raises(NetworkFailure):
            await uplink.send("/v1/poll", b"")
    server.close()


# --- snapshots ------------------------------------------------------------------------------------------------


async def frames(uplink: Uplink, body: bytes) -> list[bytes]:
    return [frame async for frame in uplink.snapshot(body)]


async def test_a_snapshot_comes_as_frames_from_any_chunk_on(central: CentralSide) -> None:
    head, chunks = central.snapshot()
    async with serving(central.app()) as url, Uplink(identity(central, url), None) as uplink:
        for first in (0, 2):
            fetch = central.device_signer.seal(Fetch(DEVICE, bytes(16), 0, 1, first))
            found = await frames(uplink, fetch)
            assert unwrap(found[0]).payload == unwrap(head).payload
            assert found[1:] == chunks[first:]


@pytest.mark.parametrize("cut", [0, 3, 4, 10])
async def test_a_snapshot_that_is_cut_ends_where_it_was_cut(central: CentralSide, cut: int) -> None:
    whole = (6).to_bytes(4) + b"frame1" + (6).to_bytes(4) + b"frame2"
    app = await _answering(whole[: len(whole) - cut])
    async with serving(app) as url, Uplink(identity(central, url), None) as uplink:
        assert await frames(uplink, b"") == ([b"frame1", b"frame2"] if cut == 0 else [b"frame1"])


async def test_a_frame_of_any_length_that_is_claimed_is_not_waited_for(central: CentralSide) -> None:
    app = await _answering((2**31).to_bytes(4))
    async with serving(app) as url, Uplink(identity(central, url), None) as uplink:
        with pytest.raises(Refused) as caught:
            await frames(uplink, b"")
    assert caught.value.kind is Failure.OVERSIZED
