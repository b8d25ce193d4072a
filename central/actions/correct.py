"""A mistake is undone: what a corrected policy would have charged over a period is booked as differences."""

from collections.abc import Sequence

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from central import facts
from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.replay import compiled_of, name_of, played, references, scene_for
from central.services.judging.corrections import Correction, correction_of
from central.services.judging.past import Scene
from central.services.judging.replay import Different
from central.services.judging.stated import ChargeCorrected
from central.services.marks import EventName
from central.services.points.stated import PointsAdjusted
from central.services.projector import settle
from central.services.service import Touched
from central.store.slices import slices
from protocol.messages import Millis

TAPS_AT_ONCE = 200
"""Booked in one transaction."""


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
    policy = compiled_of(params.body)
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
        scene = await scene_for(connection, params.id, params.since_ms, params.until_ms)
        scene = scene._replace(corrected=await _corrected(connection, scene))
        replay = await played(context, connection, scene, policy, take)
        named = await references(connection, [each.tap.subject for each in found])
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
    return ChargeChange(name_of(tap), tap.at_ms, tap.gate, *who, correction.points, correction.due)
