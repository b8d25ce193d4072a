"""What libraries say of parameters and of TOML is told in zh-TW, too: tried with the libraries themselves."""

import re
import tomllib
from typing import Any, Literal

import msgspec
import pytest
from msgspec.structs import fields

from central.actions.registry import ACTIONS
from central.console.failure_words import in_words

CHINESE = re.compile("[\u3400-\u9fff]")
ENGLISH = re.compile("[a-z]{2,} [a-z]{2,} [a-z]{2,}")


class Point(msgspec.Struct, forbid_unknown_fields=True):
    x: int


class Named(msgspec.Struct, tag="named"):
    name: str


class Numbered(msgspec.Struct, tag="numbered"):
    number: int


READ: list[tuple[Any, Any]] = [
    (Point, {}),
    (Point, {"x": 1, "y": 2}),
    (Point, {"x": "a"}),
    (Point, None),
    (list[Point], [{}]),
    (list[Point], [{"x": 1, "y": 2}]),
    (dict[str, int], {1: 2}),
    (Literal["a", "b"], "c"),
    (Named | Numbered, {"type": "other"}),
    (Named | Numbered, {}),
    (tuple[int, int], [1]),
    (bytes, "$$"),
]


@pytest.mark.parametrize(("kind", "value"), READ)
def test_what_cannot_be_read_is_told_in_chinese(kind: Any, value: Any) -> None:
    with pytest.raises(msgspec.ValidationError) as failed:
        msgspec.convert(value, kind)
    assert_chinese(f"card.block: {failed.value}")


def test_every_limit_of_a_parameter_is_told_in_chinese() -> None:
    """Whatever an action's parameters can be wrong in is wrong once."""
    kinds = {str(field.type): field.type for action in ACTIONS.values() for field in fields(action.params)}
    told = set()
    for kind in kinds.values():
        for wrong in (None, "", "x" * 9, -(2**40), 2**40, [], {}, ["x"], 1.5):
            try:
                msgspec.convert({"field": wrong}, dict[str, kind], strict=False)  # type: ignore[valid-type]
            except msgspec.ValidationError as error:
                told.add(str(error))
    assert len(told) > 20
    for message in told:
        assert_chinese(f"card.block: {message}")


@pytest.mark.parametrize(
    "text",
    [
        *("x", "x = ", "x = 1\nx = 2", "x = 2026-13-01", '"', "x = [1", "x = {a = 1", "x = 'a", "= 1", "[a", "[[a"),
        *("[a]\n[a]", "x = {a = 1, a = 2}", 'x = "\\q"', 'x = "\\ud800"', 'x = "\\uzzzz"', "x = 1 y", "x = '\x01'"),
        *("x = 1\n[x.y]", "x = {a = 1}\n[x.b]", "x = [1]\n[[x]]", "a.b = 1\n[a]", "x = \x01", "\x01 = 1", "x = {,}"),
        *("[[a]]\n[a]", "[a]\n[[a]]", "x = 1\nx.y = 1", 'x = """a', "x = 'a\nb'", "a = {}\na.b = 1"),
    ],
)
def test_what_is_no_toml_is_told_in_chinese(text: str) -> None:
    with pytest.raises(tomllib.TOMLDecodeError) as failed:
        tomllib.loads(text)
    assert_chinese(str(failed.value))


def assert_chinese(message: str) -> None:
    said = in_words("zh-TW", message)
    assert CHINESE.search(said), message
    assert not re.search(r"[a-z]{2,} [a-z]{2,} [a-z]{2,}", re.sub(r"`[^`]*`", "", said)), said
