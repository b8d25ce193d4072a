"""Proofs of one event (SPEC §11)."""

from typing import Any

from tests.vectors import reference as ref
from tests.vectors.journal import EVENT, PERSONAL, batch, encoded, events, receipt
from tests.vectors.scenario import DEVICE, DOMAIN, NOW, scenario, seed
from tests.vectors.signing import PUBLISH_KEY, RECEIPT_KEY, ROOT

STEPS = ("form", "root", "keys", "device", "batch", "chain", "event", "personal", "receipt", "custody")
TYPE = "tapgate.proof.v1"


def _signed(key: bytes, name: str, fields: dict[str, Any]) -> str:
    return ref.envelope(key, ref.type_string(name), ref.message(name, fields)).hex()


def _statement(until_ms: int = 0) -> dict[str, Any]:
    rows = [
        {"public": ref.public_of(RECEIPT_KEY).hex(), "roles": ["receipt"], "from_ms": 0, "until_ms": until_ms},
        {"public": ref.public_of(PUBLISH_KEY).hex(), "roles": ["publish"], "from_ms": 0, "until_ms": 0},
    ]
    return {"number": 7, "at_ms": NOW, "keys": rows}


def _enrolled(key: bytes) -> dict[str, Any]:
    public = ref.public_of(key).hex()
    place = {"gate": "library-1-door", "venue": "library-1", "domain": DOMAIN}
    return {"device": DEVICE, **place, "signing_public": public, "at_ms": NOW - 1_000}


def proof(**changes: Any) -> dict[str, Any]:
    """Of the tap, event 1 of the small journal."""
    whole = {
        "type": TYPE,
        "sequence": 1,
        "public": events()[1].hex(),
        "personal": "",
        "batch": _signed(seed("device"), "batch", batch()),
        "receipt": _signed(RECEIPT_KEY, "receipt", {**receipt(), "exceptions": []}),
        "enrolled": _signed(PUBLISH_KEY, "enrolled", _enrolled(seed("device"))),
        "revoked": "",
        "keys": _signed(ROOT, "keys", _statement()),
        "root_public": ref.public_of(ROOT).hex(),
    }
    return {**whole, **changes}


def _checked(
    name: str, rule: str, given: dict[str, Any], fails: tuple[str, ...] = (), but: tuple[str, ...] = ()
) -> None:
    """`fails`: the steps that fail; `but`: those that cannot be checked then; the others hold."""
    found = {step: "fails" if step in fails else "not-checked" if step in but else "holds" for step in STEPS}
    scenario(f"proof-{name}", "11.2", rule, {"do": "check-proof", **given}, found)


def _of(root: bytes | None = None, **changes: Any) -> dict[str, Any]:
    return {"bytes": ref.message("proof", proof(**changes)).hex(), "root": root.hex() if root else None}


def build() -> None:
    encoded("proof", "11.1", "A proof is one array, in no envelope.", "proof", proof())
    root = ref.public_of(ROOT)
    _checked("good", "All that it claims is signed by somebody inside it.", _of(root))
    _checked("without-a-root", "Without a trusted root, the file's own is only shown.", _of())
    personal = ref.message("personal", PERSONAL).hex()
    _checked("with-its-personal-part", "A personal part has the digest that was signed.", _of(root, personal=personal))
    other = ref.message("personal", {**PERSONAL, "card": 3}).hex()
    _checked("with-another-personal-part", "Another has not.", _of(root, personal=other), ("personal",))
    start = _of(root, sequence=0, public=events()[0].hex(), personal=personal)
    _checked("with-a-personal-part-of-none", "An event without one has none.", start, ("personal",))
    _checked(
        "of-another-root", "Another root is not the one that is trusted.", _of(ref.public_of(seed("x"))), ("root",)
    )
    no_keys = ("device", "batch", "chain", "event", "personal", "receipt", "custody")
    swapped = _of(root_public=ref.public_of(seed("x")).hex())
    _checked("root-swapped", "The root did not sign these keys.", swapped, ("keys",), no_keys)
    _signers()
    _events(root)
    _custody(root)
    whole = ref.message("proof", proof())
    for name, data, rule in (
        ("truncated", whole[:-1], "A file must be whole."),
        ("trailing-bytes", whole + b"\x00", "Nothing may follow it."),
        ("of-another-type", whole.replace(TYPE.encode(), b"tapgate.proof.v2"), "Its kind stands first."),
        ("empty", b"", "No bytes are no proof."),
    ):
        _checked(name, rule, {"bytes": data.hex(), "root": None}, ("form",), STEPS[1:])


