"""Answer polls (SPEC §7.7): at once when there is something newer, else when there is, or after the time asked for.

Devices that wake together are looked after together: one read, and one write for all manifests that became due.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NamedTuple

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.bundles import open_asks
from central.custody import retrying
from central.deltas import Deltas
from central.device_keys import state_of
from central.keys import Keys
from central.metrics import Metrics
from central.privacy.erasure.telling import forgets_of
from central.publish import Offer, issue, offers
from central.shared_parts import SharedParts
from central.state_feed import StateFeed
from central.store.database import Database
from central.store.schema import devices, gates, venues
from central.together import Together
from central.wakeups import (
    CONSENTS_TOPIC,
    PROFILES_TOPIC,
    Wakeups,
    device_topic,
    domain_topic,
    gate_topic,
    policy_topic,
    state_topic,
)
from protocol.envelope import seal_domain_key
from protocol.errors import Failure, Refused
from protocol.messages import Ask, Bind, Fresh, GateConfig, PartName, Pending, Poll
from protocol.policy import Policy

STATE_EVERY_S = 0.3
"""A state message is sent to one device no more often, but beside other news."""
MAX_TOLD = 10_000
TOGETHER = 500
"""Devices looked after in one transaction."""
SENT = (
    *(PartName.DOMAIN_KEY, PartName.POLICY, PartName.CONFIG),
    *(PartName.PROFILES, PartName.NAMES, PartName.BIND, PartName.CONSENTS, PartName.ALLOWLIST),
)
"""Parts in the order of an answer: what is decided with before what is shown, the list's delta last."""
LOOK_AGAIN_S = 30.0
"""Waiters look again after this time even if nobody woke them."""

log = structlog.get_logger()


class Look(NamedTuple):
    """What one look found: envelopes when there is news, and the manifest that is the word otherwise."""

    news: list[bytes]
    number: int
    generation: int
    state: bytes = b""
    """A message of the state feed: news too, but not sent alone again and again within a moment."""
    ask: bytes = b""
    """What the device is asked for (SPEC §7.11)."""
    forget: bytes = b""
    """Whom it keeps nothing of any more (SPEC §7.13)."""


