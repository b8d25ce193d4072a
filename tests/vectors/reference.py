"""A second, minimal implementation of the protocol, written from SPEC.md alone.

It shares no line with `protocol/`: the vectors are computed here, and the tests let the two contradict each
other. Slow and plain on purpose.
"""

import base64
import hashlib
import hmac
import struct
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

# --- MessagePack (§1.1) -----------------------------------------------------------------------------------


def pack(value: Any) -> bytes:
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return _pack_int(value)
    if isinstance(value, str):
        text = value.encode()
        return _header(len(text), (0xA0, 32), 0xD9, 0xDA, 0xDB) + text
    if isinstance(value, bytes):
        return _header(len(value), None, 0xC4, 0xC5, 0xC6) + value
    if isinstance(value, dict):
        body = b"".join(pack(key) + pack(item) for key, item in value.items())
        return _header(len(value), (0x80, 16), None, 0xDE, 0xDF) + body
    return _header(len(value), (0x90, 16), None, 0xDC, 0xDD) + b"".join(pack(item) for item in value)


def _pack_int(value: int) -> bytes:
    if 0 <= value < 128 or -32 <= value < 0:
        return struct.pack("b", value)
    if value > 0:
        for code, form, limit in ((0xCC, ">B", 1 << 8), (0xCD, ">H", 1 << 16), (0xCE, ">I", 1 << 32)):
            if value < limit:
                return bytes([code]) + struct.pack(form, value)
        return b"\xcf" + struct.pack(">Q", value)
    for code, form, limit in ((0xD0, ">b", 1 << 7), (0xD1, ">h", 1 << 15), (0xD2, ">i", 1 << 31)):
        if value >= -limit:
            return bytes([code]) + struct.pack(form, value)
    return b"\xd3" + struct.pack(">q", value)


def _header(length: int, short: tuple[int, int] | None, one: int | None, two: int, four: int) -> bytes:
    if short and length < short[1]:
        return bytes([short[0] | length])
    if one is not None and length < 1 << 8:
        return bytes([one, length])
    if length < 1 << 16:
        return bytes([two]) + struct.pack(">H", length)
    return bytes([four]) + struct.pack(">I", length)


# --- the arrays of §5, by field names; `:h` is hex, `:x` a struct, `*` a list of them ------------------------

