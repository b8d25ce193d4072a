"""Every vector file, run against the protocol."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from protocol import (
    allowlist,
    binding,
    chunks,
    clock,
    closure,
    envelope,
    erasure,
    fleet,
    joining,
    journal,
    messages,
    pin,
    token,
    uid,
)
from protocol.compiled import CompiledPolicy
from protocol.decision import decide, recognised, staleness
from protocol.errors import Refused
from protocol.history import Mark, State, accept_state
from protocol.messages import decode, encode
from protocol.policy import Policy
from protocol.proof import Proof
from protocol.proof_check import check_file
from protocol.reasons import Reason
from tests.protocol import asking
from tests.vectors import make
from tests.vectors import reference as ref

VECTORS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in make.HERE.glob("*.json")}
Json = dict[str, Any]
CLASSES: dict[str, Any] = {
    "event": messages.Event,
    "personal": messages.Personal,
    "epoch": messages.EpochStart,
    "passage-detail": messages.PassageDetail,
    "reader-detail": messages.ReaderDetail,
    "store-detail": messages.StoreDetail,
    "admit-detail": messages.AdmitDetail,
    "undo-detail": messages.UndoDetail,
    "input-detail": messages.InputDetail,
    "config-detail": messages.ConfigDetail,
    "closure-detail": messages.ClosureDetail,
    "bind-detail": messages.BindDetail,
    "consent-detail": messages.ConsentDetail,
    "batch": messages.Batch,
    "upload": messages.Upload,
    "receipt": messages.Receipt,
    "resume": messages.Resume,
    "inventory": messages.Inventory,
    "holdings": messages.Holdings,
    "revoked": messages.Revoked,
    "keys": messages.KeyStatement,
    "join-token": messages.JoinToken,
    "hello": messages.Hello,
    "enrol": messages.Enrol,
    "enrolled": messages.Enrolled,
    "pending": messages.Pending,
    "domain-key": messages.DomainKey,
    "manifest": messages.Manifest,
    "fresh": messages.Fresh,
    "snapshot": messages.Snapshot,
    "delta": messages.Delta,
    "poll": messages.Poll,
    "fetch": messages.Fetch,
    "entry": allowlist.Entry,
    "mark": Mark,
    "state": State,
    "policy": Policy,
    "config": messages.GateConfig,
    "profiles": messages.Profiles,
    "names": messages.Names,
    "bind": messages.Bind,
    "consents": messages.Consents,
    "tapped-card": messages.TappedCard,
    "health": messages.Health,
    "ask": messages.Ask,
    "bundle": messages.Bundle,
    "bundle-upload": fleet.BundleUpload,
    "erasure": erasure.Erasure,
    "forget": erasure.Forget,
    "proof": Proof,
}
DOERS: dict[str, Callable[[Json], object]] = {}


def does(name: str) -> Callable[[Callable[[Json], object]], Callable[[Json], object]]:
    """Marks what runs the vectors of one kind."""

    def mark(doer: Callable[[Json], object]) -> Callable[[Json], object]:
        DOERS[name] = doer
        return doer

    return mark


def built(message: str, fields: Json) -> Any:
    """The struct that a vector gives by field names."""
    return decode(CLASSES[message], ref.message(message, fields))


@pytest.mark.parametrize("name", sorted(VECTORS))
def test_protocol_does_what_the_vector_says(name: str) -> None:
    vector = VECTORS[name]
    do = DOERS[vector["input"]["do"]]
    if "failure" not in vector:
        assert do(vector["input"]) == vector["expect"]
        return
    with pytest.raises(Refused) as refused:
        do(vector["input"])
    assert refused.value.kind == vector["failure"]
    assert vector["input"].get("named", "") in refused.value.detail


def test_making_the_vectors_again_gives_the_same_files() -> None:
    on_disk = {path.name: path.read_text(encoding="utf-8") for path in make.HERE.glob("*.json")}
    assert make.contents() == on_disk


def test_second_implementation_imports_nothing_of_the_protocol() -> None:
    for path in make.HERE.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "from protocol" not in text, path.name
        assert "import protocol" not in text, path.name


def test_each_vector_names_itself_its_clause_and_its_rule() -> None:
    spec = (Path(envelope.__file__).parent / "SPEC.md").read_text(encoding="utf-8")
    for name, vector in VECTORS.items():
        assert vector["name"] == name
        clause = vector["spec"].removeprefix("§")
        assert f"\n{clause} " in spec or f"\n## {clause} " in spec, name
        assert vector["rule"].endswith("."), name
        assert ("expect" in vector) != ("failure" in vector), name


def test_every_reason_that_decide_gives_has_a_vector() -> None:
    told = {vector["expect"]["reason"] for vector in VECTORS.values() if vector["input"]["do"] == "decide"}
    of_the_gate = {"journal-unwritable", "not-enrolled", "staff-admitted", "bind-taken", "consent-taken"}
    assert told == {reason.value for reason in Reason} - of_the_gate


def test_every_enveloped_message_has_a_vector_of_its_bytes() -> None:
    encoded = {vector["input"]["message"] for vector in VECTORS.values() if vector["input"]["do"] == "encode"}
    assert set(CLASSES) - {"policy"} <= encoded
    assert {CLASSES[name].TYPE for name in ref.ENVELOPED} == {ref.type_string(name) for name in ref.ENVELOPED}


# --- one function a kind of vector --------------------------------------------------------------------------


@does("parse-uid")
def _(given: Json) -> object:
    return {"raw": uid.parse(given["text"], uid.Notation(given["notation"])).raw.hex()}


@does("read-uid")
def _(given: Json) -> object:
    found = uid.candidates(given["text"])
    readings = {notation.value: card.raw.hex() for notation, card in found.items()}
    return {"readings": readings, "ambiguous": len(set(found.values())) > 1}


@does("write-uid")
def _(given: Json) -> object:
    card = uid.CardUID.from_hex(given["raw"])
    return {notation.value: card.in_notation(notation) for notation in uid.Notation}


@does("judge-uid")
def _(given: Json) -> object:
    raw = bytes.fromhex(given["raw"])
    shared = len(raw) in uid.LENGTHS and uid.is_shared_range(uid.CardUID(raw))
    return {"problem": uid.judge(raw, given["sak"]), "shared": shared}


@does("token")
def _(given: Json) -> object:
    card = uid.CardUID.from_hex(given["raw"])
    return {"token": token.token(bytes.fromhex(given["domain_key"]), card).hex()}


@does("fingerprint")
def _(given: Json) -> object:
    made = token.fingerprint(bytes.fromhex(given["token"]), given["sak"], bytes.fromhex(given["atr"]))
    return {"fingerprint": made.hex()}


@does("slow-pin")
def _(given: Json) -> object:
    return {"slow": pin.slow(given["pin"], bytes.fromhex(given["salt"])).hex()}


@does("pin-verifier")
def _(given: Json) -> object:
    key, slow = bytes.fromhex(given["domain_key"]), bytes.fromhex(given["slow"])
    return {"verifier": pin.verifier(key, given["staff"], slow).hex()}


@does("pin-fits")
def _(given: Json) -> object:
    key, salt, held = (bytes.fromhex(given[name]) for name in ("domain_key", "salt", "verifier"))
    return {"fits": pin.fits(key, given["staff"], salt, held, given["pin"])}


@does("encode")
def _(given: Json) -> object:
    message = built(given["message"], given["fields"])
    assert decode(type(message), encode(message)) == message
    return {"bytes": encode(message).hex()}


@does("decode")
def _(given: Json) -> object:
    if "zero_bytes" in given:
        data = bytes(given["zero_bytes"])
    elif "times" in given:
        data = bytes.fromhex(given["begins"]) + bytes.fromhex(given["repeated_row"]) * given["times"]
    else:
        data = bytes.fromhex(given["bytes"])
    return decode(CLASSES[given["message"]], data)


@does("chain")
def _(given: Json) -> object:
    start = journal.genesis(given["device"], bytes.fromhex(given["epoch"]))
    events = [bytes.fromhex(event) for event in given["events"]]
    found, head = [], start
    for event in events:
        head = journal.extend(head, event)
        found.append(head.hex())
    assert [head.hex() for head in journal.heads(start, events)] == found
    return {"genesis": start.hex(), "heads": found}


@does("personal-digest")
def _(given: Json) -> object:
    return {"digest": journal.personal_digest(bytes.fromhex(given["bytes"])).hex()}


def _envelope_of(given: Json) -> bytes:
    if "zero_bytes" in given:
        return bytes(given["zero_bytes"])
    if "sealed" in given:
        sealed = given["sealed"]
        return ref.envelope(bytes.fromhex(sealed["private"]), sealed["type"], bytes(sealed["zero_bytes"]))
    return bytes.fromhex(given["envelope"])


def _opened(given: Json, ring: envelope.Keyring) -> object:
    data = _envelope_of(given)
    role = messages.Role(given["role"]) if given["role"] else None
    message = envelope.open_as(CLASSES[given["message"]], data, ring, role)
    payload = envelope.unwrap(data).payload
    assert message == decode(type(message), payload)
    return {"payload": payload.hex()}


@does("open")
def _(given: Json) -> object:
    keys = {bytes.fromhex(key["public"]): frozenset(map(messages.Role, key["roles"])) for key in given["keys"]}
    return _opened(given, envelope.Keyring(keys))


@does("open-by-statement")
def _(given: Json) -> object:
    statement = built("keys", given["statement"])
    return _opened(given, envelope.Keyring.stated(statement, given["signed_now_ms"]))


@does("check-proof")
def _(given: Json) -> object:
    root = bytes.fromhex(given["root"]) if given["root"] else None
    return {check.step.value: check.finding.value for check in check_file(bytes.fromhex(given["bytes"]), root).checks}


@does("accept-keys")
def _(given: Json) -> object:
    allowlist.accept_keys(given["held"], built("keys", given["offered"]))
    return {"accepted": True}


@does("accept-manifest")
def _(given: Json) -> object:
    held = given["held"] and built("manifest", given["held"])
    offered = built("manifest", given["offered"])
    allowlist.accept_manifest(held, offered, given["device"], given["signed_now_ms"])
    return {"accepted": True}


@does("accept-ask")
def _(given: Json) -> object:
    fleet.accept_ask(given["held"], built("ask", given["offered"]), given["device"], given["signed_now_ms"])
    return {"accepted": True}


@does("accept-part")
def _(given: Json) -> object:
    name, digest = messages.PartName(given["part"]), bytes.fromhex(given["digest"])
    allowlist.accept_part(built("manifest", given["manifest"]), given["floor"], name, given["version"], digest)
    return {"accepted": True}


@does("accept-snapshot")
def _(given: Json) -> object:
    manifest, offered = built("manifest", given["manifest"]), built("snapshot", given["offered"])
    allowlist.accept_snapshot(manifest, given["floor"], given["key_number"], offered)
    return {"accepted": True}


@does("accept-delta")
def _(given: Json) -> object:
    manifest, offered = built("manifest", given["manifest"]), built("delta", given["offered"])
    allowlist.accept_delta(manifest, given["base"], given["key_number"], offered)
    return {"accepted": True}


@does("accept-applied")
def _(given: Json) -> object:
    allowlist.accept_applied(built("delta", given["offered"]), given["count"], int(given["sum"], 16))
    return {"accepted": True}


@does("sum")
def _(given: Json) -> object:
    rows = [(bytes.fromhex(token_), bytes.fromhex(entry)) for token_, entry in given["rows"]]
    sum_ = allowlist.total(rows)
    return {
        "row_digests": [allowlist.entry_digest(*row).to_bytes(32, "big").hex() for row in rows],
        "sum": sum_.to_bytes(32, "big").hex(),
        "digest": allowlist.list_digest(given["domain"], given["key_number"], len(rows), sum_).hex(),
    }


@does("read-chunk")
def _(given: Json) -> object:
    if "zero_bytes" in given:
        data = bytes(given["zero_bytes"])
    elif "times" in given:
        row, times = bytes.fromhex(given["repeated_row"]), given["times"]
        data = b"\xdc" + times.to_bytes(2, "big") + row * times
    else:
        data = bytes.fromhex(given["chunk"])
    return {"rows": [[token_.hex(), entry.hex()] for token_, entry in chunks.rows_of(data)]}


@does("open-domain-key")
def _(given: Json) -> object:
    message = built("domain-key", given["domain_key"])
    key = envelope.open_domain_key(message, bytes.fromhex(given["sealing_private"]))
    return {"key": key.hex(), "digest": envelope.domain_key_digest(message.number, key).hex()}


@does("seal-domain-key")
def _(given: Json) -> object:
    return envelope.seal_domain_key(bytes(32), "device", "domain", 1, bytes.fromhex(given["sealing_public"]))


@does("open-card")
def _(given: Json) -> object:
    detail = built("bind-detail", given["detail"])
    card = envelope.open_card(detail, given["device"], bytes.fromhex(given["seal_private"]))
    return {"uid": card.uid.hex(), "sak": card.sak, "atr": card.atr.hex()}


@does("seal-card")
def _(given: Json) -> object:
    return envelope.seal_card(binding.tapped(bytes(4), None, b""), built("bind", given["session"]))


@does("takes")
def _(given: Json) -> object:
    asked = given["at_ms"], messages.Clock(given["clock"]), messages.Direction(given["direction"])
    return {"takes": binding.takes(built("bind", given["session"]), *asked, bytes.fromhex(given["used"]))}


@does("closing-ends")
def _(given: Json) -> object:
    held, at = given["closing"], given["at"]
    closing = closure.StaffClosing(
        "desk-2",
        "typhoon",
        held["from_ms"],
        held["until_ms"],
        bytes.fromhex(held["boot_id"]),
        held["monotonic_ms"],
        messages.Clock(held["clock"]),
    )
    clock = messages.Clock(at["clock"])
    return {"in_ms": closure.ends_in_ms(closing, at["at_ms"], at["monotonic_ms"], bytes.fromhex(at["boot_id"]), clock)}


@does("words")
def _(given: Json) -> object:
    keys = [bytes.fromhex(given["signing_public"]), bytes.fromhex(given["sealing_public"])]
    root, secret = bytes.fromhex(given["root_public"]), bytes.fromhex(given["secret"])
    return {"words": envelope.comparison_words(root, keys, secret)}


@does("write-join-token")
def _(given: Json) -> object:
    return {"text": joining.to_text(built("join-token", given["fields"]))}


@does("read-join-token")
def _(given: Json) -> object:
    return {"bytes": encode(joining.from_text(given["text"])).hex()}


@does("clock")
def _(given: Json) -> object:
    now = given["wall_ms"], given["monotonic_ms"], clock.SignedTime(given["signed_ms"], given["received_ms"])
    return {"clock": clock.judge(*now).value, "estimate_ms": clock.estimate_ms(*now)}


@does("staleness")
def _(given: Json) -> object:
    return {"staleness": staleness(messages.Ages(**given["ages"]), given["age_ms"]).name.lower()}


@does("compile")
def _(given: Json) -> object:
    return CompiledPolicy(built("policy", given["policy"]))


@does("decide")
def _(given: Json) -> object:
    policy, entry = given["policy"] and asking.policy_of(given["policy"]), asking.entry_of(given["entry"])
    history, tap = asking.history_of(given["history"]), asking.tap_of(given["tap"])
    answer = decide(policy, entry, history, tap)
    named = {mark.name for mark in (*history.own, *history.told)} if history else set()
    assert answer.repeats is None or answer.repeats.name in named | {history and history.last and history.last.name}
    return asking.told(answer)


@does("recognised")
def _(given: Json) -> object:
    policy = given["policy"] and asking.policy_of(given["policy"])
    answer = recognised(policy, asking.entry_of(given["entry"]), asking.tap_of(given["tap"]))
    return {"outcome": answer.outcome.value, "reason": answer.reason}


@does("accept-state")
def _(given: Json) -> object:
    accept_state(built("state", given["offered"]), given["device"], given["domain"], given["held"])
    return {"accepted": True}
