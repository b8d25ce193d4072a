"""A proof, broken in every place: whatever is changed in it is noticed, and nothing makes the check itself break."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.messages import encode
from protocol.proof import Finding, Step
from protocol.proof_check import check_file
from tests.vectors import make


def vector(name: str) -> tuple[bytes, bytes]:
    held = json.loads((make.HERE / f"proof-{name}.json").read_text(encoding="utf-8"))["input"]
    return bytes.fromhex(held["bytes"]), bytes.fromhex(held["root"] or "")


GOOD, ROOT = vector("with-its-personal-part")


@pytest.mark.parametrize("flip", [1, 128, 255], ids="{:02x}".format)
def test_every_byte_that_is_changed_is_noticed(flip: int) -> None:
    assert check_file(GOOD, ROOT).holds
    unnoticed = []
    for at in range(len(GOOD)):
        damaged = bytearray(GOOD)
        damaged[at] ^= flip
        if check_file(bytes(damaged), ROOT).holds:
            unnoticed.append(at)
    assert unnoticed == []


def test_every_byte_is_noticed_without_a_root_too() -> None:
    for at in range(len(GOOD)):
        damaged = bytearray(GOOD)
        damaged[at] ^= 4
        assert not check_file(bytes(damaged)).holds, at


def test_every_beginning_of_a_proof_is_no_proof() -> None:
    assert not any(check_file(GOOD[:length], ROOT).holds for length in range(len(GOOD)))


@given(st.binary(max_size=200) | st.lists(st.binary(max_size=80), max_size=10).map(encode))
def test_whatever_a_file_holds_every_step_is_told(data: bytes) -> None:
    found = check_file(data, ROOT)
    assert [check.step for check in found.checks] == list(Step)
    assert not found.holds
    assert all(check.said() for check in found.checks)


def test_what_is_told_names_the_event_and_never_the_person() -> None:
    found = check_file(GOOD, ROOT)
    said = " ".join(check.said() for check in found.checks)
    assert "dev-7f3a/a1a2a3a4a5a6a7a8/1" in said
    assert ROOT.hex() in said
    assert found.proof is not None
    assert found.proof.personal.hex() not in said
    assert {check.finding for check in found.checks} == {Finding.HOLDS}


def test_words_of_a_stranger_are_not_taken_for_places_in_a_sentence() -> None:
    data, root = vector("refused")
    assert "Refused by central: wrong-digest." in [check.said() for check in check_file(data, root).checks]
    damaged = data.replace(b"dev-7f3a", b"dev-{x}a")
    assert all(check.said() for check in check_file(damaged, root).checks)
