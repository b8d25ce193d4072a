"""Denied taps out of a database: judged when they are settled, the same after everything else has come and anew."""

from typing import Any

import pytest
from sqlalchemy import select

from central.actions.action import ActionFailed
from central.facts import About, append
from central.people.attribution import Reattributed
from central.services.projector import settle
from central.services.service import Touched
from central.store.schema import conflicts, denials, subject_states
from protocol.allowlist import CardState
from protocol.policy import Admit, Limit, Passback, Policy
from tests.central.actors import NOW_MS
from tests.central.services.judging.borough import MINUTE_MS, POLICY_MS, Borough

DENIED = {"decision": "denied"}
REACHED = {**DENIED, "reason": "limit-reached", "rule": "once"}


async def wronged(borough: Borough) -> list[Any]:
    return await borough.conflicts(kind="denied-but-entitled")


async def test_a_member_who_was_denied_and_should_not_have_been_is_seen(borough: Borough) -> None:
    event = borough.tap(borough.here, NOW_MS - 9 * MINUTE_MS, **REACHED)
    borough.tap(borough.here, NOW_MS - 8 * MINUTE_MS, **REACHED)
    await borough.take()
    (found,) = await wronged(borough)
    assert (found.event, found.state, found.detail["why"]) == (event, "open", "history")


async def test_a_gate_that_answers_as_it_should_is_never_mentioned(borough: Borough) -> None:
    borough.tap(borough.here, NOW_MS - 9 * MINUTE_MS)
    borough.tap(borough.here, NOW_MS - 8 * MINUTE_MS, **REACHED)
    borough.tap(borough.here, NOW_MS - 7 * MINUTE_MS, who=1, **DENIED, reason="list-too-old", rule="")
    borough.here.add("tap", b"", at_ms=NOW_MS - 6 * MINUTE_MS, **DENIED, reason="uid-random")
    await borough.take()
    assert await borough.kinds() == []


async def test_a_list_that_came_too_late_is_named_with_since_when_it_was_known(borough: Borough) -> None:
    await borough.city.set_card_state(borough.members[0], CardState.BLOCKED)
    blocked = await borough.list_again(borough.members[0], at_ms=NOW_MS - 40 * MINUTE_MS)
    await borough.city.set_card_state(borough.members[0], CardState.ACTIVE)
    freed = await borough.list_again(borough.members[0], at_ms=NOW_MS - 20 * MINUTE_MS)
    answer = {**DENIED, "reason": "card-blocked", "rule": "", "held": borough.held(allowlist=blocked)}
    borough.tap(borough.here, NOW_MS - 19 * MINUTE_MS, **answer)  # a minute later: nobody is to blame
    event = borough.tap(borough.here, NOW_MS - 10 * MINUTE_MS, **answer)
    await borough.take()
    (found,) = await wronged(borough)
    assert (found.event, found.detail["why"], found.detail["known_since_ms"]) == (event, "list", freed)
    assert found.detail["allowlist"] == blocked


async def test_a_late_batch_that_explains_a_denial_takes_it_away_in_any_order(borough: Borough) -> None:
    borough.tap(borough.there, NOW_MS - 9 * MINUTE_MS)
    borough.tap(borough.here, NOW_MS - 5 * MINUTE_MS, **REACHED)
    await borough.take(borough.here)
    assert len(await wronged(borough)) == 1
    await borough.take(borough.there)
    assert await wronged(borough) == []
    assert (await borough.admin.act("rebuild")).different == 0


async def test_denials_are_rebuilt_and_tell_no_gate_anything(borough: Borough) -> None:
    await borough.take()
    before = await borough.town.rows(subject_states)
    borough.tap(borough.here, NOW_MS - 5 * MINUTE_MS, **REACHED)
    await borough.take()
    assert await borough.town.rows(subject_states) == before
    assert (await borough.admin.act("rebuild")).different == 0
    async with borough.database.write() as connection:
        await connection.execute(denials.delete())
    assert (await borough.admin.act("rebuild", service="marks")).different == 1


async def test_of_a_card_that_turned_out_to_be_anothers_nothing_is_said(borough: Borough) -> None:
    borough.tap(borough.here, NOW_MS - 5 * MINUTE_MS, **REACHED)
    await borough.take()
    assert len(await wronged(borough)) == 1
    body = Reattributed(card=1, to=borough.subjects[1], to_card=2, from_ms=0, until_ms=0)
    async with borough.database.write() as connection:
        await append(connection, About("lin", 0, "library", borough.subjects[0]), body, NOW_MS)
        await settle(connection, [Touched("library", borough.subjects[0], 0)], NOW_MS)
    assert await wronged(borough) == []


async def test_what_central_said_after_it_had_the_tap_changes_nothing(borough: Borough) -> None:
    """Its clock is ahead by less than what counts as wrong."""
    borough.tap(borough.here, NOW_MS + MINUTE_MS)
    await borough.take()
    assert await borough.kinds() == []
    await borough.city.set_card_state(borough.members[0], CardState.LOST)
    await borough.list_again(borough.members[0], at_ms=NOW_MS + MINUTE_MS // 2)
    assert (await borough.admin.act("rebuild", service="conflicts")).different == 0
    async with borough.database.read() as connection:
        assert (await connection.execute(select(conflicts.c.id))).all() == []


async def test_a_kind_that_does_not_exist_is_named(borough: Borough) -> None:
    with pytest.raises(ActionFailed, match="one of admitted-after-revocation, charged-otherwise"):
        await borough.conflicts(kind="denied")


@pytest.mark.parametrize(("mode", "state"), [("hard", "open"), ("soft", "note")])
async def test_an_exit_without_an_entry_is_open_or_a_note(borough: Borough, mode: Any, state: str) -> None:
    policy = await borough.put(Policy(POLICY_MS + 1, (Passback(id="in", mode=mode), Admit(id="all"))), POLICY_MS + 1)
    leaving = {"direction": "out", "reason": "leaving", "rule": "", "held": borough.held(policy=policy.version)}
    borough.tap(borough.here, NOW_MS - 5 * MINUTE_MS, **leaving)
    await borough.take()
    (found,) = await borough.conflicts()
    assert (found.kind, found.state) == ("left-without-entry", state)
    assert len(await borough.conflicts(open=True)) == (state == "open")
    say = {"id": found.id, "who": "lin"}
    await borough.admin.act("conflict.say", what="settle", why="came by the staff door", **say)
    again = await borough.admin.act("conflict.say", what="reopen", why="did not", **say)
    assert again.conflict.state == state
    borough.tap(borough.here, NOW_MS - 50 * MINUTE_MS, held=borough.held(policy=policy.version))
    await borough.take()
    assert await borough.conflicts(open=True) == []


async def test_a_charge_that_no_tariff_gives_is_seen_in_the_database(borough: Borough) -> None:
    borough.tap(borough.here, NOW_MS - 5 * MINUTE_MS, due=25)
    await borough.take()
    (found,) = await borough.conflicts()
    assert (found.kind, found.detail["due"], found.detail["expected_due"]) == ("charged-otherwise", 25, 0)


async def test_the_newest_policy_admits_whom_an_older_one_kept_out(borough: Borough) -> None:
    newer = Policy(NOW_MS - 30 * MINUTE_MS, (Limit(id="once", most=2), Admit(id="all")))
    await borough.put(newer, newer.version)
    borough.tap(borough.here, NOW_MS - 25 * MINUTE_MS)
    borough.tap(borough.here, NOW_MS - 5 * MINUTE_MS, **REACHED)
    await borough.take()
    (found,) = await wronged(borough)
    assert found.detail["policy_in_force"] == newer.version
