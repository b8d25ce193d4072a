"""Settle members: every service computes their rows again, and whose state in the feed changed gets a new version."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial

from sqlalchemy import BigInteger, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from central.services import registry
from central.services.service import Touched
from central.services.turns import one_at_a_time
from central.store.put_rows import put_rows
from central.store.schema import subject_states
from central.wakeups import note, state_topic

Member = tuple[str, bytes]
"""Domain and subject; the subject empty where nobody knows who."""


async def settle(connection: AsyncConnection, touched: Sequence[Touched], now_ms: int) -> None:
    """Settle these members in every service. For whoever appended facts about them, in the same transaction; the state
    feed is told of those whose notes or reservations changed by it."""
    await one_at_a_time(connection)
    changed = await settle_services(connection, touched)
    changed |= await renew_promises(connection, touched, now_ms)
    await tell(connection, changed, now_ms)


async def settle_services(connection: AsyncConnection, touched: Sequence[Touched]) -> set[Member]:
    """Of whom something that the state feed tells changed by it."""
    changed: set[Member] = set()
    if touched:
        for service in registry.SERVICES:
            changed |= await service.settle(connection, touched)
    return changed


async def renew_promises(connection: AsyncConnection, touched: Sequence[Touched], now_ms: int) -> set[Member]:
    """After the services settled. Of whom something that the state feed tells changed by it."""
    changed: set[Member] = set()
    if touched:
        for renew in registry.PROMISES:
            changed |= await renew(connection, touched, now_ms)
    return changed


async def settle_each(
    connection: AsyncConnection, touched: Sequence[Touched], now_ms: int, failed: Callable[[str, Exception], None]
) -> set[Member]:
    """The same as both, each service and promise by itself: what one that fails has written is undone, `failed` is
    told which, and the others go on. What `failed` raises ends it."""
    changed: set[Member] = set()
    steps: list[tuple[str, Callable[[], Awaitable[set[Member]]]]] = [
        *((service.name, partial(service.settle, connection, touched)) for service in registry.SERVICES),
        *((each.__name__, partial(each, connection, touched, now_ms)) for each in registry.PROMISES),
    ]
    for name, work in steps if touched else ():
        try:
            async with connection.begin_nested():
                changed |= await work()
        except Exception as error:
            failed(name, error)
    return changed


async def tell(connection: AsyncConnection, changed: Collection[Member], now_ms: int) -> None:
    """Devices hear, once this transaction is durable, that the states of these members are newer."""
    await note(connection, [state_topic(domain) for domain in await new_versions(connection, changed, now_ms)])


async def new_versions(connection: AsyncConnection, changed: Collection[Member], now_ms: int) -> list[str]:
    """A version for each of these members, above any before in the domain. Returns the domains, in the order of their
    names, so that two processes do not wait in a ring."""
    domains = sorted({domain for domain, _ in changed})
    rows = []
    for domain in domains:
        subjects = sorted(subject for of, subject in changed if of == domain and subject)
        last = await raise_version(connection, domain, now_ms, max(1, len(subjects)))
        first = last - len(subjects) + 1
        rows += [{"domain": domain, "subject": each, "version": n} for n, each in enumerate(subjects, first)]
    await put_rows(connection, subject_states, rows)
    return domains


async def raise_version(connection: AsyncConnection, domain: str, least: int, steps: int = 1) -> int:
    """The state of a domain at least so high and by so many steps higher; returns the last of them. Its row is locked
    until the transaction ends, so versions become visible in their order."""
    found = await connection.execute(_RAISE, {"domain": domain, "least": least, "steps": steps})
    return int(found.scalar_one())


_RAISE = text(
    "INSERT INTO states (domain, version, began, stage) VALUES (:domain, :least + :steps, :least, 'filling')"
    " ON CONFLICT (domain) DO UPDATE SET version = CASE WHEN states.version + :steps >= :least"
    " THEN states.version + :steps ELSE :least END RETURNING version"
).bindparams(bindparam("least", type_=BigInteger), bindparam("steps", type_=BigInteger))
