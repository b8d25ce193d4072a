"""The screen of a running agent: put together from the agent's parts, and kept served. A gate works without it."""

import asyncio
from typing import Protocol

import structlog

from edge_agent import status
from edge_agent.delivery import Delivery
from edge_agent.door.door import Door
from edge_agent.gate import Gate
from edge_agent.published.uptake import Uptake
from edge_agent.reader_side import ReaderSide
from edge_agent.readers import ReaderState
from edge_agent.screen.around import look_around
from edge_agent.screen.screen import Screen
from edge_agent.screen.server import ScreenServer
from edge_agent.screen.situation import Membership, Surroundings
from edge_agent.subscription import Subscription

log = structlog.get_logger(__name__)

AGAIN_S = 5.0


class Parts(Protocol):
    """What the screen looks at."""

    gate: Gate
    uptake: Uptake
    door: Door
    readers: ReaderSide
    delivery: Delivery
    subscription: Subscription


async def serve_screen(port: int, parts: Parts) -> None:
    """Until cancelled. Where the port is taken it is tried again and again, and said in the log."""
    screen = Screen(parts.gate, lambda: _around(parts), lambda: _keys(parts))
    server = ScreenServer(screen, port)
    parts.door.on_change.append(screen.changed)
    try:
        while not await _is_started(server):  # noqa: ASYNC110 - the port comes free at its own time
            await asyncio.sleep(AGAIN_S)
        await asyncio.get_running_loop().create_future()
    finally:
        parts.door.on_change.remove(screen.changed)
        await server.close()


async def _is_started(server: ScreenServer) -> bool:
    try:
        await server.start()
    except OSError as error:
        log.error("screen-not-served", port=server.port, error=str(error))
        return False
    log.info("screen-served", port=server.port)
    return True


def _around(parts: Parts) -> Surroundings:
    subscription, delivery, uptake = parts.subscription, parts.delivery, parts.uptake
    membership = Membership.PENDING if subscription.pending else Membership.ACTIVE
    if not parts.gate.holding.is_enrolled:
        membership = Membership.REVOKED
    return look_around(
        parts.gate,
        [ReaderState(row["state"]) for row in parts.readers.status()],
        parts.door.state(),
        uptake.identity,
        membership,
        status.Reachability(delivery.reachable, subscription.reachable).word(),
    )


def _keys(parts: Parts) -> list[bytes]:
    return [secret.key for secret in parts.uptake.identity.domain_keys]
