"""Every field about a person that leaves is named with a reason."""

import datetime as dt
import importlib
import inspect
import pkgutil
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

import protocol
from central.neighbours.sip2 import requests
from central.neighbours.tables import lists, schema
from central.privacy.flows import as_table, flows
from central.privacy.purposes import purposes

NOBODY = {
    *("Ages", "Ask", "Batch", "Bind", "BindDetail", "Bundle", "BundleUpload", "CardUID", "Choice", "Closure"),
    *("ConsentDetail", "ConsentNotice", "Consents", "SixItems"),
    *("ConfigDetail", "Counted", "Decision", "Delta", "DomainKey", "Enrol", "Enrolled", "Envelope"),
    *("EpochHeld", "EpochStart", "Event", "Exempt", "Fetch", "Fresh", "GateConfig", "GivenBack", "Health"),
    *("Held", "Hello", "History", "Holdings", "InputDetail", "Inventory", "JoinToken", "Key", "KeyStatement"),
    *("LastTap", "Manifest", "Names", "Part", "PassageDetail", "Pending", "Poll", "Profiles", "Proof"),
    *("ReaderDetail", "ReaderHealth", "Receipt", "ReleaseConfig", "Remains", "Resume", "Revoked"),
    *("ScreenConfig", "Snapshot", "StaffClosing", "State", "StoreDetail", "Tap", "Trouble", "UndoDetail"),
    *("Upload", "Went", "Wording"),
}
"""Of the protocol: frames around what is named, and what names nobody. Whoever adds a struct says which it is."""


def structs() -> dict[str, Any]:
    """Of the protocol that have fields, but for policies, which are rules about classes."""
    for module in pkgutil.iter_modules(protocol.__path__):
        importlib.import_module(f"protocol.{module.name}")

    def below(kind: type) -> Any:
        for each in kind.__subclasses__():
            yield each
            yield from below(each)

    found = {each for each in below(msgspec.Struct) if each.__module__.startswith("protocol.")}
    return {
        f"{each.__module__}:{each.__name__}": each
        for each in found
        if each.__struct_fields__ and each.__module__ != "protocol.policy" and not each.__name__.startswith("_")
    }


def test_every_struct_of_the_wire_is_named_with_its_reason_or_names_nobody() -> None:
    named = {flow.of for flow in flows()}
    assert {name for name in structs() if name not in named and name.partition(":")[2] not in NOBODY} == set()


@pytest.mark.parametrize("flow", flows(), ids=lambda flow: flow.of)
def test_no_field_leaves_that_the_table_does_not_name(flow: Any) -> None:
    module, _, name = flow.of.partition(":")
    table, _, key = name.partition(".")
    found = getattr(importlib.import_module(module), table)
    assert fields_of(found[key] if key else found) == set(flow.fields)
    assert all(flow.fields.values())
    assert flow.purpose in purposes()


def fields_of(what: Any) -> set[str]:
    """Of a struct or named tuple, of a table that leaves, of the values of a layout, or of a message to a library."""
    if isinstance(what, schema.Table):
        return {field.name for field in what.fields} & {schema.SUBJECT}
    if isinstance(what, lists.List):
        return set(what.columns)
    if inspect.isfunction(what):
        return set(told_to_a_library(what))
    names = getattr(what, "__struct_fields__", getattr(what, "_fields", ())) or get_args(what)
    return set(names)


def told_to_a_library(request: Any) -> dict[str, str]:
    """What somebody at a gate or counter, and not the library itself, puts into a message: code and parameter."""
    names = [name for name in inspect.signature(request).parameters if name != "now"]
    given = {"now": dt.datetime(2026, 1, 31, tzinfo=dt.UTC)} if "now" in inspect.signature(request).parameters else {}
    said = request(**{name: name for name in names}, **given).fields
    return {code: value for code, value in said if value in set(names) - {"institution", "place", "user", "password"}}


def test_every_table_and_message_about_people_is_named() -> None:
    named = {flow.of for flow in flows()}
    made = inspect.getmembers(requests, inspect.isfunction)
    about = [name for name, each in made if each.__module__ == requests.__name__ and not name.startswith("_")]
    wanted = {f"{requests.__name__}:{name}" for name in about if told_to_a_library(getattr(requests, name))}
    wanted |= {f"{lists.__name__}:LISTS.{name}" for name in lists.LISTS if name not in {"offers"}}
    wanted |= {f"{schema.__name__}:{name.upper()}" for name in schema.TABLES}
    assert len(wanted) == 12
    assert wanted - named == set()


def test_the_page_of_the_docs_says_the_same() -> None:
    page = (Path(__file__).parents[3] / "docs/privacy.md").read_text()
    assert as_table() in page
    for purpose in purposes().values():
        assert f"`{purpose.id}`" in page
