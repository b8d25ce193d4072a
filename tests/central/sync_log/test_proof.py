"""Proofs out of custody: they hold elsewhere, say what they do not prove, and show nobody what is not theirs."""

import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from central import enrolment
from central.access.caller import Role
from central.access.reach import Forbidden
from central.actions.action import ActionFailed
from central.custody import Custodian
from central.keys import Keys
from central.store.database import Database
from central.store.schema import batches, events
from protocol.proof import Checked
from protocol.proof_check import check_file
from tests.central.actors import NOW_MS, Device, Journal
from tests.central.admin import Admin
from tests.central.callers import ask, caller
from tests.central.city import City
from tests.central.sync_log.conftest import name_of


async def proven(admin: Admin, keys: Keys, event: str, **values: Any) -> Checked:
    """What the file says to somebody who has nothing but it and the root."""
    made = await admin.act("proof.make", event=event, **values)
    found = check_file(base64.b64decode(made.file), keys.root_public)
    assert found.holds is made.holds
    assert [check.finding for check in found.checks] == [check.finding for check in made.checks]
    return found


def failing(found: Checked) -> dict[str, str]:
    return {check.step.value: check.said() for check in found.checks if check.finding == "fails"}


async def taken(custodian: Custodian, device: Device, taps: int = 3) -> Journal:
    journal = Journal(device)
    journal.tap(taps)
    await custodian.take(journal.upload(), NOW_MS)
    return journal


async def test_an_event_is_proven_without_its_person(
    admin: Admin, keys: Keys, city: City, custodian: Custodian
) -> None:
    journal = await taken(custodian, city.device)
    for sequence in (0, 1, 3):
        found = await proven(admin, keys, name_of(journal, sequence))
        assert found.holds
        assert found.proof is not None
        assert found.proof.public == journal.publics[sequence]
        assert found.proof.personal == b""
    later = Journal(city.device, journal)
    later.tap(2)
    await custodian.take(later.upload(0, 1), NOW_MS)
    await custodian.take(later.upload(2), NOW_MS)
    assert (await proven(admin, keys, name_of(later, 2))).holds


async def test_the_person_is_in_it_only_where_asked_for_and_permitted(
    admin: Admin, keys: Keys, city: City, custodian: Custodian
) -> None:
    journal = await taken(custodian, city.device)
    event = name_of(journal, 1)
    found = await proven(admin, keys, event, personal=True)
    assert found.holds
    assert found.proof is not None
    assert found.proof.personal == journal.personals[1]
    mei = caller("mei", Role.OPERATOR, venues=("main",))
    assert (await ask(admin, mei, "proof.make", event=event)).holds
    with pytest.raises(ActionFailed, match="only an admin or an auditor"):
        await ask(admin, mei, "proof.make", event=event, personal=True)
    assert (await ask(admin, caller("aud", Role.AUDITOR), "proof.make", event=event, personal=True)).personal
    with pytest.raises(ActionFailed, match="has no personal part"):
        await admin.act("proof.make", event=name_of(journal, 0), personal=True)
    await city.change(events, events.c.sequence == 1, personal=None)
    with pytest.raises(ActionFailed, match="destroyed"):
        await admin.act("proof.make", event=event, personal=True)
    assert (await proven(admin, keys, event)).holds, "what is destroyed breaks no proof"


async def test_another_root_is_noticed(
    admin: Admin, city: City, custodian: Custodian, keys: Keys, tmp_path: Path
) -> None:
    journal = await taken(custodian, city.device)
    made = await admin.act("proof.make", event=name_of(journal, 1))
    other = Keys.create(tmp_path / "other", None, NOW_MS)
    found = check_file(base64.b64decode(made.file), other.root_public)
    assert list(failing(found)) == ["root"]


async def test_what_came_after_the_revocation_is_called_untrusted(
    admin: Admin, keys: Keys, city: City, custodian: Custodian, database: Database
) -> None:
    journal = await taken(custodian, city.device)
    async with database.write() as connection:
        await enrolment.revoke(connection, city.device.id, "stolen", NOW_MS)
    journal.tap()
    await custodian.take(journal.upload(4), NOW_MS + 1)
    found = await proven(admin, keys, name_of(journal, 4))
    assert set(failing(found)) == {"receipt", "custody"}
    assert failing(found)["custody"].startswith("Untrusted: central revoked")
    assert "stolen" not in " ".join(check.said() for check in found.checks)
    assert (await proven(admin, keys, name_of(journal, 1))).holds, "what was held before stays trusted"


