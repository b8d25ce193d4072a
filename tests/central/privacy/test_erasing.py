"""A person erased: nothing of them is left in any row or file, and what proves what happened still holds."""

import base64
import os
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import select

from central import rotating
from central.actions.action import ActionFailed
from central.actions.custody.restore import restore
from central.config import parse
from central.facts import About, append
from central.privacy.erasure import late, ledger
from central.privacy.erasure.erasing import Ordered
from central.privacy.erasure.erasing import erase as erase_person
from central.privacy.erasure.files import drop_stale_snapshots, scrub_what_is_due
from central.privacy.found import person_of
from central.privacy.retention import hours, points
from central.privacy.retention.progress import MembersPass, note_progress, read_progress
from central.privacy.tables import BY_MEMBER, BY_SUBJECT, OTHERWISE
from central.reporting.visit_counts import count_due
from central.services.points.stated import PointsGranted
from central.services.projector import settle
from central.services.service import Touched
from central.store.database import open_database
from central.store.schema import (
    activities,
    attendance_months,
    attendance_sessions,
    audit,
    card_bindings,
    consent_rules,
    devices,
    erasures_pending,
    events,
    evidence,
    former_subjects,
    kept_hours,
    kept_visits,
    key_rotations,
    list_entries,
    lists,
    marks,
    members,
    metadata,
    point_books,
    point_closings,
    point_rounds,
    registrations,
    subject_states,
    subjects,
    visit_counts,
)
from protocol.envelope import Keyring, open_as
from protocol.erasure import Erasure, person_digest
from protocol.messages import Kind, Part, PartName, Personal, Upload, decode, encode
from protocol.token import token
from protocol.uid import CardUID
from tests.central.actors import NOW_MS
from tests.central.admin import Admin
from tests.central.callers import ask, caller
from tests.central.city import City
from tests.central.privacy.conftest import NOTICE, Write
from tests.central.services.scenes import Diary, Town

ONE_ENGINE = pytest.mark.parametrize("engine", ["sqlite"])
"""For what is the same on both: a scene takes a second."""
ANA = caller("ana", "admin")
HOUR_MS = 3_600_000
CARD = CardUID(bytes.fromhex("04a1b2c3d4e5f6"))
REFERENCE, NAME, NUMBER = "A-7714-K", "歐陽菲菲", "L-0099887"
OTHER = "M-2"
COLUMNS = "uid,member,class,valid_from,valid_until"


IN_CLEAR = {"reference", "masked", "member", "member in hex", "subject", "index", "token"}
"""What a running server's database says of a member without a seal; names, numbers and UIDs rest sealed."""


WALKS = (point_rounds, point_closings, key_rotations, consent_rules)


class Scene(NamedTuple):
    """A member with a life, and somebody else who did the same."""

    admin: Admin
    city: City
    town: Town
    diary: Diary
    needles: dict[str, bytes]
    denied: int


@pytest.fixture
async def scene(admin: Admin, city: City, keys: Any, write: Write) -> Scene:
    await ask(admin, ANA, "member.put", member=REFERENCE, domain="library", classes=["citizen"])
    await ask(admin, ANA, "card.bind", member=REFERENCE, uid=CARD.raw.hex(), notation="hex")
    await ask(admin, ANA, "notice.put", purpose="caring", notice=NOTICE)
    for reference, name in ((REFERENCE, NAME), (OTHER, "林美")):
        await ask(admin, ANA, "member.put", member=reference, domain="library", name=name, classes=["caring"])
        await ask(admin, ANA, "consent.give", member=reference, purpose="caring")
    await ask(admin, ANA, "member.number.put", member=REFERENCE, kind="library-barcode", identifier=NUMBER)
    await ask(admin, ANA, "member.show", member=REFERENCE)
    await ask(admin, ANA, "card.flag", member=REFERENCE, domain="library", set=["overdue"])
    await admin.act(
        "card.names", file=write("member,name,agreed", f"{REFERENCE},{NAME},yes"), domain="library", apply=True
    )
    row = next(row for row in await city.rows(members) if row.reference == REFERENCE)
    await _registered(city, row.id)
    who = {each.member: bytes(each.subject) for each in await city.rows(subjects)}
    mine = who[row.id]
    others = next(who[each.id] for each in await city.rows(members) if each.reference == OTHER)
    town, diary = Town(city.database, keys), Diary(city.device)
    for subject in (mine, others):
        diary.came(subject, NOW_MS - 5 * HOUR_MS)
        diary.left(subject, NOW_MS - 4 * HOUR_MS)
    denied = diary.was_denied(mine, NOW_MS - 3 * HOUR_MS)
    diary.admitted(denied, NOW_MS - 3 * HOUR_MS + 1_000)
    my_token = token(keys.domain_key("library", 1), CARD)
    unknown = Personal(os.urandom(16), token=my_token, key_number=1)
    diary.add(Kind.TAP, encode(unknown), direction="in", decision="denied", reason="unknown-card")
    await town.take(diary)
    await _forked(town, diary, mine)
    await town.settle()
    await count_due(city.database)
    needles = {
        "reference": REFERENCE.encode(),
        "name": NAME.encode(),
        "masked": "歐○○菲".encode(),
        "number": NUMBER.encode(),
        "member": row.id,
        "member in hex": row.id.hex().encode(),
        "subject": mine,
        "subject in hex": mine.hex().encode(),
        "uid": CARD.raw,
        "index": keys.uid_index(CARD),
        "token": my_token,
    }
    return Scene(admin, city, town, diary, needles, denied)


