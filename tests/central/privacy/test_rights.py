"""A complete copy, correction, and who looked: as actions, commands and pages."""

import json
import re
from typing import Any

import pytest

from central.access.reach import Forbidden
from central.access.rules import RULES
from central.actions.action import ActionFailed
from central.actions.registry import ACTIONS
from central.console.copies import Places, shown_of
from central.console.copy_words import FACTS, REPEATED, is_identifier, title_of
from central.console.look_words import LOOKS
from central.details import READS
from central.facts import FactBody
from central.privacy.copying import FINDING, LEFT_OUT, TITLES, is_complete
from central.privacy.copying import title_of as title_of_table
from central.privacy.purposes import purposes
from central.privacy.tables import BY_MEMBER, BY_SUBJECT, OTHERWISE
from central.services.attendance.stated import Row
from central.store.schema import audit, metadata
from protocol.messages import Kind, Personal
from tests.central.admin import Admin
from tests.central.callers import ask, caller
from tests.central.privacy.test_erasing import (
    ANA,
    NAME,
    NUMBER,
    ONE_ENGINE,
    OTHER,
    REFERENCE,
    Scene,
    erase,
    in_files,
    scene,
)
from tests.central.terminal import Operator

__all__ = ["erase", "in_files", "scene"]


def rows_of(copy: Any, table: str) -> list[dict[str, Any]]:
    return next((section.rows for section in copy.sections if section.table == table), [])


async def test_a_copy_holds_everything_that_an_erasure_would_destroy(scene: Scene) -> None:
    copy = await scene.admin.act("member.copy", member=REFERENCE)
    would = (await scene.admin.act("member.erase", person=REFERENCE)).rows
    told = {section.table: len(section.rows) for section in copy.sections}
    missing = {name: number for name, number in would.items() if told.get(name, 0) < number}
    assert missing.keys() <= FINDING | {"audit log", "evidence"}
    (member,) = rows_of(copy, "members")
    assert (member["reference"], member["name"]) == (REFERENCE, NAME)
    assert rows_of(copy, "member_numbers")[0]["identifier"] == NUMBER
    assert {row["personal"] for row in rows_of(copy, "events")} == {"subject", "token", ""}
    text = f"{copy}"
    assert scene.needles["uid"].hex() not in text
    assert scene.needles["index"].hex() not in text


def test_every_table_of_people_is_told_of_with_a_purpose() -> None:
    assert is_complete()
    assert {purpose for _, _, purpose in TITLES.values()} <= purposes().keys()
    assert TITLES.keys() | FINDING <= metadata.tables.keys()


ADDED = ("members.name", "member_numbers.identifier", "facts.says")
"""Columns that the copy makes itself."""


def test_whatever_a_copy_says_has_a_title() -> None:
    """Every column of every table; what a person states; and what an erasure counts."""
    held = {(name, str(c.name)) for name in TITLES for c in metadata.tables[name].columns if c.name not in LEFT_OUT}
    held |= {("events", name) for name in Personal.__struct_fields__} - {("events", "salt"), ("events", "key_number")}
    held |= {tuple(each.split(".")) for each in ADDED}
    held |= {("says", name) for kind in _kinds(FactBody) for name in kind.__struct_fields__}
    held |= {("rows", name) for name in Row.__struct_fields__}
    held |= {("detail", name) for kind in TOLD for name in READS[kind].__struct_fields__}
    untold = {each for each in held if title_of(*each) == each[1] and not is_identifier(*each)}
    assert {(table, name) for table, name in untold if name not in REPEATED} == set()
    assert {kind.KIND for kind in _kinds(FactBody) if "KIND" in vars(kind)} == FACTS.keys()
    counted = {str(table.name) for table in (*BY_MEMBER, *BY_SUBJECT, *OTHERWISE)} | {"audit log", "evidence"}
    assert [name for name in counted if title_of_table(name) == (name, name)] == []


def test_whoever_may_look_at_a_member_is_told_of_in_words() -> None:
    about = {"member", "card", "uid"}
    looking = {name for name, rule in RULES.items() if ACTIONS[name].writes or rule.personal}
    named = {name for name in looking if about & set(ACTIONS[name].params.__struct_fields__)}
    assert named - LOOKS.keys() == set()


TOLD = (Kind.ADMIT, Kind.UNDO, Kind.PASSAGE, Kind.BIND)
"""Events about somebody that say more."""


def _kinds(of: type[FactBody]) -> list[type[FactBody]]:
    return [each for kind in of.__subclasses__() for each in (kind, *_kinds(kind))]


