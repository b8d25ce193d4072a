"""Members found by whatever somebody has of them, shown to who may see them, registered and numbered."""

from typing import Any

import msgspec
import pytest
from sqlalchemy import delete

from central.access.perform import BadParameters
from central.access.reach import Forbidden
from central.actions.action import ActionFailed
from central.actions.cards import members as finding
from central.lists import refresh_domain
from central.store.schema import (
    audit,
    domains,
    gates,
    member_name_keys,
    member_numbers,
    members,
    venues,
)
from protocol.allowlist import CardState
from protocol.binding import tapped
from protocol.uid import Notation
from tests.central.actors import NOW_MS
from tests.central.admin import Admin
from tests.central.callers import ask, caller
from tests.central.city import City, uid
from tests.central.people.conftest import Listed, Write
from tests.central.people.test_bind_sessions import ATR, Counter

ADMIN = caller("chen", "admin")
AUDITOR = caller("wu", "auditor")
LIN = caller("lin", "operator", venues=("main",))
CHU = caller("lin", "operator", venues=("pool",))


@pytest.fixture
async def sports(city: City, admin: Admin) -> City:
    """A second domain: the venue `pool`, the gate `turnstile-1`, the member M-20 with a card."""
    city.keys.new_domain_key("sports", 1)
    await city.add(domains, {"id": "sports", "key_number": 1})
    await city.add(venues, {"id": "pool", "domain": "sports", "time_zone": "Asia/Taipei"})
    await city.add(gates, {"id": "turnstile-1", "venue": "pool", "kind": "turnstile", "policy": "open"})
    (member,) = await city.add_members(1, 20, "sports")
    await city.change(members, members.c.id == member, reference="M-20")
    async with city.database.write() as connection:
        await refresh_domain(connection, city.keys, "sports", NOW_MS)
    return city


async def named(admin: Admin, member: str, name: str, domain: str = "library") -> None:
    await ask(admin, ADMIN, "member.put", member=member, domain=domain, name=name)


def references(found: Any) -> list[str]:
    return [hit.member for hit in found.members]


# --- finding ----------------------------------------------------------------------------------------------------


async def test_a_member_is_found_by_a_card_in_any_notation(admin: Admin) -> None:
    for notation in Notation:
        found = await ask(admin, LIN, "member.find", sought=uid(3).in_notation(notation))
        (hit,) = found.members
        assert (hit.member, hit.by, hit.card, hit.card_state) == ("M-3", "uid", 1, "active")
        assert notation.value in hit.notations
        assert (hit.classes, hit.domains) == (["citizen"], ["library"])


async def test_every_reading_that_is_a_known_card_is_shown(city: City, admin: Admin) -> None:
    mirrored = uid(3).raw[::-1].hex()
    await ask(admin, ADMIN, "card.bind", member="M-4", uid=mirrored, notation="hex")
    found = await ask(admin, LIN, "member.find", sought=mirrored)
    assert {(hit.member, *hit.notations) for hit in found.members} == {("M-3", "hex-reversed"), ("M-4", "hex")}


async def test_a_member_is_found_by_reference_name_and_numbers(admin: Admin) -> None:
    await named(admin, "M-1", "王小明")
    await ask(admin, LIN, "member.number.put", member="M-1", kind="library-barcode", identifier="A 0012-34")
    await ask(admin, LIN, "member.number.put", member="M-2", kind="volunteer-number", identifier="a001234")
    for sought, by in (("M-1", "member"), ("王　小明", "name"), ("王小", "name")):
        found = await ask(admin, LIN, "member.find", sought=sought)
        assert [(hit.member, hit.by, hit.name) for hit in found.members] == [("M-1", by, "王小明")]
    both = await ask(admin, LIN, "member.find", sought="ａ001234")
    assert {(hit.member, hit.by) for hit in both.members} == {("M-1", "library-barcode"), ("M-2", "volunteer-number")}
    only = await ask(admin, LIN, "member.find", sought="a001234", kind="volunteer-number")
    assert references(only) == ["M-2"]


