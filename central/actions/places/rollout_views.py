"""Rollouts as they are shown: the list, and all that is known of one."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.list_keys import After, key_of, parts_of
from central.rollouts.course import OPEN, Known, State, next_step
from central.rollouts.store import Rollout, read_rollout, rollout_of, steps_of, targets
from central.rollouts.watching import Holder, compared, holders, known_of, watched
from central.store.schema import gates, rollouts

AT_ONCE = 200


class RolloutsParams(Params, frozen=True):
    """Filters; empty = any. `open`: what is not over: drafts, those that go on, halted ones that did not go back."""

    state: Literal["", "open", "draft", "scheduled", "first", "all", "halted", "done", "withdrawn"] = ""
    policy: Annotated[str, Meta(max_length=64)] = ""
    gate: Annotated[str, Meta(max_length=64)] = ""
    after: After = ""
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


class RolloutParams(Params, frozen=True):
    """Which one."""

    id: Annotated[str, Meta(max_length=64)]


class RolloutLine(msgspec.Struct, frozen=True):
    """One of the list. `policy` empty: of the configuration of `gates`. `back_ms`: when it went back; 0 = not."""

    id: str
    kind: str
    policy: str
    gates: list[str]
    first_gates: list[str]
    title: str
    state: str
    why: str
    not_before_ms: int
    created_ms: int
    ended_ms: int
    back_ms: int
    who: str


class Rollouts(Result, frozen=True):
    """The newest first. `next` empty: there are no more."""

    rollouts: list[RolloutLine]
    next: str


Progress = Literal["holds", "waits", "refused", "later", "no-device", "returned", "returning"]


class DeviceProgress(msgspec.Struct, frozen=True):
    """An active device. `held`: the version that it said it holds."""

    device: str
    held: int
    seen_ms: int
    trouble: str


class GateProgress(msgspec.Struct, frozen=True):
    """A gate that it is for. `holds`: all of its devices do; `later`: not its turn; `refused`: one cannot do it. Of
    a rollout that went back, `returned` and `returning` stand for the first two."""

    gate: str
    venue: str
    is_first: bool
    progress: Progress
    wanted: int
    devices: list[DeviceProgress]


class StepShown(msgspec.Struct, frozen=True):
    """What became of it. `who` empty: by itself."""

    at_ms: int
    what: str
    who: str
    why: str


class TapsShown(msgspec.Struct, frozen=True):
    """Taps without repeats, and how many were denied."""

    taps: int = 0
    denied: int = 0


class RolloutShown(Result, frozen=True):
    """All that is known of one. `holding` of `devices` hold it, or have gone back. `waits`: what the next step waits
    for, until when (0: for no time); `before`, `since`: taps at the gates where it is in force. Gates of others' venues
    are not among `gates`, but are counted."""

    id: str
    kind: str
    policy: str
    title: str
    state: str
    why: str
    who: str
    body: dict[str, Any]
    choices: bool
    first_gates: list[str]
    version: int
    based_on: int
    not_before_ms: int
    soak_minutes: int
    by_hand: bool
    halt_points: int
    halt_taps: int
    goes_back: bool
    despite_freeze: str
    created_ms: int
    first_ms: int
    held_ms: int
    all_ms: int
    ended_ms: int
    back_ms: int
    waits: str
    waits_why: str
    waits_until_ms: int
    holding: int
    devices: int
    before: TapsShown
    since: TapsShown
    gates: list[GateProgress]
    steps: list[StepShown]


@action("rollout.list", RolloutsParams, writes=False)
async def rollout_list(context: Context, params: RolloutsParams) -> Rollouts:
    """Rollouts with their states."""
    found: list[RolloutLine] = []
    last = parts_of(params.after, tuple[str])[0] if params.after else ""
    async with context.database.read() as connection:
        places = {row.id: (row.venue, row.policy) for row in await connection.execute(select(gates))}
        while len(found) <= params.limit:
            rows = [rollout_of(row) for row in (await connection.execute(_query(params, last))).mappings()]
            for each in rows:
                if _is_wanted(each, params.gate, context.scope.venues, places):
                    found.append(_line(each))
            if len(rows) < AT_ONCE:
                break
            last = rows[-1].id
    page = found[: params.limit]
    return Rollouts(rollouts=page, next=key_of(page[-1].id) if len(found) > params.limit else "")


def _query(params: RolloutsParams, before: str) -> Any:
    r = rollouts.c
    query = select(rollouts).order_by(r.id.desc()).limit(AT_ONCE)
    if before:
        query = query.where(r.id < before)
    if params.policy:
        query = query.where(r.policy == params.policy)
    if params.state == "open":
        query = query.where(r.state.in_([State.DRAFT, *OPEN, State.HALTED]), r.back_ms == 0)
    elif params.state:
        query = query.where(r.state == params.state)
    return query


def _is_wanted(each: Rollout, gate: str, own: frozenset[str] | None, places: Mapping[str, tuple[str, str]]) -> bool:
    """It is for the gate that was asked for, and for one of the caller's venues."""
    if each.is_policy:
        at_gates = [id_ for id_, (_, policy) in places.items() if policy == each.policy]
    else:
        at_gates = [id_ for id_ in each.gates if id_ in places]
    is_theirs = own is None or any(places[id_][0] in own for id_ in at_gates)
    return is_theirs and (not gate or gate in at_gates)


