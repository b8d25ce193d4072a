"""Cards in bulk: issued and bound again under a name, taken back but for what changed since, and what follows."""

import datetime as dt
import os
from zoneinfo import ZoneInfo

import pytest

from central.actions.action import ActionFailed, no_progress
from central.published_dates import published
from central.store.schema import card_bindings, cards, conflicts, facts, marks, visits
from protocol.allowlist import CardState
from protocol.messages import Held, Kind, Personal, encode
from tests.central.actors import NOW_MS, Journal
from tests.central.admin import Admin
from tests.central.city import City, uid
from tests.central.people.conftest import Listed, Write
from tests.central.services.scenes import Town

HOUR_MS = 3_600_000
LIBRARY = {"domain": "library", "notation": "hex", "who": "chen"}


def text(number: int) -> str:
    return uid(number).raw.hex()


async def states(listed: Listed, *numbers: int) -> list[str]:
    found = [await listed.entry(number) for number in numbers]
    return [entry.state.name.lower() if entry is not None else "-" for entry in found]


# --- issuing --------------------------------------------------------------------------------------------------


async def test_a_bulk_issue_binds_new_cards_and_stops_the_old_ones(admin: Admin, listed: Listed, write: Write) -> None:
    rows = ["uid,member,replaces"]
    rows += [f"{text(70)},M-0,{text(0)}", f"{text(71)},M-1,all", f"{text(72)},M-2,", f"{text(73)},M-2,"]
    file = write(*rows)
    planned = await admin.act("card.batch.issue", name="may", file=file, **LIBRARY)
    assert planned.verdicts == {"issued": 4, "unchanged": 0, "refused": 0}
    assert await states(listed, 0, 1, 70, 71) == ["active", "active", "-", "-"]
    done = await admin.act("card.batch.issue", name="may", file=file, apply=True, **LIBRARY)
    assert done.verdicts == planned.verdicts
    assert await states(listed, 0, 1, 2, 70, 71, 72, 73) == ["replaced"] * 2 + ["active"] * 5
    third = await listed.entry(73)
    assert third is not None
    assert third.card == 3
    again = await admin.act("card.batch.issue", name="may", file=file, apply=True, **LIBRARY)
    assert again.verdicts == {"issued": 0, "unchanged": 4, "refused": 0}
    assert await listed.is_whole()


async def test_rows_of_an_issue_that_cannot_be_done_are_named(admin: Admin, write: Write) -> None:
    file = write(
        "uid,member,replaces",
        f"{text(1)},M-0,",
        f"{text(70)},M-9,",
        f"{text(70)},E-1,",
        f"{text(70)},M-0,{text(1)}",
        f"{text(71)},M-0,{text(60)}",
        "08112233,M-0,",
        f"{text(72)},M-0,{text(0)}",
        f"{text(72)},M-0,",
        f"{text(73)},M-0,{text(0)}",
        f"{text(74)},,",
    )
    done = await admin.act("card.batch.issue", name="may", file=file, report=True, **LIBRARY)
    assert (done.verdicts["issued"], done.verdicts["refused"]) == (1, 9)
    expected = {
        2: "uid: this card is bound to somebody already",
        3: "member: not in library",
        4: "member: not in library",
        5: "replaces: that card is another member's",
        6: "replaces: uid: this card is bound to nobody",
        7: "uid: uid-random",
        9: "uid: the same card as in row 8",
        10: "replaces: that card was replaced already",
        11: "member: empty",
    }
    assert {row: admin.why(row)[: len(why)] for row, why in expected.items()} == expected


