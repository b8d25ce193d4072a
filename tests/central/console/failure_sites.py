"""Every text that a failure of the source can have, found by reading it: what the console has to say in zh-TW.

A text is a shape: what stands in it for itself, and `{}` for what is put in. `f"no card {card!r}"` is `no card {}`.
Where what is put in is one of a few texts that the same function or module names, each of them makes a shape of its
own.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[3]
FOLDERS = ("central", "protocol", "firmware_profiles")
RAISED = frozenset(
    {
        *("ActionFailed", "AllBusy", "AskedTooOften", "BadCursor", "BadParameters", "CannotPublish", "Forbidden"),
        *("NotBound", "NotClosed", "NotTaken", "NotText", "NotTold", "PasswordRefused", "ProfileError", "Refused"),
        *("Unsendable", "ValueError"),
    }
)
"""What is raised with a text for people, or with one that another failure of these quotes."""
TOLD = {
    **{"NameRow": 2, "RowSaid": 2, "RowVerdict": 2, "_cannot": 0, "_contradict": 2, "_refuse": 3},
    **{"cancel": 2, "end": 4},  # sessions that bind cards
    "Exempt": 2,  # events that central did not simply accept
    "problem": 1,  # what a check of the audit log found
    **{"LineFault": 1, "BadFrame": 1, "_broken": 1, "_fail": 1},  # on the line to a library system
    "ListLine": 2,  # why a row of a list is left out
    **{"Sent": 1, "_given_up": 0},  # what became of an event that was sent, and of a subscription
}
"""Functions that take such a text, and at which place."""
RETURNED = {
    "central/actions/access/again.py": {"_why"},
    "central/actions/cards/bind_settling.py": {"_bind"},
    "central/actions/cards/import_plan.py": {"_uid_problem"},
    "central/actions/cards/uid_column.py": {"decide"},
    "central/actions/table_file.py": {"_first_undecodable", "character_problem", "cells"},
    "central/alerts/addresses.py": {"mail_fault", "shape_fault", "webhook_fault"},
    "central/neighbours/events/targets.py": {"url_fault"},
    "central/people/search_keys.py": {"number_problem"},
    "central/rollouts/freezing.py": {"told"},
}
"""Functions whose texts are such: they come back to one that fails with them."""
SAID = {
    "central/actions/cards/import_repeats.py": {"_contradict"},
    "central/actions/places/policies.py": {"_all_can_decide"},
    "central/console/jobs.py": {"_run"},
    "central/neighbours/tables/csv_text.py": {"__init__"},
}
"""Functions that put such texts together: every sentence in them is one."""
LISTED = {"central/actions/places/gate_configs.py": {"GIVEN"}}
"""Tables of such texts."""
QUOTES = re.compile(r"str\((error|failure|problem|refusal|refused)\)$|refused\.|Failure\.|say\(|now_ms$")
"""Another failure, or one whose words the console has said already."""
MOST_SHAPES = 24
DEEPEST = 3
PLACE = "{}"


class Site(NamedTuple):
    """A shape, and a line that says it."""

    shape: str
    where: str


def sites() -> list[Site]:
    """Of every folder, in the order of the files."""
    return [site for name, reader in _readers().items() for site in _sites_of(name, reader)]


def _sites_of(name: str, reader: "_Reader") -> Iterator[Site]:
    for function, node in reader.nodes:
        given: list[ast.expr] = []
        if isinstance(node, ast.Call):
            given = _given(node)
        elif isinstance(node, ast.Return | ast.Yield) and function.name in RETURNED.get(name, ()):
            given = [node.value] if node.value is not None else []
        elif isinstance(node, ast.JoinedStr | ast.Constant) and function.name in SAID.get(name, ()):
            given = [_whole(node)] if _is_sentence(node) else []
        elif isinstance(node, ast.Name) and node.id in LISTED.get(name, ()):
            given = [node]
        for each in given:
            for shape in reader.shapes(each, function):
                if re.search("[A-Za-z]", shape):
                    yield Site(shape, f"{name}:{node.lineno}")


def unread() -> set[tuple[str, str]]:
    """File and expression of every text of a failure that cannot be read where it fails, and quotes no other one."""
    found = set()
    for name, reader in _readers().items():
        calls = [(within, node) for within, node in reader.nodes if isinstance(node, ast.Call)]
        for within, call in calls:
            for text in _given(call):
                said = ast.unparse(text)
                if not reader.shapes(text, within) and not QUOTES.match(said):
                    found.add((name, said))
    return found


@cache
def _readers() -> "dict[str, _Reader]":
    paths = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    return {path.relative_to(ROOT).as_posix(): _Reader(ast.parse(path.read_text(encoding="utf-8"))) for path in paths}


def _given(call: ast.Call) -> list[ast.expr]:
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    if name == "HTTPBadRequest":
        return [keyword.value for keyword in call.keywords if keyword.arg == "text"]
    if name in RAISED:
        return call.args
    return call.args[TOLD[name] : TOLD[name] + 1] if name in TOLD else []


def _is_sentence(node: ast.JoinedStr | ast.Constant) -> bool:
    """Neither a name nor a docstring, nor the words of an f-string by themselves."""
    text = node.value if isinstance(node, ast.Constant) else ast.unparse(node)
    return isinstance(text, str) and " " in text.strip() and not text.endswith(".")


def _whole(node: ast.JoinedStr | ast.Constant) -> ast.expr:
    """What begins with a blank follows something else."""
    return ast.Constant(PLACE + node.value) if isinstance(node, ast.Constant) and node.value[:1] == " " else node


class _Module(ast.Module):
    name = ""


_Function = ast.FunctionDef | ast.AsyncFunctionDef


class _Reader:
    """Reads one module: which texts an expression can be."""

    def __init__(self, tree: ast.Module) -> None:
        self._top = _assigned(tree.body)
        self._functions = {node.name: node for node in tree.body if isinstance(node, _Function)}
        self.nodes: list[tuple[ast.AST, ast.AST]] = []
        self._locals: dict[ast.AST, dict[str, list[ast.expr]]] = {}
        self._walk(tree, _Module([], []))

    def _walk(self, node: ast.AST, within: ast.AST) -> None:
        if isinstance(node, _Function):
            within = node
            self._locals[node] = _assigned(ast.walk(node))
        for child in ast.iter_child_nodes(node):
            if isinstance(node, ast.JoinedStr) and isinstance(child, ast.Constant):
                continue
            self.nodes.append((within, child))
            self._walk(child, within)

    def shapes(self, node: ast.expr, within: ast.AST) -> list[str]:
        """Every text that it can be; none where it is not known to be one."""
        return [_joined(each) for each in self._texts(node, within, 0)]

    def _texts(self, node: ast.expr, within: ast.AST, depth: int) -> list[str]:
        match node:
            case ast.Constant(value=str(text)):
                return [text]
            case ast.JoinedStr(values=values):
                return self._together(values, within, depth)
            case ast.BinOp(op=ast.Add(), left=left, right=right):
                return self._together([left, right], within, depth)
            case ast.IfExp(body=body, orelse=orelse):
                return self._either([body, orelse], within, depth)
            case ast.BoolOp(values=values) | ast.Tuple(elts=values):
                return self._either(values, within, depth)
            case ast.Call(func=ast.Attribute(value=value, attr="format")) | ast.NamedExpr(value=value):
                return [re.sub(r"\{\w+\}", PLACE, text) for text in self._texts(value, within, depth)]
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="get"), args=[_, other]) if (
                name in self._top
            ):
                return [*self._named(name, within, depth), *self._texts(other, within, depth)]
            case ast.Subscript(value=ast.JoinedStr() as value):
                return self._texts(value, within, depth)
            case ast.Call(func=ast.Name(id=name)) if name in self._functions:
                return self._returned(self._functions[name], depth)
            case ast.Subscript(value=ast.Name(id=name)) | ast.Name(id=name):
                return self._named(name, within, depth)
        return []

    def _either(self, ways: list[ast.expr], within: ast.AST, depth: int) -> list[str]:
        texts = [self._texts(way, within, depth) for way in ways]
        return [text for some in texts for text in some or [PLACE]] if any(texts) else []

    def _together(self, parts: list[ast.expr], within: ast.AST, depth: int) -> list[str]:
        ways = [self._texts(part, within, depth) or [PLACE] for part in map(_inner, parts)]
        found = list(product(*ways))
        if len(found) > MOST_SHAPES:
            ways = [way if isinstance(part, ast.Constant) else [PLACE] for way, part in zip(ways, parts, strict=True)]
            found = list(product(*ways))
        return ["".join(each) for each in found]

    def _returned(self, function: ast.AST, depth: int) -> list[str]:
        """What a function of the module returns, where all of it are texts; an empty one says that nothing fails."""
        returns = [node for node in ast.walk(function) if isinstance(node, ast.Return) and node.value is not None]
        if depth > DEEPEST:
            return []
        texts = [self._texts(node.value, function, depth + 1) for node in returns if node.value is not None]
        return [text for some in texts for text in some if text] if all(texts) else []

    def _named(self, name: str, within: ast.AST, depth: int) -> list[str]:
        """What is assigned to a name, where all of it are texts."""
        known = self._locals.get(within, {}).get(name) or self._top.get(name) or []
        if depth > DEEPEST:
            return []
        found: list[str] = []
        for each in known:
            values = each.values if isinstance(each, ast.Dict) else [each]
            texts = [self._texts(value, within, depth + 1) for value in values]
            if not all(texts):
                return []
            found += [text for some in texts for text in some]
        return found


def _inner(node: ast.expr) -> ast.expr:
    return node.value if isinstance(node, ast.FormattedValue) else node


def _assigned(nodes: Iterator[ast.AST] | list[ast.stmt]) -> dict[str, list[ast.expr]]:
    found: dict[str, list[ast.expr]] = {}
    for node in nodes:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found.setdefault(node.targets[0].id, []).append(node.value)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
            for target in node.targets[0].elts:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, []).append(ast.Constant(None))
    return found


def _joined(text: str) -> str:
    """Places that touch are one."""
    return re.sub(r"(?:\{\})+", PLACE, text)
