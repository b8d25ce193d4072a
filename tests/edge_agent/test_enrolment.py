"""Joining: nothing is sent before the server is known, a lost answer locks nobody out."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from edge_agent import enrolment
from edge_agent import identity as identity_file
from edge_agent.identity import Identity, IdentityDamaged
from edge_agent.uplink import NetworkFailure
from protocol.envelope import Signer, comparison_words
from protocol.errors import Failure, Refused
from protocol.joining import from_text, to_text
from protocol.messages import Enrolled, JoinToken, Key, Role
from tests.support.central_side import DEVICE, DOMAIN, GATE, VENUE, CentralSide, serving
from tests.support.certificates import server_context
from tests.support.edge_side import Edge


def join_token(central: CentralSide, url: str) -> JoinToken:
    return JoinToken(url, central.secret, central.root.public, True)


def prepared(directory: Path, central: CentralSide, url: str) -> Identity:
    return enrolment.prepare(directory, from_text(to_text(join_token(central, url))))


async def test_a_device_joins_over_tls_that_the_root_vouches_for(central: CentralSide, tmp_path: Path) -> None:
    context, digest = server_context(tmp_path)
    central.served = [Key(digest, (Role.SERVE,))]
    async with serving(central.app(), context) as url:
        identity = await enrolment.enrol(tmp_path, prepared(tmp_path, central, url))
    assert (identity.device, identity.gate, identity.venue, identity.domain) == (DEVICE, GATE, VENUE, DOMAIN)
    assert identity_file.load(tmp_path) == identity
    assert (tmp_path / "identity.json").stat().st_mode & 0o777 == 0o600


async def test_a_server_that_the_root_does_not_vouch_for_never_sees_the_secret(
    central: CentralSide, tmp_path: Path
) -> None:
    context, _ = server_context(tmp_path)
    async with serving(central.app(), context) as url:
        with pytest.raises(Refused):
            await enrolment.enrol(tmp_path, prepared(tmp_path, central, url))
    assert central.enrolled_with is None


async def test_a_lost_answer_is_asked_for_again_with_the_same_keys(central: CentralSide, tmp_path: Path) -> None:
    async with serving(central.app()) as url:
        first = prepared(tmp_path, central, url)
        await enrolment.enrol(tmp_path / "elsewhere", first)  # the answer never came here
        again = prepared(tmp_path, central, url)
        assert again == first
        identity = await enrolment.enrol(tmp_path, again)
        assert await enrolment.enrol(tmp_path, prepared(tmp_path, central, url)) == identity


async def test_a_spent_token_is_said_and_changes_nothing(central: CentralSide, tmp_path: Path) -> None:
    async with serving(central.app()) as url:
        await enrolment.enrol(tmp_path / "one", prepared(tmp_path / "one", central, url))
        with pytest.raises(NetworkFailure) as caught:
            await enrolment.enrol(tmp_path / "two", prepared(tmp_path / "two", central, url))
    assert caught.value.status == 409
    held = identity_file.load(tmp_path / "two")
    assert held is not None
    assert held.device == ""


def test_an_enrolled_device_keeps_its_keys_for_its_central_and_takes_no_other_s_token(
    central: CentralSide, tmp_path: Path
) -> None:
    identity = msgspec.structs.replace(prepared(tmp_path, central, "http://127.0.0.1:1"), device=DEVICE)
    identity_file.save(tmp_path, identity)
    central.secret = bytes(16)
    again = prepared(tmp_path, central, "http://127.0.0.1:2")
    assert (again.device, again.signing_private) == (DEVICE, identity.signing_private)
    central.root = Signer.generate()
    with pytest.raises(Refused, match=DEVICE):
        prepared(tmp_path, central, "http://127.0.0.1:1")
    assert identity_file.load(tmp_path) == identity


def test_no_device_delivers_what_another_one_wrote(stocked: Edge, central: CentralSide) -> None:
    stocked.tap(1)
    stocked.uptake.destroy()
    stocked.close()
    with pytest.raises(Refused, match="journal"):
        prepared(stocked.directory, central, "http://127.0.0.1:1")
    stocked.open()


def test_a_device_that_never_got_an_answer_takes_a_new_token(central: CentralSide, tmp_path: Path) -> None:
    first = prepared(tmp_path, central, "http://127.0.0.1:1")
    central.secret = bytes(16)
    assert prepared(tmp_path, central, "http://127.0.0.1:1").signing_private != first.signing_private


async def test_an_answer_for_another_key_is_refused(
    central: CentralSide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.support import central_side

    def other(*fields: object) -> Enrolled:
        return Enrolled(*fields[:4], Signer.generate().public, 1)  # type: ignore[arg-type]

    monkeypatch.setattr(central_side, "Enrolled", other)
    async with serving(central.app()) as url:
        with pytest.raises(Refused) as caught:
            await enrolment.enrol(tmp_path, prepared(tmp_path, central, url))
    assert caught.value.kind is Failure.OTHER_DEVICE


def test_both_sides_show_the_same_words(central: CentralSide, tmp_path: Path) -> None:
    identity = prepared(tmp_path, central, "http://127.0.0.1:1")
    keys = (identity.signer().public, identity.sealing_public)
    assert enrolment.words(identity) == comparison_words(central.root.public, keys, central.secret)


async def test_waiting_ends_with_the_confirmation_and_survives_the_network(
    central: CentralSide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = iter([lambda: setattr(central, "state", "active")])

    async def fast(_: float) -> None:
        next(steps, lambda: None)()

    central.state = "pending"
    async with serving(central.app()) as url:
        identity = await enrolment.enrol(tmp_path, prepared(tmp_path, central, url))
        monkeypatch.setattr(enrolment.asyncio, "sleep", fast)
        await enrolment.wait_until_confirmed(identity)
    assert len(central.polls) == 2


async def test_waiting_ends_when_the_device_is_turned_away(central: CentralSide, tmp_path: Path) -> None:
    async with serving(central.app()) as url:
        identity = await enrolment.enrol(tmp_path, prepared(tmp_path, central, url))
        central.state = "revoked"
        with pytest.raises(Refused, match="turned away"):
            await asyncio.wait_for(enrolment.wait_until_confirmed(identity), 5)


# --- the key file ---------------------------------------------------------------------------------------------


def test_a_key_file_that_is_not_what_was_written_is_refused(central: CentralSide, tmp_path: Path) -> None:
    prepared(tmp_path, central, "http://127.0.0.1:1")
    path = tmp_path / "identity.json"
    good = path.read_bytes()
    for bad in (b"", b"junk", good[:-3], good.replace(b"127.0.0.1", b"127.0.0.2"), b"\xff" + good):
        path.write_bytes(bad)
        with pytest.raises(IdentityDamaged):
            identity_file.load(tmp_path)


def test_secrets_stay_out_of_what_is_printed(central: CentralSide, tmp_path: Path) -> None:
    identity = prepared(tmp_path, central, "http://127.0.0.1:1")
    assert identity.signing_private.hex() not in repr(identity)
    assert "secret" not in repr(identity)
