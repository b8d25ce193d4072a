"""Random messages, built from the types themselves: any value that the annotations allow."""

import datetime as dt
import enum
import re
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from hypothesis import strategies as st
from msgspec import Meta

MIDNIGHT_SPANS = ("09:00-17:00", "20:00-26:00", "00:00-24:00")
TIMES_OF_DAY = ("00:00", "04:30", "23:59")


def of(kind: Any, meta: Meta | None = None) -> st.SearchStrategy[Any]:
    """A strategy for values of an annotated type."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return of(args[0], args[1])
    if origin in (Union, types.UnionType):
        return st.one_of([of(arm) for arm in args])
    if origin is Literal:
        return st.sampled_from(args)
    if origin is tuple:
        return _tuples(args, meta)
    if origin is dict:
        return st.dictionaries(of(args[0]), of(args[1]), max_size=3)
    return _plain(kind, meta)


def _tuples(args: tuple[Any, ...], meta: Meta | None) -> st.SearchStrategy[Any]:
    if args[-1] is not Ellipsis:
        return st.tuples(*(of(arg) for arg in args))
    least, most = (meta and meta.min_length) or 0, min((meta and meta.max_length) or 4, 4)
    return st.lists(of(args[0]), min_size=least, max_size=most).map(tuple)


def _plain(kind: Any, meta: Meta | None) -> st.SearchStrategy[Any]:
    if kind is type(None):
        return st.none()
    if kind is bool:
        return st.booleans()
    if kind is dt.date:
        return st.dates()
    if kind is int:
        least, most = (meta.ge, meta.le) if meta else (None, None)
        return st.integers(least if least is not None else -(2**63), most if most is not None else 2**63 - 1)
    if kind is bytes:
        least, most = (meta and meta.min_length) or 0, (meta and meta.max_length) or 64
        return st.binary(min_size=least, max_size=min(most, max(least, 64)))
    if kind is str:
        return _texts(meta)
    if issubclass(kind, enum.Enum):
        return st.sampled_from(kind)
    return structs(kind)


def _texts(meta: Meta | None) -> st.SearchStrategy[str]:
    if meta and meta.pattern and meta.max_length is None:
        return st.sampled_from([text for text in (*MIDNIGHT_SPANS, *TIMES_OF_DAY) if re.search(meta.pattern, text)])
    letters = st.characters(exclude_categories=("Cs", "Cc"))
    return st.text(letters, min_size=(meta and meta.min_length) or 0, max_size=(meta and meta.max_length) or 40)


def structs(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """A strategy for instances of a struct that its own rules accept."""
    fields = {field.name: of(field.type) for field in msgspec.structs.fields(kind)}
    return st.fixed_dictionaries(fields).map(lambda given: _made(kind, given)).filter(lambda made: made is not None)


def _made(kind: type[msgspec.Struct], given: dict[str, Any]) -> Any:
    try:
        return kind(**given)
    except ValueError:
        return None