async def test_a_name_that_is_too_short_says_so(admin: Admin) -> None:
    await named(admin, "M-1", "王小明")
    found = await ask(admin, LIN, "member.find", sought="王")
    assert (found.members, found.too_short) == ([], True)
    found = await ask(admin, LIN, "member.find", sought="陳怡")
    assert (found.members, found.too_short) == ([], False)


async def test_many_of_one_name_come_page_by_page_each_once(
    city: City, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "OPENED_AT_ONCE", 3)
    monkeypatch.setattr(finding, "MOST_OPENED", 7)
    ids = await city.add_members(30, 100)
    for n, id_ in enumerate(ids):
        await city.change(members, members.c.id == id_, reference=f"N-{n:02}")
        await named(admin, f"N-{n:02}", ("陳怡君", "陳怡安", "陳怡")[n % 3])
    pages, after = [], ""
    while True:
        found = await ask(admin, LIN, "member.find", sought="陳怡", after=after, limit=4)
        assert len(found.members) <= 4
        pages.append(references(found))
        after = found.after
        if not after:
            break
    seen = [reference for page in pages for reference in page]
    assert sorted(seen) == [f"N-{n:02}" for n in range(30)]
    assert all(int(reference[2:]) % 3 == 2 for reference in seen[:10])  # the same name goes before longer ones


async def test_a_changed_name_is_not_found_any_more(admin: Admin) -> None:
    await named(admin, "M-1", "王小明")
    await named(admin, "M-1", "王大明")
    assert references(await ask(admin, LIN, "member.find", sought="王小明")) == []
    assert references(await ask(admin, LIN, "member.find", sought="王大明")) == ["M-1"]


async def test_nothing_readable_of_names_and_numbers_rests_in_the_tables(city: City, admin: Admin) -> None:
    await named(admin, "M-1", "Wilhelmina")
    await ask(admin, ADMIN, "member.number.put", member="M-1", kind="library-barcode", identifier="B98765432")
    await ask(admin, LIN, "member.find", sought="Wilhelmina")
    await ask(admin, LIN, "member.find", sought=uid(3).raw.hex())
    for table in (members, member_name_keys, member_numbers, audit):
        for row in await city.rows(table):
            told = b"".join(cell if isinstance(cell, bytes) else str(cell).encode() for cell in row).lower()
            for secret in (b"wilhelmina", b"98765432", b"wil", uid(3).raw, uid(3).raw.hex().encode()):
                assert secret not in told, table.name


async def test_a_cursor_that_was_made_up_is_refused_with_words(admin: Admin) -> None:
    for after in ("x", "same/zz", "other/00", "same/0"):
        with pytest.raises(ActionFailed, match="after"):
            await ask(admin, LIN, "member.find", sought="王小", after=after)


async def test_nonsense_finds_nobody(admin: Admin) -> None:
    await named(admin, "M-1", "王小明")
    for sought in ("\x00", "’", "🜚", "0x", "%", "_", "'; DROP TABLE members", " ", "9" * 128, "\ud800", "王\u202e小"):
        try:
            found = await ask(admin, LIN, "member.find", sought=sought)
        except (ActionFailed, BadParameters):
            continue
        assert found.members == [], sought


# --- whose --------------------------------------------------------------------------------------------------------


async def test_an_operator_finds_members_of_own_domains_only(sports: City, admin: Admin) -> None:
    await named(admin, "M-20", "王小明", "sports")
    await ask(admin, ADMIN, "member.number.put", member="M-20", kind="library-barcode", identifier="777")
    for sought in ("M-20", "777", "王小明", "王小", uid(20).raw.hex()):
        assert references(await ask(admin, LIN, "member.find", sought=sought)) == [], sought
        assert references(await ask(admin, CHU, "member.find", sought=sought)) == ["M-20"], sought
        assert references(await ask(admin, AUDITOR, "member.find", sought=sought)) == ["M-20"], sought


