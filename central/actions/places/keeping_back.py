"""What keeps a policy or a configuration from being put: a rollout that is under way, a freeze that holds."""

from collections.abc import Collection
from typing import Annotated

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from central.access.caller import Role
from central.actions.action import ActionFailed, Context
from central.rollouts.frozen import frozen_now
from central.rollouts.store import Rollout, publishing, under_way

Despite = Annotated[str, msgspec.Meta(max_length=200)]
"""An admin's reason to publish within a freeze; empty: a freeze is kept."""


async def take_turn(
    context: Context, connection: AsyncConnection, at_gates: Collection[str], despite_freeze: str, *, policy: str = ""
) -> None:
    """Nobody else publishes until the transaction ends. `policy`: that it is put; else configurations of the gates are.

    Raises ActionFailed.
    """
    await publishing(connection)
    require_alone(await under_way(connection, policy=policy, at_gates=() if policy else at_gates))
    await require_thawed(context, connection, at_gates, despite_freeze)


def require_alone(other: Rollout | None) -> None:
    """Raises ActionFailed where a rollout is under way."""
    if other is None:
        return
    of = f"policy {other.policy!r}" if other.is_policy else f"the configuration of {', '.join(other.gates[:5])}"
    way = "withdraw it" if not other.is_published else "let it go on, or go back,"
    raise ActionFailed(f"rollout {other.id} of {of} is under way ({other.state}): {way} first")


async def require_thawed(
    context: Context, connection: AsyncConnection, at_gates: Collection[str], despite_freeze: str
) -> None:
    """Raises ActionFailed within a freeze, unless an admin stated a reason."""
    found = await frozen_now(connection, at_gates, context.now_ms)
    if found is None:
        return
    if not despite_freeze.strip():
        raise ActionFailed(f"{found.told}: wait for its end, or let an admin state a reason to publish despite it")
    if not (context.caller.local or Role.ADMIN in context.caller.roles):
        raise ActionFailed(f"{found.told}: only an admin publishes despite it")
