"""Envelopes, keys, sealing, joining (SPEC §4, §5.7, §10)."""

from typing import Any

from tests.vectors import reference as ref
from tests.vectors.journal import EPOCH_START, batch, encoded, receipt
from tests.vectors.scenario import DEVICE, DOMAIN, DOMAIN_KEY, NONCE, NOW, scenario, seed

TYPE = "tapgate.receipt.v1"
RECEIPT_KEY, PUBLISH_KEY, ROOT = seed("receipt"), seed("publish"), seed("root")
RING = [
    {"public": ref.public_of(RECEIPT_KEY).hex(), "roles": ["receipt"]},
    {"public": ref.public_of(PUBLISH_KEY).hex(), "roles": ["publish"]},
]


def opened(
    name: str, rule: str, data: bytes, expect: object = None, failure: str | None = None, **changes: Any
) -> None:
    given = {"do": "open", "message": "receipt", "role": "receipt", "keys": RING, "envelope": data.hex(), **changes}
    scenario(f"envelope-{name}", "4.1", rule, given, expect, failure)


def build() -> None:
    payload = ref.message("receipt", receipt())
    good = ref.envelope(RECEIPT_KEY, TYPE, payload)
    key_id, signature = ref.sha256(ref.public_of(RECEIPT_KEY))[:8], ref.signature(RECEIPT_KEY, TYPE, payload)
    opened("good", "A signed message of the right type, key and role opens.", good, {"payload": payload.hex()})
    flipped = payload[:-1] + bytes([payload[-1] ^ 1])
    forged = ref.pack([TYPE, flipped, key_id, signature])
    opened("payload-bit-flipped", "One bit of the payload breaks the signature.", forged, failure="bad-signature")
    forged = ref.pack([TYPE, payload, key_id, bytes([signature[0] ^ 1]) + signature[1:]])
    opened("signature-bit-flipped", "One bit of the signature breaks it.", forged, failure="bad-signature")
    forged = ref.pack(["tapgate.recehpt.v1", payload, key_id, signature])
    opened("type-bit-flipped", "Another type is refused before any key is tried.", forged, failure="wrong-type")
    forged = ref.pack([TYPE, payload, key_id, ref.signature(RECEIPT_KEY, "tapgate.resume.v1", payload)])
    opened("signed-as-another-type", "The signature covers the type.", forged, failure="bad-signature")
    other = ref.envelope(RECEIPT_KEY, "tapgate.resume.v1", payload)
    opened("wrong-type", "A message signed as one thing never opens as another.", other, failure="wrong-type")
    other = ref.envelope(seed("stranger"), TYPE, payload)
    opened("unknown-key", "A key that is not known opens nothing.", other, failure="unknown-key")
    other = ref.envelope(PUBLISH_KEY, TYPE, payload)
    opened("wrong-role", "A key that publishes may not receipt.", other, failure="wrong-role")
    forged = ref.pack([TYPE, flipped, ref.sha256(ref.public_of(PUBLISH_KEY))[:8], signature])
    opened("wrong-role-before-signature", "The role is checked before the signature.", forged, failure="wrong-role")
    forged = ref.pack([TYPE, payload, ref.sha256(ref.public_of(PUBLISH_KEY))[:8], signature])
    opened("other-keys-id", "The key id names who must have signed.", forged, failure="bad-signature", role="publish")
    device_ring = [{"public": ref.public_of(seed("device")).hex(), "roles": []}]
    signed = ref.envelope(seed("device"), "tapgate.batch.v1", ref.message("batch", batch()))
    opened(
        "by-a-device",
        "A device's own key needs no role.",
        signed,
        {"payload": ref.message("batch", batch()).hex()},
        message="batch",
        role=None,
        keys=device_ring,
    )
    opened("trailing-bytes", "Nothing may follow an envelope.", good + b"\x00", failure="malformed")
    opened("truncated", "An envelope must be whole.", good[:-1], failure="malformed")
    opened("empty", "No bytes are no envelope.", b"", failure="malformed")
    opened("five-fields", "Four fields.", ref.pack([TYPE, payload, key_id, signature, 0]), failure="malformed")
    opened("short-key-id", "Eight bytes.", ref.pack([TYPE, payload, key_id[:7], signature]), failure="malformed")
    opened("short-signature", "64 bytes.", ref.pack([TYPE, payload, key_id, signature[:63]]), failure="malformed")
    opened("payload-as-text", "Bytes.", ref.pack([TYPE, "payload", key_id, signature]), failure="malformed")
    bad = ref.envelope(RECEIPT_KEY, TYPE, payload + b"\x00")
    opened("signed-but-malformed", "A valid signature excuses no malformed payload.", bad, failure="malformed")
    given = {
        "do": "open",
        "message": "batch",
        "role": None,
        "keys": device_ring,
        "sealed": {"private": seed("device").hex(), "type": "tapgate.batch.v1", "zero_bytes": 262_145},
    }
    rule = "A valid signature excuses no oversized payload."
    scenario("envelope-signed-but-oversized", "1.3", rule, given, failure="oversized")
    given = {"do": "open", "message": "receipt", "role": "receipt", "keys": RING, "zero_bytes": 8_388_865}
    scenario("envelope-oversized", "1.3", "Size is judged before anything else.", given, failure="oversized")
    _statements(good, payload)
    _sealing()
    _joining()
    epoch = ref.message("epoch", EPOCH_START)
    signed = ref.envelope(seed("device"), "tapgate.epoch.v1", epoch)
    given = {"do": "open", "message": "epoch", "role": None, "keys": device_ring, "envelope": signed.hex()}
    rule = "An epoch statement is signed by the device itself."
    scenario("envelope-epoch-statement", "6.2", rule, given, {"payload": epoch.hex()})


