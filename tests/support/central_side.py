"""A small central in memory that signs real messages, for tests of the agent. Built on `protocol` alone: what it says
is what SPEC says, and a test may bend any of it."""

import hashlib
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import web

from protocol.allowlist import CardState, Entry, Grant, list_digest, total
from protocol.chunks import chunks
from protocol.envelope import (
    Keyring,
    Signer,
    digest,
    domain_key_digest,
    new_sealing_key,
    open_as,
    seal_domain_key,
    unwrap,
)
from protocol.fleet import BundleUpload
from protocol.journal import genesis
from protocol.messages import (
    Ages,
    Ask,
    Batch,
    Bind,
    Bundle,
    Consents,
    Counted,
    Delta,
    DomainKey,
    Enrol,
    Enrolled,
    EpochHeld,
    Fetch,
    Fresh,
    GateConfig,
    Health,
    Hello,
    Holdings,
    Inventory,
    Key,
    KeyStatement,
    Manifest,
    Names,
    Part,
    PartName,
    Pending,
    Poll,
    Profiles,
    Receipt,
    Resume,
    Revoked,
    Role,
    Snapshot,
    State,
    SubjectState,
    Upload,
    decode,
    encode,
)
from protocol.policy import Admit, Policy
from protocol.token import token
from protocol.uid import CardUID

DEVICE, GATE, VENUE, DOMAIN = "device-1", "library-1-door", "library-1", "libraries"
DAY_MS = 24 * 3_600_000
AGES = Ages(DAY_MS, 7 * DAY_MS, 30 * DAY_MS)
Rows = dict[bytes, bytes]


def key(name: str) -> bytes:
    """A private key for a test, the same every time."""
    return hashlib.sha256(b"a test's key: " + name.encode()).digest()


def subject(number: int) -> bytes:
    return hashlib.sha256(b"subject %d" % number).digest()[:16]


def uid(number: int) -> bytes:
    """A seven-byte UID."""
    return bytes([0x04, number & 0xFF, number >> 8 & 0xFF, 0x5A, 0x11, 0x22, 0x33])


def entry(number: int, state: CardState = CardState.ACTIVE, classes: Iterable[str] = ("citizen",)) -> bytes:
    return encode(Entry(subject(number), 1, state, tuple(Grant(name) for name in classes)))