@ONE_ENGINE
async def test_a_copy_is_read_by_a_person(scene: Scene) -> None:
    """In words, local times and titles; with identifiers at the end, and everything that is held."""
    copy = await scene.admin.act("member.copy", member=REFERENCE)
    places = Places("zh-TW", {"gate": {"door-1": "正門"}, "purpose": {}}, {("gate", "door-1"): "Asia/Taipei"})
    shown = {section.table: shown_of(section, places) for section in copy.sections}
    assert shown.keys() == {section.table for section in copy.sections}
    for section in shown.values():
        assert [head for head in section.heads if not re.search("[\u4e00-\u9fff]", head)] == []
        assert {len(row) for row in section.rows} == {len(section.heads)}
    events = shown["events"]
    said = [dict(zip(events.heads, row, strict=True)) for row in events.rows]
    assert {"放行", "拒絕"} <= {row["決定"].value for row in said}
    assert {(row["閘門"].value, row["時間"].kind, row["時間"].zone) for row in said} == {
        ("正門", "moment", "Asia/Taipei")
    }
    listed = next(row for row in shown["entry_history"].rows if any(cell.kind == "pairs" for cell in row))
    assert "使用中" in str(listed)
    assert "已同意" in str(shown["consents"].rows)
    assert "epoch" in events.rows[0][-1].value
    coded = [cell.value for section in shown.values() for row in section.rows for cell in row if cell.kind == "text"]
    assert [
        value for value in coded if value in ("granted", "denied", "given", "active", "overdue", "True", "tap")
    ] == []


@ONE_ENGINE
async def test_who_looked_is_told_by_whatever_the_look_went(scene: Scene) -> None:
    shown = await ask(scene.admin, caller("lin", "admin"), "member.show", id=scene.needles["member"].hex())
    await ask(scene.admin, caller("wu", "admin"), "card.find", card=shown.cards[0].card)
    await ask(scene.admin, ANA, "member.show", member="M-2")
    found = (await scene.admin.act("member.looks", member=REFERENCE)).looks
    assert [(each.who, each.action, each.what) for each in found[:2]] == [
        ("wu", "card.find", "looked"),
        ("lin", "member.show", "looked"),
    ]
    assert {each.action for each in found} >= {"consent.give", "member.put", "card.bind"}
    first = await scene.admin.act("member.looks", member=REFERENCE, limit=2)
    rest = await scene.admin.act("member.looks", member=REFERENCE, before=first.looks[-1].number, limit=500)
    assert first.more
    assert [*first.looks, *rest.looks] == found
    with pytest.raises(ActionFailed):
        await ask(scene.admin, caller("lin", "admin"), "consent.give", member=REFERENCE, purpose="statistics")
    tried = (await scene.admin.act("member.looks", member=REFERENCE)).looks[0]
    assert (tried.who, tried.action, tried.what) == ("lin", "consent.give", "failed")  # and no change was made


@ONE_ENGINE
async def test_what_is_wrong_is_put_right(scene: Scene) -> None:
    assert (
        await scene.admin.act("member.correct", member=REFERENCE, name="歐陽菲", without_classes=["caring"])
    ).changed
    shown = await scene.admin.act("member.show", member=REFERENCE)
    assert shown.name == "歐陽菲"
    assert next(held.until_ms for held in shown.classes if held.class_name == "caring") == scene.admin.now_ms
    assert (await scene.admin.act("member.find", sought=NAME)).members == []
    await scene.admin.act("member.correct", member=REFERENCE, without_name=True)
    assert (await scene.admin.act("member.show", member=REFERENCE)).name == ""
    assert not (await scene.admin.act("member.correct", member=REFERENCE, reference=REFERENCE)).changed
    assert (await scene.admin.act("verify")).problems == 0
    for wrong in ({}, {"without_classes": ["student"]}, {"name": "x", "without_name": True}, {"name": "\u202e"}):
        with pytest.raises(ActionFailed):
            await scene.admin.act("member.correct", member=REFERENCE, **wrong)


NEW = "A-7715-K"


@ONE_ENGINE
async def test_a_wrong_reference_is_put_right_and_given_to_whom_it_belongs(scene: Scene) -> None:
    """The log stays as it was written: what it has under the wrong one is told to, and struck for, who had it then."""
    admin = scene.admin
    before = (await admin.act("member.looks", member=REFERENCE, limit=500)).looks
    for taken in (OTHER, " x", "day/x"):
        with pytest.raises(ActionFailed):
            await ask(admin, ANA, "member.correct", member=REFERENCE, reference=taken)
    admin.now_ms += 1_000
    done = await ask(admin, ANA, "member.correct", member=REFERENCE, reference=NEW, why="a digit")
    assert (done.changed, done.member) == (True, NEW)
    admin.now_ms += 1_000
    await ask(admin, ANA, "member.put", member=REFERENCE, domain="library", name="林立")
    await ask(admin, ANA, "member.show", member=REFERENCE)
    await ask(admin, ANA, "member.show", member=NEW)
    now = (await admin.act("member.looks", member=NEW, limit=500)).looks
    assert [each.action for each in now[:2]] == ["member.show", "member.correct"]
    assert {each.number for each in before} < {each.number for each in now}
    theirs = (await admin.act("member.looks", member=REFERENCE, limit=500)).looks
    assert [each.action for each in theirs] == ["member.show", "member.put"], "nothing of who had it before"
    says = [row["says"] for row in rows_of(await admin.act("member.copy", member=NEW), "facts")]
    assert [said for said in says if said.get("after")] == [{"before": REFERENCE, "after": NEW, "why": "a digit"}]
    await ask(admin, ANA, "member.erase", person=NEW, apply=True)
    entries = (await admin.act("audit.list", limit=500)).entries
    assert NEW not in f"{entries}"
    of_other = [each.action for each in entries if each.target == REFERENCE]
    assert sorted(set(of_other)) == ["member.put", "member.show"], "only what is of who has it now"
    assert all("a digit" not in f"{each}" for each in entries)
    assert (await admin.act("audit.verify")).problems == 0
    assert (await admin.act("verify")).problems == 0


