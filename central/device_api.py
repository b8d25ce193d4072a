"""What devices call (SPEC §10): bytes in, signed envelopes out, refusals as JSON, nothing secret in a log."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import msgspec
import structlog
from aiohttp import web
from sqlalchemy import select

from central import bundles, enrolment
from central.claim import Evident
from central.custody import Custodian, retrying
from central.device_keys import DeviceKeys, require_active, state_of
from central.failures import Declined, status_of
from central.keys import Keys
from central.metrics import Metrics
from central.polls import Polls
from central.reports import Reports
from central.services.follower import Follower
from central.snapshots import Snapshots
from central.store.database import Database
from central.store.migrate import is_current
from central.store.schema import devices, gates, venues
from central.wakeups import Wakeups
from protocol.envelope import digest
from protocol.errors import Failure, Refused
from protocol.fleet import MAX_BUNDLE_UPLOAD_BYTES, BundleUpload
from protocol.messages import MAX_UPLOAD_BYTES, Bundle, Fetch, Health, Poll, decode, encode

MAX_BODY_BYTES = MAX_UPLOAD_BYTES
"""Of any request: an inventory of 10,000 epochs fits as well."""
MSGPACK = "application/msgpack"

log = structlog.get_logger()


def system_now_ms() -> int:
    """The wall clock; everything below it takes the time as a parameter."""
    return time.time_ns() // 1_000_000


@dataclass
class Services:
    """The running parts that the handlers use."""

    database: Database
    keys: Keys
    snapshots: Snapshots
    wakeups: Wakeups = field(default_factory=Wakeups)
    metrics: Metrics = field(default_factory=Metrics)
    now_ms: Callable[[], int] = system_now_ms

    def __post_init__(self) -> None:
        self.database.on_commit = self.wakeups.wake
        self.device_keys = DeviceKeys(self.database)
        self.custodian = Custodian(self.database, self.keys, self.device_keys)
        self.polls = Polls(self.database, self.keys, self.wakeups, self.now_ms, self.metrics)
        self.reports = Reports(self.database)
        self.follower = Follower(self.database, self.metrics, self.now_ms)


SERVICES = web.AppKey("services", Services)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def add_routes(app: web.Application) -> None:
    """Every endpoint of SPEC §10; `app[SERVICES]` must be set."""
    app.router.add_get("/v1/hello", hello)
    app.router.add_post("/v1/enrol", enrol)
    app.router.add_post("/v1/poll", poll)
    app.router.add_post("/v1/batches", batches)
    app.router.add_post("/v1/holdings", holdings)
    app.router.add_post("/v1/snapshot", snapshot)
    app.router.add_post("/v1/health", health)
    app.router.add_post("/v1/bundle", bundle)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)


@web.middleware
async def refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refused becomes JSON with its status; a fault of ours 503, since a device takes both for a failure to deliver."""
    services = request.app[SERVICES]
    try:
        return await handler(request)
    except Refused as refused:
        kind, detail = refused.kind.value, refused.detail
        status = 422 if isinstance(refused, Evident) else status_of(refused)
        log.info("refused", endpoint=request.path, status=status, failure=kind, detail=detail[:500])
        services.metrics.refusals.labels(_endpoint(request), kind).inc()
        return failure(status, kind, detail)
    except web.HTTPRequestEntityTooLarge:
        services.metrics.refusals.labels(_endpoint(request), Failure.OVERSIZED.value).inc()
        return failure(413, Failure.OVERSIZED.value, f"a body of more than {MAX_BODY_BYTES} bytes")
    except web.HTTPException:
        raise
    except Exception as error:  # never the error's text to the peer, nor its values to the log
        log.error("failed", endpoint=request.path, error=type(error).__name__, exc_info=_is_ours(error))
        services.metrics.errors.labels(_endpoint(request)).inc()
        return failure(503, "not-ready", "central could not do this now")


def failure(status: int, kind: str, detail: str) -> web.Response:
    """An unsigned refusal."""
    body = msgspec.json.encode({"failure": kind, "detail": detail})
    return web.Response(status=status, body=body, content_type="application/json")


