"""Every action has a rule, and the table says the same as this one, which was written beside it."""

import pytest

from central.access.caller import Role
from central.access.reach import KINDS
from central.access.rules import LOCAL_ONLY, RULES, may
from central.access.shows import SHOWS
from central.actions.registry import ACTIONS
from tests.central.callers import caller

ROLES = ("admin", "auditor", "operator", "coordinator")


def test_every_action_has_a_rule() -> None:
    assert sorted(ACTIONS.keys() - RULES.keys() - LOCAL_ONLY) == []


def test_no_rule_is_about_an_action_that_there_is_not() -> None:
    assert sorted(RULES.keys() - ACTIONS.keys()) == []


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_rule_names_parameters_that_the_action_has(name: str) -> None:
    rule = RULES[name]
    fields = set(ACTIONS[name].params.__struct_fields__)
    assert {field for _, field in rule.own} <= fields
    assert {kind for kind, _ in rule.own} <= KINDS.keys()
    if rule.roles:
        assert rule.own or rule.filtered or rule.open, "who it is for could ask for the whole city"


@pytest.mark.parametrize("name", sorted(RULES))
def test_an_auditor_may_read_everything_and_change_nothing_of_the_city(name: str) -> None:
    writes = ACTIONS[name].writes
    own_account = Role.AUDITOR in RULES[name].roles
    assert may(caller("eve", "auditor"), name, writes=writes) == (not writes or own_account)


def test_an_auditor_changes_nothing_but_their_own_account() -> None:
    written = {name for name, rule in RULES.items() if Role.AUDITOR in rule.roles and ACTIONS[name].writes}
    assert all(name.startswith(("account.", "session.", "token.")) for name in written), written


@pytest.mark.parametrize("name", sorted(LOCAL_ONLY))
@pytest.mark.parametrize("role", ROLES)
def test_what_names_paths_of_the_server_is_for_its_command_line_alone(name: str, role: str) -> None:
    assert not may(caller("ana", role), name, writes=ACTIONS[name].writes)


@pytest.mark.parametrize("role", ROLES)
def test_an_action_without_a_rule_is_refused_to_everybody(role: str) -> None:
    assert not may(caller("ana", role), "no.such", writes=False)


@pytest.mark.parametrize("name", sorted(RULES))
def test_somebody_without_a_role_may_do_nothing(name: str) -> None:
    assert not may(caller("nobody"), name, writes=ACTIONS[name].writes)


def test_reading_actions_show_what_changes_are_about() -> None:
    for name, (shown, _) in SHOWS.items():
        assert ACTIONS[name].writes, name
        assert not ACTIONS[shown].writes, shown