async def test_a_forked_event_is_told_apart_from_the_one_that_counts(
    admin: Admin, keys: Keys, city: City, custodian: Custodian
) -> None:
    journal = await taken(custodian, city.device)
    other = journal.branch(2)
    other.tap(2)
    await custodian.take(other.upload(2), NOW_MS + 1)
    event = name_of(journal, 2)
    assert (await proven(admin, keys, event)).holds
    shown = await admin.act("event.show", event=event)
    (contradicting,) = shown.contradicting
    found = await proven(admin, keys, event, batch=contradicting.digest)
    assert list(failing(found)) == ["custody"]
    assert failing(found)["custody"].startswith("Forked")
    assert found.proof is not None
    assert found.proof.public == other.publics[2]
    forked = await admin.act("event.show", event=event, batch=contradicting.digest)
    assert (forked.event.outcome, forked.personal, forked.holds) == ("forked", "evidence", False)
    assert forked.public == other.publics[2].hex()
    with pytest.raises(ActionFailed, match="no event"):
        await admin.act("proof.make", event=event, batch=bytes(32).hex())


async def test_a_refused_event_is_not_proven_and_a_held_one_is(
    admin: Admin, keys: Keys, city: City, custodian: Custodian
) -> None:
    journal = Journal(city.device)
    journal.add("from-the-future")
    journal.add_raw(b"\x93\x01\x02\x03")
    journal.add("start")
    await custodian.take(journal.upload(), NOW_MS)
    assert (await proven(admin, keys, name_of(journal, 1))).holds
    assert "event" in failing(await proven(admin, keys, name_of(journal, 2)))
    assert list(failing(await proven(admin, keys, name_of(journal, 3)))) == ["custody"]
    shown = await admin.act("event.show", event=name_of(journal, 2))
    assert (shown.signed, shown.event.outcome) == (None, "refused")


async def test_an_event_is_shown_with_every_step_of_its_check(admin: Admin, city: City, custodian: Custodian) -> None:
    journal = await taken(custodian, city.device)
    shown = await admin.act("event.show", event=name_of(journal, 2))
    steps = {check.step: check.finding for check in shown.checks}
    expected = ("form", "root", "keys", "device", "batch", "chain", "event", "personal", "receipt", "custody", "stored")
    assert steps == dict.fromkeys(expected, "holds")
    assert (shown.public, shown.personal) == (journal.publics[2].hex(), "held")
    assert (shown.before, shown.after) == (name_of(journal, 1), name_of(journal, 3))
    assert shown.receipt["head"] == journal.heads[-1].hex()
    assert shown.signed["clock"] == "trusted"
    text = msgspec.json.encode(shown).decode()
    assert journal.personals[2].hex() not in text


async def test_an_altered_row_or_batch_is_noticed_in_front_of_the_person(
    admin: Admin, city: City, custodian: Custodian
) -> None:
    journal = await taken(custodian, city.device)
    event = name_of(journal, 2)
    await city.change(events, events.c.sequence == 2, reason="expired")
    shown = await admin.act("event.show", event=event)
    assert [check.step for check in shown.checks if check.finding == "fails"] == ["stored"]
    await city.change(batches, batches.c.first == 0, envelope=b"\x94\xa0")
    shown = await admin.act("event.show", event=event)
    assert not shown.holds
    assert shown.public == ""


async def test_nobody_else_sees_an_event_or_its_proof(
    admin: Admin, pool: Device, city: City, custodian: Custodian
) -> None:
    journal, theirs = await taken(custodian, city.device), await taken(custodian, pool)
    mei = caller("mei", Role.OPERATOR, venues=("pool",))
    for action in ("event.show", "proof.make"):
        assert await ask(admin, mei, action, event=name_of(theirs, 1))
        refusals = []
        for event in (name_of(journal, 1), name_of(theirs, 99), f"nobody/{bytes(8).hex()}/0"):
            with pytest.raises(ActionFailed) as refusal:
                await ask(admin, mei, action, event=event)
            refusals.append(str(refusal.value).replace(event, "EVENT"))
        assert set(refusals) == {"no event EVENT is in custody here"}, "what is not theirs is answered as what is not"
        with pytest.raises(Forbidden):
            await ask(admin, caller("c", Role.COORDINATOR, teams=("guides",)), action, event=name_of(theirs, 1))
    zero = json.dumps({"device": "\0", "epoch": bytes(8).hex(), "sequence": 0})
    with pytest.raises(ActionFailed, match="zero character"):
        await admin.act("event.show", event=zero)