async def test_an_issue_is_taken_back_but_for_cards_that_changed_since(
    admin: Admin, city: City, listed: Listed, write: Write
) -> None:
    before = {n: await listed.entry(n) for n in range(4)}
    ended_ms = published(NOW_MS) + 900 * HOUR_MS
    await city.change(cards, cards.c.uid_index == city.keys.uid_index(uid(1)), until_ms=ended_ms)
    file = write("uid,member,replaces", *(f"{text(70 + n)},M-{n},{text(n)}" for n in range(4)))
    await admin.act("card.batch.issue", name="may", file=file, after_days=10, apply=True, **LIBRARY)
    admin.now_ms += 1_000
    await admin.act("card.lose", uid=text(72), notation="hex", who="desk", why="by phone")
    planned = await admin.act("card.batch.undo", name="may", who="lin")
    assert (planned.cards, planned.kept, planned.applied) == (6, 2, False)
    assert [(kept.member, kept.number, kept.why) for kept in sorted(admin.items, key=lambda kept: kept.number)] == [
        ("M-2", 1, "stays with the others: may"),
        ("M-2", 2, "by phone"),
    ]
    done = await admin.act("card.batch.undo", name="may", who="lin", apply=True)
    assert (done.cards, done.kept, done.applied) == (6, 2, True)
    assert await states(listed, 70, 71, 72, 73) == ["-", "-", "lost", "-"]
    assert [await listed.entry(n) for n in (0, 3)] == [before[0], before[3]]
    longer = await listed.entry(1)
    assert longer is not None
    assert longer.until_ms == ended_ms
    assert await listed.is_whole()
    with pytest.raises(ActionFailed, match="may was undone already, by lin"):
        await admin.act("card.batch.undo", name="may", apply=True)
    with pytest.raises(ActionFailed, match="a batch may already"):
        await admin.act("card.batch.issue", name="may", file=file, apply=True, **LIBRARY)
    (shown,) = (await admin.act("card.batch.list")).batches
    assert (shown.name, shown.kind, shown.who, shown.undone_by) == ("may", "issue", "chen", "lin")


async def test_a_card_that_was_taken_back_can_be_bound_to_somebody_else(
    admin: Admin, city: City, listed: Listed, write: Write
) -> None:
    file = write("uid,member", f"{text(70)},M-0")
    await admin.act("card.batch.issue", name="may", file=file, apply=True, **LIBRARY)
    await admin.act("card.batch.undo", name="may", apply=True)
    nobody = (await admin.act("card.history", uid=text(70), notation="hex")).statements[0]
    assert nobody.member == ""
    file = write("uid,member,class,valid_from,valid_until", f"{text(70)},M-1,citizen,,", f"{text(71)},M-0,citizen,,")
    await admin.act("card.import", file=file, domain="library", notation="hex", apply=True)
    entry, other = await listed.entry(70), await listed.entry(1)
    assert entry is not None
    assert other is not None
    assert (entry.subject, entry.state) == (other.subject, CardState.ACTIVE)
    said = (await admin.act("card.history", uid=text(70), notation="hex")).statements
    assert [(each.member, each.why) for each in said][0] == ("M-1", "a card import")
    fresh = await listed.entry(71)
    assert fresh is not None
    assert fresh.card == 3  # 2 was the one taken back, and events name cards by their number