def _line(each: Rollout) -> RolloutLine:
    return RolloutLine(*(getattr(each, name) for name in RolloutLine.__struct_fields__))


@action("rollout.show", RolloutParams, writes=False)
async def rollout_show(context: Context, params: RolloutParams) -> RolloutShown:
    """How far it is, who has taken it up, who cannot, and what it waits for."""
    async with context.database.read() as connection:
        rollout = await read_rollout(connection, params.id)
        if rollout is None:
            raise ActionFailed(f"there is no rollout {params.id!r}: see `rollout list`")
        return await shown(connection, rollout, context)


async def shown(connection: AsyncConnection, rollout: Rollout, context: Context) -> RolloutShown:
    """A rollout as it stands in this transaction."""
    every = await targets(connection, rollout)
    found = await holders(connection, rollout, list(every))
    known = await known_of(connection, rollout, context.now_ms, found) if rollout.state in OPEN else Known()
    following = next_step(rollout.plan, known, context.now_ms)
    was, now = TapsShown(), TapsShown()
    if rollout.is_published:
        tallies = known.was, known.now
        if rollout.state not in OPEN:
            until_ms = rollout.ended_ms or context.now_ms
            tallies = await compared(connection, rollout.plan, watched(rollout, every), until_ms)
        was, now = (TapsShown(each.taps, each.denied) for each in tallies)
    of_gate: dict[str, list[Holder]] = {gate: [] for gate in every}
    for each in found:
        of_gate[each.gate].append(each)
    own = context.scope.venues
    asked = [each for each in found if each.wanted]
    fields = {name: getattr(rollout, name) for name in _SAME}
    return RolloutShown(
        **fields,
        soak_minutes=rollout.soak_ms // 60_000,
        waits=following.waits.value,
        waits_why=following.why,
        waits_until_ms=following.until_ms,
        holding=sum(each.holds for each in asked),
        devices=len(asked),
        before=was,
        since=now,
        gates=[
            _gate(gate, venue, rollout, of_gate[gate]) for gate, venue in every.items() if own is None or venue in own
        ],
        steps=[StepShown(row.at_ms, row.what, row.who, row.why) for row in await steps_of(connection, rollout.id)],
    )


_SAME = (
    *("id", "kind", "policy", "title", "state", "why", "who", "body", "choices", "first_gates", "version", "based_on"),
    *("not_before_ms", "by_hand", "halt_points", "halt_taps", "goes_back", "despite_freeze", "created_ms"),
    *("first_ms", "held_ms", "all_ms", "ended_ms", "back_ms"),
)


def _gate(gate: str, venue: str, rollout: Rollout, found: list[Holder]) -> GateProgress:
    wanted = found[0].wanted if found else 0
    progress: Progress = "returning" if rollout.back_ms else "waits"
    if not found:
        progress = "no-device"
    elif not wanted:
        progress = "later"
    elif any(each.trouble for each in found):
        progress = "refused"
    elif all(each.holds for each in found):
        progress = "returned" if rollout.back_ms else "holds"
    devices = [DeviceProgress(each.device, each.held, each.seen_ms, each.trouble) for each in found]
    return GateProgress(gate, venue, gate in rollout.first_gates, progress, wanted, devices)
