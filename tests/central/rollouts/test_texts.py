"""Policies as text: what is written is read again as the same, and differences are found."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from central import toml_text
from central.actions.places.policy_versions import text_of
from central.difference import counts, difference
from protocol.messages import GateConfig
from protocol.policy import Policy

BODY: dict[str, Any] = {
    "rules": [
        {"kind": "refuse", "id": "closed", "valid_from": "2026-02-01", "valid_until": "2026-02-05"},
        {"kind": "admit", "id": "members", "classes": ["citizen", "senior"], "schedule": "open", "tariff": "pool"},
    ],
    "schedules": {"open": {"mon": ["08:00-12:00", "13:00-21:00"], "holiday": []}},
    "tariffs": {"pool": {"price": 60, "pay": "points"}},
    "calendar": {"holidays": [f"2026-{month:02}-{day:02}" for month in range(1, 7) for day in range(1, 11)]},
    "session": {"double_tap_s": 5},
}


def policy(body: dict[str, Any]) -> Policy:
    return msgspec.convert({"version": 1, **body}, Policy)


def test_a_policys_text_says_the_same_and_nothing_that_is_so_anyway() -> None:
    text = text_of(policy(BODY))
    assert policy(toml_text.read(text)) == policy(BODY)
    assert "opens_early_minutes" not in text
    assert "version" not in text
    assert "holiday = []" in text  # closed on holidays is not the same as nothing
    assert max(map(len, text.splitlines())) <= toml_text.WIDTH


def test_a_configurations_text_says_the_same() -> None:
    config = msgspec.convert(
        {
            "version": 3,
            "gate": "door-1",
            "kind": "door",
            "title_zh": '側門 "東"\n',
            "screen": {"choices": [{"rule": "a"}]},
        },
        GateConfig,
    )
    assert msgspec.convert(toml_text.read(toml_text.write(toml_text.spare(config))), GateConfig) == config


PLAIN = st.one_of(st.booleans(), st.integers(-(2**53), 2**53), st.text(st.characters(exclude_categories=["Cs"])))
KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
TABLES = st.recursive(
    st.dictionaries(KEYS, st.one_of(PLAIN, st.lists(PLAIN, max_size=30)), max_size=4),
    lambda below: st.dictionaries(KEYS, st.one_of(PLAIN, below, st.lists(below, max_size=3)), max_size=4),
    max_leaves=20,
)


@given(TABLES)
def test_every_table_is_read_as_it_was_written(body: dict[str, Any]) -> None:
    assert toml_text.read(toml_text.write(body)) == body


@pytest.mark.parametrize("text", ["a = ", "[[x]\n", "a = 1\na = 2", "= 3", "a = " + "[" * 5_000])
def test_what_is_no_toml_says_where(text: str) -> None:
    with pytest.raises(toml_text.NotText, match=r"\S"):
        toml_text.read(text)


def test_a_difference_shows_what_was_added_and_removed_with_what_is_around_it() -> None:
    old = "".join(f"line {n}\n" for n in range(20))
    lines = difference(old, old.replace("line 10\n", "line ten\nline ten and a half\n"))
    assert counts(lines) == (2, 1)
    assert [(line.kind, line.text) for line in lines if line.kind != "same"] == [
        *(("gap", ""), ("removed", "line 10"), ("added", "line ten"), ("added", "line ten and a half")),
    ]
    (removed,) = [line for line in lines if line.kind == "removed"]
    assert (removed.old, removed.new) == (11, 0)
    assert difference(old, old) == []
