"""What came from central, verified and put in order, before anything is touched. Pure."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from protocol.envelope import Keyring, digest, open_as, unwrap
from protocol.erasure import Forget
from protocol.errors import Failure, Refused
from protocol.messages import (
    Ask,
    Bind,
    Consents,
    Delta,
    DomainKey,
    Enrolled,
    Fresh,
    GateConfig,
    Holdings,
    KeyStatement,
    Manifest,
    Names,
    Pending,
    Profiles,
    Receipt,
    Resume,
    Revoked,
    Role,
    State,
    decode,
)
from protocol.policy import RULE_KINDS, Policy

ROLES: dict[Any, Role] = {
    Receipt: Role.RECEIPT,
    Resume: Role.RECEIPT,
    Holdings: Role.RECEIPT,
    Enrolled: Role.PUBLISH,
    Pending: Role.PUBLISH,
    Revoked: Role.PUBLISH,
    Manifest: Role.PUBLISH,
    Fresh: Role.PUBLISH,
    DomainKey: Role.PUBLISH,
    Policy: Role.PUBLISH,
    GateConfig: Role.PUBLISH,
    Profiles: Role.PUBLISH,
    Names: Role.PUBLISH,
    Bind: Role.PUBLISH,
    Consents: Role.PUBLISH,
    Delta: Role.PUBLISH,
    State: Role.PUBLISH,
    Ask: Role.PUBLISH,
    Forget: Role.PUBLISH,
}
"""Which role signs which message (SPEC §4.3)."""

_BY_TYPE = {message.TYPE: message for message in ROLES}
UNDERSTANDS = (*sorted((*_BY_TYPE, KeyStatement.TYPE)), *(f"rule:{kind}" for kind in RULE_KINDS))
"""What this agent can take up; central refuses to publish more."""

_list_of_envelopes = msgspec.msgpack.Decoder(tuple[bytes, ...])


class Opened(NamedTuple):
    """A verified message, the bytes that prove it, and the digest of its payload."""

    message: Any
    envelope: bytes
    payload_digest: bytes


def split(body: bytes) -> tuple[bytes, ...]:
    """The envelopes of an answer. Raises Refused `malformed`."""
    try:
        return _list_of_envelopes.decode(body)
    except msgspec.MsgspecError as error:
        raise Refused(Failure.MALFORMED, f"answer: {error}") from None


def open_one(envelope: bytes, ring: Keyring) -> Opened:
    """Any message that central may send, verified under the role that its type asks for."""
    outer = unwrap(envelope)
    message = _BY_TYPE.get(outer.type)
    if message is None:
        raise Refused(Failure.WRONG_TYPE, f"{outer.type} is not for a device")
    ring.check(outer, ROLES[message])
    return Opened(decode(message, outer.payload), envelope, digest(outer.payload))


def newest_keys(envelopes: Sequence[bytes], root: Keyring) -> Opened | None:
    """The key statement of an answer, verified by the root. It comes first: the rest is signed by its keys."""
    for envelope in envelopes:
        if type_of(envelope) == KeyStatement.TYPE:
            return Opened(open_as(KeyStatement, envelope, root), envelope, b"")
    return None


def open_all(
    envelopes: Sequence[bytes], ring: Keyring, later: str = ""
) -> tuple[list[Opened], list[tuple[str, Refused]]]:
    """Every other message of an answer, and (type, why) of those refused. One takes nothing else with it. Those of
    the type `later` are left out: what they need to be judged by may stand in the same answer."""
    opened, refused = [], []
    for envelope in envelopes:
        kind = type_of(envelope)
        if kind in (KeyStatement.TYPE, later):
            continue
        try:
            opened.append(open_one(envelope, ring))
        except Refused as error:
            refused.append((kind, error))
    return opened, refused


def type_of(envelope: bytes) -> str:
    """What it says it is; empty for no envelope at all."""
    try:
        return unwrap(envelope).type
    except Refused:
        return ""


def first_of(opened: Sequence[Opened], kind: Any) -> Opened | None:
    """The first message of a kind."""
    return next((item for item in opened if isinstance(item.message, kind)), None)
