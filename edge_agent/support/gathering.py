"""Gathers what a support bundle is made of: the status, the settings, what `doctor` finds, and the last of the log."""

from collections.abc import Iterator
from typing import Any

from edge_agent.checks import Subject
from edge_agent.commissioning.machine import Machine
from edge_agent.commissioning.unit import service_user
from edge_agent.config import Config
from edge_agent.doctor import examine
from edge_agent.identity import Identity
from edge_agent.published.holding import Holding
from edge_agent.support.contents import Gathered, pack
from edge_agent.support.recent_log import entries

PROGRAM = "tapgate-edge"
LOOK_S = 5.0
"""For all checks together: an agent that is stopped meanwhile waits for them. What took longer is `not-known`."""


def bundle_of(config: Config, identity: Identity, holding: Holding, status: dict[str, Any], at_ms: int) -> bytes:
    """Raises ValueError where it is too large to be sent."""
    machine = Machine()
    subject = Subject(machine, PROGRAM, "", config, "", status, service_user(machine))
    return pack(
        Gathered(
            place={
                "device": identity.device,
                "gate": holding.gate,
                "venue": holding.venue,
                "domain": holding.manifest.domain if holding.manifest else "",
            },
            at_ms=at_ms,
            status=status,
            settings=config,
            findings=[finding.told("en") for finding in examine(subject, limit_s=LOOK_S)],
            log=entries(),
            secrets=tuple(secrets_of(identity, holding)),
        )
    )


def secrets_of(identity: Identity, holding: Holding) -> Iterator[bytes]:
    """Every key that this device holds, and what PINs are checked by."""
    yield from (identity.signing_private, identity.sealing_private, identity.secret)
    yield from (secret.key for secret in identity.domain_keys)
    if holding.config is not None:
        for person in holding.config.staff:
            yield from (person.salt, person.verifier)