def _statement(*keys: tuple[bytes, list[str], int, int]) -> dict[str, Any]:
    rows = [{"public": p.hex(), "roles": r, "from_ms": a, "until_ms": b} for p, r, a, b in keys]
    return {"number": 7, "at_ms": NOW, "keys": rows}


def _statements(good: bytes, payload: bytes) -> None:
    public, digest = ref.public_of(RECEIPT_KEY), ref.sha256(b"certificate")
    whole = _statement(
        (public, ["receipt"], NOW, NOW + 1_000),
        (ref.public_of(PUBLISH_KEY), ["publish"], 0, 0),
        (digest, ["serve"], 0, 0),
    )
    encoded("keys", "4.2", "The root states which keys speak for central.", "keys", whole)
    again = _statement((public, ["publish"], 0, 0), (public, ["receipt"], 0, 0))
    late = _statement((public, ["publish"], 0, 0), (public, ["receipt"], 0, NOW))
    cases: dict[str, tuple[dict[str, Any], int, str | None, str]] = {
        "at-its-first-moment": (whole, NOW, None, "A key is in force from its first moment."),
        "before-its-time": (whole, NOW - 1, "key-out-of-date", "A key is not in force before its time."),
        "at-its-last-moment": (whole, NOW + 999, None, "A key is in force until its end."),
        "at-its-end": (whole, NOW + 1_000, "key-out-of-date", "The end is excluded."),
        "without-end": (_statement((public, ["receipt"], 0, 0)), 10**13, None, "0 is no end."),
        "role-missing": (_statement((public, ["publish"], 0, 0)), NOW, "wrong-role", "The statement gives the roles."),
        "not-named": (_statement((digest, ["serve"], 0, 0)), NOW, "unknown-key", "A key not named is not known."),
        "named-twice": (again, NOW, None, "Roles of entries in force add up."),
        "named-twice-one-ended": (late, NOW, "wrong-role", "An entry that has ended adds no role."),
        "serving-key": (_statement((public, ["serve"], 0, 0)), NOW, "unknown-key", "What serves signs nothing."),
    }
    for name, (statement, now_ms, failure, rule) in cases.items():
        given = {
            "do": "open-by-statement",
            "statement": statement,
            "signed_now_ms": now_ms,
            "message": "receipt",
            "role": "receipt",
            "envelope": good.hex(),
        }
        scenario(f"statement-{name}", "4.2", rule, given, {"payload": payload.hex()}, failure)
    mixed = ref.message("keys", _statement((public, ["serve", "receipt"], 0, 0)))
    given = {"do": "decode", "message": "keys", "bytes": mixed.hex()}
    scenario("statement-serve-with-another-role", "4.2", "Serve stands alone.", given, failure="malformed")
    for name, held, failure, rule in (
        ("newer", 6, None, "A higher number replaces what is held."),
        ("same", 7, None, "The same number changes nothing."),
        ("older", 8, "not-newer", "A key statement never goes back."),
    ):
        given = {"do": "accept-keys", "held": held, "offered": whole}
        scenario(f"statement-floor-{name}", "4.2", rule, given, {"accepted": True}, failure)


