"""What a form may bring: within limits, whatever it is made of, and nothing is left behind."""

import os
from pathlib import Path
from typing import Any
from unittest import mock

import aiohttp
import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from central.access.sign_in import here_alone
from central.config import parse
from central.console.bodies import forget_spooled
from central.console.guard import UNTOLD, origin_of
from tests.central.console.person import Console, Person


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


async def send(person: Person, form: aiohttp.FormData) -> int:
    return (await person.send("/console/look", data=form, allow_redirects=False)).status


def parts(count: int, name: str | None, filename: str | None, size: int = 0) -> aiohttp.FormData:
    form = aiohttp.FormData()
    for number in range(count):
        form.add_field(name if name is not None else f"field-{number}", b"x" * size, filename=filename)
    return form


@pytest.mark.parametrize("filename", ["empty.csv", None])
async def test_parts_without_end_are_refused_and_cost_no_open_file(console: Console, filename: str | None) -> None:
    visitor = console.visitor()
    await visitor.get("/console/sign-in")
    before = open_files()
    assert await send(visitor, parts(2_500, None, filename)) == 400
    assert open_files() - before < 20


async def test_many_long_fields_are_too_much_together(console: Console) -> None:
    visitor = console.visitor()
    await visitor.get("/console/sign-in")
    assert await send(visitor, parts(8, None, None, size=1_000_000)) == 413


async def test_one_file_is_enough(console: Console) -> None:
    ana = await console.sign_in("admin")
    assert await send(ana, parts(2, "file", "table.csv", size=1_000)) == 413


async def test_what_was_being_sent_when_the_process_was_killed_is_forgotten(tmp_path: Path) -> None:
    for name in ("uploaded-abc", "attached-abc", "central.db", "scratch-abc/central.db", "snapshots/6c-1.77.new"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("uid")
    forget_spooled(tmp_path)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["central.db"]
    assert not (tmp_path / "scratch-abc").exists()


@pytest.mark.parametrize(
    ("settings", "alone"),
    [
        ({}, True),
        ({"proxied": True}, False),
        ({"console_url": "https://console.example"}, False),
        ({"url": "https://tapgate.example:8443"}, False),
        ({"host": "0.0.0.0", "tls": "self-signed"}, False),
    ],
)
def test_a_demonstration_is_for_a_server_that_nobody_else_reaches(settings: dict[str, object], alone: bool) -> None:
    assert here_alone(parse({"data_dir": "/tmp/none", "tls": "none", **settings})) == alone


@pytest.mark.parametrize(
    ("lines", "origin"),
    [
        (["127.0.0.1", "203.0.113.9"], "203.0.113.9"),
        (["127.0.0.1, 203.0.113.9"], "203.0.113.9"),
        (["203.0.113.9, nonsense"], UNTOLD),
        ([], UNTOLD),
    ],
)
def test_behind_a_proxy_people_come_from_where_the_proxy_says(lines: list[str], origin: str) -> None:
    headers = CIMultiDict([("X-Forwarded-For", line) for line in lines])
    request = make_mocked_request("GET", "/", headers=headers, transport=_from("127.0.0.1"))
    assert origin_of(request, proxied=True) == origin
    assert origin_of(request, proxied=False) == "127.0.0.1"


def _from(address: str) -> Any:
    transport = mock.Mock()
    transport.get_extra_info = lambda name: (address, 1) if name == "peername" else None
    return transport
