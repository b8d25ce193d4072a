"""`doctor` on the kiosk screen: the page, the browser that shows it, and type for Chinese."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from edge_agent.checks import Result
from edge_agent.commissioning.machine import Ran
from tests.edge_agent.gate_machine import GateMachine

OK, WARN, FAIL = Result.OK, Result.WARN, Result.FAIL
NOT_APPLICABLE, NOT_KNOWN = Result.NOT_APPLICABLE, Result.NOT_KNOWN


@contextmanager
def serving(status: int, body: bytes) -> Iterator[int]:
    """The port of something that answers so."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@contextmanager
def listening(answers: bool) -> Iterator[int]:
    """A port that is taken by something that says nothing, or by nobody."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        if answers:
            taken.listen()
        yield taken.getsockname()[1]


def with_screen(gate: GateMachine, port: int) -> None:
    gate.configure(f"[screen]\nport = {port}\n")


def test_a_gate_without_a_screen_needs_nothing(gate: GateMachine) -> None:
    assert [gate.result(id_) for id_ in ("screen", "kiosk", "fonts")] == [NOT_APPLICABLE] * 3


@pytest.mark.parametrize(
    ("status", "body", "result"),
    [(200, b"<!doctype html><html lang=zh>", OK), (403, b"<html>", FAIL), (200, b"another program's", FAIL)],
)
def test_the_page_of_a_running_agent_is_asked_for(gate: GateMachine, status: int, body: bytes, result: Result) -> None:
    gate.status = {"running": True}
    with serving(status, body) as port:
        with_screen(gate, port)
        (verdict,) = gate.look("screen")
    assert verdict.result is result
    assert verdict.mend or result is OK


@pytest.mark.parametrize("answers", [True, False])
def test_a_page_that_does_not_come_is_found(gate: GateMachine, monkeypatch: pytest.MonkeyPatch, answers: bool) -> None:
    monkeypatch.setattr("edge_agent.checks.screen.ANSWER_S", 0.3)
    gate.status = {"running": True}
    with listening(answers) as port:
        with_screen(gate, port)
        assert gate.result("screen") is FAIL


@pytest.mark.parametrize(("answers", "result"), [(True, FAIL), (False, NOT_KNOWN)])
def test_while_no_agent_runs_its_port_has_to_be_free(gate: GateMachine, answers: bool, result: Result) -> None:
    with listening(answers) as port:
        with_screen(gate, port)
        assert gate.result("screen") is result


def test_a_browser_has_to_be_there_and_to_start_at_boot(gate: GateMachine) -> None:
    with_screen(gate, 8460)
    (verdict,) = gate.look("kiosk")
    assert (verdict.result, verdict.mend) == (FAIL, ("sudo apt install chromium cage fonts-noto-cjk",))
    gate.write("/usr/bin/chromium", "")
    (verdict,) = gate.look("kiosk")
    assert (verdict.result, verdict.mend) == (WARN, ("sudo tapgate-edge setup --yes --screen",))
    gate.write("/etc/xdg/autostart/tapgate-kiosk.desktop", "")
    assert gate.result("kiosk") is OK


@pytest.mark.parametrize(
    ("answer", "result"),
    [(None, NOT_KNOWN), (Ran(0, ""), FAIL), (Ran(0, "Noto Sans CJK TC,Noto Sans CJK TC Bold\n"), OK)],
)
def test_type_for_chinese_has_to_be_there(gate: GateMachine, answer: Ran | None, result: Result) -> None:
    with_screen(gate, 8460)
    gate.said["fc-list :lang=zh-tw"] = answer
    assert gate.result("fonts") is result