def test_commands_give_a_copy_and_erase_with_a_receipt(run: Operator, tmp_path: Any) -> None:
    run("member", "put", "A-7714-K", "--domain", "library", "--name", NAME, "--who", "lin")
    run("member", "copy", "A-7714-K", "--to", str(tmp_path / "copy.json"))
    copy = json.loads((tmp_path / "copy.json").read_text())
    assert {section["table"] for section in copy["sections"]} >= {"members", "subjects"}
    assert NAME in run("member", "copy", "A-7714-K").stdout
    assert "Nobody did." not in run("member", "looks", "A-7714-K").stdout
    assert "add --apply" in run("member", "erase", "A-7714-K").stdout
    assert "--receipt" in run.refused("member", "erase", "A-7714-K", "--apply")
    hold = run.json("hold", "put", "--member", "A-7714-K", "--why", "case 115-42", "--who", "lin")
    assert "case 115-42" in run.refused("member", "erase", "A-7714-K", "--apply", "--receipt", str(tmp_path / "r"))
    assert "case 115-42" in run("hold", "list").stdout
    run("hold", "end", hold["id"], "--who", "lin")
    nowhere = str(tmp_path / "none" / "file")
    assert "No such file or directory" in run.refused("member", "copy", "A-7714-K", "--to", nowhere)
    assert "No such file or directory" in run.refused("member", "erase", "A-7714-K", "--apply", "--receipt", nowhere)
    assert "it is no file" in run.refused("member", "erase", "A-7714-K", "--apply", "--receipt", "/dev/null")
    assert run.json("erasure", "list", "--member", "A-7714-K") == [], "nobody goes whose receipt has no place"
    (tmp_path / "copy.json").unlink()
    done = run.json("member", "erase", "A-7714-K", "--apply", "--receipt", str(tmp_path / "receipt"), "--who", "lin")
    assert done["files_clean"]
    assert (tmp_path / "receipt").stat().st_size > 100
    assert (tmp_path / "receipt").stat().st_mode & 0o077 == 0
    assert "no such member" in run.refused("member", "erase", "A-7714-K")
    needles = {"reference": b"A-7714-K", "name": NAME.encode()}
    assert in_files(run.directory, needles) == []
    assert len(run.json("erasure", "list", "--member", "A-7714-K")) == 1
    assert run.json("erasure", "compact")["files_clean"]
    run("verify")
    run("audit", "verify")
    assert run.json("retention", "put", "180")["venues"][0]["days"] == 180
    told = run.json("retention", "put", "1825", "--purpose", "points")["purposes"]
    assert {each["purpose"]: each["days"] for each in told if each["days"]} == {"admission": 180, "points": 1825}
    assert "180" in run("retention", "list").stdout
    run("notice", "put", "caring", "deploy/privacy/caring.toml")
    assert "告知" not in run("notice", "show", "caring").stdout
    run("consent", "give", "A-1", "caring", "--who", "lin")
    run("consent", "withdraw", "A-1", "caring", "--who", "lin")
    assert len(run.json("consent", "list", "A-1")) == 2
    (tmp_path / "forms.csv").write_text("member,answer\nA-2,yes\n")
    run("consent", "import", str(tmp_path / "forms.csv"), "--domain", "library", "--purpose", "caring", "--apply")
    assert run.json("purpose", "require", "caring", "--from", "now", "--who", "lin")["required"]
    assert run.json("purpose", "list")[1]["required"]
    assert run.json("member", "correct", "A-1", "--name", "林美", "--reference", "A-11")["member"] == "A-11"


@ONE_ENGINE
async def test_a_look_is_written_down_and_an_operator_of_one_venue_gets_no_copy(admin: Admin) -> None:
    operator = caller("lin", "operator", venues=("main",))
    for action in ("member.copy", "member.looks"):
        with pytest.raises(Forbidden):
            await ask(admin, operator, action, member="M-1")
    await ask(admin, ANA, "member.copy", member="M-1")
    async with admin.database.read() as connection:
        rows = (await connection.execute(audit.select().where(audit.c.action == "member.copy"))).all()
    assert [row.phase for row in rows] == ["refused", "looked"]
