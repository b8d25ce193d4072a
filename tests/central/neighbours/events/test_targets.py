"""Where a webhook may go: to public addresses and to networks that the settings name, judged at every connection."""

import socket
from typing import Any

import pytest

from central.actions.action import ActionFailed
from central.config import ConfigError, parse
from central.neighbours.events import posting
from central.neighbours.events.posting import Poster
from central.neighbours.events.targets import address_of, may_be_called, networks_of, url_fault
from tests.central.neighbours.events.conftest import Telling
from tests.support.webhook_traps import Receiver

SQLITE = pytest.mark.parametrize("engine", ["sqlite"])


@pytest.mark.parametrize(
    "url",
    [
        *("http://hooks.example/x", "ftp://hooks.example/", "https:///x", "https://", "hooks.example/x", ""),
        *("https://user:secret@hooks.example/", "https://hooks.example/#part", "https://hooks.example/a b"),
        *("https://127.0.0.1/", "https://10.0.0.5/", "https://192.168.1.1:8443/", "https://169.254.169.254/latest"),
        *("https://[::1]/", "https://[fe80::1]/", "https://[::ffff:10.0.0.5]/", "https://[64:ff9b::a00:5]/"),
        *("https://[2002:a00:5::1]/", "https://0.0.0.0/", "https://224.0.0.1/", "https://[fd00::1]/"),
        *("http://127.0.0.1/", "http://localhost/", "https://hooks.example:99999/", "https://hooks.example/\u00e9"),
        "https://hooks.example/" + "x" * 2_000,
    ],
)
def test_what_is_no_public_place_is_refused_without_repeating_it(url: str) -> None:
    fault = url_fault(url, ())
    assert fault
    assert "secret" not in fault.replace("put a secret", "")


@pytest.mark.parametrize("url", ["https://hooks.example/x?y=z", "https://8.8.8.8/", "https://[2001:4860:4860::8888]/"])
def test_public_places_may_be_called(url: str) -> None:
    assert url_fault(url, ()) == ""


def test_networks_of_the_settings_may_be_called_and_loopback_in_the_clear() -> None:
    allowed = networks_of(["10.20.0.0/16", "127.0.0.0/8"])
    assert url_fault("https://10.20.3.4/", allowed) == ""
    assert url_fault("http://127.0.0.1:8080/", allowed) == ""
    assert url_fault("http://10.20.3.4/", allowed) != ""
    assert url_fault("https://10.21.0.1/", allowed) != ""


@pytest.mark.parametrize("text", ["10.0.0.5", "fe80::1%eth0", "::ffff:192.168.0.1"])
def test_private_addresses_that_a_name_leads_to_may_not_be_called(text: str) -> None:
    address = address_of(text)
    assert address is not None
    assert not may_be_called(address, ())


async def test_a_name_that_leads_to_this_machine_is_not_connected_to(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name was public when it was set, and its owner turned it round."""

    def turned(_host: str, port: int, *_: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", turned)
    async with Poster(()) as poster:
        sent = await poster.post(f"https://hooks.example:{receiver.port}/", {}, b"{}")
    assert sent.status == 0
    assert "may not be called" in sent.problem
    assert receiver.connections == 0


async def test_an_address_is_judged_as_the_client_reads_it(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "url_fault", lambda *_: "")
    async with Poster(()) as poster:
        for host in ("127.0.0.1", "[::ffff:127.0.0.1]", "[::1]"):
            sent = await poster.post(f"http://{host}:{receiver.port}/", {}, b"{}")
            assert "may not be called" in sent.problem
    assert receiver.connections == 0


async def test_numbers_that_name_loopback_in_other_ways_are_not_connected_to(receiver: Receiver) -> None:
    async with Poster(()) as poster:
        for host in ("127.1", "2130706433", "0x7f.1", "localhost"):
            sent = await poster.post(f"https://{host}:{receiver.port}/", {}, b"{}")
            assert sent.status == 0, host
    assert receiver.connections == 0


@SQLITE
async def test_a_subscription_is_judged_when_it_is_made(telling: Telling) -> None:
    with pytest.raises(ActionFailed, match="is not a public one"):
        await telling.subscribe(webhook="https://10.0.0.5/")
    with pytest.raises(ActionFailed, match="one of the two"):
        await telling.subscribe(webhook="")
    with pytest.raises(ActionFailed, match="account: there is none called 'nobody'"):
        await telling.subscribe(webhook="", reader="nobody")
    with pytest.raises(ActionFailed, match="venue: there is none called 'moon'"):
        await telling.subscribe(venues=["moon"])
    with pytest.raises(ActionFailed, match="no time zone"):
        await telling.subscribe(time_zone="Asia/Atlantis")
    await telling.subscribe()
    with pytest.raises(ActionFailed, match="already"):
        await telling.subscribe()


def test_a_network_of_the_settings_that_is_none_is_named() -> None:
    with pytest.raises(ConfigError, match=r"'events.networks': '10.0.0.5/8' is no network"):
        parse({"events": {"networks": ["10.0.0.5/8"]}})
