"""A support bundle: asked for over the held connection, gathered, redacted, sent once, given up if nobody wants it."""

import asyncio
import base64
import io
import json
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
from aiohttp import web

from edge_agent.config import Config, ReaderSettings
from edge_agent.identity import DomainSecret
from edge_agent.snapshots import Snapshots
from edge_agent.subscription import Subscription
from edge_agent.support import recent_log
from edge_agent.support.bundles import Bundles
from edge_agent.support.contents import LEFT_OUT, Gathered, pack
from edge_agent.support.gathering import bundle_of, secrets_of
from edge_agent.uplink import Uplink
from protocol.configuration import StaffPin
from protocol.envelope import digest
from protocol.errors import Failure, Refused
from protocol.messages import Ask, GateConfig, PartName
from tests.edge_agent.support.test_redaction import PINS, UIDS, forms_of
from tests.support.central_side import DAY_MS, DEVICE, GATE, CentralSide, key, serving, uid
from tests.support.edge_side import Edge

JOIN_TOKEN = "tapgate1:gqRodHRwczovL2NlbnRyYWwuZXhhbXBsZcQQ"


def ask(central: CentralSide, version: int = 1, **changes: Any) -> Ask:
    return msgspec.structs.replace(
        Ask(DEVICE, version, bytes([version]) * 16, "bundle", central.now_ms + DAY_MS), **changes
    )


def read(packed: bytes) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        return {
            entry.name.removeprefix("tapgate-bundle/"): archive.extractfile(entry).read().decode()  # type: ignore[union-attr]
            for entry in archive.getmembers()
        }


def gathered(**changes: Any) -> Gathered:
    place = {"device": DEVICE, "gate": GATE}
    return Gathered(place, 1_790_000_000_000, {}, Config(Path("/data")), [], [], ())._replace(**changes)


# --- being asked ------------------------------------------------------------------------------------------------------


async def test_an_ask_is_taken_up_once_and_the_next_poll_names_it(stocked: Edge, central: CentralSide) -> None:
    heard: list[Ask] = []
    stocked.uptake.asks.on_ask = heard.append
    central.ask = ask(central)
    stocked.poll()
    stocked.poll()
    assert heard == [central.ask]
    assert (PartName.ASK.value, 1) in [(part.name, part.version) for part in central.polls[-1].parts]


async def test_an_ask_for_another_device_is_refused_said_and_not_stormed(stocked: Edge, central: CentralSide) -> None:
    central.ask = ask(central, device="another")
    stocked.poll()
    stocked.poll()
    assert stocked.uptake.asks.held is None
    assert [trouble.part for trouble in central.polls[-1].troubles] == ["ask"]


async def test_an_ask_takes_nothing_of_what_is_held_and_writes_nothing(stocked: Edge, central: CentralSide) -> None:
    stocked.poll()
    before = stocked.gate.holding
    central.ask = ask(central)
    stocked.poll()
    assert stocked.gate.holding is before


@pytest.mark.parametrize(
    ("changes", "kind"),
    [({"version": 4}, Failure.NOT_NEWER), ({"until_ms": 1}, Failure.EXPIRED), ({"what": "x"}, Failure.NOT_SATISFIABLE)],
)
async def test_what_is_older_over_or_unknown_is_refused(
    stocked: Edge, central: CentralSide, changes: dict[str, Any], kind: Failure
) -> None:
    asks = stocked.uptake.asks
    asks.take(ask(central, 5), DEVICE, 0)
    with pytest.raises(Refused) as refused:
        asks.take(ask(central, **{"version": 6, **changes}), DEVICE, central.now_ms)
    assert refused.value.kind is kind
    assert asks.held is not None
    assert asks.held.version == 5


# --- sending ----------------------------------------------------------------------------------------------------------


class Sender:
    """The loop that sends, on a real connection."""

    def __init__(self, central: CentralSide, uplink: Uplink) -> None:
        self.made = 0
        self.now_ms = central.now_ms
        self.bundles = Bundles(DEVICE, central.device_signer, uplink, self.gather, lambda: self.now_ms)

    def gather(self) -> bytes:
        self.made += 1
        return b"content"


