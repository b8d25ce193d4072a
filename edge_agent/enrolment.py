"""Joining: from a token that an operator carried here to a device that central knows (SPEC §10)."""

import asyncio
import os
from pathlib import Path

import msgspec
import structlog

from edge_agent import __version__
from edge_agent import identity as identity_file
from edge_agent.identity import Identity
from edge_agent.journal.store import DATABASE
from edge_agent.sync import UNDERSTANDS, first_of, open_all, open_one
from edge_agent.uplink import NetworkFailure, Uplink
from protocol.envelope import Keyring, Signer, comparison_words, new_sealing_key
from protocol.errors import Failure, Refused
from protocol.messages import Enrol, Enrolled, JoinToken, Pending, Poll, Revoked

log = structlog.get_logger(__name__)


def prepare(directory: Path, token: JoinToken) -> Identity:
    """The keys of this device, on disk before central hears of them: a lost answer can then be asked for again.

    A device that has joined keeps its keys: a central restored from a backup older than the device takes it back
    under its old name, with its journal. Raises Refused when it belongs to another central, or where the journal of
    another device lies: no device may deliver what another one wrote.
    """
    held = identity_file.load(directory)
    if held is not None and held.secret == token.secret:
        return held
    if held is not None and held.device:
        if held.root_public != token.root_public:
            raise Refused(Failure.UNKNOWN_KEY, f"this is {held.device} of another central; move its data away first")
        return msgspec.structs.replace(held, url=token.url, pinned=token.pinned, secret=token.secret)
    if held is None and (directory / DATABASE).exists():
        raise Refused(
            Failure.OTHER_DEVICE,
            f"{directory} holds the journal of a device whose keys are gone: move it aside and keep it, then enrol",
        )
    sealing_private, sealing_public = new_sealing_key()
    identity = Identity(
        url=token.url,
        root_public=token.root_public,
        pinned=token.pinned,
        secret=token.secret,
        signing_private=Signer.generate().private_bytes(),
        sealing_private=sealing_private,
        sealing_public=sealing_public,
    )
    identity_file.save(directory, identity)
    return identity


def words(identity: Identity) -> str:
    """What the operator compares with what central shows."""
    keys = (identity.signer().public, identity.sealing_public)
    return comparison_words(identity.root_public, keys, identity.secret)


async def enrol(directory: Path, identity: Identity) -> Identity:
    """Ask central to take this device. May be repeated. Raises NetworkFailure, Refused."""
    async with Uplink(identity, None) as uplink:
        hello, statement = await uplink.hello()
        request = Enrol(identity.secret, identity.signer().public, identity.sealing_public, hello.nonce, __version__)
        answer = await uplink.send("/v1/enrol", identity.signer().seal(request))
    ring = Keyring.stated(statement, statement.at_ms)
    messages = [open_one(envelope, ring).message for envelope in answer]
    if len(messages) != 1 or not isinstance(messages[0], Enrolled):
        raise Refused(Failure.WRONG_TYPE, "this does not answer the enrolment")
    enrolled = messages[0]
    if enrolled.signing_public != identity.signer().public:
        raise Refused(Failure.OTHER_DEVICE, "the answer is for another device's key")
    if identity.device not in ("", enrolled.device):
        raise Refused(Failure.OTHER_DEVICE, f"this is {identity.device}: the token has to be for gate {identity.gate}")
    identity = msgspec.structs.replace(
        identity, device=enrolled.device, gate=enrolled.gate, venue=enrolled.venue, domain=enrolled.domain
    )
    identity_file.save(directory, identity)
    return identity


async def wait_until_confirmed(identity: Identity) -> None:
    """Ask once a second, through whatever the network does, until an operator has confirmed the words.

    Raises Refused, also when the operator has turned the device away.
    """
    async with Uplink(identity, None) as uplink:
        while True:
            try:
                if await _is_confirmed(uplink, identity):
                    return
            except NetworkFailure as failure:
                log.warning("still-waiting", error=str(failure))
            await asyncio.sleep(1)


async def _is_confirmed(uplink: Uplink, identity: Identity) -> bool:
    _, statement = await uplink.hello()
    poll = Poll(identity.device, os.urandom(16), 0, 0, statement.number, (), (), 0, 0, __version__, UNDERSTANDS)
    answer = await uplink.send("/v1/poll", identity.signer().seal(poll))
    opened, refused = open_all(answer, Keyring.stated(statement, statement.at_ms))
    if refused:
        raise refused[0][1]
    if first_of(opened, Revoked) is not None:
        raise Refused(Failure.OTHER_DEVICE, f"{identity.device} was turned away: its words were not confirmed")
    return first_of(opened, Pending) is None
