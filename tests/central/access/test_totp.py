"""One-time codes: the values of RFC 6238, the drift of a phone's clock, and that none counts twice."""

import base64

import pytest

from central.access.totp import BEGUN, code_at, matching_step, qr_svg, typed_secret, uri_of

SECRET = b"12345678901234567890"


@pytest.mark.parametrize(
    ("at_s", "code"),
    [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (2000000000, "279037")],
)
def test_codes_are_those_of_the_standard(at_s: int, code: str) -> None:
    assert code_at(SECRET, at_s * 1_000) == code
    assert matching_step(SECRET, code, at_s * 1_000, BEGUN) == at_s // 30


def test_a_phone_may_be_one_step_off_and_not_two() -> None:
    now_ms = 1_800_000_000_000
    step = now_ms // 30_000
    found = {off: matching_step(SECRET, code_at(SECRET, now_ms + off * 30_000), now_ms, BEGUN) for off in range(-2, 3)}
    assert found == {-2: None, -1: step - 1, 0: step, 1: step + 1, 2: None}


def test_a_step_that_was_used_and_those_before_it_are_over() -> None:
    now_ms = 1_800_000_000_000
    step, code = now_ms // 30_000, code_at(SECRET, now_ms)
    assert matching_step(SECRET, code, now_ms, step - 1) == step
    assert matching_step(SECRET, code, now_ms, step) is None
    assert matching_step(SECRET, code_at(SECRET, now_ms - 30_000), now_ms, step) is None


def test_people_type_codes_with_a_blank_in_the_middle() -> None:
    assert matching_step(SECRET, "287 082", 59_000, BEGUN) == 1


@pytest.mark.parametrize("code", ["", "28708", "2870820", "２８７０８２", "28708a", "²²²²²²", "-87082", "\x00" * 6])
def test_what_is_no_code_is_none(code: str) -> None:
    assert matching_step(SECRET, code, 59_000, BEGUN) is None


def test_the_qr_code_holds_what_phones_read() -> None:
    uri = uri_of(SECRET, "lin.mei-hua")
    typed = typed_secret(SECRET)
    assert uri.startswith("otpauth://totp/Tapgate:lin.mei-hua?")
    assert f"secret={typed.replace(' ', '')}" in uri
    assert base64.b32decode(typed.replace(" ", "")) == SECRET
    svg = qr_svg(uri)
    assert svg.startswith("<svg")
    assert "style=" not in svg
