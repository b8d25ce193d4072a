"""Why a tap was decided as it was: the answer as it was then, months later, and what cannot be known."""

import os
from typing import Any

import msgspec
import pytest
from sqlalchemy import delete

from central.actions.action import ActionFailed
from central.actions.judging.explain import LEFT_OUT, event_name
from central.generation import next_generation
from central.store.schema import batches, entry_history, events, member_classes, policies, subjects
from protocol.allowlist import CardState
from protocol.envelope import digest, unwrap
from protocol.messages import Batch, Held, Personal, decode, encode
from protocol.policy import Admit, Limit, Policy
from tests.central.actors import NOW_MS
from tests.central.callers import ask, caller
from tests.central.services.judging.borough import LISTED_MS, MINUTE_MS, POLICY_MS, Borough

MONTHS_MS = 200 * 86_400_000


async def explained(borough: Borough, event: str) -> Any:
    borough.admin.now_ms = NOW_MS + MONTHS_MS
    return await borough.admin.act("explain", event=event)


async def test_a_granted_tap_is_told_as_it_was(borough: Borough) -> None:
    borough.tap(borough.here, NOW_MS - 26 * 60 * MINUTE_MS, points=3)
    name = borough.tap(borough.here, NOW_MS - 5 * MINUTE_MS, points=5, due=20, fingerprint=b"f" * 16)
    await borough.take()
    await borough.put(Policy(NOW_MS + 1, (Admit(id="later"),)), NOW_MS + 1)
    await borough.city.set_card_state(borough.members[0], CardState.LOST)
    await borough.list_again(borough.members[0], at_ms=NOW_MS + 2)
    found = await explained(borough, name)
    assert (found.event["decision"], found.event["reason"], found.event["rule"]) == ("granted", "ok", "all")
    assert found.texts == {"zh": "請進", "en": "Please go in"}
    assert (found.event["venue"], found.event["domain"]) == ("main", "library")
    assert found.held == {"manifest": 1, "allowlist": LISTED_MS, "policy": POLICY_MS, "config": 1}
    assert found.entry_held["state"] == found.entry_known["state"] == "active"
    assert found.entry_differs == []
    assert (found.policy["version"], found.policy_in_force) == (POLICY_MS, POLICY_MS)
    assert found.policy["body"]["rules"][0]["id"] == "once"
    assert found.person["member"] == borough.members[0].hex()
    assert (found.person["card"], found.person["points"], found.person["due"]) == (1, 5, 20)
    assert [mark["points"] for mark in found.history] == [3]
    assert [(t["rule"], t["outcome"]) for t in found.then["tried"]] == [("once", "passed"), ("all", "decided")]
    assert (found.today["decision"], found.today["rule"]) == ("granted", "all")
    assert found.unknown == []
    # nobody ever gave the member points, and no tariff says that there is something to pay
    assert sorted(each["kind"] for each in found.conflicts) == ["charged-otherwise", "overspent"]


async def test_its_place_leads_to_the_signed_bytes(borough: Borough) -> None:
    name = borough.tap(borough.here, NOW_MS - 5)
    await borough.take()
    found = await explained(borough, name)
    (batch,) = [row for row in await borough.city.rows(batches) if row.device == borough.here.device.id]
    assert found.place["batch"] == digest(batch.envelope).hex()
    signed = decode(Batch, unwrap(batch.envelope).payload).events
    assert found.place["event_digest"] == digest(signed[found.event["sequence"] - found.place["first"]]).hex()
    assert found.place["received_ms"] == NOW_MS


async def test_what_the_gate_did_not_know_yet_is_shown_beside_what_it_did(borough: Borough) -> None:
    """It was lost and its class had ended at central, and a newer policy was in force there."""
    newer = Policy(NOW_MS - 30 * MINUTE_MS, (Admit(id="staff", classes=("staff",)),))
    await borough.put(newer, newer.version)
    await borough.city.set_card_state(borough.members[0], CardState.LOST)
    await borough.city.change(member_classes, member_classes.c.member == borough.members[0], until_ms=NOW_MS - 1)
    lost = await borough.list_again(borough.members[0], at_ms=NOW_MS - 20 * MINUTE_MS)
    name = borough.tap(borough.here, NOW_MS - 5)
    await borough.take()
    found = await explained(borough, name)
    assert found.entry_differs == ["state", "classes"]
    assert (found.entry_held["version"], found.entry_known["version"]) == (LISTED_MS, lost)
    assert (found.policy["version"], found.policy_in_force) == (POLICY_MS, newer.version)
    assert (found.then["decision"], found.today["decision"], found.today["reason"]) == (
        "granted",
        "denied",
        "card-lost",
    )
    assert [each["kind"] for each in found.conflicts] == ["admitted-after-revocation"]


