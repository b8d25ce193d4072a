"""Accounts, tokens and the audit log at the command line."""

import json

import pytest

from central.operate import user_name
from tests.central.terminal import Operator, Served


def test_init_makes_the_first_admin_once_and_prints_the_password_once(run: Operator) -> None:
    text = run("init", "--admin", "lin").stdout
    (password,) = [word for line in text.splitlines() if line.startswith("Account lin") for word in line.split()[-1:]]
    assert len(password) == 23
    again = run("init", "--admin", "lin").stdout
    assert password not in again
    assert "Account lin is there already" in again
    (lin,) = run.json("account", "list")
    assert (lin["account"], lin["roles"], lin["must_change"]) == ("lin", ["admin"], True)
    made = run.json("init", "--admin", "wang")
    assert (made["account"], len(made["password"])) == ("wang", 23)
    assert "password" not in run.json("init", "--admin", "wang")
    (entry, _) = run.json("audit", "list", "--action", "account.add")
    assert (entry["target"], entry["outcome"], entry["origin"]) == ("wang", "done", "command line")
    assert made["password"] not in json.dumps(entry)


def test_init_says_what_no_account_can_be_called(run: Operator) -> None:
    assert "--admin Lin Mei" in run.refused("init", "--admin", "Lin Mei")
    assert run.json("account", "list") == []


def test_an_operator_lets_people_in_and_out(run: Operator) -> None:
    assert "No account yet" in run("account", "list").stdout
    made = run("account", "add", "lin", "--role", "operator", "--venue", "library-1", "--title", "林館員").stdout
    assert "Account lin, password " in made
    run("account", "add", "wang", "--role", "admin")
    run("account", "set", "lin", "--role", "auditor", "--no-venues")
    lin, _ = run.json("account", "list")
    assert (lin["roles"], lin["venues"], lin["title"]) == (["auditor"], [], "林館員")
    assert run.json("account", "set", "lin", "--state", "disabled")["sessions_ended"] == 0
    assert "last admin" in run.refused("account", "set", "wang", "--state", "disabled")
    assert run.json("account", "reset", "lin")["password"] not in made
    assert run.json("account", "unlock", "lin")["locked_until_ms"] == 0
    assert "not signed in anywhere" in run("account", "sessions", "lin").stdout
    assert run.json("account", "sessions", "lin", "--end")["sessions_ended"] == 0
    assert "no codes are asked for" in run.refused("account", "no-codes", "lin")
    assert "there is no account 'nobody'" in run.refused("account", "unlock", "nobody")
    run("account", "add", "chen", code=2)


def test_an_operator_gives_a_system_a_token_and_takes_it_away(run: Operator) -> None:
    run("account", "add", "hr", "--role", "admin")
    issued = run("token", "issue", "hr-system", "--account", "hr", "--days", "90", "--action", "card.block")
    assert issued.stdout.strip().startswith("tapgate_")
    assert issued.stdout.count("\n") == 1
    (listed,) = run.json("token", "list")
    assert (listed["id"], listed["actions"], listed["state"]) == ("hr-system", ["card.block"], "active")
    run("token", "revoke", "hr-system")
    assert run.json("token", "list", "--account", "hr")[0]["state"] == "revoked"
    run("token", "issue", "another", "--account", "hr", "--days", "367", code=2)


def test_the_log_says_who_asked_and_is_whole(run: Operator) -> None:
    run("account", "add", "lin", "--role", "operator")
    run("account", "set", "lin", "--title", "林館員")
    (entry,) = run.json("audit", "list", "--target", "lin", "--limit", "1")
    assert (entry["action"], entry["now"]) == ("account.set", {"account": {"title": "林館員"}})
    assert "More: --before" in run("audit", "list", "--limit", "1").stderr
    assert "Nothing was asked for" in run("audit", "list", "--account", "nobody").stdout
    assert run.json("audit", "verify")["whole"] is True
    assert "Whole: " in run("audit", "verify").stdout


def test_who_looked_at_a_person_by_command_stands_in_the_log_too(run: Operator) -> None:
    run("member", "show", "A-1")
    run("gate", "list")
    (looked, *_) = run.json("audit", "list", "--kind", "looks")
    assert (looked["action"], looked["target"]) == ("member.show", "A-1")
    assert (looked["account"], looked["origin"], looked["outcome"]) == (user_name(), "command line", "looked")


@pytest.mark.system
def test_a_running_server_takes_the_same_commands(served: Served) -> None:
    served("account", "add", "lin", "--role", "admin")
    served("account", "set", "lin", "--title", "Chief")
    (entry, *_) = json.loads(served("audit", "list", "--json").stdout)
    assert (entry["action"], entry["origin"], entry["outcome"]) == ("account.set", "local socket", "done")
    served("member", "show", "A-1")
    (entry, *_) = json.loads(served("audit", "list", "--kind", "looks", "--json").stdout)
    assert (entry["action"], entry["origin"], entry["outcome"]) == ("member.show", "local socket", "looked")
