"""Consent: a class that needs it is at gates with it alone, and a withdrawal gets there like a block."""

from typing import Any

import msgspec
import pytest

from central.actions.action import ActionFailed
from central.privacy.consent import consented, usable
from central.privacy.notices import ITEMS, Notice
from central.privacy.purposes import purpose_of_class, purposes
from central.privacy.requiring import follow
from central.store.schema import consents, members, name_lists
from protocol.configuration import Names
from protocol.messages import decode
from tests.central.actors import NOW_MS
from tests.central.admin import Admin
from tests.central.city import City
from tests.central.privacy.conftest import NOTICE, Listed, Write

ONE_ENGINE = pytest.mark.parametrize("engine", ["sqlite"])
"""For what is the same on both."""


async def classes_at_gates(listed: Listed, number: int) -> set[str]:
    entry = await listed.entry(number)
    assert entry is not None
    return {grant.name for grant in entry.classes}


@ONE_ENGINE
async def test_an_upgrade_takes_no_class_away(told: Admin, listed: Listed) -> None:
    assert await classes_at_gates(listed, 1) == {"citizen", "caring"}
    assert await classes_at_gates(listed, 2) == {"citizen", "caring"}
    assert await listed.is_whole()


async def test_a_class_that_needs_consent_is_on_no_list_without_it(told: Admin, listed: Listed) -> None:
    await told.act("consent.give", member="M-1", purpose="caring", who="ana")
    done = await told.act("purpose.require", purpose="caring", when="now", who="ana")
    assert (done.required, done.members) == (True, 2)
    assert await classes_at_gates(listed, 1) == {"citizen", "caring"}
    assert await classes_at_gates(listed, 2) == {"citizen"}, "of another person nothing else is lost"
    assert await classes_at_gates(listed, 3) == {"citizen"}
    await told.act("consent.give", member="M-2", purpose="caring", how="kiosk")
    assert await classes_at_gates(listed, 2) == {"citizen", "caring"}
    assert await listed.is_whole()


@ONE_ENGINE
async def test_who_takes_it_back_is_off_the_list_at_once_even_before_it_is_required(
    told: Admin, listed: Listed
) -> None:
    await told.act("consent.withdraw", member="M-1", purpose="caring", why="does not want it known")
    assert await classes_at_gates(listed, 1) == {"citizen"}
    assert await classes_at_gates(listed, 2) == {"citizen", "caring"}
    assert await listed.is_whole()


@ONE_ENGINE
async def test_the_member_keeps_the_class_at_central(told: Admin) -> None:
    await told.act("consent.withdraw", member="M-1", purpose="caring")
    shown = await told.act("member.show", member="M-1")
    assert {held.class_name for held in shown.classes} == {"citizen", "caring"}


async def test_a_date_to_come_changes_nothing_until_it_is_there(told: Admin, city: City, listed: Listed) -> None:
    done = await told.act("purpose.require", purpose="caring", when="2100-01-01")
    assert (done.required, done.members) == (False, 0)
    assert done.from_ms > NOW_MS
    assert await classes_at_gates(listed, 1) == {"citizen", "caring"}
    assert await follow(city.database, city.keys, done.from_ms - 1) == 0
    assert await follow(city.database, city.keys, done.from_ms) == 2
    assert await classes_at_gates(listed, 1) == {"citizen"}
    assert await follow(city.database, city.keys, done.from_ms) == 0
    assert await listed.is_whole()