def _sealing() -> None:
    private, ephemeral = seed("sealing"), seed("ephemeral")
    public = ref.sealing_public_of(private)
    sealed = ref.seal_domain_key(DOMAIN_KEY, DEVICE, DOMAIN, 3, public, ephemeral)
    fields = {"device": DEVICE, "domain": DOMAIN, "number": 3, "sealed": sealed.hex()}
    encoded("domain-key", "4.4", "A domain's key travels sealed.", "domain-key", fields)
    short = ref.seal_domain_key(DOMAIN_KEY[:16], DEVICE, DOMAIN, 3, public, ephemeral)
    expect = {"key": DOMAIN_KEY.hex(), "digest": ref.domain_key_digest(3, DOMAIN_KEY).hex()}
    for name, change, failure, rule in (
        ("good", {}, None, "HPKE base mode opens to the device's sealing key."),
        ("other-device", {"device": "dev-0000"}, "bad-signature", "The device is bound in."),
        ("other-domain", {"domain": "pool"}, "bad-signature", "The domain is bound in."),
        ("other-number", {"number": 4}, "bad-signature", "The number is bound in."),
        ("bit-flipped", {"sealed": (sealed[:-1] + bytes([sealed[-1] ^ 1])).hex()}, "bad-signature", "Nothing altered."),
        ("truncated", {"sealed": sealed[:31].hex()}, "bad-signature", "Less than an encapsulated key."),
        ("empty", {"sealed": ""}, "bad-signature", "Nothing is sealed in nothing."),
        ("zero-point", {"sealed": (bytes(32) + sealed[32:]).hex()}, "bad-signature", "A point of small order."),
        ("short-key", {"sealed": short.hex()}, "wrong-length", "A domain key has 32 bytes."),
    ):
        given = {"do": "open-domain-key", "sealing_private": private.hex(), "domain_key": {**fields, **change}}
        scenario(f"domain-key-{name}", "4.4", rule, given, expect, failure)
    given = {"do": "open-domain-key", "sealing_private": seed("another").hex(), "domain_key": fields}
    scenario("domain-key-sealed-to-another", "4.4", "Only this device opens it.", given, failure="bad-signature")
    given = {"do": "seal-domain-key", "sealing_public": "00" * 32}
    scenario("domain-key-for-a-point-of-small-order", "4.4", "It would be open to all.", given, failure="malformed")


def _joining() -> None:
    root, signing, sealing = ref.public_of(ROOT), ref.public_of(seed("device")), ref.sealing_public_of(seed("sealing"))
    secret = bytes.fromhex("5e" * 16)
    enrol = {
        "secret": secret.hex(),
        "signing_public": signing.hex(),
        "sealing_public": sealing.hex(),
        "nonce": NONCE,
        "version": "0.1.0",
    }
    encoded("enrol", "5.7", "A device brings its own keys.", "enrol", enrol)
    enrolled = {"device": DEVICE, "gate": "library-1-door", "venue": "library-1", "domain": DOMAIN, "at_ms": NOW}
    encoded("enrolled", "5.7", "Named once.", "enrolled", {**enrolled, "signing_public": signing.hex()})
    encoded("pending", "5.7", "Waiting for an operator.", "pending", {"device": DEVICE, "at_ms": NOW})
    encoded("hello", "5.7", "Hello is bare.", "hello", {"key_statement": "00" * 40, "nonce": NONCE})
    for name, changed in (("good", secret), ("other-secret", bytes(16))):
        given = {
            "do": "words",
            "root_public": root.hex(),
            "signing_public": signing.hex(),
            "sealing_public": sealing.hex(),
            "secret": changed.hex(),
        }
        expect = {"words": ref.words(root, signing, sealing, changed)}
        scenario(f"words-{name}", "10", "Three words stand for both keys, root and secret.", given, expect)
    fields = {"url": "https://cards.example.tw", "secret": secret.hex(), "root_public": root.hex(), "pinned": True}
    encoded("join-token", "5.7", "What a join token binds together.", "join-token", fields)
    text = ref.join_text(ref.message("join-token", fields))
    given = {"do": "write-join-token", "fields": fields}
    scenario("join-token-written", "5.7", "tapgate1: and base64url without padding.", given, {"text": text})
    for name, said, failure, rule in (
        ("good", text, None, "The text names central, secret, root and pinning."),
        ("broken-across-lines", f" {text[:30]}\n  {text[30:]}\n", None, "White space is dropped."),
        ("another-scheme", text.replace("tapgate1", "tapgate2"), "wrong-type", "Another scheme is refused."),
        ("plain-base64", text[:40] + "+/" + text[42:], "malformed", "The alphabet is that of base64url."),
        ("padded", text + "=", "malformed", "No padding."),
        ("truncated", text[:-4], "malformed", "A token that lost its end."),
        ("nothing", "tapgate1:", "malformed", "A token that lost everything."),
        ("a-book", "tapgate1:" + "A" * 5_000, "oversized", "A text of another size is refused unread."),
    ):
        given = {"do": "read-join-token", "text": said}
        scenario(f"join-token-{name}", "5.7", rule, given, {"bytes": ref.message("join-token", fields).hex()}, failure)
