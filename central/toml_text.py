"""Policies and configurations as text that people edit: TOML, without what is as it is by default. Pure."""

import datetime as dt
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

WIDTH = 110
_BARE = re.compile(r"[A-Za-z0-9_-]+")


class NotText(ValueError):
    """It is no TOML, or not a table. The text says where, for a person."""


def read(text: str) -> dict[str, Any]:
    """What a text says. Raises NotText."""
    try:
        found = tomllib.loads(text.replace("\r\n", "\n"))
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise NotText(str(error) or "it is nested too deeply") from None
    return dict(msgspec.to_builtins(found, builtin_types=(dt.date,)))


def spare(struct: Any) -> dict[str, Any]:
    """A struct as a map, without the fields that have their default."""
    tag = struct.__struct_config__.tag
    found: dict[str, Any] = {str(struct.__struct_config__.tag_field): tag} if tag else {}
    for field in msgspec.structs.fields(struct):
        value = getattr(struct, field.name)
        made = field.default_factory
        if value != (field.default if made is msgspec.NODEFAULT else made()):
            found[field.encode_name] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return spare(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return msgspec.to_builtins(value)


def write(body: Mapping[str, Any]) -> str:
    """A map as text; what is None is left out."""
    return "\n".join(_table(body, ())).lstrip("\n") + "\n"


def _table(body: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    """Plain values first: what comes after a heading belongs to it."""
    for name, value in body.items():
        if value is not None and not _is_table(value) and not _is_tables(value):
            yield f"{_key(name)} = {_value(value, len(name) + 3)}"
    for name, value in body.items():
        below = (*path, name)
        if _is_table(value):
            if any(not _is_table(each) for each in value.values()) or not value:
                yield f"\n[{_dotted(below)}]"
            yield from _table(value, below)
        elif _is_tables(value):
            for each in value:
                yield f"\n[[{_dotted(below)}]]"
                yield from _table(each, below)


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_tables(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(map(_is_table, value))


def _value(value: Any, indent: int) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return _array(value, indent)
    if isinstance(value, Mapping):
        inner = (f"{_key(name)} = {_value(each, 0)}" for name, each in value.items() if each is not None)
        return f"{{{', '.join(inner)}}}"
    if isinstance(value, dt.date):
        return value.isoformat()
    return str(value)


def _array(values: Sequence[Any], indent: int) -> str:
    """In one line where it fits, else as many to a line as fit: a year's holidays are a block and no column."""
    parts = [_value(each, 0) for each in values]
    line = f"[{', '.join(parts)}]"
    if len(line) + indent <= WIDTH:
        return line
    lines, now = list[str](), ""
    for part in parts:
        if now and len(now) + len(part) > WIDTH - 6:
            lines.append(now)
            now = ""
        now += f"{part}, "
    return "[\n" + "".join(f"  {each.rstrip()}\n" for each in [*lines, now]) + "]"


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _value(name, 0)


def _dotted(path: Sequence[str]) -> str:
    return ".".join(map(_key, path))
