"""What a device tells of itself, and what central asks it for (SPEC §5.15, §5.16, §7.11)."""

from typing import Any

from tests.vectors import reference as ref
from tests.vectors.journal import encoded
from tests.vectors.scenario import DEVICE, NOW, scenario, seed

READER: dict[str, Any] = {
    "name": "front",
    "kind": "pcsc",
    "state": "ready",
    "model": "ACS ACR1252 Dual Reader PICC",
    "profile": "acr1252u",
    "firmware": "ACR1252U_V106.0",
}
HEALTH: dict[str, Any] = {
    "device": DEVICE,
    "at_ms": NOW,
    "version": "0.1.0",
    "clock": 0,
    "machine_s": 864_000,
    "agent_s": 3_600,
    "disk_free_bytes": 21_474_836_480,
    "disk_bytes": 31_914_983_424,
    "memory_free_bytes": 524_288_000,
    "memory_bytes": 968_884_224,
    "readers": [READER, {**READER, "name": "back", "state": "absent", "model": "", "profile": "", "firmware": ""}],
    "certificate_until_ms": NOW + 90 * 86_400_000,
}
ASK: dict[str, Any] = {
    "device": DEVICE,
    "version": NOW,
    "ask": "a5" * 16,
    "what": "bundle",
    "until_ms": NOW + 86_400_000,
}
CONTENT = b"a support bundle"
BUNDLE: dict[str, Any] = {
    "device": DEVICE,
    "ask": ASK["ask"],
    "at_ms": NOW + 2_000,
    "size": len(CONTENT),
    "digest": ref.sha256(CONTENT).hex(),
    "why": "",
}


def build() -> None:
    encoded("health", "5.15", "A device says how it is.", "health", HEALTH)
    unknown = {"disk_free_bytes": 0, "disk_bytes": 0, "memory_free_bytes": 0, "memory_bytes": 0}
    bare = {**HEALTH, **unknown, "readers": [], "certificate_until_ms": 0}
    encoded("health-of-little", "5.15", "What is not known is 0.", "health", bare)
    encoded("ask", "5.16", "Central asks one device for a bundle.", "ask", ASK)
    encoded("bundle", "5.16", "A bundle is bound by its digest.", "bundle", BUNDLE)
    nothing = {**BUNDLE, "size": 0, "digest": ref.sha256(b"").hex(), "why": "the disk cannot be read"}
    encoded("bundle-not-made", "5.16", "Why there is none is said.", "bundle", nothing)
    sealed = ref.envelope(seed("device"), "tapgate.bundle.v1", ref.message("bundle", BUNDLE))
    upload = {"bundle": sealed.hex(), "content": CONTENT.hex()}
    encoded("bundle-upload", "5.16", "The content stands beside what binds it.", "bundle-upload", upload)
    _not_decoded()
    _accepted()


def _not_decoded() -> None:
    readers = [READER] * 65
    for name, spec, message, data, rule in (
        ("health-65-readers", "5.15", "health", ref.message("health", {**HEALTH, "readers": readers}), "64 at most."),
        ("health-clock-of-its-own", "5.15", "health", ref.message("health", {**HEALTH, "clock": 4}), "§8.3 has four."),
        ("health-below-nothing", "5.15", "health", ref.message("health", {**HEALTH, "disk_bytes": -1}), "Unsigned."),
        ("ask-short", "5.16", "ask", ref.message("ask", {**ASK, "ask": "a5" * 15}), "16 bytes."),
        ("ask-for-nothing", "5.16", "ask", ref.message("ask", {**ASK, "what": ""}), "Something is asked for."),
        ("bundle-too-large", "5.16", "bundle", ref.message("bundle", {**BUNDLE, "size": 1_048_577}), "1 MiB at most."),
        ("bundle-short-digest", "5.16", "bundle", ref.message("bundle", {**BUNDLE, "digest": "00" * 31}), "32 bytes."),
    ):
        given = {"do": "decode", "message": message, "bytes": data.hex()}
        scenario(f"decode-{name}", spec, rule, given, failure="malformed")
    given = {"do": "decode", "message": "health", "zero_bytes": 65_537}
    scenario("decode-health-above-its-limit", "1.3", "64 KiB at most.", given, failure="oversized")
    given = {"do": "decode", "message": "bundle-upload", "zero_bytes": 1_052_673}
    scenario("decode-bundle-upload-above-its-limit", "1.3", "1 MiB and its framing.", given, failure="oversized")


def _accepted() -> None:
    def offered(name: str, rule: str, failure: str | None, held: int = 0, signed_ms: int = NOW, **changes: Any) -> None:
        given = {
            "do": "accept-ask",
            "device": DEVICE,
            "held": held,
            "signed_now_ms": signed_ms,
            "offered": {**ASK, **changes},
        }
        scenario(f"ask-{name}", "7.11", rule, given, None if failure else {"accepted": True}, failure)

    offered("good", "An open ask is taken up.", None)
    offered("again", "The same ask may come again.", None, held=NOW)
    offered("older", "An ask that was overtaken is over.", "not-newer", held=NOW + 1)
    offered("other-device", "A device answers what it is asked.", "other-device", device="dev-0000")
    offered("at-its-last-moment", "It is open until its end.", None, signed_ms=ASK["until_ms"] - 1)
    offered("at-its-end", "The end is excluded.", "expired", signed_ms=ASK["until_ms"])
    offered("of-a-later-version", "What a device does not have, it says so.", "not-satisfiable", what="reboot")
