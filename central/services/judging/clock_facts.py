"""What people stated of clocks, out of the database: for every service that goes by when a tap was."""

from sqlalchemy.ext.asyncio import AsyncConnection

from central import facts
from central.services.judging.clocks import Clocks, Offset
from central.services.judging.stated import ClockOffset


async def clocks_of(connection: AsyncConnection, domain: str) -> Clocks:
    """Of a domain's devices."""
    said = await facts.read(connection, [ClockOffset], domain=domain)
    return Clocks(
        Offset(fact.body.device, fact.body.from_ms, fact.body.until_ms, fact.body.ms, fact.recorded_ms) for fact in said
    )