@pytest.fixture
async def sender(edge: Edge, central: CentralSide) -> AsyncIterator[Sender]:
    app = central.app()
    central.statuses = []  # type: ignore[attr-defined]

    @web.middleware
    async def refuse(request: web.Request, handler: Any) -> Any:
        statuses: list[int] = central.statuses  # type: ignore[attr-defined]
        return web.Response(status=statuses.pop(0)) if statuses else await handler(request)

    app.middlewares.append(refuse)
    async with serving(app) as url:
        identity = msgspec.structs.replace(edge.uptake.identity, url=url)
        async with Uplink(identity, None) as uplink:
            made = Sender(central, uplink)
            task = asyncio.create_task(made.bundles.run(0.05))
            yield made
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def until(holds: Any, within_s: float = 10) -> None:
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.01)


async def test_a_bundle_is_made_once_and_sent_until_central_has_it(sender: Sender, central: CentralSide) -> None:
    central.statuses = [503, 500, 429]  # type: ignore[attr-defined]
    sender.bundles.take(ask(central))
    await until(lambda: central.bundles)
    (bundle, content) = central.bundles[0]
    assert (bundle.ask, bundle.why, bundle.size, content) == (b"\1" * 16, "", 7, b"content")
    assert bundle.digest == digest(b"content")
    assert sender.made == 1


@pytest.mark.parametrize("status", [404, 409, 410, 413, 403])
async def test_one_that_nobody_wants_is_given_up_and_the_next_ask_is_answered(
    sender: Sender, central: CentralSide, status: int
) -> None:
    central.statuses = [status]  # type: ignore[attr-defined]
    sender.bundles.take(ask(central))
    sender.bundles.take(ask(central, 2))
    await until(lambda: central.bundles)
    assert [bundle.ask for bundle, _ in central.bundles] == [b"\2" * 16]


async def test_one_that_is_too_late_is_not_sent(sender: Sender, central: CentralSide) -> None:
    sender.now_ms = central.now_ms + 2 * DAY_MS
    sender.bundles.take(ask(central))
    sender.bundles.take(ask(central, 2, until_ms=central.now_ms + 3 * DAY_MS))
    await until(lambda: central.bundles)
    assert [bundle.ask for bundle, _ in central.bundles] == [b"\2" * 16]