async def _registered(city: City, member: bytes) -> None:
    day = {"from_ms": 1, "until_ms": 2, "capacity": 0, "walk_ins": True, "at_ms": 1, "who": "ana"}
    await city.add(activities, {"id": "check", "venue": "main", "rule": "check", "title_zh": "", "title_en": "", **day})
    await city.add(registrations, {"activity": "check", "member": member, "at_ms": NOW_MS})


async def _forked(town: Town, diary: Diary, subject: bytes) -> None:
    """Another history of the same epoch, which becomes evidence with its personal parts."""
    other = Diary(diary.device)
    other.epoch, other.heads = diary.epoch, diary.heads[:2]
    other.publics, other.personals = diary.publics[:1], diary.personals[:1]
    other.came(subject, NOW_MS - 5 * HOUR_MS + 7)
    assert await town.take(other, 1) == "forked"


async def erase(scene: Scene, **values: Any) -> Any:
    return await ask(scene.admin, ANA, "member.erase", person=REFERENCE, **values)


async def everything(database: Any) -> bytes:
    """All rows of all tables, as bytes to search."""
    found = []
    async with database.read() as connection:
        for table in metadata.sorted_tables:
            for row in await connection.execute(select(table)):
                found += [v if isinstance(v, bytes) else str(v).encode() for v in row if v is not None]
    return b"\0".join(found)


def in_files(directory: Path, needles: dict[str, bytes]) -> list[tuple[str, str]]:
    """Which file holds what."""
    files = [(path, path.read_bytes()) for path in directory.rglob("*") if path.is_file()]
    return [(path.name, name) for path, data in files for name, needle in needles.items() if needle in data]


async def gates_heard(scene: Scene) -> None:
    """Every gate polls with the newest list."""
    async with scene.city.database.read() as connection:
        version = (await connection.execute(select(lists.c.version))).scalar_one()
    poll = scene.city.device.poll_message(parts=(Part(PartName.ALLOWLIST, version, bytes(32)),))
    await scene.city.change(devices, devices.c.id == scene.city.device.id, report=encode(poll))
    assert await late.let_go(scene.city.database, NOW_MS) == 1


async def look_through(scene: Scene) -> None:
    """What came late."""
    while await late.destroy_late(scene.city.database, scene.city.keys, scene.town.now_ms):
        pass


async def test_nothing_is_left_in_any_row_and_everything_still_verifies(scene: Scene) -> None:
    before = await everything(scene.city.database)
    there = {name for name, needle in scene.needles.items() if needle in before}
    assert there >= IN_CLEAR, "or the search finds nothing because it cannot"
    done = await erase(scene, apply=True)
    assert done.applied
    assert done.rows["events"] == 4
    assert done.rows["cards"] == done.rows["members"] == done.rows["evidence"] == 1
    await gates_heard(scene)
    after = await everything(scene.city.database)
    assert [name for name, needle in scene.needles.items() if needle in after] == []
    assert "林美".encode() not in after, "names rest sealed"
    found = await scene.admin.act("verify")
    assert (found.problems, scene.admin.items) == (0, [])
    assert (await scene.admin.act("audit.verify")).problems == 0