FIELDS = {
    "held": "manifest allowlist policy config",
    "event": "sequence at_ms boot_id:h monotonic_ms clock gate kind direction decision reason rule repeat_of held:held"
    " personal_digest:h detail:h",
    "personal": "salt:h subject:h token:h key_number card fingerprint:h points due",
    "epoch": "device epoch:h previous_epoch:h previous_sequence previous_head:h at_ms why",
    "passage-detail": "sequence passage epoch:h",
    "reader-detail": "reader state why profile firmware",
    "admit-detail": "staff why sequence",
    "undo-detail": "sequence why",
    "closure-detail": "staff why from_ms until_ms",
    "input-detail": "input on inside",
    "config-detail": "part what version why",
    "bind-detail": "session:h sealed:h",
    "consent-detail": "purpose notice said",
    "store-detail": "what why epoch:h first through",
    "batch": "device epoch:h first previous_head:h events:h* head:h lost",
    "upload": "batch:h personal:h*",
    "exempt": "sequence custody reason",
    "receipt": "device epoch:h first through head:h at_ms fork exceptions:exempt*",
    "resume": "device epoch:h next head:h at_ms",
    "epoch-held": "epoch:h through",
    "inventory": "device epochs:epoch-held* nonce:h",
    "holdings": "device generation epochs:epoch-held* nonce:h at_ms",
    "revoked": "device at_ms reason",
    "key": "public:h roles from_ms until_ms",
    "keys": "number at_ms keys:key*",
    "join-token": "url secret:h root_public:h pinned",
    "hello": "key_statement:h nonce:h",
    "enrol": "secret:h signing_public:h sealing_public:h nonce:h version",
    "enrolled": "device gate venue domain signing_public:h at_ms",
    "pending": "device at_ms",
    "domain-key": "device domain number sealed:h",
    "part": "name version digest:h",
    "ages": "warn_ms restrict_ms close_ms",
    "manifest": "device number at_ms expires_ms domain venue gate parts:part* ages:ages generation keys_number",
    "fresh": "device number at_ms generation",
    "snapshot": "domain version key_number count sum:h chunks:h*",
    "delta": "domain base version key_number put:h* drop:h* count sum:h",
    "trouble": "part version why",
    "poll": "device nonce:h at_ms manifest keys_number parts:part* troubles:trouble* backlog wait_s version"
    " understands",
    "fetch": "device nonce:h at_ms version first_chunk",
    "grant": "name from_ms until_ms",
    "entry": "subject:h card state classes:grant* from_ms until_ms flags",
    "last-tap": "at_ms boot_id:h monotonic_ms sequence epoch:h direction decision reason rule",
    "mark": "at_ms venue gate direction rule points due epoch:h sequence",
    "subject-state": "subject:h marks:mark* reserved lapse_ms notes",
    "counted": "epoch:h through",
    "state": "device domain base version at_ms counted:counted* inside subjects:subject-state*",
    "bind": "device version session:h until_ms seal_public:h",
    "tapped-card": "uid:h sak atr:h",
    "reader-health": "name kind state model profile firmware",
    "health": "device at_ms version clock machine_s agent_s disk_free_bytes disk_bytes memory_free_bytes memory_bytes"
    " readers:reader-health* certificate_until_ms",
    "ask": "device version ask:h what until_ms",
    "bundle": "device ask:h at_ms size digest:h why",
    "bundle-upload": "bundle:h content:h",
    "went": "what number",
    "remains": "where until_ms",
    "erasure": "id:h at_ms salt:h person:h went:went* remains:remains*",
    "forget": "device version at_ms subjects:h*",
    "six-items": "collector purpose categories use rights refusal",
    "consent-notice": "purpose version gives title_zh title_en zh:six-items en:six-items",
    "consents": "version notices:consent-notice*",
    "masked-name": "subject:h name",
    "names": "domain version names:masked-name*",
    "proof": "type sequence public:h personal:h batch:h receipt:h enrolled:h revoked:h keys:h root_public:h",
}
MAPS = ("policy", "config", "profiles")
BYTES_IN_MAPS = ("salt", "verifier")
ENVELOPED = (
    *(
        "batch",
        "epoch",
        "receipt",
        "resume",
        "inventory",
        "holdings",
        "enrol",
        "enrolled",
        "pending",
        "revoked",
        "poll",
    ),
    *(
        "manifest",
        "fresh",
        "fetch",
        "snapshot",
        "delta",
        "keys",
        "domain-key",
        "policy",
        "config",
        "profiles",
        "names",
        "bind",
        "consents",
        "state",
        "health",
        "ask",
        "bundle",
        "erasure",
        "forget",
    ),
)


def type_string(name: str) -> str:
    return f"tapgate.{name}.v1"


def message(name: str, fields: dict[str, Any]) -> bytes:
    """The payload bytes of a message that is given by field names, bytes as hex."""
    return pack(_map(fields) if name in MAPS else _array(name, fields))