async def test_a_card_of_others_looks_as_if_it_were_nobodys(sports: City, admin: Admin) -> None:
    said = []
    for number in (20, 99):
        with pytest.raises(Forbidden) as refusal:
            await ask(admin, LIN, "card.find", uid=uid(number).raw.hex())
        said.append(str(refusal.value))
    assert said[0] == said[1]
    assert uid(20).raw.hex() not in said[0]
    rows = [row for row in await sports.rows(audit) if row.phase == "refused"]
    assert len(rows) == 2
    assert all(uid(20).raw.hex() not in row.body for row in rows)


async def test_a_member_of_others_is_not_shown_changed_or_numbered(sports: City, admin: Admin) -> None:
    (id_,) = [row.id.hex() for row in await sports.rows(members) if row.reference == "M-20"]
    with pytest.raises(ActionFailed, match="there is no member"):
        await ask(admin, LIN, "member.show", id=id_)
    for name, values in (
        ("member.show", {"member": "M-20"}),
        ("member.number.put", {"member": "M-20", "kind": "library-barcode", "identifier": "1"}),
        ("member.number.remove", {"member": "M-20", "kind": "library-barcode"}),
        ("card.bind", {"member": "M-20", "uid": uid(50).raw.hex()}),
        ("card.uptake", {"member": "M-20"}),
        ("member.put", {"member": "Z-1", "domain": "sports"}),
    ):
        with pytest.raises(Forbidden):
            await ask(admin, LIN, name, **values)
    with pytest.raises(ActionFailed, match="another domain"):
        await ask(admin, LIN, "member.put", member="M-20", domain="library", name="Eve")
    assert (await ask(admin, CHU, "member.show", id=id_)).name == ""


async def test_of_a_member_of_both_each_sees_the_own_domain(sports: City, admin: Admin) -> None:
    await ask(admin, ADMIN, "member.put", member="M-1", domain="sports")
    await admin.act("card.flag", member="M-1", domain="library", set=["overdue"])
    lin = await ask(admin, LIN, "member.show", member="M-1")
    chu = await ask(admin, CHU, "member.show", member="M-1")
    assert [(each.domain, [flag.flag for flag in each.flags]) for each in lin.domains] == [("library", ["overdue"])]
    assert [(each.domain, each.flags) for each in chu.domains] == [("sports", [])]
    assert len((await ask(admin, AUDITOR, "member.show", member="M-1")).domains) == 2


async def test_looking_for_and_at_a_person_is_written_down(city: City, admin: Admin) -> None:
    await ask(admin, LIN, "member.find", sought="M-1")
    await ask(admin, LIN, "member.show", member="M-1")
    looked = [(row.who, row.action, row.target) for row in await city.rows(audit) if row.phase == "looked"]
    assert looked == [("lin", "member.find", ""), ("lin", "member.show", "M-1")]


# --- registering --------------------------------------------------------------------------------------------------


async def test_a_member_is_registered_with_a_card_and_opens_what_the_class_opens(admin: Admin, listed: Listed) -> None:
    stands = await ask(admin, ADMIN, "member.put", member="R-1", domain="library", name="林阿美", classes=["senior"])
    assert stands.change == "added"
    await ask(admin, LIN, "card.bind", member="R-1", uid=uid(61).raw.hex(), notation="hex")
    entry = await listed.entry(61)
    assert entry is not None
    assert (entry.card, entry.state, [grant.name for grant in entry.classes]) == (1, CardState.ACTIVE, ["senior"])
    assert await listed.is_whole()
    shown = await ask(admin, LIN, "member.show", id=stands.id)
    assert (shown.member, shown.name, shown.is_day) == ("R-1", "林阿美", False)
    assert [card.number for card in shown.cards] == [1]
    again = await ask(admin, ADMIN, "member.put", member="R-1", domain="library", name="林阿美", classes=["senior"])
    assert again.change == "unchanged"