async def leave_the_domain(scene: Scene, write: Write) -> None:
    """A full list names other cards alone."""
    values = {"domain": "library", "notation": "hex", "apply": True, "full": True, "absent": "remove", "force": True}
    await scene.admin.act("card.import", file=write(COLUMNS, "DEADBEEF,M-3,citizen,,"), **values)
    assert scene.needles["subject"] not in {bytes(row.subject) for row in await scene.city.rows(subjects)}


async def test_who_left_the_domain_leaves_nothing_there_either(scene: Scene, write: Write) -> None:
    await leave_the_domain(scene, write)
    done = await erase(scene, apply=True)
    assert done.rows["events"] == 4
    await gates_heard(scene)
    after = await everything(scene.city.database)
    assert [name for name, needle in scene.needles.items() if needle in after] == []
    assert (await scene.admin.act("verify")).problems == 0


@pytest.mark.parametrize("is_over", [False, True])
async def test_a_list_that_is_made_under_the_next_key_keeps_no_token_either(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, is_over: bool
) -> None:
    database, keys = scene.city.database, scene.city.keys
    monkeypatch.setattr("central.lists.BLOCK_MEMBERS", 2)
    async with database.write() as connection:
        await rotating.begin(connection, keys, "library")
    mine = token(keys.domain_key("library", 2), CARD)
    blocks = 0
    while mine not in {bytes(row.token) for row in await scene.city.rows(list_entries)} or blocks < 3:
        assert await rotating.make_next(database, keys, "library", NOW_MS) is not None
        blocks += 1
    await erase(scene, apply=True)
    if is_over:
        await rotating.go_on(database, keys, "library", NOW_MS)
    assert await late.let_go(database, NOW_MS + late.HEARD_MS) == 1
    assert {mine, scene.needles["token"]} & {bytes(row.token) for row in await scene.city.rows(list_entries)} == set()


@ONE_ENGINE
async def test_who_left_the_domain_and_comes_back_is_who_they_were_there(scene: Scene, write: Write) -> None:
    async def mine() -> list[bytes]:
        return [row.subject for row in await scene.city.rows(subjects) if row.member == scene.needles["member"]]

    before = await mine()
    await leave_the_domain(scene, write)
    await ask(scene.admin, ANA, "member.put", member=REFERENCE, domain="library")
    assert await mine() == before
    await leave_the_domain(scene, write)
    file = write(COLUMNS, f"{CARD.raw.hex()},{REFERENCE},citizen,,")
    await scene.admin.act("card.import", file=file, domain="library", notation="hex", apply=True)
    assert await mine() == before
    assert scene.needles["member"] not in {row.member for row in await scene.city.rows(former_subjects)}


@ONE_ENGINE
async def test_a_hold_on_a_venue_of_a_domain_that_they_left_stops_it(scene: Scene, write: Write) -> None:
    await leave_the_domain(scene, write)
    await scene.admin.act("hold.put", why="case 115-42", who="ana", venue="main")
    with pytest.raises(ActionFailed, match="a legal hold keeps this member"):
        await erase(scene, apply=True)


async def test_a_walk_that_had_come_to_the_person_goes_on_behind_who_stands_before(scene: Scene) -> None:
    mine, member = scene.needles["subject"], scene.needles["member"]
    mark = {"domain": "library", "cursor": mine}
    await scene.city.add(point_rounds, {**mark, "day": "2026-09-01", "is_done": False})
    await scene.city.add(point_closings, {**mark, "month": "2026-08", "until_ms": 1, "begun_ms": 1, "who": "ana"})
    async with scene.city.database.write() as connection:
        await rotating.begin(connection, scene.city.keys, "library")
    await scene.city.change(key_rotations, key_rotations.c.domain == "library", cursor=member)
    rule = {"purpose": "caring", "required": True, "from_ms": 0, "at_ms": 1, "who": "ana", "why": ""}
    await scene.city.add(consent_rules, {**rule, "cursor": member})
    await erase(scene, apply=True)
    subject = max((each.subject for each in await scene.city.rows(subjects) if each.subject < mine), default=b"")
    someone = max((each.id for each in await scene.city.rows(members) if each.id < member), default=b"")
    stands = {table: (await scene.city.rows(table))[0].cursor for table in WALKS}
    assert stands == dict(zip(WALKS, (subject, subject, someone, someone), strict=True))


