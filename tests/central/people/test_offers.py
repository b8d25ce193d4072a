"""Offers: imported by a table, answered by class and date, and nobody is named."""

import pytest

from central.actions.action import ActionFailed
from central.store.schema import offers, venues
from tests.central.admin import Admin
from tests.central.city import City
from tests.central.people.conftest import Write

HEADER = "id,partner,title_zh,title_en,class,from,until"
ROWS = (
    "tea,茶行,九折,10% off,senior|caring,115/09/01,115/09/30",
    "book,書店,八折,20% off,,2026-01-01,",
    "film,電影院,早場,Matinee,student,,2026-09-15",
)


async def on(admin: Admin, day: str, *classes: str) -> list[str]:
    return [each.id for each in (await admin.act("offer.list", on=day, classes=list(classes))).offers]


async def test_a_counter_hears_what_is_good_for_a_class_on_a_day(admin: Admin, city: City, write: Write) -> None:
    file = write(HEADER, *ROWS)
    planned = await admin.act("offer.import", file=file)
    assert (planned.verdicts["added"], await city.rows(offers)) == (3, [])
    done = await admin.act("offer.import", file=file, apply=True)
    assert (done.verdicts, done.withdrawn) == (planned.verdicts, 0)
    assert await on(admin, "2026-08-31", "senior") == ["book"]
    assert sorted(await on(admin, "2026-09-01", "senior")) == ["book", "tea"]
    assert sorted(await on(admin, "115/09/30", "caring", "student")) == ["book", "tea"]
    assert sorted(await on(admin, "2026-09-15", "student")) == ["book", "film"]
    assert await on(admin, "2026-09-16", "student") == ["book"]
    assert await on(admin, "2025-12-31", "staff") == []
    assert sorted(await on(admin, "2026-09-10")) == ["book", "film", "tea"]
    with pytest.raises(ActionFailed, match="could be several dates"):
        await on(admin, "98/01/01")


async def test_not_told_a_day_it_says_what_is_good_today(admin: Admin, city: City, write: Write) -> None:
    """The clock says 14:13 UTC of 21 September: still that day in Taipei, already the next one on Kiritimati."""
    file = write(HEADER, "old,店,甲,,,,2026-09-20", "good,店,乙,,,2026-09-21,2026-09-21", "new,店,丙,,,2026-09-22,")
    await admin.act("offer.import", file=file, apply=True)
    assert await on(admin, "") == ["good"]
    await city.add(venues, {"id": "far", "domain": "library", "time_zone": "Pacific/Kiritimati"})
    with pytest.raises(ActionFailed, match="state the day"):
        await on(admin, "")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp950"])
async def test_rows_that_are_no_offer_are_named(admin: Admin, write: Write, encoding: str) -> None:
    bad = (
        ",茶行,九折,,,,",
        "a,,九折,,,,",
        "b,茶行,九折,,,soon,",
        "c,茶行,九折,,,2026-02-02,2026-01-01",
        ROWS[0],
        ROWS[0],
    )
    done = await admin.act("offer.import", file=write(HEADER, *bad, encoding=encoding), apply=True)
    assert (done.verdicts["added"], done.verdicts["refused"]) == (1, 5)
    assert [item.why.partition(":")[0] for item in admin.items] == ["id", "partner", "from", "until", "id"]


async def test_a_later_table_changes_and_withdraws(admin: Admin, write: Write) -> None:
    await admin.act("offer.import", file=write(HEADER, *ROWS), apply=True)
    later = write(HEADER, ROWS[0].replace("senior|caring", "senior"), ROWS[1])
    planned = await admin.act("offer.import", file=later, full=True)
    assert (planned.verdicts, planned.withdrawn) == ({"added": 0, "changed": 1, "unchanged": 1, "refused": 0}, 1)
    await admin.act("offer.import", file=later, full=True, apply=True)
    assert await on(admin, "2026-09-10", "caring", "student") == ["book"]
    with pytest.raises(ActionFailed, match="nothing is withdrawn"):
        await admin.act("offer.import", file=write(HEADER, "x,,,,,,"), full=True, apply=True)
    assert len(await on(admin, "2026-09-10")) == 2


async def test_a_long_list_of_offers_is_read_a_page_at_a_time(admin: Admin, write: Write) -> None:
    await admin.act("offer.import", file=write(HEADER, *ROWS), apply=True)
    every = (await admin.act("offer.list", on="2026-09-10")).offers
    key, read = "", []
    for _ in every:
        page = await admin.act("offer.list", on="2026-09-10", limit=1, after=key)
        read, key = read + page.offers, page.next
    assert (read, key) == (every, "")