async def test_a_class_that_was_over_goes_on_from_now(admin: Admin) -> None:
    await ask(admin, ADMIN, "member.put", member="M-1", domain="library", classes=["senior"])
    shown = await ask(admin, ADMIN, "member.show", member="M-1")
    assert [(each.class_name, each.from_ms, each.until_ms) for each in shown.classes] == [
        ("citizen", 0, 0),
        ("senior", 0, 0),
    ]


async def test_an_operator_gives_no_class(admin: Admin) -> None:
    with pytest.raises(ActionFailed, match="an admin"):
        await ask(admin, LIN, "member.put", member="R-1", domain="library", classes=["staff"])


async def test_a_reference_that_would_mislead_is_refused(admin: Admin) -> None:
    for member in ("day/2026-01-01/aa", " M-1", "a\nb", "a\u202eb"):
        with pytest.raises(ActionFailed, match="member"):
            await ask(admin, ADMIN, "member.put", member=member, domain="library")


async def test_a_number_is_one_members_and_is_replaced_and_removed(admin: Admin) -> None:
    put = {"kind": "library-barcode"}
    await ask(admin, LIN, "member.number.put", member="M-1", identifier="111", **put)
    with pytest.raises(ActionFailed, match="another member's"):
        await ask(admin, LIN, "member.number.put", member="M-2", identifier="1-1 1", **put)
    await ask(admin, LIN, "member.number.put", member="M-1", identifier="222", **put)
    await ask(admin, LIN, "member.number.put", member="M-2", identifier="111", **put)
    assert references(await ask(admin, LIN, "member.find", sought="111")) == ["M-2"]
    shown = await ask(admin, LIN, "member.show", member="M-1")
    assert [(each.kind, each.identifier) for each in shown.numbers] == [("library-barcode", "222")]
    await ask(admin, LIN, "member.number.remove", member="M-1", **put)
    assert references(await ask(admin, LIN, "member.find", sought="222")) == []
    with pytest.raises(ActionFailed, match="has no library-barcode"):
        await ask(admin, LIN, "member.number.remove", member="M-1", **put)


async def test_a_card_that_is_bound_is_bound_to_nobody_else_whoever_asks(sports: City, admin: Admin) -> None:
    for number in (2, 20):
        with pytest.raises(ActionFailed, match="bound already") as refusal:
            await ask(admin, LIN, "card.bind", member="M-1", uid=uid(number).raw.hex())
        assert "M-20" not in str(refusal.value)
    with pytest.raises(ActionFailed, match="state the notation"):
        await ask(admin, LIN, "card.bind", member="M-1", uid="0102030A")


async def test_cards_are_lost_found_and_replaced_by_their_id(admin: Admin, listed: Listed) -> None:
    (card,) = (await ask(admin, LIN, "member.show", member="M-1")).cards
    await ask(admin, LIN, "card.lose", card=card.card, why="bag stolen")
    assert (await listed.entry(1)).state is CardState.LOST  # type: ignore[union-attr]
    await ask(admin, LIN, "card.find-again", card=card.card)
    replaced = await ask(admin, LIN, "card.replace", card=card.card, new_uid=uid(62).raw.hex(), notation="hex")
    assert (replaced.old.state, replaced.new.number) == ("replaced", 2)
    history = await ask(admin, LIN, "card.history", card=card.card)
    assert [each.state for each in history.statements] == ["replaced", "active", "lost", "active"]
    for values in ({}, {"card": card.card, "uid": uid(1).raw.hex()}, {"card": "zz"}):
        with pytest.raises((ActionFailed, Forbidden)):
            await ask(admin, LIN, "card.lose", **values)


# --- the import ---------------------------------------------------------------------------------------------------

HEADER = "uid,member,class,valid_from,valid_until,name,library_barcode,volunteer_number"


def row(number: int, *more: str) -> str:
    return f"{uid(number).raw.hex()},{','.join(more)}"