@pytest.mark.parametrize("key", [hours.PROGRESS, points.PROGRESS])
async def test_a_pass_of_retention_that_had_come_to_the_person_names_whoever_stands_before(
    scene: Scene, key: str
) -> None:
    mine = scene.needles["subject"]
    async with scene.city.database.write() as connection:
        await note_progress(connection, key, MembersPass(NOW_MS, {"library": mine.hex(), "other": "00"}))
    await erase(scene, apply=True)
    before = max((each.subject for each in await scene.city.rows(subjects) if each.subject < mine), default=b"")
    async with scene.city.database.read() as connection:
        held = await read_progress(connection, key, MembersPass, NOW_MS)
    assert held == MembersPass(NOW_MS, {"library": before.hex(), "other": "00"})


async def test_what_was_computed_is_what_a_rebuild_computes(scene: Scene) -> None:
    await erase(scene, apply=True)
    found = await scene.admin.act("rebuild")
    assert [each for each in found.tables if each.missing or each.wrong] == []


@ONE_ENGINE
async def test_of_somebody_else_nothing_is_lost(scene: Scene) -> None:
    before = await scene.admin.act("member.show", member=OTHER)
    kept = await scene.city.rows(marks)
    await erase(scene, apply=True)
    assert await scene.admin.act("member.show", member=OTHER) == before
    left = await scene.city.rows(marks)
    assert {row.sequence for row in kept} - {row.sequence for row in left} == {1, 2}
    admitted = next(row for row in left if row.kind == "admit")
    assert (admitted.subject, admitted.card) == (b"", 0)
    personal = [row.sequence for row in await scene.city.rows(events) if row.personal is not None]
    assert personal == [3, 4]


@ONE_ENGINE
async def test_visits_stay_counted(scene: Scene) -> None:
    def counted(rows: list[Any]) -> dict[Any, Any]:
        return {
            (row.hour, row.class_name, row.day): (row.visits, row.members, row.without_exit, row.peak)
            for row in rows
            if row.hour == -1
        }

    before = counted(await scene.city.rows(visit_counts))
    (day,) = {key[2] for key in before}
    assert before[-1, "", day] == (3, 2, 1, 2)
    assert before[-1, "caring", day] == (3, 2, 1, 0)
    await erase(scene, apply=True)
    await count_due(scene.city.database)
    after = counted(await scene.city.rows(visit_counts))
    assert after[-1, "", day] == (3, 2, 1, 2)
    assert after[-1, "caring", day] == (2, 2, 0, 0), "who was let in by hand is nobody now, and of no class"
    assert after[-1, "–", day] == (1, 0, 1, 0)
    assert sum(row.visits for row in await scene.city.rows(kept_visits) if (row.hour, row.class_name) == (-1, "")) == 1
    await scene.admin.act("report.recount", since=day, until=day)
    await count_due(scene.city.database)
    assert counted(await scene.city.rows(visit_counts)) == after


@ONE_ENGINE
async def test_no_file_of_the_data_directory_holds_it(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "snapshots").mkdir()
    (tmp_path / "snapshots" / "library-1.snap").write_bytes(scene.needles["token"])
    assert {name for _, name in in_files(tmp_path, scene.needles)} >= IN_CLEAR
    done = await erase(scene, apply=True)
    assert done.files_clean
    await gates_heard(scene)
    await scene.admin.act("erasure.compact")
    (tmp_path / "table.csv").unlink()
    await scene.admin.act("backup", path=str(tmp_path / "after.backup"), compression="none")
    assert in_files(tmp_path, scene.needles) == []
    assert (await scene.admin.act("verify")).problems == 0


@ONE_ENGINE
async def test_a_list_of_before_that_was_being_built_or_is_another_servers_goes_from_the_disk(
    scene: Scene, tmp_path: Path
) -> None:
    config = parse({"data_dir": str(tmp_path)})
    (before,) = await scene.city.rows(lists)
    await erase(scene, apply=True)
    (after,) = await scene.city.rows(lists)
    (tmp_path / "snapshots").mkdir(exist_ok=True)

    def put(*versions: int) -> None:
        for version in versions:
            (tmp_path / "snapshots" / f"{b'library'.hex()}-{version}.snap").touch()

    async def left() -> set[int]:
        await drop_stale_snapshots(config, scene.city.database)
        return {int(path.stem.split("-")[1]) for path in (tmp_path / "snapshots").iterdir()}

    put(before.version, after.version)
    assert await left() == {after.version}
    await gates_heard(scene)
    put(before.version, after.version)
    assert await left() == {after.version}


