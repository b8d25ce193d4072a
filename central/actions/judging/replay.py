"""What if: past taps through a policy that is not in force."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.places.places import must_exist
from central.actions.places.policies import checked_policy
from central.services.judging.past import Scene, play, scene_of
from central.services.judging.replay import Different, PastTap, Replay
from central.store.schema import members, policies, subjects
from central.store.slices import slices
from protocol.compiled import CompiledPolicy
from protocol.messages import Millis
from protocol.wire import LAST_MS


class ReplayParams(Params, frozen=True):
    """`body`: a policy's map, as `policy.put` takes it; `id`: whose gates' taps. `show`: so many are handed out."""

    id: str
    body: dict[str, object]
    since_ms: Millis
    until_ms: Millis = LAST_MS
    show: int = 0


class TreatedDifferently(msgspec.Struct, frozen=True):
    """One tap. `member`: the city's own number, of a member who is in the domain still."""

    event: str
    at_ms: int
    gate: str
    member: str
    subject: str
    was: str
    was_reason: str
    was_points: int
    was_due: int
    would: str
    would_reason: str
    would_rule: str
    would_points: int
    would_due: int


class Changed(msgspec.Struct, frozen=True):
    """So many taps went from one answer to another."""

    was: str
    was_reason: str
    would: str
    would_reason: str
    taps: int


class Replayed(Result, frozen=True):
    """`repeats` had the answer of the tap before; of `untold` it cannot be said, since the person's part was destroyed
    or what the list said then is not known. `points` and `due`: by how much more would have been charged."""

    taps: int
    different: int
    members: int
    repeats: int
    untold: int
    points: int
    due: int
    changed: list[Changed]


@action("policy.replay", ReplayParams, writes=False)
async def policy_replay(context: Context, params: ReplayParams) -> Replayed:
    """Who would have been treated differently; nothing is changed. The first `show` of them are handed out."""
    policy = compiled_of(params.body)
    who, listed = set[bytes](), list[Different]()

    def take(found: Sequence[Different]) -> None:
        who.update(each.tap.subject for each in found)
        listed.extend(found[: params.show - len(listed)])

    async with context.database.read() as connection:
        scene = await scene_for(connection, params.id, params.since_ms, params.until_ms)
        replay = await played(context, connection, scene, policy, take)
        if listed:
            named = await references(connection, [each.tap.subject for each in listed])
            await context.emit([_treated(each, named) for each in listed])
    changed = sorted(replay.ways.items(), key=lambda item: (-item[1], item[0]))
    return Replayed(
        taps=replay.taps,
        different=sum(replay.ways.values()),
        members=len(who),
        repeats=replay.repeats,
        untold=replay.untold,
        points=replay.points,
        due=replay.due,
        changed=[Changed(*way, taps) for way, taps in changed],
    )


def compiled_of(body: dict[str, object]) -> CompiledPolicy:
    """A policy's map, ready to decide by. Raises ActionFailed with the path of what is wrong."""
    return CompiledPolicy(checked_policy(body, 1))


async def scene_for(connection: AsyncConnection, id_: str, since_ms: int, until_ms: int) -> Scene:
    """The gates that go by a policy, over a period. Raises ActionFailed where there is no such policy or period."""
    await must_exist(connection, policies, id_, "policy")
    if since_ms >= until_ms:
        raise ActionFailed("the period ends before it begins")
    return await scene_of(connection, id_, since_ms, until_ms)


async def played(
    context: Context, connection: AsyncConnection, scene: Scene, policy: CompiledPolicy, take: Any
) -> Replay:
    """Every tap of the scene, with progress; `take` is given those treated differently, slice by slice."""

    async def advance(done: int, total: int) -> None:
        await context.progress("taps", done, total)

    return await play(connection, scene, lambda before: Replay(policy, before), take, advance)


async def references(connection: AsyncConnection, found: Sequence[bytes]) -> dict[bytes, str]:
    """The city's own numbers of these subjects, where they are members still."""
    named: dict[bytes, str] = {}
    for some in slices(sorted(set(found))):
        query = select(subjects.c.subject, members.c.reference).join(members, members.c.id == subjects.c.member)
        rows = await connection.execute(query.where(subjects.c.subject.in_(some)))
        named.update((row.subject, row.reference) for row in rows)
    return named


def name_of(tap: PastTap) -> str:
    """DEVICE/EPOCH/SEQUENCE, as `explain` takes it."""
    return f"{tap.device}/{tap.epoch.hex()}/{tap.sequence}"


def _treated(different: Different, named: dict[bytes, str]) -> TreatedDifferently:
    tap, would = different
    return TreatedDifferently(
        event=name_of(tap),
        at_ms=tap.at_ms,
        gate=tap.gate,
        member=named.get(tap.subject, ""),
        subject=tap.subject.hex(),
        was=tap.decision,
        was_reason=tap.reason,
        was_points=tap.points,
        was_due=tap.due,
        would=would.outcome.value,
        would_reason=would.reason,
        would_rule=would.rule,
        would_points=would.points,
        would_due=would.due,
    )