async def test_a_gate_that_was_apart_is_told_by_what_it_knew(borough: Borough) -> None:
    borough.tap(borough.here, NOW_MS - 10 * MINUTE_MS)
    name = borough.tap(borough.there, NOW_MS - 5 * MINUTE_MS)
    await borough.take()
    found = await explained(borough, name)
    assert "its own earlier taps alone" in found.then["assumed"]
    assert (found.then["decision"], found.today["decision"], found.today["reason"]) == (
        *("granted", "denied"),
        "limit-reached",
    )
    (tried,) = found.today["tried"]
    assert tried == {"rule": "once", "outcome": "decided", "why": "refuses: limit-reached: 1 of 1 entries"}


async def test_what_a_member_did_elsewhere_is_not_told_at_this_venue(borough: Borough) -> None:
    borough.tap(borough.here, NOW_MS - 20 * MINUTE_MS)
    borough.tap(borough.there, NOW_MS - 10 * MINUTE_MS)
    name = borough.tap(borough.here, NOW_MS - 5 * MINUTE_MS)
    await borough.take()
    ana, lin = caller("ana", "admin"), caller("lin", "operator", venues=("main",))
    every, own = [await ask(borough.admin, each, "explain", event=name) for each in (ana, lin)]
    assert [mark["venue"] for mark in every.history] == ["main", "branch"]
    assert LEFT_OUT not in every.unknown
    assert ([mark["venue"] for mark in own.history], own.history_marks) == (["main"], 1)
    assert LEFT_OUT in own.unknown
    assert own.today == every.today


@pytest.mark.parametrize(
    ("reason", "rule"), [("limit-reached", "once"), ("list-too-old", ""), ("list-stale", ""), ("list-missing", "")]
)
async def test_a_denial_is_told_by_its_own_reason(borough: Borough, reason: str, rule: str) -> None:
    borough.tap(borough.there, NOW_MS - 10 * MINUTE_MS)
    name = borough.tap(borough.here, NOW_MS - 5 * MINUTE_MS, decision="denied", reason=reason, rule=rule)
    await borough.take()
    found = await explained(borough, name)
    assert (found.then["decision"], found.then["reason"]) == ("denied", reason)
    assert found.then["assumed"] == "that it knew every earlier tap that is known here"
    assert found.unknown == []


async def test_an_answer_that_nothing_explains_is_said_to_be_so(borough: Borough) -> None:
    name = borough.tap(borough.here, NOW_MS - 5, decision="denied", reason="closed", rule="nobodys")
    await borough.take()
    found = await explained(borough, name)
    assert found.then["assumed"] == ""
    assert [said for said in found.unknown if "No assumption" in said] != []


async def test_a_card_that_no_list_knew_says_what_can_be_said(borough: Borough) -> None:
    """It was put on the list later; a token of another key leads nowhere."""
    names = []
    for key_number in (1, 2):
        personal = encode(Personal(os.urandom(16), token=borough.city.token(900), key_number=key_number))
        fields = {"direction": "in", "decision": "denied", "reason": "unknown-card", "held": borough.held()}
        borough.here.add("tap", personal, at_ms=NOW_MS - 5, **fields)
        names.append(f"{borough.here.device.id}/{borough.here.epoch.hex()}/{key_number}")
    await borough.take()
    found = await explained(borough, names[0])
    assert (found.person["known"], found.person["token"]) == ("token", borough.city.token(900).hex())
    assert (found.then["reason"], found.texts["zh"]) == ("unknown-card", "這張卡尚未登記，請洽服務台")
    assert "listed_as" not in found.person
    (later,) = await borough.city.add_members(1, first=900)
    version = await borough.list_again(later, at_ms=NOW_MS + 5)
    found = await explained(borough, names[0])
    assert (found.person["listed_since_ms"], found.person["listed_card"]) == (version, 1)
    assert "listed_as" not in (await explained(borough, names[1])).person