@ONE_ENGINE
async def test_a_dry_run_says_what_would_go_and_changes_nothing(scene: Scene) -> None:
    before = await everything(scene.city.database)
    said = await scene.admin.act("member.erase", person=REFERENCE)
    assert await everything(scene.city.database) == before
    assert (said.applied, said.receipt_base64) == (False, "")
    done = await scene.admin.act("member.erase", person=REFERENCE, apply=True)
    assert said.rows["events"] == done.rows["events"]
    assert said.rows["consents"] == done.rows["consents"] == 1
    assert {place.where for place in done.remains} == {"gates", "backups"}


@ONE_ENGINE
async def test_the_receipt_is_signed_and_shows_whose_it_is_to_who_holds_it(scene: Scene) -> None:
    done = await erase(scene, apply=True)
    envelope = base64.b64decode(done.receipt_base64)
    said = open_as(Erasure, envelope, Keyring.of(scene.city.keys.receipt.public))
    assert said.id.hex() == done.erasure
    assert said.person == person_digest(said.salt, REFERENCE)
    assert said.person != person_digest(said.salt, OTHER)
    assert {went.what: went.number for went in said.went} == done.rows
    assert said.person not in await everything(scene.city.database)


@ONE_ENGINE
async def test_what_was_agreed_to_can_still_be_shown_to_who_brings_the_reference(scene: Scene) -> None:
    await erase(scene, apply=True)
    (row,) = (await scene.admin.act("erasure.list", sought=REFERENCE)).erasures
    assert [(said[0], said[1]) for said in row.consents] == [("caring", "given")]
    assert row.who == "ana"
    assert (await scene.admin.act("erasure.list", sought=OTHER)).erasures == []


@ONE_ENGINE
async def test_gates_are_told_by_a_delta_and_tokens_go_once_they_heard(scene: Scene) -> None:
    async with scene.city.database.read() as connection:
        held = (await connection.execute(select(lists.c.version))).scalar_one()
    await erase(scene, apply=True)
    rows = {bytes(row.token): row for row in await scene.city.rows(list_entries)}
    gone = rows[scene.needles["token"]]
    assert (gone.dropped, gone.entry) == (True, b"")
    assert gone.version > held
    assert await late.let_go(scene.city.database, NOW_MS) == 0
    assert len(await scene.city.rows(erasures_pending)) == 1
    assert await late.let_go(scene.city.database, NOW_MS + late.HEARD_MS) == 1
    assert scene.needles["token"] not in {bytes(row.token) for row in await scene.city.rows(list_entries)}
    assert await scene.city.rows(erasures_pending) == []
    (head,) = await scene.city.rows(lists)
    assert head.base >= gone.version


async def test_what_a_gate_delivers_late_loses_its_personal_part_too(scene: Scene) -> None:
    await erase(scene, apply=True)
    late_tap = scene.diary.came(scene.needles["subject"], NOW_MS - HOUR_MS)
    others = scene.diary.was_denied(os.urandom(16), NOW_MS - HOUR_MS)
    scene.town.now_ms += 1_000
    await scene.town.take(scene.diary, late_tap)
    await scene.town.settle()
    assert scene.needles["subject"] in await everything(scene.city.database)
    await look_through(scene)
    held = {row.sequence: row.personal for row in await scene.city.rows(events)}
    assert held[late_tap] is None
    assert held[others] is not None
    await gates_heard(scene)
    assert scene.needles["subject"] not in await everything(scene.city.database)
    assert (await scene.admin.act("verify")).problems == 0


async def tapped_once_gates_had_heard(scene: Scene) -> None:
    """A gate delivers a tap of who was erased, and it is looked through."""
    await erase(scene, apply=True)
    await gates_heard(scene)
    tap = scene.diary.came(scene.needles["subject"], NOW_MS - HOUR_MS)
    scene.town.now_ms += 1_000
    await scene.town.take(scene.diary, tap)
    await scene.town.settle()
    await look_through(scene)


async def test_what_comes_after_every_gate_heard_leaves_nothing_once_they_heard_again(scene: Scene) -> None:
    await tapped_once_gates_had_heard(scene)
    told = {bytes(row.subject) for row in await scene.city.rows(subject_states)}
    assert scene.needles["subject"] in told, "or gates that heard of the tap go on counting it"
    await late.let_go(scene.city.database, NOW_MS + 2_000)
    assert scene.needles["subject"] not in await everything(scene.city.database)


