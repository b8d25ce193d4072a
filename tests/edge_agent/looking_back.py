"""A policy that looks back, and what central would make of a gate's events: worked out from the journal alone, by other
code than the gate's."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from edge_agent.journal.transaction import SEQUENCE_BITS, SEQUENCES
from protocol.history import History, Mark, SubjectState
from protocol.messages import Event, Outcome, PassageDetail, Personal, UndoDetail, decode
from protocol.policy import Admit, Occupancy, Passback, Policy, Tariff
from tests.support.central_side import VENUE, subject
from tests.support.edge_side import Edge

RESERVED = 1_000
PRICE = 7

Name = tuple[bytes, int]


def looking_back(**changes: Any) -> Policy:
    """Notes who is inside already and lets them in, takes points, counts who is inside."""
    rules = (
        Passback("passback", mode="soft"),
        Occupancy("ceiling", most=1_000),
        Admit("members", classes=("citizen",), tariff="entry"),
    )
    policy = Policy(1, rules, tariffs={"entry": Tariff(PRICE, pay="points")}, repeat_window_s=5)
    return msgspec.structs.replace(policy, **changes)


class Written(NamedTuple):
    """An event, and whose it is."""

    name: Name
    event: Event
    personal: Personal | None


def written(edge: Edge) -> list[Written]:
    """The journal, in order."""
    connection = edge.store.connection
    epochs = dict(connection.execute("SELECT number, epoch FROM epochs").fetchall())
    rows = connection.execute("SELECT id, public, personal FROM events ORDER BY id").fetchall()
    return [
        Written(
            (epochs[id_ >> SEQUENCE_BITS], id_ & SEQUENCES),
            decode(Event, public),
            decode(Personal, personal) if personal else None,
        )
        for id_, public, personal in rows
    ]


def through(journal: list[Written]) -> dict[bytes, int]:
    """The last event of each epoch."""
    return {each.name[0]: each.name[1] for each in journal}


class Standing(NamedTuple):
    """What the events of a gate come to."""

    marks: Mapping[bytes, tuple[Mark, ...]]
    """By subject."""
    inside: int


def standing(journal: list[Written]) -> Standing:
    """Every granted tap that repeats nothing counts once, under the name of the first of its run that stands."""
    taps = {each.name: each for each in journal if each.event.kind == "tap" and each.event.decision == Outcome.GRANTED}
    gone = {name for each in journal if (name := _gives_back(each)) is not None}
    runs: dict[Name, list[Name]] = {}
    first: dict[Name, Name] = {}
    for name, each in taps.items():
        back = each.event.repeat_of
        begun = first.get((name[0], back - 1), name) if back else name
        first[name] = begun
        runs.setdefault(begun, []).append(name)
    marks: dict[bytes, list[Mark]] = {}
    inside = 0
    for begun, names in runs.items():
        stands = next((name for name in names if name not in gone), None)
        each = taps[begun]
        if stands is None or each.personal is None or each.event.repeat_of:
            continue
        event, person = each.event, each.personal
        inside += 1 if event.direction == "in" else -1
        mark = Mark(event.at_ms, VENUE, event.gate, event.direction, event.rule, person.points, person.due, *stands)
        marks.setdefault(person.subject, []).append(mark)
    return Standing({key: tuple(found) for key, found in marks.items()}, inside)


def _gives_back(each: Written) -> Name | None:
    if each.event.kind == "undo":
        return each.name[0], decode(UndoDetail, each.event.detail).sequence
    if each.event.kind == "passage":
        detail = decode(PassageDetail, each.event.detail)
        if detail.passage == "not-taken":
            return detail.epoch or each.name[0], detail.sequence
    return None


def states(journal: list[Written]) -> list[SubjectState]:
    """Central's word when it counts exactly these events: each member's marks, and points less what was spent."""
    found = standing(journal).marks
    return [
        SubjectState(key, marks, RESERVED - sum(mark.points for mark in marks), 2**43) for key, marks in found.items()
    ]


def held(edge: Edge, number: int) -> History | None:
    """What the gate holds of a member."""
    return edge.store.commit(lambda transaction: transaction.history(subject(number)))


def marks(edge: Edge, number: int) -> list[Name]:
    """The names of all that counts at the gate, central's and its own."""
    history = held(edge, number)
    return sorted(mark.name for mark in (*history.told, *history.own)) if history else []