async def test_what_was_destroyed_is_said_and_not_guessed(borough: Borough) -> None:
    name = borough.tap(borough.here, NOW_MS - 5)
    await borough.take()
    await borough.city.change(events, events.c.kind == "tap", personal=None)
    found = await explained(borough, name)
    assert found.person == {"known": "destroyed"}
    assert (found.entry_held, found.then, found.today, found.history) == (None, None, None, [])
    assert found.policy["version"] == POLICY_MS
    assert found.place["event_digest"]
    assert any("destroyed" in said for said in found.unknown)


async def test_a_member_who_left_is_not_named(borough: Borough) -> None:
    name = borough.tap(borough.here, NOW_MS - 5)
    await borough.take()
    async with borough.database.write() as connection:
        await connection.execute(delete(subjects).where(subjects.c.member == borough.members[0]))
    found = await explained(borough, name)
    assert found.person["member"] == ""
    assert found.entry_held["state"] == "active"


async def test_what_was_lost_or_never_kept_is_said(borough: Borough) -> None:
    name = borough.tap(borough.here, NOW_MS - 5)
    await borough.take()
    async with borough.database.write() as connection:
        await connection.execute(delete(entry_history))
        await connection.execute(delete(policies).where(policies.c.id == "both"))
        await next_generation(connection, NOW_MS + 1)
    found = await explained(borough, name)
    said = " ".join(found.unknown)
    for what in ("What the gate's list said", "policy version", "restored from a backup"):
        assert what in said
    assert (found.then, found.today, found.policy) == (None, None, None)


async def test_a_stated_clock_is_told_with_the_time_that_it_was(borough: Borough) -> None:
    name = borough.tap(borough.here, NOW_MS + 60 * MINUTE_MS)
    await borough.take()
    values = {"device": borough.here.device.id, "from_ms": NOW_MS, "until_ms": NOW_MS * 2, "ms": 61 * MINUTE_MS}
    await borough.admin.act("clock.offset", **values, why="set by hand", who="lin")
    found = await explained(borough, name)
    assert (found.clock["offset_ms"], found.clock["corrected_ms"]) == (61 * MINUTE_MS, NOW_MS - MINUTE_MS)


async def test_other_kinds_of_event_are_told_too(borough: Borough) -> None:
    borough.tap(borough.here, NOW_MS - 5)
    sequence = borough.here.undid(1, NOW_MS - 4)
    await borough.take()
    found = await explained(borough, f"{borough.here.device.id}/{borough.here.epoch.hex()}/{sequence}")
    assert (found.event["kind"], found.event["detail"]["why"], found.person["known"]) == ("undo", "not-me", "nobody")
    assert (found.then, found.today) == (None, None)


async def test_a_rule_that_was_chosen_on_the_screen_is_told(borough: Borough) -> None:
    policy = await borough.put(Policy(POLICY_MS + 7, (Limit(id="once", most=1), Admit(id="yoga"), Admit(id="dance"))))
    name = borough.tap(borough.here, NOW_MS - 5, rule="dance", held=Held(1, LISTED_MS, policy.version, 1))
    await borough.take()
    found = await explained(borough, name)
    assert "that dance was chosen on its screen" in found.then["assumed"]
    assert found.then["rule"] == "dance"


@pytest.mark.parametrize("text", ["", "a/b", "a/zz/1", "a/0011/1", "d/0011223344556677/x", '{"device": "d"}', "{"])
def test_what_is_no_event_is_refused(text: str) -> None:
    with pytest.raises(ActionFailed, match="is no event"):
        event_name(text)


def test_an_event_is_named_as_the_log_names_it() -> None:
    name = ("a/b", bytes.fromhex("0011223344556677"), 41)
    assert event_name("a/b/0011223344556677/41") == name
    line = {"device": "a/b", "epoch": "0011223344556677", "sequence": 41, "gate": "x"}
    assert event_name(msgspec.json.encode(line).decode()) == name


async def test_an_event_that_is_not_held_is_not_explained(borough: Borough) -> None:
    with pytest.raises(ActionFailed, match="no event"):
        await explained(borough, "door-1-device/0011223344556677/3")
