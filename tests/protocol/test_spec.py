"""SPEC.md names everything that the code knows, and the code holds every number that SPEC.md states."""

import ast
import re
from enum import StrEnum
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import pytest

from protocol import clock, configuration, consent, events, messages, policy, token, uid, wire
from protocol.decision import Tap
from protocol.errors import Failure
from protocol.events import Clock, Custody, Direction, Kind, Outcome, Passage
from protocol.messages import PartName, Role
from protocol.policy import Policy, Refuse, Schedule
from protocol.proof import Finding, Proof, Step
from protocol.reasons import HEADLINES, NEXT_STEPS, TEXTS, Reason

HERE = Path(messages.__file__).parent
SPEC = (HERE / "SPEC.md").read_text(encoding="utf-8")
WORDS = {re.sub(r"\s+", " ", word) for word in re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", SPEC, flags=re.S))}
QUOTED = set(re.findall(r'"([a-z-]+)"', SPEC))


def named(word: str) -> bool:
    """In code style, alone, in a list, or quoted inside a form."""
    return word in WORDS or word in QUOTED or any(re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", w) for w in WORDS)


def test_every_message_type_is_named() -> None:
    types = {
        value
        for path in HERE.glob("*.py")
        for value in re.findall(r'"(tapgate\.[a-z-]+\.v\d+)"', path.read_text(encoding="utf-8"))
    }
    assert len(types) >= 21
    assert {type_ for type_ in types if f"`{type_}`" not in SPEC} == set()


def test_every_type_that_is_named_is_a_message() -> None:
    known = {getattr(kind, "TYPE", "") for kind in (*vars(messages).values(), Policy, Proof)}
    assert set(re.findall(r"`(tapgate\.[a-z-]+\.v\d+)`", SPEC)) <= known


@pytest.mark.parametrize(
    "names",
    [Failure, Reason, Kind, Direction, Outcome, Passage, Custody, Role, PartName, uid.Notation, Step, Finding],
)
def test_every_stable_string_is_named(names: type[StrEnum]) -> None:
    assert [name.value for name in names if not named(name.value)] == []


def test_every_failure_that_is_listed_exists_and_the_other_way_round() -> None:
    listed = re.search(r"1\.4 Kinds of failure \(stable strings\): (.*?)\n\n", SPEC, re.S)
    assert listed is not None
    assert set(re.findall(r"`([a-z-]+)`", listed[1])) == {failure.value for failure in Failure}


def test_every_reason_that_is_listed_exists_and_the_other_way_round() -> None:
    listed = re.search(r"## 9 Reasons\n\n(.*?)\sEach", SPEC, re.S)
    assert listed is not None
    assert re.findall(r"`([a-z-]+)`", listed[1]) == [reason.value for reason in Reason]


def test_every_rule_kind_and_policy_field_is_named() -> None:
    fields = {*Policy.__struct_fields__, *Schedule.__struct_fields__[-2:], *Refuse.__struct_fields__}
    reasons = get_args(Refuse.__annotations__["reason"])
    assert [word for word in (*policy.RULE_KINDS, *fields, *reasons) if not named(word)] == []
    assert named("ignore-dates")


def test_every_field_and_choice_of_rules_tariffs_and_sessions_is_named() -> None:
    kinds = (*get_args(policy.Rule), policy.Tariff, policy.Session, policy.Calendar)
    fields = {field for kind in kinds for field in kind.__struct_fields__}
    choices = {
        choice
        for kind in kinds
        for annotation in get_type_hints(kind).values()
        if get_origin(annotation) is Literal
        for choice in get_args(annotation)
    }
    assert {"soft", "started-hour", "later", "visit"} <= choices
    assert {word for word in fields if not named(word)} == set()
    assert {word for word in choices if not named(word)} == set()


def test_every_key_of_a_configuration_is_named() -> None:
    maps = (
        messages.GateConfig,
        messages.ReleaseConfig,
        messages.ScreenConfig,
        messages.StaffPin,
        messages.Closure,
        messages.Wording,
        messages.Profiles,
    )
    assert [field for kind in maps for field in kind.__struct_fields__ if not named(field)] == []
    choices = [
        choice
        for kind in maps
        for annotation in kind.__annotations__.values()
        if get_origin(annotation) is Literal
        for choice in get_args(annotation)
    ]
    assert len(choices) >= 8
    assert [choice for choice in choices if not named(choice)] == []


def test_every_event_kind_has_its_row() -> None:
    rows = set(re.findall(r"^\| `([a-z-]+)` \|", SPEC, re.M))
    assert {kind.value for kind in Kind} <= rows


def test_every_limit_stands_with_its_value() -> None:
    limits = {
        name: value
        for module in (wire, policy, uid, token, clock, configuration, consent)
        for name, value in vars(module).items()
        if name.startswith("MAX_") and isinstance(value, int)
    }
    assert len(limits) >= 10
    stated = {int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", SPEC)}
    assert {name: value for name, value in limits.items() if value not in stated} == {}
    assert wire.LAST_MS in stated
    assert clock.TOLERANCE_MS // 1_000 in stated


def test_limits_of_maps_stand_with_their_value() -> None:
    kinds = (Policy, messages.GateConfig, messages.Profiles, messages.Consents, messages.Batch, events.Event)
    for kind in (*kinds, messages.Upload, Proof):
        assert f"{kind.MAX_BYTES:,}" in SPEC, kind.__name__


def test_clock_numbers_are_told_in_order() -> None:
    told = re.search(r"0\s(\w+):.*?1\s(\w+):.*?2\s(\w+);\s3\s(\w+)", SPEC, re.S)
    assert told is not None
    assert list(told.groups()) == [state.name.lower() for state in Clock]


def test_placeholders_are_told() -> None:
    assert {raw.hex() for raw in uid.PLACEHOLDERS} <= WORDS


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_can_be_told_in_chinese_and_english(reason: Reason) -> None:
    chinese, english = TEXTS[reason]
    assert re.search(r"[\u4e00-\u9fff]", chinese)
    assert not re.search(r"[A-Za-z]", chinese)
    assert english.isascii()
    assert english[0].isupper()
    assert len(HEADLINES[reason][0]) <= 12, "it has to fit a screen in huge type"
    assert len(HEADLINES[reason][1]) <= 40
    assert len(NEXT_STEPS[reason][0]) <= 10
    assert len(NEXT_STEPS[reason][1]) <= 40
    assert bool(NEXT_STEPS[reason][0]) is bool(NEXT_STEPS[reason][1])


def test_who_is_denied_is_told_what_to_do() -> None:
    granted = {Reason.OK, Reason.LEAVING, Reason.STAFF_ADMITTED}
    assert all(NEXT_STEPS[reason][0] for reason in set(Reason) - granted)


def test_every_reason_is_told_apart_from_the_others() -> None:
    assert len(set(TEXTS.values())) == len(Reason)
    assert set(TEXTS) == set(Reason)


def test_every_failure_is_used_somewhere_in_the_house() -> None:
    house = [path for folder in ("protocol", "central", "edge_agent") for path in (HERE.parent / folder).rglob("*.py")]
    used = {
        node.attr
        for path in house
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Failure"
    }
    assert {failure.name for failure in Failure} - used <= {"AMBIGUOUS", "BROKEN_CHAIN", "OTHER_EPOCH"}


def test_a_tap_holds_no_uid() -> None:
    assert not {"uid", "raw", "token"} & set(Tap.__struct_fields__)
