"""Joining: from a token that an operator carried here to a device that central knows (SPEC §10)."""

import asyncio
import base64
import binascii
import os
from pathlib import Path

import msgspec

from edge_agent import __version__
from edge_agent import identity as identity_file
from edge_agent.identity import Identity
from edge_agent.sync import UNDERSTANDS, first_of, open_all, open_one
from edge_agent.uplink import Uplink
from protocol.envelope import Keyring, Signer, comparison_words, new_sealing_key
from protocol.errors import Failure, Refused
from protocol.messages import Enrol, Enrolled, JoinToken, Pending, Poll, decode

PREFIX = "tapgate1:"


def parse_token(text: str) -> JoinToken:
    """Raises Refused `malformed` and says what to do."""
    text = "".join(text.split())
    if not text.startswith(PREFIX):
        raise Refused(Failure.MALFORMED, f"a join token begins with {PREFIX!r}: copy the whole line")
    body = text.removeprefix(PREFIX)
    try:
        return decode(JoinToken, base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (binascii.Error, Refused):
        raise Refused(Failure.MALFORMED, "the join token is not complete: copy the whole line") from None


def prepare(directory: Path, token: JoinToken) -> Identity:
    """The keys of this device, on disk before central hears of them: a lost answer can then be asked for again.

    Raises Refused when the device has already joined with another token.
    """
    held = identity_file.load(directory)
    if held is not None and held.secret == token.secret:
        return held
    if held is not None and held.device:
        raise Refused(Failure.NOT_NEWER, f"this device is already {held.device}; remove its data to enrol it anew")
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
    identity = msgspec.structs.replace(
        identity, device=enrolled.device, gate=enrolled.gate, venue=enrolled.venue, domain=enrolled.domain
    )
    identity_file.save(directory, identity)
    return identity


async def wait_until_confirmed(identity: Identity) -> None:
    """Ask once a second until an operator has confirmed the words. Raises NetworkFailure, Refused."""
    async with Uplink(identity, None) as uplink:
        _, statement = await uplink.hello()
        ring = Keyring.stated(statement, statement.at_ms)
        while True:
            poll = Poll(identity.device, os.urandom(16), 0, 0, statement.number, (), (), 0, 0, __version__, UNDERSTANDS)
            answer = await uplink.send("/v1/poll", identity.signer().seal(poll))
            opened, refused = open_all(answer, ring)
            if refused:
                raise refused[0]
            if first_of(opened, Pending) is None:
                return
            await asyncio.sleep(1)