def _map(value: Any) -> Any:
    if isinstance(value, list):
        return [_map(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: bytes.fromhex(item) if key in BYTES_IN_MAPS and isinstance(item, str) else _map(item)
        for key, item in value.items()
    }


def _array(name: str, fields: dict[str, Any]) -> list[Any]:
    specs = [spec.partition(":")[::2] for spec in FIELDS[name].split()]
    if set(fields) != {field for field, _ in specs}:
        raise ValueError(f"{name}: {set(fields) ^ {field for field, _ in specs}}")
    return [_value(form, fields[field]) for field, form in specs]


def _value(form: str, value: Any) -> Any:
    if form.endswith("*"):
        return [_value(form[:-1], item) for item in value]
    if form == "h":
        return bytes.fromhex(value)
    return _array(form, value) if form else value


# --- UIDs and tokens (§2, §3) -------------------------------------------------------------------------------

WIDTHS = {4: 10, 7: 17, 10: 25}


class No(Exception):
    """A refusal: its text is the failure's kind."""


def parse_uid(text: str, notation: str) -> bytes:
    for dropped in " :-":
        text = text.replace(dropped, "")
    raw = _from_hex(text) if notation.startswith("hex") else _from_decimal(text)
    return bytes(reversed(raw)) if "reversed" in notation else raw


def _from_hex(text: str) -> bytes:
    if text.lower().startswith("0x"):
        text = text[2:]
    if not text or any(digit not in "0123456789abcdef" for digit in text.lower()):
        raise No("not-a-number")
    if len(text) in (7, 13, 19):
        text = "0" + text
    if len(text) not in (8, 14, 20):
        raise No("wrong-length")
    return bytes.fromhex(text)


def _from_decimal(text: str) -> bytes:
    if not text or any(digit not in "0123456789" for digit in text):
        raise No("not-a-number")
    if len(text) > 25 or int(text) >= 1 << 80:
        raise No("wrong-length")
    fitting = [length for length in WIDTHS if int(text) < 1 << 8 * length]
    told = [length for length in fitting if WIDTHS[length] == len(text)]
    return int(text).to_bytes((told or fitting)[0], "big")


def write_uid(raw: bytes) -> dict[str, str]:
    other = bytes(reversed(raw))
    return {
        "hex": raw.hex().upper(),
        "hex-reversed": other.hex().upper(),
        "decimal": f"{int.from_bytes(raw, 'big'):0{WIDTHS[len(raw)]}d}",
        "decimal-reversed": f"{int.from_bytes(other, 'big'):0{WIDTHS[len(raw)]}d}",
    }


def judge_uid(raw: bytes, sak: int | None) -> str | None:
    if len(raw) not in WIDTHS:
        return "uid-unreadable"
    if sak is not None and sak & 4:
        return "uid-incomplete"
    if len(raw) == 4 and raw[0] == 8:
        return "uid-random"
    return "uid-placeholder" if raw.hex() in ("01020304", "04030201", "00000000", "ffffffff") else None


def token(domain_key: bytes, raw: bytes) -> bytes:
    said = b"tapgate-token-v1\0" + bytes([len(raw)]) + raw
    return hmac.new(domain_key, said, hashlib.sha256).digest()[:16]


def fingerprint(token_: bytes, sak: int | None, atr: bytes) -> bytes:
    return sha256(b"tapgate-fingerprint-v1\0", token_, bytes([255 if sak is None else sak]), atr)[:16]


# --- PINs (§3) ----------------------------------------------------------------------------------------------------


def slow_pin(pin: str, salt: bytes) -> bytes:
    if len(pin) not in range(6, 13) or any(digit not in "0123456789" for digit in pin):
        raise No("malformed")
    return Scrypt(salt, length=32, n=16_384, r=8, p=1).derive(pin.encode())


def pin_verifier(domain_key: bytes, staff: str, slow: bytes) -> bytes:
    said = b"\0".join([b"tapgate-pin-v1", staff.encode(), slow])
    return hmac.new(domain_key, said, hashlib.sha256).digest()


# --- hashes, chain, lists (§4.4, §6, §7.3) --------------------------------------------------------------------


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def number8(value: int) -> bytes:
    return struct.pack(">Q", value)


def genesis(device: str, epoch: bytes) -> bytes:
    return sha256(b"tapgate-epoch-v1\0", device.encode(), b"\0", epoch)


def heads(head: bytes, events: list[bytes]) -> list[bytes]:
    found = []
    for event in events:
        head = sha256(b"tapgate-event-v1\0", head, event)
        found.append(head)
    return found


def row_digest(token_: bytes, entry: bytes) -> bytes:
    return sha256(b"tapgate-entry-v1\0", token_, entry)


def list_sum(rows: list[tuple[bytes, bytes]]) -> bytes:
    numbers = (int.from_bytes(row_digest(*row), "big") for row in rows)
    return (sum(numbers) % (1 << 256)).to_bytes(32, "big")


def list_digest(domain: str, key_number: int, count: int, sum_: bytes) -> bytes:
    return sha256(b"tapgate-allowlist-v1\0", domain.encode(), b"\0", number8(key_number), number8(count), sum_)


def domain_key_digest(number: int, key: bytes) -> bytes:
    return sha256(b"tapgate-domain-key-v1\0", number8(number), key)


# --- envelopes (§4) -------------------------------------------------------------------------------------------


def public_of(seed: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def sealing_public_of(private: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def signature(seed: bytes, type_: str, payload: bytes) -> bytes:
    said = f"DSSEv1 {len(type_)} {type_} {len(payload)} ".encode() + payload
    return Ed25519PrivateKey.from_private_bytes(seed).sign(said)


def envelope(seed: bytes, type_: str, payload: bytes) -> bytes:
    return pack([type_, payload, sha256(public_of(seed))[:8], signature(seed, type_, payload)])


# --- HPKE base mode (RFC 9180), with the ephemeral key given so that the answer is fixed -----------------------

_KEM, _HPKE = b"KEM\x00\x20", b"HPKE\x00\x20\x00\x01\x00\x03"


def _extract(suite: bytes, salt: bytes, label: bytes, value: bytes) -> bytes:
    return hmac.new(salt or bytes(32), b"HPKE-v1" + suite + label + value, hashlib.sha256).digest()


def _expand(suite: bytes, secret: bytes, label: bytes, info: bytes, length: int) -> bytes:
    said = struct.pack(">H", length) + b"HPKE-v1" + suite + label + info
    return hmac.new(secret, said + b"\x01", hashlib.sha256).digest()[:length]


def seal_domain_key(key: bytes, device: str, domain: str, number: int, public: bytes, ephemeral: bytes) -> bytes:
    info = b"\0".join([b"tapgate.domain-key.v1", device.encode(), domain.encode(), str(number).encode()])
    return hpke(key, info, public, ephemeral)


def hpke(plain: bytes, info: bytes, public: bytes, ephemeral: bytes) -> bytes:
    own = X25519PrivateKey.from_private_bytes(ephemeral)
    shared = own.exchange(X25519PublicKey.from_public_bytes(public))
    encapsulated = own.public_key().public_bytes_raw()
    secret = _extract(_KEM, b"", b"eae_prk", shared)
    secret = _expand(_KEM, secret, b"shared_secret", encapsulated + public, 32)
    context = b"\x00" + _extract(_HPKE, b"", b"psk_id_hash", b"") + _extract(_HPKE, b"", b"info_hash", info)
    schedule = _extract(_HPKE, secret, b"secret", b"")
    aead_key, nonce = (_expand(_HPKE, schedule, label, context, n) for label, n in ((b"key", 32), (b"base_nonce", 12)))
    return encapsulated + ChaCha20Poly1305(aead_key).encrypt(nonce, plain, b"")


# --- joining (§5.7, §10) ----------------------------------------------------------------------------------------


def words(root_public: bytes, signing_public: bytes, sealing_public: bytes, secret: bytes) -> str:
    bits = "".join(
        f"{byte:08b}" for byte in sha256(b"tapgate-words-v1\0", root_public, signing_public, sealing_public, secret)[:6]
    )
    spoken = ""
    for at in range(0, 48, 16):
        word, place = bits[at : at + 16], 0
        for width, letters in ((4, "bdfghjklmnprstvz"), (2, "aiou")) * 2 + ((4, "bdfghjklmnprstvz"),):
            spoken += letters[int(word[place : place + width], 2)]
            place += width
        spoken += "-"
    return spoken[:-1]


def join_text(payload: bytes) -> str:
    return "tapgate1:" + base64.urlsafe_b64encode(payload).decode().replace("=", "")


# --- time (§7.4, §8.3) --------------------------------------------------------------------------------------------


def clock(wall_ms: int, monotonic_ms: int, signed_ms: int, received_ms: int | None) -> tuple[int, int]:
    """(the clock's number, the time estimate)"""
    if received_ms is None:
        return (2 if signed_ms - wall_ms > 120_000 else 1), max(wall_ms, signed_ms)
    counted_ms = signed_ms + monotonic_ms - received_ms
    if wall_ms < counted_ms - 120_000:
        return 2, counted_ms
    return (3 if wall_ms > counted_ms + 120_000 else 0), counted_ms


def staleness(ages: dict[str, int], age_ms: int) -> str:
    reached = [name for name in ("warn", "restrict", "close") if age_ms >= ages[f"{name}_ms"]]
    return reached[-1] if reached else "fresh"
