"""Whatever bytes arrive: the message that was meant, or Refused. Never another exception, never a hang."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol import allowlist, envelope, history, joining, messages
from protocol.compiled import CompiledPolicy
from protocol.envelope import Envelope, Keyring, Signer, open_as, open_domain_key, seal_domain_key, unwrap
from protocol.errors import Failure, Refused
from protocol.messages import Receipt, Revoked, Role, decode, encode
from protocol.policy import Policy
from tests.protocol import strategies
from tests.vectors import make

DETAILS = [kind for name, kind in vars(messages).items() if name.endswith("Detail")]
RECORDS = [messages.Event, messages.Personal, *DETAILS]
BARE = [messages.Upload, messages.JoinToken, allowlist.Entry, history.History]
WRITTEN = [messages.GateConfig, Policy]
SIGNED = [kind for kind in vars(messages).values() if isinstance(kind, type) and getattr(kind, "TYPE", "")]
EVERY: list[Any] = sorted({*RECORDS, *BARE, *WRITTEN, *SIGNED}, key=lambda kind: kind.__name__)
SIGNER = Signer(bytes(32))
RING = Keyring.of(SIGNER.public, *Role)


def vectors_of(do: str) -> list[bytes]:
    """The bytes of the vectors of one kind: good starting points for mutations."""
    found = []
    for path in sorted(make.HERE.glob("*.json")):
        vector = json.loads(path.read_text(encoding="utf-8"))
        if vector["input"]["do"] == do and "expect" in vector:
            found.append(bytes.fromhex(vector["expect"].get("bytes") or vector["input"].get("envelope", "")))
    return found


GOOD_BYTES = vectors_of("encode")
GOOD_ENVELOPES = vectors_of("open")


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_any_message_comes_back_as_it_was_written(kind: Any) -> None:
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
    @given(strategies.structs(kind))
    def comes_back(message: Any) -> None:
        data = encode(message)
        assert decode(kind, data) == message
        assert encode(decode(kind, data)) == data

    comes_back()


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_random_bytes_are_refused_or_a_message(kind: Any) -> None:
    @settings(max_examples=60, deadline=None)
    @given(st.binary(max_size=200))
    def survives(data: bytes) -> None:
        only_refuses(kind, data)

    survives()


def only_refuses(kind: Any, data: bytes) -> None:
    answer = answer_of(lambda: decode(kind, data))
    assert isinstance(answer, kind) or answer in (Failure.MALFORMED, Failure.OVERSIZED)


def answer_of(question: Callable[[], object]) -> object:
    """What came back, or the kind of failure; any other exception goes through."""
    try:
        return question()
    except Refused as refused:
        return refused.kind


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(EVERY), st.sampled_from(GOOD_BYTES), st.data())
def test_mutated_messages_are_refused_or_a_message(kind: Any, good: bytes, data: st.DataObject) -> None:
    only_refuses(kind, mutated(good, data))


def mutated(good: bytes, data: st.DataObject) -> bytes:
    at = data.draw(st.integers(0, len(good)))
    cut = data.draw(st.integers(0, 3))
    return good[:at] + data.draw(st.binary(max_size=4)) + good[at + cut :]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(GOOD_ENVELOPES), st.data())
def test_mutated_envelopes_open_as_nothing_else(good: bytes, data: st.DataObject) -> None:
    for changed in (mutated(good, data), data.draw(st.binary(max_size=100))):
        try:
            open_as(Receipt, changed, RING, Role.RECEIPT)
        except Refused:
            continue
        raise AssertionError("a stranger's envelope opened")


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_change_to_a_signed_message_is_noticed(data: st.DataObject) -> None:
    good = SIGNER.seal(Revoked("dev-1", 1_000, "stolen"))
    changed = mutated(good, data)
    try:
        opened = open_as(Revoked, changed, RING, Role.RECEIPT)
    except Refused:
        return
    assert opened == Revoked("dev-1", 1_000, "stolen")
    assert unwrap(changed) == unwrap(good)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80) | st.text("tapgate1:AQz-_", max_size=80).map(lambda text: joining.PREFIX + text))
def test_any_text_is_a_join_token_or_refused(text: str) -> None:
    try:
        token = joining.from_text(text)
    except Refused:
        return
    assert joining.from_text(joining.to_text(token)) == token


@settings(max_examples=60, deadline=None)
@given(strategies.structs(Policy))
def test_any_policy_compiles_and_plans_a_day_or_names_what_cannot_work(policy: Policy) -> None:
    compiled = answer_of(lambda: CompiledPolicy(policy))
    if not isinstance(compiled, CompiledPolicy):
        assert compiled is Failure.NOT_SATISFIABLE
        return
    for at_ms in (0, 1_790_000_000_000, 253_370_764_799_999):
        compiled.day(at_ms).hour(1, at_ms)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=120))
def test_sealed_bytes_of_any_kind_open_or_are_refused(sealed: bytes) -> None:
    with pytest.raises(Refused):
        open_domain_key(messages.DomainKey("dev-1", "library", 1, sealed), bytes(range(32)))


def test_domain_key_sealed_here_opens_here_and_differs_each_time() -> None:
    private, public = envelope.new_sealing_key()
    one, other = (seal_domain_key(bytes(range(32)), "dev-1", "library", 4, public) for _ in range(2))
    assert one.sealed != other.sealed
    assert open_domain_key(one, private) == open_domain_key(other, private) == bytes(range(32))


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_size_is_judged_before_content(kind: Any) -> None:
    limit = getattr(kind, "MAX_BYTES", messages.MAX_MESSAGE_BYTES)
    for length, failure in ((limit, Failure.MALFORMED), (limit + 1, Failure.OVERSIZED)):
        with pytest.raises(Refused) as refused:
            decode(kind, bytes(length))
        assert refused.value.kind is failure


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_no_number_on_the_wire_is_without_bounds(kind: type[msgspec.Struct]) -> None:
    assert numbers_without_bounds(kind) == []


def numbers_without_bounds(kind: Any) -> list[str]:
    """Integers without both bounds, and arrays without a largest length, anywhere inside."""
    described = msgspec.json.schema(kind)
    found: list[str] = []

    def walk(where: str, node: Any) -> None:
        if not isinstance(node, dict):
            return
        whole = node.get("type") == "integer" and "enum" not in node
        if whole and not {"minimum", "maximum"} <= node.keys():
            found.append(where)
        if node.get("type") == "array" and "maxItems" not in node:
            found.append(where)
        for name, child in node.items():
            for place, item in enumerate(child if isinstance(child, list) else [child]):
                walk(f"{where}.{name}[{place}]", item)

    walk(kind.__name__, described)
    return found


def test_a_count_that_promises_too_much_costs_nothing() -> None:
    for kind in EVERY:
        for promise in (head + b"\xff\xff\xff\xff" for head in (b"\xdd", b"\xdf", b"\xc6", b"\xdb")):
            with pytest.raises(Refused):
                decode(kind, promise)
            with pytest.raises(Refused):
                decode(kind, b"\x9f" + promise)


def test_depth_exhausts_no_decoder() -> None:
    for kind in (*EVERY, Envelope):
        for opening in (b"\x91", b"\x81\xa1a", b"\x81\xa5rules\x91", b"\xdc\x00\x01"):
            with pytest.raises(Refused):
                decode(kind, opening * 50_000)


def test_same_key_named_twice_has_the_roles_of_both() -> None:
    keys = tuple(messages.Key(SIGNER.public, (role,)) for role in (Role.PUBLISH, Role.RECEIPT))
    ring = Keyring.stated(messages.KeyStatement(1, 0, keys), 5)
    sealed = SIGNER.seal(Revoked("dev-1", 1))
    for role in (Role.PUBLISH, Role.RECEIPT):
        assert open_as(Revoked, sealed, ring, role).device == "dev-1"
