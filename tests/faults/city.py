"""A city of one gate and forty cards, computed from nothing: what central would publish at any version, and the
agent's identity in it. Stands in for central where a test is about the agent's disk alone."""

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

from edge_agent import identity as identity_file
from edge_agent.identity import Identity
from edge_agent.journal.outbox import Run
from edge_agent.published.uptake import Uptake
from edge_agent.readers import CardRead
from protocol.allowlist import CardState, Entry, Grant, list_digest, total
from protocol.chunks import chunks
from protocol.envelope import Keyring, Signer, digest, domain_key_digest, new_sealing_key, seal_domain_key
from protocol.events import Batch, Receipt
from protocol.messages import Ages, Delta, GateConfig, Key, KeyStatement, Manifest, Part, PartName, Role, Snapshot
from protocol.policy import Admit, Policy
from protocol.token import token
from protocol.uid import CardUID
from protocol.wire import encode

DEVICE, GATE, VENUE, DOMAIN = "device-1", "library-1-door", "library-1", "libraries"
CARDS = 40
CHUNK_ROWS = 16
DAY_MS = 24 * 3_600_000


def secret(name: str) -> bytes:
    return hashlib.sha256(b"a test's key: " + name.encode()).digest()


ROOT, RECEIPT, PUBLISH, OWN = (Signer(secret(name)) for name in ("root", "receipt", "publish", "device"))
DOMAIN_KEY = secret("domain")
DEVICE_RING = Keyring.of(OWN.public)
RECEIPT_RING = Keyring.of(RECEIPT.public, Role.RECEIPT)


def enrol(directory: Path) -> None:
    """Make `directory` that of an enrolled agent which has fetched nothing yet."""
    private, public = new_sealing_key()
    url = "http://127.0.0.1:9"
    identity = Identity(url, ROOT.public, True, b"", OWN.private_bytes(), private, public, DEVICE, GATE, VENUE, DOMAIN)
    identity_file.save(directory, identity)


def uid(number: int) -> bytes:
    return bytes([0x04, number & 0xFF, number >> 8, 0x5A, 0x11, 0x22, 0x33])


def card(number: int) -> CardRead:
    """A read of card `number`; from `CARDS` on nobody knows it."""
    return CardRead("simulated", uid(number), b"", 0x08)


def is_blocked(number: int, version: int) -> bool:
    return (number * 7 + version) % 5 == 0


def rows(version: int) -> dict[bytes, bytes]:
    """The list at a version: every card is on it, a fifth of them blocked, another fifth each time."""
    tokens = (token(DOMAIN_KEY, CardUID(uid(number))) for number in range(CARDS))
    return dict(sorted(zip(tokens, entries(version), strict=True)))


def entries(version: int) -> list[bytes]:
    """What the list says of each card, in the order of their numbers."""
    found = []
    for number in range(CARDS):
        state = CardState.BLOCKED if is_blocked(number, version) else CardState.ACTIVE
        subject = hashlib.sha256(b"subject %d" % number).digest()[:16]
        found.append(encode(Entry(subject, 1, state, (Grant("citizen"),))))
    return found


def publication(version: int, sealing_public: bytes, base: int = 0) -> tuple[bytes, ...]:
    """An answer to a poll: everything at `version`, with the delta from `base` when that is given."""
    config = GateConfig(version, GATE, "door")
    policy = Policy(version, (Admit("members", classes=("citizen",)),), repeat_window_s=0)
    listed = rows(version)
    sum_ = total(listed.items())
    parts = (
        Part(PartName.CONFIG, version, digest(encode(config))),
        Part(PartName.POLICY, version, digest(encode(policy))),
        Part(PartName.DOMAIN_KEY, 1, domain_key_digest(1, DOMAIN_KEY)),
        Part(PartName.ALLOWLIST, version, list_digest(DOMAIN, 1, CARDS, sum_)),
    )
    now_ms = time.time_ns() // 1_000_000
    ages = Ages(DAY_MS, 7 * DAY_MS, 30 * DAY_MS)
    manifest = Manifest(DEVICE, version, now_ms, now_ms + DAY_MS, DOMAIN, VENUE, GATE, parts, ages, 1, 1)
    statement = KeyStatement(1, 1, (Key(RECEIPT.public, (Role.RECEIPT,)), Key(PUBLISH.public, (Role.PUBLISH,))))
    sealed = seal_domain_key(DOMAIN_KEY, DEVICE, DOMAIN, 1, sealing_public)
    envelopes = [ROOT.seal(statement), *(PUBLISH.seal(message) for message in (manifest, sealed, config, policy))]
    if base:
        before = rows(base)
        put = tuple((key, entry) for key, entry in listed.items() if before.get(key) != entry)
        delta = Delta(DOMAIN, base, version, 1, chunks(put), (), CARDS, sum_.to_bytes(32))
        envelopes.append(PUBLISH.seal(delta))
    return tuple(envelopes)


def snapshot(version: int) -> tuple[bytes, list[bytes]]:
    """The whole list: the envelope of its head, and its chunks."""
    listed = list(rows(version).items())
    pieces = [encode(listed[at : at + CHUNK_ROWS]) for at in range(0, CARDS, CHUNK_ROWS)]
    sum_ = total(listed).to_bytes(32)
    head = Snapshot(DOMAIN, version, 1, CARDS, sum_, tuple(digest(piece) for piece in pieces))
    return PUBLISH.seal(head), pieces


def fetch_snapshot(uptake: Uptake, version: int) -> None:
    """What the download loop does with one."""
    head, pieces = snapshot(version)
    writer = uptake.begin_snapshot(head)
    for piece in pieces:
        writer.add(piece)
    uptake.finish_snapshot(writer)


def receipt(batch: Batch) -> bytes:
    """Central's signed word for a batch."""
    last = batch.first + len(batch.events) - 1
    return RECEIPT.seal(Receipt(batch.device, batch.epoch, batch.first, last, batch.head, time.time_ns() // 1_000_000))


def held_lines(run: Run) -> Sequence[str]:
    """What a test writes down of events that its central has taken into custody."""
    return [f"held {run.epoch.hex()} {n} {public.hex()}" for n, public in enumerate(run.publics, run.first)]