class Polls:
    """The held connections of this process."""

    def __init__(
        self, database: Database, keys: Keys, wakeups: Wakeups, now_ms: Callable[[], int], metrics: Metrics
    ) -> None:
        self._database, self._keys, self._wakeups, self._now_ms = database, keys, wakeups, now_ms
        self._metrics = metrics
        self._deltas, self._shared, self._states = Deltas(keys), SharedParts(keys), StateFeed(keys)
        self._told_s: dict[str, float] = {}
        """When each device got its last state message, as long as that bears on the next one."""
        self._looks_of: Together[str, Poll | None, Look] = Together(self._look_together, TOGETHER)
        self._topics_of: Together[str, None, list[str]] = Together(self._topics_together, TOGETHER)

    async def answer(self, poll: Poll) -> list[bytes]:
        """The envelopes to answer with. The poll's signature has been checked; raises Refused for no such device."""
        deadline_s = time.monotonic() + poll.wait_s
        # What changes these topics changes the manifest too, so they hold for as long as there is no news.
        topics = await self._topics_of.ask(poll.device, None)
        if topics is None:
            raise Refused(Failure.UNKNOWN_KEY, f"no device {poll.device!r} is enrolled")
        with self._wakeups.listen(topics) as bell:
            while True:
                bell.clear()
                look = await self._looks_of.ask(poll.device, poll)  # none for a device that is not active (any more)
                if look is None:
                    async with self._database.read() as connection:
                        state = await state_of(connection, poll.device)
                    if state.revoked:
                        return self._signed(poll, state.answer())
                elif look.news or look.ask or look.forget or (look.state and self._until_told_s(poll.device) <= 0):
                    return self._answer(poll, look)
                left_s = deadline_s - time.monotonic()
                tell_keys = look is None and self._keys.statement.number > poll.keys_number
                if left_s <= 0 or self._wakeups.closing or tell_keys:
                    return self._nothing_newer(poll, look)
                pause_s = self._until_told_s(poll.device) if look is not None and look.state else LOOK_AGAIN_S
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left_s, pause_s)):
                        await bell.wait()

    async def close(self) -> None:
        await self._topics_of.close()
        await self._looks_of.close()

    def _until_told_s(self, device: str) -> float:
        """How long until a state message alone may be sent again."""
        return self._told_s.get(device, -STATE_EVERY_S) + STATE_EVERY_S - time.monotonic()

    def _answer(self, poll: Poll, look: Look) -> list[bytes]:
        """A state message stands beside the manifest or the word that nothing is newer: that is what a gate's age is
        counted from, however often states change. So does what it is asked for, and whom it forgets."""
        beside = [envelope for envelope in (look.ask, look.forget) if envelope]
        if not look.state:
            return [*(look.news or self._nothing_newer(poll, look)), *beside]
        now_s = time.monotonic()
        if len(self._told_s) >= MAX_TOLD:
            self._told_s = {device: at_s for device, at_s in self._told_s.items() if now_s - at_s < STATE_EVERY_S}
        self._told_s[poll.device] = now_s
        return [*(look.news or self._nothing_newer(poll, look)), look.state, *beside]

    def _nothing_newer(self, poll: Poll, look: Look | None) -> list[bytes]:
        now_ms = self._now_ms()
        if look is None:
            return self._signed(poll, Pending(poll.device, now_ms))
        return self._signed(poll, Fresh(poll.device, look.number, now_ms, look.generation))

    def _signed(self, poll: Poll, message: object) -> list[bytes]:
        """The key statement before it where that is newer: without it the device cannot tell who signed."""
        newer = self._keys.statement.number > poll.keys_number
        return [*([self._keys.statement_envelope] if newer else []), self._keys.publish.seal(message)]

    # --- looking, for many devices at once ----------------------------------------------------------------------

    async def _topics_together(self, asked: Mapping[str, None]) -> dict[str, list[str]]:
        """What can bring each device news."""
        query = (
            select(devices.c.id, devices.c.gate, gates.c.policy, venues.c.domain)
            .join(gates, gates.c.id == devices.c.gate)
            .join(venues, venues.c.id == gates.c.venue)
            .where(devices.c.id.in_(list(asked)))
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return {
            row.id: [
                *(device_topic(row.id), gate_topic(row.gate), policy_topic(row.policy), domain_topic(row.domain)),
                *(state_topic(row.domain), PROFILES_TOPIC, CONSENTS_TOPIC),
            ]
            for row in rows
        }

    async def _look_together(self, polls: dict[str, Poll | None]) -> dict[str, Look]:
        asked, now_ms = dict(polls), self._now_ms()
        found, looks = await self._manifests(asked, now_ms)
        for device, state in (await self._told(found, asked, now_ms)).items():
            looks[device] = looks[device]._replace(state=state)
        return looks

    async def _manifests(
        self, asked: dict[str, Poll | None], now_ms: int
    ) -> tuple[Mapping[str, Offer], dict[str, Look]]:
        async with self._database.read() as connection:
            found = await offers(connection, self._keys, asked, now_ms)
            if not any(offer.due for offer in found.values()):
                return found, await self._looks(connection, found, asked, now_ms)
        async for attempt in retrying():
            with attempt:
                async with self._database.write() as connection:
                    found = await offers(connection, self._keys, asked, now_ms)
                    due = [offer for offer in found.values() if offer.due]
                    found |= await issue(connection, self._keys, due, asked, now_ms)
                    looks = await self._looks(connection, found, asked, now_ms)
        self._metrics.manifests.inc(len(due))
        return found, looks

    async def _told(
        self, found: Mapping[str, Offer], asked: Mapping[str, Poll | None], now_ms: int
    ) -> dict[str, bytes]:
        """Messages of the state feed, by device. Whatever is wrong with them delays nothing else."""
        try:
            return await self._states.envelopes(self._database, found, asked, now_ms)
        except Exception as error:
            log.error("states-not-told", error=type(error).__name__, exc_info=not hasattr(error, "params"))
            self._metrics.errors.labels("state-feed").inc()
            return {}

    async def _looks(
        self, connection: AsyncConnection, found: Mapping[str, Offer], polls: Mapping[str, Poll | None], now_ms: int
    ) -> dict[str, Look]:
        asks, looks = await open_asks(connection, now_ms), {}
        places = {device: offer.content.domain for device, offer in found.items()}
        forgets = await forgets_of(connection, places, polls, now_ms)
        for device, offer in found.items():
            poll = polls[device]
            if poll is not None:
                look = await self._one(connection, offer, poll)
                ask = asks.get(device)
                is_due = ask is not None and _is_to_be_asked(ask, poll)
                look = look._replace(ask=self._keys.publish.seal(ask)) if is_due else look
                forget = forgets.get(device)
                looks[device] = look._replace(forget=self._keys.publish.seal(forget)) if forget else look
        return looks

    async def _one(self, connection: AsyncConnection, offer: Offer, poll: Poll) -> Look:
        """Everything that a device lacks, the key statement first: it says by whom the rest is signed."""
        assert offer.stored is not None
        news = await self._parts(connection, offer, poll)
        if news or poll.manifest != offer.stored.number:
            news.insert(0, offer.envelope)
        if self._keys.statement.number > poll.keys_number:
            news.insert(0, self._keys.statement_envelope)
        return Look(news, offer.stored.number, offer.stored.generation)

    async def _parts(self, connection: AsyncConnection, offer: Offer, poll: Poll) -> list[bytes]:
        held = {part.name: part for part in poll.parts}
        troubled = {(trouble.part, trouble.version) for trouble in poll.troubles}
        publish, found = self._keys.publish, []
        for name in SENT:
            part = offer.part(name)
            if part is None or held.get(name) == part or (name, part.version) in troubled:
                continue
            if name is PartName.DOMAIN_KEY:
                domain, number = offer.content.domain, offer.key_number
                sealed = seal_domain_key(offer.key, offer.device, domain, number, offer.sealing_public)
                found.append(publish.seal(sealed))
            elif name is PartName.POLICY and offer.policy is not None:
                found.append(publish.seal_payload(Policy.TYPE, offer.policy.body))
            elif name is PartName.CONFIG:
                found.append(publish.seal_payload(GateConfig.TYPE, offer.config.body))
            elif name is PartName.BIND and offer.session is not None:
                found.append(publish.seal_payload(Bind.TYPE, offer.session.body))
            elif name in (PartName.PROFILES, PartName.NAMES, PartName.CONSENTS):
                shared = await self._shared.envelope(connection, part, offer.content.domain)
                if shared is not None:
                    found.append(shared)
            elif name in held:
                delta = await self._deltas.envelope(connection, offer, held[name].version)
                if delta is not None:
                    found.append(delta)
        return found


def _is_to_be_asked(ask: Ask, poll: Poll) -> bool:
    """It understands what that is, and has neither taken it up nor refused it."""
    said = {(held.name, held.version) for held in poll.parts} | {(each.part, each.version) for each in poll.troubles}
    return Ask.TYPE in poll.understands and (PartName.ASK.value, ask.version) not in said