async def test_an_undo_that_was_cut_short_goes_on(
    admin: Admin, listed: Listed, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("central.actions.cards.batch_undo.CARDS_AT_ONCE", 2)
    file = write("uid,member", *(f"{text(70 + n)},M-{n}" for n in range(5)))
    await admin.act("card.batch.issue", name="may", file=file, apply=True, **LIBRARY)

    admin.progress = PowerCut(4)
    with pytest.raises(RuntimeError):
        await admin.act("card.batch.undo", name="may", apply=True)
    admin.progress = no_progress
    assert (await states(listed, *range(70, 75))).count("-") == 4
    done = await admin.act("card.batch.undo", name="may", apply=True)
    assert (done.cards, done.kept) == (1, 0)
    assert await states(listed, *range(70, 75)) == ["-"] * 5


class PowerCut:
    """Ends an action once so much is done."""

    def __init__(self, at: int) -> None:
        self.at = at

    async def __call__(self, _what: str, done: int, _total: int) -> None:
        if done == self.at:
            raise RuntimeError


# --- binding again --------------------------------------------------------------------------------------------


class Gate(Journal):
    """An epoch of taps by the subjects and cards that the gate's list had."""

    def came(self, subject: bytes, card: int, at_ms: int, allowlist: int = 0, **charge: int) -> None:
        fields = {"direction": "in", "decision": "granted", "reason": "ok", "rule": "members"}
        personal = Personal(os.urandom(16), subject=subject, card=card, **charge)
        self.add(Kind.TAP, encode(personal), at_ms=at_ms, held=Held(1, allowlist), **fields)

    def denied(self, subject: bytes, card: int, at_ms: int, held: Held) -> None:
        fields = {"direction": "in", "decision": "denied", "reason": "limit-reached", "rule": "once"}
        personal = Personal(os.urandom(16), subject=subject, card=card)
        self.add(Kind.TAP, encode(personal), at_ms=at_ms, held=held, **fields)


async def subject_of(listed: Listed, number: int) -> bytes:
    entry = await listed.entry(number)
    assert entry is not None
    return entry.subject


async def counted(city: City) -> dict[tuple[bytes, int], list[int]]:
    """By subject and card: when."""
    found: dict[tuple[bytes, int], list[int]] = {}
    for row in await city.rows(marks):
        found.setdefault((row.subject, row.card), []).append(row.at_ms)
    return {person: sorted(times) for person, times in found.items()}


async def test_a_card_bound_again_is_at_the_gates_under_the_right_member(
    admin: Admin, listed: Listed, write: Write
) -> None:
    rebind = write(
        "uid,member", f"{text(0)},M-1", f"{text(1)},M-0", f"{text(2)},M-2", f"{text(60)},M-2", f"{text(3)},M-9"
    )
    first, second = await subject_of(listed, 0), await subject_of(listed, 1)
    planned = await admin.act("card.batch.rebind", name="mend", file=rebind, report=True, **LIBRARY)
    assert planned.verdicts == {"rebound": 2, "unchanged": 1, "refused": 2}
    await admin.act("card.batch.rebind", name="mend", file=rebind, apply=True, **LIBRARY)
    assert (await subject_of(listed, 0), await subject_of(listed, 1)) == (second, first)
    assert await listed.is_whole()
    again = await admin.act("card.batch.rebind", name="mend", file=rebind, apply=True, **LIBRARY)
    assert again.verdicts == {"rebound": 0, "unchanged": 3, "refused": 2}
    await admin.act("card.batch.undo", name="mend", apply=True)
    assert (await subject_of(listed, 0), await subject_of(listed, 1)) == (first, second)
    assert await listed.is_whole()


@pytest.mark.parametrize("late", [False, True])
async def test_taps_go_to_the_member_whose_the_card_was_also_those_that_come_late(
    admin: Admin, city: City, listed: Listed, write: Write, late: bool
) -> None:
    """A couple with swapped cards: both are bound again, since a day; the order of arrival does not matter."""
    town = Town(city.database, city.keys)
    gate = Gate(city.device)
    ann, ben = await subject_of(listed, 0), await subject_of(listed, 1)
    day = NOW_MS - 48 * HOUR_MS
    gate.came(ann, 1, day - 30 * HOUR_MS)
    gate.came(ann, 1, day + 20 * HOUR_MS, points=5)
    gate.came(ben, 1, day + 30 * HOUR_MS)
    if not late:
        await town.take(gate)
        await town.settle()
    file = write("uid,member,from", f"{text(0)},M-1,{iso(day)}", f"{text(1)},M-0,{iso(day)}")
    done = await admin.act("card.batch.rebind", name="mend", file=file, apply=True, **LIBRARY)
    assert done.marks_moved == (0 if late else 2)
    if late:
        await town.take(gate)
        await town.settle()
    assert await counted(city) == {
        (ann, 1): [day - 30 * HOUR_MS],
        (ben, 2): [day + 20 * HOUR_MS],
        (ann, 2): [day + 30 * HOUR_MS],
    }
    assert {(row.subject, row.in_ms) for row in await city.rows(visits)} == {
        (ann, day - 30 * HOUR_MS),
        (ben, day + 20 * HOUR_MS),
        (ann, day + 30 * HOUR_MS),
    }
    shown = await admin.act("card.batch.show", name="mend")
    assert (shown.taps, shown.members) == (2, 2)
    assert [(tap.told, tap.to, tap.points, tap.reason) for tap in admin.items] == [
        ("M-0", "M-1", 5, "ok"),
        ("M-1", "M-0", 0, "ok"),
    ]
    undone = await admin.act("card.batch.undo", name="mend", apply=True)
    assert undone.marks_moved == 2
    assert await counted(city) == {
        (ann, 1): [day - 30 * HOUR_MS, day + 20 * HOUR_MS],
        (ben, 1): [day + 30 * HOUR_MS],
    }
    assert (await admin.act("card.batch.show", name="mend")).taps == 0


async def test_a_tap_under_the_new_binding_goes_back_when_the_batch_is_undone(
    admin: Admin, city: City, listed: Listed, write: Write
) -> None:
    town, gate = Town(city.database, city.keys), Gate(city.device)
    ann, ben = await subject_of(listed, 0), await subject_of(listed, 1)
    await admin.act("card.batch.rebind", name="mend", file=write("uid,member", f"{text(0)},M-1"), apply=True, **LIBRARY)
    gate.came(ben, 2, NOW_MS + 10)
    await town.take(gate)
    await town.settle()
    assert await counted(city) == {(ben, 2): [NOW_MS + 10]}
    admin.now_ms += 1_000
    await admin.act("card.batch.undo", name="mend", apply=True)
    assert await counted(city) == {(ann, 1): [NOW_MS + 10]}


async def test_a_notice_shown_to_the_wrong_person_is_listed(
    admin: Admin, city: City, listed: Listed, write: Write
) -> None:
    town, gate = Town(city.database, city.keys), Gate(city.device)
    ann = await subject_of(listed, 0)
    before = await listed.version()
    await admin.act("card.flag", member="M-0", domain="library", set=["overdue"])
    flagged = await listed.version()
    gate.came(ann, 1, flagged + 10, allowlist=before)  # it had not heard of it
    gate.came(ann, 1, flagged + 11, allowlist=flagged)
    admin.now_ms = flagged + 1_000
    await admin.act("card.flag", member="M-0", domain="library", clear=["overdue"])
    gate.came(ann, 1, admin.now_ms + 5_000, allowlist=flagged)  # nor of that
    await town.take(gate)
    await town.settle()
    await admin.act("card.batch.rebind", name="mend", file=write("uid,member", f"{text(0)},M-1"), apply=True, **LIBRARY)
    shown = await admin.act("card.batch.show", name="mend")
    assert (shown.taps, shown.with_flags) == (3, 2)
    assert [tap.flags for tap in admin.items] == [[], ["overdue"], ["overdue"]]
    assert {(tap.told, tap.to) for tap in admin.items} == {("M-0", "M-1")}


async def test_who_was_denied_is_judged_no_more_while_the_card_is_anothers(
    admin: Admin, city: City, listed: Listed, write: Write
) -> None:
    """No rule of the policy denies anybody."""
    town, gate = Town(city.database, city.keys), Gate(city.device)
    version = await listed.version()
    town.now_ms = version + HOUR_MS
    gate.denied(await subject_of(listed, 0), 1, town.now_ms, Held(1, version, NOW_MS - 1_000))
    await town.take(gate)
    await town.settle()
    assert [row.kind for row in await city.rows(conflicts)] == ["denied-but-entitled"]
    day = iso(version - 48 * HOUR_MS)
    file = write("uid,member,from", f"{text(0)},M-1,{day}")
    await admin.act("card.batch.rebind", name="mend", file=file, apply=True, **LIBRARY)
    assert await city.rows(conflicts) == []
    assert (await admin.act("rebuild")).different == 0
    await admin.act("card.batch.undo", name="mend", apply=True)
    assert len(await city.rows(conflicts)) == 1


async def test_taps_of_a_domain_where_the_right_member_is_not_stay_where_they_are(
    admin: Admin, city: City, write: Write
) -> None:
    await admin.act("domain.add", id="sports")
    file = write("uid,member,class,valid_from,valid_until", f"{text(0)},M-0,citizen,,")
    await admin.act("card.import", file=file, domain="sports", notation="hex", apply=True)
    sports, library = Listed(city, "sports"), Listed(city)
    assert await sports.entry(0) is not None
    await admin.act("card.batch.rebind", name="mend", file=write("uid,member", f"{text(0)},M-1"), apply=True, **LIBRARY)
    assert await sports.entry(0) is None  # M-1 is not in that domain
    assert await subject_of(library, 0) == await subject_of(library, 1)
    assert {row.domain for row in await city.rows(facts)} == {"library"}
    assert await sports.is_whole()


async def test_a_batch_cannot_take_anothers_name(admin: Admin, city: City, write: Write) -> None:
    await admin.act("card.batch.issue", name="may", file=write("uid,member", f"{text(70)},M-0"), apply=True, **LIBRARY)
    with pytest.raises(ActionFailed, match="an? issue of library"):
        await admin.act("card.batch.rebind", name="may", file=write("uid,member", f"{text(0)},M-1"), **LIBRARY)
    for name in ("card.batch.undo", "card.batch.show"):
        with pytest.raises(ActionFailed, match="there is no batch 'june'"):
            await admin.act(name, name="june")
    assert {row.batch for row in await city.rows(card_bindings)} == {"may"}


def iso(at_ms: int) -> str:
    return dt.datetime.fromtimestamp(at_ms / 1_000, ZoneInfo("Asia/Taipei")).date().isoformat()
