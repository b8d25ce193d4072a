"""The receipt of a person who was erased, and whom a device forgets (SPEC §5.17, §5.18)."""

from typing import Any

from tests.vectors import reference as ref
from tests.vectors.journal import encoded
from tests.vectors.scenario import DEVICE, NOW, scenario, seed

SALT = "5a" * 16
ERASURE: dict[str, Any] = {
    "id": "e1" * 16,
    "at_ms": NOW,
    "salt": SALT,
    "person": ref.sha256(b"tapgate-erased-v1\0" + bytes.fromhex(SALT) + b"A-1024").hex(),
    "went": [{"what": "events", "number": 42}, {"what": "cards", "number": 2}],
    "remains": [{"where": "gates", "until_ms": NOW + 30 * 86_400_000}],
}

FORGET: dict[str, Any] = {"device": DEVICE, "version": NOW, "at_ms": NOW, "subjects": ["5b" * 16, "c5" * 16]}


def build() -> None:
    encoded("forget", "5.18", "Of these a device keeps nothing.", "forget", FORGET)
    short_subject = ref.message("forget", {**FORGET, "subjects": ["5b" * 15]})
    asked = {"do": "decode", "message": "forget", "bytes": short_subject.hex()}
    scenario("decode-forget-short-subject", "5.18", "16 bytes.", asked, failure="malformed")
    many = ref.message("forget", {**FORGET, "subjects": ["5b" * 16] * 5_001})
    asked = {"do": "decode", "message": "forget", "bytes": many.hex()}
    scenario("decode-forget-too-many", "5.18", "5,000 at most.", asked, failure="malformed")
    encoded("erasure", "5.17", "What went, and what may still be where until when, is said.", "erasure", ERASURE)
    nothing = {**ERASURE, "went": [], "remains": []}
    encoded("erasure-of-nothing", "5.17", "Of who was hardly known little went.", "erasure", nothing)
    sealed = ref.envelope(seed("central receipt"), "tapgate.erasure.v1", ref.message("erasure", ERASURE))
    given = {
        "do": "open",
        "envelope": sealed.hex(),
        "message": "erasure",
        "role": "publish",
        "keys": [{"public": ref.public_of(seed("central receipt")).hex(), "roles": ["receipt"]}],
    }
    scenario("envelope-erasure-for-another-role", "5.17", "A receipt key signs it.", given, failure="wrong-role")
    short = ref.message("erasure", {**ERASURE, "person": "00" * 31})
    decode = {"do": "decode", "message": "erasure", "bytes": short.hex()}
    scenario("decode-erasure-short-person", "5.17", "32 bytes.", decode, failure="malformed")