async def test_an_import_brings_names_and_numbers_that_members_are_found_by(admin: Admin, write: Write) -> None:
    table = write(HEADER, row(30, "I-1", "citizen", "", "", "王小明", "L-1", "V-1"), row(31, "I-2", "citizen,,,,,"))
    await admin.act("card.import", file=table, domain="library", notation="hex", apply=True, report=True)
    assert admin.verdicts() == {2: "added", 3: "added"}
    for sought in ("L1", "v 1", "王小明"):
        assert references(await ask(admin, LIN, "member.find", sought=sought)) == ["I-1"]
    await admin.act("card.import", file=table, domain="library", notation="hex", apply=True, report=True)
    assert admin.verdicts() == {2: "unchanged", 3: "unchanged"}
    changed = write(HEADER, row(30, "I-1", "citizen", "", "", "王大明", "L-2", ""))
    await admin.act("card.import", file=changed, domain="library", notation="hex", apply=True, report=True)
    assert admin.why(2) == "name, numbers"
    assert references(await ask(admin, LIN, "member.find", sought="L-1")) == []
    assert references(await ask(admin, LIN, "member.find", sought="王小")) == []
    shown = await ask(admin, LIN, "member.show", member="I-1")
    assert [(each.kind, each.identifier) for each in shown.numbers] == [
        ("library-barcode", "L-2"),
        ("volunteer-number", "V-1"),
    ]
    assert (await admin.act("verify")).problems == 0


async def test_a_number_of_two_members_is_a_collision_in_the_file_and_with_what_is_held(
    admin: Admin, write: Write
) -> None:
    table = write(
        HEADER,
        row(30, "I-1", "citizen", "", "", "", "L-1", ""),
        row(31, "I-2", "citizen", "", "", "", "l1", ""),
        row(32, "I-3", "citizen", "", "", "", "L-3", ""),
    )
    for applied in (False, True):
        await admin.act("card.import", file=table, domain="library", notation="hex", apply=applied, report=True)
        assert admin.verdicts() == {2: "collision", 3: "collision", 4: "added"}
    other = write(HEADER, row(33, "I-4", "citizen", "", "", "", "L 3", ""))
    await admin.act("card.import", file=other, domain="library", notation="hex", apply=True, report=True)
    assert (admin.verdicts(), "I-3" in admin.why(2)) == ({2: "collision"}, True)


async def test_the_index_of_names_is_made_anew(city: City, admin: Admin) -> None:
    await named(admin, "M-1", "王小明")
    await named(admin, "M-2", "Anna Schmidt")
    async with city.database.write() as connection:
        await connection.execute(delete(member_name_keys))
    assert (await admin.act("verify")).problems == 2
    assert (await admin.act("member.reindex")).members == 2
    assert references(await ask(admin, LIN, "member.find", sought="schmidt")) == ["M-2"]
    assert (await admin.act("verify")).problems == 0


async def test_a_bent_number_is_found_by_verify(city: City, admin: Admin) -> None:
    await ask(admin, LIN, "member.number.put", member="M-1", kind="library-barcode", identifier="111")
    await city.change(member_numbers, member_numbers.c.kind == "library-barcode", key=bytes(32))
    assert (await admin.act("verify")).problems == 1


def test_the_parameters_are_bounded() -> None:
    schema = msgspec.json.schema(finding.FindParams)
    assert "maxLength" in str(schema)


async def test_a_tapped_card_of_another_domain_is_refused_without_saying_whose_it_is(
    sports: City, admin: Admin
) -> None:
    counter = Counter(sports, admin)
    await counter.knows()
    session = await ask(admin, LIN, "card.bind-session.open", gate="door-1", member="M-1")
    of = await counter.hears()
    assert of is not None
    await counter.takes(of, tapped(uid(20).raw, 8, ATR))
    told = await counter.settles(session)
    assert (told.state, "another domain" in told.why, "M-20" in told.why) == ("refused", True, False)
