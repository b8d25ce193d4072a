"""A mistake is undone: what a corrected policy would have charged over a period is booked as differences."""

from collections.abc import Sequence

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from central import facts
from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.judging.correct_payers import payers_of
from central.actions.judging.correct_visits import VisitChange, book_visits, visit_changes
from central.actions.judging.replay import compiled_of, name_of, played, references, scene_for
from central.services.judging.corrections import Correction, correction_of
from central.services.judging.past import Scene
from central.services.judging.replay import Different
from central.services.judging.stated import ChargeCorrected
from central.services.marks import EventName
from central.services.points.stated import PointsAdjusted
from central.services.projector import settle
from central.services.service import Touched
from central.services.turns import one_at_a_time
from central.store.slices import slices
from protocol.messages import Millis, Outcome

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
    """What is added to a tap's charge; below 0 = given back. `visits`: −1 = an entry that would have been denied, and
    counts as a visit no more."""

    event: str
    at_ms: int
    gate: str
    member: str
    subject: str
    points: int
    due: int
    visits: int = 0


class Corrected(Result, frozen=True):
    """What was, or would be, booked. `visits`: how many fewer, or more, count. `not_charged`: taps with another answer,
    whose charge stays: who was let in stays let in, who was denied did not enter."""

    taps: int
    corrected: int
    members: int
    points: int
    due: int
    visits: int
    not_charged: int
    applied: bool


@action("policy.correct", CorrectParams, writes=True)
async def policy_correct(context: Context, params: CorrectParams) -> Corrected:
    """Book, as facts, the difference between what taps charged and what a corrected policy would have, and the visits
    that it would have denied. Safe to repeat: what was corrected already is not corrected again."""
    if not params.why.strip() or not params.who.strip():
        raise ActionFailed("state who says so and why")
    policy = compiled_of(params.body)
    found, others, denied = list[Correction](), 0, set[EventName]()

    def take(different: Sequence[Different]) -> None:
        nonlocal others
        for each in different:
            correction = correction_of(each)
            if correction is not None:
                found.append(correction)
            elif each.tap.decision != each.would.outcome:
                others += 1
                if each.tap.decision == Outcome.GRANTED:
                    denied.add((each.tap.device, each.tap.epoch, each.tap.sequence))

    async with context.database.read() as connection:
        scene = await scene_for(connection, params.id, params.since_ms, params.until_ms)
        scene = scene._replace(corrected=await _corrected(connection, scene))
        replay = await played(context, connection, scene, policy, take)
        found = await _of_payers(connection, found)
        visits = await visit_changes(connection, scene, params.id, denied)
        touched = {each.tap.subject for each in found} | {each.subject for each in visits}
        named = await references(connection, sorted(touched))
    if params.apply:
        await _book(context, params, scene, found)
        async with context.database.write() as connection:
            visits = await book_visits(connection, scene, params.id, denied, params.who, params.why, context.now_ms)
    changes = [_change(each, named) for each in found] + [_of_visit(each, named) for each in visits]
    for some in slices(changes):
        await context.emit(some)
    return Corrected(
        taps=replay.taps,
        corrected=len(found),
        members=len(touched),
        points=sum(each.points for each in found),
        due=sum(each.due for each in found),
        visits=sum(each.visits for each in visits),
        not_charged=others,
        applied=params.apply,
    )


async def _of_payers(connection: AsyncConnection, found: Sequence[Correction]) -> list[Correction]:
    """Of those whom the taps are known to be of by now; where nobody paid, nothing is corrected."""
    payers = await payers_of(connection, [each.name for each in found])
    return [
        each._replace(tap=msgspec.structs.replace(each.tap, subject=payers[each.name]))
        for each in found
        if each.name in payers
    ]


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
        async with context.database.write() as connection:
            await one_at_a_time(connection)
            some = await _of_payers(connection, found[at : at + TAPS_AT_ONCE])  # nobody is who was erased meanwhile
            now = await _corrected(connection, scene)
            if any(now.get(each.name) != scene.corrected.get(each.name) for each in some):
                raise ActionFailed("somebody else corrects the same taps just now: correct again, it books the rest")
            for each in some:
                await _book_one(connection, params, scene.domain_of[each.tap.gate], each, context.now_ms)
            touched = [Touched(scene.domain_of[each.tap.gate], each.tap.subject, each.tap.at_ms) for each in some]
            await settle(connection, touched, context.now_ms)
        await context.progress("booked", min(at + TAPS_AT_ONCE, len(found)), len(found))


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


def _of_visit(change: VisitChange, named: dict[bytes, str]) -> ChargeChange:
    device, epoch, sequence = change.name
    who = named.get(change.subject, ""), change.subject.hex()
    return ChargeChange(f"{device}/{epoch.hex()}/{sequence}", change.at_ms, change.gate, *who, 0, 0, change.visits)
