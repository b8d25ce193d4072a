"""Notices for members: set by hand or by a table, in the list at once, gone when their time is over."""

from typing import Any

import pytest

from central.actions.action import ActionFailed
from central.flags import FLAGS, lapse_flags
from central.store.schema import member_flags, subjects
from protocol.notices import in_words
from tests.central.admin import Admin
from tests.central.city import City, uid
from tests.central.people.conftest import Listed, Write

DAY_MS = 86_400_000


async def flags_of(listed: Listed, number: int) -> tuple[str, ...]:
    entry = await listed.entry(number)
    assert entry is not None
    return entry.flags


async def test_a_flag_is_on_the_list_at_once_and_leaves_it_when_cleared(admin: Admin, listed: Listed) -> None:
    before = await listed.version()
    done = await admin.act("card.flag", member="M-1", domain="library", set=["hold-ready", "overdue"])
    assert [one.flag for one in done.flags] == ["hold-ready", "overdue"]
    assert await flags_of(listed, 1) == ("hold-ready", "overdue")
    assert await flags_of(listed, 2) == ()
    assert await listed.version() > before
    await admin.act("card.flag", member="M-1", domain="library", clear=["overdue", "hold-ready"])
    assert await flags_of(listed, 1) == ()
    assert await listed.is_whole()


async def test_setting_what_is_set_publishes_nothing(admin: Admin, listed: Listed) -> None:
    await admin.act("card.flag", member="M-1", domain="library", set=["overdue"])
    version = await listed.version()
    await admin.act("card.flag", member="M-1", domain="library", set=["overdue"], clear=["hold-ready"])
    assert await listed.version() == version


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"member": "M-1", "set": ["rich"]}, "there is no 'rich'; known are hold-ready, library-blocked, "),
        ({"member": "E-1", "set": ["overdue"]}, "E-1 is not in library"),
        ({"member": "nobody", "set": ["overdue"]}, "nobody is not in library"),
        ({"member": "M-1", "set": ["overdue"], "until": "2001-01-01"}, "is over already"),
        ({"member": "M-1", "set": ["overdue"], "until": "98/01/01"}, "could be several dates"),
    ],
)
async def test_what_cannot_be_set_is_said(admin: Admin, values: dict[str, Any], why: str) -> None:
    with pytest.raises(ActionFailed, match=why):
        await admin.act("card.flag", domain="library", **values)


async def test_a_flag_whose_time_is_over_leaves_the_list(admin: Admin, city: City, listed: Listed) -> None:
    await admin.act("card.flag", member="M-1", domain="library", set=["hold-ready"], until="2100-01-01")
    await admin.act("card.flag", member="M-2", domain="library", set=["overdue"])
    (until_ms,) = {row.until_ms for row in await city.rows(member_flags)} - {0}
    for now_ms, gone in ((until_ms - 1, 0), (until_ms, 1), (until_ms + DAY_MS, 0)):
        async with city.database.write() as connection:
            assert await lapse_flags(connection, city.keys, now_ms) == gone
    assert await flags_of(listed, 1) == ()
    assert await flags_of(listed, 2) == ("overdue",)


async def test_a_table_says_for_each_row_what_it_would_do_and_then_does_it(
    admin: Admin, city: City, listed: Listed, write: Write
) -> None:
    file = write("member,flags,until", "M-0,hold-ready,", "M-1,hold-ready|overdue,2100/12/31", "M-2,,", "E-1,overdue,")
    version = await listed.version()
    planned = await admin.act("card.flags", file=file, domain="library", report=True)
    assert planned.verdicts == {"changed": 2, "unchanged": 1, "refused": 1}
    assert admin.why(5) == "member: not in library; import the member's card first"
    assert (await listed.version(), await city.rows(member_flags)) == (version, [])
    done = await admin.act("card.flags", file=file, domain="library", apply=True)
    assert (done.verdicts, done.applied) == (planned.verdicts, True)
    assert await flags_of(listed, 0) == ("hold-ready",)
    assert await flags_of(listed, 1) == ("hold-ready", "overdue")
    again = await admin.act("card.flags", file=file, domain="library", apply=True)
    assert again.verdicts == {"changed": 0, "unchanged": 3, "refused": 1}
    assert await listed.is_whole()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp950"])
async def test_a_table_may_name_cards_and_comes_in_either_encoding(
    admin: Admin, listed: Listed, write: Write, encoding: str
) -> None:
    rows = ["uid,flags", f"{uid(3).raw.hex()},overdue", "04FFFFFFFFFFFF,overdue", "逾期,overdue"]
    done = await admin.act("card.flags", file=write(*rows, encoding=encoding), domain="library", apply=True)
    assert done.verdicts == {"changed": 1, "unchanged": 0, "refused": 2}
    assert [item.why for item in admin.items] == [
        "uid: this card is bound to nobody",
        "uid: no notation reads it as 4, 7 or 10 bytes",
    ]
    assert await flags_of(listed, 3) == ("overdue",)


async def test_a_full_table_clears_whom_it_does_not_name(admin: Admin, listed: Listed, write: Write) -> None:
    await admin.act("card.flag", member="M-4", domain="library", set=["overdue"])
    file = write("member,flags", "M-0,overdue")
    planned = await admin.act("card.flags", file=file, domain="library", full=True)
    assert (planned.cleared, await flags_of(listed, 4)) == (1, ("overdue",))
    done = await admin.act("card.flags", file=file, domain="library", full=True, apply=True)
    assert (done.cleared, await flags_of(listed, 4), await flags_of(listed, 0)) == (1, (), ("overdue",))


async def test_a_full_table_with_a_row_that_cannot_be_read_clears_nobody(
    admin: Admin, listed: Listed, write: Write
) -> None:
    await admin.act("card.flag", member="M-4", domain="library", set=["overdue"])
    file = write("member,flags", "M-0,overdue", "M-9,overdue")
    with pytest.raises(ActionFailed, match="who is not named is not known"):
        await admin.act("card.flags", file=file, domain="library", full=True, apply=True)
    assert (await flags_of(listed, 4), await flags_of(listed, 0)) == (("overdue",), ("overdue",))


async def test_rows_that_contradict_each_other_do_not_win_by_being_last(
    admin: Admin, listed: Listed, write: Write
) -> None:
    file = write("member,flags", "M-0,overdue", "M-0,hold-ready", "M-1,overdue", "M-1,overdue")
    done = await admin.act("card.flags", file=file, domain="library", apply=True, report=True)
    assert admin.verdicts() == {2: "changed", 3: "refused", 4: "changed", 5: "unchanged"}
    assert done.verdicts["refused"] == 1
    assert await flags_of(listed, 0) == ("overdue",)


async def test_a_header_that_names_both_or_neither_is_refused(admin: Admin, write: Write) -> None:
    for header in ("member,uid,flags", "flags,until"):
        with pytest.raises(ActionFailed, match="must name uid or member"):
            await admin.act("card.flags", file=write(header, "a,b"), domain="library")


async def test_flags_go_with_the_member_who_leaves_the_domain(admin: Admin, city: City) -> None:
    await admin.act("card.flag", member="M-1", domain="library", set=["overdue"])
    async with city.database.write() as connection:
        await connection.execute(subjects.delete())
    assert await city.rows(member_flags) == []


def test_every_flag_that_can_be_set_has_words() -> None:

    assert all(in_words(flag, 1) for flag in FLAGS)
