"""`tapgate-central alert` and `health`, as an operator types them."""

from pathlib import Path

from tests.central.terminal import Operator, Served
from tests.support.webhook_sink import webhook_sink


def test_contacts_are_put_listed_and_removed(run: Operator, tmp_path: Path) -> None:
    url = tmp_path / "url"
    url.write_text("https://hooks.example/SECRET\n")
    run("alert", "contact", "put", "lin", "--title", "林館員", "--mail", "lin@library.example", "--kind", "silent")
    run("alert", "contact", "put", "ops", "--title", "Ops", "--webhook-file", str(url), "--venue", "library-1")
    found = run.json("alert", "contact", "list")
    assert [(each["id"], each["webhook_host"]) for each in found] == [("lin", ""), ("ops", "https://hooks.example")]
    shown = run("alert", "contact", "list")
    assert "SECRET" not in shown.output
    assert "No mail leaves this server" in shown.stderr
    run("alert", "contact", "remove", "lin")
    assert [each["id"] for each in run.json("alert", "contact", "list")] == ["ops"]
    assert "no contact 'lin'" in run.refused("alert", "contact", "remove", "lin")
    assert "is no mail address" in run.refused("alert", "contact", "put", "x", "--title", "X", "--mail", "x")


def test_a_test_that_does_not_arrive_is_exit_code_1(run: Operator) -> None:
    run("alert", "contact", "put", "lin", "--title", "Lin", "--mail", "lin@library.example")
    assert "no mail server is configured" in run("alert", "contact", "test", "lin", code=1).stdout


async def test_a_test_that_arrives_is_exit_code_0(run: Operator, tmp_path: Path) -> None:
    import asyncio

    async with webhook_sink() as hook:
        (tmp_path / "url").write_text(hook.url)
        put = ("alert", "contact", "put", "ops", "--title", "Ops", "--webhook-file", str(tmp_path / "url"))
        await asyncio.to_thread(run, *put)
        done = await asyncio.to_thread(run, "alert", "contact", "test", "ops")
        assert done.stdout == "webhook: sent\n"
        assert [body["what"] for body in hook.bodies] == ["test"]


def test_where_there_is_no_alert_it_says_whom_to_look_for(run: Operator) -> None:
    assert "alert contact list" in run("alert", "list").output
    assert run.json("alert", "list") == []
    assert "there is no such alert" in run.refused("alert", "show", "0" * 32)
    assert "there is no such alert" in run.refused("alert", "resolve", "0" * 32, "--why", "x")
    run("alert", "show", "nonsense", code=2)


def test_health_is_shown_before_any_server_ran(run: Operator) -> None:
    found = run.json("health")
    assert (found["servers"], found["database"]["kind"]) == ([], "sqlite")
    assert "No server has run yet" in run("health").output


def test_a_running_server_says_how_it_is_and_ends_in_time(served: Served) -> None:
    import json
    import time

    deadline = time.monotonic() + 20
    while not (found := json.loads(served("health", "--json").stdout))["servers"]:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    (server,) = found["servers"]
    assert server["is_live"]
    assert server["tasks"]
    assert all(server["tasks"].values())
    served("alert", "contact", "put", "lin", "--title", "Lin", "--mail", "lin@library.example")
    assert "alerts-not" not in served.stop()
    (server,) = json.loads(served("health", "--json").stdout)["servers"]
    assert (server["is_live"], server["stopped"]) == (False, True)