def _signers() -> None:
    no_device = ("batch", "chain", "event", "personal", "receipt")
    by_receipt = _signed(RECEIPT_KEY, "enrolled", _enrolled(seed("device")))
    rule = "Only a key that publishes says which key is a device's."
    _checked("enrolled-by-another-role", rule, _of(enrolled=by_receipt), ("device",), (*no_device, "custody"))
    rest = ("chain", "event", "personal", "receipt", "custody")
    forged = _of(batch=_signed(seed("x"), "batch", batch()))
    _checked("batch-of-another-key", "The batch is signed by the device's key.", forged, ("batch",), rest)
    other = _of(batch=_signed(seed("device"), "batch", {**batch(), "device": "dev-0000"}))
    _checked("batch-of-another-device", "The batch names the device of that key.", other, ("batch",), rest)
    late = _of(keys=_signed(ROOT, "keys", _statement(until_ms=NOW)))
    rule = "A key speaks while it is in force, by the message's own time."
    _checked("receipt-after-its-key", rule, late, ("receipt",), ("custody",))


def _events(root: bytes) -> None:
    broken = {**batch(), "head": "4e" * 32}
    given = _of(root, batch=_signed(seed("device"), "batch", broken))
    _checked("broken-chain", "The events lead to the head that is signed.", given, ("chain", "receipt"), ("custody",))
    changed = ref.message("event", {**EVENT, "sequence": 1, "decision": "denied"}).hex()
    rule = "The event is the bytes that stand at its place."
    _checked("other-bytes", rule, _of(root, public=changed), ("event",), ("personal",))
    _checked("at-another-place", rule, _of(root, sequence=2), ("event",), ("personal",))
    _checked("outside-its-batch", "The batch holds the event.", _of(root, sequence=3), ("event",), ("personal",))


def _custody(root: bytes) -> None:
    def receipted(**changes: Any) -> dict[str, Any]:
        return _of(root, receipt=_signed(RECEIPT_KEY, "receipt", {**receipt(), "exceptions": [], **changes}))

    _checked("forked", "A receipt of a fork proves no event.", receipted(fork=True), ("custody",))
    refused = [{"sequence": 1, "custody": "refused", "reason": "wrong-digest"}]
    _checked("refused", "A refused event is not proven.", receipted(exceptions=refused), ("custody",))
    held = [{"sequence": 1, "custody": "held", "reason": "unknown kind"}]
    _checked("held", "A held event is in custody.", receipted(exceptions=held))
    _checked(
        "another-refused",
        "Another event's refusal says nothing.",
        receipted(exceptions=[{**refused[0], "sequence": 2}]),
    )
    _checked("receipt-of-other-events", "A receipt is of this batch.", receipted(through=3), ("receipt",), ("custody",))
    _checked(
        "without-a-receipt", "Nothing is in custody without one.", _of(root, receipt=""), ("receipt",), ("custody",)
    )
    revoked = _signed(PUBLISH_KEY, "revoked", {"device": DEVICE, "at_ms": NOW, "reason": "stolen"})
    rule = "What came after its device was revoked is untrusted."
    _checked("untrusted", rule, _of(root, receipt="", revoked=revoked), ("receipt", "custody"))
    other = _signed(PUBLISH_KEY, "revoked", {"device": "dev-0000", "at_ms": NOW, "reason": "stolen"})
    _checked(
        "revoked-another", "A word about another device.", _of(root, receipt="", revoked=other), ("receipt", "custody")
    )
