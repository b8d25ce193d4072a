"""Binding a card by tapping it (SPEC §4.5, §5.1, §5.14, §7.9)."""

from typing import Any

from tests.vectors import reference as ref
from tests.vectors.journal import encoded
from tests.vectors.scenario import DEVICE, NOW, scenario, seed

PRIVATE, EPHEMERAL = seed("bind session"), seed("bind ephemeral")
SESSION = "c4" * 16
BIND: dict[str, Any] = {
    "device": DEVICE,
    "version": NOW,
    "session": SESSION,
    "until_ms": NOW + 120_000,
    "seal_public": ref.sealing_public_of(PRIVATE).hex(),
}
CARD: dict[str, Any] = {"uid": "2a83155e", "sak": 8, "atr": "3b8f8001804f0ca000000306030001000000006a"}
BARE: dict[str, Any] = {"uid": "04a1b2c3d4e5f6", "sak": -1, "atr": ""}


def sealed(plain: bytes, device: str = DEVICE, session: str = SESSION) -> bytes:
    info = b"\0".join([b"tapgate.bind.v1", device.encode(), bytes.fromhex(session)])
    return ref.hpke(plain, info, ref.sealing_public_of(PRIVATE), EPHEMERAL)


def takes(at_ms: int, clock: int, direction: str, used: str) -> bool:
    return not (direction == "out" or clock > 0 or used == SESSION or at_ms >= BIND["until_ms"])


def build() -> None:
    encoded("bind", "5.14", "A session is for one device, until its end.", "bind", BIND)
    encoded("tapped-card", "4.5", "A card as a reader told of it.", "tapped-card", CARD)
    encoded("tapped-card-without-more", "4.5", "What a reader does not tell is −1, or empty.", "tapped-card", BARE)
    detail = {"session": SESSION, "sealed": sealed(ref.message("tapped-card", CARD)).hex()}
    encoded("detail-bind", "5.1", "A card that was taken is named to nobody.", "bind-detail", detail)
    _opened()
    _not_decoded()
    _taken()


def _opened() -> None:
    whole = sealed(ref.message("tapped-card", CARD))
    bare = sealed(ref.message("tapped-card", BARE))
    flipped = whole[:-1] + bytes([whole[-1] ^ 1])
    card: dict[str, tuple[bytes, dict[str, Any], object, str | None, str]] = {
        "good": (whole, {}, CARD, None, "Central opens what the session's device sealed."),
        "without-more": (bare, {}, BARE, None, "Seven bytes, and nothing that a reader does not tell."),
        "other-device": (whole, {"device": "dev-0000"}, None, "bad-signature", "The device is bound in."),
        "other-session": (whole, {"session": "c5" * 16}, None, "bad-signature", "The session is bound in."),
        "other-key": (whole, {"private": seed("another")}, None, "bad-signature", "Each session has its own key."),
        "bit-flipped": (flipped, {}, None, "bad-signature", "Nothing altered."),
        "truncated": (whole[:31], {}, None, "bad-signature", "Less than an encapsulated key."),
        "empty": (b"", {}, None, "bad-signature", "Nothing is sealed in nothing."),
        "zero-point": (bytes(32) + whole[32:], {}, None, "bad-signature", "A point of small order."),
        "no-card": (sealed(b"card"), {}, None, "malformed", "What was sealed has to be a card."),
        "five-bytes": (
            sealed(ref.pack([bytes(5), 8, b""])),
            {},
            None,
            "malformed",
            "A UID has 4, 7 or 10 bytes, whoever sealed it.",
        ),
    }
    for name, (data, change, expect, failure, rule) in card.items():
        given = {
            "do": "open-card",
            "device": change.get("device", DEVICE),
            "seal_private": change.get("private", PRIVATE).hex(),
            "detail": {"session": change.get("session", SESSION), "sealed": data.hex()},
        }
        scenario(f"tapped-card-{name}", "4.5", rule, given, expect, failure)
    given = {"do": "seal-card", "session": {**BIND, "seal_public": "00" * 32}}
    rule = "What is sealed to a point of small order is open to all."
    scenario("tapped-card-for-a-point-of-small-order", "4.5", rule, given, failure="malformed")


def _not_decoded() -> None:
    for name, spec, message, data, rule in (
        ("sak-below-none", "4.5", "tapped-card", ref.pack([bytes(4), -2, b""]), "Below −1 there is no SAK."),
        ("sak-of-two-bytes", "4.5", "tapped-card", ref.pack([bytes(4), 256, b""]), "A SAK is one byte."),
        ("atr-too-long", "4.5", "tapped-card", ref.pack([bytes(4), 8, bytes(65)]), "64 bytes of ATR at most."),
        ("card-of-six-bytes", "4.5", "tapped-card", ref.pack([bytes(6), 8, b""]), "4, 7 or 10 bytes."),
        ("bind-short-session", "5.14", "bind", ref.message("bind", {**BIND, "session": "c4" * 15}), "16 bytes."),
        ("bind-short-key", "5.14", "bind", ref.message("bind", {**BIND, "seal_public": "00" * 31}), "32 bytes."),
        ("detail-bind-of-nothing", "5.1", "bind-detail", ref.pack([bytes(16)]), "A taken card stands in it."),
        ("detail-bind-too-long", "5.1", "bind-detail", ref.pack([bytes(16), bytes(513)]), "512 bytes at most."),
    ):
        given = {"do": "decode", "message": message, "bytes": data.hex()}
        scenario(f"decode-{name}", spec, rule, given, failure="malformed")


def _taken() -> None:
    until_ms = BIND["until_ms"]
    for name, at_ms, clock, direction, used, rule in (
        ("good", NOW, 0, "in", "", "The next card of an open session is taken."),
        ("after-another", NOW, 0, "in", "c3" * 16, "What an earlier session took does not count."),
        ("used", NOW, 0, "in", SESSION, "A session takes one card."),
        ("at-its-last-moment", until_ms - 1, 0, "in", "", "It is open until its end."),
        ("at-its-end", until_ms, 0, "in", "", "The end is excluded."),
        ("unconfirmed-clock", NOW, 1, "in", "", "Without a signed time the session may be long over."),
        ("clock-behind", NOW, 2, "in", "", "A clock that runs behind makes no session longer."),
        ("clock-ahead", NOW, 3, "in", "", "Nor does any other wrong clock."),
        ("way-out", NOW, 0, "out", "", "Nobody who leaves is held up."),
    ):
        given = {"do": "takes", "session": BIND, "at_ms": at_ms, "clock": clock, "direction": direction, "used": used}
        scenario(f"bind-takes-{name}", "7.9", rule, given, {"takes": takes(at_ms, clock, direction, used)})