def _endpoint(request: web.Request) -> str:
    """The route, never the path that somebody typed: a metric's labels must stay few."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else "unknown"


def _is_ours(error: Exception) -> bool:
    """A database error quotes the row that it failed on, which may be personal: log its kind only."""
    return not hasattr(error, "params") and getattr(error, "sqlstate", None) is None


def _answer(*envelopes: bytes) -> web.Response:
    return web.Response(body=encode(envelopes), content_type=MSGPACK)


# --- handlers -------------------------------------------------------------------------------------------------


async def hello(request: web.Request) -> web.Response:
    """A nonce, and the key statement to check everything else by."""
    services = request.app[SERVICES]
    return web.Response(body=enrolment.hello(services.keys, services.now_ms()), content_type=MSGPACK)


async def enrol(request: web.Request) -> web.Response:
    """A device joins; what it is told is durable first."""
    services, body = request.app[SERVICES], await request.read()
    async for attempt in retrying():
        with attempt:
            async with services.database.write() as connection:
                answer = await enrolment.enrol(connection, services.keys, body, services.now_ms())
    if isinstance(answer, Declined):
        raise answer
    return _answer(answer)


async def poll(request: web.Request) -> web.Response:
    """What is newer, at once or when there is something."""
    services, body = request.app[SERVICES], await request.read()
    asked = await services.device_keys.open(Poll, body)
    services.reports.note(asked, services.now_ms())
    with services.metrics.polls_held.track_inprogress():
        return _answer(*await services.polls.answer(asked))


async def batches(request: web.Request) -> web.Response:
    """Events into custody."""
    services, body = request.app[SERVICES], await request.read()
    with services.metrics.upload_s.time(), services.follower.custody_at_work():
        taken = await services.custodian.take(body, services.now_ms())
    services.metrics.batches.labels(taken.outcome).inc()
    services.metrics.events.inc(taken.events)
    for kind, what in taken.notable:
        services.metrics.notable.labels(kind, what).inc()
    return _answer(taken.answer)


async def holdings(request: web.Request) -> web.Response:
    """What is held of the epochs that a device still has."""
    services, body = request.app[SERVICES], await request.read()
    return _answer(await services.custodian.holdings(body, services.now_ms()))


async def snapshot(request: web.Request) -> web.StreamResponse:
    """A whole list as a stream of frames. A version that is gone is answered by the newest, from its first chunk."""
    services, body = request.app[SERVICES], await request.read()
    asked = await services.device_keys.open(Fetch, body)
    query = (
        select(venues.c.domain)
        .join(gates, gates.c.venue == venues.c.id)
        .join(devices, devices.c.gate == gates.c.id)
        .where(devices.c.id == asked.device)
    )
    async with services.database.read() as connection:
        device = await state_of(connection, asked.device)
        domain = (await connection.execute(query)).scalar_one()
    require_active(device)
    file = await services.snapshots.of_version(domain, asked.version)
    first_chunk = asked.first_chunk if asked.version in (0, file.version) else 0
    response = web.StreamResponse(headers={"Content-Type": MSGPACK})
    await response.prepare(request)
    async for piece in services.snapshots.frames(file, first_chunk):
        await response.write(piece)
        services.metrics.snapshot_bytes.inc(len(piece))
    await response.write_eof()
    return response


async def health(request: web.Request) -> web.Response:
    """How a device is. Written down with the next reports: the newest is all that counts."""
    services, body = request.app[SERVICES], await request.read()
    told = await services.device_keys.open(Health, body)
    async with services.database.read() as connection:
        require_active(await state_of(connection, told.device))
    services.reports.note_health(told, services.now_ms())
    return _answer()


async def bundle(request: web.Request) -> web.Response:
    """What a device was asked for; durable when it is answered. It is larger than any other body."""
    services = request.app[SERVICES]
    upload = decode(BundleUpload, await _body(request, MAX_BUNDLE_UPLOAD_BYTES))
    made = await services.device_keys.open(Bundle, upload.bundle)
    bundles.check_content(made, upload.content, digest(upload.content))
    async for attempt in retrying():
        with attempt:
            async with services.database.write() as connection:
                require_active(await state_of(connection, made.device, lock=True))
                await bundles.take(connection, made, upload.content, services.now_ms())
    return _answer()


async def _body(request: web.Request, most_bytes: int) -> bytes:
    """Of a request that may be larger than others. Raises Refused `oversized`."""
    found = bytearray()
    async for piece in request.content.iter_any():
        found += piece
        if len(found) > most_bytes:
            raise Refused(Failure.OVERSIZED, f"a body of more than {most_bytes} bytes")
    return bytes(found)


async def healthz(_request: web.Request) -> web.Response:
    """The process answers."""
    return web.Response(text="ok\n")


async def readyz(request: web.Request) -> web.Response:
    """The database answers and has the schema of this code."""
    async with request.app[SERVICES].database.read() as connection:
        if not await is_current(connection):
            return web.Response(status=503, text="the database has another schema than this version\n")
    return web.Response(text="ready\n")


async def metrics(request: web.Request) -> web.Response:
    """For Prometheus."""
    headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
    return web.Response(body=request.app[SERVICES].metrics.text(), headers=headers)