async def test_that_it_could_not_be_made_is_said(
    sender: Sender, central: CentralSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> bytes:
        raise OSError("the card 2a83155e cannot be read")

    sender.bundles._gather = broken
    sender.bundles.take(ask(central))
    await until(lambda: central.bundles)
    bundle, content = central.bundles[0]
    assert (content, bundle.size) == (b"", 0)
    assert bundle.why.startswith("OSError")
    assert "2a83" not in bundle.why


# --- what is in it ----------------------------------------------------------------------------------------------------


def test_uids_tokens_keys_and_pins_that_are_planted_everywhere_are_in_no_bundle(stocked: Edge) -> None:
    """The whole way: status, settings, findings of the doctor and the log of a gate that saw and said all of it."""
    identity = msgspec.structs.replace(
        stocked.uptake.identity,
        secret=key("join")[:16],
        domain_keys=(DomainSecret("libraries", 1, stocked.central.domain_key()),),
    )
    staff = (StaffPin("desk", key("salt")[:16], key("verifier")),)
    holding = msgspec.structs.replace(stocked.gate.holding, config=GateConfig(1, GATE, "door", staff=staff))
    tokens = [bytes(row) for row in list(stocked.central.rows)[:3]]
    raw = [*(bytes.fromhex(each) for each in UIDS), *(uid(n) for n in range(3))]
    planted = [*raw, *tokens, *secrets_of(identity, holding)]
    forms = [form for each in planted for form in forms_of(each)] + list(PINS) + [JOIN_TOKEN]
    recent_log._entries.clear()
    log = structlog.wrap_logger(None, processors=[recent_log.remember, drop])
    for form in forms[:MOST_LOGGED]:
        log.error("tap-not-written", error=f"row {form}", why=form, exception=f"ValueError: {form}", code=form)
    status = {"running": True, "troubles": forms, "readers": [{"name": "front", "why": form} for form in forms]}
    status |= {"epoch": "a1b2c3d4e5f60718", "unknown_to_the_bundle": forms, "door": {"why": forms[0]}}
    settings = Config(
        Path("/data"),
        readers=tuple(ReaderSettings(form[:64] or "x", "simulated", path=form) for form in forms[:20]),
    )
    files = read(bundle_of(settings, identity, holding, status, 1_790_000_000_000))
    assert sorted(files) == ["about.json", "doctor.json", "log.jsonl", "settings.json", "status.json"]
    assert LEFT_OUT not in files.values(), "the patterns had taken it out before the last look"
    assert json.loads(files["status.json"])["epoch"] == "a1b2c3d4e5f60718"
    whole = "\n".join(files.values())
    for each in planted:
        for form in (*forms_of(each), base64.b32encode(each).decode()):
            assert form not in whole, form
    for text in (*PINS, JOIN_TOKEN):
        assert text not in whole
    assert len(files["log.jsonl"].splitlines()) == min(MOST_LOGGED, len(forms))


MOST_LOGGED = 300


def drop(_logger: Any, _name: str, _entry: Any) -> Any:
    raise structlog.DropEvent


def test_a_secret_that_the_patterns_let_through_leaves_its_file_out() -> None:
    secret = b"abcdefghij-long-words"
    found = gathered(status={"troubles": ["abcdefghij-long-words"]}, secrets=(secret,))
    files = read(pack(found))
    assert files["status.json"] == LEFT_OUT
    assert files["settings.json"] != LEFT_OUT


def test_a_bundle_that_is_too_large_is_made_with_less_of_the_log() -> None:
    log = [{"event": "reader", "why": " ".join(f"w{n}-{m}" for m in range(200))} for n in range(300)]
    whole = pack(gathered(log=log))
    less = pack(gathered(log=log), most_bytes=len(whole) // 2)
    assert len(less) <= len(whole) // 2
    kept = read(less)["log.jsonl"].splitlines()
    assert 0 < len(kept) < 300
    assert "w299-1" in kept[-1], "the newest stay"
    with pytest.raises(ValueError, match="bytes"):
        pack(gathered(log=log), most_bytes=10)


def test_only_what_was_chosen_of_a_log_entry_and_a_status_is_told() -> None:
    entry = {
        "event": "wrong-pin",
        "staff": "wang",
        "failures": 3,
        "inside": 7,
        "level": "warning",
        "version": 123_456_789,
    }
    files = read(pack(gathered(log=[entry], status={"surprise": "x", "backlog": 4})))
    assert json.loads(files["log.jsonl"]) == {"level": "warning", "event": "wrong-pin", "version": 123_456_789}
    assert json.loads(files["status.json"]) == {"backlog": 4}


# --- the whole way ----------------------------------------------------------------------------------------------------


async def test_a_held_poll_brings_the_ask_and_the_bundle_goes_back(stocked: Edge, central: CentralSide) -> None:
    async with serving(central.app()) as url:
        identity = msgspec.structs.replace(stocked.uptake.identity, url=url)
        async with Uplink(identity, None) as uplink:
            signer, uptake = central.device_signer, stocked.uptake
            snapshots = Snapshots(uptake, signer, uplink, stocked.clock)
            subscription = Subscription(uptake, signer, uplink, stocked.clock, snapshots, 1)
            bundles = Bundles(DEVICE, signer, uplink, lambda: b"bundle", lambda: central.now_ms)
            uptake.asks.on_ask = bundles.take
            task = asyncio.create_task(bundles.run(0.1))
            central.ask = ask(central)
            await subscription.step()
            await until(lambda: central.bundles)
            task.cancel()
    assert central.bundles[0][1] == b"bundle"
