"""Every text of the console exists in both languages, and no text stands in a template by itself."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from jinja2 import Environment, nodes
from jinja2.ext import extract_from_ast

from central.console.registry import ROUTES
from central.console.rendering import environment
from central.console.words import FOLDER, catalog, files
from central.reporting.gate_state import TEXTS

CONSOLE = FOLDER.parent
TEMPLATES = sorted((CONSOLE / "templates").glob("*.html"))
SOURCES = sorted(CONSOLE.rglob("*.py"))
CHINESE = re.compile("[\u3400-\u9fff]")
TAG = re.compile(r"<[^>]*>", re.DOTALL)
COMMAND = re.compile(r"<(pre|code)\b.*?</\1>", re.DOTALL)
SPOKEN = re.compile(r"""\b(?:alt|title|placeholder|aria-label|data-confirm|data-done|label)="([^"]*)\"""")
SAME_IN_BOTH = re.compile(
    r"\b(?:Tapgate|English|UID|CSV|API|QR|TOTP|PIN|JSON|TOML|SHA|Ed25519|UTC|ID|KiB|MiB|GiB|DOCTYPE|html|hex|px|ms|"
    r"PC/SC|NFC|URL|HTTPS|SMTP|IP|nbsp|amp|lt|gt|middot|times|rarr|larr|HPKE|MessagePack)\b"
)
PLACE = re.compile(r"%\((\w+)\)[sd]")


def said_in_templates() -> Iterator[tuple[str, str]]:
    env: Environment = environment("en")
    for path in TEMPLATES:
        tree = env.parse(path.read_text(encoding="utf-8"))
        for _, _, text in extract_from_ast(tree, gettext_functions=("_", "gettext", "ngettext"), babel_style=False):
            for one in text if isinstance(text, tuple) else (text,):
                if one is not None:
                    yield one, path.name


def said_in_code() -> Iterator[tuple[str, str]]:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            given = node.args[0] if name == "_N" else node.args[1] if name == "say" and len(node.args) > 1 else None
            for part in _texts(given):
                yield part, path.name


def _texts(node: ast.expr | None) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)


def said_in_the_menu() -> Iterator[tuple[str, str]]:
    for route in ROUTES:
        if route.nav:
            yield route.nav[0], f"menu: {route.path}"


def said_of_states() -> Iterator[tuple[str, str]]:
    """`gate_states.why` says them by their codes."""
    for text in TEXTS.values():
        yield text, "gate_state.py"


SAID = sorted({*said_in_templates(), *said_in_code(), *said_in_the_menu(), *said_of_states()})


def test_every_text_is_said_in_chinese() -> None:
    assert [(text, where) for text, where in SAID if text not in catalog("zh-TW")] == []


def test_a_word_is_said_the_same_way_everywhere() -> None:
    said: dict[str, dict[str, list[str]]] = {}
    for name, words in files("zh-TW").items():
        for text, chinese in words.items():
            said.setdefault(text, {}).setdefault(chinese, []).append(name)
    assert {text: ways for text, ways in said.items() if len(ways) > 1} == {}


def test_what_is_said_in_chinese_is_chinese() -> None:
    odd = [text for text, said in catalog("zh-TW").items() if not CHINESE.search(said) and re.search("[a-z]{4}", said)]
    assert odd == []


def test_both_languages_put_the_same_values_in() -> None:
    odd = [text for text, said in catalog("zh-TW").items() if set(PLACE.findall(text)) != set(PLACE.findall(said))]
    assert odd == []


def test_no_word_is_kept_that_nobody_says() -> None:
    spoken = {text for text, _ in SAID}
    code = "".join(path.read_text(encoding="utf-8") for path in [*SOURCES, *TEMPLATES])
    assert [text for text in catalog("zh-TW") if text not in spoken and f'"{text}"' not in code] == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_text_stands_in_a_template_by_itself(path: Path) -> None:
    tree = environment("en").parse(path.read_text(encoding="utf-8"))
    literal = "\x00".join(data.data for data in tree.find_all(nodes.TemplateData))
    literal = COMMAND.sub(" ", literal)
    texts = [*SPOKEN.findall(literal), TAG.sub(" ", re.sub(r"<[^>]*\x00.*?>", " ", literal, flags=re.DOTALL))]
    left = [SAME_IN_BOTH.sub("", text) for text in texts]
    assert [found for text in left for found in re.findall(r"[A-Za-z]{3,}|[\u3400-\u9fff]+", text)] == []