@ONE_ENGINE
async def test_what_came_late_is_in_no_file_once_the_night_is_over(scene: Scene, tmp_path: Path) -> None:
    await tapped_once_gates_had_heard(scene)
    await late.let_go(scene.city.database, NOW_MS + 2_000)
    await scrub_what_is_due(parse({"data_dir": str(tmp_path)}), scene.city.database)
    (tmp_path / "table.csv").unlink()
    assert in_files(tmp_path, {"subject": scene.needles["subject"]}) == []


async def test_what_somebody_wrote_who_had_read_of_the_person_before_goes_too(scene: Scene) -> None:
    await erase(scene, apply=True)
    mine = scene.needles["subject"]
    async with scene.city.database.write() as connection:
        await append(connection, About("ana", NOW_MS, "library", mine), PointsGranted(points=5, why="feast"), NOW_MS)
        await settle(connection, [Touched("library", mine, NOW_MS)], NOW_MS)
        await note_progress(connection, points.PROGRESS, MembersPass(NOW_MS, {"library": mine.hex()}))
    await gates_heard(scene)
    after = await everything(scene.city.database)
    assert [name for name in ("subject", "subject in hex") if scene.needles[name] in after] == []


async def test_evidence_that_comes_late_is_kept_without_the_person(scene: Scene) -> None:
    await erase(scene, apply=True)
    await look_through(scene)
    scene.town.now_ms += 1_000
    await _forked(scene.town, scene.diary, scene.needles["subject"])
    (*_, kept) = sorted(await scene.city.rows(evidence), key=lambda row: row.at_ms)
    assert scene.needles["subject"] in kept.body
    await look_through(scene)
    (*_, now) = sorted(await scene.city.rows(evidence), key=lambda row: row.at_ms)
    assert (now.digest, decode(Upload, now.body).batch) == (kept.digest, decode(Upload, kept.body).batch)
    assert scene.needles["subject"] not in now.body
    assert (await scene.admin.act("verify")).problems == 0


@ONE_ENGINE
async def test_what_came_while_the_persons_events_were_looked_for_is_found_though_others_were_looked_through(
    scene: Scene,
) -> None:
    async with scene.city.database.read() as connection:
        found = await person_of(connection, scene.city.keys, scene.needles["member"])
    assert found is not None
    other = await ask(scene.admin, ANA, "member.erase", person=OTHER, apply=True)
    assert other.applied
    tap = scene.diary.came(scene.needles["subject"], NOW_MS)
    scene.town.now_ms += 1_000
    await scene.town.take(scene.diary, tap)
    again = scene.diary.was_denied(os.urandom(16), NOW_MS)
    scene.town.now_ms += 2 * late.LOOK_BACK_MS
    await scene.town.take(scene.diary, again)
    await look_through(scene)
    async with scene.city.database.write() as connection:
        ordered = Ordered(os.urandom(16), "ana", NOW_MS)
        await erase_person(connection, scene.city.keys, found, [], ordered)
    await look_through(scene)
    held = {row.sequence: row.personal for row in await scene.city.rows(events)}
    assert held[tap] is None
    assert held[again] is not None


@ONE_ENGINE
async def test_a_card_that_was_another_members_before_keeps_that_history(scene: Scene) -> None:
    index = scene.needles["index"]
    stated = {"uid_index": index, "number": 1, "state": 0, "from_ms": 0, "until_ms": 0, "ended_ms": -1}
    stated |= {"known_ms": NOW_MS, "who": "ana", "batch": ""}
    other = next(row.id for row in await scene.city.rows(members) if row.reference == OTHER)
    mine = scene.needles["member"]
    await scene.city.change(card_bindings, card_bindings.c.uid_index == index, member=other, why=f"to {other.hex()}")
    await scene.city.add(card_bindings, {**stated, "place": 2, "member": mine, "why": f"to {mine.hex()}"})
    await erase(scene, apply=True)
    rows = await scene.city.rows(card_bindings)
    assert [(row.member, row.why) for row in rows] == [(other, f"to {other.hex()}"), (b"", "")]
    assert (await scene.admin.act("verify")).problems == 0


