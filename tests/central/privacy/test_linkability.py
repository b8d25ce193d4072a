"""Two domains of one city: whoever has the lists of both, and a key of one, does not find out who is who in the other.

People live their lives meanwhile: cards are replaced and lost, classes given, put right and planned.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from central.lists import refresh_domain
from central.published_dates import DAY_MS, QUARTER_MS, is_nothing, published
from central.store.schema import cards, domains, list_entries, member_classes, members
from protocol.allowlist import Entry
from protocol.messages import decode
from protocol.token import fingerprint, token
from tests.central.actors import NOW_MS
from tests.central.admin import Admin
from tests.central.city import City, uid

HERE, THERE = "library", "sports"
A_MOMENT_MS = 1_000_000_000_000
"""A number above is a time; below, a count or a state, which many share."""
MIDNIGHT_MS = NOW_MS - NOW_MS % DAY_MS - 8 * 3_600_000


@pytest.fixture
async def lived(admin: Admin, city: City) -> City:
    """Everybody is in both domains, and to each something happens at a moment of their own."""
    city.keys.new_domain_key(THERE, 1)
    await city.add(domains, {"id": THERE, "key_number": 1})
    who = sorted(await city.rows(members), key=lambda row: bytes(row.id))
    for row in who:
        await admin.act("member.put", member=row.reference, domain=THERE)
    for deed, said in (
        ("card.replace", {"uid": uid(0).raw.hex(), "new_uid": uid(90).raw.hex(), "notation": "hex"}),
        ("card.lose", {"uid": uid(1).raw.hex()}),
        ("card.find-again", {"uid": uid(1).raw.hex()}),
        ("member.correct", {"member": who[2].reference, "without_classes": ["citizen"]}),
    ):
        admin.now_ms += 61_001
        await admin.act(deed, **said)
    given = {"from_ms": NOW_MS + 12_345, "until_ms": MIDNIGHT_MS + 40 * DAY_MS}
    await city.change(member_classes, member_classes.c.member == who[3].id, **given)
    await city.change(cards, cards.c.member == who[4].id, until_ms=NOW_MS + 99_999)
    async with city.database.write() as connection:
        for domain in (HERE, THERE):
            await refresh_domain(connection, city.keys, domain, admin.now_ms)
    return city


def said(value: Any) -> Iterator[bytes | str | int]:
    """Everything within a message that many do not share by chance."""
    if isinstance(value, (list, tuple)):
        for each in value:
            yield from said(each)
    elif isinstance(value, msgspec.Struct):
        yield from said(msgspec.structs.astuple(value))
    elif isinstance(value, bytes) or (isinstance(value, int) and value > A_MOMENT_MS):
        yield value


async def listed(city: City, domain: str) -> dict[bytes, Entry]:
    rows = [row for row in await city.rows(list_entries) if row.domain == domain and not row.dropped]
    return {bytes(row.token): decode(Entry, row.entry) for row in rows}


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_nothing_that_two_lists_say_is_of_one_person_in_both(lived: City) -> None:
    here, there = await listed(lived, HERE), await listed(lived, THERE)
    assert len(here) == len(there) == 6
    values = [Counter(set(said((*rows, *rows.values())))) for rows in (here, there)]
    shared = values[0].keys() & values[1].keys()
    assert {value for value in shared if isinstance(value, bytes)} == set()
    assert {value % QUARTER_MS for value in shared if isinstance(value, int)} == {0}, "a moment is on both lists"


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_the_key_of_one_domain_finds_nobody_in_the_other(lived: City) -> None:
    """Nor in what gates there write down of taps: tokens of cards on no list, and fingerprints of chips."""
    key = lived.keys.domain_key(HERE, 1)
    there = await listed(lived, THERE)
    known = {token(key, uid(n)) for n in (*range(5), 90)}
    assert known & there.keys() == set()
    chips = [{fingerprint(each, 0x08, b"\x3b") for each in tokens} for tokens in (known, there)]
    assert chips[0] & chips[1] == set()


@pytest.mark.parametrize(
    ("at_ms", "as_published"),
    [
        (0, 0),
        (MIDNIGHT_MS, MIDNIGHT_MS),
        (MIDNIGHT_MS - 90 * 60_000, MIDNIGHT_MS - 90 * 60_000),  # midnight elsewhere
        (MIDNIGHT_MS + 1, MIDNIGHT_MS),
        (MIDNIGHT_MS + DAY_MS - 1, MIDNIGHT_MS),
        (MIDNIGHT_MS - 1, MIDNIGHT_MS - DAY_MS),
    ],
)
def test_what_is_planned_keeps_its_time_and_what_was_said_there_and_then_its_day(at_ms: int, as_published: int) -> None:
    assert published(at_ms) == as_published


@pytest.mark.parametrize(("until_ms", "nothing"), [(0, False), (1, True), (2, True), (3, False)])
def test_a_class_that_was_given_and_ended_within_a_day_is_on_no_list(until_ms: int, nothing: bool) -> None:
    assert is_nothing(2, until_ms) is nothing