@ONE_ENGINE
async def test_what_was_cut_short_goes_on_where_it_stopped(
    told: Admin, city: City, listed: Listed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("central.privacy.requiring.MEMBERS_AT_ONCE", 1)
    broken = iter((None, ZeroDivisionError()))
    from central.privacy import requiring

    refresh = requiring.refresh_members

    async def once(*args: Any) -> Any:
        if (error := next(broken, None)) is not None:
            raise error
        return await refresh(*args)

    monkeypatch.setattr(requiring, "refresh_members", once)
    with pytest.raises(ZeroDivisionError):
        await told.act("purpose.require", purpose="caring", when="now")
    assert await classes_at_gates(listed, 1) == {"citizen"}
    assert await classes_at_gates(listed, 2) == {"citizen", "caring"}
    assert (await told.act("purpose.list")).purposes[1].following
    monkeypatch.setattr(requiring, "refresh_members", refresh)
    assert await follow(city.database, city.keys, NOW_MS) == 1
    assert await classes_at_gates(listed, 2) == {"citizen"}


@ONE_ENGINE
async def test_requiring_it_no_more_publishes_again_but_not_of_who_refused(told: Admin, listed: Listed) -> None:
    await told.act("purpose.require", purpose="caring", when="now")
    await told.act("consent.withdraw", member="M-1", purpose="caring")
    await told.act("purpose.require", purpose="caring", when="never")
    assert await classes_at_gates(listed, 1) == {"citizen"}
    assert await classes_at_gates(listed, 2) == {"citizen", "caring"}
    assert await listed.is_whole()


@ONE_ENGINE
async def test_nobody_agrees_to_what_they_were_not_told(admin: Admin) -> None:
    with pytest.raises(ActionFailed, match="before there is a notice"):
        await admin.act("consent.give", member="M-1", purpose="caring")
    with pytest.raises(ActionFailed, match="before there is a notice"):
        await admin.act("purpose.require", purpose="caring", when="now")
    refused = await admin.act("consent.withdraw", member="M-1", purpose="caring")
    assert refused.changed


@ONE_ENGINE
@pytest.mark.parametrize(
    ("action", "values", "why"),
    [
        ("consent.give", {"member": "M-1", "purpose": "profiling"}, "there is no purpose 'profiling'"),
        ("consent.give", {"member": "M-1", "purpose": "points"}, "another basis than consent"),
        ("consent.give", {"member": "nobody", "purpose": "caring"}, "there is no member 'nobody'"),
        ("consent.give", {"member": "M-1", "purpose": "caring", "notice": 2}, "versions up to 1"),
        ("purpose.require", {"purpose": "notices", "when": "now"}, "always needs consent"),
        ("purpose.require", {"purpose": "points", "when": "now"}, "rests on another basis"),
        ("purpose.require", {"purpose": "caring", "when": "soon"}, "when: "),
        ("purpose.require", {"purpose": "caring", "when": ""}, "when: "),
        ("notice.show", {"purpose": "caring", "version": 9}, "no version 9"),
        ("notice.show", {"purpose": "points"}, "no notice of points yet: `notice put points`"),
    ],
)
async def test_what_cannot_be_done_is_said(told: Admin, action: str, values: dict[str, Any], why: str) -> None:
    with pytest.raises(ActionFailed, match=why):
        await told.act(action, **values)


@ONE_ENGINE
async def test_statements_are_appended_with_what_was_told_how_and_by_whom(told: Admin, city: City) -> None:
    await told.act("consent.give", member="M-1", purpose="caring", who="ana")
    assert not (await told.act("consent.give", member="M-1", purpose="caring", who="bea")).changed
    changed = NOTICE | {"en": NOTICE["en"] | {"use": "Period: one year."}}
    await told.act("notice.put", purpose="caring", notice=changed, who="ana")
    told.now_ms += 1_000
    await told.act("consent.withdraw", member="M-1", purpose="caring", how="kiosk", who="bea", why="moved")
    said = (await told.act("consent.list", member="M-1")).consents
    assert [(one.state, one.notice, one.how, one.who, one.holds) for one in said] == [
        ("withdrawn", 2, "kiosk", "bea", True),
        ("given", 1, "counter", "ana", False),
    ]
    assert (await told.act("notice.show", purpose="caring", version=1)).notice.en.use == NOTICE["en"]["use"]
    assert len(await city.rows(consents)) == 2


@ONE_ENGINE
async def test_a_notice_that_says_the_same_is_no_new_version(told: Admin) -> None:
    assert (await told.act("notice.put", purpose="caring", notice=NOTICE)).version == 1


@pytest.mark.parametrize("item", ITEMS)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_notice_has_all_six_items_in_both_languages(item: str, language: str) -> None:
    assert msgspec.convert(NOTICE, Notice)
    part = {name: text for name, text in NOTICE[language].items() if name != item}
    for wrong in (part, part | {item: ""}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(NOTICE | {language: wrong}, Notice)


async def test_a_list_of_signed_forms_is_followed_row_by_row(told: Admin, listed: Listed, write: Write) -> None:
    await told.act("purpose.require", purpose="caring", when="now")
    file = write(
        *("member,answer,date", "M-1,yes,2026-01-05", "M-2,不同意,", "E-1,yes,", "M-3,perhaps,", "nobody,yes,"),
        *("M-1,no,", "M-4,yes,2099-01-01"),
    )
    values = {"domain": "library", "purpose": "caring", "report": True, "who": "ana"}
    with pytest.raises(ActionFailed, match="there is no domain 'nowhere'"):
        await told.act("consent.import", file=file, **values | {"domain": "nowhere"})
    planned = await told.act("consent.import", file=file, **values)
    assert (planned.verdicts, planned.applied) == ({"changed": 2, "unchanged": 0, "refused": 5}, False)
    assert await classes_at_gates(listed, 1) == {"citizen"}
    done = await told.act("consent.import", file=file, apply=True, **values)
    assert done.verdicts == planned.verdicts
    assert "not in library" in told.why(4)
    assert "neither yes nor no" in told.why(5)
    assert "not known here" in told.why(6)
    assert "twice" in told.why(7)
    assert "still to come" in told.why(8)
    assert await classes_at_gates(listed, 1) == {"citizen", "caring"}
    assert (await told.act("consent.list", member="M-1")).consents[0].how == "list"
    again = await told.act("consent.import", file=file, apply=True, **values)
    assert again.verdicts["unchanged"] == 2
    await told.act("consent.withdraw", member="M-1", purpose="caring")
    late = await told.act("consent.import", file=file, apply=True, **values)
    assert late.verdicts == {"changed": 0, "unchanged": 1, "refused": 6}
    assert "said something newer since" in told.why(2)
    assert await classes_at_gates(listed, 1) == {"citizen"}
    assert await listed.is_whole()


async def test_consented_is_who_agreed_and_did_not_take_it_back(told: Admin, city: City) -> None:
    await told.act("notice.put", purpose="notices", notice=NOTICE)
    ids = {row.reference: row.id for row in await city.rows(members)}
    for member in ("M-1", "M-2"):
        await told.act("consent.give", member=member, purpose="notices")
    await told.act("consent.withdraw", member="M-2", purpose="notices")
    async with city.database.read() as connection:
        assert await consented(connection, ids.values(), "notices") == {ids["M-1"]}
        assert await consented(connection, [], "notices") == set()
        assert await usable(connection, ids.values(), "notices") == {ids["M-1"]}
        assert await usable(connection, ids.values(), "points") == set(ids.values())
        assert await consented(connection, ids.values(), "caring") == set()
        assert await usable(connection, ids.values(), "caring") == set(ids.values())


async def test_a_masked_name_leaves_the_screens_with_the_consent(told: Admin, city: City, write: Write) -> None:
    file = write("member,name,agreed", "M-1,王小明,yes", "M-2,林美,yes")
    await told.act("card.names", file=file, domain="library", apply=True)
    assert await shown_names(city) == {"王○明", "林○"}
    await told.act("consent.withdraw", member="M-1", purpose="screen-names")
    assert await shown_names(city) == {"林○"}
    await told.act("notice.put", purpose="screen-names", notice=NOTICE)
    await told.act("purpose.require", purpose="screen-names", when="now")
    assert await shown_names(city) == set()
    await told.act("consent.give", member="M-1", purpose="screen-names")
    assert await shown_names(city) == {"王○明"}


async def shown_names(city: City) -> set[str]:
    (row,) = await city.rows(name_lists)
    return {each.name for each in decode(Names, row.body).names}


def test_every_sensitive_class_has_one_purpose_that_asks() -> None:
    named = [name for purpose in purposes().values() for name in purpose.classes]
    assert len(named) == len(set(named))
    assert all(purposes()[purpose].consent != "never" for purpose in purpose_of_class().values())
