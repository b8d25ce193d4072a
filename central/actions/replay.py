"""What if: past taps through a policy that is not in force. And to undo a mistake: booking what a corrected one would
have charged."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central import facts
from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.places import must_exist
from central.actions.policies import checked_policy
from central.services.judging.corrections import Correction, correction_of
from central.services.judging.past import Scene, play, scene_of
from central.services.judging.replay import Different, PastTap, Replay
from central.services.judging.stated import ChargeCorrected
from central.services.marks import EventName
from central.services.points.stated import PointsAdjusted
from central.services.projector import settle
from central.services.service import Touched
from central.store.schema import members, policies, subjects
from central.store.slices import slices
from protocol.compiled import CompiledPolicy
from protocol.messages import Millis
from protocol.wire import LAST_MS

TAPS_AT_ONCE = 200
"""Booked in one transaction."""


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
    policy = _compiled(params.body)
    who, listed = set[bytes](), list[Different]()

    def take(found: Sequence[Different]) -> None:
        who.update(each.tap.subject for each in found)
        listed.extend(found[: params.show - len(listed)])

    async with context.database.read() as connection:
        scene = await _scene(connection, params.id, params.since_ms, params.until_ms)
        replay = await _play(context, connection, scene, policy, take)
        if listed:
            named = await _references(connection, [each.tap.subject for each in listed])
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


def _compiled(body: dict[str, object]) -> CompiledPolicy:
    return CompiledPolicy(checked_policy(body, 1))


async def _scene(connection: AsyncConnection, id_: str, since_ms: int, until_ms: int) -> Scene:
    await must_exist(connection, policies, id_, "policy")
    if since_ms >= until_ms:
        raise ActionFailed("the period ends before it begins")
    return await scene_of(connection, id_, since_ms, until_ms)


async def _play(
    context: Context, connection: AsyncConnection, scene: Scene, policy: CompiledPolicy, take: Any
) -> Replay:
    async def advance(done: int, total: int) -> None:
        await context.progress("taps", done, total)

    return await play(connection, scene, lambda before: Replay(policy, before), take, advance)


async def _references(connection: AsyncConnection, found: Sequence[bytes]) -> dict[bytes, str]:
    named: dict[bytes, str] = {}
    for some in slices(sorted(set(found))):
        query = select(subjects.c.subject, members.c.reference).join(members, members.c.id == subjects.c.member)
        rows = await connection.execute(query.where(subjects.c.subject.in_(some)))
        named.update((row.subject, row.reference) for row in rows)
    return named


def _name(tap: PastTap) -> str:
    return f"{tap.device}/{tap.epoch.hex()}/{tap.sequence}"


def _treated(different: Different, named: dict[bytes, str]) -> TreatedDifferently:
    tap, would = different
    return TreatedDifferently(
        event=_name(tap),
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


# --- a mistake is undone ----------------------------------------------------------------------------------------


class CorrectParams(Params, frozen=True):
    """As `policy.replay`. Without `apply` nothing is booked, and everybody whom it touches is handed out."""

    id: str
    body: dict[str, object]
    since_ms: Millis
    until_ms: Millis
    why: str
    who: str
    apply: bool = False


class ChargeChange(msgspec.Struct, frozen=True):
    """What is added to a tap's charge; below 0 = given back."""

    event: str
    at_ms: int
    gate: str
    member: str
    subject: str
    points: int
    due: int


class Corrected(Result, frozen=True):
    """What was, or would be, booked. `not_charged`: taps with another answer, of which nothing is booked: who was let
    in stays let in, who was denied did not enter."""

    taps: int
    corrected: int
    members: int
    points: int
    due: int
    not_charged: int
    applied: bool


@action("policy.correct", CorrectParams, writes=True)
async def policy_correct(context: Context, params: CorrectParams) -> Corrected:
    """Book, as facts, the difference between what taps charged and what a corrected policy would have. Safe to repeat:
    what was corrected already is not corrected again."""
    if not params.why.strip() or not params.who.strip():
        raise ActionFailed("state who says so and why")
    policy = _compiled(params.body)
    found, others = list[Correction](), 0

    def take(different: Sequence[Different]) -> None:
        nonlocal others
        for each in different:
            correction = correction_of(each)
            if correction is not None:
                found.append(correction)
            elif each.tap.decision != each.would.outcome:
                others += 1

    async with context.database.read() as connection:
        scene = await _scene(connection, params.id, params.since_ms, params.until_ms)
        scene = scene._replace(corrected=await _corrected(connection, scene))
        replay = await _play(context, connection, scene, policy, take)
        named = await _references(connection, [each.tap.subject for each in found])
    if params.apply:
        await _book(context, params, scene, found)
    for some in slices(found):
        await context.emit([_change(each, named) for each in some])
    return Corrected(
        taps=replay.taps,
        corrected=len(found),
        members=len({each.tap.subject for each in found}),
        points=sum(each.points for each in found),
        due=sum(each.due for each in found),
        not_charged=others,
        applied=params.apply,
    )


async def _corrected(connection: AsyncConnection, scene: Scene) -> dict[EventName, tuple[int, int]]:
    found: dict[EventName, tuple[int, int]] = {}
    for domain in sorted(set(scene.domain_of.values())):
        for fact in await facts.read(connection, [ChargeCorrected], domain=domain):
            body = fact.body
            name = body.device, body.epoch, body.sequence
            points, due = found.get(name, (0, 0))
            found[name] = points + body.points, due + body.due
    return found


async def _book(context: Context, params: CorrectParams, scene: Scene, found: Sequence[Correction]) -> None:
    for at in range(0, len(found), TAPS_AT_ONCE):
        some = found[at : at + TAPS_AT_ONCE]
        async with context.database.write() as connection:
            for each in some:
                await _book_one(connection, params, scene.domain_of[each.tap.gate], each, context.now_ms)
            touched = [Touched(scene.domain_of[each.tap.gate], each.tap.subject, each.tap.at_ms) for each in some]
            await settle(connection, touched, context.now_ms)
        await context.progress("booked", at + len(some), len(found))


async def _book_one(
    connection: AsyncConnection, params: CorrectParams, domain: str, correction: Correction, now_ms: int
) -> None:
    tap, points, due = correction
    body = ChargeCorrected(
        device=tap.device,
        epoch=tap.epoch,
        sequence=tap.sequence,
        policy=params.id,
        points=points,
        due=due,
        why=params.why,
    )
    about = facts.About(params.who, tap.at_ms, domain, tap.subject, tap.venue)
    await facts.append(connection, about, body, now_ms)
    if points:
        cause = f"event {tap.device} {tap.epoch.hex()} {tap.sequence}"
        given = PointsAdjusted(points=-points, why=params.why, of=cause)
        await facts.append(connection, about._replace(at_ms=now_ms), given, now_ms)


def _change(correction: Correction, named: dict[bytes, str]) -> ChargeChange:
    tap = correction.tap
    who = named.get(tap.subject, ""), tap.subject.hex()
    return ChargeChange(_name(tap), tap.at_ms, tap.gate, *who, correction.points, correction.due)