class CentralSide:
    """What one device is told. Change anything, then `publish()`; `answer`, `take`, `holdings`, `snapshot` speak."""

    def __init__(self, now_ms: int | None = None) -> None:
        self.root, self.receipts, self.publisher = (Signer(key(name)) for name in ("root", "receipt", "publish"))
        self.device_signer = Signer(key("device"))
        self.sealing_public = new_sealing_key()[1]
        self.now_ms = now_ms if now_ms is not None else time.time_ns() // 1_000_000
        self.served: list[Key] = []
        self.keys_number, self.generation, self.number = 1, 1, 0
        self.key_number = 1
        self.lists: dict[int, tuple[int, Rows]] = {}
        self.list_version = 0
        self.policy = Policy(1, (Admit("members", classes=("citizen",)),), repeat_window_s=5)
        self.config = GateConfig(1, GATE, "door")
        self.profiles: Profiles | None = None
        self.names: Names | None = None
        self.session: Bind | None = None
        self.consents: Consents | None = None
        self.ages = AGES
        self.state = "active"
        self.secret = key("join")[:16]
        self.enrolled_with: tuple[bytes, bytes] | None = None
        self.deltas = True
        self.set_list({token(self.domain_key(), CardUID(uid(n))): entry(n) for n in range(5)})
        self.held: dict[bytes, list[tuple[bytes, bytes]]] = {}
        """Of each epoch, (public part, head) by sequence; b"" where lost."""
        self.receipted: dict[tuple[bytes, int, bytes], bytes] = {}
        self.polls: list[Poll] = []
        self.states: dict[bytes, tuple[int, SubjectState]] = {}
        """Of each member that it ever told of: since which version, and what."""
        self.state_version = 0
        self.counted: dict[bytes, int] = {}
        self.inside: dict[str, int] = {}
        self.ask: Ask | None = None
        self.healths: list[Health] = []
        self.bundles: list[tuple[Bundle, bytes]] = []

    # --- what is known of members ---------------------------------------------------------------------------------

    def tell(self, *states: SubjectState, counted: dict[bytes, int] | None = None, **inside: int) -> int:
        """The next version of the state feed. `counted`: the device's events in it; `inside`: by venue, `-` as `_`."""
        self.state_version += 1
        self.states.update({state.subject: (self.state_version, state) for state in states})
        self.counted |= counted or {}
        self.inside |= {venue.replace("_", "-"): count for venue, count in inside.items()}
        return self.state_version

    def restore_states(self, *states: SubjectState, counted: dict[bytes, int] | None = None) -> None:
        """Central is another one, from a backup: it knows this, and begins anew."""
        self.generation += 1
        self.states, self.counted, self.state_version = {}, {}, 0
        self.tell(*states, counted=counted)

    def word_on_members(self, base: int = 0, **changes: Any) -> bytes:
        """What changed since a version; `changes` bend it."""
        named = tuple(state for since, state in self.states.values() if since > base)
        counted = tuple(Counted(epoch, through) for epoch, through in self.counted.items())
        word = State(DEVICE, DOMAIN, base, self.state_version, self.now_ms, counted, tuple(self.inside.items()), named)
        return self.seal(msgspec.structs.replace(word, **changes))

    # --- what is published --------------------------------------------------------------------------------------

    def domain_key(self, number: int = 0) -> bytes:
        return key(f"domain {number or self.key_number}")

    def set_list(self, rows: Rows) -> None:
        """A newer list, under the domain key in force."""
        self.list_version += 1
        self.lists[self.list_version] = (self.key_number, dict(sorted(rows.items())))

    @property
    def rows(self) -> Rows:
        return self.lists[self.list_version][1]

    def put_card(self, number: int, state: CardState = CardState.ACTIVE, classes: Iterable[str] = ("citizen",)) -> None:
        made = token(self.domain_key(), CardUID(uid(number)))
        self.set_list({**self.rows, made: entry(number, state, classes)})

    def rotate_domain_key(self, numbers: Iterable[int] = range(5)) -> None:
        """Key and list together."""
        self.key_number += 1
        self.set_list({token(self.domain_key(), CardUID(uid(n))): entry(n) for n in numbers})

    def statement(self) -> bytes:
        keys = [Key(self.receipts.public, (Role.RECEIPT,)), Key(self.publisher.public, (Role.PUBLISH,)), *self.served]
        return self.root.seal(KeyStatement(self.keys_number, self.now_ms, tuple(keys)))

    def ring(self, *roles: Role) -> Keyring:
        return Keyring({self.receipts.public: {Role.RECEIPT}, self.publisher.public: {Role.PUBLISH}})  # type: ignore[dict-item]

    def parts(self) -> tuple[Part, ...]:
        number, rows = self.lists[self.list_version]
        listed = list_digest(DOMAIN, number, len(rows), total(rows.items()))
        shared = [(PartName.PROFILES, self.profiles), (PartName.NAMES, self.names), (PartName.BIND, self.session)]
        shared += [(PartName.CONSENTS, self.consents)]
        return (
            *(Part(name, message.version, digest(encode(message))) for name, message in shared if message),
            Part(PartName.ALLOWLIST, self.list_version, listed),
            Part(PartName.POLICY, self.policy.version, digest(encode(self.policy))),
            Part(PartName.CONFIG, self.config.version, digest(encode(self.config))),
            Part(PartName.DOMAIN_KEY, self.key_number, domain_key_digest(self.key_number, self.domain_key())),
        )

    def publish(self, **changes: Any) -> Manifest:
        """The next manifest; `changes` bend it."""
        self.number = changes.get("number", self.number + 1)
        self.manifest = msgspec.structs.replace(
            Manifest(
                DEVICE,
                self.number,
                self.now_ms,
                self.now_ms + 30 * DAY_MS,
                DOMAIN,
                VENUE,
                GATE,
                self.parts(),
                self.ages,
                self.generation,
                self.keys_number,
            ),
            **changes,
        )
        return self.manifest

    def seal(self, message: object) -> bytes:
        return self.publisher.seal(message)

    def sealed_domain_key(self) -> DomainKey:
        return seal_domain_key(self.domain_key(), DEVICE, DOMAIN, self.key_number, self.sealing_public)

    def fresh(self) -> bytes:
        return self.seal(Fresh(DEVICE, self.number, self.now_ms, self.generation))

    def delta(self, base: int) -> Delta | None:
        """From one version to the newest; None across domain keys."""
        (old_key, before), (number, after) = self.lists[base], self.lists[self.list_version]
        if old_key != number:
            return None
        put = [(made, row) for made, row in after.items() if before.get(made) != row]
        drop = tuple(made for made in before if made not in after)
        sum_ = total(after.items()).to_bytes(32)
        return Delta(DOMAIN, base, self.list_version, number, chunks(put), drop, len(after), sum_)

    def snapshot(self, version: int = 0, rows_a_chunk: int = 2) -> tuple[bytes, list[bytes]]:
        """Head and chunks of a version; 0 = the newest."""
        version = version or self.list_version
        number, rows = self.lists[version]
        listed = list(rows.items())
        found = [encode(listed[at : at + rows_a_chunk]) for at in range(0, len(listed), rows_a_chunk)]
        sum_ = total(listed).to_bytes(32)
        head = Snapshot(DOMAIN, version, number, len(rows), sum_, tuple(digest(chunk) for chunk in found))
        return self.seal(head), found

    # --- what it answers ----------------------------------------------------------------------------------------

    def answer(self, poll: Poll) -> list[bytes]:
        """SPEC §7.7, without the waiting."""
        self.polls.append(poll)
        if self.state == "revoked":
            return [self.revoked()]
        if self.state == "pending":
            return [self.seal(Pending(DEVICE, self.now_ms))]
        held = {part.name: part for part in poll.parts}
        troubled = {(trouble.part, trouble.version) for trouble in poll.troubles}
        news: list[bytes] = []
        for part in self.manifest.parts:
            if held.get(part.name) != part and (part.name, part.version) not in troubled:
                news += self._part(PartName(part.name), held)
        if news or poll.manifest != self.number:
            news.insert(0, self.seal(self.manifest))
        if poll.keys_number < self.keys_number:
            news.insert(0, self.statement())
        return (news or [self.fresh()]) + self._state(held, poll) + self._ask(held, poll)

    def _ask(self, held: dict[str, Part], poll: Poll) -> list[bytes]:
        """SPEC §7.11."""
        ask = self.ask
        if ask is None or (PartName.ASK in held and held[PartName.ASK].version == ask.version):
            return []
        is_refused = any((trouble.part, trouble.version) == ("ask", ask.version) for trouble in poll.troubles)
        return [] if is_refused else [self.seal(ask)]

    def _state(self, held: dict[str, Part], poll: Poll) -> list[bytes]:
        """SPEC §7.8: from what is held, where that is one of its versions."""
        version = held[PartName.STATE].version if PartName.STATE in held else 0
        is_refused = any((trouble.part, trouble.version) == ("state", self.state_version) for trouble in poll.troubles)
        if version == self.state_version or State.TYPE not in poll.understands or is_refused:
            return []
        return [self.word_on_members(version if version < self.state_version else 0)]

    def _part(self, name: PartName, held: dict[str, Part]) -> list[bytes]:
        if name is PartName.POLICY:
            return [self.seal(self.policy)]
        if name is PartName.CONFIG:
            return [self.seal(self.config)]
        if name is PartName.PROFILES:
            return [self.seal(self.profiles)]
        if name is PartName.NAMES:
            return [self.seal(self.names)]
        if name is PartName.BIND:
            return [self.seal(self.session)]
        if name is PartName.CONSENTS:
            return [self.seal(self.consents)]
        if name is PartName.DOMAIN_KEY:
            return [self.seal(self.sealed_domain_key())]
        base = held[name].version if name in held else 0
        delta = self.delta(base) if self.deltas and base in self.lists else None
        return [self.seal(delta)] if delta else []

    def everything(self) -> tuple[bytes, ...]:
        """To a device that holds nothing; the list itself comes by snapshot."""
        return tuple(self.answer(Poll(DEVICE, bytes(16), 0, 0, 0, (), (), 0, 0, "test", ())))

    def revoked(self) -> bytes:
        return self.seal(Revoked(DEVICE, self.now_ms, "lost"))

    def take(self, body: bytes) -> list[bytes]:
        """Custody of what fits; the judgement proper is central's own and tested there."""
        upload = decode(Upload, body)
        batch = open_as(Batch, upload.batch, Keyring.of(self.device_signer.public))
        if self.state == "revoked":
            return [self.revoked()]
        name = (batch.epoch, batch.first, digest(upload.batch))
        if name not in self.receipted:
            held = self.held.setdefault(batch.epoch, [])
            if batch.first > len(held) + batch.lost:
                head = held[-1][1] if held else genesis(DEVICE, batch.epoch)
                return [self.receipts.seal(Resume(DEVICE, batch.epoch, len(held), head, self.now_ms))]
            held += [(b"", b"")] * (batch.first - len(held))
            del held[batch.first :]
            held += [(public, b"") for public in batch.events]
            held[-1] = (held[-1][0], batch.head)
            self.receipted[name] = self.receipt(batch)
        return [self.receipted[name]]

    def receipt(self, batch: Batch, **changes: Any) -> bytes:
        last = batch.first + len(batch.events) - 1
        word = Receipt(DEVICE, batch.epoch, batch.first, last, batch.head, self.now_ms)
        return self.receipts.seal(msgspec.structs.replace(word, **changes))

    def holdings(self, body: bytes) -> list[bytes]:
        asked = open_as(Inventory, body, Keyring.of(self.device_signer.public))
        found = tuple(EpochHeld(each.epoch, len(self.held.get(each.epoch, ())) - 1) for each in asked.epochs)
        return [self.receipts.seal(Holdings(DEVICE, self.generation, found, asked.nonce, self.now_ms))]

    def publics(self) -> list[bytes]:
        """Every event in custody."""
        return [public for held in self.held.values() for public, _ in held if public]

    # --- over HTTP ----------------------------------------------------------------------------------------------

    def app(self) -> web.Application:
        """The endpoints of SPEC §10, as far as an agent uses them."""
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.add_routes(
            [
                web.get("/v1/hello", self._hello),
                web.post("/v1/enrol", self._enrol),
                web.post("/v1/poll", self._poll),
                web.post("/v1/batches", self._batches),
                web.post("/v1/holdings", self._holdings),
                web.post("/v1/snapshot", self._snapshot),
                web.post("/v1/health", self._health),
                web.post("/v1/bundle", self._bundle),
            ]
        )
        return app

    async def _hello(self, _: web.Request) -> web.Response:
        return web.Response(body=encode(Hello(self.statement(), key("nonce")[:16])))

    async def _enrol(self, request: web.Request) -> web.Response:
        body = await request.read()
        asked = decode(Enrol, unwrap(body).payload)
        open_as(Enrol, body, Keyring.of(asked.signing_public))
        keys = (asked.signing_public, asked.sealing_public)
        if asked.secret != self.secret or self.enrolled_with not in (None, keys):
            return web.json_response({"failure": "unknown-key", "detail": "spent"}, status=409)
        self.enrolled_with, self.sealing_public = keys, asked.sealing_public
        word = Enrolled(DEVICE, GATE, VENUE, DOMAIN, asked.signing_public, self.now_ms)
        return _envelopes([self.seal(word)])

    async def _poll(self, request: web.Request) -> web.Response:
        return _envelopes(self.answer(decode(Poll, unwrap(await request.read()).payload)))

    async def _batches(self, request: web.Request) -> web.Response:
        return _envelopes(self.take(await request.read()))

    async def _holdings(self, request: web.Request) -> web.Response:
        return _envelopes(self.holdings(await request.read()))

    async def _health(self, request: web.Request) -> web.Response:
        self.healths.append(decode(Health, unwrap(await request.read()).payload))
        return _envelopes([])

    async def _bundle(self, request: web.Request) -> web.Response:
        upload = decode(BundleUpload, await request.read())
        self.bundles.append((decode(Bundle, unwrap(upload.bundle).payload), upload.content))
        return _envelopes([])

    async def _snapshot(self, request: web.Request) -> web.StreamResponse:
        asked = decode(Fetch, unwrap(await request.read()).payload)
        version = asked.version if asked.first_chunk else 0
        head, found = self.snapshot(version)
        frames = [head, *found[asked.first_chunk :]]
        return web.Response(body=b"".join(len(frame).to_bytes(4) + frame for frame in frames))


def _envelopes(found: list[bytes]) -> web.Response:
    return web.Response(body=encode(found), content_type="application/msgpack")


@asynccontextmanager
async def serving(app: web.Application, ssl: Any = None) -> AsyncIterator[str]:
    """The URL of a real server on loopback."""
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=ssl)
    await site.start()
    try:
        port = runner.addresses[0][1]
        yield f"{'https' if ssl else 'http'}://127.0.0.1:{port}"
    finally:
        await runner.cleanup()
