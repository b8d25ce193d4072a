"""Which field about a person goes where and why: data of this package, which the docs and a test are held against."""

from functools import cache
from importlib.resources import files

import msgspec


class Flow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A struct, a message or a row that leaves or comes. `of`: module and what says its fields, `name`: as people call
    it; `fields`: why each of them is needed."""

    of: str
    to: str
    purpose: str
    fields: dict[str, str]
    name: str = ""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    flows: list[Flow]


@cache
def flows() -> tuple[Flow, ...]:
    """All, in the order of the file."""
    text = files("central.privacy").joinpath("flows.toml").read_bytes()
    return tuple(msgspec.toml.decode(text, type=_File).flows)


def as_table() -> str:
    """Markdown, a line a field: what stands in docs/privacy.md."""
    lines = ["| what | field | goes to | for | why |", "|---|---|---|---|---|"]
    for flow in flows():
        name = flow.name or flow.of.partition(":")[2]
        lines += [f"| {name} | `{field}` | {flow.to} | {flow.purpose} | {why} |" for field, why in flow.fields.items()]
    return "\n".join(lines) + "\n"