@ONE_ENGINE
async def test_points_of_closed_months_stay_as_nobodys(scene: Scene) -> None:
    line = {"domain": "library", "booked_ms": NOW_MS, "at_ms": NOW_MS, "what": "spent", "source": "member"}
    line |= {"cause": "event door 00 1", "target": "venue:main", "month": "2026-09"}
    mine = scene.needles["subject"]
    await scene.city.add(
        point_books,
        *({**line, "subject": mine, "line": n, "points": 10} for n in range(3)),
        {**line, "subject": b"\7" * 16, "line": 0, "points": 5},
    )
    await erase(scene, apply=True)
    rows = {bytes(row.subject): row for row in await scene.city.rows(point_books)}
    assert sorted(rows) == [b"", b"\7" * 16]
    assert (rows[b""].points, rows[b""].cause) == (30, "erased")
    assert rows[b""].booked_ms <= NOW_MS


@ONE_ENGINE
async def test_minutes_of_locked_months_stay_by_team(scene: Scene) -> None:
    month = {"domain": "library", "team": "readers", "month": "2026-08"}
    await scene.city.add(
        attendance_months, {**month, "fact": bytes(16), "locked_ms": NOW_MS, "unit_minutes": 1, "who": "ana"}
    )
    fields = dict.fromkeys(("people", "transport", "meal", "people_abroad", "people_home", "ends_by_ms"), 0)
    texts = dict.fromkeys(("why", "shift", "activity", "remark"), "")
    row = {
        **month,
        **fields,
        **texts,
        "at_ms": NOW_MS,
        "venue": "main",
        "stated": b"",
        "taps": b"",
        "adjustment_of": b"",
    }
    mine = {**row, "subject": scene.needles["subject"]}
    await scene.city.add(
        attendance_sessions,
        {**mine, "key": b"a" * 16, "minutes": 90, "state": "counted"},
        {**mine, "key": b"b" * 16, "minutes": 30, "state": "void"},
        {**mine, "key": b"c" * 16, "minutes": 45, "state": "counted", "month": "2026-09"},
        {**row, "subject": b"\7" * 16, "key": b"d" * 16, "minutes": 60, "state": "counted"},
    )
    await erase(scene, apply=True)
    (kept,) = await scene.city.rows(kept_hours)
    assert (kept.team, kept.month, kept.people, kept.minutes) == ("readers", "2026-08", 1, 90)
    assert [bytes(row.subject) for row in await scene.city.rows(attendance_sessions)] == [b"\7" * 16]


@ONE_ENGINE
@pytest.mark.parametrize("held", [{"member": REFERENCE}, {"venue": "main"}, {}])
async def test_a_legal_hold_stops_it_with_its_reason(scene: Scene, held: dict[str, str]) -> None:
    hold = await scene.admin.act("hold.put", why="case 115-42", who="ana", **held)
    for apply in (False, True):
        with pytest.raises(ActionFailed, match=f"a legal hold keeps this member: case 115-42 .{hold.id}"):
            await erase(scene, apply=apply)
    assert ledger.read(scene.city.keys.directory) == []
    await scene.admin.act("hold.end", id=hold.id, who="ana")
    assert (await erase(scene, apply=True)).applied


@ONE_ENGINE
async def test_the_audit_log_says_that_somebody_was_erased_and_not_who(scene: Scene) -> None:
    await erase(scene, apply=True)
    entries = (await scene.admin.act("audit.list", limit=500)).entries
    assert next(entry for entry in entries if entry.action == "member.erase").account == "ana"
    assert all(REFERENCE not in f"{entry}" for entry in entries)
    assert {entry.target for entry in entries if entry.action == "consent.give"} == {"", OTHER}


async def test_rows_of_the_audit_log_that_name_the_person_within_a_sentence_are_struck(scene: Scene) -> None:
    why = {"why": f"查{NAME}（會員{REFERENCE}的卡）的案件", "other": f"與{REFERENCE}0及{REFERENCE}-2無關"}
    for said in why.values():
        hold = await scene.admin.act("hold.put", venue="main", why=said, who="ana")
        await scene.admin.act("hold.end", id=hold.id, who="ana")
        await ask(scene.admin, ANA, "member.correct", member=OTHER, name="林美", why=said)
    await erase(scene, apply=True)
    bodies = [row.body for row in await scene.city.rows(audit)]
    assert [body for body in bodies if NAME in body or f"{REFERENCE}的" in body] == []
    assert [body for body in bodies if why["other"] in body] != []
    assert (await scene.admin.act("audit.verify")).problems == 0


async def test_restoring_an_older_backup_erases_again(scene: Scene, tmp_path: Path) -> None:
    await scene.admin.act("backup", path=str(tmp_path / "before"), compression="none")
    assert in_files(tmp_path, {"name": REFERENCE.encode()})
    await erase(scene, apply=True)
    config = parse({"data_dir": str(tmp_path / "other"), "keys_dir": str(scene.city.keys.directory)})
    (tmp_path / "other").mkdir()
    done = await restore(config, scene.city.keys, tmp_path / "before", NOW_MS + HOUR_MS, replace=False)
    assert done.erased_again == 1
    async with open_database(config.database) as database:
        after = await everything(database)
        left = {name for name, needle in scene.needles.items() if needle in after}
        assert left <= {"token", "subject"}, "what gates have still to hear of"
        await late.let_go(database, NOW_MS + 2 * late.HEARD_MS)
        after = await everything(database)
        assert [name for name, needle in scene.needles.items() if needle in after] == []
        other = Admin(config, database, scene.city.keys)
        assert (await other.act("verify")).problems == 0
        await database.compact()
    assert in_files(tmp_path / "other", scene.needles) == []


@ONE_ENGINE
async def test_what_is_sent_again_after_a_restore_of_somebody_it_never_knew_is_destroyed(
    scene: Scene, tmp_path: Path, database_url: str
) -> None:
    """The backup is older than the person, and gates send again what central lacks."""
    reference = "NEW-1"
    await scene.admin.act("backup", path=str(tmp_path / "before"))
    await ask(scene.admin, ANA, "member.put", member=reference, domain="library")
    row = next(row for row in await scene.city.rows(members) if row.reference == reference)
    subject = next(bytes(each.subject) for each in await scene.city.rows(subjects) if each.member == row.id)
    await scene.admin.act("member.erase", person=reference, apply=True)
    config = parse({"data_dir": str(tmp_path / "other"), "keys_dir": str(scene.city.keys.directory)})
    (tmp_path / "other").mkdir()
    done = await restore(config, scene.city.keys, tmp_path / "before", NOW_MS + HOUR_MS, replace=False)
    assert done.erased_again == 0
    tap = scene.diary.came(subject, NOW_MS)
    async with open_database(config.database) as database:
        town = Town(database, scene.city.keys, NOW_MS + 2 * HOUR_MS)
        await town.take(scene.diary, tap)
        while await late.destroy_late(database, scene.city.keys, NOW_MS + 3 * HOUR_MS):
            pass
        async with database.read() as connection:
            query = select(events.c.personal).where(events.c.sequence == tap)
            assert (await connection.execute(query)).scalar_one() is None


def test_every_table_that_speaks_of_people_is_named() -> None:
    """A new table has to say what becomes of its rows."""
    speaks = {table for table in metadata.sorted_tables if {"member", "subject"} & set(table.columns.keys())}
    hashes = {table for table in speaks if table.name == "erased_subjects"}
    assert speaks - hashes - {*BY_MEMBER, *BY_SUBJECT, *OTHERWISE} == set()
    assert {table for table in metadata.sorted_tables if "cursor" in table.columns} == {*WALKS}
    assert all("member" in table.columns for table in BY_MEMBER)
    assert all("subject" in table.columns for table in BY_SUBJECT)


def test_the_ledger_is_appended_and_survives_a_line_that_was_cut_short(tmp_path: Path) -> None:
    lines = [ledger.Line("aa" * 16, n, "bb" * 32, "cc" * 32, ["dd" * 32]) for n in range(2)]
    for line in lines:
        ledger.append(tmp_path, line)
    assert ledger.read(tmp_path) == lines
    path = tmp_path / ledger.FILE
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(path.read_bytes() + b'{"erasure":"aa')
    assert ledger.read(tmp_path) == lines
    path.write_bytes(b"nonsense\n" + path.read_bytes())
    with pytest.raises(ValueError, match="line 1"):
        ledger.read(tmp_path)


@ONE_ENGINE
async def test_nothing_that_is_no_member_is_erased(scene: Scene) -> None:
    with pytest.raises(ActionFailed, match="no such member"):
        await scene.admin.act("member.erase", person="nobody", apply=True)
